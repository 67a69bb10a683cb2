package media

import "campanile.network/sip/codec"

const (
	heldPackets = 4 // wait for one that is missing
	concealed   = 5 // frames made for what is lost, at most; a longer gap is a gap
)

// transcoder turns one stream of speech into another codec's: packets are put
// in order, a few wait for one that is missing, what does not come is concealed,
// and out come frames of 20 ms, each with the timestamp of its first sample.
type transcoder struct {
	from, to law
	started  bool
	next     uint16 // sequence number
	held     [heldPackets]heldPacket

	dec  codec.Decoder
	enc  codec.Encoder
	pcm  [codec.Samples]int16 // being filled
	n    int                  // samples in it
	ts   uint32               // of the next sample that is to come
	last [codec.Samples]int16 // of PCM, for what is lost
	lost int
	turn uint32 // counts leaps back of the source's clock
	out  [codec.Samples]byte
}

type heldPacket struct {
	used bool
	seq  uint16
	ts   uint32
	b    []byte
}

// speaker takes the frames made; their octets are the transcoder's again after it.
type speaker interface {
	frame(ts uint32, payload []byte)
}

// good says whether a payload can be of the codec.
func (t *transcoder) good(payload []byte) bool {
	if t.from == gsm {
		return len(payload) > 0 && len(payload)%codec.FrameSize == 0
	}
	return len(payload) > 0
}

// push takes a packet; one whose sequence number carries no speech has none. It
// says whether it came in time.
func (t *transcoder) push(seq uint16, ts uint32, payload []byte, out speaker) bool {
	if !t.started {
		t.started, t.next, t.ts, t.n = true, seq, ts, 0
	}
	ahead := int16(seq - t.next)
	if ahead < 0 {
		return false
	}
	for ahead > 0 && !t.hold(seq, ts, payload) { // who is missing is waited for no more
		if o := t.oldest(); int16(o.seq-seq) < 0 {
			t.next = o.seq
			t.drain(out)
		} else {
			t.next, ahead = seq, 0
		}
	}
	if ahead == 0 {
		t.play(ts, payload, out)
	}
	t.drain(out)
	return true
}

// hold keeps a packet whose turn has not come, if there is room.
func (t *transcoder) hold(seq uint16, ts uint32, payload []byte) bool {
	free := -1
	for i := range t.held {
		if h := &t.held[i]; !h.used {
			free = i
		} else if h.seq == seq {
			return true // twice
		}
	}
	if free < 0 {
		return false
	}
	h := &t.held[free]
	*h = heldPacket{used: true, seq: seq, ts: ts, b: append(h.b[:0], payload...)}
	return true
}

func (t *transcoder) oldest() (o *heldPacket) {
	for i := range t.held {
		if h := &t.held[i]; h.used && (o == nil || int16(h.seq-o.seq) < 0) {
			o = h
		}
	}
	return o
}

// drain plays what is next.
func (t *transcoder) drain(out speaker) {
	for {
		h := t.oldest()
		if h == nil || h.seq != t.next {
			return
		}
		h.used = false
		t.play(h.ts, h.b, out)
	}
}

// play turns the packet whose turn it is.
func (t *transcoder) play(ts uint32, payload []byte, out speaker) {
	t.next++
	if len(payload) == 0 {
		return
	}
	t.bridge(ts, out)
	var pcm [codec.Samples]int16
	for len(payload) > 0 {
		n := codec.Samples
		switch t.from {
		case gsm:
			if t.dec.Decode(&pcm, payload[:codec.FrameSize]) != nil {
				t.dec.Conceal(&pcm)
			}
			payload = payload[codec.FrameSize:]
		default:
			n = min(n, len(payload))
			expand(t.from, pcm[:0], payload[:n])
			t.last, t.lost = pcm, 0
			payload = payload[n:]
		}
		t.fill(pcm[:n], out)
	}
}

func expand(from law, pcm []int16, payload []byte) {
	if from == alaw {
		codec.DecodeA(pcm, payload)
	} else {
		codec.DecodeMu(pcm, payload)
	}
}

// bridge fills the gap to ts if it is a short one, and leaps if not.
func (t *transcoder) bridge(ts uint32, out speaker) {
	gap := int32(ts - t.ts)
	if gap == 0 {
		return
	}
	if gap < 0 || gap > concealed*codec.Samples {
		if t.ts, t.n = ts, 0; gap < 0 {
			t.turn++
		}
		return
	}
	for gap > 0 {
		n := min(gap, codec.Samples)
		var pcm [codec.Samples]int16
		if t.from == gsm {
			t.dec.Conceal(&pcm)
		} else {
			t.fade(&pcm)
		}
		t.fill(pcm[:n], out)
		gap -= n
	}
}

// fade is what conceals a loss of PCM: the last 20 ms, ever more quiet.
func (t *transcoder) fade(pcm *[codec.Samples]int16) {
	t.lost++
	for i, v := range t.last {
		pcm[i] = v >> min(t.lost, 15)
	}
}

// fill takes samples and gives away each 20 ms of them.
func (t *transcoder) fill(pcm []int16, out speaker) {
	for len(pcm) > 0 {
		n := copy(t.pcm[t.n:], pcm)
		pcm = pcm[n:]
		t.n += n
		t.ts += uint32(n)
		if t.n == codec.Samples {
			t.n = 0
			out.frame(t.ts-codec.Samples, t.encode())
		}
	}
}

func (t *transcoder) encode() []byte {
	switch t.to {
	case gsm:
		return t.enc.Encode(t.out[:0], &t.pcm)
	case alaw:
		return codec.EncodeA(t.out[:0], t.pcm[:])
	}
	return codec.EncodeMu(t.out[:0], t.pcm[:])
}
