package mme

import (
	"errors"
	"fmt"
	"time"

	"campanile.network/3gpp/eps"
)

// service is the service request procedure (TS 24.301 §5.6.1): the phone proves
// itself by a short code, bearers are set up; there is no NAS answer.
func (c *conn) service(in inbound) error {
	switch {
	case in.sec != verified:
		return refuse(eps.EMMCauseUEIdentityCannotBeDerivedByTheNetwork, errors.New("no phone with such a key is known"))
	case !c.ue.registered || len(c.ue.pdns) == 0:
		return refuse(eps.EMMCauseImplicitlyDetached, errors.New("the phone is not registered"))
	}
	if err := c.renew(); err != nil {
		c.dismiss(err)
		return err
	}
	s, err := c.openContext(nil)
	if err != nil {
		return err
	}
	if err := c.contextAnswer(s); err != nil {
		return err
	}
	c.ue.requests++
	return c.useContext(s)
}

// extendedService is for CS fallback, which this network does not have, or for
// packet services like service (TS 24.301 §5.6.1.5).
func (c *conn) extendedService(m *eps.ExtendedServiceRequest, in inbound) error {
	if in.sec == verified && m.Type < eps.ServiceTypePacket {
		return c.unlessServed(refuse(eps.EMMCauseCSDomainNotAvailable, fmt.Errorf("service type %v", m.Type)))
	}
	if in.sec == verified && m.Bearers.OK && c.ue.registered {
		if !c.ue.keepsDefault(m.Bearers.V) {
			return c.withoutBearers()
		}
		c.synchronise(m.Bearers.V)
	}
	return c.service(in)
}

// unlessServed is how a service is refused that a phone asks for besides those it
// has: it is told, and keeps its connection.
func (c *conn) unlessServed(err error) error {
	f, ok := errors.AsType[*failure](err)
	if !ok || !c.standing() {
		return err
	}
	m := f.message(c.proc)
	c.report(err)
	c.proc = nil
	return c.send(m)
}

// dismiss deregisters a phone whose home or SIM has refused for good: its session
// ends. A home that is away or busy is no such reason.
func (c *conn) dismiss(err error) {
	f, ok := errors.AsType[*failure](err)
	if !ok || !f.sim && (f.cause == 0 || f.cause == eps.EMMCauseNetworkFailure || f.cause == eps.EMMCauseCongestion) {
		return
	}
	c.m.known.setRegistered(c.ue, false)
	c.cleanUp()
	c.changed(func(i *UEInfo) { i.State, i.Reason = Deregistered, f.Error() })
}

// stale says that the SIM must answer anew before the phone is served: its lease
// is near its end, or its NAS COUNTs are (TS 24.301 §4.4.3.5).
func (c *conn) stale() bool {
	if c.renewalDue() {
		return true
	}
	c.ue.secMu.Lock()
	defer c.ue.secMu.Unlock()
	return !c.ue.lease.fresh(time.Now()) || c.ue.sec == nil || c.ue.sec.NearWrap(countMargin)
}

// countMargin is how many NAS COUNTs must be left in each direction.
const countMargin = 1024

// renew asks the home for a new lease when less than a tenth of it is left. If
// the home is away, what is left is used up first.
func (c *conn) renew() error {
	if !c.stale() {
		return nil
	}
	l := c.ue.lease
	err := c.authenticate()
	if err == nil {
		c.renewed()
		return c.secure()
	}
	if homeAway(err) && l != nil && l.ticket.Valid(time.Now()) {
		c.m.log.Warn("lease not renewed, going on with what is left", "imsi", c.ue.imsi, "until", l.ticket.NotAfter, "err", err)
		return nil
	}
	return err
}
