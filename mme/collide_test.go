package mme

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/nassec"
	"campanile.network/3gpp/s1ap"
)

// The phone re-established elsewhere before its old eNB noticed: the new leg is
// verified, takes over, and the old one is released.
func TestServiceRequestByAnotherLeg(t *testing.T) {
	play(t, nil, func(w *world) {
		e, f := w.tower(0x19b), w.tower(0x19c)
		p := w.phone(e)
		p.attach()
		q := p.at(f)
		q.teid = 40
		ics := q.request()
		if want := q.sec.KeNB(q.sec.UL() - 1); s1ap.SecurityKey(want) != ics.SecurityKey {
			t.Error("K_eNB is not that of the Service Request's COUNT")
		}
		q.setupResponse()
		p.released()
		i := q.settled()
		if _, x := w.gw.only(w); i.State != Connected || i.Tower != w.towers[0x19c] || x.enb.TEID != 41 || len(x.segments) != 2 {
			t.Errorf("UEInfo %+v, session %+v", i, x)
		}
		if s := w.m.Stats(); s.Connected != 1 {
			t.Errorf("%d S1 connections stand", s.Connected)
		}
		// What the old eNB still says of it is refused.
		e.send(&s1ap.UEContextReleaseRequest{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, Cause: s1ap.CauseRadioNetworkRadioConnectionWithUeLost.Cause()})
		expect[*s1ap.ErrorIndication](e)
		if i := q.settled(); i.State != Connected {
			t.Errorf("state %v", i.State)
		}
	})
}

// The same while the old leg's release is under way.
func TestServiceRequestDuringRelease(t *testing.T) {
	play(t, nil, func(w *world) {
		e := w.tower(0x19b)
		p := w.phone(e)
		p.attach()
		e.send(&s1ap.UEContextReleaseRequest{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, Cause: s1ap.CauseRadioNetworkUserInactivity.Cause()})
		expect[*s1ap.UEContextReleaseCommand](e)
		q := p.at(e) // no Release Complete; the phone is back already
		q.request()
		q.setupResponse()
		if i := q.settled(); i.State != Connected || w.m.Stats().Connected != 1 {
			t.Errorf("UEInfo %+v, stats %+v", i, w.m.Stats())
		}
	})
}

// TS 24.301 §5.5.1.2.7 d: the same attach request again, after Attach Accept.
func TestAbnormal_5_5_1_2_7_d(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.attach()
		p.uplink(&eps.DetachRequest{Type: eps.DetachEPS | eps.DetachSwitchOff, KSI: p.ksi, Identity: eps.FromGUTI(*p.guti)})
		p.released()
		req := p.attachRequest()
		p.initial(req)
		p.information()
		p.accepted()
		p.uplink(req)
		down[*eps.AttachAccept](p)
		p.setupResponse()
		p.complete()
		if i := p.settled(); i.State != Connected {
			t.Errorf("state %v", i.State)
		}
	})
}

// TS 24.301 §5.5.1.2.7 e: an attach request that differs starts anew; one that
// is the same does not.
func TestAbnormal_5_5_1_2_7_e(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.phone(w.tower(0x19b))
		req := p.attachRequest()
		p.initial(req)
		first := down[*eps.AuthenticationRequest](p)
		p.uplink(req)
		p.e.silent(time.Second)
		req.Capability = eps.NewUENetworkCapability(0, 1, 9)
		p.cap = req.Capability
		p.uplink(req)
		second := down[*eps.AuthenticationRequest](p)
		if first.RAND == second.RAND {
			t.Error("the attach did not start anew")
		}
		p.uplink(p.answer(second))
		if smc := p.secure(); smc.Algorithms != (eps.Algorithms{Ciphering: 1, Integrity: 1}) {
			t.Errorf("algorithms %v", smc.Algorithms)
		}
	})
}

// TS 24.301 §5.5.1.2.7 h: a detach before Attach Complete.
func TestAbnormal_5_5_1_2_7_h(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.initial(p.attachRequest())
		p.authenticate()
		p.information()
		p.accepted()
		p.uplink(&eps.DetachRequest{Type: eps.DetachEPS, KSI: p.ksi, Identity: eps.FromGUTI(*p.guti)})
		down[*eps.DetachAccept](p)
		p.released()
		w.gw.none(w)
		w.logged("procedure failed", "procedure=attach", "interrupted by DETACH REQUEST")
	})
}

// Radio lost while the gateway is slow: the session it opens is closed.
func TestReleaseWhileGatewayWorks(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.initial(p.attachRequest())
		p.authenticate()
		w.gw.slow = time.Second
		p.information()
		synctest.Wait()
		p.e.send(&s1ap.UEContextReleaseRequest{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, Cause: s1ap.CauseRadioNetworkRadioConnectionWithUeLost.Cause()})
		if cause := p.released(); cause != s1ap.CauseRadioNetworkRadioConnectionWithUeLost.Cause() {
			t.Errorf("released with %v", cause)
		}
		w.logged("procedure=attach", "released by the eNB")
		w.gw.none(w)
		if got := fmt.Sprint(w.gw.said); got != "[create delete]" {
			t.Errorf("the gateway was asked: %s", got)
		}
	})
}

// TS 24.301 §5.5.1.2.7 f: an attach by IMSI while the first connection stands takes
// effect only after the SIM has answered.
func TestAbnormal_5_5_1_2_7_f(t *testing.T) {
	play(t, nil, func(w *world) {
		e, f := w.tower(0x19b), w.tower(0x19c)
		p := w.phone(e)
		p.attach()
		q := p.at(f)
		q.guti, q.sec, q.ksi = nil, nil, eps.NoKSI
		q.initial(q.attachRequest())
		auth := down[*eps.AuthenticationRequest](q)
		if i := p.settled(); i.State != Connected || i.Tower != w.towers[0x19b] {
			t.Errorf("before the SIM has answered: %+v", i)
		}
		q.uplink(q.answer(auth))
		q.secure()
		q.secured()
		p.released()
		q.information()
		q.accepted()
		q.setupResponse()
		q.complete()
		if i := q.settled(); i.State != Connected || i.Tower != w.towers[0x19c] {
			t.Errorf("UEInfo %+v", i)
		}
		w.gw.only(w)
	})
}

// TS 24.301 §5.5.1.2.7 f: an attach by GUTI while the phone is connected is done at
// once, on the new connection.
func TestAbnormal_5_5_1_2_7_f_GUTI(t *testing.T) {
	play(t, nil, func(w *world) {
		e, f := w.tower(0x19b), w.tower(0x19c)
		p := w.phone(e)
		p.attach()
		q := p.at(f)
		q.initial(q.attachRequest())
		p.released()
		q.information()
		q.accepted()
		q.setupResponse()
		q.complete()
		if i := q.settled(); i.State != Connected || i.Tower != w.towers[0x19c] {
			t.Errorf("UEInfo %+v", i)
		}
		w.gw.only(w)
	})
}

// Two attaches with one IMSI side by side: the later one to prove wins.
func TestAttachTwiceSideBySide(t *testing.T) {
	play(t, nil, func(w *world) {
		e := w.tower(0x19b)
		p := w.phone(e)
		q := p.at(e)
		p.initial(p.attachRequest())
		a := down[*eps.AuthenticationRequest](p)
		q.initial(q.attachRequest())
		b := down[*eps.AuthenticationRequest](q)
		p.uplink(p.answer(a))
		p.secure()
		p.secured()
		m := expect[*s1ap.DownlinkNASTransport](e) // ESM Information Request
		q.uplink(q.answer(b))
		q.secure()
		q.secured()
		p.mmeID = m.MMEUES1APID
		p.released()
		q.information()
		q.accepted()
		q.setupResponse()
		q.complete()
		if i := q.settled(); i.State != Connected || w.m.Stats().UEs != 1 || w.m.Stats().Connected != 1 {
			t.Errorf("UEInfo %+v, stats %+v", i, w.m.Stats())
		}
	})
}

// Security mode control that is lost leaves both contexts good (TS 24.301
// §4.4.2.3): the phone may come with either.
func TestBothContextsAfterLostSecurityMode(t *testing.T) {
	for _, newer := range []bool{false, true} {
		play(t, noUpdates, func(w *world) {
			p := w.phone(w.tower(0x19b))
			p.attach()
			p.idle()
			time.Sleep(5*time.Hour + 30*time.Minute)
			p.initialRaw(must(p.sec.AppendServiceRequest(nil)))
			before, ksi := p.sec, p.ksi
			p.uplink(p.answer(down[*eps.AuthenticationRequest](p)))
			p.secure()
			p.e.send(&s1ap.UEContextReleaseRequest{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, Cause: s1ap.CauseRadioNetworkRadioConnectionWithUeLost.Cause()})
			p.released()
			if !newer {
				p.sec, p.ksi = before, ksi
			}
			p.initialRaw(must(p.sec.AppendServiceRequest(nil)))
			if !newer { // which brings the lease of its authentication
				p.authenticate()
			}
			p.mmeID = expect[*s1ap.InitialContextSetupRequest](p.e).MMEUES1APID
			p.setupResponse()
			if i, l := p.settled(), w.m.known.find(p.guti.TMSI).lease; i.State != Connected || i.Ticket != l.ticket.ID || !l.fresh(time.Now()) {
				t.Errorf("newer context %v: %+v", newer, i)
			}
		})
	}
}

// TS 24.301 §5.5.1.2.7 a: the connection is lost before Attach Complete; both GUTIs
// are good.
func TestAbnormal_5_5_1_2_7_a(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.attach()
		former := *p.guti
		p.uplink(&eps.DetachRequest{Type: eps.DetachEPS | eps.DetachSwitchOff, KSI: p.ksi, Identity: eps.FromGUTI(*p.guti)})
		p.released()
		p.initial(p.attachRequest())
		p.information()
		p.accepted()
		p.e.send(&s1ap.UEContextReleaseRequest{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, Cause: s1ap.CauseRadioNetworkRadioConnectionWithUeLost.Cause()})
		p.released()
		for _, g := range []id.GUTI{former, *p.guti} {
			if w.m.known.find(g.TMSI) == nil {
				t.Errorf("GUTI %v is not good any more", g)
			}
		}
		p.guti = &former
		p.initial(p.attachRequest())
		p.information()
		p.accepted()
		p.setupResponse()
		p.complete()
		if i := p.settled(); i.State != Connected {
			t.Errorf("state %v", i.State)
		}
	})
}

// A message that was recorded and is played again is not acted on.
func TestReplayedNAS(t *testing.T) {
	play(t, nil, func(w *world) {
		e := w.tower(0x19b)
		p := w.phone(e)
		p.attach()
		detach := p.protect(&eps.DetachRequest{Type: eps.DetachEPS, KSI: p.ksi, Identity: eps.FromGUTI(*p.guti)}, nassec.IntegrityProtected)
		p.uplinkRaw(detach)
		down[*eps.DetachAccept](p)
		p.released()
		p.initial(p.attachRequest())
		p.information()
		p.accepted()
		p.setupResponse()
		p.complete()
		p.settled()

		p.uplinkRaw(detach)
		e.silent(time.Second)
		thief := p.at(e)
		thief.sec = nil
		thief.initialRaw(detach)
		down[*eps.DetachAccept](thief) // told so, but nothing is done
		thief.released()
		if i := p.settled(); i.State != Connected {
			t.Errorf("state %v", i.State)
		}
		w.counted("NAS replay", 1)
		w.counted("NAS message authentication code", 1)
	})
}

// The same attach request again, after Attach Accept, by a new leg: the attach
// begins anew there.
func TestAttachRequestAgainByAnotherLeg(t *testing.T) {
	play(t, nil, func(w *world) {
		e, f := w.tower(0x19b), w.tower(0x19c)
		p := w.phone(e)
		p.attach()
		p.uplink(&eps.DetachRequest{Type: eps.DetachEPS | eps.DetachSwitchOff, KSI: p.ksi, Identity: eps.FromGUTI(*p.guti)})
		p.released()
		req := p.attachRequest()
		p.initial(req)
		p.information()
		p.accepted()
		q := p.at(f)
		q.guti = p.guti
		q.initial(req)
		p.released()
		q.information()
		q.accepted()
		q.setupResponse()
		q.complete()
		if i := q.settled(); i.State != Connected || i.Tower != w.towers[0x19c] || w.m.Stats().Connected != 1 {
			t.Errorf("UEInfo %+v, stats %+v", i, w.m.Stats())
		}
		w.gw.only(w)
	})
}
