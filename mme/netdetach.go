package mme

import (
	"errors"
	"fmt"
	"slices"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/mme/s11"
)

// NetworkDetach is how the network detaches a phone (TS 24.301 §5.5.2.3).
type NetworkDetach struct {
	// Type is whether the phone is to attach again. NetworkDetachTypeIMSI takes
	// from it only services this network does not have. Zero is
	// NetworkDetachTypeReattach.
	Type  eps.NetworkDetachType
	Cause eps.EMMCause // told to the phone; 0 tells none
	Why   string       // for people
}

// ErrNotRegistered says that an order is about a phone that is not registered
// here.
var ErrNotRegistered = errors.New("mme: no such phone is registered")

// Detach orders a phone to be detached; how that ended is told as a
// ProcedureDone "network detach". An idle phone is paged first, and detached
// without its knowing if it does not answer. A phone that is not to attach again
// must answer its home anew if it does. Detach does not wait for the phone.
func (m *MME) Detach(imsi id.IMSI, d NetworkDetach) error {
	if d.Type == 0 {
		d.Type = eps.NetworkDetachTypeReattach
	}
	if d.Type > eps.NetworkDetachTypeIMSI {
		return fmt.Errorf("mme: detach type %d, want 1 to 3 (TS 24.301 §9.9.3.7)", uint8(d.Type))
	}
	if d.Why == "" {
		d.Why = "detached by the network"
	}
	m.known.mu.Lock()
	u := m.known.byIMSI[imsi]
	if u == nil || u.owner == nil && !u.registered {
		m.known.mu.Unlock()
		return ErrNotRegistered
	}
	owner := u.owner
	if owner == nil {
		u.order = &d
	}
	m.known.mu.Unlock()
	switch {
	case owner != nil:
		if owner.in.put(inbound{msg: detachOrder{u, d}}, true) == putClosed {
			<-owner.done // it has parked the phone by now or is about to
			return m.Detach(imsi, d)
		}
	case !m.reach(u, false):
		m.spawn(func() { m.detachIdle(u) })
	}
	return nil
}

// detachIdle carries out what was ordered of a phone that cannot be told.
func (m *MME) detachIdle(u *ue) {
	m.known.mu.Lock()
	d := u.order
	if d == nil || u.owner != nil {
		m.known.mu.Unlock()
		return
	}
	u.order = nil
	m.known.mu.Unlock()
	m.count.procedure("network detach", "not told")
	if d.Type != eps.NetworkDetachTypeIMSI {
		m.forgetIdle(u, d.Why+"; the phone does not know", d.Type == eps.NetworkDetachTypeNoReattach)
	}
}

// networkDetach asks settle to detach the phone.
type networkDetach struct {
	NetworkDetach
	why error
}

func (e *networkDetach) Error() string { return e.why.Error() }

// reattach detaches a phone that is to come back at once.
func reattach(why error) error {
	return &networkDetach{NetworkDetach{Type: eps.NetworkDetachTypeReattach}, why}
}

// ordered is what an order to detach does to what is under way: it ends, and an
// attach is refused. A detach that is under way already is enough.
func (c *conn) ordered(o detachOrder) error {
	d := o.NetworkDetach
	if o.u != c.ue { // which this connection has left since
		_ = c.m.Detach(o.u.imsi, d)
		return nil
	}
	if c.proc != nil {
		switch c.proc.asked.nas.(type) {
		case *eps.AttachRequest:
			cause := d.Cause
			if cause == 0 {
				cause = eps.EMMCauseNetworkFailure
			}
			c.ue.lease = nil
			return refuse(cause, errors.New(d.Why))
		case *eps.DetachRequest:
			return nil
		}
		if c.proc.name == networkDetachName {
			return nil
		}
	}
	c.order = &d // until it is carried out; the connection may end first
	return &networkDetach{d, errors.New(d.Why)}
}

// begunAnyway says what becomes of an order when the phone, paged for it or not,
// comes with a message of its own.
func (c *conn) begunAnyway(m eps.Message) error {
	d := c.order
	switch m.(type) {
	case *eps.AttachRequest:
		if d.Type == eps.NetworkDetachTypeNoReattach {
			c.ue.lease = nil // the home decides
		}
	case *eps.DetachRequest:
	default:
		return &networkDetach{*d, errors.New(d.Why)}
	}
	c.order = nil
	return nil
}

const networkDetachName = "network detach"

// detachPhone is detach by the network (TS 24.301 §5.5.2.3): what the phone has
// here ends, and it is told until it accepts.
func (c *conn) detachPhone(d *networkDetach) error {
	c.proc = begun(networkDetachName, inbound{})
	c.proc.yielding = d.Type == eps.NetworkDetachTypeIMSI
	c.order = nil
	if d.Type != eps.NetworkDetachTypeIMSI {
		c.m.known.setRegistered(c.ue, false)
		if d.Type == eps.NetworkDetachTypeNoReattach {
			c.ue.lease = nil
		}
		err := c.deleteSessions()
		c.changed(func(i *UEInfo) { i.State, i.Bearers, i.Reason = Deregistered, nil, d.Error() })
		if err != nil {
			return err
		}
	}
	m := &eps.NetworkDetachRequest{Type: d.Type}
	if d.Cause != 0 {
		m.Cause = eps.Some(d.Cause)
	}
	err := c.exchange(t3422,
		func() error { return c.send(m) },
		func(in inbound) (verdict, error) { return c.detachAnswer(d, in) })
	if (err == nil || errors.Is(err, errNoAnswer)) && !(c.standing() && d.Type == eps.NetworkDetachTypeIMSI) {
		c.over = detachCause
	}
	return err
}

// detachAnswer takes the phone's Detach Accept, or what it says before it has
// heard of the detach (TS 24.301 §5.5.2.3.5 c, d). Requests for service and
// updates are not heard (§5.5.2.3.5 e, f).
func (c *conn) detachAnswer(d *networkDetach, in inbound) (verdict, error) {
	switch m := in.nas.(type) {
	case *eps.DetachAccept:
		return finished, nil
	case *eps.DetachRequest:
		if m.Type.SwitchOff() {
			return finished, nil
		}
		return finished, c.send(&eps.DetachAccept{})
	case *eps.AttachRequest:
		if d.Type == eps.NetworkDetachTypeNoReattach {
			c.m.count.drop(dropNASUnexpected)
			return taken, nil
		}
	}
	return notMine, nil
}

// sessionLost is a detach, to attach again, after the gateway has lost or ended
// a session of the phone.
func (c *conn) sessionLost(s *s11.Session) error {
	i := slices.IndexFunc(c.ue.pdns, func(p *pdn) bool { return p.session == s })
	if i < 0 || !c.m.known.shut(c.ue, c.ue.pdns[i]) { // it has another by now, or none
		return nil
	}
	c.ue.lease = nil // the gateway knows no more what was carried under it
	why := errors.New("the gateway has ended the session")
	if c.proc != nil {
		if _, ok := c.proc.asked.nas.(*eps.AttachRequest); ok {
			return refuse(eps.EMMCauseNetworkFailure, why)
		}
	}
	return reattach(why)
}
