package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/gateway/datapath"
	"campanile.network/internal/logs"
	"campanile.network/internal/vault"
	"campanile.network/wire/gtpc"
	"campanile.network/wire/proof"
)

// openJournal prepares what is written, and counts runs, so that what this one
// numbers is not what another did.
func (g *Gateway) openJournal() (run uint8, err error) {
	j := &g.journal
	j.sessions, j.leases, j.peers, j.wake = map[*session]struct{}{}, map[*lease]struct{}{}, map[netip.Addr]uint8{}, make(chan struct{}, 1)
	if g.o.Store == nil {
		return g.o.RestartCounter, nil
	}
	n := uint64(g.o.RestartCounter)
	if _, err := each(g, kindRun, func(v uint64) { n = v }); err != nil {
		return 0, err
	}
	n++
	b, _ := json.Marshal(n)
	return uint8(n), g.o.Store.Apply(context.Background(), []vault.Write{{Kind: kindRun, Name: []byte("run"), Value: b}})
}

// each reads the records of a kind, and gives how many cannot be read.
func each[T any](g *Gateway, kind byte, f func(T)) (bad int, err error) {
	err = g.o.Store.Each(kind, func(name, b []byte, err error) {
		var v T
		if err == nil {
			err = json.Unmarshal(b, &v)
		}
		if err != nil {
			bad++
			g.log.Warn("gateway: a record cannot be read", "kind", string(kind), "record", fmt.Sprintf("%x", name), logs.Error, err)
			return
		}
		f(v)
	})
	return bad, err
}

func (g *Gateway) restored() int { return g.journal.restored }

// restore takes up what an earlier run has left: tickets, records that nobody has
// taken, sessions with their bearers, and who had which address.
func (g *Gateway) restore() error {
	if g.o.Store == nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	_, err1 := each(g, kindLease, g.restoreLease)
	_, err2 := each(g, kindClosed, g.restoreClosed)
	_, err3 := each(g, kindPeer, func(p storedPeer) {
		g.journal.peers[p.Addr] = p.Counter
		g.ep.Know(p.Addr, p.Counter)
	})
	var all []stored
	bad, err4 := each(g, kindSession, func(r stored) { all = append(all, r) })
	slices.SortFunc(all, func(a, b stored) int { return a.Started.Compare(b.Started) })
	lost := bad
	for _, r := range all {
		if err := g.restoreSession(r); err != nil {
			lost++
			g.log.Error("gateway: a session of before the restart is lost", logs.TEID, r.Ctrl, logs.Error, err)
			g.salvage(r)
		}
	}
	var rests []leaseRecord
	_, err5 := each(g, kindAddress, func(r leaseRecord) { rests = append(rests, r) })
	slices.SortFunc(rests, func(a, b leaseRecord) int { return a.At.Compare(b.At) })
	for _, r := range rests {
		g.restoreRest(r)
	}
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return err
	}
	if len(all)+lost > 0 {
		g.log.Info("gateway: taken up from before the restart", "sessions", len(g.sessions), "phones", len(g.ues), "lost", lost, "records", len(g.closed))
	}
	g.journal.restored = len(g.sessions)
	g.flush(nil)
	return nil
}

func (g *Gateway) restoreLease(r storedTicket) {
	if g.o.OpenTicket == nil {
		return
	}
	t, err := g.o.OpenTicket(r.Raw)
	if err != nil {
		g.log.Warn("gateway: a ticket of before the restart is not believed", logs.Error, err)
		return
	}
	g.spent[t.ID] = &lease{ticket: t, raw: r.Raw, spent: r.Spent, out: r.Out, users: map[*session]struct{}{}}
}

// restoreClosed has a record told that nobody took; the session it is of may be gone.
func (g *Gateway) restoreClosed(r storedSegment) {
	g.journal.lastSeg = max(g.journal.lastSeg, r.No)
	g.closed = append(g.closed, &segment{bearer: &bearer{number: r.Session, teid: r.TEID}, ticket: r.Ticket, bytes: r.Bytes, count: r.Count, closed: true, no: r.No})
}

// restoreRest keeps an address for who had it.
func (g *Gateway) restoreRest(r leaseRecord) {
	for _, n := range g.networks {
		if n.APN.String() == r.APN {
			h := holder{r.IMSI, r.APN}
			if r.IPv4.IsValid() && n.v4.free(r.IPv4) {
				n.v4.rest(r.IPv4, h)
			}
			if r.IPv6.IsValid() && n.v6.free(r.IPv6) {
				n.v6.rest(r.IPv6, h)
			}
			return
		}
	}
	g.put(kindAddress, []byte(r.IMSI+"/"+r.APN), nil)
}

// restoreSession takes up a session as it was stored. Where that fails nothing of it
// stays.
func (g *Gateway) restoreSession(r stored) error {
	s, err := g.sessionOf(r)
	if err != nil {
		return err
	}
	u := s.ue
	if err := g.restorePath(s, r); err != nil {
		return err
	}
	if len(u.sessions) == 0 && !g.ctrl.Take(u.ctrl) {
		g.unput(s)
		return fmt.Errorf("control TEID %v is another's", u.ctrl)
	}
	if s.up != nil && !g.ctrl.Take(s.up.ctrl) {
		g.unput(s)
		return fmt.Errorf("control TEID %v is another's", s.up.ctrl)
	}
	u.sessions[s.ebi] = s
	g.enter(s)
	if l := g.spent[ticketID(r.Ticket)]; l != nil && len(r.Ticket) > 0 {
		s.lease = l
		l.users[s] = struct{}{}
		if r.Holder {
			l.holder = u
		}
	}
	g.bound(s, r.Quota)
	g.lastID = max(g.lastID, r.Number)
	for b := range s.making {
		g.later(drainItem{s: s, b: b})
	}
	switch {
	case r.Ended:
		g.end(s)
	case s.out:
		g.later(drainItem{s: s})
	}
	return nil
}

func ticketID(b []byte) (k proof.TicketID) {
	copy(k[:], b)
	return k
}

// sessionOf makes a session of its record; nothing of it is entered anywhere but its
// addresses.
func (g *Gateway) sessionOf(r stored) (*session, error) {
	apn, err := id.ParseAPN(r.APN)
	if err != nil {
		return nil, err
	}
	n, err := g.findNetwork(apn)
	if err != nil {
		return nil, err
	}
	var imsi id.IMSI
	if r.IMSI != "" {
		if imsi, err = id.ParseIMSI(r.IMSI); err != nil {
			return nil, err
		}
	}
	u := g.ues[r.Ctrl]
	if u == nil {
		u = &ue{imsi: imsi, ctrl: r.Ctrl, peer: r.Peer, former: r.Former, suspended: r.Suspended, sessions: map[id.EBI]*session{}}
	}
	if u.imsi != imsi || u.sessions[r.EBI] != nil {
		return nil, fmt.Errorf("control TEID %v or bearer %d is stored twice", r.Ctrl, r.EBI)
	}
	s := &session{id: datapath.SessionID(r.Number), ue: u, ebi: r.EBI, apn: apn, net: n, addr: r.Addr, ambr: r.AMBR, started: r.Started,
		bearers: map[id.EBI]*bearer{}, making: map[*bearer]struct{}{}, leaseBase: r.LeaseBase, reached: r.Reached, out: r.Out}
	if r.UpCtrl != 0 {
		s.up = &upstream{ctrl: r.UpCtrl, pgw: r.UpPeer}
		return s, nil
	}
	if n.PGW.IsValid() {
		return nil, fmt.Errorf("its APN %v goes to another gateway now", apn)
	}
	if r.Addr.Type() == 0 {
		return nil, errors.New("it has no address")
	}
	return s, n.restore(imsi, r.Addr)
}

// restorePath puts a stored session and its bearers on the data path, where their
// counts go on.
func (g *Gateway) restorePath(s *session, r stored) (err error) {
	defer func() {
		if err != nil {
			g.unput(s)
		}
	}()
	s.lenient = !s.net.Open
	if err := g.putSession(s, true); err != nil {
		return err
	}
	if n := g.charged(s); n < r.Charged {
		s.carry = r.Charged - n
	}
	for _, o := range r.Bearers {
		b := &bearer{s: s, ebi: o.EBI, number: o.Number, teid: o.TEID, tunnel: o.Tunnel, qos: o.QoS, tft: o.TFT, charge: o.Charge, pgw: o.PGW, up: o.Up, base: o.Base}
		if o.Open {
			b.open = &segment{bearer: b, ticket: o.Ticket, bytes: o.Bytes, base: o.From}
		}
		if !g.teids.Take(b.teid) || b.up != 0 && !g.teids.Take(b.up) {
			return fmt.Errorf("TEID %v is another's", b.teid)
		}
		if err := g.putBearer(b, true); err != nil {
			g.teids.Free(b.teid)
			g.teids.Free(b.up)
			return err
		}
		b.carry = short(g.usage(b), o.Count)
		if o.Ending {
			s.making[b] = struct{}{}
		} else {
			s.bearers[b.ebi] = b
		}
		g.charging = max(g.charging, b.charge)
		g.lastID = max(g.lastID, b.number)
	}
	if s.first() == nil {
		return errors.New("it has no default bearer")
	}
	return nil
}

// unput takes back what restorePath has put.
func (g *Gateway) unput(s *session) {
	for _, b := range s.all() {
		g.path.RemoveBearer(b.teid)
		g.teids.Free(b.teid)
		g.teids.Free(b.up)
	}
	g.path.RemoveSession(s.id)
	if s.up == nil {
		s.net.release(s.addr)
	}
}

// salvage has what a session carried told that cannot be taken up.
func (g *Gateway) salvage(r stored) {
	for _, o := range r.Bearers {
		from, ticket, bytes := o.Base, []byte(nil), []byte(nil)
		if o.Open {
			from, ticket, bytes = o.From, o.Ticket, o.Bytes
		}
		if count := minus(o.Count, from); count.Octets() > 0 {
			g.keepClosed(&segment{bearer: &bearer{number: o.Number, teid: o.TEID}, ticket: ticket, bytes: bytes, count: count, closed: true})
		}
	}
	g.put(kindSession, number(r.Number), nil)
}

// short is what the data path has forgotten of a count.
func short(has, want datapath.Usage) (u datapath.Usage) {
	one := func(has, want datapath.Count) datapath.Count {
		less := func(a, b uint64) uint64 { return b - min(a, b) }
		return datapath.Count{ULOctets: less(has.ULOctets, want.ULOctets), ULPackets: less(has.ULPackets, want.ULPackets),
			DLOctets: less(has.DLOctets, want.DLOctets), DLPackets: less(has.DLPackets, want.DLPackets),
			LostOctets: less(has.LostOctets, want.LostOctets), LostPackets: less(has.LostPackets, want.LostPackets)}
	}
	u.Count = one(has.Count, want.Count)
	for i := range u.Class {
		u.Class[i] = one(has.Class[i], want.Class[i])
	}
	return u
}

// lenience is for how long sessions that were taken up let in what nobody has asked for: a
// server whose connection had stood still repeats itself within it (RFC 6298 §2.5), and
// the phone's answer makes the flow known again.
const lenience = 3 * time.Minute

// endLenience has sessions that were taken up let in no more than others.
func (g *Gateway) endLenience() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range g.sessions {
		if !s.lenient {
			continue
		}
		s.lenient = false
		if err := g.path.UpdateSession(g.pathSession(s, false)); err != nil {
			g.log.Error("gateway: session is not closed to strangers", logs.IMSI, s.ue.imsi, logs.Error, err)
		}
	}
}

// askPeers asks those who have sessions here whether they still know them: by an
// Echo, whose restart counter says so.
func (g *Gateway) askPeers(ctx context.Context) {
	g.mu.Lock()
	peers := map[netip.Addr]bool{}
	for _, s := range g.sessions {
		peers[s.ue.peer.Addr] = true
		if s.up != nil {
			peers[s.up.pgw.Addr] = true
		}
	}
	g.mu.Unlock()
	var wg sync.WaitGroup
	for a := range peers {
		wg.Go(func() { _ = g.ep.Echo(ctx, netip.AddrPortFrom(a, gtpc.Port)) })
	}
	wg.Wait()
}
