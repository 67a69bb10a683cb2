package media

import (
	"math"
	"net/netip"
	"slices"
	"testing"
	"time"

	"campanile.network/sip/codec"
)

// bench is a session without sockets: datagrams are handed to it, what it sends
// is caught, and its clock is set by hand.
type bench struct {
	t    *testing.T
	s    *Session
	at   time.Time
	sent []datagram
}

type datagram struct {
	leg     int
	control bool
	to      netip.AddrPort
	b       []byte
}

var (
	phone = netip.MustParseAddrPort("203.0.113.7:4000")
	cell  = netip.MustParseAddrPort("192.0.2.5:16500")
)

func newBench(t *testing.T) *bench {
	b := &bench{t: t, at: time.Unix(1e9, 0)}
	l := &loop{o: Options{Silence: 30 * time.Second, Rate: 400}, now: func() time.Time { return b.at }, sessions: map[*Session]struct{}{}}
	b.s = &Session{loop: l, events: make(chan Event, 32)}
	l.sessions[b.s] = struct{}{}
	for i := range b.s.legs {
		b.s.legs[i].s, b.s.legs[i].i, b.s.legs[i].out = b.s, i, newOutflow()
	}
	l.write = func(s *socket, octets []byte, to netip.AddrPort) bool {
		for i := range b.s.legs {
			if leg := &b.s.legs[i]; s == &leg.rtp || s == &leg.rtcp {
				b.sent = append(b.sent, datagram{i, s == &leg.rtcp, to, slices.Clone(octets)})
			}
		}
		return true
	}
	if err := l.poll.open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.poll.close)
	return b
}

// call sets both legs: leg 0 is the phone, leg 1 the cell.
func (b *bench) call(first, second []Format) *bench {
	b.t.Helper()
	b.peer(0, Peer{Addr: phone, Signalling: phone.Addr(), Receives: first})
	b.peer(1, Peer{Addr: cell, Signalling: cell.Addr(), Receives: second})
	return b
}

func (b *bench) peer(leg int, p Peer) {
	b.t.Helper()
	if err := b.s.Leg(leg).SetPeer(p); err != nil {
		b.t.Fatal(err)
	}
}

// give hands a leg a datagram on its RTP port.
func (b *bench) give(leg int, from netip.AddrPort, octets []byte) {
	b.s.loop.mu.Lock()
	defer b.s.loop.mu.Unlock()
	b.s.Leg(leg).datagram(slices.Clone(octets), false, from, b.at)
}

// wait lets time pass, with ticks as the loop makes them.
func (b *bench) wait(d time.Duration) {
	for end := b.at.Add(d); b.at.Before(end); {
		b.at = b.at.Add(often)
		b.s.loop.mu.Lock()
		b.s.loop.tick(b.at, b.at.UnixMilli()%100 == 0)
		b.s.loop.mu.Unlock()
	}
}

// taken gives what a leg's peer has been sent, and forgets all that was.
func (b *bench) taken(leg int) (out []packet) {
	for _, d := range b.sent {
		var p packet
		if d.leg == leg && !d.control {
			if !p.parse(d.b, false) {
				b.t.Fatalf("sent % x", d.b)
			}
			out = append(out, p)
		}
	}
	b.sent = nil
	return out
}

func (b *bench) events() (out []Event) {
	for {
		select {
		case e := <-b.s.events:
			out = append(out, e)
		default:
			return out
		}
	}
}

func rtp(kind uint8, seq uint16, ts, ssrc uint32, payload []byte) []byte {
	b := make([]byte, headerSize, headerSize+len(payload))
	b[0] = 0x80
	stamp(b, kind, false, seq, ts, ssrc)
	return append(b, payload...)
}

// tone is a source of speech: 20 ms of a tone at a time, in any codec.
type tone struct {
	hz  float64
	n   int
	enc codec.Encoder
}

func (s *tone) frame(l law, samples int) []byte {
	pcm := make([]int16, samples)
	for i := range pcm {
		pcm[i] = int16(8000 * math.Sin(2*math.Pi*s.hz*float64(s.n)/codec.SampleRate))
		s.n++
	}
	switch l {
	case gsm:
		var out []byte
		for ; len(pcm) > 0; pcm = pcm[codec.Samples:] {
			out = s.enc.Encode(out, (*[codec.Samples]int16)(pcm))
		}
		return out
	case alaw:
		return codec.EncodeA(nil, pcm)
	}
	return codec.EncodeMu(nil, pcm)
}

// listen makes samples of packets, and fails when sequence numbers or timestamps
// of the stream have a hole.
func listen(t *testing.T, l law, in []packet) (pcm []int16) {
	t.Helper()
	var dec codec.Decoder
	for i, p := range in {
		n := len(p.payload)
		switch l {
		case gsm:
			n = n / codec.FrameSize * codec.Samples
			for b := p.payload; len(b) > 0; b = b[codec.FrameSize:] {
				var frame [codec.Samples]int16
				if err := dec.Decode(&frame, b[:codec.FrameSize]); err != nil {
					t.Fatalf("packet %d: %v", i, err)
				}
				pcm = append(pcm, frame[:]...)
			}
		case alaw:
			pcm = codec.DecodeA(pcm, p.payload)
		default:
			pcm = codec.DecodeMu(pcm, p.payload)
		}
		if i+1 < len(in) {
			if next := in[i+1]; next.seq != p.seq+1 || next.ts != p.ts+uint32(n) || next.ssrc != p.ssrc {
				t.Fatalf("packet %d: %d %d %08x, then %d %d %08x", i, p.seq, p.ts, p.ssrc, next.seq, next.ts, next.ssrc)
			}
		}
	}
	return pcm
}

// purity is the part of all energy that is at a frequency (Goertzel).
func purity(pcm []int16, hz float64) float64 {
	var s1, s2, energy float64
	k := 2 * math.Cos(2*math.Pi*hz/codec.SampleRate)
	for _, v := range pcm {
		s1, s2 = float64(v)+k*s1-s2, s1
		energy += float64(v) * float64(v)
	}
	if energy == 0 {
		return 0
	}
	return (s1*s1 + s2*s2 - k*s1*s2) * 2 / energy / float64(len(pcm))
}

// A tone of one leg is heard at the other, whatever each speaks and however long
// its packets are; nothing of the stream is missing.
func TestToneThroughEachPath(t *testing.T) {
	all := map[law]Format{ulaw: PCMU, alaw: PCMA, gsm: GSM}
	for from, f := range all {
		for to, g := range all {
			for _, samples := range []int{160, 320, 240, 80} {
				if from == gsm && samples%160 != 0 {
					continue
				}
				b := newBench(t).call([]Format{f}, []Format{g})
				src := &tone{hz: 1000}
				for i := range 100 {
					b.give(0, phone, rtp(f.Number, uint16(65500+i), uint32(i*samples)-3000, 77, src.frame(from, samples)))
					b.at = b.at.Add(time.Duration(samples) * 125 * time.Microsecond)
				}
				got := b.taken(1)
				pcm := listen(t, to, got)
				if want := 100 * samples; len(pcm) < want-160 || len(pcm) > want {
					t.Errorf("%s to %s, %d samples each: %d of %d samples", f.Name, g.Name, samples, len(pcm), want)
				}
				if p := purity(pcm[400:], 1000); p < .9 {
					t.Errorf("%s to %s, %d samples each: %.2f of it is the tone", f.Name, g.Name, samples, p)
				}
				if p := purity(pcm[400:], 700); p > .05 {
					t.Errorf("%s to %s: the measure finds any tone: %.2f", f.Name, g.Name, p)
				}
			}
		}
	}
}

// What the relay does not speak goes through as it is, under the other's number.
func TestUnknownFormatsPass(t *testing.T) {
	amr := func(n uint8) Format { return Format{Number: n, Name: "AMR", Rate: 8000, Params: "octet-align=1"} }
	b := newBench(t).call([]Format{amr(97), PCMU}, []Format{amr(112)})
	b.give(0, phone, rtp(97, 5, 100, 1, []byte("speech")))
	b.give(0, phone, rtp(0, 6, 260, 1, make([]byte, 160))) // PCMU cannot become AMR
	b.give(0, phone, rtp(50, 7, 420, 1, []byte("never agreed")))
	got := b.taken(1)
	if len(got) != 1 || got[0].kind != 112 || string(got[0].payload) != "speech" {
		t.Fatalf("%+v", got)
	}
	if st := b.s.Leg(0).Stats(); st.Dropped[Unwanted] != 1 || st.Dropped[Unformatted] != 1 {
		t.Errorf("%+v", st.Dropped)
	}
}

// Handover: another source with numbers of its own takes over, and the far end
// hears one stream that goes on.
func TestHandoverIsHeardAsOneStream(t *testing.T) {
	for _, far := range []Format{GSM, PCMU} {
		b := newBench(t)
		b.call([]Format{far}, []Format{GSM})
		src := &tone{hz: 600}
		for i := range 50 {
			b.give(1, cell, rtp(3, uint16(i), uint32(i)*160, 0xaaaa, src.frame(gsm, 160)))
			b.at = b.at.Add(20 * time.Millisecond)
		}
		next := netip.MustParseAddrPort("192.0.2.99:20000")
		b.peer(1, Peer{Addr: next, Signalling: next.Addr(), Receives: []Format{GSM}})
		src.enc = codec.Encoder{}
		for i := range 50 {
			b.give(1, next, rtp(3, uint16(40000+i), 0xfffffff0+uint32(i)*160, 0xbbbb, src.frame(gsm, 160)))
			b.at = b.at.Add(20 * time.Millisecond)
		}
		b.give(1, cell, rtp(3, 50, 50*160, 0xaaaa, src.frame(gsm, 160))) // the old one still talks
		got := b.taken(0)
		if len(got) != 100 {
			t.Fatalf("%s: %d packets", far.Name, len(got))
		}
		for i := 1; i < len(got); i++ {
			if got[i].seq != got[i-1].seq+1 || got[i].ts != got[i-1].ts+160 || got[i].ssrc != got[0].ssrc || got[i].marker != (i == 50) && far == GSM {
				t.Fatalf("%s: packet %d: %d %d marker %t after %d %d", far.Name, i, got[i].seq, got[i].ts, got[i].marker, got[i-1].seq, got[i-1].ts)
			}
		}
		if n := b.s.Leg(1).Stats().Dropped[Stranger]; n != 1 {
			t.Errorf("%d strangers", n)
		}
	}
}

// Packets in disorder are put in order before they become another codec; what is
// lost is made up for, and the stream has no hole.
func TestLossAndReorderWhenTranscoding(t *testing.T) {
	b := newBench(t).call([]Format{PCMA}, []Format{GSM})
	src := &tone{hz: 500}
	var all [][]byte
	for i := range 200 {
		all = append(all, rtp(8, uint16(i), uint32(i)*160, 1, src.frame(alaw, 160)))
	}
	for i := 0; i < 198; i += 3 { // each second before the first; every tenth is lost
		for _, k := range []int{i + 1, i, i + 2} {
			if k%10 != 9 {
				b.give(0, phone, all[k])
			}
		}
		b.at = b.at.Add(60 * time.Millisecond)
	}
	b.give(0, phone, all[150]) // too late
	pcm := listen(t, gsm, b.taken(1))
	if len(pcm) < 192*160 || purity(pcm[1600:], 500) < .7 {
		t.Errorf("%d samples, %.2f of it is the tone", len(pcm), purity(pcm[1600:], 500))
	}
	st := b.s.Leg(0).Stats()
	if st.OutOfOrder < 50 || st.Lost < 15 || st.Lost > 20 || st.Dropped[Late] != 2 { // and the very first, which came second
		t.Errorf("%+v", st)
	}
}

// A pause longer than what is made up for is a pause on the other side, too; a
// clock that leaps back is a new beginning.
func TestGapsWhenTranscoding(t *testing.T) {
	b := newBench(t).call([]Format{PCMA}, []Format{PCMU})
	frame := make([]byte, 160)
	b.give(0, phone, rtp(8, 1, 1000, 1, frame))
	b.at = b.at.Add(2 * time.Second)
	b.give(0, phone, rtp(8, 2, 17000, 1, frame))
	b.at = b.at.Add(20 * time.Millisecond)
	b.give(0, phone, rtp(8, 3, 500, 1, frame))
	got := b.taken(1)
	if len(got) != 3 || got[1].ts-got[0].ts != 16000 || got[2].ts-got[1].ts != 160 || got[2].seq != got[0].seq+2 {
		t.Errorf("%+v", got)
	}
}

func TestHoldAndSilence(t *testing.T) {
	b := newBench(t).call([]Format{PCMU}, []Format{PCMU})
	frame := rtp(0, 1, 1, 1, make([]byte, 160))
	b.give(0, phone, frame)
	if e := b.events(); len(e) != 1 || e[0] != (Event{Leg: 0, Kind: Started}) {
		t.Fatalf("%+v", e)
	}
	b.peer(1, Peer{Addr: cell, Receives: []Format{PCMU}, Direction: SendOnly})
	b.taken(1)
	b.give(0, phone, frame)
	if n := len(b.taken(1)); n != 0 {
		t.Errorf("who holds is sent %d packets", n)
	}
	b.wait(29 * time.Second)
	if e := b.events(); len(e) != 0 {
		t.Errorf("after 29 s: %+v", e)
	}
	b.wait(2 * time.Second)
	if e := b.events(); len(e) != 2 || e[0].Kind != Silent || e[1].Kind != Silent {
		t.Errorf("after 31 s: %+v", e)
	}
	b.give(0, phone, frame)
	if e := b.events(); len(e) != 1 || e[0] != (Event{Leg: 0, Kind: Resumed}) {
		t.Errorf("%+v", e)
	}
	b.peer(0, Peer{Addr: phone, Receives: []Format{PCMU}, Direction: RecvOnly})
	b.peer(1, Peer{Addr: cell, Receives: []Format{PCMU}, Direction: Inactive})
	b.wait(time.Minute)
	if e := b.events(); len(e) != 0 {
		t.Errorf("who is not to send is silent: %+v", e)
	}
}

// States that find no room in the queue are told later.
func TestStatesWaitForRoom(t *testing.T) {
	b := newBench(t).call([]Format{PCMU}, []Format{PCMU})
	for range cap(b.s.events) {
		b.s.events <- Event{}
	}
	b.wait(31 * time.Second)
	b.events()
	b.wait(200 * time.Millisecond)
	if e := b.events(); len(e) != 2 || e[0].Kind != Silent {
		t.Errorf("%+v", e)
	}
}
