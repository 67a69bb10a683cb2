package mme

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"

	"campanile.network/internal/sctp"
	"campanile.network/mme/s11"
	"campanile.network/wire/home"
)

// life is how long an MME lives: so many messages sent or received, and writes
// done. After the last nothing leaves it any more and its disk takes nothing.
type life struct {
	mu    sync.Mutex
	n     int
	ends  int                // after so many; 0: never
	ended chan struct{}      // closed then
	peers []sctp.Association // the other ends of its associations
}

func newLife(ends int) *life { return &life{ends: ends, ended: make(chan struct{})} }

// event is a message or a write; false if the MME is dead.
func (x *life) event() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.ends > 0 && x.n >= x.ends {
		return false
	}
	x.n++
	if x.n == x.ends {
		close(x.ended)
	}
	return true
}

// bury ends the associations of an MME that is dead.
func (x *life) bury() {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, p := range x.peers {
		p.Abort("the MME was killed")
	}
}

func (x *life) dead() bool {
	select {
	case <-x.ended:
		return true
	default:
		return false
	}
}

// mortalSide is the MME's end of an association.
type mortalSide struct {
	sctp.Association
	x *life
}

func (a mortalSide) Send(ctx context.Context, stream uint16, ppid uint32, b []byte) error {
	if !a.x.event() {
		return nil
	}
	return a.Association.Send(ctx, stream, ppid, b)
}

func (a mortalSide) Recv(ctx context.Context) (sctp.Message, error) {
	m, err := a.Association.Recv(ctx)
	if err == nil && !a.x.event() {
		<-ctx.Done()
		err = ctx.Err()
	}
	return m, err
}

func (a mortalSide) Shutdown(ctx context.Context) error {
	if a.x.dead() {
		return nil
	}
	return a.Association.Shutdown(ctx)
}

func (a mortalSide) Abort(why string) {
	if !a.x.dead() {
		a.Association.Abort(why)
	}
}

// mortal is a call of another role: a message there, and one back.
func mortal[T any](ctx context.Context, x *life, f func() (T, error)) (v T, err error) {
	if x.event() {
		if v, err = f(); x.event() {
			return v, err
		}
	}
	var none T
	<-ctx.Done()
	return none, ctx.Err()
}

type mortalHome struct {
	home.Home
	x *life
}

func (h mortalHome) Challenge(ctx context.Context, r home.ChallengeRequest) (home.Challenge, error) {
	return mortal(ctx, h.x, func() (home.Challenge, error) { return h.Home.Challenge(ctx, r) })
}

func (h mortalHome) Prove(ctx context.Context, r home.ProveRequest) (home.Lease, error) {
	return mortal(ctx, h.x, func() (home.Lease, error) { return h.Home.Prove(ctx, r) })
}

// mortalGateway also does as gateways do: a session that is created beside no other
// takes the place of all the phone had; one that is not there is deleted already.
type mortalGateway struct {
	*testGateway
	x *life
}

func (g mortalGateway) Create(ctx context.Context, r s11.CreateSession) (*s11.Session, error) {
	return mortal(ctx, g.x, func() (*s11.Session, error) {
		for _, s := range g.all() {
			if s.IMSI == r.IMSI && r.Beside == nil {
				g.drop(s)
			}
		}
		return g.testGateway.Create(ctx, r)
	})
}

func (g mortalGateway) Modify(ctx context.Context, s *s11.Session, m s11.ModifyBearer) error {
	_, err := mortal(ctx, g.x, func() (struct{}, error) { return struct{}{}, g.testGateway.Modify(ctx, s, m) })
	return err
}

func (g mortalGateway) Release(ctx context.Context, s *s11.Session) error {
	_, err := mortal(ctx, g.x, func() (struct{}, error) { return struct{}{}, g.testGateway.Release(ctx, s) })
	return err
}

func (g mortalGateway) Delete(ctx context.Context, s *s11.Session) error {
	_, err := mortal(ctx, g.x, func() (struct{}, error) {
		if !g.has(s) {
			return struct{}{}, nil
		}
		return struct{}{}, g.testGateway.Delete(ctx, s)
	})
	return err
}

func (g mortalGateway) PagingFailed(s *s11.Session) error {
	if !g.x.event() {
		return nil
	}
	return g.testGateway.PagingFailed(s)
}

func (g *testGateway) has(s *s11.Session) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.sessions[g.same(s)] != nil
}

func (g *testGateway) drop(s *s11.Session) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.sessions, s)
}

// mortalDisk takes a millisecond to write.
type mortalDisk struct {
	*disk
	x *life
}

func (d mortalDisk) Commit(ctx context.Context, changes []Change) error {
	time.Sleep(time.Millisecond)
	if !d.x.event() {
		return errors.New("no power")
	}
	return d.disk.Commit(ctx, changes)
}

// mortal gives an MME's options for one life.
func (w *world) mortal(o *Options, d *disk, x *life) {
	o.Home, o.Gateway, o.Store = mortalHome{w.home, x}, mortalGateway{w.gw, x}, mortalDisk{d, x}
	l := &listener{ch: make(chan sctp.Association), closed: make(chan struct{})}
	w.l = l
	w.open = func(remote netip.AddrPort) sctp.Association {
		a, b := sctp.Pipe(sctp.PipeOptions{A: l.Addr(), B: remote})
		x.mu.Lock()
		x.peers = append(x.peers, b)
		x.mu.Unlock()
		l.offer(mortalSide{a, x})
		if x.dead() {
			x.bury()
		}
		return b
	}
}
