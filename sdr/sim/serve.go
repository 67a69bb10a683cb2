package sim

import (
	"context"
	"errors"
	"sync"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/internal/logs"
	"campanile.network/internal/sctp"
)

// dialer makes an association to the MME.
type dialer func(context.Context) (sctp.Association, error)

// errNoSetup ends an association on which S1 Setup gets no answer.
var errNoSetup = errors.New("sim: no answer to S1 SETUP REQUEST")

// Serve keeps an association to the MME with S1 Setup, and relays for the
// phones, until ctx ends; then it shuts the association down. dial makes an
// association.
func (e *ENB) Serve(ctx context.Context, dial func(context.Context) (sctp.Association, error)) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	if e.user != nil {
		defer e.user.close()
		wg.Go(e.user.serve)
	}
	if e.o.Inactivity > 0 {
		wg.Go(func() { e.watchInactivity(ctx) })
	}
	for ctx.Err() == nil {
		held := false
		a, err := dial(ctx)
		if err == nil {
			held, err = e.association(ctx, dial, a)
		}
		if ctx.Err() != nil {
			break
		}
		e.log.Warn("MME is away", logs.Error, err)
		if !held {
			pause(ctx, e.o.Redial)
		}
	}
	return nil
}

// association is S1 Setup and what follows, until the association ends; held
// says that S1 Setup was done.
func (e *ENB) association(ctx context.Context, dial dialer, a sctp.Association) (held bool, err error) {
	e.mu.Lock()
	e.assoc = a
	e.mu.Unlock()
	first, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	late := time.AfterFunc(e.o.SetupTimeout, func() {
		if !e.isSetup() {
			stop(errNoSetup)
		}
	})
	defer late.Stop()
	if err = e.send(streamCommon, e.setupRequest()); err == nil {
		err = e.run(first, a)
	}
	held = e.isSetup()
	for e.o.SRSENB && held && aborted(err) && ctx.Err() == nil {
		err = e.goOn(ctx, dial)
	}
	e.lost()
	return held, err
}

func (e *ENB) isSetup() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.setup
}

// aborted says that the peer sent an ABORT.
func aborted(err error) bool {
	var a *sctp.AbortError
	return errors.As(err, &a) && !a.Local
}

// goOn is what a one-to-many socket without association events does after an
// ABORT: the next message opens another association.
func (e *ENB) goOn(ctx context.Context, dial dialer) error {
	e.mu.Lock()
	e.blind, e.assoc = true, nil
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		e.blind = false
		e.mu.Unlock()
	}()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case m := <-e.out:
			a, err := dial(ctx)
			if err == nil {
				err = a.Send(ctx, m.stream, ppid, m.pdu)
			}
			if err != nil {
				e.stats.Undelivered.Add(1)
				continue
			}
			e.mu.Lock()
			e.blind, e.assoc = false, a
			e.mu.Unlock()
			return e.run(ctx, a)
		}
	}
}

// run writes and reads until the association or ctx ends, and leaves no
// association behind.
func (e *ENB) run(ctx context.Context, a sctp.Association) error {
	inner, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { e.write(inner, a) })
	var err error
	for err == nil {
		var m sctp.Message
		if m, err = a.Recv(ctx); err == nil {
			e.receive(m)
		}
	}
	stop()
	wg.Wait()
	if ctx.Err() == nil {
		a.Abort("association of no use")
		return err
	}
	bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	a.Shutdown(bye)
	return context.Cause(ctx)
}

// lost releases every phone: without the association no context holds.
func (e *ENB) lost() {
	e.mu.Lock()
	e.assoc = nil
	if e.setup {
		e.setup, e.up = false, make(chan struct{})
	}
	conns := e.conns
	e.conns = map[id.ENBUEID]*conn{}
	e.mu.Unlock()
	for {
		select {
		case <-e.out:
			e.stats.Undelivered.Add(1)
			continue
		default:
		}
		break
	}
	for _, c := range conns {
		c.release(errLost)
	}
}

func (e *ENB) write(ctx context.Context, a sctp.Association) {
	for {
		select {
		case m := <-e.out:
			if err := a.Send(ctx, m.stream, ppid, m.pdu); err != nil {
				e.stats.Undelivered.Add(1)
				return
			}
		case <-ctx.Done():
			return
		}
	}
}
