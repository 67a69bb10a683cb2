package gateway

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/gateway/datapath"
	"campanile.network/internal/logs"
	"campanile.network/wire/gtpc"
)

// ue is a phone's context towards an MME: all its sessions share one control
// tunnel (TS 29.274 §4.1). Towards another SGW it has one session.
type ue struct {
	imsi      id.IMSI
	ctrl      id.TEID      // ours
	peer      gtpc.FTEID   // the MME's, or the SGW's
	former    []netip.Addr // of MMEs that had the phone before
	sessions  map[id.EBI]*session
	forwards  []id.TEID // of indirect forwarding
	suspended bool      // nothing goes down to it, nor is it paged (TS 23.401 §5.10)
	quiet     time.Time // it cannot be reached before: nobody is told of packets, which wait until then
	keeps     int       // so many packets of a bearer wait; 0: as many as ever
	place     place     // as last heard
}

// s5 says that another SGW stands between this gateway and the phone's MME.
func (u *ue) s5() bool { return u.peer.Interface == gtpc.IfS5SGWC }

// reachable says that one of the phone's bearers has its tunnel.
func (u *ue) reachable() bool {
	for _, s := range u.sessions {
		for _, b := range s.bearers {
			if b.tunnel.Active() {
				return true
			}
		}
	}
	return false
}

// bearer finds one of the phone's bearers.
func (u *ue) bearer(ebi id.EBI) *bearer {
	for _, s := range u.sessions {
		if b := s.bearers[ebi]; b != nil {
			return b
		}
	}
	return nil
}

// session is one PDN connection. Gateway.mu guards it and all it has.
type session struct {
	id      datapath.SessionID
	ue      *ue
	ebi     id.EBI // of the default bearer
	apn     id.APN
	net     *network
	addr    gtpc.Address
	ambr    gtpc.AMBR
	started time.Time
	bearers map[id.EBI]*bearer
	making  map[*bearer]struct{} // asked for, and not answered
	up      *upstream            // where the PGW is elsewhere

	lease     *lease
	leaseBase uint64 // octets charged before the lease was taken, or booked on it
	quota     uint64 // octets in all
	carry     uint64 // charged in an earlier run, and forgotten by the data path

	reached bool // had an eNB's tunnel once: before, packets wait without paging
	ended   bool // deleted, perhaps still draining
	out     bool // its byte cap is reached
	lenient bool // taken up from an earlier run: what its phone has asked for is not known
	command bool // one of the MME's or phone's commands is being carried out
}

// upstream is the control plane between this SGW and a session's PGW.
type upstream struct {
	ctrl id.TEID    // ours
	pgw  gtpc.FTEID // its
	cmd  *command   // of the MME, passed on and not answered
}

// bearer is one EPS bearer.
type bearer struct {
	s      *session
	ebi    id.EBI // 0 until the MME has said
	number uint64 // names it in usage records; the default bearer's is the session's
	teid   id.TEID
	tunnel datapath.Tunnel
	qos    gtpc.QoS
	tft    []eps.PacketFilter
	charge uint32     // charging id
	pgw    gtpc.FTEID // the PGW's end of S5/S8, where that is elsewhere
	up     id.TEID    // ours towards it

	open  *segment       // nil between segments
	base  datapath.Usage // at the end of the last segment
	carry datapath.Usage // counted in an earlier run, and forgotten by the data path

	paging  bool // a Downlink Data Notification is on its way
	errored bool // the eNB lost the tunnel: the next notification says so
}

func (s *session) first() *bearer { return s.bearers[s.ebi] }

// carries finds the bearer with that end, its own or towards the PGW.
func (s *session) carries(t id.TEID) *bearer {
	for _, b := range s.bearers {
		if b.teid == t || b.up == t {
			return b
		}
	}
	for b := range s.making {
		if b.teid == t || b.up == t {
			return b
		}
	}
	return nil
}

// all are the session's bearers, the default one first.
func (s *session) all() []*bearer {
	list := make([]*bearer, 0, len(s.bearers)+len(s.making))
	for _, b := range s.bearers {
		list = append(list, b)
	}
	for b := range s.making {
		list = append(list, b)
	}
	slices.SortFunc(list, func(a, b *bearer) int { return cmp.Compare(a.number, b.number) })
	return list
}

func (b *bearer) upstream() datapath.Tunnel {
	if b.pgw.TEID == 0 {
		return datapath.Tunnel{}
	}
	return datapath.Tunnel{Peer: b.pgw.Addr, TEID: b.pgw.TEID}
}

// drainItem is something that ends a moment after it was ordered to, so that
// packets on their way are still counted where they belong.
type drainItem struct {
	at  time.Time
	s   *session
	b   *bearer  // one bearer of the session
	seg *segment // one segment of the bearer
	u   *ue      // instead of a session: its being quiet
	ddn *bearer  // instead of a session: of which the MME is told
}

// usage reads what a bearer has carried in all.
func (g *Gateway) usage(b *bearer) datapath.Usage {
	u, err := g.path.Usage(b.teid)
	if err != nil {
		return b.base
	}
	return plus(u, b.carry)
}

// charged is what a session has used of its quota.
func (g *Gateway) charged(s *session) uint64 {
	n, err := g.path.Charged(s.id)
	if err != nil {
		return s.leaseBase
	}
	return n + s.carry
}

// idle takes the eNB's tunnel away; the segment ends after the drain.
func (g *Gateway) idle(b *bearer) {
	b.tunnel = datapath.Tunnel{}
	g.path.UpdateBearer(b.teid, b.tunnel)
	if b.open != nil {
		g.later(drainItem{s: b.s, b: b, seg: b.open})
	}
	g.touch(b.s)
}

// end takes the session out of its peers' sight; downlink stops, and uplink on its
// way is counted until the drain is over.
func (g *Gateway) end(s *session) {
	if s.ended {
		return
	}
	s.ended = true
	for _, b := range s.all() {
		b.tunnel = datapath.Tunnel{}
		g.path.UpdateBearer(b.teid, b.tunnel)
	}
	delete(s.ue.sessions, s.ebi)
	if s.up != nil {
		delete(g.uplinks, s.up.ctrl)
		g.ctrl.Free(s.up.ctrl)
	}
	g.tidy(s.ue)
	g.later(drainItem{s: s})
	g.touch(s)
}

// tidy forgets a phone without sessions.
func (g *Gateway) tidy(u *ue) {
	if len(u.sessions) > 0 || g.ues[u.ctrl] != u {
		return
	}
	g.endForwards(u)
	g.wake(u)
	delete(g.ues, u.ctrl)
	g.ctrl.Free(u.ctrl)
	if g.byIMSI[u.imsi] == u {
		delete(g.byIMSI, u.imsi)
	}
	for k, v := range g.remote {
		if k.imsi == u.imsi && v == u {
			delete(g.remote, k)
		}
	}
}

// endBearer ends a dedicated bearer in the same way.
func (g *Gateway) endBearer(b *bearer) {
	b.tunnel = datapath.Tunnel{}
	g.path.UpdateBearer(b.teid, b.tunnel)
	delete(b.s.bearers, b.ebi)
	b.s.making[b] = struct{}{}
	g.later(drainItem{s: b.s, b: b})
	g.touch(b.s)
}

func (g *Gateway) later(d drainItem) { g.at(time.Now().Add(g.o.Drain), d) }

// at has d end at that time.
func (g *Gateway) at(when time.Time, d drainItem) {
	d.at = when
	i, _ := slices.BinarySearchFunc(g.draining, when, func(o drainItem, t time.Time) int {
		if o.at.After(t) {
			return 1
		}
		return -1
	})
	g.draining = slices.Insert(g.draining, i, d)
	select {
	case g.drain <- struct{}{}:
	default:
	}
}

// finishBearer takes a bearer off the data path with its final count.
func (g *Gateway) finishBearer(b *bearer) {
	s := b.s
	u, err := g.path.RemoveBearer(b.teid)
	if err != nil {
		g.log.Error("gateway: bearer vanished from the data path", logs.TEID, b.teid, logs.Error, err)
		u = b.base
	} else {
		u = plus(u, b.carry)
	}
	if b.open == nil && u != b.base {
		b.open = &segment{bearer: b, base: b.base, ticket: s.ticketBytes()}
	}
	g.endSegment(b, u)
	for i, n := range u.Class {
		g.carried[i] = g.carried[i].Add(n)
	}
	if s.bearers[b.ebi] == b {
		delete(s.bearers, b.ebi)
	}
	delete(s.making, b)
	g.stopCapture(b.teid)
	g.freeLater(b.teid, b.up)
	g.touch(s)
}

// finish takes a session off the data path.
func (g *Gateway) finish(s *session) {
	if g.sessions[s.id] != s {
		return
	}
	first := s.first()
	for _, b := range s.all() {
		g.finishBearer(b)
	}
	g.giveBack(s)
	if err := g.path.RemoveSession(s.id); err != nil {
		g.log.Error("gateway: session vanished from the data path", logs.Error, err)
	}
	delete(g.sessions, s.id)
	delete(g.dirty, s)
	if s.up == nil {
		s.net.release(s.addr)
		g.restLease(s)
	}
	g.touch(s)
	g.log.Info("gateway: session ended", logs.IMSI, s.ue.imsi, logs.Address, s.shown(), "ul", first.base.ULOctets, "dl", first.base.DLOctets, logs.Took, time.Since(s.started))
}

// shown is the address by which people know the session.
func (s *session) shown() netip.Addr {
	if s.addr.IPv4.IsValid() {
		return s.addr.IPv4
	}
	return s.addr.IPv6
}

// plus adds counts, all and by class.
func plus(a, b datapath.Usage) datapath.Usage {
	a.Count = a.Count.Add(b.Count)
	for i := range a.Class {
		a.Class[i] = a.Class[i].Add(b.Class[i])
	}
	return a
}

// minus is a without the earlier b.
func minus(a, b datapath.Usage) datapath.Usage {
	a.Count = a.Count.Sub(b.Count)
	for i := range a.Class {
		a.Class[i] = a.Class[i].Sub(b.Class[i])
	}
	return a
}
