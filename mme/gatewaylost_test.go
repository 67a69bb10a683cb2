package mme

import (
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/s1ap"
	"campanile.network/mme/s11"
	"campanile.network/wire/gtpc"
)

// TS 23.007 §14.1A.1: after a gateway's restart idle phones are paged by IMSI, twenty a
// second, three times, until they have come; not those that sleep, and not for a
// session that the gateway has ended alone.
func TestIdlePhonesAreSummoned(t *testing.T) {
	play(t, func(o *Options) { o.PSM = time.Hour }, func(w *world) {
		e, far := w.tower(0x19b), w.towerIn(0x19c, 8)
		var phones []*phone
		var lost []*s11.Session
		for n := range 41 {
			p := w.phone(e)
			if n == 40 { // sleeps
				p.attachAsking(func(m *eps.AttachRequest) { m.T3324 = eps.Some(eps.NewGPRSTimer(2 * time.Second)) })
			} else {
				p.attach()
			}
			p.idle()
			phones = append(phones, p)
		}
		time.Sleep(10 * time.Second)
		for s := range w.gw.sessions {
			lost = append(lost, s)
		}
		clear(w.gw.sessions)
		began := time.Now()
		w.m.GatewayRestarted(lost)
		paged := map[string]int{}
		for n := range 40 {
			m := e.page()
			if m.UEPagingID.Choice != s1ap.UEPagingIDChoiceIMSI {
				t.Fatalf("paged as %+v", m.UEPagingID)
			}
			paged[string(m.UEPagingID.IMSI)]++
			if want := time.Duration(n+1) * summonEvery; time.Since(began) != want {
				t.Errorf("page %d after %v, want %v", n, time.Since(began), want)
			}
		}
		if len(paged) != 40 || paged[string(s1ap.FromIMSI(phones[40].imsi))] != 0 {
			t.Errorf("%d phones were paged", len(paged))
		}
		p := phones[0]
		p.sec, p.guti, p.ksi = nil, nil, eps.NoKSI // TS 24.301 §5.6.2.2.2
		p.attach()
		for range 2 * 39 {
			if m := e.page(); string(m.UEPagingID.IMSI) == string(s1ap.FromIMSI(p.imsi)) {
				t.Error("it is paged although it has come")
			}
		}
		e.silent(time.Minute)
		far.silent(time.Minute)
		w.counted("summons ok", 40+2*39)

		p.idle()
		s, _ := w.gw.only(w)
		clear(w.gw.sessions)
		w.told(w.asks(&s11.BearerRequest{Type: gtpc.DeleteBearerRequest, Session: s, Linked: s.EBI}), gtpc.Accepted)
		e.silent(time.Minute)
		if i := p.settled(); i.State != Deregistered {
			t.Errorf("%+v", i)
		}
	})
}

// A gateway that does not answer: after the first attach that has found out, others are
// told #22 and a time that is not the same for all, before home and SIM are asked; one
// in a while tries. When it answers all come in.
func TestGatewayAway(t *testing.T) {
	play(t, nil, func(w *world) {
		e := w.tower(0x19b)
		w.gw.hush(true)
		p := w.phone(e)
		p.initial(p.attachRequest())
		p.authenticate()
		p.information()
		p.rejected(eps.EMMCauseNetworkFailure)
		asked := w.home.asked
		waits := map[eps.GPRSTimer]bool{}
		for range 20 {
			q := w.phone(e)
			q.initial(q.attachRequest())
			m := q.rejected(eps.EMMCauseCongestion)
			if d, ok := m.T3346.V.Duration(); !ok || d < minBackoff || d > maxBackoff {
				t.Errorf("T3346 %v", d)
			}
			waits[m.T3346.V] = true
		}
		if w.home.asked != asked || len(waits) < 4 {
			t.Errorf("the home was asked %d times; %d different times to wait", w.home.asked-asked, len(waits))
		}
		w.counted("attach EMM cause #22", 20)
		w.logged("the gateway does not answer")
		time.Sleep(gatewayProbe)
		q := w.phone(e)
		q.initial(q.attachRequest())
		q.authenticate() // it tries
		synctest.Wait()
		r := w.phone(w.towerIn(0x19c, 8))
		r.initial(r.attachRequest())
		r.rejected(eps.EMMCauseCongestion)
		w.gw.hush(false)
		q.information()
		q.accepted()
		q.setupResponse()
		q.complete()
		q.settled()
		r.attach()
	})
}
