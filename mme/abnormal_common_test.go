package mme

import (
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/nassec"
	"campanile.network/3gpp/s1ap"
	"campanile.network/3gpp/sms"
)

// Abnormal cases on the network's side of the common procedures (TS 24.301 §5.4), by
// clause and letter; docs/conformance.md lists them all.

// loses is the radio connection lost, as the eNB tells it.
func (p *phone) loses() {
	p.w.t.Helper()
	p.e.send(&s1ap.UEContextReleaseRequest{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, Cause: s1ap.CauseRadioNetworkRadioConnectionWithUeLost.Cause()})
	p.released()
}

// missed is a NAS message that the eNB could not deliver because the phone went to
// another one (TS 36.413 §8.6.2.4).
func (p *phone) missed(m *s1ap.DownlinkNASTransport, to *enbPeer) {
	p.w.t.Helper()
	p.e.send(&s1ap.NASNonDeliveryIndication{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, NASPDU: m.NASPDU, Cause: s1ap.CauseRadioNetworkX2HandoverTriggered.Cause()})
	p.arrive(to)
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

// TS 24.301 §5.4.2.7 j: not delivered because of a handover, the request goes again
// when the phone has arrived.
func TestAbnormal_5_4_2_7_j(t *testing.T) {
	play(t, noUpdates, func(w *world) {
		f := w.towerIn(0x19c, 8)
		p := w.phone(w.tower(0x19b))
		p.attach()
		time.Sleep(untilRenewal)
		p.missed(expect[*s1ap.DownlinkNASTransport](p.e), f)
		p.authenticate()
		p.rekeyed()
		if i := p.settled(); i.State != Connected || i.TAI.TAC != 8 {
			t.Errorf("%+v", i)
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

// TS 24.301 §5.4.3.7 e: not delivered because of a handover, the command goes again
// when the phone has arrived.
func TestAbnormal_5_4_3_7_e(t *testing.T) {
	play(t, noUpdates, func(w *world) {
		f := w.towerIn(0x19c, 8)
		p := w.phone(w.tower(0x19b))
		p.uplink(p.answer(p.asked()))
		p.missed(expect[*s1ap.DownlinkNASTransport](p.e), f)
		p.secure()
		p.secured()
		p.rekeyed()
	})
}
