package mme

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/wire/gtpc"
)

// TS 24.301 §7.3.1 a: requests with a PTI that is none, an ESM INFORMATION
// RESPONSE that has none, and answers to nothing.
func TestAbnormal_7_3_1_a_to_f(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.attached()
		p.rejectsAll(0, 0, eps.ESMCauseInvalidPTIValue)
		p.rejectsAll(0, 255, eps.ESMCauseInvalidPTIValue)
		p.uplink(&eps.ESMInformationResponse{PTI: 0}) // e
		if m := down[*eps.ESMStatus](p); m.Cause != eps.ESMCauseInvalidPTIValue {
			t.Errorf("%v", m)
		}
		p.uplink(&eps.ESMInformationResponse{PTI: 7}) // late
		p.uplink(&eps.ModifyEPSBearerContextReject{EBI: 5, Cause: 31, PTI: 255})
		p.unmoved()
	})
}

// TS 24.301 §7.3.2 a: requests with an EPS bearer identity, which has no place in
// them, and answers of bearers that there are not, or for which none is expected.
func TestAbnormal_7_3_2_a_to_f(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.attached()
		p.rejectsAll(5, 3, eps.ESMCauseInvalidEPSBearerIdentity)
		p.rejectsAll(9, 3, eps.ESMCauseInvalidEPSBearerIdentity)
		for _, m := range []eps.Message{
			&eps.ActivateDefaultEPSBearerContextAccept{EBI: 5}, &eps.ActivateDedicatedEPSBearerContextReject{EBI: 9, Cause: 31},
			&eps.DeactivateEPSBearerContextAccept{EBI: 5}, &eps.ActivateDedicatedEPSBearerContextAccept{EBI: 6},
		} {
			p.uplink(m)
		}
		p.unmoved()
	})
}

// rejectsAll sends every request of session management with such a header.
func (p *phone) rejectsAll(ebi id.EBI, pti eps.PTI, want eps.ESMCause) {
	p.w.t.Helper()
	for _, m := range []eps.Message{
		&eps.PDNConnectivityRequest{EBI: ebi, PTI: pti, Request: eps.RequestTypeInitial, PDNType: eps.PDNTypeIPv4},
		&eps.PDNDisconnectRequest{EBI: ebi, PTI: pti, Linked: 5},
		&eps.BearerResourceAllocationRequest{EBI: ebi, PTI: pti, Linked: 5, Aggregate: *voice(0).TFT, QoS: eps.EPSQoS{QCI: 5}},
		&eps.BearerResourceModificationRequest{EBI: ebi, PTI: pti, FilterEBI: 5, Aggregate: *voice(0).TFT},
	} {
		p.uplink(m)
		got := down[eps.ESM](p)
		var cause eps.ESMCause
		switch r := got.(type) {
		case *eps.PDNConnectivityReject:
			cause = r.Cause
		case *eps.PDNDisconnectReject:
			cause = r.Cause
		case *eps.BearerResourceAllocationReject:
			cause = r.Cause
		case *eps.BearerResourceModificationReject:
			cause = r.Cause
		}
		if e, t := got.Header(); e != 0 || t != pti || cause != want {
			p.w.t.Errorf("%v\nis answered\n%v", m, got)
		}
	}
}

// unmoved checks that the MME says nothing and the phone is as it was.
func (p *phone) unmoved() {
	p.w.t.Helper()
	p.e.silent(time.Minute)
	if i := p.settled(); i.State != Connected || len(i.Bearers) != 1 {
		p.w.t.Errorf("%v, %+v", i.State, i.Bearers)
	}
}

// ESM STATUS by the phone (TS 24.301 §6.7).
func TestESMStatus_6_7(t *testing.T) {
	for _, c := range []struct {
		cause eps.ESMCause
		ebi   id.EBI
		ends  bool
		want  gtpc.Cause
	}{
		{eps.ESMCauseInvalidEPSBearerIdentity, 6, true, gtpc.ContextNotFound}, {eps.ESMCauseInvalidEPSBearerIdentity, 7, false, 0},
		{eps.ESMCauseMessageTypeNonExistentOrNotImplemented, 6, true, gtpc.UERefuses}, {eps.ESMCauseProtocolErrorUnspecified, 6, false, 0},
	} {
		play(t, nil, func(w *world) {
			p := w.attached()
			s, _ := w.gw.only(w)
			ch := w.creates(s, voice(0x700))
			setUp[*eps.ActivateDedicatedEPSBearerContextRequest](p)
			p.uplink(&eps.ESMStatus{EBI: c.ebi, Cause: c.cause})
			synctest.Wait()
			if !c.ends {
				w.untold(ch)
				p.standing(6)
				p.uplink(&eps.ActivateDedicatedEPSBearerContextAccept{EBI: 6})
				c.want = gtpc.Accepted
			}
			w.told(ch, c.want)
		})
	}
	play(t, nil, func(w *world) { // at rest, #43 is the end of the bearer
		p := w.attached()
		s, _ := w.gw.only(w)
		p.dedicated(s, 0x700)
		p.uplink(&eps.ESMStatus{EBI: 6, Cause: eps.ESMCauseInvalidPTIValue})
		if n := len(p.bearers()); n != 2 {
			t.Errorf("%d bearers", n)
		}
		p.uplink(&eps.ESMStatus{EBI: 6, Cause: eps.ESMCauseInvalidEPSBearerIdentity})
		if n := len(p.bearers()); n != 1 || !slices.Contains(w.gw.said, "drop [6]") {
			t.Errorf("%d bearers; %v", n, w.gw.said)
		}
	})
}
