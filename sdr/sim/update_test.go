package sim_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/nassec"
	"campanile.network/3gpp/s1ap"
	"campanile.network/sdr/sim"
)

// Two cells in two tracking areas, the second of which the attach does not
// bring.
var (
	elsewhere = id.TAI{PLMN: plmn, TAC: 8}
	twoCells  = sim.ENBOptions{Cells: []sim.Cell{{TAI: elsewhere, ECI: 0x19b02}}}
)

// update takes a tracking area update from idle mode.
func (u *ue) update(want eps.UpdateType) (*ue, *eps.TrackingAreaUpdateRequest) {
	u.w.t.Helper()
	n := u.resumed()
	if h := must(nassec.TypeOf(n.first.NASPDU)); h != nassec.IntegrityProtected {
		n.w.t.Errorf("update with header type %d", h)
	}
	m := read[*eps.TrackingAreaUpdateRequest](n, n.first.NASPDU)
	if g, ok := m.OldGUTI.GUTI(); m.Type != want || !ok || g.STMSI() != n.first.STMSI.ID() || !m.Bearers.OK || !m.Bearers.V.Active(5) || m.Bearers.V.Active(6) {
		n.w.t.Errorf("want %v:\n%v", want, m)
	}
	n.kenb = n.count
	return n, m
}

func updated(tmsi uint32, tais ...id.TAI) *eps.TrackingAreaUpdateAccept {
	return &eps.TrackingAreaUpdateAccept{GUTI: eps.Some(eps.FromGUTI(guti(tmsi))), TAIs: eps.Some(eps.NewTAIList(tais...))}
}

// A phone that walks into another tracking area updates there, once; within its
// list it says nothing.
func TestMove(t *testing.T) {
	play(t, twoCells, func(w *world) {
		p := w.phone(sim.PhoneOptions{})
		u := w.idle(p)
		moved := do(func() error { return p.MoveTo(w.within(time.Minute), w.enb, 1) })
		u, m := u.update(eps.UpdateTA)
		if must(u.first.TAI.ID()) != elsewhere || must(u.first.EUTRANCGI.ID()).ECI != 0x19b02 || !m.LastTAI.OK || m.LastTAI.V != tai || !m.Capability.OK {
			t.Errorf("%+v\n%v", u.first, m)
		}
		u.down(updated(0x200, tai, elsewhere))
		up[*eps.TrackingAreaUpdateComplete](u)
		if r := <-moved; r.err != nil {
			t.Fatal(r.err)
		}
		u.release(s1ap.CauseNasNormalRelease.Cause())
		w.wantState(p, sim.Idle)
		for _, cell := range []int{0, 1} {
			if err := p.MoveTo(context.Background(), w.enb, cell); err != nil {
				t.Fatal(err)
			}
		}
		w.silent()
		page := func(at id.TAI) {
			w.send(&s1ap.Paging{UEPagingID: s1ap.UEPagingID{Choice: s1ap.UEPagingIDChoiceSTMSI, STMSI: s1ap.FromSTMSI(guti(0x200).STMSI())},
				CNDomain: s1ap.CNDomainPs, TAIList: s1ap.TAIList{{TAI: s1ap.FromTAI(at)}}})
		}
		page(tai) // where it is no more
		w.silent()
		page(elsewhere)
		u.resumed().serve()
		w.wantState(p, sim.Connected)
		if g, _ := p.GUTI(); g != guti(0x200) {
			t.Errorf("the phone is %v", g)
		}
		if err := p.MoveTo(context.Background(), w.enb, 2); err == nil {
			t.Error("moved to a cell that is not there")
		}
	})
}

// From one eNB to another, out of a connection: the first eNB says that the
// phone is lost, the second brings its update, which asks for the bearers.
func TestMoveToAnotherENB(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		serve(t, sim.ENBOptions{}, func(w *world) {
			serve(t, sim.ENBOptions{ID: id.GlobalENBID{PLMN: plmn, Type: id.MacroENB, ID: 0x19c}, TAI: elsewhere, Cell: 0x19c01}, func(v *world) {
				w.setup()
				v.setup()
				p := w.phone(sim.PhoneOptions{})
				u := w.attached(p)
				moved := do(func() error { return p.MoveTo(w.within(time.Minute), v.enb, 0) })
				if m := next[*s1ap.UEContextReleaseRequest](w); m.Cause != s1ap.CauseRadioNetworkRadioConnectionWithUeLost.Cause() || m.ENBUES1APID != u.enb {
					t.Errorf("%+v", m)
				}
				u.release(s1ap.CauseRadioNetworkRadioConnectionWithUeLost.Cause())
				there := &ue{w: v, sec: u.sec, kasme: u.kasme}
				there, _ = there.update(eps.UpdateTA | eps.UpdateActive)
				v.send(there.context(nil, there.kenb))
				next[*s1ap.InitialContextSetupResponse](v)
				synctest.Wait()
				if p.State() != sim.Updating {
					t.Errorf("bearers without an accept: %v", p.State())
				}
				there.down(updated(0x300, elsewhere))
				up[*eps.TrackingAreaUpdateComplete](there)
				if r := <-moved; r.err != nil {
					t.Fatal(r.err)
				}
				v.wantState(p, sim.Connected)
				there.release(s1ap.CauseRadioNetworkUserInactivity.Cause())
				v.send(&s1ap.Paging{UEPagingID: s1ap.UEPagingID{Choice: s1ap.UEPagingIDChoiceSTMSI, STMSI: s1ap.FromSTMSI(guti(0x300).STMSI())},
					CNDomain: s1ap.CNDomainPs, TAIList: s1ap.TAIList{{TAI: s1ap.FromTAI(elsewhere)}}})
				there.resumed().serve()
				v.wantState(p, sim.Connected)
			})
		})
	})
}

// T3412 runs in idle mode only, for as long as the network said last.
func TestPeriodicUpdate(t *testing.T) {
	play(t, sim.ENBOptions{}, func(w *world) {
		p := w.phone(sim.PhoneOptions{})
		done := w.attach(p)
		u := w.initial()
		u.authenticate()
		u.secure()
		a := accept(0x100)
		a.T3412 = eps.NewGPRSTimer(2 * time.Minute)
		w.send(u.context(u.protect(nassec.IntegrityCiphered, a), u.kenb))
		next[*s1ap.InitialContextSetupResponse](w)
		up[*eps.AttachComplete](u)
		<-done
		<-time.After(10 * time.Minute)
		w.silent() // connected: no update
		idle := time.Now()
		u.release(s1ap.CauseRadioNetworkUserInactivity.Cause())
		<-time.After(110 * time.Second)
		u, m := u.update(eps.UpdatePeriodic)
		if d := time.Since(idle); d != 2*time.Minute || m.Capability.OK {
			t.Errorf("periodic update after %v: %v", d, m)
		}
		u.down(&eps.TrackingAreaUpdateAccept{T3412: eps.Some(eps.NewGPRSTimer(4 * time.Minute))}) // no new GUTI: no complete
		w.silent()
		idle = time.Now()
		u.release(s1ap.CauseNasNormalRelease.Cause())
		<-time.After(200 * time.Second)
		u, _ = u.update(eps.UpdatePeriodic)
		if d := time.Since(idle); d != 4*time.Minute {
			t.Errorf("second periodic update after %v", d)
		}
		u.down(&eps.TrackingAreaUpdateAccept{T3412: eps.Some(eps.GPRSTimer(eps.TimerDeactivated))})
		synctest.Wait()
		u.release(s1ap.CauseNasNormalRelease.Cause())
		<-time.After(10 * time.Hour)
		w.silent()
		w.wantState(p, sim.Idle)
	})
}

// An update without an answer is tried again after T3411, five times in all,
// and then after T3402; a user who comes meanwhile waits his turn.
func TestUpdateRetries(t *testing.T) {
	play(t, twoCells, func(w *world) {
		p := w.phone(sim.PhoneOptions{})
		u := w.idle(p)
		begun := time.Now()
		moved := do(func() error { return p.MoveTo(context.Background(), w.enb, 1) })
		var at []time.Duration
		for i := range 6 {
			u, _ = u.update(eps.UpdateTA)
			at = append(at, time.Since(begun))
			if i == 4 {
				<-time.After(11*time.Minute + 30*time.Second)
			}
		}
		if r := <-moved; !errors.Is(r.err, context.DeadlineExceeded) {
			t.Errorf("first update: %v", r.err)
		}
		for i, want := range []time.Duration{0, 25 * time.Second, 50 * time.Second, 75 * time.Second, 100 * time.Second, 115*time.Second + 12*time.Minute} {
			if at[i] != want {
				t.Errorf("update %d after %v, want %v", i+1, at[i], want)
			}
		}
		u.plain(&eps.TrackingAreaUpdateReject{Cause: eps.EMMCauseCongestion})
		u.release(s1ap.CauseNasUnspecified.Cause())
		w.wantState(p, sim.Idle)
		u, _ = u.update(eps.UpdateTA)
		u.down(updated(0x200, elsewhere))
		up[*eps.TrackingAreaUpdateComplete](u)
		w.wantState(p, sim.Idle)
	})
}

// Refusals of an update (TS 24.301 §5.5.3.2.5).
func TestUpdateRejects(t *testing.T) {
	for _, c := range []struct {
		cause eps.EMMCause
		after func(w *world, p *sim.Phone, u *ue)
	}{
		{eps.EMMCauseUEIdentityCannotBeDerivedByTheNetwork, func(w *world, p *sim.Phone, u *ue) { // attaches with the IMSI
			n := w.initial()
			if i, ok := read[*eps.AttachRequest](n, n.first.NASPDU).Identity.IMSI(); !ok || i != card.IMSI || n.first.STMSI != nil {
				w.t.Errorf("attach of %v", i)
			}
			n.authenticate()
			n.secure()
			n.accepted(0x300)
			w.wantState(p, sim.Connected)
		}},
		{eps.EMMCauseImplicitlyDetached, func(w *world, p *sim.Phone, u *ue) { // attaches with what it has
			n := u.resumed()
			if g, ok := read[*eps.AttachRequest](n, n.first.NASPDU).Identity.GUTI(); !ok || g != guti(0x100) {
				w.t.Errorf("attach of %v", g)
			}
			n.kenb = n.count
			n.accepted(0x300)
			w.wantState(p, sim.Connected)
		}},
		{eps.EMMCauseIllegalUE, func(w *world, p *sim.Phone, u *ue) {
			w.silent()
			w.wantState(p, sim.Deregistered)
			if _, ok := p.GUTI(); ok {
				w.t.Error("the phone keeps its GUTI")
			}
		}},
		{eps.EMMCauseNoSuitableCellsInTrackingArea, func(w *world, p *sim.Phone, u *ue) { // registered, but not here
			w.silent()
			w.wantState(p, sim.Idle)
			if err := p.MoveTo(context.Background(), w.enb, 1); !errors.Is(err, sim.ErrForbidden) {
				w.t.Errorf("update in a forbidden area: %v", err)
			}
			moved := do(func() error { return p.MoveTo(context.Background(), w.enb, 0) })
			u, _ = u.update(eps.UpdateTA)
			u.down(updated(0x300, tai))
			up[*eps.TrackingAreaUpdateComplete](u)
			if r := <-moved; r.err != nil {
				w.t.Error(r.err)
			}
		}},
		{eps.EMMCauseTrackingAreaNotAllowed, func(w *world, p *sim.Phone, u *ue) { w.silent(); w.wantState(p, sim.Deregistered) }},
	} {
		t.Run(c.cause.String(), func(t *testing.T) {
			play(t, twoCells, func(w *world) {
				p := w.phone(sim.PhoneOptions{})
				u := w.idle(p)
				moved := do(func() error { return p.MoveTo(context.Background(), w.enb, 1) })
				u, _ = u.update(eps.UpdateTA)
				u.plain(&eps.TrackingAreaUpdateReject{Cause: c.cause})
				var rejected *sim.Rejected
				if r := <-moved; !errors.As(r.err, &rejected) || rejected.Cause != c.cause {
					t.Errorf("update: %v", r.err)
				}
				u.release(s1ap.CauseNasUnspecified.Cause())
				c.after(w, p, u)
				p.SwitchOff()
			})
		})
	}
}

// An update over a connection is ciphered and leaves it; one after which the
// network has no bearer makes the phone attach.
func TestUpdateConnected(t *testing.T) {
	play(t, sim.ENBOptions{}, func(w *world) {
		p := w.phone(sim.PhoneOptions{})
		u := w.attached(p)
		done := do(func() error { return p.Update(w.within(time.Minute), eps.UpdateTA) })
		up[*eps.TrackingAreaUpdateRequest](u)
		u.down(&eps.TrackingAreaUpdateAccept{})
		if r := <-done; r.err != nil {
			t.Fatal(r.err)
		}
		w.wantState(p, sim.Connected)
		done = do(func() error { return p.Update(w.within(time.Minute), eps.UpdateTA) })
		up[*eps.TrackingAreaUpdateRequest](u)
		u.down(&eps.TrackingAreaUpdateAccept{Bearers: eps.Some(eps.BearerStatus(0))})
		if r := <-done; r.err == nil {
			t.Error("an update without a bearer went well")
		}
		u.release(s1ap.CauseNasNormalRelease.Cause())
		n := u.resumed()
		read[*eps.AttachRequest](n, n.first.NASPDU)
		p.SwitchOff()
	})
}
