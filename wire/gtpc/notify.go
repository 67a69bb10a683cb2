package gtpc

import (
	"time"

	"github.com/wmnsk/go-gtp/gtpv2/ie"
)

// Waiting is what an MME says with the acknowledgement of a Downlink Data
// Notification (TS 29.274 §7.2.11.2) about the next ones.
type Waiting struct {
	Delay    time.Duration // Data Notification Delay: between a packet and its notification, for phones of this MME
	Buffer   time.Duration // DL Buffering Duration: the phone cannot be reached before, and what comes is kept; 0: not said
	Packets  int           // DL Buffering Suggested Packet Count; 0: not said
	Throttle time.Duration // how long notifications of low priority are thrown away; 0: not said
	Factor   uint8         // how many of them, percent
}

// maxBuffer is more than any DL Buffering Duration says, for "infinite".
const maxBuffer = 14 * 24 * time.Hour

// ParseWaiting reads the elements. What is malformed is as if it were not there:
// nothing of it is vital.
func ParseWaiting(ies []*ie.IE) (w Waiting) {
	one := func(typ uint8, least int) []byte {
		if e := Find(ies, typ, 0); e != nil && len(e.Payload) >= least {
			return e.Payload
		}
		return nil
	}
	if b := one(ie.DelayValue, 1); b != nil { // TS 29.274 §8.27
		w.Delay = time.Duration(b[0]) * 50 * time.Millisecond
	}
	if b := one(ie.EPCTimer, 1); b != nil { // TS 29.274 §8.87
		w.Buffer = timer(b[0])
	}
	if b := one(ie.IntegerNumber, 1); b != nil { // of any length
		for _, o := range b[:min(len(b), 3)] {
			w.Packets = w.Packets<<8 | int(o)
		}
	}
	if b := one(ie.Throttling, 2); b != nil && b[0]>>5 != 7 && b[1] <= 100 { // TS 29.274 §8.85; unit 7 deactivates
		w.Throttle, w.Factor = timer(b[0]), b[1]
	}
	return w
}

// units of EPC timers and of throttling (TS 29.274 §8.87, §8.85).
var units = [8]time.Duration{2 * time.Second, time.Minute, 10 * time.Minute, time.Hour, 10 * time.Hour, time.Minute, time.Minute, maxBuffer}

// timer reads an EPC timer: a unit in the upper 3 bits, a value in the lower 5.
func timer(b byte) time.Duration {
	if b>>5 == 7 {
		return maxBuffer
	}
	return time.Duration(b&31) * units[b>>5]
}

// epcTimer writes the shortest EPC timer that is not shorter than d.
func epcTimer(d time.Duration) byte {
	for i, u := range units[:5] {
		if n := (d + u - 1) / u; n <= 31 {
			return byte(i)<<5 | byte(n)
		}
	}
	return 7 << 5
}

// IEs are the elements that say w; none for what it does not say.
func (w Waiting) IEs() (out []*ie.IE) {
	if w.Delay > 0 {
		out = append(out, ie.New(ie.DelayValue, 0, []byte{byte(min(255, (w.Delay+49*time.Millisecond)/(50*time.Millisecond)))}))
	}
	if w.Throttle > 0 {
		out = append(out, ie.New(ie.Throttling, 0, []byte{epcTimer(w.Throttle), min(w.Factor, 100)}))
	}
	if w.Buffer > 0 {
		out = append(out, ie.New(ie.EPCTimer, 0, []byte{epcTimer(w.Buffer)}))
	}
	if w.Packets > 0 {
		out = append(out, ie.New(ie.IntegerNumber, 0, []byte{byte(min(w.Packets, 255))}))
	}
	return out
}
