package userspace

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"

	"campanile.network/gateway/datapath"
	"campanile.network/gateway/datapath/table"
)

// session is what the bearers of one PDN session share.
type session struct {
	id       datapath.SessionID
	slot     uint32
	open     atomic.Bool
	redirect atomic.Bool
	out      atomic.Bool // QuotaExhausted was told for this quota
	warned   atomic.Bool // QuotaThreshold was told for this quota
	rec      *table.Session
	v4       netip.Addr
	v6       netip.Prefix
	dns      []netip.Addr         // that it is advertised
	plan     atomic.Pointer[plan] // Path.mu guards who changes it

	reported   atomic.Uint64 // used when ReportDue was last told
	advertised atomic.Uint64 // when the last router advertisement went, ticks; 0: never
}

// plan says which bearer takes a downlink packet. It is never changed, only
// replaced.
type plan struct {
	all   []*bearer
	rules []rule // by precedence
	def   *bearer
}

type rule struct {
	filter datapath.Filter
	b      *bearer
}

// choose gives the bearer of a downlink packet, or nil.
func (s *session) choose(pkt *datapath.Packet) *bearer {
	p := s.plan.Load()
	for i := range p.rules {
		if p.rules[i].filter.Match(pkt, datapath.Downlink) {
			return p.rules[i].b
		}
	}
	return p.def
}

// nobody is the plan of a session without bearers.
var nobody plan

// replan makes the plan anew; the caller holds Path.mu, and leaves all as it is.
func (s *session) replan(all []*bearer) {
	if len(all) == 0 {
		s.plan.Store(&nobody)
		return
	}
	if b := all[0]; len(all) == 1 && b.isDefault && len(b.policy.Load().Filters) == 0 {
		if b.only.def == nil {
			b.only = plan{all: b.self[:], def: b}
		}
		s.plan.Store(&b.only)
		return
	}
	p := plan{all: all}
	for _, b := range all {
		if b.isDefault {
			p.def = b
		}
		for _, f := range b.policy.Load().Filters {
			p.rules = append(p.rules, rule{f, b})
		}
	}
	slices.SortStableFunc(p.rules, func(a, b rule) int { return cmp.Compare(a.filter.Precedence, b.filter.Precedence) })
	s.plan.Store(&p)
}

// owns says that an address is the phone's.
func (s *session) owns(a netip.Addr) bool {
	if a.Is4() {
		return a == s.v4
	}
	return s.v6.Contains(a)
}

func low64(a netip.Addr) [8]byte { b := a.As16(); return [8]byte(b[8:]) }

func high64(a netip.Addr) [8]byte { b := a.As16(); return [8]byte(b[:8]) }
func prefix(a netip.Addr) uint64  { b := a.As16(); return binary.BigEndian.Uint64(b[:]) }
func number(a netip.Addr) uint32  { b := a.As4(); return binary.BigEndian.Uint32(b[:]) }

// byAddress finds the session of a phone's address.
func (p *Path) byAddress(a netip.Addr) *session {
	p.mu.RLock()
	defer p.mu.RUnlock()
	var slot uint32
	var ok bool
	if a.Is4() {
		slot, ok = p.byV4[number(a)]
	} else {
		slot, ok = p.byV6[prefix(a)]
	}
	if !ok {
		return nil
	}
	return p.sessions[slot]
}

// sessionOf finds a session, or nil; the caller holds mu.
func (p *Path) sessionOf(id datapath.SessionID) *session {
	if slot, ok := p.byID[id]; ok {
		return p.sessions[slot]
	}
	return nil
}

// PutSession implements datapath.Path.
func (p *Path) PutSession(d datapath.Session) error {
	if err := d.Check(); err != nil {
		return err
	}
	if d.ID == 0 {
		return fmt.Errorf("%w: session 0", datapath.ErrInvalid)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	_, taken := p.byID[d.ID]
	if !taken && d.IPv4.IsValid() {
		_, taken = p.byV4[number(d.IPv4)]
	}
	if !taken && d.IPv6.IsValid() {
		_, taken = p.byV6[prefix(d.IPv6.Addr())]
	}
	if taken {
		return fmt.Errorf("%w: session %d, %v, %v", datapath.ErrTaken, d.ID, d.IPv4, d.IPv6)
	}
	slot, ok := p.slots.take(uint64(d.ID), d.Beside)
	if !ok {
		return fmt.Errorf("%w: %d sessions are open", datapath.ErrSlot, len(p.byID))
	}
	s := &session{id: d.ID, slot: slot, v4: d.IPv4, v6: d.IPv6, dns: d.DNS, rec: p.tab.TakeSession(slot, uint64(d.ID), d.Resume)}
	if len(s.dns) == 0 {
		s.dns = p.o.DNS
	}
	s.reported.Store(s.rec.Charged())
	s.set(d)
	s.replan(nil)
	p.sessions[slot], p.byID[d.ID] = s, slot
	if s.v4.IsValid() {
		p.byV4[number(s.v4)] = slot
	}
	if s.v6.IsValid() {
		p.byV6[prefix(s.v6.Addr())] = slot
	}
	return nil
}

func (s *session) set(d datapath.Session) {
	s.open.Store(d.Open)
	s.rec.UL.SetRate(d.AMBR.UL)
	s.rec.DL.SetRate(d.AMBR.DL)
}

func (p *Path) session(id datapath.SessionID) (*session, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if s := p.sessionOf(id); s != nil {
		return s, nil
	}
	return nil, fmt.Errorf("%w: session %d", datapath.ErrUnknown, id)
}

// SessionSlot is the place of the session's record in the table.
func (p *Path) SessionSlot(id datapath.SessionID) (slot uint32, ok bool) {
	s, err := p.session(id)
	if err != nil {
		return 0, false
	}
	return s.slot, true
}

// UpdateSession implements datapath.Path.
func (p *Path) UpdateSession(d datapath.Session) error {
	s, err := p.session(d.ID)
	if err == nil {
		s.set(d)
	}
	return err
}

// RemoveSession implements datapath.Path.
func (p *Path) RemoveSession(id datapath.SessionID) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.sessionOf(id)
	switch {
	case s == nil:
		return fmt.Errorf("%w: session %d", datapath.ErrUnknown, id)
	case len(s.plan.Load().all) > 0:
		return fmt.Errorf("%w: session %d, %d bearers", datapath.ErrBusy, id, len(s.plan.Load().all))
	}
	p.sessions[s.slot] = nil
	delete(p.byID, id)
	if s.v4.IsValid() {
		delete(p.byV4, number(s.v4))
	}
	if s.v6.IsValid() {
		delete(p.byV6, prefix(s.v6.Addr()))
	}
	p.flows.Forget(s.slot)
	p.slots.give(s.slot)
	return nil
}

// SetQuota implements datapath.Path.
func (p *Path) SetQuota(id datapath.SessionID, q datapath.Quota) error {
	s, err := p.session(id)
	if err != nil {
		return err
	}
	s.redirect.Store(q.Redirect)
	s.rec.SetQuota(q.Octets, q.Threshold)
	s.out.Store(false)
	s.warned.Store(false)
	return nil
}

// Charged implements datapath.Path.
func (p *Path) Charged(id datapath.SessionID) (uint64, error) {
	s, err := p.session(id)
	if err != nil {
		return 0, err
	}
	return s.rec.Charged(), nil
}
