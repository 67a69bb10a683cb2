package sim_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
	"campanile.network/internal/sctp"
	"campanile.network/sdr/sim"
)

// After a shutdown the eNB is back at once; where it got no S1 Setup it waits.
func TestRedial(t *testing.T) {
	play(t, sim.ENBOptions{Redial: 10 * time.Second}, func(w *world) {
		p := w.phone(sim.PhoneOptions{})
		w.attached(p)
		begun := time.Now()
		if err := w.mme.Shutdown(w.within(time.Minute)); err != nil {
			t.Fatal(err)
		}
		w.wantState(p, sim.Idle)
		w.mme = <-w.dialed
		if d := time.Since(begun); d != 0 {
			t.Errorf("back after %v", d)
		}
		next[*s1ap.S1SetupRequest](w) // without an answer
		if _, err := w.mme.Recv(w.within(time.Minute)); !errors.Is(err, sctp.ErrShutdown) {
			t.Errorf("association without S1 Setup: %v", err)
		}
		w.setup()
		if d := time.Since(begun); d != 15*time.Second {
			t.Errorf("back after %v, want 15 s", d)
		}
		if n := w.enb.Stats().Setups.Load(); n != 2 {
			t.Errorf("%d S1 Setups", n)
		}
	})
}

// srsenb does not notice an ABORT: what phones say next comes by an association
// without S1 Setup. A shutdown of that one makes it set up again.
func TestBlind(t *testing.T) {
	play(t, sim.ENBOptions{SRSENB: true, Redial: 10 * time.Second}, func(w *world) {
		p := w.phone(sim.PhoneOptions{})
		u := w.idle(p)
		connected := w.phone(sim.PhoneOptions{SIM: sim.SIM{IMSI: must(id.ParseIMSI("001010000000002")), K: card.K, OPc: card.OPc}})
		w.seq = 0
		w.attached(connected)
		w.mme.Abort("kill -9")
		w.wantState(connected, sim.Connected)
		if w.enb.WaitReady(context.Background()) != nil {
			t.Error("the eNB has noticed")
		}
		for range 2 {
			served := do(func() error { return p.ServiceRequest(context.Background(), s1ap.RRCEstablishmentCauseMoData) })
			w.mme = <-w.dialed
			u = u.resumed() // no S1 Setup before it
			w.mme.Abort("what is this")
			if r := <-served; !errors.Is(r.err, context.DeadlineExceeded) {
				t.Errorf("service request: %v", r.err)
			}
		}
		served := do(func() error { return p.ServiceRequest(context.Background(), s1ap.RRCEstablishmentCauseMoData) })
		w.mme = <-w.dialed
		u.resumed()
		begun := time.Now()
		if err := w.mme.Shutdown(w.within(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if r := <-served; r.err == nil {
			t.Error("served")
		}
		w.setup()
		if d := time.Since(begun); d != 0 {
			t.Errorf("set up after %v", d)
		}
		w.wantState(connected, sim.Idle)
	})
}

// What srsenb does not know has no effect and gets no answer.
func TestDeaf(t *testing.T) {
	play(t, sim.ENBOptions{SRSENB: true}, func(w *world) {
		p := w.phone(sim.PhoneOptions{})
		u := w.attached(p)
		cause := s1ap.CauseRadioNetworkUnknownPairUeS1apId.Cause()
		w.send(&s1ap.Reset{Cause: cause, ResetType: s1ap.ResetType{Choice: s1ap.ResetTypeChoiceS1Interface}})
		w.send(&s1ap.ErrorIndication{MMEUES1APID: &u.mme, ENBUES1APID: &u.enb, Cause: &cause})
		w.send(&s1ap.MMEConfigurationUpdate{MMEname: "other"})
		w.silent()
		w.wantState(p, sim.Connected)
		if s := w.enb.Stats(); s.Resets.Load() != 1 || s.ErrorIndications.Load() != 1 || s.ConfigurationUpdates.Load() != 1 {
			t.Errorf("%d resets, %d error indications, %d updates", s.Resets.Load(), s.ErrorIndications.Load(), s.ConfigurationUpdates.Load())
		}
	})
}

// An eNB in good health answers, and carries on under overload.
func TestConfigurationUpdateAndOverload(t *testing.T) {
	play(t, sim.ENBOptions{}, func(w *world) {
		w.send(&s1ap.MMEConfigurationUpdate{MMEname: "other"})
		next[*s1ap.MMEConfigurationUpdateAcknowledge](w)
		w.send(&s1ap.OverloadStart{OverloadResponse: s1ap.OverloadResponse{Choice: s1ap.OverloadResponseChoiceOverloadAction, OverloadAction: s1ap.OverloadActionRejectNonEmergencyMoDt}})
		w.attached(w.phone(sim.PhoneOptions{}))
		w.send(&s1ap.OverloadStop{})
		w.silent()
		if s := w.enb.Stats(); s.Overloads.Load() != 1 || s.Unknown.Load() != 0 {
			t.Errorf("%d overloads, %d unknown", s.Overloads.Load(), s.Unknown.Load())
		}
	})
}

// The eNB's own Reset, of one phone and of all (TS 36.413 §8.7.1.2.2).
func TestResetByENB(t *testing.T) {
	play(t, sim.ENBOptions{}, func(w *world) {
		p := w.phone(sim.PhoneOptions{})
		u := w.attached(p)
		other := w.phone(sim.PhoneOptions{SIM: sim.SIM{IMSI: must(id.ParseIMSI("001010000000002")), K: card.K, OPc: card.OPc}})
		w.seq = 0
		w.attached(other)
		done := do(func() error { return w.enb.Reset(w.within(time.Minute), p) })
		m := next[*s1ap.Reset](w)
		if l := m.ResetType.PartOfS1Interface; m.ResetType.Choice != s1ap.ResetTypeChoicePartOfS1Interface || len(l) != 1 || *l[0].MMEUES1APID != u.mme || *l[0].ENBUES1APID != u.enb {
			t.Errorf("%+v", m)
		}
		synctest.Wait()
		select {
		case r := <-done:
			t.Fatalf("Reset before the acknowledgement: %v", r.err)
		default:
		}
		w.send(&s1ap.ResetAcknowledge{})
		if r := <-done; r.err != nil {
			t.Fatal(r.err)
		}
		w.wantState(p, sim.Idle)
		w.wantState(other, sim.Connected)
		if err := w.enb.Reset(context.Background(), p); err == nil {
			t.Error("reset of a phone without a connection")
		}
		done = do(func() error { return w.enb.Reset(w.within(time.Second)) })
		if m := next[*s1ap.Reset](w); m.ResetType.Choice != s1ap.ResetTypeChoiceS1Interface {
			t.Errorf("%+v", m)
		}
		if r := <-done; !errors.Is(r.err, context.DeadlineExceeded) {
			t.Errorf("Reset without an acknowledgement: %v", r.err)
		}
		w.wantState(other, sim.Idle)
	})
}

func TestIndicate(t *testing.T) {
	play(t, sim.ENBOptions{}, func(w *world) {
		p := w.phone(sim.PhoneOptions{})
		cause := s1ap.CauseRadioNetworkUnknownPairUeS1apId.Cause()
		if err := w.enb.Indicate(p, cause); err == nil {
			t.Error("Error Indication about nobody")
		}
		u := w.attached(p)
		if err := w.enb.Indicate(p, cause); err != nil {
			t.Fatal(err)
		}
		if m := next[*s1ap.ErrorIndication](w); *m.MMEUES1APID != u.mme || *m.ENBUES1APID != u.enb || *m.Cause != cause {
			t.Errorf("%+v", m)
		}
		w.wantState(p, sim.Idle)
	})
}

// Phones on streams of their own, never on that of the common procedures; and
// S1 Setup with every tracking area once.
func TestStreamsAndAreas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cells := []sim.Cell{{TAI: tai, ECI: 2}, {TAI: elsewhere, ECI: 3}, {TAI: id.TAI{PLMN: must(id.ParsePLMN("99970")), TAC: tai.TAC}, ECI: 4}}
		serve(t, sim.ENBOptions{StreamPerUE: true, Cells: cells}, func(w *world) {
			if l := w.setup().SupportedTAs; len(l) != 2 || len(l[0].BroadcastPLMNs) != 2 || len(l[1].BroadcastPLMNs) != 1 || l[1].TAC.ID() != elsewhere.TAC {
				t.Errorf("supported tracking areas %+v", l)
			}
			if len(w.enb.Cells()) != 4 {
				t.Errorf("cells %v", w.enb.Cells())
			}
			used := map[uint16]bool{}
			for range 20 {
				w.attach(w.phone(sim.PhoneOptions{}))
				m := must(w.mme.Recv(w.within(time.Minute)))
				used[m.Stream] = true
			}
			if len(used) != 15 || used[0] {
				t.Errorf("streams %v", used)
			}
		})
	})
}
