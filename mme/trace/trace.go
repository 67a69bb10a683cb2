// Package trace records the signalling of single phones, for the MME: S1AP in both
// directions, NAS as the MME understood it, S11, and how procedures ended; as a
// transcript to read and a capture that Wireshark opens.
//
// It decides nothing, and hears nothing unless somebody has asked for a phone: who
// may ask, and that it is noted, is the asker's affair. A recording ends by itself
// after its time or its octets. Keys that S1AP carries are overwritten in it.
package trace

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"campanile.network/3gpp/id"
)

// Bounds of recordings.
const (
	MaxTime       = 24 * time.Hour
	MaxOctets     = 1 << 30
	DefaultOctets = 64 << 20
	MaxRecordings = 16

	maxWaiting = 4 << 20  // octets of events that the reader has not taken
	maxHeld    = 32 << 10 // octets of a connection whose phone is not known yet
)

// Reasons for which a recording ends.
var (
	ErrTime   = errors.New("the time is over")
	ErrOctets = errors.New("as many octets are recorded as were asked for")
	ErrFull   = fmt.Errorf("trace: %d recordings run already", MaxRecordings)
	ErrTraced = errors.New("trace: the phone is being traced already")
)

// Kind is what an event is about.
type Kind uint8

// Kinds of events.
const (
	S1AP      Kind = iota // a message as it was on the wire, keys overwritten
	NAS                   // a message inside, without protection
	S11                   // a datagram of GTPv2-C
	Procedure             // one has ended
	Note                  // what the MME says to it
)

// Event is a thing that happened.
type Event struct {
	At       time.Time
	Kind     Kind
	Up       bool           // from the phone's side, or to the MME
	From, To netip.AddrPort // of S1AP and S11
	Data     []byte         // of S1AP, NAS and S11
	Text     string         // of Procedure and Note; of NAS how it was protected
	Keys     string         // of NAS, if they were asked for
}

func (e *Event) size() int { return len(e.Data) + len(e.Text) + len(e.Keys) + 64 }

// Limits bound a recording. Zero Octets is DefaultOctets.
type Limits struct {
	For    time.Duration // at most MaxTime
	Octets uint64        // at most MaxOctets
	Keys   bool          // NAS keys are recorded
}

// Tracer has the recordings that run. A nil Tracer has none.
type Tracer struct {
	running atomic.Int32

	mu     sync.Mutex
	byIMSI map[id.IMSI]*Recording
	s11    s11Table
}

// New makes a Tracer without recordings.
func New() *Tracer { return &Tracer{byIMSI: map[id.IMSI]*Recording{}} }

// Active says that somebody is traced: otherwise nothing need be told.
func (t *Tracer) Active() bool { return t != nil && t.running.Load() > 0 }

// Recording is the trace of one phone. Its reader takes events by Next and ends
// with Close.
type Recording struct {
	t      *Tracer
	imsi   id.IMSI
	limits Limits

	mu      sync.Mutex
	queue   []Event
	waiting int
	total   uint64
	lost    int
	ended   error
	wake    chan struct{}
	timer   *time.Timer
}

// Start begins to record a phone, which need not be known yet.
func (t *Tracer) Start(imsi id.IMSI, l Limits) (*Recording, error) {
	if l.Octets == 0 {
		l.Octets = DefaultOctets
	}
	if l.For <= 0 || l.For > MaxTime || l.Octets > MaxOctets {
		return nil, fmt.Errorf("trace: %v and %d octets: want more than 0 and at most %v, and at most %d", l.For, l.Octets, MaxTime, uint64(MaxOctets))
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.byIMSI[imsi] != nil:
		return nil, ErrTraced
	case len(t.byIMSI) >= MaxRecordings:
		return nil, ErrFull
	}
	r := &Recording{t: t, imsi: imsi, limits: l, wake: make(chan struct{}, 1)}
	r.timer = time.AfterFunc(l.For, func() { r.end(ErrTime) })
	t.byIMSI[imsi] = r
	t.running.Add(1)
	return r, nil
}

// of gives the recording of a phone, nil if there is none.
func (t *Tracer) of(imsi id.IMSI) *Recording {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.byIMSI[imsi]
}

// Keys says whether the keys of a phone are asked for.
func (t *Tracer) Keys(imsi id.IMSI) bool {
	if !t.Active() {
		return false
	}
	r := t.of(imsi)
	return r != nil && r.limits.Keys
}

// Say records a procedure or a note.
func (t *Tracer) Say(imsi id.IMSI, e Event) {
	if t.Active() {
		t.add(imsi, e)
	}
}

func (t *Tracer) add(imsi id.IMSI, events ...Event) {
	if r := t.of(imsi); r != nil {
		r.add(events)
	}
}

func (r *Recording) add(events []Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range events {
		if e.At.IsZero() {
			e.At = time.Now()
		}
		n := e.size()
		switch {
		case r.ended != nil:
			return
		case r.total+uint64(n) > r.limits.Octets:
			r.endLocked(ErrOctets)
			return
		case r.waiting+n > maxWaiting: // the reader is slow; what it gets is told to lack something
			r.lost++
			continue
		}
		r.queue, r.waiting, r.total = append(r.queue, e), r.waiting+n, r.total+uint64(n)
	}
	r.signal()
}

func (r *Recording) signal() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *Recording) end(why error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.endLocked(why)
}

func (r *Recording) endLocked(why error) {
	if r.ended == nil {
		r.ended = why
		r.signal()
	}
}

// Next gives what has been recorded since, once there is something; in the end
// ErrTime, ErrOctets or ctx's error.
func (r *Recording) Next(ctx context.Context) ([]Event, error) {
	for {
		r.mu.Lock()
		q, lost, ended := r.queue, r.lost, r.ended
		r.queue, r.waiting, r.lost = nil, 0, 0
		r.mu.Unlock()
		if lost > 0 {
			q = append(q, Event{At: time.Now(), Kind: Note, Text: fmt.Sprintf("%d messages are missing here: they were not taken in time", lost)})
		}
		if len(q) > 0 {
			return q, nil
		}
		if ended != nil {
			return nil, ended
		}
		select {
		case <-r.wake:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Close ends a recording.
func (r *Recording) Close() {
	r.timer.Stop()
	r.end(context.Canceled)
	r.t.mu.Lock()
	defer r.t.mu.Unlock()
	if r.t.byIMSI[r.imsi] == r {
		delete(r.t.byIMSI, r.imsi)
		if r.t.running.Add(-1) == 0 {
			r.t.s11 = s11Table{}
		}
	}
}

// Line is one S1 connection as it is heard: what is said on it before its phone
// is known is held, within bounds. The zero value is ready.
type Line struct {
	mu   sync.Mutex
	imsi id.IMSI
	held []Event
	size int
}

// Hear takes an event of the connection.
func (l *Line) Hear(t *Tracer, e Event) {
	e.At = time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case !l.imsi.IsZero():
		t.add(l.imsi, e)
	case l.size+e.size() <= maxHeld:
		l.held, l.size = append(l.held, e), l.size+e.size()
	}
}

// Is says whose connection it is.
func (l *Line) Is(t *Tracer, imsi id.IMSI) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if imsi.IsZero() || l.imsi == imsi {
		return
	}
	l.imsi = imsi
	t.add(imsi, l.held...)
	l.held, l.size = nil, 0
}
