package gateway

import (
	"context"
	"errors"
	"net/netip"
	"sync"

	"campanile.network/internal/logs"
	"campanile.network/wire/gtpc"
	"github.com/wmnsk/go-gtp/gtpv2/ie"
)

// maxPages bounds notifications on their way.
const maxPages = 256

// page has the MME told that packets wait; one notification a session at a
// time. The caller holds mu.
func (g *Gateway) page(s *session) {
	if s.paging || s.ended || !s.reached || s.tunnel.Active() {
		return
	}
	select {
	case g.pages <- s:
		s.paging = true
	default: // the data path tells again while packets come
	}
}

// pager sends notifications until ctx ends.
func (g *Gateway) pager(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	slots := make(chan struct{}, maxPages)
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-g.pages:
			slots <- struct{}{}
			wg.Go(func() {
				defer func() { <-slots }()
				if g.isOut(s) {
					g.tellOut(ctx, s)
				} else {
					g.notify(ctx, s)
				}
			})
		}
	}
}

// notify sends a Downlink Data Notification and hears its outcome (TS 29.274
// §7.2.11). Where the phone cannot be reached, what waits for it is thrown
// away.
func (g *Gateway) notify(ctx context.Context, s *session) {
	g.mu.Lock()
	to := netip.AddrPortFrom(s.ue.mme.Addr, gtpc.Port)
	m := gtpc.New(gtpc.DownlinkDataNotification, s.ue.mme.TEID, gtpc.EBI(s.ebi), s.qos.ARP.IE())
	if s.errored {
		m.IEs = append([]*ie.IE{ie.NewCause(uint8(gtpc.CauseErrorIndication), 0, 0, 0, nil)}, m.IEs...)
	}
	g.mu.Unlock()
	res, err := g.ep.Request(ctx, to, m)
	if err == nil {
		err = res.Check()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	s.paging = false
	if err == nil || ctx.Err() != nil || s.ended {
		return
	}
	g.log.Info("gateway: phone cannot be paged", logs.IMSI, s.ue.imsi, logs.Error, err)
	g.path.DropBuffered(s.teid)
	if ce, ok := errors.AsType[*gtpc.CauseError](err); ok && ce.Cause == gtpc.ContextNotFound {
		g.end(s)
	}
}

func (g *Gateway) isOut(s *session) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return s.out
}

// tellOut sends a Delete Bearer Request for a session whose byte cap is reached
// (TS 29.274 §7.2.9.2). Where it is lost, the phone's next packet is answered
// with an error indication.
func (g *Gateway) tellOut(ctx context.Context, s *session) {
	g.mu.Lock()
	to := netip.AddrPortFrom(s.ue.mme.Addr, gtpc.Port)
	m := gtpc.New(gtpc.DeleteBearerRequest, s.ue.mme.TEID, gtpc.EBI(s.ebi))
	g.mu.Unlock()
	res, err := g.ep.Request(ctx, to, m)
	if err == nil {
		err = res.Check()
	}
	if err != nil && ctx.Err() == nil {
		g.log.Warn("gateway: MME not told that a byte cap is reached", logs.IMSI, s.ue.imsi, logs.Error, err)
	}
}
