package mme

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
	"campanile.network/mme/s11"
	"campanile.network/wire/gtpc"
)

// Gateway keeps the PDN sessions; *s11.Client is one. Its calls end with their
// context.
type Gateway interface {
	Create(context.Context, s11.CreateSession) (*s11.Session, error)
	Modify(context.Context, *s11.Session, s11.ModifyBearer) error
	Release(context.Context, *s11.Session) error
	Delete(context.Context, *s11.Session) error
	PagingFailed(*s11.Session) error
	Restore(s11.State) (*s11.Session, error)
	Resources(context.Context, *s11.Session, s11.ResourceRequest) error
	Drop(context.Context, *s11.Session, []id.EBI) error
}

var _ Gateway = (*s11.Client)(nil)

// createSession opens a PDN connection at the gateway; the ticket rides along.
func (c *conn) createSession(w wish) (*pdn, error) {
	u, told := c.ue, c.ue.lease
	ebi, ok := u.freeEBI()
	if !ok {
		return nil, refusePDN(eps.ESMCauseMaximumNumberOfEPSBearersReached, errors.New("all bearer identities are in use"))
	}
	tai, cell := c.leg.place()
	request := s11.CreateSession{
		IMSI: u.imsi, MSISDN: told.profile.MSISDN, IMEI: u.imei, APN: w.Name, PDNType: uint8(w.pdn), EBI: ebi,
		QCI: w.QCI, ARP: gtpc.ARP{Level: w.ARP, Preemptable: true}, AMBR: gtpc.AMBR{UL: w.AMBRUL, DL: w.AMBRDL},
		TAI: tai, ECGI: cell, PCO: w.pco, Ticket: told.raw, Address: w.address(),
	}
	if u.opening.Active(ebi) {
		c.withdraw()
	}
	u.opening = u.opening.With(ebi)
	if err := c.intend(); err != nil {
		return nil, err
	}
	if len(u.pdns) > 0 {
		request.Beside = u.pdns[0].session
	}
	var p *pdn
	s, err := finish(c, c.m.o.GatewayTimeout, func(ctx context.Context) (*s11.Session, error) { return c.m.o.Gateway.Create(ctx, request) })
	c.m.busy.gatewayAnswered(err)
	if answered(err) {
		u.opening = 0
	} else if s == nil {
		c.withdraw()
	}
	if s != nil {
		p, u.shown = newPDN(s, told), told
		p.asked = len(u.pdns) > 0
		c.m.known.open(u, p)
	}
	if err != nil {
		c.notShownAgain(err)
		return p, refuseSession(err, w)
	}
	p.less = w.restriction(p)
	if !w.fits(p) || !s.SGW.Addr.IsValid() || s.SGW.TEID == 0 || s.EBI != ebi || s.QoS.ARP.Level > 15 {
		return p, refuse(eps.EMMCauseNetworkFailure, fmt.Errorf("the gateway's session cannot be used: address %v, tunnel %v %v, EBI %d, ARP %d",
			s.Address, s.SGW.Addr, s.SGW.TEID, s.EBI, s.QoS.ARP.Level))
	}
	u.show(u.showBearers)
	return p, nil
}

// withdraw ends sessions beside others that the gateway may have opened unheard: it
// refuses another on their bearers (TS 29.274 §7.2.1). One that was to be the first
// makes room for the next.
func (c *conn) withdraw() {
	if len(c.ue.pdns) == 0 || c.m.ctx.Err() != nil {
		return
	}
	ctx, cancel := context.WithTimeout(c.m.ctx, c.m.o.GatewayTimeout)
	defer cancel()
	c.m.deleteUnheard(ctx, c.ue)
}

// firstEBI is what freeEBI gives first.
const firstEBI id.EBI = 5

// freeEBI is the lowest bearer identity that is not in use (TS 24.007
// §11.2.3.1.5).
func (u *ue) freeEBI() (id.EBI, bool) {
	used := u.status()
	for e := firstEBI; e <= 15; e++ {
		if !used.Active(e) {
			return e, true
		}
	}
	return 0, false
}

// refuseSession turns a gateway's refusal into causes (TS 29.274 annex C,
// TS 24.301 §6.5.1.4); other errors pass.
func refuseSession(err error, w wish) error {
	refusal, ok := errors.AsType[*gtpc.CauseError](err)
	if !ok {
		if interrupted(err) {
			return err
		}
		return refuse(eps.EMMCauseNetworkFailure, err)
	}
	esm := esmCause(refusal.Cause)
	switch {
	case refusal.Cause != gtpc.PDNTypeNotSupported:
	case w.pdn == eps.PDNTypeIPv6:
		esm = eps.ESMCausePDNTypeIPv4OnlyAllowed
	case w.pdn == eps.PDNTypeIPv4:
		esm = eps.ESMCausePDNTypeIPv6OnlyAllowed
	}
	return refusePDN(esm, err)
}

// pathFailed is what becomes of a phone whose path the gateway was to move: one whose
// session it has lost is to attach again. One whose record is not written has all it
// had, and comes back by a service request when it has been released.
func pathFailed(err error) error {
	switch {
	case err == nil || err == errStopping:
		return err
	case errors.Is(err, errStorage):
		return silent(err)
	}
	return reattach(err)
}

// modifyBearers tells the gateway the eNB's ends of all tunnels, with the segment
// and, after a renewal, the ticket. What reaches the phone meanwhile waits: with
// the gateway's answer the procedure has succeeded, and is not to be undone by
// what came just before.
func (c *conn) modifyBearers(segment []byte) error {
	ctx, cancel := context.WithTimeout(c.m.ctx, c.m.o.GatewayTimeout)
	defer cancel()
	for i, p := range c.ue.pdns {
		if p.asked && p.first().enb == (s11.FTEID{}) { // it is being set up
			continue
		}
		if i > 0 { // every session has a segment of its own
			var err error
			if segment, err = c.signed(); err != nil {
				return err
			}
		}
		if err := c.modifyBearer(ctx, p, segment); err != nil {
			return err
		}
	}
	c.dataWaiting = false
	return nil
}

// signed is sign, with its number on disk.
func (c *conn) signed() ([]byte, error) {
	segment, err := c.sign()
	if err == nil {
		err = c.commit()
		c.ue.show(func(i *UEInfo) { i.Segment = c.ue.lease.segments })
	}
	return segment, err
}

// modifyOne is modifyBearers for one PDN connection that has come since.
func (c *conn) modifyOne(p *pdn) error {
	segment, err := c.signed()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.m.ctx, c.m.o.GatewayTimeout)
	defer cancel()
	return c.modifyBearer(ctx, p, segment)
}

func (c *conn) modifyBearer(ctx context.Context, p *pdn, segment []byte) error {
	u := c.ue
	m := s11.ModifyBearer{ENB: p.first().enb, Segment: segment}
	for _, b := range p.bearers[1:] {
		if b.enb != (s11.FTEID{}) {
			m.Dedicated = append(m.Dedicated, s11.Tunnel{EBI: b.ebi, ENB: b.enb})
		}
	}
	if p.told != u.lease {
		m.Ticket = u.lease.raw
	}
	err := c.m.o.Gateway.Modify(ctx, p.session, m)
	if lost, ok := errors.AsType[*s11.BearersGone](err); ok {
		c.gone("the gateway does not have them", lost.EBIs...)
		err = nil
	}
	if err != nil {
		if c.m.ctx.Err() != nil {
			return errStopping
		}
		c.notShownAgain(err)
		return err
	}
	p.told, u.shown = u.lease, u.lease
	return nil
}

// notShownAgain drops a lease whose ticket the gateway does not take, or whose
// session it has ended: the ticket is used up, and the home can grant another.
func (c *conn) notShownAgain(err error) {
	refusal, ok := errors.AsType[*gtpc.CauseError](err)
	if ok && (refusal.Cause == gtpc.UserAuthFailed || refusal.Cause == gtpc.ContextNotFound) {
		c.ue.lease = nil
	}
}

// deleteSessions ends the phone's PDN connections. What the gateway answers
// changes nothing here; an interruption is given back, or that the record is not
// written: the sessions end all the same, for the phone has them no more.
func (c *conn) deleteSessions() error { return c.closeAll(c.takeSessions()) }

func (c *conn) closeAll(pdns []*pdn) error {
	if len(pdns) == 0 {
		return nil
	}
	l := c.ue.closes(pdns)
	unwritten := c.commit()
	_, err := finish(c, c.m.o.GatewayTimeout, func(ctx context.Context) (struct{}, error) {
		c.m.deleteAt(ctx, l)
		return struct{}{}, nil
	})
	return cmp.Or(err, unwritten)
}

// cleanUp is deleteSessions for a procedure that has ended already: it hears
// nothing meanwhile, for the reason it ended must not be lost to another.
func (c *conn) cleanUp() {
	if pdns := c.takeSessions(); len(pdns) > 0 {
		ctx, cancel := context.WithTimeout(c.m.ctx, c.m.o.GatewayTimeout)
		defer cancel()
		l := c.ue.closes(pdns)
		_ = c.commit() // the sessions are to end whatever becomes of the record
		c.m.deleteAt(ctx, l)
	}
}

// takeSessions leaves the phone without PDN connections.
func (c *conn) takeSessions() []*pdn {
	pdns := c.m.known.takeAll(c.ue)
	if len(pdns) > 0 {
		c.ue.show(func(i *UEInfo) { i.Bearers = nil })
	}
	return pdns
}

func (m *MME) deleteAt(ctx context.Context, list []*closing) {
	for _, l := range list {
		if err := m.o.Gateway.Delete(ctx, l.session); err != nil {
			m.log.Warn("session not deleted", "imsi", l.session.IMSI, "address", l.session.Address, "err", err)
		}
		if m.ctx.Err() == nil {
			l.gone.Store(true)
		}
	}
}

// tunnels takes the eNB's ends of the bearers and gives the bearers without.
func (u *ue) tunnels(m *s1ap.InitialContextSetupResponse) (failed []id.EBI) {
	u.noTunnels()
	for i := range m.ERABSetupListCtxtSURes {
		item := &m.ERABSetupListCtxtSURes[i]
		if _, b := u.bearer(id.EBI(item.ERABID)); b != nil {
			b.enb, _ = tunnelEnd(&item.TransportLayerAddress, item.GTPTEID, b.sgw.Addr)
		}
	}
	for _, b := range u.bearersOf() {
		if b.enb == (s11.FTEID{}) {
			failed = append(failed, b.ebi)
		}
	}
	return failed
}
