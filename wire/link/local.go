package link

import (
	"context"
	"io"

	"campanile.network/wire/proof"
)

// Local joins core within one process, without a wire and without TLS: the
// caller vouches for key. The link lives as long as ctx. When core ends it,
// Recv gives the core's error, or io.EOF when that is nil. done is closed when
// core's Join has returned.
func Local(ctx context.Context, core Core, key proof.TowerKey) (c TowerConn, done <-chan struct{}) {
	ctx, cancel := context.WithCancelCause(ctx)
	up, down, ended := make(chan FromTower), make(chan ToTower), make(chan struct{})
	go func() {
		defer close(ended)
		err := core.Join(key, localEnd[FromTower, ToTower]{ctx, up, down})
		if err == nil {
			err = io.EOF
		}
		cancel(err)
	}()
	return localTower{localEnd[ToTower, FromTower]{ctx, down, up}}, ended
}

type localEnd[In, Out any] struct {
	ctx context.Context
	in  <-chan In
	out chan<- Out
}

func (l localEnd[In, Out]) Context() context.Context { return l.ctx }

func (l localEnd[In, Out]) Send(m Out) error {
	if l.ctx.Err() != nil {
		return context.Cause(l.ctx)
	}
	select {
	case l.out <- m:
		return nil
	case <-l.ctx.Done():
		return context.Cause(l.ctx)
	}
}

func (l localEnd[In, Out]) Recv() (m In, err error) {
	if l.ctx.Err() != nil {
		return m, context.Cause(l.ctx)
	}
	select {
	case m, ok := <-l.in:
		if !ok {
			return m, io.EOF
		}
		return m, nil
	case <-l.ctx.Done():
		return m, context.Cause(l.ctx)
	}
}

type localTower struct {
	localEnd[ToTower, FromTower]
}

func (l localTower) CloseSend() error { close(l.out); return nil }
