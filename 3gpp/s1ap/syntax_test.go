package s1ap

import (
	"errors"
	"strings"
	"testing"

	"campanile.network/3gpp/per"
)

// ie is one row of a container put together by hand.
type ie struct {
	id    ProtocolIEID
	crit  Criticality
	value string
}

// assemble encodes a PDU whose message holds the given IEs.
func assemble(h Header, ies ...ie) []byte {
	body := []byte{0, byte(len(ies) >> 8), byte(len(ies))}
	for _, e := range ies {
		body = append(body, byte(e.id>>8), byte(e.id), byte(e.crit)<<6, byte(len(e.value)))
		body = append(body, e.value...)
	}
	head := []byte{byte(h.Type) << 5, byte(h.ProcedureCode), byte(h.Criticality) << 6}
	if len(body) < 128 {
		return append(append(head, byte(len(body))), body...)
	}
	return append(append(head, 0x80|byte(len(body)>>8), byte(len(body))), body...)
}

var (
	mmeID   = ie{IDMMEUES1APID, CriticalityReject, "\x00\x01"}
	enbID   = ie{IDENBUES1APID, CriticalityReject, "\x00\x02"}
	nas     = ie{IDNASPDU, CriticalityReject, "\x02\x07\x52"}
	dlNAS   = (*DownlinkNASTransport)(nil).Header()
	relDone = (*UEContextReleaseComplete)(nil).Header()
	release = (*UEContextReleaseRequest)(nil).Header()
)

func parseFault(t *testing.T, b []byte) (PDU, *SyntaxError) {
	t.Helper()
	p, err := Parse(b)
	var e *SyntaxError
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want a SyntaxError", err)
	}
	return p, e
}

// TestClause10 goes through the cases of TS 36.413 §10.3.
func TestClause10(t *testing.T) {
	for _, c := range []struct {
		name           string
		pdu            []byte
		clause         string
		faults         string
		proceed, tell  bool
		cause          Cause
		inDiagnostics  int
		messageMissing bool
	}{
		{
			name: "unknown IE, reject", clause: "§10.3.4.2",
			pdu:    assemble(dlNAS, mmeID, enbID, nas, ie{60000, CriticalityReject, "x"}),
			faults: "ProtocolIEID(60000) not understood (reject)", tell: true,
			cause: CauseProtocolAbstractSyntaxErrorReject.Cause(), inDiagnostics: 1,
		},
		{
			name: "unknown IE, notify", clause: "§10.3.4.2",
			pdu:    assemble(dlNAS, mmeID, ie{60000, CriticalityNotify, "x"}, enbID, nas),
			faults: "ProtocolIEID(60000) not understood (notify)", proceed: true, tell: true,
			cause: CauseProtocolAbstractSyntaxErrorIgnoreAndNotify.Cause(), inDiagnostics: 1,
		},
		{
			name: "missing IE, reject", clause: "§10.3.5",
			pdu:    assemble(dlNAS, mmeID, enbID),
			faults: "NAS-PDU missing (reject)", tell: true,
			cause: CauseProtocolAbstractSyntaxErrorReject.Cause(), inDiagnostics: 1,
		},
		{
			name: "missing IE, ignore", clause: "§10.3.5",
			pdu:    assemble(release, mmeID, enbID),
			faults: "Cause missing (ignore)", proceed: true,
			cause: CauseProtocolAbstractSyntaxErrorIgnoreAndNotify.Cause(),
		},
		{
			name: "repeated IE", clause: "§10.3.6",
			pdu:    assemble(dlNAS, mmeID, enbID, enbID, nas),
			faults: "eNB-UE-S1AP-ID repeated (reject)", tell: true,
			cause: CauseProtocolAbstractSyntaxErrorFalselyConstructedMessage.Cause(),
		},
		{
			name: "IEs out of order", clause: "§10.3.6",
			pdu:    assemble(dlNAS, enbID, mmeID, nas),
			faults: "MME-UE-S1AP-ID out of order (reject)", tell: true,
			cause: CauseProtocolAbstractSyntaxErrorFalselyConstructedMessage.Cause(),
		},
		{
			name: "several", clause: "§10.3.4.2, §10.3.5",
			pdu:    assemble(dlNAS, mmeID, ie{60001, CriticalityNotify, "x"}, nas, ie{60002, CriticalityIgnore, "y"}),
			faults: "ProtocolIEID(60001) not understood (notify), eNB-UE-S1AP-ID missing (reject)", tell: true,
			cause: CauseProtocolAbstractSyntaxErrorReject.Cause(), inDiagnostics: 2,
		},
		{
			name: "unknown procedure, reject", clause: "§10.3.4.1",
			pdu:    assemble(Header{InitiatingMessage, 200, CriticalityReject, ""}, mmeID),
			faults: "message not comprehended (reject)", tell: true,
			cause: CauseProtocolAbstractSyntaxErrorReject.Cause(),
		},
		{
			name: "unknown procedure, ignore", clause: "§10.3.4.1",
			pdu:    assemble(Header{InitiatingMessage, 200, CriticalityIgnore, ""}, mmeID),
			faults: "message not comprehended (ignore)",
			cause:  CauseProtocolAbstractSyntaxErrorIgnoreAndNotify.Cause(),
		},
		{
			name: "outcome that the procedure has not", clause: "§10.3.4.1A",
			pdu:    assemble(Header{UnsuccessfulOutcome, ProcedurePaging, CriticalityNotify, ""}, mmeID),
			faults: "message not comprehended (notify)", tell: true,
			cause: CauseProtocolAbstractSyntaxErrorIgnoreAndNotify.Cause(),
		},
		{
			name: "value cut short", clause: "§10.2",
			pdu:    assemble(dlNAS, mmeID, enbID, ie{IDNASPDU, CriticalityReject, "\x09\x07"}),
			faults: "transfer syntax error: per: DownlinkNASTransport.NASPDU", tell: true,
			cause: CauseProtocolTransferSyntaxError.Cause(),
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, e := parseFault(t, c.pdu)
			if !strings.Contains(e.Error(), c.faults) {
				t.Errorf("%s: error %q, want %q", c.clause, e, c.faults)
			}
			if e.Continue() != c.proceed || e.Report() != c.tell || e.Cause() != c.cause {
				t.Errorf("%s: continue %t, report %t, cause %v; want %t, %t, %v", c.clause, e.Continue(), e.Report(), e.Cause(), c.proceed, c.tell, c.cause)
			}
			d := e.CriticalityDiagnostics()
			if len(d.IEsCriticalityDiagnostics) != c.inDiagnostics || d.ProcedureCode == nil || *d.ProcedureCode != p.ProcedureCode ||
				*d.TriggeringMessage != TriggeringMessage(p.Type) || *d.ProcedureCriticality != p.Criticality {
				t.Errorf("%s: diagnostics %+v", c.clause, d)
			}
			if _, err := Append(nil, &ErrorIndication{Cause: new(e.Cause()), CriticalityDiagnostics: d}); err != nil {
				t.Errorf("answer: %v", err)
			}
			if p.Message == nil {
				t.Error("no message beside the error")
			}
			if _, ok := Continuable(errors.Join(errors.New("wrapped"), e)); ok != c.proceed {
				t.Errorf("Continuable says %t", ok)
			}
		})
	}
}

// TestFaultyMessageKeepsWhatIsKnown: the UE ids are there for the answer.
func TestFaultyMessageKeepsWhatIsKnown(t *testing.T) {
	for _, b := range [][]byte{
		assemble(dlNAS, mmeID, enbID),                                          // NAS-PDU is missing
		assemble(dlNAS, enbID, mmeID, nas),                                     // out of order
		assemble(dlNAS, mmeID, enbID, ie{IDNASPDU, CriticalityReject, "\x09"}), // cut short
	} {
		p, _ := parseFault(t, b)
		m, ok := p.Message.(*DownlinkNASTransport)
		if !ok || m.MMEUES1APID != 1 || m.ENBUES1APID != 2 {
			t.Errorf("% x: %+v", b, p.Message)
		}
	}
}

// TestComplete tells disorder, which a lenient receiver may overlook, from
// what leaves a message unusable.
func TestComplete(t *testing.T) {
	for _, c := range []struct {
		pdu  []byte
		want bool
	}{
		{assemble(dlNAS, enbID, mmeID, nas), true},
		{assemble(dlNAS, mmeID, enbID, nas, nas), true},
		{assemble(dlNAS, mmeID, enbID, nas, ie{60000, CriticalityNotify, "x"}), true},
		{assemble(dlNAS, mmeID, enbID, nas, ie{60000, CriticalityReject, "x"}), false},
		{assemble(dlNAS, enbID, mmeID), false},
		{assemble(dlNAS, mmeID, enbID, ie{IDNASPDU, CriticalityReject, "\x09"}), false},
		{assemble(Header{InitiatingMessage, 200, CriticalityIgnore, ""}, mmeID), false},
	} {
		if _, e := parseFault(t, c.pdu); e.Complete() != c.want {
			t.Errorf("%v: complete %t", e, e.Complete())
		}
	}
}

// TestListElementWithAnotherIE: it is left out, never in silence.
func TestListElementWithAnotherIE(t *testing.T) {
	for _, crit := range []Criticality{CriticalityIgnore, CriticalityReject} {
		list := "\x01" + // two elements
			"\x00\x0f\x40\x01\x0a" + // E-RABReleaseItemBearerRelComp, E-RAB 5
			"\xea\x60" + string([]byte{byte(crit) << 6}) + "\x01\x00"
		p, err := Parse(assemble((*ERABReleaseResponse)(nil).Header(), mmeID, enbID, ie{IDERABReleaseListBearerRelComp, CriticalityIgnore, list}))
		m, ok := p.Message.(*ERABReleaseResponse)
		if !ok || len(m.ERABReleaseListBearerRelComp) != 1 || m.ERABReleaseListBearerRelComp[0].ERABID != 5 {
			t.Fatalf("%+v %v", p.Message, err)
		}
		fault, proceed := Continuable(err)
		if fault == nil || len(fault.IEs) != 1 || fault.IEs[0] != (IEDiagnostic{60000, crit, NotUnderstood}) || proceed != (crit == CriticalityIgnore) {
			t.Errorf("%s: %v", crit, err)
		}
	}
}

// TestListOfOtherIEs: a list that is left with no element misses its item.
func TestListOfOtherIEs(t *testing.T) {
	list := ie{IDERABReleaseListBearerRelComp, CriticalityIgnore, "\x00\xea\x60\x40\x01\x00"}
	p, e := parseFault(t, assemble((*ERABReleaseResponse)(nil).Header(), mmeID, enbID, list))
	if len(e.IEs) != 2 || e.IEs[1] != (IEDiagnostic{IDERABReleaseItemBearerRelComp, CriticalityIgnore, Missing}) || !e.Continue() {
		t.Errorf("%v", e)
	}
	if m := p.Message.(*ERABReleaseResponse); len(m.ERABReleaseListBearerRelComp) != 0 {
		t.Errorf("%+v", m)
	}
}

// TestUnknownIgnoredIEIsKept: no error, and the IE is written again.
func TestUnknownIgnoredIEIsKept(t *testing.T) {
	b := assemble(relDone, mmeID, enbID, ie{60000, CriticalityIgnore, "\x01\x02\x03"})
	p, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	m := p.Message.(*UEContextReleaseComplete)
	if len(m.UnknownIEs) != 1 || m.UnknownIEs[0].ID != 60000 || string(m.UnknownIEs[0].Value) != "\x01\x02\x03" {
		t.Fatalf("%+v", m.UnknownIEs)
	}
	again, err := Append(nil, m)
	if err != nil || !strings.HasSuffix(string(again), "\xea\x60\x40\x03\x01\x02\x03") {
		t.Errorf("written again: %v % x", err, again)
	}
}

// TestUnknownExtensionOfAnItem: the extension of an E-RAB item this release
// does not know is kept with the item.
func TestUnknownExtensionOfAnItem(t *testing.T) {
	m := &ERABReleaseResponse{MMEUES1APID: 1, ENBUES1APID: 2, ERABReleaseListBearerRelComp: ERABReleaseListBearerRelComp{
		{ERABID: 5, IEExtensions: &Extensions{Unknown: []UnknownIE{{ID: 60000, Criticality: CriticalityIgnore, Value: []byte{9}}}}},
	}}
	b, err := Append(nil, m)
	if err != nil {
		t.Fatal(err)
	}
	p, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	if d := sameMessage(m, p.Message); d != "" {
		t.Error(d)
	}
	// With criticality reject it is a fault of the message (§10.3.4.2).
	m.ERABReleaseListBearerRelComp[0].IEExtensions.Unknown[0].Criticality = CriticalityReject
	b, _ = Append(nil, m)
	if _, e := parseFault(t, b); e.Continue() || len(e.IEs) != 1 || e.IEs[0].ID != 60000 {
		t.Errorf("%v", e)
	}
}

// TestUnknownProcedureIsKept: the octets come out as they went in.
func TestUnknownProcedureIsKept(t *testing.T) {
	b := assemble(Header{SuccessfulOutcome, 201, CriticalityNotify, ""}, mmeID, nas)
	p, _ := parseFault(t, b)
	again, err := p.Append(nil)
	if err != nil || string(again) != string(b) {
		t.Errorf("%v\n% x\n% x", err, again, b)
	}
}

// TestNoHeader: what is no S1AP at all still gives a usable error.
func TestNoHeader(t *testing.T) {
	for _, b := range [][]byte{nil, {0}, {0, 9}, {0x80, 1, 1, 0}, {0x60, 0, 0, 0}, {0, 9, 0xc0, 1, 0}, {0, 9, 0}, {0, 9, 0, 0x80}} {
		known := len(b) >= 3 && b[0] == 0 && b[2] == 0 // type, procedure and criticality are there, no message
		p, e := parseFault(t, b)
		if p.Message != nil || e.Known != known || e.Continue() || !e.Report() {
			t.Errorf("% x: %+v %+v", b, p, e)
		}
		if d := e.CriticalityDiagnostics(); known != (d.ProcedureCode != nil) {
			t.Errorf("% x: %+v", b, d)
		}
		var pe *per.Error
		if !errors.As(e, &pe) {
			t.Errorf("% x: no per.Error in %v", b, e)
		}
	}
	b := append(assemble(dlNAS, mmeID, enbID, nas), 0)
	if _, e := parseFault(t, b); e.Transfer == nil {
		t.Error("an octet after the PDU is accepted")
	}
}

// TestDiagnosticsAreBounded: at most maxnoofErrors are listed.
func TestDiagnosticsAreBounded(t *testing.T) {
	ies := []ie{mmeID, enbID, nas}
	for range 300 {
		ies = append(ies, nas)
	}
	_, e := parseFault(t, assemble(dlNAS, ies...))
	if len(e.IEs) != 256 {
		t.Errorf("%d diagnostics", len(e.IEs))
	}
	if len(e.Error()) > 400 {
		t.Errorf("the error has %d characters", len(e.Error()))
	}
}

// TestWriteErrorsNameTheField: violations found on writing say where.
func TestWriteErrorsNameTheField(t *testing.T) {
	ics := func(change func(*InitialContextSetupRequest)) Message {
		m := benchRequest()
		change(m)
		return m
	}
	for _, c := range []struct {
		m    Message
		want string
	}{
		{ics(func(m *InitialContextSetupRequest) { m.ENBUES1APID = 1 << 24 }), "InitialContextSetupRequest.ENBUES1APID: 16777216 is not in 0..16777215"},
		{ics(func(m *InitialContextSetupRequest) { m.ERABToBeSetupListCtxtSUReq = nil }), "InitialContextSetupRequest.ERABToBeSetupListCtxtSUReq: 0 elements are not in 1..256"},
		{ics(func(m *InitialContextSetupRequest) {
			m.ERABToBeSetupListCtxtSUReq[0].TransportLayerAddress = TransportLayerAddress{}
		}), "ERABToBeSetupItemCtxtSUReq.TransportLayerAddress: size 0"},
		{ics(func(m *InitialContextSetupRequest) { m.ERABToBeSetupListCtxtSUReq[0].TransportLayerAddress.Len = 64 }), "ERABToBeSetupItemCtxtSUReq.TransportLayerAddress: bit string of 64 bits in 4 octets"},
		{ics(func(m *InitialContextSetupRequest) {
			m.ERABToBeSetupListCtxtSUReq[0].ERABLevelQoSParameters.AllocationRetentionPriority.PriorityLevel = 16
		}), "AllocationAndRetentionPriority.PriorityLevel: 16 is not in 0..15"},
		{&S1SetupFailure{}, "S1SetupFailure.Cause: Cause chooses no alternative"},
		{&UEContextReleaseCommand{UES1APIDs: UES1APIDs{Choice: UES1APIDsChoiceUES1APIDPair}}, "UES1APIDs.UES1APIDPair is chosen and nil"},
		{&S1SetupRequest{ENBname: "a\x00b", SupportedTAs: SupportedTAs{{BroadcastPLMNs: BPLMNs{{}}}}, GlobalENBID: GlobalENBID{ENBID: ENBID{Choice: ENBIDChoiceMacroENBID}}}, "S1SetupRequest.ENBname: character 0x00"},
		{&S1SetupRequest{GlobalENBID: GlobalENBID{ENBID: ENBID{Choice: ENBIDChoiceMacroENBID, MacroENBID: 1 << 20}}}, "GlobalENBID.ENBID: 0x100000 does not fit 20 bits"},
	} {
		b, err := Append([]byte("kept"), c.m)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
		if string(b) != "kept" {
			t.Errorf("dst after an error: %q", b)
		}
	}
	if _, err := Append(nil, nil); err == nil {
		t.Error("a nil message is written")
	}
	if _, err := (&PDU{}).Append(nil); err == nil {
		t.Error("an empty PDU is written")
	}
}
