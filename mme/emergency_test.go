package mme

import (
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/nassec"
	"campanile.network/3gpp/s1ap"
	"campanile.network/wire/home"
)

var testIMEI = must(id.ParseIMEI("353490069873315"))

// calls gives an MME emergency bearer services.
func calls(unauthenticated bool) func(*Options) {
	return func(o *Options) {
		o.Emergency = &Emergency{Unauthenticated: unauthenticated,
			APN: home.APN{Name: must(id.ParseAPN("sos")), QCI: 5, ARP: 1, AMBRUL: id.Mbps, AMBRDL: id.Mbps}}
	}
}

// emergencyRequest is an attach for emergency bearer services.
func (p *phone) emergencyRequest() *eps.AttachRequest {
	m := p.attachRequest()
	m.Type = eps.AttachTypeEmergency
	m.ESM = must(eps.Append(nil, &eps.PDNConnectivityRequest{PTI: 1, Request: eps.RequestTypeEmergency, PDNType: eps.PDNTypeIPv4}))
	return m
}

// guest takes security mode control without security.
func (p *phone) guest() {
	p.w.t.Helper()
	m := expect[*s1ap.DownlinkNASTransport](p.e)
	p.mmeID = m.MMEUES1APID
	h := must(nassec.ParseHeader(m.NASPDU))
	smc, ok := must(eps.Parse(eps.Downlink, h.Payload)).(*eps.SecurityModeCommand)
	if !ok || smc.Algorithms != (eps.Algorithms{}) || smc.KSI != 0 || h.Type != nassec.IntegrityNewContext || h.MAC != [4]byte{} {
		p.w.t.Fatalf("%v under %+v", smc, h)
	}
	p.sec = must(nassec.New(nassec.State{Role: nassec.Phone, AllowNullIntegrity: true, DL: 1}))
	p.uplinkRaw(p.protect(&eps.SecurityModeComplete{}, nassec.CipheredNewContext))
}

// called is the rest of an emergency attach.
func (p *phone) called() *s1ap.InitialContextSetupRequest {
	p.w.t.Helper()
	m, a := p.accepted()
	act := must(eps.Parse(eps.Downlink, a.ESM)).(*eps.ActivateDefaultEPSBearerContextRequest)
	if !a.Features.OK || !a.Features.V.Has(eps.NetEMCBS) || act.APN != must(id.ParseAPN("sos")) || act.QoS.QCI != 5 || a.T3324.OK {
		p.w.t.Errorf("accepted with\n%v\n%v", a, act)
	}
	if q := m.ERABToBeSetupListCtxtSUReq[0].ERABLevelQoSParameters; q.QCI != 5 || q.AllocationRetentionPriority.PriorityLevel != 1 {
		p.w.t.Errorf("E-RAB %+v", q)
	}
	p.setupResponse()
	p.complete()
	return m
}

// TS 23.401 §4.3.12, TS 24.301 §5.5.1: a phone with a good SIM calls for help; its
// APN is the operator's, whatever its subscription.
func TestEmergencyAttach(t *testing.T) {
	play(t, calls(false), func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.initial(p.emergencyRequest())
		p.authenticate()
		p.called()
		if i := p.settled(); i.State != Connected || i.APN != must(id.ParseAPN("sos")) {
			t.Errorf("%+v", i)
		}
		p.idle()
		p.request()
		p.setupResponse()
		w.gw.none2(w)

		q := w.phone(p.e) // others learn of it, and have what they always have
		q.initial(q.attachRequest())
		q.authenticate()
		q.information()
		if _, a := q.accepted(); !a.Features.V.Has(eps.NetEMCBS) {
			t.Errorf("%v", a)
		}
	})
}

// TS 33.401 §15.2.2: nobody answers for the SIM, or there is none.
func TestEmergencyAttachUnauthenticated(t *testing.T) {
	for name, begin := range map[string]func(*world, *phone){
		"IMEI": func(w *world, p *phone) {
			m := p.emergencyRequest()
			m.Identity = eps.FromIMEI(testIMEI)
			p.initial(m)
		},
		"unknown subscriber": func(w *world, p *phone) { delete(w.home.subs, p.imsi); p.initial(p.emergencyRequest()) },
		"home away":          func(w *world, p *phone) { w.home.refusing(home.Unavailable); p.initial(p.emergencyRequest()) },
		"SIM refused": func(w *world, p *phone) {
			p.initial(p.emergencyRequest())
			down[*eps.AuthenticationRequest](p)
			p.uplink(&eps.AuthenticationFailure{Cause: eps.EMMCauseMACFailure})
		},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, calls(true), func(w *world) {
				w.gw.free = must(id.ParseAPN("sos"))
				p := w.phone(w.tower(0x19b))
				begin(w, p)
				p.guest()
				m := p.called()
				if m.UESecurityCapabilities != (s1ap.UESecurityCapabilities{}) {
					t.Errorf("the eNB may protect what the phone does not: %+v", m.UESecurityCapabilities)
				}
				synctest.Wait()
				s, x := w.gw.only(w)
				if len(x.segments) != 0 || x.enb.TEID == 0 || !s.IMSI.IsZero() {
					t.Errorf("session %+v, %+v", s, x)
				}
				p.uplink(p.updateRequest(eps.UpdateTA)) // it is served while it is connected
				down[*eps.TrackingAreaUpdateAccept](p)
				time.Sleep(time.Hour)
				synctest.Wait()
				w.m.DownlinkData(s, 5, 0)
				p.release()
				synctest.Wait()
				w.gw.none(w)
				if st := w.m.Stats(); st.UEs != 0 || len(w.m.known.byTMSI) != 0 || len(w.m.known.bySession) != 0 {
					t.Errorf("something is kept of a guest: %+v", st)
				}
				p.initialRaw(must(p.sec.AppendServiceRequest(nil)))
				p.sec = nil
				if cause := p.serviceRejected(); cause != eps.EMMCauseUEIdentityCannotBeDerivedByTheNetwork {
					t.Errorf("rejected with %v", cause)
				}
			})
		})
	}
}

// A phone in need is sent away where nobody helps, without locking it out.
func TestEmergencyAttachRefused(t *testing.T) {
	byIMEI := func(p *phone) *eps.AttachRequest {
		m := p.emergencyRequest()
		m.Identity = eps.FromIMEI(testIMEI)
		return m
	}
	for name, c := range map[string]struct {
		o     func(*Options)
		ask   func(*phone) *eps.AttachRequest
		cause eps.EMMCause
	}{
		"off":              {nil, (*phone).emergencyRequest, eps.EMMCauseNoSuitableCellsInTrackingArea},
		"off, by IMEI":     {nil, byIMEI, eps.EMMCauseIMEINotAccepted},
		"without SIM":      {calls(false), byIMEI, eps.EMMCauseIMEINotAccepted},
		"RLOS":             {calls(true), func(p *phone) *eps.AttachRequest { m := p.attachRequest(); m.Type = eps.AttachTypeRLOS; return m }, eps.EMMCauseNoSuitableCellsInTrackingArea},
		"no emergency":     {calls(true), func(p *phone) *eps.AttachRequest { m := byIMEI(p); m.Type = eps.AttachTypeEPS; return m }, eps.EMMCauseSemanticallyIncorrectMessage},
		"no emergency PDN": {calls(true), func(p *phone) *eps.AttachRequest { m := p.attachRequest(); m.ESM = p.emergencyRequest().ESM; return m }, eps.EMMCauseESMFailure},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, c.o, func(w *world) {
				p := w.phone(w.tower(0x19b))
				p.initial(c.ask(p))
				p.rejected(c.cause)
				w.gw.none(w)
			})
		})
	}
	play(t, calls(false), func(w *world) { // a SIM that nobody answers for
		p := w.phone(w.tower(0x19b))
		delete(w.home.subs, p.imsi)
		p.initial(p.emergencyRequest())
		p.rejected(eps.EMMCauseEPSServicesAndNonEPSServicesNotAllowed)
	})
	o := Options{Emergency: &Emergency{}}
	if o.Emergency.check() == nil {
		t.Error("an emergency APN without a name is accepted")
	}
}
