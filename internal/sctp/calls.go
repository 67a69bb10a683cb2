package sctp

import (
	"context"
	"net/netip"
	"time"
)

func (a *assoc) LocalAddr() netip.AddrPort  { return netip.AddrPortFrom(a.e.ip, a.port) }
func (a *assoc) RemoteAddr() netip.AddrPort { return a.peer }
func (a *assoc) Done() <-chan struct{}      { return a.done }

func (a *assoc) Streams() (out, in uint16) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.out, a.in
}

func (a *assoc) Err() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.err
}

// Send implements [Association].
func (a *assoc) Send(ctx context.Context, stream uint16, ppid uint32, data []byte) error {
	switch {
	case len(data) == 0:
		return ErrEmpty
	case len(data) > a.e.o.MaxMessage:
		return ErrTooLong
	}
	for {
		a.mu.Lock()
		if err := a.sendable(stream); err != nil {
			a.mu.Unlock()
			return err
		}
		if a.takes(len(data)) {
			a.now = time.Now()
			a.enqueue(stream, ppid, data)
			a.flush()
			if a.waiters > 0 && a.takes(1) {
				wake(a.room)
			}
			a.mu.Unlock()
			return nil
		}
		a.waiters++
		a.mu.Unlock()
		var err error
		select {
		case <-a.room:
		case <-a.done:
		case <-ctx.Done():
			err = ctx.Err()
		}
		a.mu.Lock()
		a.waiters--
		if err != nil && a.waiters > 0 {
			wake(a.room) // the wake-up may have been meant for us
		}
		a.mu.Unlock()
		if err != nil {
			return err
		}
	}
}

func (a *assoc) sendable(stream uint16) error {
	switch {
	case a.state == closed:
		return a.err
	case a.state == shutdownReceived || a.state == shutdownAckSent:
		return ErrShutdown
	case a.state != established:
		return ErrClosed
	case int(stream) >= len(a.nextOut):
		return ErrStream
	}
	return nil
}

// wake leaves one token in a channel of capacity one.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Recv implements [Association].
func (a *assoc) Recv(ctx context.Context) (Message, error) {
	for {
		a.mu.Lock()
		if m, ok := a.pop(); ok {
			if a.windowOpened() {
				a.now, a.ackNow = time.Now(), true
				a.flush()
			}
			if a.ready.n > 0 {
				wake(a.arrived)
			}
			a.mu.Unlock()
			return m, nil
		}
		var err error
		switch a.state {
		case closed:
			err = a.err
		case shutdownReceived, shutdownAckSent:
			err = ErrShutdown
		}
		a.mu.Unlock()
		if err != nil {
			wake(a.arrived)
			return Message{}, err
		}
		select {
		case <-a.arrived:
		case <-a.done:
		case <-ctx.Done():
			return Message{}, ctx.Err()
		}
	}
}

// Shutdown implements [Association].
func (a *assoc) Shutdown(ctx context.Context) error {
	a.startShutdown()
	select {
	case <-a.done:
	case <-ctx.Done():
		a.Abort("shutdown took too long")
		return ctx.Err()
	}
	if err := a.Err(); err != ErrClosed && err != ErrShutdown {
		return err
	}
	return nil
}

// startShutdown begins SHUTDOWN (RFC 9260 §9.2); an association not yet established is aborted.
func (a *assoc) startShutdown() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.now = time.Now()
	switch a.state {
	case cookieWait, cookieEchoed:
		a.abort(CauseUserAbort, "closed", ErrClosed)
	case established:
		a.state = shutdownPending
		a.start(tGuard, 5*a.e.o.Timers.RTOMax)
		a.progressShutdown()
		a.flush()
	}
}

// Abort implements [Association].
func (a *assoc) Abort(reason string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.abort(CauseUserAbort, reason, nil)
}
