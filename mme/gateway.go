package mme

import (
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
}

var _ Gateway = (*s11.Client)(nil)

// defaultEBI is the bearer of the one PDN connection a phone has.
const defaultEBI id.EBI = 5

// createSession opens the phone's PDN session; the ticket rides along.
func (c *conn) createSession(pdn *eps.PDNConnectivityRequest, pco eps.PCO) error {
	u, p := c.ue, c.ue.lease.profile
	tai, cell := c.leg.place()
	request := s11.CreateSession{
		IMSI: u.imsi, MSISDN: p.MSISDN, IMEI: u.imei, APN: p.APN, PDNType: uint8(pdn.PDNType), EBI: defaultEBI,
		QCI: p.QCI, ARP: gtpc.ARP{Level: p.ARP, Preemptable: true}, AMBR: gtpc.AMBR{UL: p.AMBRUL, DL: p.AMBRDL},
		TAI: tai, ECGI: cell, PCO: pco, Ticket: u.lease.raw,
	}
	s, err := finish(c, c.m.o.GatewayTimeout, func(ctx context.Context) (*s11.Session, error) { return c.m.o.Gateway.Create(ctx, request) })
	if s != nil {
		c.m.known.setSession(u, s)
		u.told = u.lease
	}
	if err != nil {
		c.notShownAgain(err)
		return refuseSession(err)
	}
	if !s.Address.Is4() || !s.SGW.Addr.IsValid() || s.SGW.TEID == 0 || s.EBI != defaultEBI || s.QoS.ARP.Level > 15 {
		return refuse(eps.EMMCauseNetworkFailure, fmt.Errorf("the gateway's session cannot be used: address %v, tunnel %v %v, EBI %d, ARP %d",
			s.Address, s.SGW.Addr, s.SGW.TEID, s.EBI, s.QoS.ARP.Level))
	}
	u.show(func(i *UEInfo) {
		i.Address, i.APN = s.Address, p.APN
		i.Bearers = []BearerInfo{{EBI: s.EBI, QCI: s.QoS.QCI, Gateway: s.SGW.Addr, UL: s.SGW.TEID}}
	})
	return nil
}

// refuseSession turns a gateway's refusal into causes (TS 29.274 annex C,
// TS 24.301 §6.5.1.4); other errors pass.
func refuseSession(err error) error {
	refusal, ok := errors.AsType[*gtpc.CauseError](err)
	if !ok {
		if interrupted(err) {
			return err
		}
		return refuse(eps.EMMCauseNetworkFailure, err)
	}
	esm := eps.ESMCauseRequestRejectedByServingGWOrPDNGW
	switch refusal.Cause {
	case gtpc.NoResources, gtpc.NoMemory, gtpc.AllAddressesOccupied:
		esm = eps.ESMCauseInsufficientResources
	case gtpc.UnknownAPN:
		esm = eps.ESMCauseMissingOrUnknownAPN
	case gtpc.PDNTypeNotSupported:
		esm = eps.ESMCausePDNTypeIPv4OnlyAllowed
	case gtpc.UserAuthFailed, gtpc.APNAccessDenied:
		esm = eps.ESMCauseUserAuthenticationFailed
	}
	return refusePDN(esm, err)
}

// modifyBearer tells the gateway the eNB's end of the tunnel, with the segment
// and, after a renewal, the ticket. What reaches the phone meanwhile waits: with
// the gateway's answer the procedure has succeeded, and is not to be undone by
// what came just before.
func (c *conn) modifyBearer(enb s11.FTEID, segment []byte) error {
	u := c.ue
	m := s11.ModifyBearer{ENB: enb, Segment: segment}
	if u.told != u.lease {
		m.Ticket = u.lease.raw
	}
	ctx, cancel := context.WithTimeout(c.m.ctx, c.m.o.GatewayTimeout)
	defer cancel()
	err := c.m.o.Gateway.Modify(ctx, u.session, m)
	if err != nil && c.m.ctx.Err() != nil {
		return errStopping
	}
	if err == nil {
		u.told = u.lease
		c.dataWaiting = false
	}
	c.notShownAgain(err)
	return err
}

// notShownAgain drops a lease whose ticket the gateway does not take, or whose
// session it has ended: the ticket is used up, and the home can grant another.
func (c *conn) notShownAgain(err error) {
	refusal, ok := errors.AsType[*gtpc.CauseError](err)
	if ok && (refusal.Cause == gtpc.UserAuthFailed || refusal.Cause == gtpc.ContextNotFound) {
		c.ue.lease = nil
	}
}

// deleteSession ends the phone's session. What the gateway answers changes
// nothing here; an interruption is given back.
func (c *conn) deleteSession() error { return c.closeSession(c.takeSession()) }

func (c *conn) closeSession(s *s11.Session) error {
	if s == nil {
		return nil
	}
	_, err := finish(c, c.m.o.GatewayTimeout, func(ctx context.Context) (struct{}, error) {
		c.m.deleteAt(ctx, s)
		return struct{}{}, nil
	})
	return err
}

// cleanUp is deleteSession for a procedure that has ended already: it hears
// nothing meanwhile, for the reason it ended must not be lost to another.
func (c *conn) cleanUp() {
	if s := c.takeSession(); s != nil {
		ctx, cancel := context.WithTimeout(c.m.ctx, c.m.o.GatewayTimeout)
		defer cancel()
		c.m.deleteAt(ctx, s)
	}
}

// takeSession leaves the phone without session.
func (c *conn) takeSession() *s11.Session {
	s := c.m.known.setSession(c.ue, nil)
	if s != nil {
		c.ue.show(func(i *UEInfo) { i.Bearers = nil })
	}
	return s
}

func (m *MME) deleteAt(ctx context.Context, s *s11.Session) {
	if err := m.o.Gateway.Delete(ctx, s); err != nil {
		m.log.Warn("session not deleted", "imsi", s.IMSI, "address", s.Address, "err", err)
	}
}

// enbTunnel reads the eNB's end of the default bearer.
func enbTunnel(m *s1ap.InitialContextSetupResponse) (s11.FTEID, bool) {
	for i := range m.ERABSetupListCtxtSURes {
		item := &m.ERABSetupListCtxtSURes[i]
		addr, err := item.TransportLayerAddress.Addr()
		if id.EBI(item.ERABID) == defaultEBI && err == nil && item.GTPTEID.ID() != 0 {
			return s11.FTEID{Addr: addr, TEID: item.GTPTEID.ID()}, true
		}
	}
	return s11.FTEID{}, false
}

// GatewayRestarted says that the gateway has lost or ended sessions, as
// s11.Options.OnGatewayRestart does; it does not block. The phones are
// deregistered; they learn it when they next ask for service.
func (m *MME) GatewayRestarted(sessions []*s11.Session) {
	for _, s := range sessions {
		m.known.mu.Lock()
		u := m.known.bySession[s]
		var owner *conn
		if u != nil {
			owner = u.owner
		}
		m.known.mu.Unlock()
		switch {
		case owner != nil:
			owner.in.put(inbound{msg: sessionLost{s}}, true)
		case u != nil && m.known.deregister(u, true) != nil:
			m.deregistered(u, "gateway restarted")
		}
	}
}
