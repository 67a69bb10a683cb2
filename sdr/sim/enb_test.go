package sim_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/s1ap"
	"campanile.network/sdr/sim"
)

func TestSetup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		serve(t, sim.ENBOptions{}, func(w *world) {
			if err := w.enb.WaitReady(w.within(time.Second)); !errors.Is(err, sim.ErrNotReady) {
				t.Errorf("before S1 Setup: %v", err)
			}
			if _, err := w.phone(sim.PhoneOptions{}).Attach(context.Background()); !errors.Is(err, sim.ErrNotReady) {
				t.Errorf("attach before S1 Setup: %v", err)
			}
			w.mme = <-w.dialed
			next[*s1ap.S1SetupRequest](w)
			w.send(&s1ap.S1SetupFailure{Cause: s1ap.CauseMiscUnknownPLMN.Cause()})
			begun := time.Now()
			m := w.setup() // it tries again
			if d := time.Since(begun); d != time.Second {
				t.Errorf("tried again after %v", d)
			}
			if g := must(m.GlobalENBID.ID()); g.ID != 0x19b || m.ENBname != "test" || must(m.SupportedTAs[0].BroadcastPLMNs[0].ID()) != plmn || m.SupportedTAs[0].TAC.ID() != tai.TAC {
				t.Errorf("S1 SETUP REQUEST %+v", m)
			}
			if w.enb.Refused() != nil {
				t.Errorf("still refused: %v", w.enb.Refused())
			}
		})
	})
}

func TestRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		serve(t, sim.ENBOptions{Redial: time.Hour}, func(w *world) {
			w.mme = <-w.dialed
			next[*s1ap.S1SetupRequest](w)
			w.send(&s1ap.S1SetupFailure{Cause: s1ap.CauseMiscUnknownPLMN.Cause()})
			err := w.enb.WaitReady(w.within(time.Minute))
			if err == nil || !strings.Contains(err.Error(), "unknown-PLMN") || w.enb.Refused() == nil {
				t.Errorf("refusal: %v", err)
			}
		})
	})
}

// Without the association no connection holds; phones stay registered and come
// back over the next one.
func TestLost(t *testing.T) {
	play(t, sim.ENBOptions{}, func(w *world) {
		p := w.phone(sim.PhoneOptions{})
		u := w.attached(p)
		w.mme.Abort("test")
		w.wantState(p, sim.Idle)
		if err := p.ServiceRequest(context.Background(), s1ap.RRCEstablishmentCauseMoData); !errors.Is(err, sim.ErrNotReady) {
			t.Errorf("service request without an MME: %v", err)
		}
		w.setup()
		served := do(func() error { return p.ServiceRequest(w.within(time.Minute), s1ap.RRCEstablishmentCauseMoData) })
		u = u.resumed()
		w.send(u.context(nil, must(u.sec.AcceptServiceRequest(u.first.NASPDU))))
		next[*s1ap.InitialContextSetupResponse](w)
		if r := <-served; r.err != nil {
			t.Error(r.err)
		}
	})
}

func TestReset(t *testing.T) {
	play(t, sim.ENBOptions{}, func(w *world) {
		reset := func(m s1ap.ResetType) *s1ap.ResetAcknowledge {
			w.send(&s1ap.Reset{Cause: s1ap.CauseMiscUnspecified.Cause(), ResetType: m})
			return next[*s1ap.ResetAcknowledge](w)
		}
		part := func(items ...s1ap.UEAssociatedLogicalS1ConnectionItem) s1ap.ResetType {
			return s1ap.ResetType{Choice: s1ap.ResetTypeChoicePartOfS1Interface, PartOfS1Interface: items}
		}
		p := w.phone(sim.PhoneOptions{})
		u := w.attached(p)
		other := w.phone(sim.PhoneOptions{})
		done := w.attach(other)
		v := w.initial() // does not know its MME's identity yet

		strange := s1ap.MMEUES1APID(4711)
		reset(part(s1ap.UEAssociatedLogicalS1ConnectionItem{MMEUES1APID: &strange}))
		w.wantState(p, sim.Connected)
		w.wantState(other, sim.Attaching)
		ack := reset(part(s1ap.UEAssociatedLogicalS1ConnectionItem{MMEUES1APID: &u.mme}))
		if l := ack.UEAssociatedLogicalS1ConnectionListResAck; len(l) != 1 || *l[0].MMEUES1APID != u.mme || l[0].ENBUES1APID != nil {
			t.Errorf("acknowledged %+v", l)
		}
		w.wantState(p, sim.Idle)
		w.wantState(other, sim.Attaching)

		v.plain(v.challenge()) // and still learns the right one
		next[*s1ap.UplinkNASTransport](w)
		if ack := reset(s1ap.ResetType{Choice: s1ap.ResetTypeChoiceS1Interface}); len(ack.UEAssociatedLogicalS1ConnectionListResAck) != 0 {
			t.Errorf("acknowledged %+v", ack)
		}
		var released *sim.Released
		if r := <-done; !errors.As(r.err, &released) || released.Cause != s1ap.CauseMiscUnspecified.Cause() {
			t.Errorf("attach: %v", r.err)
		}
	})
}

func TestReleaseByMMEIdentity(t *testing.T) {
	play(t, sim.ENBOptions{}, func(w *world) {
		p, other := w.phone(sim.PhoneOptions{}), w.phone(sim.PhoneOptions{})
		u := w.attached(p)
		w.attach(other)
		w.initial()
		command := &s1ap.UEContextReleaseCommand{Cause: s1ap.CauseNasDetach.Cause(), UES1APIDs: s1ap.UES1APIDs{Choice: s1ap.UES1APIDsChoiceMMEUES1APID, MMEUES1APID: u.mme}}
		w.send(command)
		if m := next[*s1ap.UEContextReleaseComplete](w); m.ENBUES1APID != u.enb {
			t.Errorf("released %d, want %d", m.ENBUES1APID, u.enb)
		}
		w.wantState(p, sim.Idle)
		w.send(command)
		w.silent()
		if w.enb.Stats().Unknown.Load() != 1 {
			t.Error("not counted")
		}
	})
}

func TestErrors(t *testing.T) {
	play(t, sim.ENBOptions{}, func(w *world) {
		p := w.phone(sim.PhoneOptions{})
		u := w.attached(p)
		s := w.enb.Stats()

		w.raw([]byte{0xff, 1, 2, 3})
		w.send(&s1ap.MMEConfigurationTransfer{})
		w.send(&s1ap.Paging{UEPagingID: s1ap.UEPagingID{Choice: s1ap.UEPagingIDChoiceIMSI, IMSI: s1ap.IMSI{0, 1, 1, 0, 0, 0, 0, 0}},
			CNDomain: s1ap.CNDomainPs, TAIList: s1ap.TAIList{{TAI: s1ap.FromTAI(tai)}}})
		w.silent()
		if s.SyntaxErrors.Load() != 1 || s.Unknown.Load() != 2 {
			t.Errorf("%d syntax errors, %d unknown", s.SyntaxErrors.Load(), s.Unknown.Load())
		}

		w.send(&s1ap.UEContextReleaseCommand{Cause: s1ap.CauseNasDetach.Cause(), UES1APIDs: s1ap.UES1APIDs{Choice: s1ap.UES1APIDsChoiceUES1APIDPair,
			UES1APIDPair: &s1ap.UES1APIDPair{MMEUES1APID: u.mme + 1, ENBUES1APID: u.enb}}})
		if m := next[*s1ap.ErrorIndication](w); *m.Cause != s1ap.CauseRadioNetworkUnknownPairUeS1apId.Cause() || *m.MMEUES1APID != u.mme+1 {
			t.Errorf("answer to a wrong pair: %+v", m)
		}
		w.wantState(p, sim.Connected)

		cause := s1ap.CauseRadioNetworkUnknownMmeUeS1apId.Cause()
		w.send(&s1ap.ErrorIndication{MMEUES1APID: &u.mme, Cause: &cause})
		w.wantState(p, sim.Connected) // names no connection of the eNB's
		w.send(&s1ap.ErrorIndication{MMEUES1APID: &u.mme, ENBUES1APID: &u.enb, Cause: &cause})
		w.wantState(p, sim.Idle)
		if s.ErrorIndications.Load() != 2 {
			t.Errorf("%d error indications", s.ErrorIndications.Load())
		}
	})
}

func TestInactivity(t *testing.T) {
	play(t, sim.ENBOptions{Inactivity: 10 * time.Second}, func(w *world) {
		u := w.attached(w.phone(sim.PhoneOptions{}))
		begun := time.Now()
		m := next[*s1ap.UEContextReleaseRequest](w)
		if m.Cause != s1ap.CauseRadioNetworkUserInactivity.Cause() || m.ENBUES1APID != u.enb || m.MMEUES1APID != u.mme {
			t.Errorf("%+v", m)
		}
		if d := time.Since(begun); d < 10*time.Second || d > 13*time.Second {
			t.Errorf("asked after %v", d)
		}
		<-time.After(time.Minute)
		w.silent() // asked once
	})
}

func TestOptions(t *testing.T) {
	if _, err := sim.NewENB(sim.ENBOptions{}); err == nil {
		t.Error("an eNB without identity")
	}
	if _, err := sim.NewPhone(sim.PhoneOptions{}); err == nil {
		t.Error("a phone without SIM")
	}
	for s, want := range map[sim.State]string{sim.Deregistered: "deregistered", sim.Detaching: "detaching"} {
		if s.String() != want {
			t.Errorf("state %v, want %s", s, want)
		}
	}
}
