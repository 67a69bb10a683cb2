package sctp

import (
	"context"
	"net/netip"
	"slices"
	"sync"
)

// PipeOptions shape a [Pipe]. The zero value is the usual choice.
type PipeOptions struct {
	A, B       netip.AddrPort // addresses the ends report
	Streams    uint16         // each way, 0 means 16
	Buffer     int            // bytes each way that a Send may leave unread, 0 means 256 KiB
	MaxMessage int            // 0 means 128 KiB
}

// Pipe returns the two ends of an association inside this process, with the semantics of a real one and no packets: for tests, benchmarks and
// roles that live in one process. Every message is copied once. Shutdown completes when the other end has read everything or closes too.
func Pipe(o PipeOptions) (a, b Association) {
	def(&o.Streams, 16)
	def(&o.Buffer, 256<<10)
	def(&o.MaxMessage, 128<<10)
	p := &pipe{o: o, done: make(chan struct{})}
	x, y := &pipeEnd{p: p, local: o.A, remote: o.B}, &pipeEnd{p: p, local: o.B, remote: o.A}
	x.peer, y.peer = y, x
	for _, e := range [...]*pipeEnd{x, y} {
		e.arrived, e.room = make(chan struct{}, 1), make(chan struct{}, 1)
	}
	return x, y
}

type pipe struct {
	o    PipeOptions
	mu   sync.Mutex
	done chan struct{}
	over bool
}

// pipeEnd is one end; in holds what the other end sent.
type pipeEnd struct {
	p             *pipe
	peer          *pipeEnd
	local, remote netip.AddrPort
	in            ring[Message]
	bytes         int
	arrived, room chan struct{} // tokens for one Recv, one Send of this end
	waiters       int           // Sends of this end that wait
	closing       bool          // this end called Shutdown
	err           error
}

func (e *pipeEnd) Streams() (out, in uint16)  { return e.p.o.Streams, e.p.o.Streams }
func (e *pipeEnd) LocalAddr() netip.AddrPort  { return e.local }
func (e *pipeEnd) RemoteAddr() netip.AddrPort { return e.remote }
func (e *pipeEnd) Done() <-chan struct{}      { return e.p.done }

func (e *pipeEnd) Err() error {
	e.p.mu.Lock()
	defer e.p.mu.Unlock()
	return e.err
}

// try queues the message at the peer if there is room.
func (e *pipeEnd) try(stream uint16, ppid uint32, data []byte) (bool, error) {
	e.p.mu.Lock()
	defer e.p.mu.Unlock()
	d := e.peer
	switch {
	case e.p.over:
		return false, e.err
	case e.closing:
		return false, ErrClosed
	case d.closing:
		return false, ErrShutdown
	case stream >= e.p.o.Streams:
		return false, ErrStream
	}
	if d.bytes > 0 && d.bytes+len(data) > e.p.o.Buffer {
		e.waiters++
		return false, nil
	}
	d.in.push(Message{stream, ppid, slices.Clone(data)})
	d.bytes += len(data)
	wake(d.arrived)
	if e.waiters > 0 && d.bytes < e.p.o.Buffer {
		wake(e.room)
	}
	return true, nil
}

func (e *pipeEnd) Send(ctx context.Context, stream uint16, ppid uint32, data []byte) error {
	switch {
	case len(data) == 0:
		return ErrEmpty
	case len(data) > e.p.o.MaxMessage:
		return ErrTooLong
	}
	for {
		if ok, err := e.try(stream, ppid, data); ok || err != nil {
			return err
		}
		var err error
		select {
		case <-e.room:
		case <-e.p.done:
		case <-ctx.Done():
			err = ctx.Err()
		}
		e.p.mu.Lock()
		if e.waiters--; err != nil && e.waiters > 0 {
			wake(e.room)
		}
		e.p.mu.Unlock()
		if err != nil {
			return err
		}
	}
}

// take returns the next message, or the error if there will be none, or neither.
func (e *pipeEnd) take() (m Message, ok bool, err error) {
	e.p.mu.Lock()
	defer e.p.mu.Unlock()
	if e.in.n == 0 {
		if !e.p.over && e.peer.closing {
			err = ErrShutdown
		} else {
			err = e.err
		}
		if err != nil {
			wake(e.arrived)
		}
		return m, false, err
	}
	m = e.in.pop()
	e.bytes -= len(m.Data)
	if e.peer.waiters > 0 {
		wake(e.peer.room)
	}
	if e.in.n > 0 {
		wake(e.arrived)
	}
	e.settle()
	return m, true, nil
}

func (e *pipeEnd) Recv(ctx context.Context) (Message, error) {
	for {
		m, ok, err := e.take()
		if ok || err != nil {
			return m, err
		}
		select {
		case <-e.arrived:
		case <-e.p.done:
		case <-ctx.Done():
			return Message{}, ctx.Err()
		}
	}
}

// settle ends the pipe when a closing end has nothing undelivered. The mutex is held.
func (e *pipeEnd) settle() {
	for _, x := range [...]*pipeEnd{e, e.peer} {
		if !e.p.over && x.closing && x.peer.in.n == 0 {
			x.end(ErrClosed, ErrShutdown)
		}
	}
}

// end closes the pipe with a reason for this end and one for the other. The mutex is held.
func (e *pipeEnd) end(mine, theirs error) {
	if e.p.over {
		return
	}
	e.p.over, e.err, e.peer.err = true, mine, theirs
	close(e.p.done)
}

func (e *pipeEnd) Shutdown(ctx context.Context) error {
	e.p.mu.Lock()
	if !e.p.over {
		e.closing = true
		wake(e.peer.arrived)
		wake(e.peer.room)
		wake(e.room)
		e.settle()
	}
	e.p.mu.Unlock()
	select {
	case <-e.p.done:
	case <-ctx.Done():
		e.Abort("shutdown took too long")
		return ctx.Err()
	}
	if err := e.Err(); err != ErrClosed && err != ErrShutdown {
		return err
	}
	return nil
}

func (e *pipeEnd) Abort(reason string) {
	e.p.mu.Lock()
	defer e.p.mu.Unlock()
	e.end(&AbortError{Cause: CauseUserAbort, Reason: reason, Local: true}, &AbortError{Cause: CauseUserAbort, Reason: reason})
}
