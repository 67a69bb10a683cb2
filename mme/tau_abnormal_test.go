package mme

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/nassec"
	"campanile.network/3gpp/s1ap"
)

// TS 24.301 §5.5.3.2.7 c: the accept is sent five times; then both GUTIs are good,
// and the phone's next message tells.
func TestAbnormal_5_5_3_2_7_c(t *testing.T) {
	for _, got := range []bool{false, true} {
		play(t, nil, func(w *world) {
			p := w.phone(w.tower(0x19b))
			p.attach()
			p.idle()
			former := *p.guti
			began := time.Now()
			p.initial(p.updateRequest(eps.UpdatePeriodic))
			var g id.GUTI
			for range 5 {
				g, _ = down[*eps.TrackingAreaUpdateAccept](p).GUTI.V.GUTI()
			}
			p.released()
			if took := time.Since(began); took != 30*time.Second {
				t.Errorf("given up after %v", took)
			}
			p.settled()
			s, _ := w.gw.only(w)
			w.m.DownlinkData(s, 5, 0)
			paged := []id.MTMSI{expect[*s1ap.Paging](p.e).UEPagingID.STMSI.ID().TMSI, expect[*s1ap.Paging](p.e).UEPagingID.STMSI.ID().TMSI}
			if !slices.Contains(paged, former.TMSI) || !slices.Contains(paged, g.TMSI) {
				t.Errorf("paged as %v; the phone may be %v or %v", paged, former.TMSI, g.TMSI)
			}
			other := former
			if got {
				p.guti, other = &g, former
			} else {
				other = g
			}
			p.request()
			p.setupResponse()
			if i := p.settled(); i.State != Connected || i.TMSI != p.guti.TMSI || w.m.known.find(other.TMSI) != nil {
				t.Errorf("UEInfo %+v; the phone is %v, not %v", i, p.guti, other)
			}
		})
	}
}

// TS 24.301 §5.5.3.2.7 d: the same request after the accept is answered again;
// another begins anew.
func TestAbnormal_5_5_3_2_7_d(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.attach()
		p.idle()
		req := p.updateRequest(eps.UpdatePeriodic)
		p.initial(req)
		first := down[*eps.TrackingAreaUpdateAccept](p)
		p.uplink(req)
		if again := down[*eps.TrackingAreaUpdateAccept](p); again.GUTI != first.GUTI {
			t.Errorf("again with another GUTI: %v, %v", again.GUTI, first.GUTI)
		}
		req.Type = eps.UpdatePeriodic | eps.UpdateActive
		p.uplink(req)
		if m := p.updated(); m.GUTI != first.GUTI {
			t.Error("a third GUTI while the second is not confirmed")
		}
		expect[*s1ap.InitialContextSetupRequest](p.e)
		p.setupResponse()
		if i := p.settled(); i.State != Connected {
			t.Errorf("UEInfo %+v", i)
		}
		w.logged("procedure failed", "tracking area update", "interrupted by TRACKING AREA UPDATE REQUEST")
	})
}

// TS 24.301 §5.5.3.2.7 g: detach before the update is complete.
func TestAbnormal_5_5_3_2_7_g(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.attach()
		p.idle()
		p.initial(p.updateRequest(eps.UpdatePeriodic))
		down[*eps.TrackingAreaUpdateAccept](p)
		p.uplink(&eps.DetachRequest{Type: eps.DetachEPS, KSI: p.ksi, Identity: eps.FromGUTI(*p.guti)})
		down[*eps.DetachAccept](p)
		p.released()
		w.gw.none(w)
	})
}

// What comes while the gateway learns of the bearers comes after they stand: an
// update keeps them, and the eNB's wish to release makes no failure of it.
func TestUpdateWhileGatewayWorks(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.attach()
		p.idle()
		p.request()
		w.gw.slow = time.Second
		p.setupResponse()
		synctest.Wait()
		p.uplink(p.updateRequest(eps.UpdateTA))
		down[*eps.TrackingAreaUpdateAccept](p)
		p.e.silent(time.Minute)
		if i := p.settled(); i.State != Connected {
			t.Errorf("UEInfo %+v", i)
		}

		p.uplink(&eps.DetachRequest{Type: eps.DetachEPS | eps.DetachSwitchOff, KSI: p.ksi, Identity: eps.FromGUTI(*p.guti)})
		p.released()
		p.initial(p.attachRequest())
		p.information()
		p.accepted()
		p.setupResponse()
		p.complete()
		p.release()
		time.Sleep(time.Minute)
		if i := p.settled(); i.State != Idle {
			t.Errorf("UEInfo %+v", i)
		}
		w.counted("attach ok", 2)
	})
}

// TS 24.301 §5.5.3.2.5: a GUTI nobody has, a wrong code, a phone that is known
// and not registered.
func TestUpdateRejected(t *testing.T) {
	play(t, nil, func(w *world) {
		e := w.tower(0x19b)
		q := w.phone(e)
		q.guti = &id.GUTI{GUMMEI: w.m.o.GUMMEI, TMSI: 5}
		q.initial(q.updateRequest(eps.UpdateTA))
		if m := down[*eps.TrackingAreaUpdateReject](q); m.Cause != eps.EMMCauseUEIdentityCannotBeDerivedByTheNetwork {
			t.Errorf("rejected with %v", m.Cause)
		}
		q.released()

		p := w.phone(e)
		p.attach()
		thief := p.at(e)
		pdu := p.protect(p.updateRequest(eps.UpdateTA|eps.UpdateActive), nassec.IntegrityProtected)
		pdu[2] ^= 1
		thief.initialRaw(pdu)
		thief.sec = nil
		if m := down[*eps.TrackingAreaUpdateReject](thief); m.Cause != eps.EMMCauseUEIdentityCannotBeDerivedByTheNetwork {
			t.Errorf("rejected with %v", m.Cause)
		}
		thief.released()
		if i := p.settled(); i.State != Connected {
			t.Errorf("the phone is %v", i.State)
		}

		p.uplink(&eps.DetachRequest{Type: eps.DetachEPS | eps.DetachSwitchOff, KSI: p.ksi, Identity: eps.FromGUTI(*p.guti)})
		p.released()
		p.initial(p.updateRequest(eps.UpdateTA))
		if m := down[*eps.TrackingAreaUpdateReject](p); m.Cause != eps.EMMCauseImplicitlyDetached {
			t.Errorf("rejected with %v", m.Cause)
		}
		p.released()
	})
}

// TS 24.301 §5.3.5: after the mobile reachable timer the phone is paged no more,
// after the implicit detach timer it is detached, and learns it with #10.
func TestMobileReachableTimer(t *testing.T) {
	play(t, func(o *Options) { o.T3412 = time.Hour }, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.attach()
		p.idle()
		s, _ := w.gw.only(w)
		time.Sleep(time.Hour + 4*time.Minute)
		if c := w.m.DownlinkData(s, 5, 0); c != 16 {
			t.Errorf("notification answered with %v", c)
		}
		for range 3 {
			expect[*s1ap.Paging](p.e)
		}
		time.Sleep(time.Minute)
		if c := w.m.DownlinkData(s, 5, 0); c != 90 {
			t.Errorf("notification answered with %v", c)
		}
		p.e.silent(time.Minute)
		w.gw.only(w)
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		w.gw.none(w)
		p.initial(p.updateRequest(eps.UpdatePeriodic))
		if m := down[*eps.TrackingAreaUpdateReject](p); m.Cause != eps.EMMCauseImplicitlyDetached {
			t.Errorf("rejected with %v", m.Cause)
		}
	})
}
