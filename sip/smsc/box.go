package smsc

import (
	"slices"
	"time"

	"campanile.network/3gpp/sms"
)

// box is what waits for one phone, or for one number of others. One goroutine at a
// time empties it, in order (TS 23.040 §6.2: one message outstanding). Its fields
// are the centre's lock's.
type box struct {
	id     boxID
	queue  []*message // those with priority first, then by Seq
	coming int        // places taken by what is not on disk yet
	stamp  int64      // the last TP-SCTS given
	parts  uint8      // reference of the last message of several parts

	running  bool
	timer    *time.Timer
	retryAt  time.Time // no attempt before
	failures int       // attempts that failed, one after the other
	memory   bool      // the phone has said that it has none
	alerted  bool      // Ready, while an attempt was under way
	tries    [3]time.Time
}

// add puts m where its turn is.
func (b *box) add(m *message) {
	i, _ := slices.BinarySearchFunc(b.queue, m, func(a, m *message) int {
		switch {
		case a.Priority && !m.Priority:
			return -1
		case m.Priority && !a.Priority:
			return 1
		case a.Seq < m.Seq:
			return -1
		}
		return 1
	})
	b.queue = slices.Insert(b.queue, i, m)
}

func (b *box) remove(m *message) {
	if i := slices.Index(b.queue, m); i >= 0 {
		b.queue = slices.Delete(b.queue, i, i+1)
	}
}

// next gives the message whose turn it is, whether it is only to be told of as
// expired, or when there will be one; zero: nothing waits.
func (b *box) next(now time.Time) (m *message, expired bool, at time.Time) {
	sooner := func(t time.Time) {
		if at.IsZero() || t.Before(at) {
			at = t
		}
	}
	var suspect *message
	for _, q := range b.queue {
		expires, due := time.Unix(q.Expires, 0), time.Unix(q.NotBefore, 0)
		if b.retryAt.After(due) && !(q.Priority && !q.attempted) {
			due = b.retryAt
		}
		switch {
		case q.over:
		case q.beingSent: // somebody has it, and says when he is done
			return nil, false, time.Time{}
		case !expires.After(now):
			return q, true, time.Time{}
		case due.After(now):
			sooner(due)
			sooner(expires)
		case q.full >= maxFull:
			if suspect == nil {
				suspect = q
			}
		default:
			return q, false, time.Time{}
		}
	}
	if suspect != nil {
		at = time.Time{}
	}
	return suspect, false, at
}

// maxFull is for how often a phone may have no memory for a message until others go
// before it: cells that tell no causes say so of what a phone cannot read, too.
const maxFull = 3

// nextStamp gives the next time stamp of the box: no two messages to a phone have
// the same one, and it differs from the time as little as that allows (TS 23.040
// §6.2). If the last one is too far ahead, the clock was set back.
func (b *box) nextStamp(now time.Time) int64 {
	if b.stamp > now.Add(maxAhead).Unix() {
		b.stamp = 0
	}
	return max(now.Unix(), b.stamp+1)
}

// maxAhead is how far a time stamp may be ahead of the time.
const maxAhead = 2 * time.Minute

// room says why the box does not take n messages more.
func (b *box) room(now time.Time, n, limit int) error {
	switch {
	case len(b.queue)+b.coming+n > limit:
		return refuse(sms.RPCauseCongestion, sms.FailureBusy, "too many messages wait for this number")
	case b.nextStamp(now)+int64(n)-1 > now.Add(maxAhead).Unix():
		return refuse(sms.RPCauseCongestion, sms.FailureBusy, "this number gets more than a message a second")
	}
	return nil
}

// failed notes an attempt that did not come through, and says when the next is.
func (b *box) failed(now time.Time, o outcome) {
	copy(b.tries[:], b.tries[1:])
	b.tries[len(b.tries)-1] = now
	wait := absentFor[min(b.failures, len(absentFor)-1)]
	switch o.kind {
	case busy:
		wait = busyFor[min(b.failures, len(busyFor)-1)]
	case noMemory:
		wait = memoryFor
	}
	b.failures++
	b.memory = o.kind == noMemory
	b.retryAt = now.Add(wait)
	if b.alerted {
		b.alert(now)
	}
}

// alert makes the next attempt due at once, but not more than three within
// alertRate that fail.
func (b *box) alert(now time.Time) {
	b.alerted = false
	b.retryAt = now
	if oldest := b.tries[0].Add(alertRate); oldest.After(now) {
		b.retryAt = oldest
	}
}

// The schedule: how long after the first, second ... attempt that failed the next
// is made, unless the phone announces itself before.
var (
	absentFor = []time.Duration{30 * time.Second, 2 * time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 3 * time.Hour}
	busyFor   = []time.Duration{10 * time.Second, 20 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute}
)

const (
	memoryFor = time.Hour
	alertRate = time.Minute
)

// replaceable finds the message that one of the same replace short message type
// takes the place of (TS 23.040 §6.2, §9.2.3.9).
func (b *box) replaceable(m *message) *message {
	if m.Replaces == "" {
		return nil
	}
	for _, q := range b.queue {
		if q.Replaces == m.Replaces && !q.beingSent && !q.again && !q.over {
			return q
		}
	}
	return nil
}

// held finds the message of a sender that a command means: the newest with that
// reference and destination (TS 23.040 §9.2.3.18).
func (b *box) held(from boxID, mr uint8, dest sms.Address) *message {
	for _, q := range slices.Backward(b.queue) {
		if q.From == from && q.MR == mr && !q.IsReport && !q.over && q.dest() == dest {
			return q
		}
	}
	return nil
}

func (m *message) dest() sms.Address {
	a, _, err := sms.ParseCentre(m.Dest)
	if err != nil {
		return sms.Address{}
	}
	return a
}
