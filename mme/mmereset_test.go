package mme

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
)

// TS 36.413 §8.7.1.2.1: all S1 connections of one eNB.
func TestResetByMME(t *testing.T) {
	play(t, nil, func(w *world) {
		e, f := w.tower(0x19b), w.tower(0x19c)
		p, q := w.phone(e), w.phone(f)
		p.attach()
		q.attach()
		done := make(chan error, 1)
		g := id.GlobalENBID{PLMN: testPLMN, Type: id.MacroENB, ID: 0x19b}
		go func() { done <- w.m.Reset(context.Background(), g) }()
		for range 2 { // the guard timer expires once
			if m := expect[*s1ap.Reset](e); m.ResetType.Choice != s1ap.ResetTypeChoiceS1Interface {
				t.Errorf("%v", m)
			}
		}
		e.send(&s1ap.ResetAcknowledge{})
		if err := <-done; err != nil {
			t.Error(err)
		}
		if i := p.settled(); i.State != Idle || i.Bearers[0].DL != 0 {
			t.Errorf("UEInfo %+v", i)
		}
		if i := q.settled(); i.State != Connected {
			t.Errorf("UEInfo of another eNB's phone %+v", i)
		}
		p.request()
		p.setupResponse()
		if i := p.settled(); i.State != Connected {
			t.Errorf("UEInfo %+v", i)
		}
		w.counted("reset by MME ok", 1)

		e.send(&s1ap.ResetAcknowledge{}) // of nothing
		e.send(&s1ap.ResetAcknowledge{})
		w.counted("S1AP message not expected", 1)
		if err := w.m.Reset(context.Background(), id.GlobalENBID{PLMN: testPLMN, ID: 1}); !errors.Is(err, ErrNoENB) {
			t.Errorf("of an eNB that is not here: %v", err)
		}
	})
}

// An eNB that knows no Reset, as srsRAN's does not, is made to set up S1 anew.
func TestResetUnanswered(t *testing.T) {
	play(t, nil, func(w *world) {
		e := w.tower(0x19b)
		p := w.phone(e)
		p.attach()
		began := time.Now()
		done := make(chan error, 1)
		go func() {
			done <- w.m.Reset(context.Background(), id.GlobalENBID{PLMN: testPLMN, Type: id.MacroENB, ID: 0x19b})
		}()
		for range 3 {
			expect[*s1ap.Reset](e)
		}
		if err := <-done; err != nil || time.Since(began) != 15*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		if in, err := e.a.Recv(context.Background()); !errors.Is(err, io.EOF) {
			t.Errorf("the MME sent %x, %v; want SHUTDOWN", in.Data, err)
		}
		p = p.at(w.tower(0x19b))
		p.request()
		p.setupResponse()
		if i := p.settled(); i.State != Connected {
			t.Errorf("UEInfo %+v", i)
		}
	})
}

// What the eNB has not confirmed to be released is reset there (TS 36.413
// §8.7.1.2.1, part of the S1 interface).
func TestResetOfUnconfirmedRelease(t *testing.T) {
	play(t, nil, func(w *world) {
		e := w.tower(0x19b)
		lose := func(p *phone) {
			e.send(&s1ap.UEContextReleaseRequest{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, Cause: s1ap.CauseRadioNetworkUserInactivity.Cause()})
			expect[*s1ap.UEContextReleaseCommand](e)
		}
		p := w.phone(e)
		p.attach()
		lose(p)
		m := expect[*s1ap.Reset](e)
		if l := m.ResetType.PartOfS1Interface; len(l) != 1 || *l[0].MMEUES1APID != p.mmeID || *l[0].ENBUES1APID != p.enbID {
			t.Errorf("%v", m)
		}
		e.send(&s1ap.ResetAcknowledge{UEAssociatedLogicalS1ConnectionListResAck: s1ap.UEAssociatedLogicalS1ConnectionListResAck(m.ResetType.PartOfS1Interface)})
		e.silent(time.Minute)

		p.request()
		p.setupResponse()
		p.settled()
		lose(p)
		for range 3 { // and it does not answer
			expect[*s1ap.Reset](e)
		}
		e.silent(time.Minute)
		p.request()
		p.setupResponse()
		p.settled()
		lose(p)
		e.silent(time.Minute) // it is asked no more
		w.logged("acknowledges no Reset")
		synctest.Wait()
	})
}

// TS 36.413 §10.3.4.1: procedures this MME does not have are answered as their
// criticality asks.
func TestAbnormal_36413_10_3_4_1(t *testing.T) {
	play(t, nil, func(w *world) {
		e := w.tower(0x19b)
		p := w.phone(e)
		p.attach()
		e.send(&s1ap.ERABModificationIndication{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID,
			ERABToBeModifiedListBearerModInd: s1ap.ERABToBeModifiedListBearerModInd{{ERABID: 5, TransportLayerAddress: s1ap.FromAddr(e.addr), DLGTPTEID: s1ap.FromTEID(9)}}})
		if m := expect[*s1ap.ErrorIndication](e); *m.Cause != s1ap.CauseProtocolAbstractSyntaxErrorReject.Cause() || *m.CriticalityDiagnostics.ProcedureCode != s1ap.ProcedureERABModificationIndication {
			t.Errorf("answered with %v", m)
		}
		e.send(&s1ap.ENBConfigurationTransfer{}) // to be ignored
		e.send(&s1ap.MMEConfigurationUpdateAcknowledge{})
		e.silent(time.Second)
		e.send(&s1ap.HandoverCancel{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, Cause: s1ap.CauseRadioNetworkTS1relocprepExpiry.Cause()})
		expect[*s1ap.HandoverCancelAcknowledge](e)
		if i := p.settled(); i.State != Connected {
			t.Errorf("UEInfo %+v", i)
		}
	})
}

// Procedures this MME does not have, about a phone: the answer names it, if it
// is this eNB's (TS 36.413 §8.7.2.2, §10.6).
func TestUnsupportedAboutAPhone(t *testing.T) {
	play(t, nil, func(w *world) {
		e, f := w.tower(0x19b), w.tower(0x19c)
		p := w.phone(e)
		p.attach()
		ask := &s1ap.UEContextSuspendRequest{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID}
		e.send(ask)
		if m := expect[*s1ap.ErrorIndication](e); *m.Cause != s1ap.CauseProtocolAbstractSyntaxErrorReject.Cause() || m.MMEUES1APID == nil || *m.MMEUES1APID != p.mmeID || m.ENBUES1APID == nil {
			t.Errorf("answered with %v", m)
		}
		f.send(ask)
		if m := expect[*s1ap.ErrorIndication](f); *m.Cause != s1ap.CauseRadioNetworkUnknownMmeUeS1apId.Cause() {
			t.Errorf("answered with %v", m)
		}
		f.send(&s1ap.HandoverNotify{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, EUTRANCGI: f.cell(), TAI: f.tai()})
		expect[*s1ap.ErrorIndication](f)
		e.send(&s1ap.HandoverNotify{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, EUTRANCGI: e.cell(), TAI: e.tai()}) // to be ignored
		e.send(&s1ap.PWSRestartIndication{ECGIListForRestart: s1ap.ECGIListForRestart{e.cell()}, GlobalENBID: e.setupRequest(0x19b).GlobalENBID, TAIListForRestart: s1ap.TAIListForRestart{e.tai()}})
		e.silent(time.Second)
		if i := p.settled(); i.State != Connected {
			t.Errorf("the phone is %v", i.State)
		}
	})
}

// TS 36.413 §10.5: Error Indications are not answered, whatever is wrong with them:
// two that answer each other would never end.
func TestAbnormal_36413_10_5(t *testing.T) {
	play(t, nil, func(w *world) {
		e := w.tower(0x19b)
		p := w.phone(e)
		p.attach()
		whole := must(s1ap.Append(nil, &s1ap.ErrorIndication{MMEUES1APID: new(p.mmeID + 7), ENBUES1APID: new(p.enbID), Cause: new(s1ap.CauseProtocolSemanticError.Cause())}))
		e.raw(whole)
		e.raw(append(whole, 0))
		for n := 4; n < len(whole); n++ {
			e.raw(whole[:n])
		}
		e.send(&s1ap.ErrorIndication{})
		e.silent(time.Minute)
		if i := p.settled(); i.State != Connected {
			t.Errorf("the phone is %v", i.State)
		}
	})
}

// A Reset by the MME crosses what the eNB says of phones before it knows: that is
// not acted on, for the ids in it may be another phone's by the time of an answer
// (TS 36.413 §8.7.1.2.1). After the acknowledgement everything is new.
func TestResetCrossesInitialUEMessage(t *testing.T) {
	play(t, nil, func(w *world) {
		e := w.tower(0x19b)
		p, q, r := w.phone(e), w.phone(e), w.phone(e)
		p.attach()
		done := make(chan error, 1)
		go func() {
			done <- w.m.Reset(context.Background(), id.GlobalENBID{PLMN: testPLMN, Type: id.MacroENB, ID: 0x19b})
		}()
		expect[*s1ap.Reset](e)
		q.initial(q.attachRequest()) // on its way when the Reset was sent
		e.send(&s1ap.UEContextReleaseRequest{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, Cause: s1ap.CauseRadioNetworkUserInactivity.Cause()})
		e.silent(4 * time.Second)
		w.counted("S1 is being reset", 2)

		e.send(&s1ap.ResetAcknowledge{})
		e.lastID = q.enbID - 1 // the id is free again
		r.initial(r.attachRequest())
		if m := expect[*s1ap.DownlinkNASTransport](e); m.ENBUES1APID != q.enbID || r.enbID != q.enbID {
			t.Errorf("answered for eNB UE S1AP ID %d", m.ENBUES1APID)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		if n := w.m.Stats().Connected; n != 1 {
			t.Errorf("%d S1 connections, want that of the last phone", n)
		}
		q.attach() // again, by its own timer
		if i := p.settled(); i.State != Idle {
			t.Errorf("the phone that was reset is %v", i.State)
		}
	})
}

// The eNB gives an id away again that a release it has not confirmed has left to
// be reset: a Reset under that id would be for the new phone.
func TestGhostWhoseIDIsTaken(t *testing.T) {
	play(t, nil, func(w *world) {
		e := w.tower(0x19b)
		lose := func(p *phone) {
			e.send(&s1ap.UEContextReleaseRequest{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, Cause: s1ap.CauseRadioNetworkUserInactivity.Cause()})
			expect[*s1ap.UEContextReleaseCommand](e)
		}
		p, q, r := w.phone(e), w.phone(e), w.phone(e)
		p.attach()
		q.attach()
		lose(p)
		m := expect[*s1ap.Reset](e) // is not acknowledged yet
		lose(q)
		expect[*s1ap.Reset](e) // the same again
		time.Sleep(time.Second)
		e.lastID = q.enbID - 1
		r.attach()
		e.send(&s1ap.ResetAcknowledge{UEAssociatedLogicalS1ConnectionListResAck: s1ap.UEAssociatedLogicalS1ConnectionListResAck(m.ResetType.PartOfS1Interface)})
		e.silent(time.Minute)
		if i := r.settled(); i.State != Connected {
			t.Errorf("the phone with the id is %v", i.State)
		}
	})
}
