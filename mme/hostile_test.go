package mme

import (
	"bytes"
	"context"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/nassec"
	"campanile.network/3gpp/s1ap"
)

// TS 36.413 §10.6: a message with another eNB's MME UE S1AP ID does not reach that
// phone; ids of the eNB's own phones that do not belong together end both.
func TestAbnormal_36413_10_6_Pair(t *testing.T) {
	play(t, strangers, func(w *world) {
		e, f := w.tower(0x19b), w.tower(0x19c)
		p := w.phone(e)
		p.attach()
		q := w.phone(f)
		q.attach()
		for _, m := range []s1ap.Message{
			&s1ap.UEContextReleaseRequest{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID + 5, Cause: s1ap.CauseRadioNetworkUserInactivity.Cause()},
			&s1ap.UplinkNASTransport{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID + 5, NASPDU: []byte{7, 0x46}, EUTRANCGI: f.cell(), TAI: f.tai()},
			&s1ap.InitialContextSetupResponse{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID + 5, ERABSetupListCtxtSURes: s1ap.ERABSetupListCtxtSURes{{ERABID: 5, TransportLayerAddress: s1ap.FromAddr(f.addr), GTPTEID: s1ap.FromTEID(666)}}},
		} {
			f.send(m)
			if a := expect[*s1ap.ErrorIndication](f); *a.Cause != s1ap.CauseRadioNetworkUnknownMmeUeS1apId.Cause() || *a.MMEUES1APID != p.mmeID {
				t.Errorf("%s answered with %+v", m.Header().Name, a)
			}
		}
		f.send(&s1ap.PathSwitchRequest{SourceMMEUES1APID: p.mmeID, ENBUES1APID: p.enbID + 5, EUTRANCGI: f.cell(), TAI: f.tai(),
			ERABToBeSwitchedDLList: s1ap.ERABToBeSwitchedDLList{{ERABID: 5, TransportLayerAddress: s1ap.FromAddr(f.addr), GTPTEID: s1ap.FromTEID(666)}}})
		expect[*s1ap.PathSwitchRequestFailure](f)
		f.send(&s1ap.Reset{Cause: s1ap.CauseMiscUnspecified.Cause(), ResetType: s1ap.ResetType{Choice: s1ap.ResetTypeChoicePartOfS1Interface,
			PartOfS1Interface: s1ap.UEAssociatedLogicalS1ConnectionListRes{{MMEUES1APID: new(p.mmeID)}}}})
		expect[*s1ap.ResetAcknowledge](f)
		f.send(&s1ap.ErrorIndication{MMEUES1APID: new(p.mmeID), Cause: new(s1ap.CauseRadioNetworkUnknownMmeUeS1apId.Cause())})
		if i := p.settled(); i.State != Connected {
			t.Errorf("the phone is %v", i.State)
		}
		w.counted("UE of another eNB", 3)

		// Ids of its own that do not belong together end both (§10.6).
		f.send(&s1ap.UEContextReleaseRequest{MMEUES1APID: q.mmeID, ENBUES1APID: q.enbID + 9, Cause: s1ap.CauseRadioNetworkUserInactivity.Cause()})
		if a := expect[*s1ap.ErrorIndication](f); *a.Cause != s1ap.CauseRadioNetworkUnknownPairUeS1apId.Cause() {
			t.Errorf("answered with %+v", a)
		}
		if i := q.settled(); i.State != Idle {
			t.Errorf("the phone is %v", i.State)
		}
	})
}

// TS 36.413 §10.2: what cannot be decoded is answered, and the phone does not notice.
func TestAbnormal_36413_10_2(t *testing.T) {
	play(t, nil, func(w *world) {
		e := w.tower(0x19b)
		p := w.phone(e)
		p.attach()

		e.raw([]byte{0x00, 0x0c, 0x40, 0x03, 0x00, 0x00, 0x07})
		if m := expect[*s1ap.ErrorIndication](e); *m.Cause != s1ap.CauseProtocolTransferSyntaxError.Cause() || *m.CriticalityDiagnostics.ProcedureCode != s1ap.ProcedureInitialUEMessage {
			t.Errorf("answered with %+v", m)
		}
		e.raw([]byte{0xff, 0xff})
		expect[*s1ap.ErrorIndication](e)

		// Uplink NAS Transport without its NAS-PDU: mandatory, reject.
		b := must(s1ap.Append(nil, &s1ap.UplinkNASTransport{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, NASPDU: []byte{7, 0x46}, EUTRANCGI: e.cell(), TAI: e.tai()}))
		for i := 7; i < len(b)-1; i++ {
			if b[i] == 0 && b[i+1] == 26 { // its id, made one that is not known
				b[i], b[i+1] = 0x0f, 0xff
				break
			}
		}
		e.raw(b)
		m := expect[*s1ap.ErrorIndication](e)
		if *m.Cause != s1ap.CauseProtocolAbstractSyntaxErrorReject.Cause() || m.MMEUES1APID == nil || *m.MMEUES1APID != p.mmeID || len(m.CriticalityDiagnostics.IEsCriticalityDiagnostics) != 2 {
			t.Errorf("answered with %+v", m)
		}
		w.counted("S1AP syntax", 3)

		if err := e.a.Send(context.Background(), 0, 46, must(s1ap.Append(nil, e.setupRequest(0x19b)))); err != nil {
			t.Fatal(err)
		}
		e.silent(time.Second)
		w.counted("payload protocol is not S1AP", 1)
		if i := p.settled(); i.State != Connected {
			t.Errorf("the phone is %v", i.State)
		}
	})
}

// TS 36.413 §10.3.5: an id that was not in a message is not told as zero, which may
// be another phone's, and a message of nobody is nobody's.
func TestAbnormal_36413_10_3_5_IDs(t *testing.T) {
	play(t, nil, func(w *world) {
		e := w.tower(0x19b)
		p := w.phone(e)
		p.attach()
		without := func(m s1ap.Message, id byte) []byte {
			b := must(s1ap.Append(nil, m))
			i := bytes.Index(b[7:], []byte{0, id}) + 7
			b[i], b[i+1] = 0xea, 0x60 // an IE that is not known, to be ignored
			b[i+2] = 0x40
			return b
		}
		uplink := &s1ap.UplinkNASTransport{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, NASPDU: []byte{7, 0x46}, EUTRANCGI: e.cell(), TAI: e.tai()}
		e.raw(without(uplink, 0))
		if m := expect[*s1ap.ErrorIndication](e); m.MMEUES1APID != nil || m.ENBUES1APID == nil || *m.ENBUES1APID != p.enbID {
			t.Errorf("answered with %+v", m)
		}
		e.raw(without(uplink, 8))
		if m := expect[*s1ap.ErrorIndication](e); m.ENBUES1APID != nil || m.MMEUES1APID == nil || *m.MMEUES1APID != p.mmeID {
			t.Errorf("answered with %+v", m)
		}
		e.raw(append(must(s1ap.Append(nil, uplink)), 0))
		if m := expect[*s1ap.ErrorIndication](e); m.ENBUES1APID != nil || m.MMEUES1APID != nil {
			t.Errorf("answered with %+v", m)
		}
		response := &s1ap.InitialContextSetupResponse{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID,
			ERABSetupListCtxtSURes: s1ap.ERABSetupListCtxtSURes{{ERABID: 5, TransportLayerAddress: s1ap.FromAddr(e.addr), GTPTEID: s1ap.FromTEID(666)}}}
		e.raw(without(response, 0))
		e.silent(time.Second)
		w.counted("S1AP syntax", 4)
		if i := p.settled(); i.State != Connected {
			t.Errorf("the phone is %v", i.State)
		}
	})
}

// TS 36.413 §10.3.5: S1 Setup without its tracking areas is refused with diagnostics.
func TestAbnormal_36413_10_3_5_S1Setup(t *testing.T) {
	play(t, nil, func(w *world) {
		e := w.dial()
		b := must(s1ap.Append(nil, e.setupRequest(0x19b)))
		for i := 7; i < len(b)-1; i++ {
			if b[i] == 0 && b[i+1] == 64 { // id-SupportedTAs
				b[i], b[i+1] = 0x0f, 0xff
				break
			}
		}
		e.raw(b)
		if m := expect[*s1ap.S1SetupFailure](e); m.Cause != s1ap.CauseProtocolAbstractSyntaxErrorReject.Cause() || m.CriticalityDiagnostics == nil {
			t.Errorf("answered with %+v", m)
		}
	})
}

// First messages of a phone that are nothing (TS 24.301 §7).
func TestBrokenNAS(t *testing.T) {
	play(t, nil, func(w *world) {
		e := w.tower(0x19b)
		for _, c := range []struct {
			name   string
			pdu    []byte
			answer func(*phone) eps.EMMCause
		}{
			{"one octet", []byte{7}, nil},
			{"attach request cut off", []byte{7, 0x41, 0x71}, (*phone).attachRejected},
			{"update request cut off", []byte{7, 0x48, 0x71}, (*phone).updateRejected},
			{"unknown type", []byte{7, 0xff}, (*phone).statusTold},
			{"another protocol", []byte{5, 8}, nil},
			{"session management", []byte{2, 1, 0xd0, 0x11}, nil},
			{"protected and nothing in it", []byte{0x17, 1, 2, 3, 4, 5}, nil},
			{"ciphered for nobody", []byte{0x27, 1, 2, 3, 4, 5, 6, 7}, nil},
			{"service request cut off", []byte{0xc7, 1}, (*phone).serviceRejected},
			{"security mode command from a phone", []byte{0x37, 1, 2, 3, 4, 5, 7, 0x5d}, nil},
			{"reserved header type", []byte{0x67, 1, 2, 3, 4, 5, 7, 0x5d}, nil},
			{"a response to nothing", []byte{7, 0x53, 4, 1, 2, 3, 4}, nil},
		} {
			p := w.phone(e)
			p.initialRaw(c.pdu)
			if c.answer != nil {
				if cause := c.answer(p); cause != eps.EMMCauseInvalidMandatoryInformation && cause != eps.EMMCauseMessageTypeNonExistentOrNotImplemented {
					t.Errorf("%s: answered with %v", c.name, cause)
				}
			}
			p.released()
		}
		synctest.Wait()
		if s := w.m.Stats(); s.UEs != 0 || s.Connected != 0 {
			t.Errorf("stats %+v", s)
		}
	})
}

func (p *phone) attachRejected() eps.EMMCause  { return down[*eps.AttachReject](p).Cause }
func (p *phone) updateRejected() eps.EMMCause  { return down[*eps.TrackingAreaUpdateReject](p).Cause }
func (p *phone) serviceRejected() eps.EMMCause { return down[*eps.ServiceReject](p).Cause }
func (p *phone) statusTold() eps.EMMCause      { return down[*eps.EMMStatus](p).Cause }

// What a phone may not say unprotected once exchange is secure, and what this
// network does not do.
func TestUnexpectedNAS(t *testing.T) {
	play(t, nil, func(w *world) {
		e := w.tower(0x19b)
		p := w.phone(e)
		p.attach()
		plain := p.at(e)
		plain.enbID, plain.mmeID, plain.sec = p.enbID, p.mmeID, nil
		plain.uplink(p.attachRequest())
		plain.uplink(&eps.DetachRequest{Type: eps.DetachEPS, KSI: p.ksi, Identity: eps.FromGUTI(*p.guti)})
		plain.uplink(&eps.AuthenticationFailure{Cause: eps.EMMCauseMACFailure})
		plain.uplink(&eps.PDNConnectivityRequest{PTI: 3, Request: eps.RequestTypeInitial, PDNType: eps.PDNTypeIPv4})
		plain.uplinkRaw([]byte{7, 0x41, 0})
		e.silent(time.Second)
		w.counted("NAS message needs protection", 3)

		p.uplink(&eps.PDNConnectivityRequest{PTI: 3, Request: eps.RequestTypeInitial, PDNType: eps.PDNTypeIPv4})
		if m := down[*eps.PDNConnectivityReject](p); m.PTI != 3 || m.Cause != eps.ESMCauseMultiplePDNConnectionsForAGivenAPNNotAllowed {
			t.Errorf("%v", m)
		}
		p.uplink(&eps.PDNDisconnectRequest{PTI: 4, Linked: 5})
		if m := down[*eps.PDNDisconnectReject](p); m.PTI != 4 || m.Cause != eps.ESMCauseLastPDNDisconnectionNotAllowed {
			t.Errorf("%v", m)
		}
		p.uplink(&eps.UplinkNASTransport{Container: []byte{9, 1, 0}})
		if m := down[*eps.EMMStatus](p); m.Cause != eps.EMMCauseMessageTypeNotCompatibleWithTheProtocolState {
			t.Errorf("%v", m)
		}
		p.uplink(&eps.EMMStatus{Cause: eps.EMMCauseProtocolErrorUnspecified})
		e.silent(time.Second)
		e.send(&s1ap.HandoverRequired{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, HandoverType: s1ap.HandoverTypeIntralte, Cause: s1ap.CauseRadioNetworkHandoverDesirableForRadioReason.Cause(),
			TargetID: s1ap.TargetID{Choice: s1ap.TargetIDChoiceTargeteNBID, TargeteNBID: &s1ap.TargeteNBID{
				GlobalENBID: s1ap.FromGlobalENBID(id.GlobalENBID{PLMN: testPLMN, ID: 1}), SelectedTAI: e.tai()}},
			SourceToTargetTransparentContainer: []byte{1}})
		expect[*s1ap.HandoverPreparationFailure](e)
	})
}

// Bounds: phones, associations, waiting messages.
func TestBounds(t *testing.T) {
	play(t, func(o *Options) { o.MaxUEs, o.MaxENBs, o.Inbox = 2, 2, 4 }, func(w *world) {
		e, f := w.tower(0x19b), w.tower(0x19c)
		g := w.dial()
		if _, err := g.a.Recv(context.Background()); err == nil {
			t.Error("a third association was taken")
		}
		p, q, r := w.phone(e), w.phone(e), w.phone(f)
		p.attach()
		q.attach()
		r.initial(r.attachRequest())
		expect[*s1ap.ErrorIndication](f) // no S1 connection left
		q.idle()
		r.initial(r.attachRequest())
		r.authenticate()
		down[*eps.AttachReject](r) // no room for its context: congestion
		r.released()
		w.logged("EMM cause #22", "too many phones")
		w.counted("too many phones", 1)

		p.uplink(&eps.DetachRequest{Type: eps.DetachEPS | eps.DetachSwitchOff, KSI: p.ksi, Identity: eps.FromGUTI(*p.guti)})
		p.released()
		p.settled()
		r.sec, r.guti, r.ksi = nil, nil, eps.NoKSI
		r.attach() // the detached phone's place
		if s := w.m.Stats(); s.UEs != 2 {
			t.Errorf("stats %+v", s)
		}

		// A flood for one phone whose goroutine is held up by the home.
		w.home.silent = true
		r.uplink(&eps.DetachRequest{Type: eps.DetachEPS | eps.DetachSwitchOff, KSI: r.ksi, Identity: eps.FromGUTI(*r.guti)})
		r.released()
		s := w.phone(f)
		s.initial(s.attachRequest())
		synctest.Wait()
		s.mmeID = s1ap.MMEUES1APID(w.m.legs.of(f.of(w))[0].mmeID)
		for range 100 {
			s.uplink(&eps.AuthenticationResponse{RES: []byte{1, 2, 3, 4}})
		}
		synctest.Wait()
		st := w.m.Stats()
		if n := st.Dropped["inbox of the phone full"] + st.Dropped["NAS message not expected"]; n != 100 {
			t.Errorf("dropped %v, want 100 in all", st.Dropped)
		}
	})
}

// of gives the MME's side of an association.
func (e *enbPeer) of(w *world) *enb {
	for _, x := range w.m.legs.all() {
		if x.a.RemoteAddr() == e.a.LocalAddr() {
			return x
		}
	}
	return nil
}

// FuzzS1AP sends arbitrary S1AP between an attach and a service request, which
// must go on to work.
func FuzzS1AP(f *testing.F) {
	f.Add([]byte{0x00, 0x0c, 0x40, 0x03, 0x00, 0x00, 0x07})
	for _, m := range []s1ap.Message{
		&s1ap.Reset{Cause: s1ap.CauseMiscUnspecified.Cause(), ResetType: s1ap.ResetType{Choice: s1ap.ResetTypeChoiceS1Interface}},
		&s1ap.ErrorIndication{MMEUES1APID: new(s1ap.MMEUES1APID(1))},
		&s1ap.UEContextReleaseRequest{MMEUES1APID: 1, ENBUES1APID: 1, Cause: s1ap.CauseRadioNetworkUserInactivity.Cause()},
		&s1ap.UplinkNASTransport{MMEUES1APID: 1, ENBUES1APID: 1, NASPDU: []byte{7, 0x60, 1}},
		&s1ap.InitialContextSetupResponse{MMEUES1APID: 1, ENBUES1APID: 1, ERABSetupListCtxtSURes: s1ap.ERABSetupListCtxtSURes{{ERABID: 5, GTPTEID: s1ap.FromTEID(1)}}},
	} {
		if b, err := s1ap.Append(nil, m); err == nil {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		play(t, nil, func(w *world) {
			e := w.tower(0x19b)
			p := w.phone(e)
			p.attach()
			if len(b) == 0 {
				return
			}
			e.raw(b)
			synctest.Wait()
			w.survives(p)
		})
	})
}

// FuzzNAS sends an arbitrary first NAS message, and one in a connection.
func FuzzNAS(f *testing.F) {
	f.Add([]byte{7, 0x41, 0x71}, []byte{7, 0x60, 1})
	f.Add([]byte{0xc7, 0, 1, 2}, []byte{2, 1, 0xd0, 0x11})
	f.Add([]byte{0x17, 1, 2, 3, 4, 5, 7, 0x45, 1}, []byte{0x27, 1, 2, 3, 4, 5, 7, 0x45, 1})
	f.Fuzz(func(t *testing.T, first, later []byte) {
		play(t, nil, func(w *world) {
			e := w.tower(0x19b)
			p := w.phone(e)
			p.attach()
			q := p.at(e)
			q.initialRaw(first)
			p.uplinkRaw(later)
			if pdu, err := p.sec.Protect(nil, nassec.IntegrityCiphered, later); err == nil && len(later) > 0 {
				p.uplinkRaw(pdu)
			}
			synctest.Wait()
			w.survives(p)
		})
	})
}

// survives checks that a new phone can attach by a new association.
func (w *world) survives(*phone) {
	w.t.Helper()
	w.towers[0x19d] = [32]byte{3}
	w.phone(w.tower(0x19d)).attach()
}
