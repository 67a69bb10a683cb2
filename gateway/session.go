package gateway

import (
	"bytes"
	"errors"
	"net/netip"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/gateway/datapath"
	"campanile.network/internal/logs"
	"campanile.network/wire/gtpc"
	"campanile.network/wire/proof"
	"github.com/wmnsk/go-gtp/gtpv2/ie"
)

// ue is a phone's context on S11: all its sessions share one control tunnel
// (TS 29.274 §4.1).
type ue struct {
	imsi     id.IMSI
	ctrl     id.TEID      // ours
	mme      gtpc.FTEID   // the MME's
	former   []netip.Addr // of MMEs that had the phone before
	sessions map[id.EBI]*session
}

// session is one PDN connection with its default bearer. Gateway.mu guards it.
type session struct {
	id      datapath.SessionID
	ue      *ue
	ebi     id.EBI
	apn     id.APN
	addr    netip.Addr
	teid    id.TEID // ours on S1-U
	tunnel  datapath.Tunnel
	qos     gtpc.QoS
	ambr    gtpc.AMBR
	charge  uint32 // charging id
	started time.Time

	lease     *lease
	leaseBase uint64 // octets carried before the lease was taken, or booked on it
	quota     uint64 // octets in all

	open *segment       // nil between segments
	base datapath.Count // count at the end of the last segment

	reached bool // had an eNB's tunnel once: before, packets wait without paging
	ended   bool // deleted, perhaps still draining
	out     bool // its byte cap is reached
	paging  bool // a Downlink Data Notification is on its way
	errored bool // the eNB lost the tunnel: the next notification says so
}

// lease is a ticket the gateway believes and what was carried under it, as far
// as it is booked: sessions that use it may have carried more.
type lease struct {
	ticket proof.Ticket
	raw    []byte
	spent  uint64
	users  map[*session]struct{} // the holder's, and those that get no more
	holder *ue                   // the phone that came with it last
	out    bool                  // a packet found no room in it
}

// segment is one stay at one tower, or, without bytes, traffic of no stay.
type segment struct {
	session *session
	ticket  []byte // of the lease; empty when unsettled
	bytes   []byte // signed by the MME
	base    datapath.Count
	count   datapath.Count // when closed
	closed  bool

	told       datapath.Count // what the sink has
	toldAny    bool
	toldClosed bool
}

// drainItem is something that ends a moment after it was ordered to, so that
// packets on their way are still counted where they belong.
type drainItem struct {
	at  time.Time
	s   *session
	seg *segment // nil: the whole session
}

// newLease verifies a ticket; nil without an error when there is none and
// unsettled sessions are admitted.
func (g *Gateway) newLease(raw []byte) (*lease, error) {
	t, err := g.openTicket(raw)
	if err != nil {
		if g.o.AllowUnsettled {
			g.log.Debug("gateway: session is unsettled", logs.Error, err)
			return nil, nil
		}
		return nil, gtpc.Refuse(gtpc.UserAuthFailed, ie.PrivateExtension, "ticket: %v", err)
	}
	l := g.spent[t.ID]
	if l == nil {
		l = &lease{ticket: t, raw: raw, users: map[*session]struct{}{}}
		g.spent[t.ID] = l
	}
	if l.out || l.spent >= t.ByteCap {
		return nil, gtpc.Refuse(gtpc.UserAuthFailed, ie.PrivateExtension, "ticket %v is used up", t.ID)
	}
	return l, nil
}

func (g *Gateway) openTicket(raw []byte) (proof.Ticket, error) {
	switch {
	case len(raw) == 0:
		return proof.Ticket{}, errors.New("none")
	case g.o.OpenTicket == nil:
		return proof.Ticket{}, errors.New("no verifier configured")
	}
	t, err := g.o.OpenTicket(raw)
	if err == nil && !t.Valid(time.Now()) {
		err = errors.New("not valid now")
	}
	return t, err
}

// take puts the session under a lease (or none) and sets its quota: what the
// ticket's byte cap leaves, counted from now, which it shares with the phone's
// other sessions under it. Any other session that is still under it gets no more.
func (g *Gateway) take(s *session, l *lease) {
	c, _ := g.path.Usage(s.teid)
	g.giveBack(s, c.Count)
	s.lease, s.leaseBase = l, c.Octets()
	if l == nil {
		g.bound(s, sum(s.leaseBase, g.o.UnsettledQuota))
		return
	}
	l.users[s], l.holder = struct{}{}, s.ue
	for other := range l.users {
		if other.ue != s.ue && !other.ended {
			if used, err := g.path.Usage(other.teid); err == nil {
				g.bound(other, used.Octets())
			}
		}
	}
	g.share(s)
}

// share books what was carried under the session's lease and divides what is left
// among the phone's sessions under it: evenly, or, where that is less than a
// packet, all to the one that asks.
func (g *Gateway) share(s *session) {
	l := s.lease
	var with []*session
	for other := range l.users {
		used, err := g.path.Usage(other.teid)
		if err != nil {
			continue
		}
		l.spent, other.leaseBase = l.spent+used.Octets()-other.leaseBase, used.Octets()
		if !other.ended && other.ue == s.ue {
			with = append(with, other)
		}
	}
	left := l.ticket.ByteCap - min(l.spent, l.ticket.ByteCap)
	each := left / max(uint64(len(with)), 1)
	for _, other := range with {
		switch {
		case each >= maxPacket:
			g.bound(other, sum(other.leaseBase, each))
		case other == s:
			g.bound(other, sum(other.leaseBase, left))
		default:
			g.bound(other, other.leaseBase)
		}
	}
}

// sum is a quota of so much more, without bound if it is beyond counting.
func sum(used, more uint64) uint64 {
	if used+more < more {
		return datapath.NoQuota
	}
	return used + more
}

func (g *Gateway) bound(s *session, quota uint64) {
	s.quota = quota
	g.path.SetQuota(s.id, datapath.Quota{Octets: quota})
}

// maxPacket is the most that one packet may need of a quota, octets.
const maxPacket = 65535

// exhausted ends a session whose quota has refused a packet: a tower would go on
// bringing what nobody pays for.
func (g *Gateway) exhausted(s *session) {
	if s.lease != nil && !s.ended && !s.lease.out && s.lease.holder == s.ue {
		g.share(s)
	}
	c, err := g.path.Usage(s.teid)
	if err != nil || s.quota > c.Octets() && s.quota-c.Octets() >= maxPacket {
		return // it has another quota since
	}
	g.log.Warn("gateway: byte cap reached", logs.IMSI, s.ue.imsi, logs.TEID, s.teid)
	if s.lease != nil {
		s.lease.out = true
	}
	s.out = true
	g.end(s)
	select {
	case g.pages <- s:
	default: // the MME learns it when the phone comes back
	}
}

// giveBack books what the session carried on its lease.
func (g *Gateway) giveBack(s *session, c datapath.Count) {
	if s.lease != nil {
		s.lease.spent += c.Octets() - min(s.leaseBase, c.Octets())
		delete(s.lease.users, s)
		s.lease = nil
	}
}

// forgetLeases drops tickets that nobody uses and that have run out.
func (g *Gateway) forgetLeases(now time.Time) {
	for k, l := range g.spent {
		if len(l.users) == 0 && !now.Before(l.ticket.NotAfter) {
			delete(g.spent, k)
		}
	}
}

// checkSegment verifies a segment against the session's ticket. What cannot be
// verified is not kept: the traffic then belongs to no segment.
func (g *Gateway) checkSegment(s *session, raw []byte) ([]byte, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	err := errors.New("session has no ticket")
	if s.lease != nil {
		t := s.lease.ticket
		var seg proof.Segment
		if seg, err = proof.OpenSegment(t.ChainID, t.Serving, raw); err == nil && seg.Ticket != t.ID {
			err = errors.New("it is another ticket's")
		}
	}
	if err == nil {
		return raw, nil
	}
	if g.o.AllowUnsettled {
		g.log.Warn("gateway: segment not believed", logs.IMSI, s.ue.imsi, logs.Error, err)
		return nil, nil
	}
	return nil, gtpc.Refuse(gtpc.MandatoryIEIncorrect, ie.PrivateExtension, "segment: %v", err)
}

// beginSegment ends the open segment at count c and opens the next. Traffic
// since the last segment's end belongs to the new one: phones send before the
// MME has told us of the tunnel. Without bytes an open segment goes on, and
// where none is open, one that names no tower begins.
func (g *Gateway) beginSegment(s *session, raw []byte, c datapath.Count) {
	if s.open != nil && (len(raw) == 0 || bytes.Equal(s.open.bytes, raw)) {
		return
	}
	g.endSegment(s, c)
	s.open = &segment{session: s, bytes: raw, base: s.base, ticket: s.ticketBytes()}
	g.dirty[s] = struct{}{}
}

func (s *session) ticketBytes() []byte {
	if s.lease == nil {
		return nil
	}
	return s.lease.raw
}

// endSegment closes the open segment at count c.
func (g *Gateway) endSegment(s *session, c datapath.Count) {
	if s.open == nil {
		return
	}
	s.open.count, s.open.closed = c.Sub(s.open.base), true
	g.keepClosed(s.open)
	s.open, s.base = nil, c
}

// maxUnreported bounds closed segments that wait for the sink.
const maxUnreported = 1 << 16

func (g *Gateway) keepClosed(seg *segment) {
	if len(g.closed) >= maxUnreported {
		g.closed = g.closed[1:]
		g.lost++
		g.log.Error("gateway: usage record given up: nobody has taken records for too long", "lost", g.lost)
	}
	g.closed = append(g.closed, seg)
	g.reportNow()
}

// reportNow asks the reporter to report at once.
func (g *Gateway) reportNow() {
	select {
	case g.kick <- struct{}{}:
	default:
	}
}

// idle takes the eNB's tunnel away; the segment ends after the drain.
func (g *Gateway) idle(s *session) {
	s.tunnel = datapath.Tunnel{}
	g.path.UpdateBearer(s.teid, s.tunnel)
	if s.open != nil {
		g.later(s, s.open)
	}
}

// end takes the session out of S11's sight; downlink stops, and uplink on its
// way is counted until the drain is over.
func (g *Gateway) end(s *session) {
	if s.ended {
		return
	}
	s.ended = true
	s.tunnel = datapath.Tunnel{}
	g.path.UpdateBearer(s.teid, s.tunnel)
	delete(s.ue.sessions, s.ebi)
	if len(s.ue.sessions) == 0 {
		delete(g.ues, s.ue.ctrl)
		g.ctrl.Free(s.ue.ctrl)
		if g.byIMSI[s.ue.imsi] == s.ue {
			delete(g.byIMSI, s.ue.imsi)
		}
	}
	g.later(s, nil)
}

func (g *Gateway) later(s *session, seg *segment) {
	g.draining = append(g.draining, drainItem{time.Now().Add(g.o.Drain), s, seg})
	select {
	case g.drain <- struct{}{}:
	default:
	}
}

// finish takes a session off the data path with its final counts.
func (g *Gateway) finish(s *session) {
	if g.sessions[s.id] != s {
		return
	}
	u, err := g.path.RemoveBearer(s.teid)
	c := u.Count
	if err == nil {
		err = g.path.RemoveSession(s.id)
	} else {
		c = s.base
	}
	if err != nil {
		g.log.Error("gateway: bearer vanished from the data path", logs.TEID, s.teid, logs.Error, err)
	}
	if s.open == nil && c != s.base {
		s.open = &segment{session: s, base: s.base, ticket: s.ticketBytes()}
	}
	g.endSegment(s, c)
	g.giveBack(s, c)
	delete(g.sessions, s.id)
	delete(g.dirty, s)
	g.pool.release(s.addr)
	g.teids.Free(s.teid)
	g.log.Info("gateway: session ended", logs.IMSI, s.ue.imsi, logs.Address, s.addr, "ul", c.ULOctets, "dl", c.DLOctets, logs.Took, time.Since(s.started))
}
