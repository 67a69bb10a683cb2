package media

import (
	"encoding/binary"
	"fmt"
	"strings"
	"time"
)

// eventNames are the digits of RFC 4733 §3.2, each at its code.
const eventNames = "0123456789*#ABCD"

// incoming is the telephone event a peer is sending.
type incoming struct {
	open bool
	ts   uint32
	code byte
	long uint16 // its duration so far
	told bool
}

// digit reads one packet of a telephone event (RFC 4733 §2.3).
func (l *Leg) digit(p *packet, r *route) {
	if len(p.payload) < 4 {
		return
	}
	code, end, long := p.payload[0], p.payload[1]&0x80 != 0, binary.BigEndian.Uint16(p.payload[2:])
	e := &l.event
	if !e.open || e.ts != p.ts || e.code != code {
		if e.open && int32(p.ts-e.ts) < 0 {
			return // of one before
		}
		l.ended(r) // its end was lost
		*e = incoming{open: true, ts: p.ts, code: code}
	}
	e.long = max(e.long, long)
	if end {
		l.ended(r)
	}
}

// ended tells of the event, once.
func (l *Leg) ended(r *route) {
	e := &l.event
	if !e.open || e.told {
		return
	}
	e.told = true
	if int(e.code) >= len(eventNames) {
		return
	}
	long := time.Duration(e.long) * time.Second / time.Duration(r.rate)
	l.stats.Digits++
	if r.how == respelt {
		l.other().digits.add(e.code, long)
	}
	select {
	case l.s.events <- Event{Leg: l.i, Kind: Digit, Digit: eventNames[e.code], Duration: long}:
	default:
	}
}

// outgoing is the digits that a peer is sent.
type outgoing struct {
	waiting [32]pressed
	n       int
	started time.Time // of the first of them
	sent    int       // packets of it
	ts      uint32
	until   time.Time // the pause after the last
}

type pressed struct {
	code byte
	long time.Duration
}

const (
	step  = 20 * time.Millisecond // between packets of an event
	pause = 60 * time.Millisecond // between events
)

func (o *outgoing) busy() bool { return o.n > 0 }

func (o *outgoing) add(code byte, long time.Duration) bool {
	if o.n == len(o.waiting) {
		return false
	}
	if long == 0 {
		long = 160 * time.Millisecond
	}
	long = min(max(long, 2*step), 5*time.Second).Round(step)
	o.waiting[o.n] = pressed{code, long}
	o.n++
	return true
}

// SendDigit sends the peer a digit (0-9 * # A-D) as telephone events (RFC 4733 §2.5).
// It takes its time: up to 32 digits wait for the one before. Speech to the peer
// pauses meanwhile. Durations are bounded to 40 ms .. 5 s; 0 is 160 ms.
func (l *Leg) SendDigit(digit byte, long time.Duration) error {
	code := strings.IndexByte(eventNames, digit)
	if code < 0 {
		return fmt.Errorf("media: %q is no digit: want one of %s", digit, eventNames)
	}
	l.s.loop.mu.Lock()
	defer l.s.loop.mu.Unlock()
	if l.s.closed {
		return ErrClosed
	}
	if _, _, ok := l.takesEvents(); !ok {
		return ErrNoEvents
	}
	if !l.digits.add(byte(code), long) {
		return fmt.Errorf("media: %d digits are waiting already", len(l.digits.waiting))
	}
	l.s.loop.hurry()
	return nil
}

func (l *Leg) takesEvents() (number uint8, rate int, ok bool) {
	for _, f := range l.peer.Receives {
		if f.event() {
			return f.Number, f.Rate, true
		}
	}
	return 0, 0, false
}

// spell sends the next packet of the digit under way, when it is time: one every
// 20 ms, each with the duration so far, and the last of them three times.
func (l *Leg) spell(now time.Time) {
	d := &l.digits
	if d.n == 0 || now.Before(d.until) {
		return
	}
	number, rate, ok := l.takesEvents()
	to, open := l.receives()
	if !ok || !open {
		*d = outgoing{}
		return
	}
	if d.sent == 0 {
		d.started, d.ts = now, 0
	}
	if now.Before(d.started.Add(time.Duration(d.sent) * step)) {
		return
	}
	first := d.waiting[0]
	last := int(first.long / step)
	long := time.Duration(min(d.sent+1, last)) * step
	b := l.s.loop.made[:headerSize+4]
	b[0], b[12], b[13] = 0x80, first.code, 10 // -10 dBm0
	if d.sent+1 >= last {
		b[13] |= 0x80
	}
	binary.BigEndian.PutUint16(b[14:], uint16(min(int64(long.Milliseconds())*int64(rate)/1000, 0xffff)))
	seq, ts, _ := l.out.next(origin{numbered: true}, 0, d.ts, rate, now)
	stamp(b, number, d.sent == 0, seq, ts, l.out.ssrc)
	l.send(b, 4, to)
	if d.sent++; d.sent == last+2 {
		copy(d.waiting[:], d.waiting[1:d.n])
		d.n--
		d.sent, d.until = 0, now.Add(pause)
		l.out.from = origin{epoch: 1 << 31} // whoever comes next begins anew
	}
}
