package gateway

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"

	"campanile.network/internal/logs"
	"campanile.network/wire/gtpc"
	"github.com/wmnsk/go-gtp/gtpv2/ie"
)

// maxPages bounds notifications on their way.
const maxPages = 256

// Kinds of reasons for which the MME is not told of packets that wait.
const (
	waitSuspended = iota
	waitQuiet     // the phone cannot be reached before a time
	waitThrottled // the MME wants fewer
	waitBusy      // too many are on their way
	waitKinds
)

// throttle is what an MME wants of notifications (TS 29.274 §5.3).
type throttle struct {
	until  time.Time
	factor uint8 // percent of those of low priority that it does not want
	delay  time.Duration
}

// lowPriority is the ARP priority level from which bearers are of low priority for
// throttling; the operator's choice (TS 23.401 §4.3.7.4.1a).
const lowPriority = 6

// page has the MME told that packets wait; one notification a bearer at a time.
// The caller holds mu.
func (g *Gateway) page(b *bearer) {
	s, u := b.s, b.s.ue
	now := time.Now()
	switch t := g.throttles[u.peer.Addr]; {
	case b.paging || s.ended || !s.reached || b.tunnel.Active() || u.s5():
		return
	case u.suspended:
		g.waits[waitSuspended]++
		g.path.DropBuffered(b.teid)
		return
	case now.Before(u.quiet): // the data path tells again while packets come
		g.waits[waitQuiet]++
		return
	case now.Before(t.until) && b.qos.ARP.Level >= lowPriority && rand.N(100) < int(t.factor):
		g.waits[waitThrottled]++
		g.path.DropBuffered(b.teid)
		return
	case t.delay > 0: // the phone may be about to come by itself (TS 23.401 §5.3.4.2)
		b.paging = true
		g.at(now.Add(t.delay), drainItem{ddn: b})
		return
	}
	g.tellWaiting(b)
}

// tellWaiting has a notification sent.
func (g *Gateway) tellWaiting(b *bearer) {
	select {
	case g.pages <- b:
		b.paging = true
	default:
		b.paging = false
		g.waits[waitBusy]++
	}
}

// sleeps notes that a phone cannot be reached for a while: nobody is told of its packets,
// which wait until it comes, at most so long.
func (g *Gateway) sleeps(u *ue, w gtpc.Waiting) {
	g.wake(u)
	u.quiet, u.keeps = time.Now().Add(w.Buffer), w.Packets
	g.keep(u)
	g.at(u.quiet, drainItem{u: u})
}

// wake notes that a phone can be reached.
func (g *Gateway) wake(u *ue) {
	if u.quiet.IsZero() {
		return
	}
	g.draining = slices.DeleteFunc(g.draining, func(d drainItem) bool { return d.u == u })
	few := u.keeps > 0
	u.quiet, u.keeps = time.Time{}, 0
	if few {
		g.keep(u)
	}
}

// keep has the data path keep as many packets as are to wait.
func (g *Gateway) keep(u *ue) {
	for _, s := range u.sessions {
		for _, b := range s.bearers {
			if err := g.repolicy(b); err != nil {
				g.log.Error("gateway: what waits for a phone is not bounded as its MME suggests", logs.IMSI, u.imsi, logs.TEID, b.teid, logs.Error, err)
			}
		}
	}
}

// overslept throws away what waits for a phone that has not come in time (TS 23.401
// §5.3.4.3).
func (g *Gateway) overslept(u *ue) {
	g.wake(u)
	for _, s := range u.sessions {
		for _, b := range s.bearers {
			if !b.tunnel.Active() {
				g.path.DropBuffered(b.teid)
			}
		}
	}
}

// pager sends notifications until ctx ends.
func (g *Gateway) pager(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	slots := make(chan struct{}, maxPages)
	start := func(f func()) {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			f()
		})
	}
	for {
		select {
		case <-ctx.Done():
			return
		case b := <-g.pages:
			start(func() { g.notify(ctx, b) })
		case s := <-g.outs:
			start(func() { g.tellOut(ctx, s) })
		}
	}
}

// notify sends a Downlink Data Notification and hears its outcome (TS 29.274
// §7.2.11). Where the phone cannot be reached, what waits for it is thrown
// away, unless it is to be kept until it can be.
func (g *Gateway) notify(ctx context.Context, b *bearer) {
	s := b.s
	g.mu.Lock()
	if b.tunnel.Active() || s.ended { // the phone came by itself
		b.paging = false
		g.mu.Unlock()
		return
	}
	to := netip.AddrPortFrom(s.ue.peer.Addr, gtpc.Port)
	m := gtpc.New(gtpc.DownlinkDataNotification, s.ue.peer.TEID, gtpc.EBI(b.ebi), b.qos.ARP.IE())
	if b.errored {
		m.IEs = append([]*ie.IE{ie.NewCause(uint8(gtpc.CauseErrorIndication), 0, 0, 0, nil)}, m.IEs...)
	}
	g.mu.Unlock()
	res, err := g.ep.Request(ctx, to, m)
	var w gtpc.Waiting
	if err == nil {
		w, err = gtpc.ParseWaiting(res.IEs), res.Check()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	defer g.flush(nil)
	b.paging = false
	g.heed(to.Addr(), s.ue, w)
	if err == nil || ctx.Err() != nil || s.ended {
		return
	}
	ce, refused := errors.AsType[*gtpc.CauseError](err)
	if refused && w.Buffer > 0 && (ce.Cause == gtpc.NotReachablePSM || ce.Cause == gtpc.UnableToPageUE) {
		g.log.Info("gateway: packets wait for a phone that sleeps", logs.IMSI, s.ue.imsi, "for", w.Buffer)
		return
	}
	g.log.Info("gateway: phone cannot be paged", logs.IMSI, s.ue.imsi, logs.Error, err)
	g.path.DropBuffered(b.teid)
	if refused && ce.Cause == gtpc.ContextNotFound {
		g.tellPGW(s)
		g.end(s)
	}
}

// maxThrottles bounds the MMEs that have said something of notifications.
const maxThrottles = 1024

// heed keeps what an MME wants of its next notifications.
func (g *Gateway) heed(mme netip.Addr, u *ue, w gtpc.Waiting) {
	now := time.Now()
	if w.Buffer > 0 && len(u.sessions) > 0 && !u.reachable() {
		g.sleeps(u, w)
	}
	t := g.throttles[mme]
	t.delay = w.Delay
	if w.Throttle > 0 {
		t.until, t.factor = now.Add(w.Throttle), w.Factor
	}
	g.throttle(mme, t)
}

// throttle notes it, or that there is nothing to note.
func (g *Gateway) throttle(mme netip.Addr, t throttle) {
	if t == (throttle{}) {
		delete(g.throttles, mme)
		return
	}
	if _, known := g.throttles[mme]; known || len(g.throttles) < maxThrottles {
		g.throttles[mme] = t
	}
}

// wait waits, or gives false when ctx ends.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// tellOut sends a Delete Bearer Request for a session whose byte cap is reached
// (TS 29.274 §7.2.9.2). Where it is lost, the phone's next packet is answered
// with an error indication.
func (g *Gateway) tellOut(ctx context.Context, s *session) {
	g.mu.Lock()
	to := netip.AddrPortFrom(s.ue.peer.Addr, gtpc.Port)
	m := gtpc.New(gtpc.DeleteBearerRequest, s.ue.peer.TEID, gtpc.EBI(s.ebi))
	g.mu.Unlock()
	res, err := g.ep.Request(ctx, to, m)
	if err == nil {
		err = res.Check()
	}
	if err != nil && ctx.Err() == nil {
		g.log.Warn("gateway: peer not told that a session has ended", logs.Peer, to, logs.IMSI, s.ue.imsi, logs.Error, err)
	}
}

// tellEnded has the MME or SGW told that a session has ended by the network's doing.
func (g *Gateway) tellEnded(s *session) {
	select {
	case g.outs <- s:
	default: // it learns it when the phone comes back
	}
}
