package sim_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/nassec"
	"campanile.network/3gpp/s1ap"
	"campanile.network/sdr/sim"
)

// GUTI REALLOCATION COMMAND: the phone answers to the new name, and not to the
// old one.
func TestGUTIReallocation(t *testing.T) {
	play(t, twoCells, func(w *world) {
		p := w.phone(sim.PhoneOptions{})
		u := w.attached(p)
		u.down(&eps.GUTIReallocationCommand{GUTI: eps.FromGUTI(guti(0x200)), TAIs: eps.Some(eps.NewTAIList(tai, elsewhere))})
		up[*eps.GUTIReallocationComplete](u)
		u.release(s1ap.CauseRadioNetworkUserInactivity.Cause())
		w.wantState(p, sim.Idle)
		if err := p.MoveTo(context.Background(), w.enb, 1); err != nil { // in the new list
			t.Fatal(err)
		}
		for _, tmsi := range []uint32{0x100, 0x200} {
			w.send(&s1ap.Paging{UEPagingID: s1ap.UEPagingID{Choice: s1ap.UEPagingIDChoiceSTMSI, STMSI: s1ap.FromSTMSI(guti(tmsi).STMSI())},
				CNDomain: s1ap.CNDomainPs, TAIList: s1ap.TAIList{{TAI: s1ap.FromTAI(elsewhere)}}})
			if tmsi == 0x100 {
				w.silent()
			}
		}
		u = u.resumed()
		if u.first.STMSI.ID() != guti(0x200).STMSI() {
			t.Errorf("answer of %v", u.first.STMSI.ID())
		}
		u.serve()
		w.wantState(p, sim.Connected)
	})
}

func TestInformation(t *testing.T) {
	play(t, sim.ENBOptions{}, func(w *world) {
		p := w.phone(sim.PhoneOptions{})
		u := w.attached(p)
		u.down(&eps.EMMInformation{FullName: eps.Some(eps.NewNetworkName("Campanile")), ShortName: eps.Some(eps.NewNetworkName("Camp"))})
		u.down(&eps.EMMInformation{ShortName: eps.Some(eps.NewNetworkName("Tower"))})
		w.silent()
		if n := p.Network(); n.FullName != "Campanile" || n.ShortName != "Tower" {
			t.Errorf("%+v", n)
		}
	})
}

// Detach with re-attach required: the phone accepts, waits for the release and
// attaches with its GUTI; without an answer it tries again after T3411.
func TestNetworkDetachReattach(t *testing.T) {
	play(t, sim.ENBOptions{}, func(w *world) {
		p := w.phone(sim.PhoneOptions{})
		u := w.attached(p)
		u.down(&eps.NetworkDetachRequest{Type: eps.NetworkDetachTypeReattach})
		up[*eps.DetachAccept](u)
		w.silent() // until the release
		u.release(s1ap.CauseNasDetach.Cause())
		n := u.resumed()
		read[*eps.AttachRequest](n, n.first.NASPDU)
		begun := time.Now()
		n = n.resumed()
		if d := time.Since(begun); d != 25*time.Second { // T3410 and T3411
			t.Errorf("second attach after %v", d)
		}
		if g, ok := read[*eps.AttachRequest](n, n.first.NASPDU).Identity.GUTI(); !ok || g != guti(0x100) {
			t.Errorf("attach of %v", g)
		}
		n.kenb = n.count
		n.accepted(0x101)
		w.wantState(p, sim.Connected)
		if s, err := p.Attach(context.Background()); err == nil {
			t.Errorf("attached twice: %+v", s)
		}
	})
}

// Detach for good, by cause; of non-EPS services only it changes nothing.
func TestNetworkDetachCauses(t *testing.T) {
	for _, c := range []struct {
		m     *eps.NetworkDetachRequest
		state sim.State
		guti  bool
	}{
		{&eps.NetworkDetachRequest{Type: eps.NetworkDetachTypeNoReattach}, sim.Deregistered, false},
		{&eps.NetworkDetachRequest{Type: eps.NetworkDetachTypeNoReattach, Cause: eps.Some(eps.EMMCauseIllegalUE)}, sim.Deregistered, false},
		{&eps.NetworkDetachRequest{Type: eps.NetworkDetachTypeNoReattach, Cause: eps.Some(eps.EMMCauseTrackingAreaNotAllowed)}, sim.Deregistered, false},
		{&eps.NetworkDetachRequest{Type: eps.NetworkDetachTypeIMSI}, sim.Idle, true},
	} {
		play(t, sim.ENBOptions{}, func(w *world) {
			p := w.phone(sim.PhoneOptions{})
			u := w.attached(p)
			u.down(c.m)
			up[*eps.DetachAccept](u)
			u.release(s1ap.CauseNasDetach.Cause())
			w.silent()
			w.wantState(p, c.state)
			if _, ok := p.GUTI(); ok != c.guti {
				t.Errorf("%v: GUTI kept: %t", c.m, ok)
			}
		})
	}
}

// SERVICE REJECT #9 and #10: the phone attaches by itself, once the connection
// is gone or after T3440 (TS 24.301 §5.6.1.5).
func TestServiceRejectReattaches(t *testing.T) {
	play(t, sim.ENBOptions{}, func(w *world) {
		p := w.phone(sim.PhoneOptions{})
		u := w.idle(p)
		served := do(func() error { return p.ServiceRequest(context.Background(), s1ap.RRCEstablishmentCauseMoData) })
		u = u.resumed()
		u.plain(&eps.ServiceReject{Cause: eps.EMMCauseUEIdentityCannotBeDerivedByTheNetwork})
		var rejected *sim.Rejected
		if r := <-served; !errors.As(r.err, &rejected) {
			t.Fatal(r.err)
		}
		attached := do(func() error { _, err := p.Attach(context.Background()); return err }) // who asks meanwhile gets that attach
		begun := time.Now()
		n := w.initial() // the network does not release
		if d := time.Since(begun); d != 10*time.Second {
			t.Errorf("attach after %v", d)
		}
		if _, ok := read[*eps.AttachRequest](n, n.first.NASPDU).Identity.IMSI(); !ok {
			t.Error("not with the IMSI")
		}
		n.authenticate()
		n.secure()
		n.accepted(0x300)
		if r := <-attached; r.err != nil {
			t.Error(r.err)
		}
		w.wantState(p, sim.Connected)
	})
}

// srsue attaches on the connection on which it was rejected, whatever the cause,
// and knows neither updates nor reallocation.
func TestSRSUE(t *testing.T) {
	play(t, twoCells, func(w *world) {
		p := w.phone(sim.PhoneOptions{SRSUE: true})
		done := w.attach(p)
		u := w.initial()
		if u.first.RRCEstablishmentCause != s1ap.RRCEstablishmentCauseMoData {
			t.Errorf("cause %v", u.first.RRCEstablishmentCause)
		}
		u.authenticate()
		u.secure()
		a := accept(0x100)
		a.T3412 = eps.NewGPRSTimer(2 * time.Minute)
		w.send(u.context(u.protect(nassec.IntegrityCiphered, a), u.kenb))
		next[*s1ap.InitialContextSetupResponse](w)
		up[*eps.AttachComplete](u)
		<-done
		u.down(&eps.GUTIReallocationCommand{GUTI: eps.FromGUTI(guti(0x200))})
		w.silent()
		u.release(s1ap.CauseRadioNetworkUserInactivity.Cause())
		<-time.After(10 * time.Minute)
		if err := p.MoveTo(context.Background(), w.enb, 1); err != nil {
			t.Fatal(err)
		}
		w.silent()
		do(func() error { return p.ServiceRequest(context.Background(), s1ap.RRCEstablishmentCauseMoData) })
		u = u.resumed()
		u.down(&eps.ServiceReject{Cause: eps.EMMCauseCongestion}) // protected; what follows cannot be
		u.sec = nil
		if i, ok := up[*eps.AttachRequest](u).Identity.IMSI(); !ok || i != card.IMSI {
			t.Errorf("attach of %v", i)
		}
		u.authenticate()
		u.secure()
		u.accepted(0x101)
		w.wantState(p, sim.Connected)
		u.down(&eps.NetworkDetachRequest{Type: eps.NetworkDetachTypeReattach})
		up[*eps.DetachAccept](u)
		u.release(s1ap.CauseNasDetach.Cause())
		begun := time.Now()
		n := u.resumed()
		if d := time.Since(begun); d != 2*time.Second {
			t.Errorf("attach after %v", d)
		}
		read[*eps.AttachRequest](n, n.first.NASPDU)
		p.SwitchOff()
	})
}
