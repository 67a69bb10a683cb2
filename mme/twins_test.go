package mme

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/s1ap"
)

// answerProbe answers as an eNB that does not know the ids (TS 36.413 §10.6).
func (e *enbPeer) answerProbe() {
	e.w.t.Helper()
	m := expect[*s1ap.UEContextReleaseCommand](e)
	pair := m.UES1APIDs.UES1APIDPair
	e.send(&s1ap.ErrorIndication{MMEUES1APID: new(pair.MMEUES1APID), ENBUES1APID: new(pair.ENBUES1APID), Cause: new(s1ap.CauseRadioNetworkUnknownPairUeS1apId.Cause())})
}

// Two eNBs with one global id: the first keeps it for as long as it answers,
// and its phones notice nothing.
func TestTwoENBsWithOneID(t *testing.T) {
	play(t, nil, func(w *world) {
		e := w.tower(0x19b)
		p := w.phone(e)
		p.attach()
		twin := w.dial()
		for range 3 {
			twin.send(twin.setupRequest(0x19b))
			e.answerProbe()
			if m := expect[*s1ap.S1SetupFailure](twin); m.Cause != s1ap.CauseMiscOmIntervention.Cause() || *m.TimeToWait != s1ap.TimeToWaitV60s {
				t.Errorf("refused with %+v", m)
			}
			time.Sleep(time.Minute)
		}
		w.logged("S1 setup refused", "another eNB with this id is here")
		if i := p.settled(); i.State != Connected {
			t.Errorf("the phone is %v", i.State)
		}
		e.silent(time.Minute)

		e.a.Abort("switched off")
		synctest.Wait()
		twin = w.tower(0x19b)
		if i := p.settled(); i.State != Idle {
			t.Errorf("the phone is %v", i.State)
		}
		p = p.at(twin)
		p.request()
	})
}

// An eNB that restarts leaves an association on which nobody answers: the new
// one is taken within the time that eNBs wait, and the old one is shut down.
func TestENBRestartsWithoutAWord(t *testing.T) {
	play(t, nil, func(w *world) {
		e := w.tower(0x19b)
		p := w.phone(e)
		p.attach()
		began := time.Now()
		f := w.tower(0x19b)
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("S1 Setup took %v", took)
		}
		if i := p.settled(); i.State != Idle || w.m.Stats().ENBs != 1 {
			t.Errorf("the phone is %v; %+v", i.State, w.m.Stats())
		}
		expect[*s1ap.UEContextReleaseCommand](e)
		if _, err := e.a.Recv(context.Background()); !errors.Is(err, io.EOF) {
			t.Errorf("the former association ended with %v", err)
		}
		p = p.at(f)
		p.request()
		synctest.Wait()
		w.mu.Lock()
		for _, v := range w.events {
			if v, ok := v.(ENBChanged); ok && !v.Up {
				t.Errorf("%+v: its id has another association", v)
			}
		}
		w.mu.Unlock()

		// One that has gone already costs no time.
		f.a.Abort("killed")
		began = time.Now()
		w.tower(0x19b)
		if took := time.Since(began); took > 0 {
			t.Errorf("S1 Setup took %v", took)
		}
	})
}
