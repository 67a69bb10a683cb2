package gateway

import (
	"bytes"
	"errors"
	"time"

	"campanile.network/gateway/datapath"
	"campanile.network/internal/logs"
	"campanile.network/wire/gtpc"
	"campanile.network/wire/proof"
	"github.com/wmnsk/go-gtp/gtpv2/ie"
)

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
	bearer *bearer
	ticket []byte // of the lease; empty when unsettled
	bytes  []byte // signed by the MME
	base   datapath.Usage
	count  datapath.Usage // when closed
	closed bool
	no     uint64 // of a closed one, in the store

	told       datapath.Usage // what the sink has
	toldAny    bool
	toldClosed bool
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
	if l.out || l.spent >= t.Cap.Bytes {
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
	g.giveBack(s)
	s.lease, s.leaseBase = l, g.charged(s)
	if l == nil {
		g.bound(s, sum(s.leaseBase, g.o.UnsettledQuota))
		return
	}
	l.users[s], l.holder = struct{}{}, s.ue
	for other := range l.users {
		if other.ue != s.ue && !other.ended {
			g.bound(other, g.charged(other))
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
		used := g.charged(other)
		l.spent, other.leaseBase = l.spent+used-min(used, other.leaseBase), used
		g.touch(other)
		if !other.ended && other.ue == s.ue {
			with = append(with, other)
		}
	}
	left := l.ticket.Cap.Bytes - min(l.spent, l.ticket.Cap.Bytes)
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

// bound sets a session's quota; the operator's meter is told at four fifths of it.
func (g *Gateway) bound(s *session, quota uint64) {
	s.quota = quota
	q := datapath.Quota{Octets: quota, Redirect: g.o.RedirectFor > 0}
	if quota != datapath.NoQuota {
		q.Octets -= min(s.carry, q.Octets)
		q.Threshold = q.Octets - (q.Octets-min(q.Octets, s.leaseBase-min(s.leaseBase, s.carry)))/5
	}
	if err := g.path.SetQuota(s.id, q); err != nil {
		g.log.Error("gateway: quota not set", logs.IMSI, s.ue.imsi, logs.Error, err)
	}
	g.touch(s)
}

// maxPacket is the most that one packet may need of a quota, octets.
const maxPacket = 65535

// exhausted ends a session whose quota has refused a packet: a tower would go on
// bringing what nobody pays for. With a redirect it ends a while later, unless it
// has got more by then.
func (g *Gateway) exhausted(s *session) {
	if s.lease != nil && !s.ended && !s.lease.out && s.lease.holder == s.ue {
		g.share(s)
	}
	if n := g.charged(s); s.quota > n && s.quota-n >= maxPacket {
		return // it has another quota since
	}
	if s.lease != nil {
		s.lease.out = true
	}
	switch {
	case g.o.RedirectFor == 0 || s.ue.s5():
		g.usedUp(s)
	case !s.out:
		s.out = true
		g.log.Warn("gateway: byte cap reached, the phone is redirected", logs.IMSI, s.ue.imsi, logs.TEID, s.first().teid)
		g.at(time.Now().Add(g.o.RedirectFor), drainItem{s: s})
		g.touch(s)
	}
}

// stillOut ends a session that was redirected and has got no more since.
func (g *Gateway) stillOut(s *session) {
	if !s.out || s.ended {
		return
	}
	if n := g.charged(s); s.quota > n && s.quota-n >= maxPacket {
		s.out = false
		return
	}
	g.usedUp(s)
}

// usedUp ends a session whose ticket is used up, and has the MME told.
func (g *Gateway) usedUp(s *session) {
	if s.ended {
		return
	}
	g.log.Warn("gateway: byte cap reached", logs.IMSI, s.ue.imsi, logs.TEID, s.first().teid)
	s.out = true
	g.tellPGW(s)
	g.tellEnded(s)
	g.end(s)
}

// giveBack books what the session carried on its lease.
func (g *Gateway) giveBack(s *session) {
	if s.lease != nil {
		n := g.charged(s)
		s.lease.spent += n - min(s.leaseBase, n)
		delete(s.lease.users, s)
		g.touchLease(s.lease)
		s.lease = nil
	}
}

// forgetLeases drops tickets that nobody uses and that have run out.
func (g *Gateway) forgetLeases(now time.Time) {
	for k, l := range g.spent {
		if len(l.users) == 0 && !now.Before(l.ticket.NotAfter) {
			delete(g.spent, k)
			g.forgetLease(k)
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

// beginSegment ends the open segment at count u and opens the next. Traffic
// since the last segment's end belongs to the new one: phones send before the
// MME has told us of the tunnel. Without bytes an open segment goes on, and
// where none is open, one that names no tower begins.
func (g *Gateway) beginSegment(b *bearer, raw []byte, u datapath.Usage) {
	if b.open != nil && (len(raw) == 0 || bytes.Equal(b.open.bytes, raw)) {
		return
	}
	g.endSegment(b, u)
	b.open = &segment{bearer: b, bytes: raw, base: b.base, ticket: b.s.ticketBytes()}
	g.dirty[b.s] = struct{}{}
	g.touch(b.s)
}

func (s *session) ticketBytes() []byte {
	if s.lease == nil {
		return nil
	}
	return s.lease.raw
}

// endSegment closes the open segment at count u.
func (g *Gateway) endSegment(b *bearer, u datapath.Usage) {
	if b.open == nil {
		return
	}
	b.open.count, b.open.closed = minus(u, b.open.base), true
	g.keepClosed(b.open)
	b.open, b.base = nil, u
}

// maxUnreported bounds closed segments that wait for the sink.
const maxUnreported = 1 << 16

func (g *Gateway) keepClosed(seg *segment) {
	if len(g.closed) >= maxUnreported {
		g.forgetClosed(g.closed[0])
		g.closed = g.closed[1:]
		g.lost++
		g.log.Error("gateway: usage record given up: nobody has taken records for too long", "lost", g.lost)
	}
	g.closed = append(g.closed, seg)
	g.storeClosed(seg)
	g.reportNow()
}

// reportNow asks the reporter to report at once.
func (g *Gateway) reportNow() {
	select {
	case g.kick <- struct{}{}:
	default:
	}
}
