package mme

import (
	"errors"
	"fmt"

	"campanile.network/3gpp/eps"
)

// attach is the attach procedure (TS 24.301 §5.5.1.2): identify, authenticate,
// secure, ESM information, connect the gateway, accept.
func (c *conn) attach(req *eps.AttachRequest, in inbound) (err error) {
	defer c.detachOn(&err)
	if err := c.mayCall(req); err != nil {
		return err
	}
	asked, err := c.pdnRequest(req)
	if err != nil {
		return err
	}
	prove := c.prove
	if urgent(req) {
		prove = c.proveUrgent
	}
	if err := prove(req, in); err != nil {
		return err
	}
	if req, asked, err = c.meant(req, asked); err != nil {
		return err
	}
	if err := c.enter(); err != nil {
		return err
	}
	c.ue.drx = req.DRX.V
	what := c.esmInformation
	if urgent(req) {
		what = c.callSession
	}
	w, err := what(asked)
	if err != nil {
		return err
	}
	if err := c.deleteSessions(); err != nil { // of an attach before
		return err
	}
	p, err := c.openSession(w)
	if err != nil {
		return err
	}
	if err := c.accept(req, asked.PTI, p); err != nil {
		return err
	}
	return c.inform()
}

// openSession is createSession, once more under a new lease if the gateway does
// not take the one that an earlier attach got.
func (c *conn) openSession(w wish) (*pdn, error) {
	shown := c.ue.shown == c.ue.lease
	p, err := c.createSession(w)
	if f, ok := errors.AsType[*failure](err); !ok || f.esm == 0 || !shown || c.ue.lease != nil {
		return p, err
	}
	if err := c.authenticate(); err != nil {
		return nil, err
	}
	if err := c.secure(); err != nil {
		return nil, err
	}
	return c.createSession(w)
}

// known says whether the phone has shown that it holds keys this MME has, for
// the capabilities it had, and whether its lease is good for a while: then it
// needs no authentication.
func (c *conn) known(req *eps.AttachRequest, in inbound) bool {
	return in.sec == verified && !c.stale() && req.Capability.Security(req.MSCapability) == c.ue.capability
}

// prove makes sure that the phone's SIM has answered its home, lately enough.
func (c *conn) prove(req *eps.AttachRequest, in inbound) error {
	if c.known(req, in) {
		return nil
	}
	if in.sec != verified {
		c.stranger()
		if err := c.identify(req); err != nil {
			return err
		}
	}
	c.ue.capability = req.Capability.Security(req.MSCapability)
	if err := c.authenticate(); err != nil {
		return err
	}
	c.ue.capability = req.Capability.Security(req.MSCapability) // of another ue, if the GUTI was wrong
	return c.secure()
}

// detachOn leaves nothing of an attach that failed: the phone is deregistered,
// its session deleted. Its security context stays (TS 24.301 §4.4.2.1).
func (c *conn) detachOn(err *error) {
	if *err == nil || shown(*err) {
		return
	}
	c.m.known.setRegistered(c.ue, false)
	c.ue.accepted = false
	if errors.Is(*err, errStopping) || errors.Is(*err, errGiven) {
		return
	}
	c.cleanUp()
	c.changed(func(i *UEInfo) { i.State, i.Reason = Deregistered, (*err).Error() })
}

// pdnRequest reads the PDN connectivity request in an attach request.
func (c *conn) pdnRequest(req *eps.AttachRequest) (*eps.PDNConnectivityRequest, error) {
	m, err := eps.Parse(eps.Uplink, req.ESM)
	if err != nil {
		cause := eps.ESMCauseProtocolErrorUnspecified
		if e, ok := errors.AsType[*eps.Error](err); ok {
			c.proc.pti = e.PTI
			if e.Cause != 0 {
				cause = eps.ESMCause(e.Cause)
			}
		}
		return nil, refusePDN(cause, fmt.Errorf("PDN connectivity request: %w", err))
	}
	asked, ok := m.(*eps.PDNConnectivityRequest)
	if !ok {
		return nil, refusePDN(eps.ESMCauseMessageTypeNotCompatibleWithTheProtocolState, fmt.Errorf("attach request with %v", m.MessageType()))
	}
	c.proc.pti = asked.PTI
	checked := *asked
	if urgent(req) && asked.Request == eps.RequestTypeEmergency {
		checked.Request = eps.RequestTypeInitial
	}
	return asked, checkPDN(&checked)
}

// esmInformation asks for what the phone holds back until exchange is secure
// (TS 24.301 §6.6.1.2) and gives what it may have; a DNS server is asked for
// always.
func (c *conn) esmInformation(asked *eps.PDNConnectivityRequest) (w wish, err error) {
	apn, pco := asked.APN, asked.PCO.V
	if asked.InformationTransfer.OK && asked.InformationTransfer.V == eps.InformationTransferFlagYes {
		err := c.exchange(t3489,
			func() error { return c.send(&eps.ESMInformationRequest{PTI: asked.PTI}) },
			func(in inbound) (verdict, error) {
				m, ok := in.nas.(*eps.ESMInformationResponse)
				if !ok || m.PTI != asked.PTI {
					return notMine, nil
				}
				apn, pco = m.APN, m.PCO.V
				return finished, nil
			})
		if errors.Is(err, errNoAnswer) {
			return w, refusePDN(eps.ESMCauseESMInformationNotReceived, err)
		}
		if err != nil {
			return w, err
		}
	}
	if w, err = allow(c.ue.lease.profile, apn, asked.PDNType); err != nil {
		return w, err
	}
	if _, ok := pco.Get(eps.Uplink, eps.ContainerDNSv4); !ok && asked.PDNType != eps.PDNTypeIPv6 {
		pco = pco.With(eps.ContainerDNSv4, nil)
	}
	w.pco = pco
	return w, nil
}
