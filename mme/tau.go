package mme

import (
	"errors"
	"fmt"
	"slices"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
)

// update is the tracking area updating procedure (TS 24.301 §5.5.3.2): normal,
// periodic and combined, in idle and in connected mode. The phone proves itself
// by its keys; bearers that it has given up are given up here; it is told its
// areas, and a GUTI if it is time; its bearers are set up if it has data to send
// or there is data for it.
func (c *conn) update(req *eps.TrackingAreaUpdateRequest, in inbound) error {
	u := c.ue
	switch {
	case in.sec != verified: // TS 24.301 §5.5.3.2.5
		return refuse(eps.EMMCauseUEIdentityCannotBeDerivedByTheNetwork, errors.New("no phone with such a key is known"))
	case !u.registered || len(u.pdns) == 0:
		return refuse(eps.EMMCauseImplicitlyDetached, errors.New("the phone is not registered"))
	case req.Bearers.OK && !u.keepsDefault(req.Bearers.V):
		return c.withoutBearers()
	}
	if req.Bearers.OK {
		c.synchronise(req.Bearers.V)
	}
	active := req.Type.Active() || c.dataWaiting || c.sms.waiting != nil || c.opening() != nil
	if err := c.renew(); err != nil && (active || !homeAway(err)) {
		c.dismiss(err)
		return err
	}
	changed, err := c.adopt(req)
	if err != nil {
		return err
	}
	s, err := c.acceptUpdate(req, active && !c.standing())
	if err != nil {
		return err
	}
	if s != nil {
		if err := c.useContext(s); err != nil {
			return err
		}
	}
	if !c.standing() || changed { // the eNB learns changed capabilities with the next context
		c.over = s1ap.CauseNasNormalRelease.Cause()
	}
	return c.inform()
}

// withoutBearers answers a phone that has given up its last PDN connection,
// which this MME does not register phones without (TS 24.301 §5.5.3.2.4,
// §5.5.3.2.5).
func (c *conn) withoutBearers() error {
	err := refuse(eps.EMMCauseNoEPSBearerContextActivated, errors.New("the phone has no bearer any more"))
	c.m.known.setRegistered(c.ue, false)
	c.cleanUp()
	c.changed(func(i *UEInfo) { i.State, i.Reason = Deregistered, err.Error() })
	return err
}

// keepsDefault says that a default bearer is left of those that the phone has.
func (u *ue) keepsDefault(has eps.BearerStatus) bool {
	return slices.ContainsFunc(u.pdns, func(p *pdn) bool { return has.Active(p.linked()) })
}

// synchronise gives up the bearers that the phone has given up, without telling it
// (TS 24.301 §5.5.3.2.4, §5.6.1.4.1); at least one default bearer is left.
func (c *conn) synchronise(has eps.BearerStatus) {
	var lost []id.EBI
	for _, b := range c.ue.bearersOf() {
		if !has.Active(b.ebi) {
			lost = append(lost, b.ebi)
		}
	}
	c.gone("the phone has given them up", lost...)
}

// adopt takes over what the phone says of itself (TS 24.301 §5.5.3.2.4). It
// tells whether the security capabilities have changed; algorithms that do not
// fit them any more are replaced.
func (c *conn) adopt(req *eps.TrackingAreaUpdateRequest) (changed bool, err error) {
	u := c.ue
	if req.RadioCapabilityUpdate.OK && req.RadioCapabilityUpdate.V == eps.RadioCapabilityUpdateNeeded {
		u.radio, u.radioPaging = nil, nil // the eNB asks for it at the next context setup
	}
	if req.DRX.OK {
		u.drx = req.DRX.V
	}
	if !req.Capability.OK {
		return false, nil
	}
	has := req.Capability.V.Security(req.MSCapability)
	if has == u.capability {
		return false, nil
	}
	u.capability = has
	eea, eia, err := c.algorithms()
	if err != nil {
		return true, err
	}
	u.secMu.Lock()
	usedEEA, usedEIA := u.sec.Algorithms()
	u.secMu.Unlock()
	if eea == usedEEA && eia == usedEIA {
		return true, nil
	}
	if err := c.authenticate(); err != nil {
		return true, err
	}
	return true, c.secure()
}

// acceptUpdate sends Tracking Area Update Accept, and Initial Context Setup
// Request if bearers are wanted, and waits for the phone's Complete if it was
// given a GUTI, and for the eNB's response (TS 24.301 §5.5.3.2.4, TS 23.401
// §5.3.3.2). The phone's GUTIs are both good until it confirms the new one.
func (c *conn) acceptUpdate(req *eps.TrackingAreaUpdateRequest, bearers bool) (s *contextSetup, err error) {
	u := c.ue
	tais := c.m.trackingAreas(c.leg, req.LastTAI)
	complete := req.Type.Kind() != eps.UpdatePeriodic && !c.m.aged(u)
	if complete {
		u.tais = tais
	} else if err := c.m.known.assign(u, tais); err != nil {
		return nil, refuse(eps.EMMCauseNetworkFailure, err)
	}
	c.showPlace()
	at := c.leg
	accept := c.updateAccept(req, !complete)
	if err := c.send(accept); err != nil {
		return nil, err
	}
	if bearers {
		if s, err = c.openContext(nil); err != nil {
			return nil, err
		}
	}
	answer := func(in inbound) (verdict, error) {
		switch in.nas.(type) {
		case *eps.TrackingAreaUpdateComplete:
			complete = true
			return finished, nil
		case *eps.TrackingAreaUpdateRequest:
			if sameRequest(in, c.proc.asked) { // TS 24.301 §5.5.3.2.7 d
				return taken, c.send(accept)
			}
		}
		return c.noted(s, in)
	}
	if !complete {
		sent := false // the first went before the Initial Context Setup Request
		again := func() error {
			if !sent {
				sent = true
				return nil
			}
			return c.send(accept)
		}
		if err := c.exchange(t3450, again, answer); err != nil {
			c.overtaken(err, at)
			return nil, err
		}
		c.m.known.confirmed(u)
	}
	return s, c.contextAnswer(s)
}

// updateAccept makes the message (TS 24.301 §8.2.26). Combined updates succeed
// for EPS services only (TS 24.301 §5.5.3.3.4.3).
func (c *conn) updateAccept(req *eps.TrackingAreaUpdateRequest, guti bool) *eps.TrackingAreaUpdateAccept {
	u := c.ue
	m := &eps.TrackingAreaUpdateAccept{
		Result: eps.UpdateResultTA, T3412: eps.Some(c.m.periodic()), TAIs: eps.Some(eps.NewTAIList(u.tais...)),
		Bearers: eps.Some(u.status()),
	}
	m.Features = c.m.features()
	granted := c.grant(saving{req.T3324, req.T3412Extended, req.ExtendedDRX})
	m.T3324, m.T3412Extended, m.ExtendedDRX = granted.active, granted.periodic, granted.edrx
	if guti {
		m.GUTI = eps.Some(eps.FromGUTI(id.GUTI{GUMMEI: c.gummei(), TMSI: u.tmsi}))
	}
	switch req.Type.Kind() {
	case eps.UpdateCombined, eps.UpdateCombinedIMSIAttach:
		if m.LAI, m.AdditionalUpdateResult, m.Cause = c.nonEPS(true); m.LAI.OK {
			m.Result = eps.UpdateResultCombined
		}
	}
	return m
}

// contextAnswer waits for what the eNB says of a context setup, if there is one
// and it has not said it yet.
func (c *conn) contextAnswer(s *contextSetup) error {
	if s == nil || s.done {
		return nil
	}
	err := c.await(contextSetupWait, func(in inbound) (verdict, error) { return c.setupAnswer(s, in) })
	if err == errTimer {
		return silent(fmt.Errorf("no Initial Context Setup Response in %v", contextSetupWait))
	}
	return err
}

// standing says that the phone's bearers stand on the S1 connection in use.
func (c *conn) standing() bool { return c.leg != nil && c.bearers == c.leg }
