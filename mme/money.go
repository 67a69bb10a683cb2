package mme

import (
	"errors"
	"fmt"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/wire/home"
	"campanile.network/wire/proof"
)

// lease is what a home granted, with the ticket read and checked.
type lease struct {
	raw      []byte
	ticket   proof.Ticket
	profile  home.Profile
	segments uint32 // signed so far
	guest    bool   // nobody's: what a guest is granted, without a ticket
}

// maxAMBR is the most an eNB can be told (TS 36.413 §9.2.1.19).
const maxAMBR = 10 * id.Gbps

// errTicket says that a home granted a ticket this operator cannot use.
var errTicket = errors.New("home's ticket")

// openLease checks that the ticket is signed, for this chain and operator, and
// valid now, and that the profile can be served. Whether the node belongs to the
// home is the payer's question.
func (m *MME) openLease(l home.Lease, now time.Time) (*lease, error) {
	t, err := proof.OpenTicketWith(m.homes.Verify, m.o.ChainID, l.Ticket)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", errTicket, err)
	case t.Serving != m.operator:
		return nil, fmt.Errorf("%w: is for operator %s, not %s", errTicket, t.Serving.Short(), m.operator.Short())
	case !t.Valid(now):
		return nil, fmt.Errorf("%w: is valid from %v to %v, not now", errTicket, t.NotBefore, t.NotAfter)
	}
	p := l.Profile
	if p.APN.IsZero() || p.QCI == 0 || p.ARP < 1 || p.ARP > 15 || p.AMBRUL == 0 || p.AMBRDL == 0 {
		return nil, fmt.Errorf("home's profile: APN %q, QCI %d, ARP %d, AMBR %v up %v down: none may be missing, ARP is 1 to 15", p.APN, p.QCI, p.ARP, p.AMBRUL, p.AMBRDL)
	}
	if p.APN == id.AnyAPN {
		return nil, errors.New("home's profile: the default APN is the wildcard")
	}
	for _, a := range p.APNs {
		if a.Name.IsZero() || a.QCI == 0 || a.ARP < 1 || a.ARP > 15 || a.AMBRUL == 0 || a.AMBRDL == 0 {
			return nil, fmt.Errorf("home's profile: APN %q, QCI %d, ARP %d, AMBR %v up %v down: none may be missing, ARP is 1 to 15", a.Name, a.QCI, a.ARP, a.AMBRUL, a.AMBRDL)
		}
	}
	p.AMBRUL, p.AMBRDL = min(p.AMBRUL, maxAMBR), min(p.AMBRDL, maxAMBR)
	return &lease{raw: l.Ticket, ticket: t, profile: p}, nil
}

// fresh says that at least a tenth of the lease is left: a phone that becomes
// active with less is challenged anew first.
func (l *lease) fresh(now time.Time) bool {
	if l == nil {
		return false
	}
	whole := l.ticket.NotAfter.Sub(l.ticket.NotBefore)
	return l.guest || l.ticket.Valid(now) && l.ticket.NotAfter.Sub(now) >= whole/10
}

// remaining is for how long a connected phone needs no other lease: until this
// one is fresh no more, or, if it is not and could not be renewed, ends.
func (l *lease) remaining(now time.Time) time.Duration {
	switch {
	case l == nil:
		return 0
	case l.guest:
		return 24 * time.Hour
	case l.fresh(now):
		whole := l.ticket.NotAfter.Sub(l.ticket.NotBefore)
		return l.ticket.NotAfter.Sub(now) - whole/10 + time.Second
	}
	return l.ticket.NotAfter.Sub(now)
}

// segment signs the next stay of the lease's phone at a tower.
func (l *lease) segment(k proof.SigningKey, tower proof.TowerKey, cell id.ECGI, now time.Time) ([]byte, error) {
	if l.guest { // nobody pays
		return nil, nil
	}
	s := proof.Segment{ChainID: l.ticket.ChainID, Ticket: l.ticket.ID, No: l.segments + 1, Tower: tower, Cell: proof.EUTRAN(cell), Start: now.Truncate(time.Millisecond)}
	b, err := s.Sign(k)
	if err == nil {
		l.segments++
	}
	return b, err
}
