package mme

import (
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/mme/s11"
)

// A dead gateway does not hold up the implicit detach of many phones (TS 24.301
// §5.3.5).
func TestImplicitDetachWithDeadGateway(t *testing.T) {
	play(t, func(o *Options) { o.IdleLimit = time.Hour }, func(w *world) {
		e := w.tower(0x19b)
		for range 200 {
			p := w.phone(e)
			p.attach()
			p.idle()
		}
		w.gw.hush(true)
		time.Sleep(time.Hour + time.Minute)
		synctest.Wait()
		if s := w.m.Stats(); s.Registered != 0 || s.Procedures["implicit detach ok"] != 200 {
			t.Errorf("%d phones are registered, %d implicitly detached", s.Registered, s.Procedures["implicit detach ok"])
		}
		w.gw.mu.Lock()
		defer w.gw.mu.Unlock()
		n := 0
		for _, s := range w.gw.said {
			if s == "delete" {
				n++
			}
		}
		if n != 200 {
			t.Errorf("%d sessions deleted", n)
		}
	})
}

// While the gateway does not answer a Modify Bearer Request, a phone that
// switches off, or attaches by another eNB, is heard in bounded time.
func TestDeadGatewayHoldsNobody(t *testing.T) {
	play(t, nil, func(w *world) {
		e, f := w.tower(0x19b), w.tower(0x19c)
		p := w.phone(e)
		p.attach()
		p.idle()
		p.request()
		w.gw.hush(true)
		p.setupResponse()
		synctest.Wait()
		began := time.Now()
		p.uplink(&eps.DetachRequest{Type: eps.DetachEPS | eps.DetachSwitchOff, KSI: p.ksi, Identity: eps.FromGUTI(*p.guti)})
		p.released()
		if took := time.Since(began); took > 2*w.m.o.GatewayTimeout {
			t.Errorf("a phone that switches off is released after %v", took)
		}
		if i := p.settled(); i.State != Deregistered {
			t.Errorf("state %v", i.State)
		}
		w.gw.hush(false)

		p.initial(p.attachRequest())
		p.information()
		p.accepted()
		p.setupResponse()
		p.complete()
		p.settled()
		p.idle()
		p.request()
		w.gw.hush(true)
		p.setupResponse()
		synctest.Wait()
		began = time.Now()
		q := p.at(f)
		q.sec, q.guti, q.ksi = nil, nil, eps.NoKSI
		q.initial(q.attachRequest())
		q.authenticate()
		synctest.Wait()
		q.information()
		if took := time.Since(began); took > 2*w.m.o.GatewayTimeout+time.Second {
			t.Errorf("a phone that attaches anew goes on after %v", took)
		}
	})
}

// A phone whose session the gateway ends while it updates or asks for service
// does not stay registered without one.
func TestSessionLostDuringProcedures(t *testing.T) {
	for _, what := range []string{"service request", "update", "reallocation"} {
		play(t, func(o *Options) { o.GUTIRequests, o.GUTIAge = 1, 30*time.Minute }, func(w *world) {
			p := w.phone(w.tower(0x19b))
			p.attach()
			s, _ := w.gw.only(w)
			p.idle()
			switch what {
			case "service request":
				p.request()
			case "update":
				time.Sleep(40 * time.Minute)
				p.initial(p.updateRequest(eps.UpdateTA))
				down[*eps.TrackingAreaUpdateAccept](p)
			case "reallocation":
				p.request()
				p.setupResponse()
				down[*eps.GUTIReallocationCommand](p)
			}
			clear(w.gw.sessions)
			w.m.GatewayRestarted([]*s11.Session{s})
			if m := down[*eps.NetworkDetachRequest](p); m.Type != eps.NetworkDetachTypeReattach {
				t.Errorf("%s: detach type %v", what, m.Type)
			}
			p.uplink(&eps.DetachAccept{})
			p.released()
			if i, st := p.settled(), w.m.Stats(); i.State != Deregistered || st.Registered != 0 {
				t.Errorf("%s: the phone is %v, %d are registered", what, i.State, st.Registered)
			}
		})
	}
}

// What the registry no longer has nobody detaches, and nobody claims.
func TestReplacedPhone(t *testing.T) {
	r := newRegistry(10, nil)
	imsi := must(id.ParseIMSI("001010000000001"))
	former, s := &ue{imsi: imsi, registered: true}, newPDN(&s11.Session{}, nil)
	c, d := &conn{}, &conn{}
	if _, err := r.enter(former, c); err != nil {
		t.Fatal(err)
	}
	r.open(former, s)
	r.park(former, c)
	now := &ue{imsi: imsi}
	p, err := r.enter(now, d)
	if err != nil || len(p.pdns) != 1 || p.pdns[0] != s {
		t.Fatalf("%+v, %v", p, err)
	}
	if r.deregister(former, false) != nil || r.deregistered != 0 {
		t.Errorf("its session is closed twice, or %d phones are deregistered", r.deregistered)
	}
	if _, known := r.claim(former, c); known || former.owner != nil {
		t.Error("a phone that is not known any more was claimed")
	}
}

// A phone attaches anew elsewhere while the gateway is slow, and that attach is
// lost before the former connection has ended for it: the phone is idle, not
// connected nowhere.
func TestEvictedForNobody(t *testing.T) {
	play(t, nil, func(w *world) {
		e, f := w.tower(0x19b), w.tower(0x19c)
		p := w.phone(e)
		p.attach()
		p.idle()
		p.request()
		w.gw.delay(5 * time.Second)
		p.setupResponse()
		synctest.Wait()
		q := p.at(f)
		q.sec, q.guti, q.ksi = nil, nil, eps.NoKSI
		q.initial(q.attachRequest())
		q.authenticate()
		synctest.Wait()
		q.release()
		p.released()
		time.Sleep(time.Minute)
		_, x := w.gw.only(w)
		if i := p.settled(); i.State != Idle || x.enb.TEID != 0 {
			t.Errorf("the phone is %v, the eNB's tunnel at the gateway %v", i.State, x.enb)
		}
	})
}
