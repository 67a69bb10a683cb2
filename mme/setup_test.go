package mme

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
)

// TS 36.413 §8.7.3.2.
func TestS1Setup(t *testing.T) {
	play(t, nil, func(w *world) {
		e := w.dial()
		e.send(e.setupRequest(0x19b))
		m := expect[*s1ap.S1SetupResponse](e)
		g := m.ServedGUMMEIs[0]
		if m.MMEname != "campanile" || m.RelativeMMECapacity != 255 || g.ServedPLMNs[0] != s1ap.FromPLMN(testPLMN) ||
			g.ServedGroupIDs[0] != (s1ap.MMEGroupID{0, 1}) || g.ServedMMECs[0] != (s1ap.MMECode{0x1a}) {
			t.Errorf("S1 Setup Response %+v", m)
		}
		synctest.Wait()
		i := w.m.ENBs()
		if len(i) != 1 || i[0].Name != "srsenb01" || i[0].Tower != w.towers[0x19b] || !slices.Equal(i[0].TAIs, []id.TAI{{PLMN: testPLMN, TAC: 7}}) {
			t.Errorf("ENBs %+v", i)
		}
		w.logged("S1 setup done", "enb=001/01-macro-0x19b")
	})
}

// TS 36.413 §8.7.3.3, §8.7.3.4: unknown PLMN, unregistered tower; the eNB may
// try again by the same association.
func TestS1SetupFailure(t *testing.T) {
	play(t, nil, func(w *world) {
		e := w.dial()
		e.plmn = must(id.ParsePLMN("26201"))
		e.send(e.setupRequest(0x19b))
		if m := expect[*s1ap.S1SetupFailure](e); m.Cause != s1ap.CauseMiscUnknownPLMN.Cause() {
			t.Errorf("refused with %v", m.Cause)
		}
		e.plmn = testPLMN
		e.send(e.setupRequest(0x777))
		if m := expect[*s1ap.S1SetupFailure](e); m.Cause != s1ap.CauseMiscOmIntervention.Cause() || *m.TimeToWait != s1ap.TimeToWaitV60s {
			t.Errorf("refused with %+v", m)
		}
		w.logged("S1 setup refused", "enb=001/01-macro-0x777", "no such tower is registered")
		e.send(e.setupRequest(0x19b))
		expect[*s1ap.S1SetupResponse](e)
		w.counted("S1 setup S1AP cause misc: om-intervention", 1)
	})
}

// A second association of one eNB replaces the first; a second S1 Setup on one
// association ends its phones' connections (TS 36.413 §8.7.3.1).
func TestS1SetupAgain(t *testing.T) {
	play(t, nil, func(w *world) {
		e := w.tower(0x19b)
		p := w.phone(e)
		p.attach()
		e.send(e.setupRequest(0x19b))
		expect[*s1ap.S1SetupResponse](e)
		if i := p.settled(); i.State != Idle {
			t.Errorf("after S1 Setup on the same association the phone is %v", i.State)
		}
		p.request()
		p.setupResponse()
		p.settled()

		f := w.tower(0x19b)
		expect[*s1ap.UEContextReleaseCommand](e) // which it does not answer
		if _, err := e.a.Recv(context.Background()); !errors.Is(err, io.EOF) {
			t.Errorf("the former association ended with %v", err)
		}
		_, x := w.gw.only(w)
		if i := p.settled(); i.State != Idle || x.enb.TEID != 0 {
			t.Errorf("after another association the phone is %v, the eNB's tunnel at the gateway %v", i.State, x.enb)
		}
		if s := w.m.Stats(); s.ENBs != 1 || s.Connected != 0 || s.Registered != 1 {
			t.Errorf("stats %+v", s)
		}
		p = p.at(f)
		p.request()
		p.setupResponse()
		if i := p.settled(); i.State != Connected || x.enb.TEID == 0 {
			t.Errorf("UEInfo %+v", i)
		}
	})
}

// An eNB that never heard that its MME was killed is shut down, so that it sets
// up S1 anew; other messages before S1 Setup are answered.
func TestMessagesBeforeS1Setup(t *testing.T) {
	play(t, nil, func(w *world) {
		e := w.dial()
		e.send(&s1ap.Reset{Cause: s1ap.CauseMiscUnspecified.Cause(), ResetType: s1ap.ResetType{Choice: s1ap.ResetTypeChoiceS1Interface}})
		if m := expect[*s1ap.ErrorIndication](e); *m.Cause != s1ap.CauseProtocolMessageNotCompatibleWithReceiverState.Cause() {
			t.Errorf("answered with %v", m.Cause)
		}
		p := w.phone(e)
		p.initial(p.attachRequest())
		if _, err := e.a.Recv(context.Background()); !errors.Is(err, io.EOF) {
			t.Errorf("the association ended with %v, want SHUTDOWN", err)
		}
		w.counted("before S1 Setup", 2)

		idle := w.dial()
		if _, err := idle.a.Recv(context.Background()); err == nil {
			t.Error("an association without S1 Setup stays")
		}
	})
}

// TS 36.413 §8.7.1.2.2: Reset of all and of some.
func TestReset(t *testing.T) {
	play(t, nil, func(w *world) {
		e := w.tower(0x19b)
		p, q, r := w.phone(e), w.phone(e), w.phone(e)
		for _, x := range []*phone{p, q, r} {
			x.attach()
		}
		part := s1ap.UEAssociatedLogicalS1ConnectionListRes{
			{MMEUES1APID: new(p.mmeID), ENBUES1APID: new(p.enbID)},
			{ENBUES1APID: new(q.enbID)},
			{MMEUES1APID: new(r.mmeID), ENBUES1APID: new(q.enbID)}, // do not belong together
			{MMEUES1APID: new(s1ap.MMEUES1APID(999))},
		}
		e.send(&s1ap.Reset{Cause: s1ap.CauseMiscUnspecified.Cause(), ResetType: s1ap.ResetType{Choice: s1ap.ResetTypeChoicePartOfS1Interface, PartOfS1Interface: part}})
		m := expect[*s1ap.ResetAcknowledge](e)
		if len(m.UEAssociatedLogicalS1ConnectionListResAck) != 4 {
			t.Errorf("acknowledged %+v", m)
		}
		for x, want := range map[*phone]State{p: Idle, q: Idle, r: Connected} {
			if i := x.settled(); i.State != want {
				t.Errorf("phone %v is %v, want %v", i.TMSI, i.State, want)
			}
		}
		e.send(&s1ap.Reset{Cause: s1ap.CauseMiscUnspecified.Cause(), ResetType: s1ap.ResetType{Choice: s1ap.ResetTypeChoiceS1Interface}})
		if m := expect[*s1ap.ResetAcknowledge](e); m.UEAssociatedLogicalS1ConnectionListResAck != nil {
			t.Errorf("acknowledged %+v", m)
		}
		if i := r.settled(); i.State != Idle {
			t.Errorf("phone is %v", i.State)
		}
		e.silent(time.Second)
	})
}

// TS 36.413 §10.6: an Error Indication by the eNB for ids that it does not know ends
// the connection.
func TestAbnormal_36413_10_6_ByENB(t *testing.T) {
	play(t, nil, func(w *world) {
		e := w.tower(0x19b)
		p := w.phone(e)
		p.attach()
		e.send(&s1ap.ErrorIndication{MMEUES1APID: new(p.mmeID), ENBUES1APID: new(p.enbID), Cause: new(s1ap.CauseRadioNetworkUnknownEnbUeS1apId.Cause())})
		if i := p.settled(); i.State != Idle {
			t.Errorf("phone is %v", i.State)
		}
		e.send(&s1ap.ErrorIndication{Cause: new(s1ap.CauseProtocolUnspecified.Cause())})
		e.silent(time.Second)
	})
}

// The eNB is lost: its phones are idle, and come back by another.
func TestENBLost(t *testing.T) {
	play(t, nil, func(w *world) {
		e, f := w.tower(0x19b), w.tower(0x19c)
		p, q := w.phone(e), w.phone(e)
		p.attach()
		q.initial(q.attachRequest())
		down[*eps.AuthenticationRequest](q)
		e.a.Abort("power cut")
		if i := p.settled(); i.State != Idle || i.Bearers[0].DL != 0 {
			t.Errorf("UEInfo %+v", i)
		}
		w.logged("eNB gone", "power cut")
		w.logged("procedure failed", "procedure=attach", "association lost")
		p = p.at(f)
		p.request()
		p.setupResponse()
		if i := p.settled(); i.State != Connected || i.Tower != w.towers[0x19c] {
			t.Errorf("UEInfo %+v", i)
		}
	})
}

// Associations without S1 Setup take no eNB's place: the oldest goes when there
// is no room for another.
func TestENBsWithoutSetupMakeRoom(t *testing.T) {
	play(t, func(o *Options) { o.MaxENBs = 3 }, func(w *world) {
		w.tower(0x19b)
		first, second := w.dial(), w.dial()
		w.tower(0x19c)
		if _, err := first.a.Recv(context.Background()); err == nil {
			t.Error("the oldest association without S1 Setup stays")
		}
		second.silent(time.Second)
		w.towers[0x19d] = [32]byte{3}
		w.tower(0x19d)
		if _, err := w.dial().a.Recv(context.Background()); err == nil {
			t.Error("a fourth association was taken")
		}
		if s := w.m.Stats(); s.ENBs != 3 {
			t.Errorf("%+v", s)
		}
	})
}
