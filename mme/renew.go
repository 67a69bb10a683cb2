package mme

import (
	"errors"
	"fmt"
	"time"

	"campanile.network/3gpp/nassec"
	"campanile.network/3gpp/s1ap"
)

// renewLive asks the SIM of a connected phone anew, before its lease ends: data go
// on meanwhile. A home that is away is asked again when nothing is left of the
// lease; then the phone is sent idle.
func (c *conn) renewLive() error {
	c.proc = begun("lease renewal", inbound{})
	c.proc.yielding = true
	if err := c.renew(); err != nil {
		c.dismiss(err)
		if homeAway(err) {
			return silent(err)
		}
		return err
	}
	return nil
}

// rekey takes the keys and the lease of an authentication on a live connection
// into use there: the eNB gets a K_eNB from the COUNT of the Security Mode
// Complete (TS 33.401 §7.2.9.2, TS 36.413 §8.3.4), the gateway the ticket and the
// first segment under it. An eNB that cannot loses the phone, which comes back by
// a service request with the new keys.
func (c *conn) rekey() error {
	c.proc = begun("key change", inbound{})
	c.proc.yielding = true
	u, ambr := c.ue, c.ue.ambr()
	_, cell := c.leg.place()
	enb := c.leg.enb.show()
	segment, err := u.lease.segment(c.m.o.Operator, enb.Tower, cell, time.Now())
	if err != nil {
		return silent(err)
	}
	m := &s1ap.UEContextModificationRequest{
		MMEUES1APID: s1ap.MMEUES1APID(c.leg.mmeID), ENBUES1APID: s1ap.ENBUES1APID(c.leg.enbID),
		UEAggregateMaximumBitrate: &ambr,
	}
	keys := c.access
	if !c.m.o.KeepKeys(enb) {
		m.SecurityKey, m.UESecurityCapabilities = new(c.kenb()), new(securityCapabilities(u))
		keys = c.chain(*m.SecurityKey)
	}
	if err := c.commit(); err != nil {
		return err
	}
	if err := c.toENB(m); err != nil {
		return err
	}
	c.access.changing = true // until the eNB has, its phone goes nowhere (TS 33.401 §7.2.10)
	defer func() { c.access.changing = false }()
	if err := c.await(contextModificationWait, contextModified); err != nil {
		if err == errTimer {
			err = silent(fmt.Errorf("no UE Context Modification Response in %v", contextModificationWait))
		}
		return err
	}
	if err := pathFailed(c.modifyBearers(segment)); err != nil {
		return err
	}
	c.under, c.access = u.lease, keys
	c.changed(func(i *UEInfo) { i.Segment = u.lease.segments })
	return nil
}

// contextModified takes the eNB's answer (TS 36.413 §8.3.4.2, §8.3.4.3).
func contextModified(in inbound) (verdict, error) {
	switch m := in.msg.(type) {
	case *s1ap.UEContextModificationResponse:
		return finished, nil
	case *s1ap.UEContextModificationFailure:
		return finished, silent(fmt.Errorf("the eNB could not change the keys: %v", m.Cause))
	case *s1ap.ErrorIndication:
		return finished, silent(errors.New("the eNB does not know how to change keys"))
	}
	return notMine, nil
}

// kenb is the K_eNB of the connection as it began, or since the last key change.
func (c *conn) kenb() s1ap.SecurityKey {
	c.ue.secMu.Lock()
	defer c.ue.secMu.Unlock()
	return s1ap.SecurityKey(c.ue.sec.KeNB(c.start))
}

// securityCapabilities are the phone's, in S1AP's words (TS 36.413 §9.2.1.40).
func securityCapabilities(u *ue) s1ap.UESecurityCapabilities {
	o := u.capability.Octets()
	if u.guest { // null algorithms only (TS 33.401 §15.2.2)
		return s1ap.UESecurityCapabilities{}
	}
	return s1ap.UESecurityCapabilities{
		EncryptionAlgorithms:          s1ap.EncryptionAlgorithms(nassec.Capability(o[0]).S1AP()),
		IntegrityProtectionAlgorithms: s1ap.IntegrityProtectionAlgorithms(nassec.Capability(o[1]).S1AP()),
	}
}
