package media

import (
	"math/rand/v2"
	"time"
)

// outflow is the one stream a peer is sent: its SSRC never changes, and sequence
// numbers and timestamps go on whoever is its source now.
type outflow struct {
	ssrc    uint32
	seq     uint16 // the highest sent
	ts      uint32 // of it
	at      time.Time
	rate    int // of its clock
	started bool

	from          origin
	seqOff        uint16
	tsOff         uint32
	packets, size uint32 // for reports: size is payloads'
}

// origin is who gives the stream its packets.
type origin struct {
	epoch    uint32 // of the reception; 0: made here
	turn     uint32 // within it
	numbered bool   // its sequence numbers are made here, its timestamps are not
}

func newOutflow() outflow {
	// A small number first, so that no reordering at the start can be taken for
	// a rollover (RFC 3711 §3.3.1).
	return outflow{ssrc: rand.Uint32(), seq: uint16(rand.Uint32N(1 << 14)), ts: rand.Uint32(), rate: 8000}
}

// next gives a packet its place in the stream, and says whether something new
// begins with it.
func (o *outflow) next(from origin, seq uint16, ts uint32, rate int, now time.Time) (uint16, uint32, bool) {
	fresh := !o.started || from != o.from
	if fresh {
		o.from = from
		o.seqOff = o.seq + 1 - seq
		o.tsOff = o.now(now) - ts
	}
	if from.numbered {
		seq = o.seq + 1
	} else {
		seq += o.seqOff
	}
	ts += o.tsOff
	if !o.started || int16(seq-o.seq) > 0 {
		if !o.started || ts != o.ts {
			o.ts, o.at = ts, now
		}
		o.seq, o.rate, o.started = seq, rate, true
	}
	return seq, ts, fresh
}

// now is the timestamp of something that begins now: at least a frame after the
// last.
func (o *outflow) now(now time.Time) uint32 {
	if !o.started {
		return o.ts
	}
	passed := now.Sub(o.at)
	passed = min(max(passed, 20*time.Millisecond), time.Hour)
	return o.ts + uint32(passed.Microseconds()*int64(o.rate)/1e6)
}
