package mme

import (
	"errors"
	"fmt"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
	"campanile.network/mme/s11"
)

// erabs is what an E-RAB procedure of the eNB and the message of session
// management inside it have come to: they are answered in either order
// (TS 36.413 §8.2, TS 23.401 §5.4).
type erabs struct {
	radio bool // the eNB has answered
	phone bool // the phone has
}

// heard goes on waiting until both have.
func (e *erabs) heard() verdict { return both(e.radio, e.phone) }

// twice sends first, and then again whenever the timer expires: the message alone,
// by Downlink NAS Transport.
func (c *conn) twice(first s1ap.Message, m eps.Message) func() error {
	sent := false
	return func() error {
		if !sent {
			sent = true
			return c.toENB(first)
		}
		return c.send(m)
	}
}

// activate sets up a bearer at eNB and phone: E-RAB Setup with the message inside
// (TS 24.301 §6.4.1.2, §6.4.2.2, TS 36.413 §8.2.1). What fails leaves no radio
// bearer.
func (c *conn) activate(p *pdn, b *bearer, m eps.ESM) error {
	return c.wherever(func() error { return c.activateHere(p, b, m) })
}

func (c *conn) activateHere(p *pdn, b *bearer, m eps.ESM) error {
	_, pti := m.Header()
	nas, err := c.encode(m)
	if err != nil {
		return refuseESM(eps.ESMCauseNetworkFailure, "%w", err)
	}
	ambr := c.ue.ambr()
	setup := &s1ap.ERABSetupRequest{
		MMEUES1APID: s1ap.MMEUES1APID(c.leg.mmeID), ENBUES1APID: s1ap.ENBUES1APID(c.leg.enbID), UEAggregateMaximumBitrate: &ambr,
		ERABToBeSetupListBearerSUReq: s1ap.ERABToBeSetupListBearerSUReq{{
			ERABID: s1ap.ERABID(b.ebi), ERABLevelQoSParameters: b.parameters(),
			TransportLayerAddress: s1ap.FromAddr(b.sgw.Addr), GTPTEID: s1ap.FromTEID(b.sgw.TEID), NASPDU: nas,
		}},
	}
	var done erabs
	answer := func(in inbound) (verdict, error) {
		if v, err := c.erabSetUp(in, b, &done); v != notMine {
			return v, err
		}
		switch n := in.nas.(type) {
		case *eps.ActivateDefaultEPSBearerContextAccept, *eps.ActivateDedicatedEPSBearerContextAccept:
			if about(n, b.ebi) {
				done.phone = true
				return done.heard(), nil
			}
		case *eps.ActivateDefaultEPSBearerContextReject:
			if n.EBI == b.ebi { // TS 24.301 §6.4.1.4
				return finished, &esmFailure{cause: n.Cause, quiet: true, why: fmt.Errorf("the phone rejects the bearer: %v", n.Cause)}
			}
		case *eps.ActivateDedicatedEPSBearerContextReject:
			if n.EBI == b.ebi { // TS 24.301 §6.4.2.4
				return finished, &esmFailure{cause: n.Cause, quiet: true, why: fmt.Errorf("the phone rejects the bearer: %v", n.Cause)}
			}
		}
		return c.during(in, p, b.ebi, pti, m)
	}
	err = c.onRadio(func() s1ap.Message { return c.setUpLeft(b) }, func() error { return c.exchange(t3485, c.twice(setup, m), answer) })
	if err != nil && b.enb != (s11.FTEID{}) && c.leg != nil {
		_ = c.toENB(c.releaseERABs([]*bearer{b}, nil))
		b.enb = s11.FTEID{}
	}
	return noAnswer(err)
}

// erabSetUp takes the eNB's answer to E-RAB Setup.
func (c *conn) erabSetUp(in inbound, b *bearer, done *erabs) (verdict, error) {
	switch m := in.msg.(type) {
	case *s1ap.ERABSetupResponse:
		for i := range m.ERABSetupListBearerSURes {
			item := &m.ERABSetupListBearerSURes[i]
			end, ok := tunnelEnd(&item.TransportLayerAddress, item.GTPTEID, b.sgw.Addr)
			if id.EBI(item.ERABID) == b.ebi && ok {
				b.enb, done.radio = end, true
				return done.heard(), nil
			}
		}
		for i := range m.ERABFailedToSetupListBearerSURes {
			if item := &m.ERABFailedToSetupListBearerSURes[i]; id.EBI(item.ERABID) == b.ebi {
				b.enb = s11.FTEID{}
				return finished, radioRefuses(item.Cause)
			}
		}
		return finished, refuseESM(eps.ESMCauseNetworkFailure, "the eNB's response has no tunnel of bearer %d", b.ebi)
	case *s1ap.ErrorIndication:
		return finished, refuseESM(eps.ESMCauseNetworkFailure, "the eNB indicates an error: %v", m.Cause)
	}
	return notMine, nil
}

// radioRefuses is the failure of a bearer at the eNB.
func radioRefuses(cause s1ap.Cause) error {
	f := &esmFailure{cause: eps.ESMCauseInsufficientResources, why: fmt.Errorf("the eNB does not set up the bearer: %v", cause)}
	switch cause {
	case s1ap.CauseRadioNetworkX2HandoverTriggered.Cause(), s1ap.CauseRadioNetworkS1IntraSystemHandoverTriggered.Cause():
		f.retry = true
	}
	return f
}

// during judges what else reaches a procedure of the bearers of a PDN connection:
// the request that began it is answered with m again, one that ends the PDN
// connection ends the procedure, and so does the phone's word that it cannot
// (TS 24.301 §6.4.2.6 b, §6.4.3.6 b, §6.5.1.7 a, §6.7).
func (c *conn) during(in inbound, p *pdn, ebi id.EBI, pti eps.PTI, m eps.Message) (verdict, error) {
	switch n := in.nas.(type) {
	case *eps.PDNConnectivityRequest:
		if sameRequest(in, c.proc.asked) {
			return taken, c.send(m)
		}
	case *eps.PDNDisconnectRequest:
		_, deactivates := m.(*eps.DeactivateEPSBearerContextRequest)
		switch {
		case n.Linked != p.linked() || n.EBI != 0 || n.PTI == noPTI || n.PTI == reservedPTI || sameRequest(in, c.proc.asked):
		case !deactivates:
			return finished, &collision{in: in}
		case ebi == p.linked(): // TS 24.301 §6.4.4.5: it is what is being done
			c.m.count.drop(dropNASUnexpected)
			return taken, nil
		}
	case *eps.ESMStatus:
		if aborts(n, ebi, pti) {
			return finished, &esmFailure{cause: n.Cause, quiet: true, why: fmt.Errorf("ESM status of the phone: %v", n.Cause)}
		}
	}
	return notMine, nil
}

// about says that an answer of the phone is of that bearer.
func about(m eps.Message, ebi id.EBI) bool {
	has, pti := m.(eps.ESM).Header()
	return has == ebi && pti != reservedPTI
}

// noAnswer makes of a phone's silence a failure of session management.
func noAnswer(err error) error {
	if errors.Is(err, errNoAnswer) {
		return &esmFailure{quiet: true, why: err}
	}
	return err
}

// modify tells the phone, and the eNB where radio changes, of a changed bearer:
// E-RAB Modify with the message inside, or the message alone (TS 24.301 §6.4.3.2,
// TS 36.413 §8.2.2). The bearer is to be as as.
func (c *conn) modify(p *pdn, b *bearer, radio bool, as bearer, m eps.ESM) error {
	return c.wherever(func() error { return c.modifyHere(p, b, radio, as, m) })
}

func (c *conn) modifyHere(p *pdn, b *bearer, radio bool, as bearer, m eps.ESM) error {
	_, pti := m.Header()
	done := erabs{radio: !radio}
	send := func() error { return c.send(m) }
	if radio {
		nas, err := c.encode(m)
		if err != nil {
			return refuseESM(eps.ESMCauseNetworkFailure, "%w", err)
		}
		ambr := c.ue.ambr()
		send = c.twice(&s1ap.ERABModifyRequest{
			MMEUES1APID: s1ap.MMEUES1APID(c.leg.mmeID), ENBUES1APID: s1ap.ENBUES1APID(c.leg.enbID), UEAggregateMaximumBitrate: &ambr,
			ERABToBeModifiedListBearerModReq: s1ap.ERABToBeModifiedListBearerModReq{{
				ERABID: s1ap.ERABID(b.ebi), ERABLevelQoSParameters: as.parameters(), NASPDU: nas,
			}},
		}, m)
	}
	answer := func(in inbound) (verdict, error) {
		if r, ok := in.msg.(*s1ap.ERABModifyResponse); ok && radio {
			for i := range r.ERABFailedToModifyList {
				if item := &r.ERABFailedToModifyList[i]; id.EBI(item.ERABID) == b.ebi {
					return finished, radioRefuses(item.Cause)
				}
			}
			done.radio = true
			return done.heard(), nil
		}
		switch n := in.nas.(type) {
		case *eps.ModifyEPSBearerContextAccept:
			if about(n, b.ebi) {
				done.phone = true
				return done.heard(), nil
			}
		case *eps.ModifyEPSBearerContextReject:
			if n.EBI == b.ebi { // TS 24.301 §6.4.3.4
				return finished, &esmFailure{cause: n.Cause, quiet: true, why: fmt.Errorf("the phone rejects the change: %v", n.Cause)}
			}
		}
		return c.during(in, p, b.ebi, pti, m)
	}
	var left func() s1ap.Message
	if radio {
		left = func() s1ap.Message { return &s1ap.ERABModifyResponse{ERABFailedToModifyList: leftBehind(b.ebi)} }
	}
	return noAnswer(c.onRadio(left, func() error { return c.exchange(t3486, send, answer) }))
}

// deactivate ends bearers at eNB and phone: E-RAB Release with the message inside,
// or the message alone where none stand (TS 24.301 §6.4.4.2, TS 36.413 §8.2.3). A
// phone that does not answer deactivates them when it hears of the radio bearers.
func (c *conn) deactivate(p *pdn, bearers []*bearer, m *eps.DeactivateEPSBearerContextRequest) error {
	radio := false
	for _, b := range bearers {
		radio = radio || b.enb != (s11.FTEID{})
	}
	done := erabs{radio: !radio}
	send := func() error { return c.send(m) }
	if radio {
		nas, err := c.encode(m)
		if err != nil {
			return refuseESM(eps.ESMCauseNetworkFailure, "%w", err)
		}
		send = c.twice(c.releaseERABs(bearers, nas), m)
	}
	answer := func(in inbound) (verdict, error) {
		if _, ok := in.msg.(*s1ap.ERABReleaseResponse); ok && radio {
			done.radio = true
			return done.heard(), nil
		}
		if n, ok := in.nas.(*eps.DeactivateEPSBearerContextAccept); ok && about(n, m.EBI) {
			done.phone = true
			return done.heard(), nil
		}
		return c.during(in, p, m.EBI, m.PTI, m)
	}
	err := c.onRadio(func() s1ap.Message { return &s1ap.ERABReleaseResponse{} }, func() error { return c.exchange(t3495, send, answer) })
	if f, ok := noAnswer(err).(*esmFailure); ok && f.quiet { // TS 24.301 §6.4.4.5 a, §6.7: it ends without the phone's answer
		c.m.count.procedure("bearer deactivation", "no answer")
		return nil
	}
	return err
}

// releaseERABs makes the command that ends bearers at the eNB.
func (c *conn) releaseERABs(bearers []*bearer, nas []byte) *s1ap.ERABReleaseCommand {
	m := &s1ap.ERABReleaseCommand{MMEUES1APID: s1ap.MMEUES1APID(c.leg.mmeID), ENBUES1APID: s1ap.ENBUES1APID(c.leg.enbID), NASPDU: nas}
	if len(c.ue.pdns) > 0 {
		ambr := c.ue.ambr()
		m.UEAggregateMaximumBitrate = &ambr
	}
	for _, b := range bearers {
		m.ERABToBeReleasedList = append(m.ERABToBeReleasedList, s1ap.ERABItem{ERABID: s1ap.ERABID(b.ebi), Cause: s1ap.CauseNasNormalRelease.Cause()})
	}
	return m
}

// ambr is what the phone may have in all without guarantee: the sum of its PDN
// connections, at most what it has subscribed to (TS 23.401 §4.7.3).
func (u *ue) ambr() s1ap.UEAggregateMaximumBitrate {
	maxUL, maxDL := maxAMBR, maxAMBR
	if u.lease != nil {
		maxUL, maxDL = u.lease.profile.AMBRUL, u.lease.profile.AMBRDL
	}
	var ul, dl id.BitRate // at most 11 times 4 Tbit/s
	for _, p := range u.pdns {
		ul, dl = ul+p.ambr.UL, dl+p.ambr.DL
	}
	if ul == 0 || ul > maxUL {
		ul = maxUL
	}
	if dl == 0 || dl > maxDL {
		dl = maxDL
	}
	return s1ap.UEAggregateMaximumBitrate{UEaggregateMaximumBitRateDL: s1ap.BitRate(dl), UEaggregateMaximumBitRateUL: s1ap.BitRate(ul)}
}
