package mme

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/nassec"
	"campanile.network/3gpp/s1ap"
)

func (w *world) detach(p *phone, d NetworkDetach) {
	w.t.Helper()
	if err := w.m.Detach(p.imsi, d); err != nil {
		w.t.Errorf("Detach: %v", err)
	}
}

var barred = NetworkDetach{Type: eps.NetworkDetachTypeNoReattach, Cause: eps.EMMCauseEPSServicesNotAllowed, Why: "the subscriber is barred"}

// TS 24.301 §5.5.2.3.2: a subscriber is barred while connected. The phone's keys
// are worth nothing until its home agrees.
func TestNetworkDetach(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.attach()
		w.home.subs[p.imsi].barred = true
		w.detach(p, barred)
		if m := down[*eps.NetworkDetachRequest](p); m.Type != eps.NetworkDetachTypeNoReattach || m.Cause.V != eps.EMMCauseEPSServicesNotAllowed {
			t.Errorf("told\n%v", m)
		}
		p.uplink(&eps.DetachAccept{})
		if cause := p.released(); cause != s1ap.CauseNasDetach.Cause() {
			t.Errorf("released with %v", cause)
		}
		if i := p.settled(); i.State != Deregistered || i.Reason != barred.Why {
			t.Errorf("UEInfo %+v", i)
		}
		w.gw.none(w)
		w.counted("network detach ok", 1)

		p.initial(p.attachRequest())
		if m := down[*eps.AttachReject](p); m.Cause != eps.EMMCauseNoSuitableCellsInTrackingArea {
			t.Errorf("rejected with %v", m.Cause)
		}
		p.released()
		p.settled()
		if err := w.m.Detach(p.imsi, barred); !errors.Is(err, ErrNotRegistered) {
			t.Errorf("once more: %v", err)
		}
		if err := w.m.Detach(p.imsi, NetworkDetach{Type: 7}); err == nil {
			t.Error("type 7 is taken")
		}
	})
}

// An idle phone is paged first; its service request is answered by the detach.
func TestNetworkDetachOfIdlePhone(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.attach()
		p.idle()
		w.detach(p, NetworkDetach{})
		expect[*s1ap.Paging](p.e)
		p.initialRaw(must(p.sec.AppendServiceRequest(nil)))
		if m := down[*eps.NetworkDetachRequest](p); m.Type != eps.NetworkDetachTypeReattach || m.Cause.OK {
			t.Errorf("told\n%v", m)
		}
		p.uplink(&eps.DetachAccept{})
		p.released()
		p.settled()
		p.mmeID = 0
		p.initial(p.attachRequest()) // with the keys it has
		p.information()
		p.accepted()
		p.setupResponse()
		p.complete()
		if i := p.settled(); i.State != Connected {
			t.Errorf("UEInfo %+v", i)
		}

		// One that comes by itself, to update or to detach, needs no page.
		p.idle()
		w.detach(p, NetworkDetach{})
		expect[*s1ap.Paging](p.e)
		p.initial(p.updateRequest(eps.UpdatePeriodic))
		down[*eps.NetworkDetachRequest](p)
		p.uplink(&eps.DetachAccept{})
		p.released()
		w.gw.none(w)
	})
}

// A phone that does not answer the page is detached without its knowing, and so
// is one that is not paged any more; it learns it with #10.
func TestNetworkDetachUnanswered(t *testing.T) {
	for _, asleep := range []time.Duration{0, time.Hour} {
		play(t, nil, func(w *world) {
			p := w.phone(w.tower(0x19b))
			p.attach()
			p.idle()
			time.Sleep(asleep)
			w.detach(p, barred)
			if asleep == 0 {
				for range 3 {
					expect[*s1ap.Paging](p.e)
				}
			}
			time.Sleep(10 * time.Second)
			if i := p.settled(); i.State != Deregistered || i.Reason != barred.Why+"; the phone does not know" {
				t.Errorf("UEInfo %+v", i)
			}
			w.gw.none(w)
			w.counted("network detach not told", 1)
			p.initialRaw(must(p.sec.AppendServiceRequest(nil)))
			if m := down[*eps.ServiceReject](p); m.Cause != eps.EMMCauseImplicitlyDetached {
				t.Errorf("rejected with %v", m.Cause)
			}
		})
	}
}

// TS 24.301 §5.5.2.3.5 a: T3422 runs out.
func TestNetworkDetachT3422(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.attach()
		began := time.Now()
		w.detach(p, NetworkDetach{})
		for range 5 {
			down[*eps.NetworkDetachRequest](p)
		}
		p.released()
		if took := time.Since(began); took != 30*time.Second {
			t.Errorf("given up after %v", took)
		}
		w.gw.none(w)
	})
}

// TS 24.301 §5.5.2.3.5 b to f.
func TestNetworkDetachCollides(t *testing.T) {
	for name, script := range map[string]func(*world, *phone){
		"radio lost": func(_ *world, p *phone) { p.release() },
		"detach by the phone": func(_ *world, p *phone) {
			p.uplink(&eps.DetachRequest{Type: eps.DetachEPS, KSI: p.ksi, Identity: eps.FromGUTI(*p.guti)})
			down[*eps.DetachAccept](p)
			p.released()
		},
		"switched off": func(_ *world, p *phone) {
			p.uplink(&eps.DetachRequest{Type: eps.DetachEPS | eps.DetachSwitchOff, KSI: p.ksi, Identity: eps.FromGUTI(*p.guti)})
			p.released()
		},
		"update, ignored": func(_ *world, p *phone) {
			p.uplink(p.updateRequest(eps.UpdateTA))
			p.e.silent(time.Second)
			p.uplink(&eps.DetachAccept{})
			p.released()
		},
		"attach, ignored": func(_ *world, p *phone) {
			p.uplinkRaw(p.protect(p.attachRequest(), nassec.IntegrityProtected))
			p.e.silent(time.Second)
			p.uplink(&eps.DetachAccept{})
			p.released()
		},
		"ordered twice": func(w *world, p *phone) {
			synctest.Wait()
			_ = w.m.Detach(p.imsi, barred)
			p.e.silent(time.Second)
			p.uplink(&eps.DetachAccept{})
			p.released()
		},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, nil, func(w *world) {
				p := w.phone(w.tower(0x19b))
				p.attach()
				w.detach(p, barred)
				down[*eps.NetworkDetachRequest](p)
				script(w, p)
				if i := p.settled(); i.State != Deregistered {
					t.Errorf("UEInfo %+v", i)
				}
				w.gw.none(w)
			})
		})
	}
}

// TS 24.301 §5.5.2.3.5 d: a phone that is to attach again does so before it has
// accepted.
func TestAttachDuringNetworkDetach(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.attach()
		w.detach(p, NetworkDetach{})
		down[*eps.NetworkDetachRequest](p)
		p.uplinkRaw(p.protect(p.attachRequest(), nassec.IntegrityProtected))
		p.information()
		p.accepted()
		p.setupResponse()
		p.complete()
		if i := p.settled(); i.State != Connected {
			t.Errorf("UEInfo %+v", i)
		}
		w.gw.only(w)
	})
}

// Ordered in the midst of other procedures, and while the connection ends.
func TestNetworkDetachMeanwhile(t *testing.T) {
	play(t, nil, func(w *world) {
		e := w.tower(0x19b)
		p := w.phone(e)
		p.initial(p.attachRequest())
		p.authenticate()
		down[*eps.ESMInformationRequest](p)
		w.detach(p, barred)
		if m := down[*eps.AttachReject](p); m.Cause != eps.EMMCauseEPSServicesNotAllowed {
			t.Errorf("rejected with %v", m.Cause)
		}
		p.released()
		w.gw.none(w)

		q := w.phone(e)
		q.attach()
		q.idle()
		q.request()
		w.detach(q, barred)
		down[*eps.NetworkDetachRequest](q)
		q.uplink(&eps.DetachAccept{})
		q.released()
		w.gw.none(w)

		r := w.phone(e)
		r.attach()
		e.send(&s1ap.UEContextReleaseRequest{MMEUES1APID: r.mmeID, ENBUES1APID: r.enbID, Cause: s1ap.CauseRadioNetworkUserInactivity.Cause()})
		expect[*s1ap.UEContextReleaseCommand](e)
		w.detach(r, barred)
		synctest.Wait()
		e.send(&s1ap.UEContextReleaseComplete{MMEUES1APID: r.mmeID, ENBUES1APID: r.enbID})
		expect[*s1ap.Paging](e) // for the order
		r.initialRaw(must(r.sec.AppendServiceRequest(nil)))
		r.mmeID = 0
		down[*eps.NetworkDetachRequest](r)
		r.uplink(&eps.DetachAccept{})
		r.released()
		w.gw.none(w)
	})
}

// Ordered while the gateway opens the session of a phone whose lease is known:
// that session is closed, and no other is opened.
func TestNetworkDetachWhileGatewayWorks(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.attach()
		p.uplink(&eps.DetachRequest{Type: eps.DetachEPS | eps.DetachSwitchOff, KSI: p.ksi, Identity: eps.FromGUTI(*p.guti)})
		p.released()
		p.settled()
		asked := w.home.asked
		w.gw.slow = time.Second
		p.initial(p.attachRequest())
		p.information()
		synctest.Wait()
		w.detach(p, barred)
		if m := down[*eps.AttachReject](p); m.Cause != barred.Cause {
			t.Errorf("rejected with %v", m.Cause)
		}
		p.released()
		p.settled()
		w.gw.none(w)
		if w.home.asked != asked {
			t.Error("the home was asked meanwhile")
		}
	})
}

// TS 24.301 §5.5.2.3.1: services that this network does not have are taken; the
// phone stays.
func TestNetworkIMSIDetach(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.attach()
		d := NetworkDetach{Type: eps.NetworkDetachTypeIMSI, Cause: eps.EMMCauseIMSIUnknownInHSS}
		w.detach(p, d)
		if m := down[*eps.NetworkDetachRequest](p); m.Type != eps.NetworkDetachTypeIMSI || m.Cause.V != eps.EMMCauseIMSIUnknownInHSS {
			t.Errorf("told\n%v", m)
		}
		p.uplink(&eps.DetachAccept{})
		p.e.silent(time.Minute)
		if i := p.settled(); i.State != Connected {
			t.Errorf("UEInfo %+v", i)
		}
		p.idle()
		w.detach(p, d)
		expect[*s1ap.Paging](p.e)
		p.initialRaw(must(p.sec.AppendServiceRequest(nil)))
		down[*eps.NetworkDetachRequest](p)
		p.uplink(&eps.DetachAccept{})
		p.released()
		if i := p.settled(); i.State != Idle {
			t.Errorf("UEInfo %+v", i)
		}
		w.gw.only(w)
	})
}
