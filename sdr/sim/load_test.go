package sim_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
	"campanile.network/sdr/sim"
)

// Attaches that take 10 ms, 20 ms ... 500 ms, one a second; then one that is
// refused, one that goes well and one that gets no answer.
func TestLoad(t *testing.T) {
	play(t, sim.ENBOptions{}, func(w *world) {
		options := sim.LoadOptions{ENBs: []*sim.ENB{w.enb}, First: card.IMSI, K: card.K, OPc: card.OPc, UEs: 50, Rate: 1}
		reports := make(chan sim.LoadReport, 1)
		load := func() {
			r, err := sim.Load(context.Background(), options)
			if err != nil {
				t.Error(err)
			}
			reports <- r
		}
		go load()
		for i := range 50 {
			u := w.initial()
			if who, _ := read[*eps.AttachRequest](u, u.first.NASPDU).Identity.IMSI(); who.Digits() != fmt.Sprintf("%015d", 1010000000001+i) {
				t.Errorf("phone %d is %s", i, who.Digits())
			}
			<-time.After(time.Duration(i+1) * 10 * time.Millisecond)
			w.seq = 0 // every card is fresh
			u.authenticate()
			u.downRaw(u.command(nil))
			up[*eps.SecurityModeComplete](u)
			u.kenb = u.count
			u.accepted(uint32(i))
		}
		r := <-reports
		if r.Attached != 50 || r.Failed != 0 || r.P50 != 250 || r.P90 != 450 || r.P99 != 500 || r.Max != 500 || r.Seconds != 49.5 {
			t.Errorf("report %+v", r)
		}

		options.UEs, options.Rate, options.Detach, options.Timeout = 3, 1000, true, time.Second
		go load()
		a, b, _ := w.initial(), w.initial(), w.initial()
		a.plain(&eps.AttachReject{Cause: eps.EMMCauseIllegalUE})
		w.seq = 0
		b.authenticate()
		b.downRaw(b.command(nil))
		up[*eps.SecurityModeComplete](b)
		b.kenb = b.count
		b.accepted(0x200)
		up[*eps.DetachRequest](b)
		b.down(&eps.DetachAccept{})
		b.release(s1ap.CauseNasDetach.Cause())
		r = <-reports
		if r.Attached != 1 || r.Failed != 2 || r.Causes["timeout"] != 1 || r.Causes["sim: ATTACH REJECT: Illegal UE (#3)"] != 1 {
			t.Errorf("report %+v", r)
		}
	})
}

// A phone that updates and walks: each time from idle mode, and it says where
// it is only where its list ends.
func TestLoadMoves(t *testing.T) {
	play(t, twoCells, func(w *world) {
		reports := make(chan sim.LoadReport, 1)
		go func() {
			r, err := sim.Load(context.Background(), sim.LoadOptions{ENBs: []*sim.ENB{w.enb}, First: card.IMSI, K: card.K, OPc: card.OPc, UEs: 1, Rate: 1, Updates: 1, Moves: 3, Detach: true})
			if err != nil {
				t.Error(err)
			}
			reports <- r
		}()
		u := w.initial()
		u.authenticate()
		u.downRaw(u.command(nil))
		up[*eps.SecurityModeComplete](u)
		u.kenb = u.count
		u.accepted(0x100)
		rest := func() {
			t.Helper()
			next[*s1ap.UEContextReleaseRequest](w)
			u.release(s1ap.CauseRadioNetworkUserInactivity.Cause())
		}
		rest()
		u, _ = u.update(eps.UpdatePeriodic)
		u.down(&eps.TrackingAreaUpdateAccept{})
		rest()
		u, _ = u.update(eps.UpdateTA)
		u.down(updated(0x101, tai, elsewhere)) // the moves back and forth are nobody's business
		up[*eps.TrackingAreaUpdateComplete](u)
		rest()
		u = u.resumed()
		if must(u.first.TAI.ID()) != elsewhere {
			t.Errorf("the phone ends in %v", must(u.first.TAI.ID()))
		}
		read[*eps.DetachRequest](u, u.first.NASPDU)
		u.down(&eps.DetachAccept{})
		u.release(s1ap.CauseNasDetach.Cause())
		if r := <-reports; r.Attached != 1 || r.Failed != 0 || r.Updated != 1 || r.Moved != 3 {
			t.Errorf("report %+v", r)
		}
	})
}

func TestLoadOptions(t *testing.T) {
	play(t, sim.ENBOptions{}, func(w *world) {
		last := must(id.ParseIMSI("999999999999999"))
		for _, o := range []sim.LoadOptions{{}, {ENBs: []*sim.ENB{w.enb}, UEs: 2, Rate: 1, First: last}, {ENBs: []*sim.ENB{w.enb}, UEs: 2, Rate: 1}} {
			if _, err := sim.Load(context.Background(), o); err == nil {
				t.Errorf("no error with %+v", o)
			}
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if r, err := sim.Load(ctx, sim.LoadOptions{ENBs: []*sim.ENB{w.enb}, UEs: 2, Rate: 1, First: card.IMSI}); !errors.Is(err, context.Canceled) || r.Attached != 0 || r.Max != 0 {
			t.Errorf("cancelled: %+v, %v", r, err)
		}
	})
}
