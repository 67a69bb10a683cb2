package mme

import (
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/nassec"
	"campanile.network/3gpp/s1ap"
	"campanile.network/3gpp/sms"
)

// Abnormal cases on the network's side of TS 24.301, by clause and letter; those
// with a file of their own subject stand there. docs/conformance.md lists them all.

// loses is the radio connection lost, as the eNB tells it.
func (p *phone) loses() {
	p.w.t.Helper()
	p.e.send(&s1ap.UEContextReleaseRequest{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, Cause: s1ap.CauseRadioNetworkRadioConnectionWithUeLost.Cause()})
	p.released()
}

// undelivered is a NAS message that the eNB could not deliver because of a
// handover (TS 36.413 §8.6.2.4).
func (p *phone) undelivered(nas []byte) {
	p.w.t.Helper()
	p.e.send(&s1ap.NASNonDeliveryIndication{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, NASPDU: nas, Cause: s1ap.CauseRadioNetworkX2HandoverTriggered.Cause()})
}

// asked brings a phone into the middle of a renewal on a live connection, with an
// Authentication Request.
func (p *phone) asked() *eps.AuthenticationRequest {
	p.w.t.Helper()
	p.attach()
	time.Sleep(untilRenewal)
	return down[*eps.AuthenticationRequest](p)
}

// commanded is asked, one step further: with a Security Mode Command, after which
// the phone still has the keys of before, too.
func (p *phone) commanded() (before *nassec.Context) {
	p.w.t.Helper()
	auth := p.asked()
	before = p.sec
	p.uplink(p.answer(auth))
	p.secure()
	return before
}

// TS 24.301 §5.4.2.7 a: the connection is lost before the answer; nothing is kept
// of a phone that nobody knows.
func TestAbnormal_5_4_2_7_a(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.initial(p.attachRequest())
		down[*eps.AuthenticationRequest](p)
		p.loses()
		synctest.Wait()
		if s := w.m.Stats(); s.UEs != 0 || s.Connected != 0 {
			t.Errorf("%+v", s)
		}
		p.attach()
	})
}

// TS 24.301 §5.4.2.7 d: #26, of a SIM whose network sets no separation bit; asked
// for its IMSI if it came by GUTI, and refused.
func TestAbnormal_5_4_2_7_d(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.initial(p.attachRequest())
		down[*eps.AuthenticationRequest](p)
		p.uplink(&eps.AuthenticationFailure{Cause: eps.EMMCauseNonEPSAuthenticationUnacceptable})
		down[*eps.AuthenticationReject](p)
		p.released()

		q := w.phone(p.e)
		q.attach()
		r := w.phone(p.e) // comes by q's GUTI
		r.guti = q.guti
		r.initial(r.attachRequest())
		down[*eps.AuthenticationRequest](r)
		r.uplink(&eps.AuthenticationFailure{Cause: eps.EMMCauseNonEPSAuthenticationUnacceptable})
		down[*eps.IdentityRequest](r)
		r.uplink(&eps.IdentityResponse{Identity: eps.MobileIMSI(r.imsi)})
		r.authenticate()
		r.information()
		r.accepted()
	})
}

// TS 24.301 §5.4.2.7 j: not delivered because of a handover, the request is
// repeated with T3460.
func TestAbnormal_5_4_2_7_j(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.initial(p.attachRequest())
		m := down[*eps.AuthenticationRequest](p)
		p.undelivered([]byte{7, 0x52})
		if again := down[*eps.AuthenticationRequest](p); again.RAND != m.RAND {
			t.Error("another challenge")
		}
	})
}

// TS 24.301 §5.4.3.7 a: the connection is lost before Security Mode Complete; the
// keys of before are good, and asked for anew.
func TestAbnormal_5_4_3_7_a(t *testing.T) {
	play(t, noUpdates, func(w *world) {
		p := w.phone(w.tower(0x19b))
		before := p.commanded()
		p.loses()
		p.sec = before
		p.initialRaw(must(p.sec.AppendServiceRequest(nil)))
		p.authenticate()
		expect[*s1ap.InitialContextSetupRequest](p.e)
	})
}

// TS 24.301 §5.4.3.7 b: T3460 expires five times; the procedure is aborted, the
// keys of before are good.
func TestAbnormal_5_4_3_7_b(t *testing.T) {
	play(t, noUpdates, func(w *world) {
		p := w.phone(w.tower(0x19b))
		began := time.Now()
		before := p.commanded()
		for range t3460.sends - 1 {
			m := expect[*s1ap.DownlinkNASTransport](p.e)
			if h := must(nassec.ParseHeader(m.NASPDU)); h.Type != nassec.IntegrityNewContext {
				t.Errorf("repeated with header type %d", h.Type)
			}
		}
		p.released()
		if took := time.Since(began) - untilRenewal; took != 30*time.Second {
			t.Errorf("given up after %v", took)
		}
		p.settled()
		p.sec = before
		p.initialRaw(must(p.sec.AppendServiceRequest(nil)))
		p.authenticate()
		expect[*s1ap.InitialContextSetupRequest](p.e)
	})
}

// TS 24.301 §5.4.3.7 c: attach, service request, update and detach by the phone end
// the procedure and are done.
func TestAbnormal_5_4_3_7_c(t *testing.T) {
	for name, collide := range map[string]func(*phone){
		"attach": func(p *phone) {
			p.uplink(p.attachRequest())
			p.authenticate()
			p.information()
			p.accepted()
		},
		"update": func(p *phone) {
			p.uplink(p.updateRequest(eps.UpdateTA))
			p.authenticate()
			down[*eps.TrackingAreaUpdateAccept](p)
		},
		"service request": func(p *phone) {
			p.uplinkRaw(must(p.sec.AppendServiceRequest(nil)))
			p.authenticate()
			expect[*s1ap.InitialContextSetupRequest](p.e)
		},
		"detach": func(p *phone) {
			p.uplink(&eps.DetachRequest{Type: eps.DetachEPS, KSI: p.ksi, Identity: eps.FromGUTI(*p.guti)})
			down[*eps.DetachAccept](p)
			p.released()
		},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, noUpdates, func(w *world) {
				p := w.phone(w.tower(0x19b))
				p.sec = p.commanded() // it has not heard of the command yet
				collide(p)
			})
		})
	}
}

// TS 24.301 §5.4.3.7 d: what is no such procedure goes on beside it, as a short
// message does.
func TestAbnormal_5_4_3_7_d(t *testing.T) {
	playSMS(t, func(w *world, centre *testCentre, p *phone) {
		w.m.known.find(p.guti.TMSI).lease = nil
		p.idle()
		p.initialRaw(must(p.sec.AppendServiceRequest(nil)))
		auth := down[*eps.AuthenticationRequest](p)
		before := p.sec
		p.uplink(p.answer(auth))
		p.secure()
		after := p.sec
		p.sec = before
		p.submits(1, 1)
		if a := hears[*sms.CPAck](p); a.TI.Value != 1 {
			t.Errorf("%v", a)
		}
		m := hears[*sms.CPData](p)
		rpOf[*sms.RPAck](p, m)
		p.says(&sms.CPAck{TI: m.TI.Reply()})
		p.sec = after
		p.secured()
		expect[*s1ap.InitialContextSetupRequest](p.e)
	})
}

// TS 24.301 §5.4.3.7 e: not delivered because of a handover, the command is
// repeated with T3460.
func TestAbnormal_5_4_3_7_e(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.initial(p.attachRequest())
		p.uplink(p.answer(down[*eps.AuthenticationRequest](p)))
		p.secure()
		p.undelivered([]byte{7, 0x5d})
		p.secure()
		p.secured()
		p.information()
		p.accepted()
	})
}

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

// TS 24.301 §5.5.3.2.7 f: not delivered because of a handover, the accept is
// repeated with T3450.
func TestAbnormal_5_5_3_2_7_f(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.attach()
		p.idle()
		p.initial(p.updateRequest(eps.UpdatePeriodic))
		first := down[*eps.TrackingAreaUpdateAccept](p)
		p.undelivered([]byte{7, 0x49})
		if again := down[*eps.TrackingAreaUpdateAccept](p); again.GUTI != first.GUTI {
			t.Error("another GUTI")
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
// place, and sets up the bearers if it asks for them.
func TestAbnormal_5_6_1_7_e(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.attach()
		p.idle()
		p.request()
		p.uplink(p.updateRequest(eps.UpdateTA | eps.UpdateActive))
		down[*eps.TrackingAreaUpdateAccept](p)
		expect[*s1ap.InitialContextSetupRequest](p.e)
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
