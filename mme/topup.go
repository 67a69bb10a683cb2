package mme

import "campanile.network/3gpp/id"

// renewOrder asks for a new lease before the old one's time: see MME.Renew.
type renewOrder struct{}

// Renew has a phone's home asked for a new lease at once, as after its subscriber has
// paid for more: what is left of the old one is given up. A connected phone goes on
// meanwhile, an idle one is paged; one that does not hear that is asked when it comes.
// Renew does not wait; how it ends is told as a ProcedureDone "lease renewal", or of an
// idle phone as that of what it comes for.
func (m *MME) Renew(imsi id.IMSI) error {
	m.known.mu.Lock()
	u := m.known.byIMSI[imsi]
	if u == nil || !u.registered || u.guest {
		m.known.mu.Unlock()
		return ErrNotRegistered
	}
	u.renewal = true
	owner := u.owner
	m.known.mu.Unlock()
	if owner == nil || owner.in.put(inbound{msg: renewOrder{}}, true) == putClosed {
		m.reach(u, false)
	}
	return nil
}

// renewalDue says that a lease is asked for before the old one's time.
func (c *conn) renewalDue() bool {
	c.m.known.mu.Lock()
	defer c.m.known.mu.Unlock()
	return c.ue.renewal
}

// renewed says that the home has given a lease.
func (c *conn) renewed() {
	c.m.known.mu.Lock()
	defer c.m.known.mu.Unlock()
	c.ue.renewal = false
}
