package mme

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
	"campanile.network/sdr/sim"
	"campanile.network/wire/home"
)

const untilRenewal = 5*time.Hour + 24*time.Minute + time.Second // of a ticket of six hours

// rekeyed answers UE Context Modification Request, whose K_eNB must be that of the
// Security Mode Complete (TS 33.401 §7.2.9.2).
func (p *phone) rekeyed() {
	p.w.t.Helper()
	m := expect[*s1ap.UEContextModificationRequest](p.e)
	if m.SecurityKey == nil || *m.SecurityKey != s1ap.SecurityKey(p.sec.KeNB(0)) || m.MMEUES1APID != p.mmeID || m.ENBUES1APID != p.enbID || m.UESecurityCapabilities == nil {
		p.w.t.Errorf("%+v", m)
	}
	p.e.send(&s1ap.UEContextModificationResponse{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID})
}

// The SIM of a phone that stays connected is asked before its lease ends: the
// connection stands, with new keys at the eNB, and the new ticket at the gateway.
func TestLeaseRenewedWhileConnected(t *testing.T) {
	play(t, noUpdates, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.attach()
		_, x := w.gw.only(w)
		for n := range 3 {
			before := x.ticket.ID
			time.Sleep(untilRenewal)
			synctest.Wait()
			if n == 1 { // the eNB reports something meanwhile, and traffic goes on
				p.e.send(&s1ap.UECapabilityInfoIndication{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, UERadioCapability: []byte{1}})
			}
			p.authenticate()
			p.rekeyed()
			i := p.settled()
			if i.State != Connected || i.Segment != 1 || x.ticket.ID == before || i.Ticket != x.ticket.ID || x.enb.TEID != 1 {
				t.Errorf("UEInfo %+v, ticket at the gateway %v, the former %v", i, x.ticket.ID, before)
			}
		}
		w.gw.mu.Lock()
		if slices.Contains(w.gw.said, "release") || len(x.segments) != 4 {
			t.Errorf("the gateway was asked %v, %d segments", w.gw.said, len(x.segments))
		}
		w.gw.mu.Unlock()
		w.gw.none2(w)
		w.counted("lease renewal ok", 3)
		w.counted("key change ok", 3)
	})
}

// A home that is away or busy: what is left is used up, and no more; then the
// phone is idle. One that has come back is asked at the next service request.
func TestLeaseEndsWhileConnected(t *testing.T) {
	play(t, noUpdates, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.attach()
		w.home.refusing(home.RateLimited)
		time.Sleep(untilRenewal)
		if i := p.settled(); i.State != Connected {
			t.Fatalf("state %v, the lease holds for half an hour", i.State)
		}
		w.logged("going on with what is left")
		time.Sleep(36*time.Minute + time.Second)
		p.released()
		if i := p.settled(); i.State != Idle {
			t.Errorf("state %v", i.State)
		}
		w.home.refusing(0)
		p.initialRaw(must(p.sec.AppendServiceRequest(nil)))
		p.authenticate()
		expect[*s1ap.InitialContextSetupRequest](p.e)
		p.setupResponse()
		if i := p.settled(); i.State != Connected {
			t.Errorf("state %v", i.State)
		}
		w.gw.none2(w)
	})
}

// TS 36.413 §8.3.4.3: an eNB that cannot change keys, or does not answer, loses the
// phone, which comes back.
func TestAbnormal_36413_8_3_4_3(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer func(*phone)
	}{
		{"failure", func(p *phone) {
			p.e.send(&s1ap.UEContextModificationFailure{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, Cause: s1ap.CauseRadioNetworkUnspecified.Cause()})
		}},
		{"not known", func(p *phone) {
			p.e.send(&s1ap.ErrorIndication{MMEUES1APID: &p.mmeID, ENBUES1APID: &p.enbID, Cause: new(s1ap.CauseProtocolAbstractSyntaxErrorReject.Cause())})
		}},
		{"silence", func(*phone) {}},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, noUpdates, func(w *world) {
				p := w.phone(w.tower(0x19b))
				p.attach()
				time.Sleep(untilRenewal)
				p.authenticate()
				expect[*s1ap.UEContextModificationRequest](p.e)
				c.answer(p)
				p.released()
				if i := p.settled(); i.State != Idle {
					t.Errorf("state %v", i.State)
				}
				p.request()
				p.setupResponse()
				if i := p.settled(); i.State != Connected {
					t.Errorf("state %v", i.State)
				}
				w.gw.none2(w)
			})
		})
	}
}

// What else may happen in the middle of a renewal.
func TestRenewalInterrupted(t *testing.T) {
	play(t, noUpdates, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.attach()
		_, x := w.gw.only(w)
		before := x.ticket.ID
		time.Sleep(untilRenewal)
		down[*eps.AuthenticationRequest](p)
		p.uplink(p.updateRequest(eps.UpdateTA)) // the phone has not heard it yet
		auth := down[*eps.AuthenticationRequest](p)
		p.uplink(p.answer(auth))
		p.secure()
		p.secured()
		down[*eps.TrackingAreaUpdateAccept](p)
		p.rekeyed()
		if i := p.settled(); i.State != Connected || x.ticket.ID == before {
			t.Errorf("UEInfo %+v", i)
		}

		time.Sleep(untilRenewal) // the SIM does not answer
		for range t3460.sends {
			down[*eps.AuthenticationRequest](p)
		}
		p.released()
		if i := p.settled(); i.State != Idle {
			t.Errorf("state %v", i.State)
		}
		p.initialRaw(must(p.sec.AppendServiceRequest(nil)))
		p.authenticate()
		expect[*s1ap.InitialContextSetupRequest](p.e)
		p.setupResponse()
		p.settled()

		w.home.refusing(home.UnknownSubscriber) // it has been erased
		time.Sleep(untilRenewal)
		p.released()
		if i := p.settled(); i.State != Deregistered {
			t.Errorf("state %v", i.State)
		}
		w.gw.none(w)
	})
}

// srsRAN's eNB is not asked for what it cannot do.
func TestRenewalAtSrsRAN(t *testing.T) {
	play(t, func(o *Options) { noUpdates(o); o.KeepKeys = nil }, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.attach()
		_, x := w.gw.only(w)
		before := x.ticket.ID
		time.Sleep(untilRenewal)
		p.authenticate()
		if m := expect[*s1ap.UEContextModificationRequest](p.e); m.SecurityKey != nil || m.UESecurityCapabilities != nil || m.UEAggregateMaximumBitrate == nil {
			t.Errorf("%+v", m)
		}
		p.e.send(&s1ap.UEContextModificationResponse{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID})
		if i := p.settled(); i.State != Connected || x.ticket.ID == before {
			t.Errorf("UEInfo %+v", i)
		}
	})
}

// A phone and an eNB made by others change keys, too.
func TestRenewalOfSimulatedPhone(t *testing.T) {
	playSim(t, noUpdates, sim.ENBOptions{}, sim.PhoneOptions{}, func(l *simLife) {
		_, err := l.p.Attach(l.ctx)
		l.ok("attach", err)
		time.Sleep(20 * time.Hour)
		l.is("after three renewals", Connected)
		l.w.counted("key change ok", 3)
		l.ok("rest", l.p.Rest(l.ctx))
		l.ok("service", l.p.ServiceRequest(l.ctx, s1ap.RRCEstablishmentCauseMoData))
		l.is("active again", Connected)
	})
}

// refusing makes the home refuse every challenge from now on; 0: none.
func (h *testHome) refusing(c home.Code) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.refuse = c
}

// A lease that is to be renewed before its time: at once while connected, and at the next
// service request of an idle phone, once each.
func TestLeaseRenewedByOrder(t *testing.T) {
	play(t, noUpdates, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.attach()
		imsi := p.settled().IMSI
		_, x := w.gw.only(w)
		before := x.ticket.ID
		if err := w.m.Renew(imsi); err != nil {
			t.Fatal(err)
		}
		p.authenticate()
		p.rekeyed()
		if i := p.settled(); i.State != Connected || x.ticket.ID == before || i.Ticket != x.ticket.ID {
			t.Errorf("%+v, ticket at the gateway %v, the former %v", i, x.ticket.ID, before)
		}
		w.counted("lease renewal ok", 1)
		if err := w.m.Renew(id.IMSI{}); err == nil {
			t.Error("nobody's lease is renewed")
		}
	})
}
