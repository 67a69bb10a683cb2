package mme

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/internal/sctp"
	"campanile.network/mme/pool"
)

// poolWorld is a world with several MMEs of one pool, which share home and gateway.
type poolWorld struct {
	*world
	mu      sync.Mutex
	members map[id.MMECode]*member
	broken  map[[2]id.MMECode]chan struct{} // closed while a link is cut
	tamper  func(record []byte) []byte      // makes a lie of what a member says of a phone; nil: nobody lies
}

// member is an MME of a pool.
type member struct {
	w    *poolWorld
	code id.MMECode
	o    Options
	d    *disk
	x    *life
	node *pool.Node
	m    *MME
	l    *listener
	open func(netip.AddrPort) sctp.Association
	stop context.CancelFunc
	done chan error
}

// playPool runs a conversation with MMEs with the codes 0x1a, 0x1b ...
func playPool(t *testing.T, n int, change func(*Options), script func(*poolWorld)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newPoolWorld(t, n, change)
		defer func() {
			for _, x := range w.members {
				if !x.x.dead() {
					x.end()
				}
			}
			if t.Failed() {
				t.Logf("log of the MMEs:\n%s", w.log.String())
			}
		}()
		script(w)
	})
}

func newPoolWorld(t testing.TB, n int, change func(*Options)) *poolWorld {
	w := &poolWorld{world: makeWorld(t, change), members: map[id.MMECode]*member{}, broken: map[[2]id.MMECode]chan struct{}{}}
	for i := range n {
		code := id.MMECode(0x1a + i)
		w.members[code] = &member{w: w, code: code, d: newDisk()}
	}
	for _, x := range w.members {
		x.start(newLife(0))
	}
	time.Sleep(2 * time.Second) // who has started first has found nobody, and tries again
	synctest.Wait()
	return w
}

// start runs the member on what is on its disk.
func (x *member) start(alive *life) {
	x.x = alive
	var others []pool.Member
	for code := range x.w.members {
		if code != x.code {
			others = append(others, pool.Member{Code: code, Link: poolWire{x.w, x.code, code}})
		}
	}
	node := must(pool.New(pool.Options{Code: x.code, Members: others, Logger: x.w.o.Logger}))
	x.o = x.w.o
	x.w.world.mortal(&x.o, x.d, alive)
	x.l, x.open = x.w.l, x.w.open
	x.o.GUMMEI.Code, x.o.Pool = x.code, node
	m := must(New(x.o))
	x.w.mu.Lock()
	x.node, x.m = node, m
	x.w.mu.Unlock()
	var ctx context.Context
	ctx, x.stop = context.WithCancel(context.Background())
	x.done = make(chan error, 1)
	l, done := x.l, x.done
	go func() {
		var ends sync.WaitGroup
		ends.Go(func() { _ = node.Serve(ctx, m) })
		err := m.Serve(ctx, l)
		ends.Wait()
		done <- err
	}()
}

func (x *member) end() {
	x.stop()
	if err := <-x.done; err != nil {
		x.w.t.Errorf("Serve: %v", err)
	}
}

// kill ends the member as a power cut does.
func (x *member) kill() {
	x.x.mu.Lock()
	if x.x.ends == 0 {
		x.x.ends = x.x.n
		close(x.x.ended)
	}
	x.x.mu.Unlock()
	x.w.mu.Lock()
	x.node = nil
	x.w.mu.Unlock()
	for code := range x.w.members {
		if code != x.code {
			x.w.cut(x.code, code)
		}
	}
	x.d = x.d.cut()
	x.stop()
	x.l.Close()
	x.x.bury()
	x.end()
	for code, other := range x.w.members {
		if other.node != nil {
			x.w.heal(x.code, code)
		}
	}
}

// revive starts the member again.
func (x *member) revive() { x.start(newLife(0)) }

// tower is an eNB with S1 Setup done at the member.
func (x *member) tower(enbID uint32) *enbPeer {
	x.w.open = x.open
	return x.w.tower(enbID)
}

func pairOf(a, b id.MMECode) [2]id.MMECode { return [2]id.MMECode{min(a, b), max(a, b)} }

// cut cuts the link of two members.
func (w *poolWorld) cut(a, b id.MMECode) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.link(a, b)
	select {
	case <-c:
	default:
		close(c)
	}
}

func (w *poolWorld) heal(a, b id.MMECode) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.broken, pairOf(a, b))
}

func (w *poolWorld) link(a, b id.MMECode) chan struct{} {
	if w.broken[pairOf(a, b)] == nil {
		w.broken[pairOf(a, b)] = make(chan struct{})
	}
	return w.broken[pairOf(a, b)]
}

// poolWire is a link of two members.
type poolWire struct {
	w        *poolWorld
	from, to id.MMECode
}

var errCut = errors.New("the link is cut")

func (l poolWire) live(ctx context.Context) (pool.Link, context.Context, context.CancelFunc, error) {
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	broken, to := l.w.link(l.from, l.to), l.w.members[l.to].node
	select {
	case <-broken:
		return nil, nil, nil, errCut
	default:
	}
	if to == nil {
		return nil, nil, nil, errCut
	}
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-broken:
			cancel(errCut)
		case <-ctx.Done():
		}
	}()
	return to.Link(), ctx, func() { cancel(nil) }, nil
}

func (l poolWire) Follow(ctx context.Context, from pool.Position, f func(pool.Batch) error) error {
	link, ctx, cancel, err := l.live(ctx)
	if err != nil {
		return err
	}
	defer cancel()
	return link.Follow(ctx, from, func(b pool.Batch) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return f(b)
	})
}

func (l poolWire) Fetch(ctx context.Context, code id.MMECode, t id.MTMSI, nas []byte) ([]byte, error) {
	link, ctx, cancel, err := l.live(ctx)
	if err != nil {
		return nil, err
	}
	defer cancel()
	b, err := link.Fetch(ctx, code, t, nas)
	if err == nil && l.w.tamper != nil {
		b = l.w.tamper(b)
	}
	return b, err
}
