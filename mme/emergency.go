package mme

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/nassec"
	"campanile.network/3gpp/secret"
	"campanile.network/wire/home"
)

// Emergency is how phones attach for emergency bearer services (TS 23.401 §4.3.12).
// Whoever sets it has a route to those who answer such calls, and has tried it:
// phones are told that there is one, and look no further.
type Emergency struct {
	// APN is where such sessions go, with their QoS; TS 23.003 §9 has no name for it,
	// "sos" is common.
	APN home.APN
	// Unauthenticated admits phones whose SIM nobody answers for, and those without
	// one, by their IMEI; they have no ticket, which the gateway must accept, and
	// nothing they say is protected (TS 33.401 §15.2.2). They are forgotten when they
	// are not connected.
	Unauthenticated bool
}

func (e *Emergency) check() error {
	if a := e.APN; a.Name.IsZero() || a.QCI == 0 || a.ARP < 1 || a.ARP > 15 || a.AMBRUL == 0 || a.AMBRDL == 0 {
		return fmt.Errorf("mme: Emergency: APN %q, QCI %d, ARP %d, AMBR %v up %v down: none may be missing, ARP is 1 to 15", a.Name, a.QCI, a.ARP, a.AMBRUL, a.AMBRDL)
	}
	return nil
}

// features are those that a phone is told of the network (TS 24.301 §9.9.3.12A).
func (m *MME) features() (f eps.Opt[eps.NetworkFeatures]) {
	if m.o.Emergency != nil {
		f = eps.Some(eps.NewNetworkFeatures(eps.NetEMCBS))
	}
	return f
}

// urgent says that an attach is for emergency bearer services.
func urgent(req *eps.AttachRequest) bool { return req.Type == eps.AttachTypeEmergency }

// mayCall refuses what this network does not do for phones in need: without
// advertising it, so that they look for a network that does (TS 24.301 §5.5.1.1);
// #5 for those without a SIM where only others are served (§5.5.1.2.5).
func (c *conn) mayCall(req *eps.AttachRequest) error {
	_, byIMEI := req.Identity.IMEI()
	e := c.m.o.Emergency
	switch {
	case req.Type == eps.AttachTypeRLOS:
		return refuse(eps.EMMCauseNoSuitableCellsInTrackingArea, errors.New("attach for RLOS, which this network does not offer"))
	case urgent(req) && byIMEI && (e == nil || !e.Unauthenticated):
		return refuse(eps.EMMCauseIMEINotAccepted, errors.New("emergency attach by IMEI, which this network does not offer"))
	case urgent(req) && e == nil:
		return refuse(eps.EMMCauseNoSuitableCellsInTrackingArea, errors.New("emergency attach, which this network does not offer"))
	case !urgent(req) && byIMEI:
		return refuse(eps.EMMCauseSemanticallyIncorrectMessage, errors.New("attach by IMEI, but not for an emergency"))
	}
	return nil
}

// proveUrgent is prove for an emergency: if it fails, whosever fault that is, the
// phone goes on as a guest, where that is allowed.
func (c *conn) proveUrgent(req *eps.AttachRequest, in inbound) error {
	imei, byIMEI := req.Identity.IMEI()
	if !byIMEI {
		err := c.prove(req, in)
		f, ok := errors.AsType[*failure](err)
		if !ok || !f.sim && f.cause == 0 || !c.m.o.Emergency.Unauthenticated {
			return err
		}
		c.m.log.Warn("emergency attach goes on without authentication", "imsi", c.ue.imsi, "err", err)
	}
	c.stranger()
	c.ue.imei, c.ue.guest, c.ue.capability = imei, true, req.Capability.Security(req.MSCapability)
	return c.secureGuest()
}

// secureGuest is security mode control without security: EIA0 and EEA0 under a
// K_ASME that nobody else has (TS 24.301 §5.4.3.2, TS 33.401 §15.2.2).
func (c *conn) secureGuest() error {
	var kasme secret.Key256
	if _, err := rand.Read(kasme[:]); err != nil {
		return refuse(eps.EMMCauseNetworkFailure, err)
	}
	next, err := newKeyset(nassec.State{Role: nassec.Network, KASME: kasme, AllowNullIntegrity: true})
	if err != nil {
		return refuse(eps.EMMCauseNetworkFailure, err)
	}
	a := c.m.o.Emergency.APN
	next.grant = &lease{guest: true, profile: home.Profile{APN: a.Name, QCI: a.QCI, ARP: a.ARP, AMBRUL: a.AMBRUL, AMBRDL: a.AMBRDL, PDN: a.PDN}}
	return c.takeIntoUse(next)
}

// callSession is what an emergency session is to be: the phone names no APN.
func (c *conn) callSession(asked *eps.PDNConnectivityRequest) (wish, error) {
	a := c.m.o.Emergency.APN
	w, err := allow(home.Profile{APN: a.Name, QCI: a.QCI, ARP: a.ARP, AMBRUL: a.AMBRUL, AMBRDL: a.AMBRDL, PDN: a.PDN}, eps.Opt[id.APN]{}, asked.PDNType)
	w.pco = asked.PCO.V
	return w, err
}

// calling says that the phone has an emergency session.
func (c *conn) calling() bool {
	e := c.m.o.Emergency
	return e != nil && slices.ContainsFunc(c.ue.pdns, func(p *pdn) bool { return p.session.APN == e.APN.Name })
}

// leaveGuest forgets a phone that is a guest and ends its session.
func (c *conn) leaveGuest() {
	if !c.ue.guest {
		return
	}
	c.m.known.setRegistered(c.ue, false)
	c.cleanUp()
	c.m.known.mu.Lock()
	c.m.known.remove(c.ue)
	c.m.known.mu.Unlock()
}
