package sctp

import (
	"context"
	"fmt"
	"net/netip"
	"sync"

	"golang.org/x/sys/unix"
)

// kernelAssoc is one association on a socket of its own.
type kernelAssoc struct {
	e             *kernelEndpoint
	l             *kernelListener // that accepted it; nil if it was dialled
	sock          *kernelSock
	local, remote netip.AddrPort
	addrs         []netip.Addr // the peer's
	out, in       uint16

	part Message // what has come of a message whose end has not; of the reader alone

	mu           sync.Mutex
	ready        ring[Message]
	held         int // bytes in ready
	queue        kernelQueue
	waiters      int   // in Send
	writing      bool  // the writer has messages in hand, which come before those in queue
	answering    bool  // the user has taken everything that came, and sent nothing since
	sendErr      error // what a Send met at the socket
	closing      bool  // Shutdown was called
	peerShutdown bool
	stopWriter   bool
	err          error

	arrived, room, drained, work chan struct{} // one token each
	done                         chan struct{}
	written                      chan struct{} // closed when the writer has ended
	writeErr                     error         // what it, or a Send, met at the socket; after written only
}

func newKernelAssoc(e *kernelEndpoint, s *kernelSock, l *kernelListener) (*kernelAssoc, error) {
	token := func() chan struct{} { return make(chan struct{}, 1) }
	a := &kernelAssoc{e: e, l: l, sock: s, arrived: token(), room: token(), drained: token(), work: token(), done: make(chan struct{}),
		written: make(chan struct{})}
	var err error
	cerr := s.raw.Control(func(fd uintptr) {
		var own netip.AddrPort
		var peer unix.Sockaddr
		if own, err = kernelLocalAddr(int(fd)); err != nil {
			return
		}
		if peer, err = unix.Getpeername(int(fd)); err != nil {
			return
		}
		a.local, a.remote = netip.AddrPortFrom(e.local[0], own.Port()), fromSockaddr(peer)
		if a.out, a.in, err = kernelStreams(int(fd)); err != nil {
			return
		}
		kernelMoreMemory(int(fd), &e.o)
		if addrs, aerr := kernelPeerAddrs(int(fd)); aerr == nil {
			a.addrs = addrs
		}
		if len(a.addrs) > 1 {
			e.o.Logger.Info("sctp: peer is multi-homed", "peer", a.remote, "addresses", a.addrs)
		}
	})
	if cerr != nil {
		err = cerr
	}
	if err != nil {
		return nil, fmt.Errorf("sctp: association ended as it began: %w", err)
	}
	return a, nil
}

// LocalAddr implements [Association].
func (a *kernelAssoc) LocalAddr() netip.AddrPort { return a.local }

// RemoteAddr implements [Association]: the peer's primary address when the association began.
func (a *kernelAssoc) RemoteAddr() netip.AddrPort { return a.remote }

func (a *kernelAssoc) peerNow() Peer {
	p := Peer{Addrs: []netip.Addr{a.remote.Addr()}, Port: a.remote.Port()}
	for _, ip := range a.addrs {
		if ip != a.remote.Addr() {
			p.Addrs = append(p.Addrs, ip)
		}
	}
	return p
}

// Streams implements [Association].
func (a *kernelAssoc) Streams() (out, in uint16) { return a.out, a.in }

// Done implements [Association].
func (a *kernelAssoc) Done() <-chan struct{} { return a.done }

// Err implements [Association].
func (a *kernelAssoc) Err() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.err
}

// finish ends the association for a reason, of which the first counts. It reports whether it was the first.
func (a *kernelAssoc) finish(err error) bool {
	a.mu.Lock()
	first := a.err == nil
	if first {
		a.err = err
		close(a.done)
	}
	a.mu.Unlock()
	if first {
		a.e.remove(a)
	}
	return first
}

// graceful is how an association ended that was shut down, if the socket did not fail.
func (a *kernelAssoc) graceful(failed error) error {
	if failed != nil {
		return kernelEndError(failed)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closing && !a.peerShutdown {
		return ErrClosed
	}
	return ErrShutdown
}

// deliver appends a piece to its message and hands out the message when it is whole; false if the message is too long and that ended the
// association.
func (a *kernelAssoc) deliver(p kernelPiece) bool {
	if len(a.part.Data)+len(p.data) > a.e.o.MaxMessage {
		a.Abort(ErrTooLong.Error())
		return false
	}
	a.part.Stream, a.part.PPID = p.stream, p.ppid
	a.part.Data = append(a.part.Data, p.data...)
	if !p.end {
		return true
	}
	a.mu.Lock()
	a.ready.push(a.part)
	a.held += len(a.part.Data)
	a.mu.Unlock()
	a.part = Message{}
	wake(a.arrived)
	return true
}

// waitRoom waits until the user has taken enough of what was received; meanwhile the kernel closes its window. False when the association ended.
func (a *kernelAssoc) waitRoom() bool {
	for {
		a.mu.Lock()
		full := a.held >= a.e.o.ReceiveBuffer
		a.mu.Unlock()
		if !full {
			return true
		}
		select {
		case <-a.drained:
		case <-a.done:
			return false
		}
	}
}

// Recv implements [Association].
func (a *kernelAssoc) Recv(ctx context.Context) (Message, error) {
	for {
		a.mu.Lock()
		if a.ready.n > 0 {
			m := a.ready.pop()
			was := a.held >= a.e.o.ReceiveBuffer
			a.held -= len(m.Data)
			a.answering = a.ready.n == 0
			more, drained := a.ready.n > 0, was && a.held < a.e.o.ReceiveBuffer
			a.mu.Unlock()
			if more {
				wake(a.arrived)
			}
			if drained {
				wake(a.drained)
			}
			return m, nil
		}
		err := a.err
		if err == nil && a.peerShutdown {
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

// Send implements [Association].
func (a *kernelAssoc) Send(ctx context.Context, stream uint16, ppid uint32, data []byte) error {
	switch {
	case len(data) == 0:
		return ErrEmpty
	case len(data) > a.e.o.MaxMessage:
		return ErrTooLong
	case stream >= a.out:
		return ErrStream
	}
	for {
		a.mu.Lock()
		switch {
		case a.err != nil:
			defer a.mu.Unlock()
			return a.err
		case a.peerShutdown:
			a.mu.Unlock()
			return ErrShutdown
		case a.closing:
			a.mu.Unlock()
			return ErrClosed
		}
		if q := &a.queue; len(q.msgs) == 0 || len(q.data)+len(data) <= a.e.o.SendBuffer {
			q.data = append(q.data, data...)
			q.msgs = append(q.msgs, kernelQueued{len(q.data), stream, ppid})
			sent := a.answering && !a.writing && a.sendNow()
			a.answering = false
			more := a.waiters > 0 && len(q.data) < a.e.o.SendBuffer
			a.mu.Unlock()
			if !sent {
				wake(a.work)
			}
			if more {
				wake(a.room)
			}
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
		pass := err != nil && a.waiters > 0
		a.mu.Unlock()
		if pass {
			wake(a.room) // the wake-up may have been meant for us
		}
		if err != nil {
			return err
		}
	}
}

// startShutdown begins a graceful end: the writer finishes its queue and then says SHUTDOWN (RFC 9260 §9.2).
func (a *kernelAssoc) startShutdown() {
	a.mu.Lock()
	a.closing = true
	a.mu.Unlock()
	wake(a.work)
}

// Shutdown implements [Association].
func (a *kernelAssoc) Shutdown(ctx context.Context) error {
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

// Abort implements [Association]. The kernel takes no text with an ABORT of a one-to-one socket: the reason stays on this side.
func (a *kernelAssoc) Abort(reason string) {
	a.mu.Lock()
	over := a.err != nil
	if !over {
		a.sock.abortOnClose()
	}
	a.mu.Unlock()
	if !over && a.finish(&AbortError{Cause: CauseUserAbort, Reason: reason, Local: true}) {
		a.sock.stop()
	}
}
