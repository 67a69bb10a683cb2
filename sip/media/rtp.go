package media

import (
	"encoding/binary"
	"time"
)

// headerSize is the octets of an RTP header without CSRCs and extension.
const headerSize = 12

// packet is one RTP packet (RFC 3550 §5.1) as it lies in a buffer.
type packet struct {
	b       []byte // all of it
	payload []byte // without padding
	kind    uint8
	marker  bool
	seq     uint16
	ts      uint32
	ssrc    uint32
}

// parse says whether b is RTP of version 2 and whole. What is encrypted may be
// parsed as far as its header; its padding is not to be believed.
func (p *packet) parse(b []byte, encrypted bool) bool {
	if len(b) < headerSize || b[0]>>6 != 2 {
		return false
	}
	p.b = b
	p.marker, p.kind = b[1]&0x80 != 0, b[1]&0x7f
	p.seq = binary.BigEndian.Uint16(b[2:])
	p.ts = binary.BigEndian.Uint32(b[4:])
	p.ssrc = binary.BigEndian.Uint32(b[8:])
	at := headerSize + 4*int(b[0]&0xf)
	if b[0]&0x10 != 0 {
		if len(b) < at+4 {
			return false
		}
		at += 4 + 4*int(binary.BigEndian.Uint16(b[at+2:]))
	}
	end := len(b)
	if b[0]&0x20 != 0 && !encrypted {
		n := int(b[end-1])
		if n == 0 {
			return false
		}
		end -= n
	}
	if at > end {
		return false
	}
	p.payload = b[at:end]
	return true
}

// stamp writes what the stream to a peer has of its own over the header of b.
func stamp(b []byte, kind uint8, marker bool, seq uint16, ts, ssrc uint32) {
	b[1] = kind
	if marker {
		b[1] |= 0x80
	}
	binary.BigEndian.PutUint16(b[2:], seq)
	binary.BigEndian.PutUint32(b[4:], ts)
	binary.BigEndian.PutUint32(b[8:], ssrc)
}

// reception is what is known of the source a peer sends now (RFC 3550 §A.1, §A.3,
// §A.8).
type reception struct {
	have       bool
	ssrc       uint32
	epoch      uint32 // counts sources
	base, last uint32 // extended sequence numbers
	received   uint32
	transit    uint32
	jitter     uint32 // 16 times, in units of the clock
	rate       int
	leap       uint32 // 1<<16 and the sequence number after one that leapt
	lostBefore int64  // of the sources before

	expectedPrior, receivedPrior uint32 // at the last report made
}

// How far a sequence number may leap before it is another source's.
const (
	maxDropout  = 3000
	maxMisorder = 100
)

// order is how a packet came.
type order uint8

const (
	ordered order = iota
	disordered
	stray // leapt, and nothing says yet that its source has
	anew  // the first of a source
)

// take counts a packet, which is of a clock of rate Hz.
func (r *reception) take(p *packet, rate int, now time.Time) order {
	ahead := int16(p.seq - uint16(r.last))
	if r.have && p.ssrc == r.ssrc && (ahead > maxDropout || ahead < -maxMisorder) && r.leap != 1<<16|uint32(p.seq) {
		r.leap = 1<<16 | uint32(p.seq+1)
		return stray
	}
	if !r.have || p.ssrc != r.ssrc || ahead > maxDropout || ahead < -maxMisorder {
		*r = reception{
			have: true, ssrc: p.ssrc, epoch: r.epoch + 1, base: uint32(p.seq) + 1<<16, last: uint32(p.seq) + 1<<16,
			received: 1, rate: rate, transit: clock(now, rate) - p.ts, lostBefore: r.lost(),
		}
		return anew
	}
	r.received++
	r.vary(p, rate, now)
	if ahead <= 0 {
		return disordered
	}
	r.last += uint32(ahead)
	return ordered
}

// vary keeps the jitter.
func (r *reception) vary(p *packet, rate int, now time.Time) {
	transit := clock(now, rate) - p.ts
	d := int32(transit - r.transit)
	r.transit = transit
	if rate != r.rate {
		r.rate = rate
	} else if d = max(d, -d); int(d) < 10*rate { // a new talkspurt with a leap of its clock is no jitter
		r.jitter += uint32(d) - (r.jitter+8)>>4
	}
}

// lost is what has not come, of all sources; what came twice makes it less.
func (r *reception) lost() int64 {
	if !r.have {
		return r.lostBefore
	}
	return r.lostBefore + int64(r.last-r.base) + 1 - int64(r.received)
}

func (r *reception) variation() time.Duration {
	if r.rate == 0 {
		return 0
	}
	return time.Duration(r.jitter>>4) * time.Second / time.Duration(r.rate)
}

// clock is a moment in units of 1/rate s, from anywhere.
func clock(t time.Time, rate int) uint32 {
	return uint32(t.Unix()*int64(rate) + int64(t.Nanosecond())*int64(rate)/1e9)
}
