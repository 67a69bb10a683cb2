package mme

import (
	"fmt"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/nassec"
)

// secure is the security mode control procedure (TS 24.301 §5.4.3): the keys of
// the authentication just done are taken into use.
func (c *conn) secure() error {
	k := c.keys
	eea, eia, err := c.algorithms()
	if err != nil {
		return err
	}
	next, err := newKeyset(nassec.State{Role: nassec.Network, KSI: k.ksi, KASME: k.kasme, EEA: eea, EIA: eia})
	if err != nil {
		return refuse(eps.EMMCauseNetworkFailure, err)
	}
	next.grant = k.lease
	return c.takeIntoUse(next)
}

// takeIntoUse has the phone take a security context into use, with what it grants.
func (c *conn) takeIntoUse(next *keyset) error {
	u, s := c.ue, next.State()
	plain, err := eps.Append(nil, &eps.SecurityModeCommand{
		Algorithms: eps.Algorithms{Ciphering: eps.EEA(s.EEA), Integrity: eps.EIA(s.EIA)}, KSI: eps.KSI(s.KSI),
		Capability: u.capability, IMEISVRequest: eps.Some(eps.IMEISVRequestYes), HashMME: c.hashMME(),
	})
	if err != nil {
		return refuse(eps.EMMCauseNetworkFailure, err)
	}
	u.secMu.Lock()
	u.next = next
	u.secMu.Unlock()
	if err := c.exchange(t3460, func() error { return c.commandSecurity(next, plain) }, c.securityModeAnswer); err != nil {
		return err
	}
	c.keys, c.secured = nil, true
	return nil
}

// algorithms picks for what the phone can do.
func (c *conn) algorithms() (nassec.EEA, nassec.EIA, error) {
	o := c.ue.capability.Octets()
	eea, eia, err := c.m.o.Security.Select(nassec.Capability(o[0]), nassec.Capability(o[1]))
	if err != nil {
		return 0, 0, refuse(eps.EMMCauseUESecurityCapabilitiesMismatch, fmt.Errorf("phone has %v: %w", c.ue.capability, err))
	}
	return eea, eia, nil
}

// commandSecurity sends Security Mode Command under the keys it announces. A
// phone that is known has both sets of keys from then on.
func (c *conn) commandSecurity(next *keyset, plain []byte) error {
	pdu, err := c.protect(next, nassec.IntegrityNewContext, plain)
	if err != nil {
		return err
	}
	return c.transport(pdu)
}

// securityModeAnswer takes Security Mode Complete, whose code under the new keys
// has made them those in use, or Reject.
func (c *conn) securityModeAnswer(in inbound) (verdict, error) {
	switch m := in.nas.(type) {
	case *eps.SecurityModeComplete:
		if in.sec != verified || c.ue.next != nil {
			return notMine, nil
		}
		c.start = in.count
		if m.IMEISV.OK {
			c.ue.imei, _ = m.IMEISV.V.IMEI()
		}
		c.replayed(m)
		return finished, nil
	case *eps.SecurityModeReject: // TS 24.301 §5.4.3.5
		c.ue.secMu.Lock()
		c.ue.next = nil
		c.ue.secMu.Unlock()
		return finished, silent(fmt.Errorf("the phone rejects the security mode: %v", m.Cause))
	}
	return notMine, nil
}
