package mme

import (
	"context"
	"errors"

	"campanile.network/3gpp/eps"
)

// connectPDN is the PDN connectivity procedure for a further PDN connection
// (TS 24.301 §6.5.1, §6.4.1; TS 23.401 §5.10.2): ESM information, subscription,
// gateway, default bearer at eNB and phone, downlink.
func (c *conn) connectPDN(m *eps.PDNConnectivityRequest) error {
	p, err := c.openPDN(m)
	if err != nil {
		c.closePDN(p)
		return alone(err)
	}
	if err := c.activate(p, p.first(), p.activation(m.PTI)); err != nil {
		c.closePDN(p)
		return err
	}
	p.asked = false
	if err := c.modifyOne(p); err != nil {
		c.closePDN(p)
		if err == errStopping {
			return err
		}
		if e := c.deactivate(p, p.bearers, &eps.DeactivateEPSBearerContextRequest{EBI: p.linked(), Cause: eps.ESMCauseNetworkFailure}); e != nil {
			return e
		}
		return abandon("the gateway does not take the bearer: %w", err)
	}
	c.changed(c.ue.showBearers)
	return nil
}

// openPDN is everything of it before the phone is told.
func (c *conn) openPDN(m *eps.PDNConnectivityRequest) (*pdn, error) {
	if err := checkPDN(m); err != nil {
		return nil, err
	}
	if m.Request == eps.RequestTypeHandover {
		return nil, refusePDN(eps.ESMCausePDNConnectionDoesNotExist, errors.New("handover of a PDN connection from another access"))
	}
	if c.ue.lease == nil { // until it is renewed
		return nil, refusePDN(eps.ESMCauseServiceOptionTemporarilyOutOfOrder, errors.New("the phone's ticket is used up"))
	}
	w, err := c.esmInformation(m)
	if err != nil {
		return nil, err
	}
	if c.ue.twin(w) != nil {
		return nil, refusePDN(eps.ESMCauseMultiplePDNConnectionsForAGivenAPNNotAllowed, errors.New("the phone has a PDN connection with that APN"))
	}
	return c.createSession(w)
}

// alone makes of a refusal that would end an attach one of the PDN connection.
func alone(err error) error {
	f, ok := errors.AsType[*failure](err)
	switch {
	case !ok || f.sim:
		return err
	case f.esm != 0:
		return &esmFailure{cause: f.esm, why: f.why}
	}
	return &esmFailure{cause: eps.ESMCauseNetworkFailure, why: f.why}
}

// closePDN ends a PDN connection at the gateway, without hearing anything
// meanwhile; p may be nil, or closed already.
func (c *conn) closePDN(p *pdn) {
	if p == nil || !c.m.known.shut(c.ue, p) {
		return
	}
	ctx, cancel := context.WithTimeout(c.m.ctx, c.m.o.GatewayTimeout)
	defer cancel()
	l := c.ue.closes([]*pdn{p})
	_ = c.commit() // the session is to end whatever becomes of the record
	c.m.deleteAt(ctx, l)
	c.changed(c.ue.showBearers)
}

// disconnectPDN is the PDN disconnect procedure (TS 24.301 §6.5.2, TS 23.401
// §5.10.3): the session ends, then the phone's and the eNB's bearers. The last PDN
// connection stays.
func (c *conn) disconnectPDN(m *eps.PDNDisconnectRequest) error {
	p := c.ue.linkedTo(m.Linked)
	switch {
	case p == nil:
		return refuseESM(eps.ESMCauseInvalidEPSBearerIdentity, "the phone has no PDN connection of default bearer %d", m.Linked)
	case len(c.ue.pdns) == 1: // TS 24.301 §6.5.2.4
		return refuseESM(eps.ESMCauseLastPDNDisconnectionNotAllowed, "it is the phone's last PDN connection")
	}
	c.closePDN(p)
	return c.deactivate(p, p.bearers, &eps.DeactivateEPSBearerContextRequest{EBI: m.Linked, PTI: m.PTI, Cause: eps.ESMCauseRegularDeactivation})
}
