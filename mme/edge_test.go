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

// TS 24.301 §5.4.2.7 c: the GUTI is another phone's, an old one of the same
// MME; asked for its IMSI, the phone is authenticated with the right one.
func TestAbnormal_5_4_2_7_c_Identification(t *testing.T) {
	play(t, nil, func(w *world) {
		e := w.tower(0x19b)
		p, q := w.phone(e), w.phone(e)
		p.attach()
		q.guti = p.guti
		q.initial(q.attachRequest())
		q.uplink(q.answer(down[*eps.AuthenticationRequest](q))) // #20
		down[*eps.IdentityRequest](q)
		q.uplink(&eps.IdentityResponse{Identity: eps.MobileIMSI(q.imsi)})
		q.authenticate()
		q.information()
		q.accepted()
		q.setupResponse()
		q.complete()
		for _, x := range []*phone{p, q} {
			if i := x.settled(); i.State != Connected || i.Address.String() != x.addr {
				t.Errorf("UEInfo %+v", i)
			}
		}
		if p.addr == q.addr {
			t.Error("two phones have one address")
		}
	})
}

// A third leg while the release of the second is not confirmed.
func TestThreeLegs(t *testing.T) {
	play(t, nil, func(w *world) {
		e, f := w.tower(0x19b), w.tower(0x19c)
		p := w.phone(e)
		p.attach()
		q := p.at(f)
		q.request()
		q.setupResponse()
		q.settled()
		expect[*s1ap.UEContextReleaseCommand](e) // never completed
		r := q.at(e)
		r.request()
		r.setupResponse()
		q.released()
		if i := r.settled(); i.State != Connected || i.Tower != w.towers[0x19b] || w.m.Stats().Connected != 1 {
			t.Errorf("UEInfo %+v, stats %+v", i, w.m.Stats())
		}
	})
}

// One recorded Service Request by two legs at once: the second is a replay when
// its turn comes, is released, and does not disturb the phone.
func TestSameServiceRequestByTwoLegs(t *testing.T) {
	play(t, nil, func(w *world) {
		e, f := w.tower(0x19b), w.tower(0x19c)
		p := w.phone(e)
		p.attach()
		sr := must(p.sec.AppendServiceRequest(nil))
		// The owner is held up, so that both are verified before it acts.
		w.gw.hush(true)
		p.e.send(&s1ap.UEContextReleaseRequest{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, Cause: s1ap.CauseRadioNetworkUserInactivity.Cause()})
		synctest.Wait()
		q, thief := p.at(f), p.at(f)
		u := w.m.known.find(p.guti.TMSI)
		w.m.known.mu.Lock()
		owner := u.owner
		w.m.known.mu.Unlock()
		legs := [2]*leg{}
		for i, x := range []*phone{q, thief} {
			f.lastID++
			x.enbID = f.lastID
			l, _ := w.m.legs.open(f.of(w), id.ENBUEID(x.enbID))
			l.seen(id.TAI{PLMN: testPLMN, TAC: 7}, id.ECGI{PLMN: testPLMN, ECI: 0x19c01})
			l.own(&conn{in: newMailbox(1)})
			legs[i] = l
		}
		w.gw.hush(false)
		msg := &s1ap.InitialUEMessage{NASPDU: sr}
		for _, l := range legs {
			if !l.give(owner, inbound{msg: msg}) {
				t.Fatal("the owner took no leg")
			}
		}
		m := map[s1ap.ENBUES1APID]s1ap.Message{}
		for range 2 {
			switch x := f.next().(type) {
			case *s1ap.InitialContextSetupRequest:
				m[x.ENBUES1APID] = x
				q.mmeID = x.MMEUES1APID
			case *s1ap.UEContextReleaseCommand:
				m[x.UES1APIDs.UES1APIDPair.ENBUES1APID] = x
			}
		}
		if _, ok := m[q.enbID].(*s1ap.InitialContextSetupRequest); !ok {
			t.Errorf("the first leg got %T", m[q.enbID])
		}
		if _, ok := m[thief.enbID].(*s1ap.UEContextReleaseCommand); !ok {
			t.Errorf("the second leg got %T", m[thief.enbID])
		}
		q.setupResponse()
		if i := q.settled(); i.State != Connected {
			t.Errorf("state %v", i.State)
		}
	})
}

// The eNB sets up no bearer; or does not answer.
func TestServiceRequestWithoutBearer(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.attach()
		p.idle()
		p.request()
		p.e.send(&s1ap.InitialContextSetupResponse{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID,
			ERABSetupListCtxtSURes:         s1ap.ERABSetupListCtxtSURes{{ERABID: 6, TransportLayerAddress: s1ap.FromAddr(p.e.addr), GTPTEID: s1ap.FromTEID(9)}},
			ERABFailedToSetupListCtxtSURes: s1ap.ERABList{{ERABID: 5, Cause: s1ap.CauseRadioNetworkNotSupportedQCIValue.Cause()}}})
		p.released()
		if i := p.settled(); i.State != Idle {
			t.Errorf("state %v", i.State)
		}
		w.logged("not-supported-QCI-value")

		began := time.Now()
		p.request()
		p.released()
		if took := time.Since(began); took != contextSetupWait {
			t.Errorf("released after %v", took)
		}
		p.request()
		p.e.send(&s1ap.ErrorIndication{MMEUES1APID: &p.mmeID, ENBUES1APID: &p.enbID, Cause: new(s1ap.CauseProtocolSemanticError.Cause())})
		p.released()
		if i := p.settled(); i.State != Idle {
			t.Errorf("state %v", i.State)
		}
	})
}

// TS 36.413 §8.3.3.2: an eNB that never confirms a release, and one that releases by
// itself.
func TestAbnormal_36413_8_3_3_2_Unconfirmed(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.attach()
		p.e.send(&s1ap.UEContextReleaseRequest{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, Cause: s1ap.CauseRadioNetworkUserInactivity.Cause()})
		expect[*s1ap.UEContextReleaseCommand](p.e)
		expect[*s1ap.Reset](p.e)
		p.e.send(&s1ap.ResetAcknowledge{})
		if i := p.settled(); i.State != Idle || w.m.Stats().Connected != 0 {
			t.Errorf("UEInfo %+v, stats %+v", i, w.m.Stats())
		}
		p.request()
		p.setupResponse()
		p.settled()
		p.e.send(&s1ap.NASNonDeliveryIndication{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, NASPDU: []byte{1}, Cause: s1ap.CauseRadioNetworkUnspecified.Cause()})
		p.e.send(&s1ap.UEContextReleaseComplete{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID})
		if i := p.settled(); i.State != Idle || w.m.Stats().Connected != 0 {
			t.Errorf("UEInfo %+v, stats %+v", i, w.m.Stats())
		}
	})
}

// A phone whose lease must be renewed and whose SIM is refused then.
func TestRenewalRefused(t *testing.T) {
	play(t, noUpdates, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.attach()
		p.idle()
		time.Sleep(5*time.Hour + 30*time.Minute)
		w.home.refuse = home.Barred
		p.initialRaw(must(p.sec.AppendServiceRequest(nil)))
		if m := down[*eps.ServiceReject](p); m.Cause != eps.EMMCauseNoSuitableCellsInTrackingArea {
			t.Errorf("rejected with %v", m.Cause)
		}
		p.released()
		if i := p.settled(); i.State != Deregistered || i.Reason != "home: subscriber is barred" {
			t.Errorf("UEInfo %+v", i)
		}
		w.gw.none(w)
	})
}

// PDN connectivity requests that are none (TS 24.301 §7.3.1, §7.5).
func TestBrokenPDNRequest(t *testing.T) {
	for _, c := range []struct {
		esm  []byte
		want eps.ESMCause
	}{
		{[]byte{2, 1, 0xd0, 0x51}, eps.ESMCauseUnknownPDNType},
		{[]byte{2, 0, 0xd0, 0x11}, eps.ESMCauseInvalidPTIValue},
		{[]byte{2, 1, 0xd0, 0x14}, eps.ESMCauseServiceOptionNotSupported},
		{[]byte{2, 1, 0xda}, eps.ESMCauseMessageTypeNotCompatibleWithTheProtocolState},
		{[]byte{2, 1, 0xd0, 0x11, 0x05, 1, 1}, eps.ESMCauseInvalidMandatoryInformation},
		{[]byte{7, 0x41, 0, 0}, 0},
	} {
		play(t, nil, func(w *world) {
			p := w.phone(w.tower(0x19b))
			m := p.attachRequest()
			m.ESM = c.esm
			p.initial(m)
			r := p.rejected(eps.EMMCauseESMFailure)
			inner := must(eps.Parse(eps.Downlink, r.ESM.V)).(*eps.PDNConnectivityReject)
			if c.want != 0 && inner.Cause != c.want {
				t.Errorf("%x: %v, want %v", c.esm, inner.Cause, c.want)
			}
		})
	}
}

// What else a connected phone may ask for that is not here, and control plane
// optimisation.
func TestNotOffered(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.attach()
		p.uplink(&eps.ESMStatus{EBI: 5, Cause: eps.ESMCauseInvalidEPSBearerIdentity})
		p.e.silent(time.Second)
		p.uplink(&eps.ModifyEPSBearerContextAccept{EBI: 5}) // an answer to nothing
		p.e.silent(time.Second)
		p.uplink(&eps.RemoteUEReport{PTI: 1})
		if m := down[*eps.ESMStatus](p); m.Cause != eps.ESMCauseMessageTypeNotCompatibleWithTheProtocolState {
			t.Errorf("%v", m)
		}
		p.idle()
		p.initialRaw(p.protect(&eps.ControlPlaneServiceRequest{KSI: p.ksi}, nassec.IntegrityProtected))
		down[*eps.ServiceReject](p)
		p.released()
	})
}
