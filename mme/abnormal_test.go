package mme

import (
	"testing"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
)

// Abnormal cases on the network's side of the specific procedures and of service
// request (TS 24.301 §5.5, §5.6), by clause and letter.

// TS 24.301 §5.5.1.2.7 b: an attach request that is cut off, or has another message
// where its PDN connectivity request should be.
func TestAbnormal_5_5_1_2_7_b(t *testing.T) {
	play(t, nil, func(w *world) {
		e := w.tower(0x19b)
		p := w.phone(e)
		p.initialRaw([]byte{7, 0x41, 0x71})
		p.rejected(eps.EMMCauseInvalidMandatoryInformation)
		q := w.phone(e)
		m := q.attachRequest()
		m.ESM = must(eps.Append(nil, &eps.ESMStatus{PTI: 1, Cause: eps.ESMCauseProtocolErrorUnspecified}))
		q.initial(m)
		q.rejected(eps.EMMCauseESMFailure)
	})
}

// TS 24.301 §5.5.1.2.7 g: an update before Attach Complete is refused with #10; the
// GUTI of the attach is good.
func TestAbnormal_5_5_1_2_7_g(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.initial(p.attachRequest())
		p.authenticate()
		p.information()
		p.accepted()
		p.setupResponse()
		p.uplink(p.updateRequest(eps.UpdateTA))
		if cause := p.updateRejected(); cause != eps.EMMCauseImplicitlyDetached {
			t.Errorf("rejected with %v", cause)
		}
		p.released()
		p.settled()
		w.gw.none(w)
		p.initial(p.attachRequest()) // by that GUTI, with the keys it has
		p.information()
		p.accepted()
		if w.home.asked != 1 {
			t.Errorf("the home was asked %d times", w.home.asked)
		}
	})
}

// TS 24.301 §5.5.3.2.7 a: the connection is lost before Tracking Area Update
// Complete; both GUTIs are good.
func TestAbnormal_5_5_3_2_7_a(t *testing.T) {
	for _, got := range []bool{false, true} {
		play(t, nil, func(w *world) {
			p := w.phone(w.tower(0x19b))
			p.attach()
			p.idle()
			p.initial(p.updateRequest(eps.UpdatePeriodic))
			g, _ := down[*eps.TrackingAreaUpdateAccept](p).GUTI.V.GUTI()
			p.loses()
			if got {
				p.guti = &g
			}
			p.request()
			p.setupResponse()
			if i := p.settled(); i.State != Connected || i.TMSI != p.guti.TMSI {
				t.Errorf("%+v", i)
			}
		})
	}
}

// TS 24.301 §5.5.3.2.7 b: an update request that is cut off.
func TestAbnormal_5_5_3_2_7_b(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.initialRaw([]byte{7, 0x48, 0x71})
		if cause := p.updateRejected(); cause != eps.EMMCauseInvalidMandatoryInformation {
			t.Errorf("rejected with %v", cause)
		}
		p.released()
	})
}

// TS 24.301 §5.5.3.2.7 e: the same request before the accept is ignored; another
// begins anew.
func TestAbnormal_5_5_3_2_7_e(t *testing.T) {
	play(t, noUpdates, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.attach()
		p.idle()
		time.Sleep(untilRenewal) // so that the SIM is asked first
		req := p.updateRequest(eps.UpdateTA)
		p.initial(req)
		first := down[*eps.AuthenticationRequest](p)
		p.uplink(req)
		p.e.silent(time.Second)
		req.Type |= eps.UpdateActive
		p.uplink(req)
		second := down[*eps.AuthenticationRequest](p)
		if first.RAND == second.RAND {
			t.Error("the update did not begin anew")
		}
		p.uplink(p.answer(second))
		p.secure()
		p.secured()
		down[*eps.TrackingAreaUpdateAccept](p)
		expect[*s1ap.InitialContextSetupRequest](p.e)
	})
}

// TS 24.301 §5.5.3.2.7 f: not delivered because of a handover, the accept goes again
// when the phone has arrived.
func TestAbnormal_5_5_3_2_7_f(t *testing.T) {
	play(t, nil, func(w *world) {
		f := w.towerIn(0x19c, 8)
		p := w.phone(w.tower(0x19b))
		p.attach()
		p.uplink(p.updateRequest(eps.UpdatePeriodic))
		p.missed(expect[*s1ap.DownlinkNASTransport](p.e), f)
		g, ok := down[*eps.TrackingAreaUpdateAccept](p).GUTI.V.GUTI()
		p.guti = &g
		p.uplink(&eps.TrackingAreaUpdateComplete{})
		if i := p.settled(); !ok || i.State != Connected || i.TMSI != g.TMSI {
			t.Errorf("%+v", i)
		}
	})
}

// TS 24.301 §5.6.1.7 a: the connection is lost before the bearers stand; the phone
// is idle, and paged as before.
func TestAbnormal_5_6_1_7_a(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.attach()
		p.idle()
		p.request()
		p.loses()
		if i := p.settled(); i.State != Idle {
			t.Errorf("%v", i.State)
		}
		s, _ := w.gw.only(w)
		w.m.DownlinkData(s, 5, 0)
		p.e.page()
		p.request()
		p.setupResponse()
		if i := p.settled(); i.State != Connected {
			t.Errorf("%v", i.State)
		}
	})
}

// TS 24.301 §5.6.1.7 b: a service request that is cut off.
func TestAbnormal_5_6_1_7_b(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.initialRaw([]byte{0xc7, 1})
		if cause := p.serviceRejected(); cause != eps.EMMCauseInvalidMandatoryInformation {
			t.Errorf("rejected with %v", cause)
		}
		p.released()
	})
}

// TS 24.301 §5.6.1.7 c: another service request before the first is done takes its
// place; the same again is a replay, and nothing.
func TestAbnormal_5_6_1_7_c(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.attach()
		p.idle()
		raw := must(p.sec.AppendServiceRequest(nil))
		p.initialRaw(raw)
		p.mmeID = expect[*s1ap.InitialContextSetupRequest](p.e).MMEUES1APID
		p.uplinkRaw(raw)
		p.e.silent(time.Second)
		q := p.at(p.e)
		q.initialRaw(must(q.sec.AppendServiceRequest(nil)))
		p.released()
		q.mmeID = expect[*s1ap.InitialContextSetupRequest](q.e).MMEUES1APID
		q.setupResponse()
		if i := q.settled(); i.State != Connected {
			t.Errorf("%v", i.State)
		}
	})
}

// TS 24.301 §5.6.1.7 d: an attach before the service request is done takes its
// place.
func TestAbnormal_5_6_1_7_d(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.attach()
		p.idle()
		p.request()
		p.uplink(p.attachRequest())
		p.information()
		p.accepted()
		p.setupResponse()
		p.complete()
		if i := p.settled(); i.State != Connected {
			t.Errorf("%v", i.State)
		}
		w.gw.only(w)
	})
}

// TS 24.301 §5.6.1.7 e: an update before the service request is done takes its
// place, and goes on with the context setup that is under way.
func TestAbnormal_5_6_1_7_e(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.attach()
		p.idle()
		p.request()
		p.uplink(p.updateRequest(eps.UpdateTA | eps.UpdateActive))
		down[*eps.TrackingAreaUpdateAccept](p)
		p.e.silent(time.Second)
		p.setupResponse()
		if i := p.settled(); i.State != Connected {
			t.Errorf("%v", i.State)
		}
		w.counted("service request interrupted", 1)
	})
}

// TS 24.301 §5.5.1.2.7 a: likewise before the phone has anything: it attaches again
// by its IMSI.
func TestAbnormal_5_5_1_2_7_a_IMSI(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.initial(p.attachRequest())
		p.authenticate()
		p.information()
		p.accepted()
		p.loses()
		if i := p.settled(); i.State != Deregistered {
			t.Errorf("%v", i.State)
		}
		w.gw.none(w)
		p.guti, p.sec, p.ksi = nil, nil, eps.NoKSI
		p.attach()
		if _, ok := w.m.known.byIMSI[p.imsi]; !ok || p.guti.GUMMEI != (id.GUMMEI{PLMN: testPLMN, Group: 1, Code: 0x1a}) {
			t.Error("it is not known")
		}
	})
}
