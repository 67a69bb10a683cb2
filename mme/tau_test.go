package mme

import (
	"slices"
	"testing"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/nassec"
	"campanile.network/3gpp/s1ap"
)

func (p *phone) updateRequest(t eps.UpdateType) *eps.TrackingAreaUpdateRequest {
	return &eps.TrackingAreaUpdateRequest{Type: t, KSI: p.ksi, OldGUTI: eps.FromGUTI(*p.guti), Bearers: eps.Some(eps.BearerStatus(0).With(5))}
}

// updated takes a Tracking Area Update Accept with a GUTI and completes it.
func (p *phone) updated() *eps.TrackingAreaUpdateAccept {
	p.w.t.Helper()
	m := down[*eps.TrackingAreaUpdateAccept](p)
	g, ok := m.GUTI.V.GUTI()
	if !ok {
		p.w.t.Fatalf("no GUTI in\n%v", m)
	}
	p.guti = &g
	p.uplink(&eps.TrackingAreaUpdateComplete{})
	return m
}

// areas gives the areas of an accept.
func areas(l eps.Opt[eps.TAIList]) (out []id.TAC) {
	for _, t := range l.V.All() {
		out = append(out, t.TAC)
	}
	return out
}

// TS 24.301 §5.5.3.2.4: the phone has moved into another tracking area; no data,
// so the connection ends. It is paged where it is now, and where it was.
func TestNormalUpdate(t *testing.T) {
	play(t, nil, func(w *world) {
		e, f := w.tower(0x19b), w.towerIn(0x19c, 8)
		p := w.phone(e)
		p.attach()
		p.idle()
		said := len(w.gw.said)
		q := p.at(f)
		req := q.updateRequest(eps.UpdateTA)
		req.LastTAI = eps.Some(id.TAI{PLMN: testPLMN, TAC: 7})
		q.initial(req)
		m := down[*eps.TrackingAreaUpdateAccept](q)
		if m.Result != eps.UpdateResultTA || !slices.Equal(areas(m.TAIs), []id.TAC{8, 7}) || m.T3412.V.String() != "54m0s" || m.GUTI.OK || m.Cause.OK || !m.Bearers.V.Active(5) {
			t.Errorf("accepted with\n%v", m)
		}
		if cause := q.released(); cause != s1ap.CauseNasNormalRelease.Cause() {
			t.Errorf("released with %v", cause)
		}
		i := q.settled()
		if i.State != Idle || i.TAI.TAC != 8 || i.Tower != w.towers[0x19c] || len(w.gw.said) != said {
			t.Errorf("UEInfo %+v; the gateway was asked: %v", i, w.gw.said)
		}
		w.counted("tracking area update ok", 1)
		s, _ := w.gw.only(w)
		w.m.DownlinkData(s, 5, 0)
		expect[*s1ap.Paging](e)
		expect[*s1ap.Paging](f)
		q.request()
		q.setupResponse()
		if i := q.settled(); i.State != Connected {
			t.Errorf("UEInfo %+v", i)
		}
	})
}

// TS 24.301 §5.5.3.2.2 a, §5.3.5: periodic, with another GUTI; the former is
// good until the phone confirms.
func TestPeriodicUpdate(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.attach()
		p.idle()
		for range 4 {
			time.Sleep(54 * time.Minute)
			former := *p.guti
			p.initial(p.updateRequest(eps.UpdatePeriodic))
			p.updated()
			p.released()
			if i := p.settled(); i.State != Idle || former == *p.guti || i.TMSI != p.guti.TMSI || w.m.known.find(former.TMSI) != nil {
				t.Fatalf("UEInfo %+v, GUTI %v, was %v", i, p.guti, former)
			}
		}
		w.counted("implicit detach ok", 0)
	})
}

// TS 24.301 §5.5.3.2.4: the active flag, and data that waits, set bearers up.
func TestActiveUpdate(t *testing.T) {
	play(t, nil, func(w *world) {
		e := w.tower(0x19b)
		p := w.phone(e)
		p.attach()
		p.idle()
		p.initial(p.updateRequest(eps.UpdateTA | eps.UpdateActive))
		down[*eps.TrackingAreaUpdateAccept](p)
		ics := expect[*s1ap.InitialContextSetupRequest](e)
		if want := p.sec.KeNB(p.sec.UL() - 1); s1ap.SecurityKey(want) != ics.SecurityKey {
			t.Error("K_eNB is not that of the update's COUNT")
		}
		p.setupResponse()
		if i := p.settled(); i.State != Connected || i.Segment != 2 {
			t.Errorf("UEInfo %+v", i)
		}
		e.silent(time.Second)

		p.idle()
		s, x := w.gw.only(w)
		w.m.DownlinkData(s, 5, 0)
		expect[*s1ap.Paging](e)
		p.initial(p.updateRequest(eps.UpdatePeriodic))
		ack := down[*eps.TrackingAreaUpdateAccept](p)
		expect[*s1ap.InitialContextSetupRequest](e)
		p.setupResponse() // before Complete
		g, _ := ack.GUTI.V.GUTI()
		p.guti = &g
		p.uplink(&eps.TrackingAreaUpdateComplete{})
		if i := p.settled(); i.State != Connected || x.enb.TEID == 0 {
			t.Errorf("UEInfo %+v", i)
		}
		e.silent(time.Minute)

		// The eNB cannot.
		p.idle()
		p.initial(p.updateRequest(eps.UpdateTA | eps.UpdateActive))
		down[*eps.TrackingAreaUpdateAccept](p)
		ics = expect[*s1ap.InitialContextSetupRequest](e)
		e.send(&s1ap.InitialContextSetupFailure{MMEUES1APID: ics.MMEUES1APID, ENBUES1APID: p.enbID, Cause: s1ap.CauseRadioNetworkRadioResourcesNotAvailable.Cause()})
		p.released()
		if i := p.settled(); i.State != Idle {
			t.Errorf("UEInfo %+v", i)
		}
		w.gw.none2(w)
	})
}

// In connected mode the bearers stay; a phone that comes by another eNB leaves
// the first.
func TestUpdateInConnectedMode(t *testing.T) {
	play(t, nil, func(w *world) {
		e, f := w.tower(0x19b), w.towerIn(0x19c, 8)
		p := w.phone(e)
		p.attach()
		p.uplink(p.updateRequest(eps.UpdateTA))
		down[*eps.TrackingAreaUpdateAccept](p)
		e.silent(time.Minute)
		_, x := w.gw.only(w)
		if i := p.settled(); i.State != Connected || x.enb.TEID == 0 {
			t.Errorf("UEInfo %+v", i)
		}
		q := p.at(f)
		q.initial(q.updateRequest(eps.UpdateTA))
		p.released()
		down[*eps.TrackingAreaUpdateAccept](q)
		q.released()
		if i := q.settled(); i.State != Idle || x.enb.TEID != 0 || w.m.Stats().Connected != 0 {
			t.Errorf("UEInfo %+v, eNB's tunnel at the gateway %v", i, x.enb)
		}
	})
}

// TS 24.301 §5.5.3.3.4.3: combined succeeds for EPS services only.
func TestCombinedUpdate(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.attach()
		p.idle()
		for _, kind := range []eps.UpdateType{eps.UpdateCombined, eps.UpdateCombinedIMSIAttach} {
			p.initial(p.updateRequest(kind))
			if m := down[*eps.TrackingAreaUpdateAccept](p); m.Result != eps.UpdateResultTA || m.Cause.V != eps.EMMCauseCSDomainNotAvailable {
				t.Errorf("accepted with\n%v", m)
			}
			p.released()
			p.settled()
		}
	})
}

// TS 24.301 §5.5.3.2.4, §5.5.3.2.5: a phone that has given up its bearer; one
// that has more than the network has learns it.
func TestUpdateWithBearerMismatch(t *testing.T) {
	play(t, nil, func(w *world) {
		e := w.tower(0x19b)
		p := w.phone(e)
		p.attach()
		p.idle()
		req := p.updateRequest(eps.UpdateTA | eps.UpdateActive)
		req.Bearers = eps.Some(eps.BearerStatus(0).With(5).With(6))
		p.initial(req)
		if m := down[*eps.TrackingAreaUpdateAccept](p); !m.Bearers.V.Active(5) || m.Bearers.V.Active(6) {
			t.Errorf("accepted with\n%v", m)
		}
		expect[*s1ap.InitialContextSetupRequest](e)
		p.setupResponse()
		p.settled()
		p.idle()

		req.Bearers = eps.Some(eps.BearerStatus(0))
		p.initial(req)
		if m := down[*eps.TrackingAreaUpdateReject](p); m.Cause != eps.EMMCauseNoEPSBearerContextActivated {
			t.Errorf("rejected with\n%v", m)
		}
		w.gw.none(w)
		p.released() // which it waits for; then it attaches, with the keys it has
		sec := p.sec
		p.initialRaw(p.protect(p.attachRequest(), nassec.IntegrityProtected))
		p.information()
		p.accepted()
		p.setupResponse()
		p.complete()
		if i := p.settled(); i.State != Connected || sec != p.sec {
			t.Errorf("UEInfo %+v", i)
		}
	})
}

// What the phone says of its radio and its security is believed (TS 24.301
// §5.5.3.2.4); algorithms it has no more are replaced.
func TestUpdateOfCapabilities(t *testing.T) {
	play(t, nil, func(w *world) {
		e := w.tower(0x19b)
		p := w.phone(e)
		p.attach()
		e.send(&s1ap.UECapabilityInfoIndication{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, UERadioCapability: []byte{1, 2, 3}})
		p.idle()
		req := p.updateRequest(eps.UpdateTA | eps.UpdateActive)
		req.RadioCapabilityUpdate = eps.Some(eps.RadioCapabilityUpdateNeeded)
		p.initial(req)
		down[*eps.TrackingAreaUpdateAccept](p)
		if m := expect[*s1ap.InitialContextSetupRequest](e); m.UERadioCapability != nil {
			t.Errorf("radio capability %x is told still", m.UERadioCapability)
		}
		p.setupResponse()
		p.settled()

		// More algorithms: told with the next context.
		p.cap = eps.NewUENetworkCapability(0, 1, 2, 9, 10)
		req = p.updateRequest(eps.UpdateTA)
		req.Capability = eps.Some(p.cap)
		p.uplink(req)
		down[*eps.TrackingAreaUpdateAccept](p)
		p.released()
		p.settled()
		p.cap = eps.NewUENetworkCapability(0, 1, 9) // neither EEA2 nor EIA2
		req.Capability = eps.Some(p.cap)
		p.initial(req)
		p.authenticate()
		down[*eps.TrackingAreaUpdateAccept](p)
		p.released()
		if i := p.settled(); i.Security != "128-EEA1 128-EIA1" {
			t.Errorf("UEInfo %+v", i)
		}
		m := p.request()
		if got := m.UESecurityCapabilities.IntegrityProtectionAlgorithms; got != s1ap.IntegrityProtectionAlgorithms(nassec.Capability(p.cap.Security(eps.Opt[eps.MSNetworkCapability]{}).Octets()[1]).S1AP()) {
			t.Errorf("the eNB is told %v", got)
		}
	})
}

// The home is away while a lease is at its end: a phone that only says where it
// is stays; one that wants service does not get it.
func TestUpdateWhileHomeIsAway(t *testing.T) {
	play(t, noUpdates, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.attach()
		p.idle()
		time.Sleep(7 * time.Hour)
		w.home.refuse = 0
		w.home.silent = true
		p.initial(p.updateRequest(eps.UpdatePeriodic))
		p.updated()
		p.released()
		p.settled()
		p.initial(p.updateRequest(eps.UpdateTA | eps.UpdateActive))
		if m := down[*eps.TrackingAreaUpdateReject](p); m.Cause != eps.EMMCauseNetworkFailure {
			t.Errorf("rejected with %v", m.Cause)
		}
		p.released()
		if i := p.settled(); i.State != Idle {
			t.Errorf("UEInfo %+v", i)
		}
	})
}
