package mme

import (
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
	"campanile.network/wire/gtpc"
)

// TS 24.301 §5.6.2, TS 23.401 §5.3.4.3.
func TestPaging(t *testing.T) {
	play(t, func(o *Options) { o.Areas = [][]id.TAI{{{PLMN: testPLMN, TAC: 7}, {PLMN: testPLMN, TAC: 8}}} }, func(w *world) {
		e, f := w.tower(0x19b), w.towerIn(0x19c, 8)
		p := w.phone(e)
		p.attach()
		s, _ := w.gw.only(w)
		p.idle()

		if c := w.m.DownlinkData(s, 5, 0); c != gtpc.Accepted {
			t.Errorf("notification answered with %v", c)
		}
		w.m.DownlinkData(s, 5, 0) // a second one does not page twice
		for _, at := range []*enbPeer{e, f} {
			m := expect[*s1ap.Paging](at)
			if m.UEPagingID.STMSI.ID() != p.guti.STMSI() || m.UEIdentityIndexValue != 1 || m.CNDomain != s1ap.CNDomainPs || len(m.TAIList) != 2 {
				t.Errorf("Paging %+v", m)
			}
		}
		p.request()
		p.setupResponse()
		p.settled()
		e.silent(time.Minute)
		w.counted("paging ok", 1)
	})
}

// No answer to pages: T3413 runs out three times, the gateway is told.
func TestPagingUnanswered(t *testing.T) {
	play(t, nil, func(w *world) {
		e := w.tower(0x19b)
		p := w.phone(e)
		p.attach()
		s, _ := w.gw.only(w)
		p.idle()
		began := time.Now()
		w.m.DownlinkData(s, 5, 0)
		for range 3 {
			expect[*s1ap.Paging](e)
		}
		e.silent(time.Minute)
		synctest.Wait()
		if w.gw.failed != 1 {
			t.Errorf("the gateway was told %d times", w.gw.failed)
		}
		if time.Since(began) != 70*time.Second {
			t.Errorf("last page after %v, want 10 s", time.Since(began)-time.Minute)
		}
		w.m.DownlinkData(s, 5, 0)
		expect[*s1ap.Paging](e)
		if c := w.m.DownlinkData(nil, 5, 0); c != gtpc.ContextNotFound {
			t.Errorf("notification for nobody answered with %v", c)
		}
	})
}

// A phone that says how often it listens is paged so; what it says in an update
// is kept (TS 24.301 §5.5.3.2.4).
func TestPagingDRX(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.phone(w.tower(0x19b))
		m := p.attachRequest()
		m.DRX = eps.Some(eps.DRX{0, 0x60})
		p.initial(m)
		p.authenticate()
		p.information()
		p.accepted()
		p.setupResponse()
		p.complete()
		p.settled()
		p.idle()
		s, _ := w.gw.only(w)
		w.m.DownlinkData(s, 5, 0)
		if m := expect[*s1ap.Paging](p.e); m.PagingDRX == nil || *m.PagingDRX != s1ap.PagingDRXV32 {
			t.Errorf("%v", m)
		}
		u := p.updateRequest(eps.UpdateTA | eps.UpdateActive)
		u.DRX = eps.Some(eps.DRX{0, 0x90})
		p.initial(u)
		down[*eps.TrackingAreaUpdateAccept](p)
		expect[*s1ap.InitialContextSetupRequest](p.e)
		p.setupResponse()
		p.settled()
		p.idle()
		w.m.DownlinkData(s, 5, 0)
		if m := expect[*s1ap.Paging](p.e); *m.PagingDRX != s1ap.PagingDRXV256 {
			t.Errorf("%v", m)
		}
	})
}

// Downlink data while the phone is being released is paged for afterwards.
func TestDownlinkDataDuringRelease(t *testing.T) {
	play(t, nil, func(w *world) {
		e := w.tower(0x19b)
		p := w.phone(e)
		p.attach()
		s, _ := w.gw.only(w)
		e.send(&s1ap.UEContextReleaseRequest{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, Cause: s1ap.CauseRadioNetworkUserInactivity.Cause()})
		m := expect[*s1ap.UEContextReleaseCommand](e)
		w.m.DownlinkData(s, 5, 0)
		synctest.Wait()
		e.send(&s1ap.UEContextReleaseComplete{MMEUES1APID: m.UES1APIDs.UES1APIDPair.MMEUES1APID, ENBUES1APID: p.enbID})
		expect[*s1ap.Paging](e)
	})
}
