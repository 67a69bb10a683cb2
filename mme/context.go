package mme

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
	"campanile.network/mme/s11"
	"campanile.network/wire/gtpc"
)

// contextSetup is an initial context setup under way (TS 36.413 §8.3.1).
type contextSetup struct {
	leg      *leg   // that has been asked
	under    *lease // whose keys it was told
	segment  []byte
	response *s1ap.InitialContextSetupResponse
	done     bool
}

// opening is the context setup that has been asked for on the S1 connection in use
// and is not in use yet; nil if there is none.
func (c *conn) opening() *contextSetup {
	if c.setup == nil || c.setup.leg != c.leg {
		return nil
	}
	return c.setup
}

// openContext signs the segment and sends Initial Context Setup Request, with the
// NAS message that answer makes, or none. All of it is on disk by one write. What a procedure has asked for that was interrupted is gone
// on with: an S1 connection has one context setup.
func (c *conn) openContext(answer func() ([]byte, error)) (*contextSetup, error) {
	if s := c.opening(); s != nil && answer == nil {
		return s, nil
	}
	u := c.ue
	segment, err := c.sign()
	if err != nil {
		return nil, err
	}
	u.served = true // soon
	var nas []byte
	if answer != nil {
		if nas, err = answer(); err != nil {
			return nil, err
		}
	}
	if err := c.commit(); err != nil {
		return nil, err
	}
	kenb := c.kenb()
	c.access = c.chain(kenb)
	m := &s1ap.InitialContextSetupRequest{
		MMEUES1APID: s1ap.MMEUES1APID(c.leg.mmeID), ENBUES1APID: s1ap.ENBUES1APID(c.leg.enbID),
		UEAggregateMaximumBitrate:  u.ambr(),
		ERABToBeSetupListCtxtSUReq: contextBearers(u, nas),
		UESecurityCapabilities:     securityCapabilities(u),
		SecurityKey:                kenb, UERadioCapability: u.radio,
	}
	c.showPlace()
	u.show(func(i *UEInfo) { i.Segment = u.lease.segments })
	c.setup = &contextSetup{leg: c.leg, under: u.lease, segment: segment}
	return c.setup, c.toENB(m)
}

// sign makes the segment of a session for the phone's stay where it is.
func (c *conn) sign() ([]byte, error) {
	switch {
	case c.leg == nil:
		return nil, &lost{"no S1 connection"}
	case c.ue.lease == nil:
		return nil, refuse(eps.EMMCauseNetworkFailure, errors.New("the phone's ticket is used up"))
	}
	_, cell := c.leg.place()
	segment, err := c.ue.lease.segment(c.m.o.Operator, c.leg.enb.show().Tower, cell, time.Now())
	if err != nil {
		return nil, refuse(eps.EMMCauseNetworkFailure, err)
	}
	return segment, nil
}

// contextBearers lists the phone's bearers for the eNB; a NAS message goes with
// the first.
func contextBearers(u *ue, nas []byte) (list s1ap.ERABToBeSetupListCtxtSUReq) {
	for _, b := range u.bearersOf() {
		list = append(list, s1ap.ERABToBeSetupItemCtxtSUReq{
			ERABID: s1ap.ERABID(b.ebi), ERABLevelQoSParameters: b.parameters(),
			TransportLayerAddress: s1ap.FromAddr(b.sgw.Addr), GTPTEID: s1ap.FromTEID(b.sgw.TEID), NASPDU: nas,
		})
		nas = nil
	}
	return list
}

// parameters are the bearer's QoS in S1AP's words (TS 36.413 §9.2.1.15).
func (b *bearer) parameters() s1ap.ERABLevelQoSParameters {
	most := func(r id.BitRate) s1ap.BitRate { return s1ap.BitRate(min(r, maxAMBR)) }
	q := s1ap.ERABLevelQoSParameters{QCI: s1ap.QCI(b.qos.QCI), AllocationRetentionPriority: retention(b.qos.ARP)}
	if b.qos.GBRDL != 0 || b.qos.GBRUL != 0 {
		q.GBRQosInformation = &s1ap.GBRQosInformation{
			ERABMaximumBitrateDL: most(b.qos.MBRDL), ERABMaximumBitrateUL: most(b.qos.MBRUL),
			ERABGuaranteedBitrateDL: most(b.qos.GBRDL), ERABGuaranteedBitrateUL: most(b.qos.GBRUL),
		}
	}
	return q
}

// showPlace shows where the phone is and what it is called there.
func (c *conn) showPlace() {
	tai, cell := c.leg.place()
	tower := c.leg.enb.show()
	c.ue.show(func(i *UEInfo) {
		i.ENB, i.Tower, i.Cell, i.TAI, i.TMSI, i.Notice = tower.ID, tower.Tower, cell, tai, c.ue.tmsi, tower.Notice
		i.IMEI, i.DRX = c.ue.imei, c.ue.drx.Cycle()
	})
}

// retention is an allocation and retention priority of S11 in S1AP's words.
func retention(a gtpc.ARP) s1ap.AllocationAndRetentionPriority {
	p := s1ap.AllocationAndRetentionPriority{PriorityLevel: s1ap.PriorityLevel(a.Level)}
	if a.CanPreempt {
		p.PreEmptionCapability = s1ap.PreEmptionCapabilityMayTriggerPreEmption
	}
	if a.Preemptable {
		p.PreEmptionVulnerability = s1ap.PreEmptionVulnerabilityPreEmptable
	}
	return p
}

// setupAnswer takes the eNB's outcome of the setup. One to which the phone has gone by
// X2 may be faster with its word: then the context stood.
func (c *conn) setupAnswer(s *contextSetup, in inbound) (verdict, error) {
	switch m := in.msg.(type) {
	case *s1ap.InitialContextSetupResponse:
		s.response, s.done = m, true
		return finished, nil
	case *s1ap.InitialContextSetupFailure:
		return finished, silent(fmt.Errorf("the eNB could not set up the context: %v", m.Cause))
	case *s1ap.ErrorIndication:
		return finished, silent(fmt.Errorf("the eNB indicates an error: %v", m.Cause))
	case *s1ap.PathSwitchRequest:
		err := c.switchPath(in.leg, m)
		if s.done = s.done || c.standing(); s.done || err != nil {
			return finished, err
		}
		return taken, nil
	}
	return notMine, nil
}

// noted is setupAnswer for who waits for something else besides; s may be nil.
func (c *conn) noted(s *contextSetup, in inbound) (verdict, error) {
	if s == nil {
		return notMine, nil
	}
	v, err := c.setupAnswer(s, in)
	if v == finished && err == nil {
		v = taken
	}
	return v, err
}

// useContext opens the downlink, unless the phone has gone to another eNB by now,
// which did that.
func (c *conn) useContext(s *contextSetup) error {
	c.setup = nil
	c.forgetFormer()
	if !c.standing() {
		if err := c.openPath(s); err != nil {
			return err
		}
	}
	c.bearers, c.under = c.leg, s.under
	c.changed(func(i *UEInfo) {
		i.State, i.Reason = Connected, ""
		c.ue.showBearers(i)
	})
	return nil
}

// openPath tells the gateway the eNB's tunnel ends and the segment.
func (c *conn) openPath(s *contextSetup) error {
	failed := c.ue.tunnels(s.response)
	why := "no tunnel in the eNB's response"
	for i := range s.response.ERABFailedToSetupListCtxtSURes {
		why = fmt.Sprintf("the eNB could not set them up: %v", s.response.ERABFailedToSetupListCtxtSURes[i].Cause)
	}
	if !slices.ContainsFunc(c.ue.pdns, func(p *pdn) bool { return p.first().enb != s11.FTEID{} }) {
		return silent(fmt.Errorf("default bearers: %s", why))
	}
	c.gone(why, failed...) // TS 23.401 §5.3.4.1
	c.served, c.bearers = true, nil
	segment := s.segment
	if s.under != c.ue.lease { // the SIM has answered meanwhile; the eNB's keys are changed next
		var err error
		if segment, err = c.signed(); err != nil {
			return err
		}
	}
	return pathFailed(c.modifyBearers(segment))
}

// changed shows and announces a change of the phone, if it is known.
func (c *conn) changed(change func(*UEInfo)) {
	i := c.ue.show(change)
	if !i.IMSI.IsZero() {
		c.m.o.Events(UEChanged{i})
	}
}
