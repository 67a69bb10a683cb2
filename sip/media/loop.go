package media

import (
	"context"
	"net/netip"
	"sync"
	"time"
)

// maxDatagram is the octets of the largest datagram that is carried.
const maxDatagram = 1500

// loop carries the packets of its sessions, in one thread.
type loop struct {
	o        Options
	poll     poller
	write    func(s *socket, b []byte, to netip.AddrPort) bool // sends, or says that the kernel would not
	now      func() time.Time
	mu       sync.Mutex // guards what follows, and all of the sessions
	sessions map[*Session]struct{}
	closed   bool
	totals   Stats // and Dropped is of sessions that are closed

	// Buffers of the packet being carried: room for what SRTP adds.
	read, clear, made, sealed [maxDatagram + 64]byte
}

func newLoop(o Options) (*loop, error) {
	l := &loop{o: o, now: time.Now, sessions: map[*Session]struct{}{}, write: (*socket).send}
	return l, l.poll.open()
}

// hurry makes the loop look at its clock and its sessions; mu is held.
func (l *loop) hurry() { l.poll.wake() }

// stir is hurry for who does not hold mu.
func (l *loop) stir() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.hurry()
	}
}

func (l *loop) add(s *Session) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return ErrClosed
	}
	for i := range s.legs {
		if err := l.poll.watch(&s.legs[i]); err != nil {
			return err
		}
	}
	l.sessions[s] = struct{}{}
	if len(l.sessions) == 1 {
		l.hurry() // it waits without an end while there are none
	}
	return nil
}

func (l *loop) remove(s *Session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drop(s)
}

func (l *loop) drop(s *Session) {
	if s.closed {
		return
	}
	s.closed = true
	delete(l.sessions, s)
	for i := range s.legs {
		l.poll.forget(&s.legs[i])
		for d, n := range s.legs[i].stats.Dropped {
			l.totals.Dropped[d] += n
		}
	}
	s.free()
	close(s.events)
}

func (l *loop) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	l.closed = true
	for s := range l.sessions {
		l.drop(s)
	}
	l.poll.close()
}

const (
	often  = 20 * time.Millisecond
	seldom = 100 * time.Millisecond
)

// serve reads what comes until ctx ends.
func (l *loop) serve(ctx context.Context) error {
	var last time.Time
	wait := time.Duration(-1)
	for {
		n, err := l.poll.wait(wait)
		if err != nil || ctx.Err() != nil {
			return err
		}
		l.mu.Lock()
		now := l.now()
		for i := range n {
			l.receive(i, now)
		}
		if len(l.sessions) == 0 {
			wait = -1
		} else {
			wait = seldom
			if l.tick(now, now.Sub(last) >= seldom) {
				wait = often
			}
			if now.Sub(last) >= seldom {
				last = now
			}
		}
		l.mu.Unlock()
	}
}

// tick does what is due by the clock: of all sessions, or only of those that
// send digits. It says whether any does.
func (l *loop) tick(now time.Time, whole bool) (digits bool) {
	for s := range l.sessions {
		for i := range s.legs {
			leg := &s.legs[i]
			if whole {
				leg.tick(now, l.o.Silence)
				leg.refill(l)
			} else if leg.digits.busy() {
				leg.spell(now)
			}
			digits = digits || leg.digits.busy()
		}
	}
	return digits
}

// receive reads one datagram of the i-th port that has any, so that each is
// read in turn.
func (l *loop) receive(i int, now time.Time) {
	leg, control := l.poll.ready(i)
	if leg == nil {
		return
	}
	socket := &leg.rtp
	if control {
		socket = &leg.rtcp
	}
	b, from, ok := socket.receive(l.read[:maxDatagram+1])
	if !ok {
		return
	}
	if leg.credit--; leg.credit <= 0 && !leg.stopped {
		leg.stopped = true
		l.totals.Throttled++
		l.poll.pause(leg)
	}
	if len(b) > maxDatagram {
		leg.drop(Garbage)
		return
	}
	leg.datagram(b, control, unmap(from), now)
}

// refill lets a leg be read again after it had sent too much.
func (l *Leg) refill(loop *loop) {
	l.credit = min(l.credit+loop.o.Rate/10, loop.o.Rate)
	if l.stopped {
		l.stopped = false
		loop.poll.resume(l)
	}
}
