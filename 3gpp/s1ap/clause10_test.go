package s1ap

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
)

var (
	setupAnswer = (*InitialContextSetupResponse)(nil).Header()
	modify      = (*UEContextModificationRequest)(nil).Header()
	indication  = (*ErrorIndication)(nil).Header()
	private     = (*PrivateMessage)(nil).Header()

	// The E-RAB list of an Initial Context Setup Response: E-RAB 5, 10.0.0.1, TEID 1.
	bearers = ie{IDERABSetupListCtxtSURes, CriticalityIgnore, "\x00\x00\x32\x40\x0a\x0a\x1f\x0a\x00\x00\x01\x00\x00\x00\x01"}
)

func unknownIE(c Criticality) ie { return ie{60000, c, "x"} }

// TestClause10Outcomes goes through what TS 36.413 §10.3.4.2, §10.3.5, §10.3.6
// and §10.5 ask of an initiating message, with and without an unsuccessful
// outcome, of a response, and of an Error Indication.
func TestClause10Outcomes(t *testing.T) {
	const (
		carryOn  = "continue"
		tell     = "report"
		both     = carryOn + " " + tell
		nothing  = "" // the procedure ends, with local error handling
		noFault  = "no fault"
		reject   = CriticalityReject
		ignore   = CriticalityIgnore
		notify   = CriticalityNotify
		csfbIE   = IDCSFallbackIndicator
		addition = "\x82" // the third addition to CSFallbackIndicator
	)
	for _, c := range []struct {
		clause, name string
		pdu          []byte
		want         string
	}{
		{"10.3.4.2", "initiating, has a failure, reject", assemble(modify, mmeID, enbID, unknownIE(reject)), tell},
		{"10.3.4.2", "initiating, has a failure, notify", assemble(modify, mmeID, enbID, unknownIE(notify)), both},
		{"10.3.4.2", "initiating, has a failure, ignore", assemble(modify, mmeID, enbID, unknownIE(ignore)), noFault},
		{"10.3.4.2", "initiating, has no failure, reject", assemble(dlNAS, mmeID, enbID, nas, unknownIE(reject)), tell},
		{"10.3.4.2", "initiating, has no failure, notify", assemble(dlNAS, mmeID, enbID, nas, unknownIE(notify)), both},
		{"10.3.4.2", "initiating, has no failure, ignore", assemble(dlNAS, mmeID, enbID, nas, unknownIE(ignore)), noFault},
		{"10.3.4.2", "response, reject", assemble(setupAnswer, mmeID, enbID, bearers, unknownIE(reject)), nothing},
		{"10.3.4.2", "response, notify", assemble(setupAnswer, mmeID, enbID, bearers, unknownIE(notify)), both},
		{"10.3.4.2", "response, ignore", assemble(setupAnswer, mmeID, enbID, bearers, unknownIE(ignore)), noFault},
		{"10.3.4.2", "response, reject and notify", assemble(setupAnswer, mmeID, enbID, bearers, unknownIE(reject), unknownIE(notify)), tell},
		{"10.3.2", "understood in part, reject", assemble(modify, mmeID, enbID, ie{csfbIE, reject, addition}), tell},
		{"10.3.2", "understood in part, notify", assemble(modify, mmeID, enbID, ie{csfbIE, notify, addition}), both},
		{"10.3.2", "understood in part, ignore", assemble(modify, mmeID, enbID, ie{csfbIE, ignore, addition}), noFault},
		{"10.3.5", "initiating, has a failure, reject", assemble(modify, mmeID), tell},
		{"10.3.5", "initiating, has no failure, reject", assemble(dlNAS, mmeID, nas), tell},
		{"10.3.5", "initiating, ignore", assemble(release, mmeID, enbID), carryOn},
		{"10.3.5", "response, ignore", assemble(setupAnswer, mmeID, enbID), carryOn},
		{"10.3.5", "response, reject", assemble((*S1SetupResponse)(nil).Header(), ie{IDRelativeMMECapacity, ignore, "\x05"}), nothing},
		{"10.3.6", "initiating, repeated", assemble(modify, mmeID, enbID, enbID), tell},
		{"10.3.6", "initiating, repeated, to be ignored", assemble(modify, mmeID, enbID, ie{csfbIE, ignore, "\x00"}, ie{csfbIE, ignore, "\x00"}), tell},
		{"10.3.6", "initiating, wrong order", assemble(modify, enbID, mmeID), tell},
		{"10.3.6", "response, repeated", assemble(setupAnswer, mmeID, enbID, bearers, bearers), nothing},
		{"10.3.6", "response, wrong order", assemble(setupAnswer, enbID, mmeID, bearers), nothing},
		{"10.3.6", "unknown IEs have no order", assemble(modify, unknownIE(ignore), mmeID, unknownIE(ignore), enbID), noFault},
		{"10.5", "Error Indication, reject", assemble(indication, unknownIE(reject)), nothing},
		{"10.5", "Error Indication, notify", assemble(indication, unknownIE(notify)), carryOn},
		{"10.5", "Error Indication, wrong order", assemble(indication, enbID, mmeID), nothing},
		{"10.5", "Error Indication, cut short", assemble(indication, ie{IDMMEUES1APID, ignore, ""})[:8], nothing},
		{"10.3.4.1A", "type of message", []byte{0x80, 1, 1, 0}, tell},
	} {
		p, err := Parse(c.pdu)
		got := noFault
		if err != nil {
			_, e := parseFault(t, c.pdu)
			got = ""
			if e.Continue() {
				got = carryOn
			}
			if e.Report() {
				got = strings.TrimSpace(got + " " + tell)
			}
		}
		if got != c.want {
			t.Errorf("§%s, %s: %q, want %q (%v)", c.clause, c.name, got, c.want, err)
		}
		if err == nil {
			if again, err := p.Append(nil); err != nil || len(again) != len(c.pdu) {
				t.Errorf("§%s, %s: written again: %v % x", c.clause, c.name, err, again)
			}
		}
	}
}

// TestCauseOfTheWorst: the cause is that of what ended the procedure (TS 36.413
// §10.5), and the criticality of what is not understood the received one.
func TestCauseOfTheWorst(t *testing.T) {
	_, e := parseFault(t, assemble(modify, mmeID, enbID, unknownIE(CriticalityNotify), ie{60001, CriticalityReject, "x"}))
	if e.Cause() != CauseProtocolAbstractSyntaxErrorReject.Cause() {
		t.Errorf("%v", e.Cause())
	}
	_, e = parseFault(t, assemble(modify, unknownIE(CriticalityReject), enbID, mmeID))
	if e.Cause() != CauseProtocolAbstractSyntaxErrorFalselyConstructedMessage.Cause() {
		t.Errorf("%v", e.Cause())
	}
	_, e = parseFault(t, assemble(modify, mmeID, enbID, ie{IDCSFallbackIndicator, CriticalityNotify, "\x82"}))
	if want := []IEDiagnostic{{IDCSFallbackIndicator, CriticalityNotify, NotUnderstood}}; !slices.Equal(e.IEs, want) {
		t.Errorf("%v", e)
	}
	d := e.CriticalityDiagnostics()
	if *d.ProcedureCode != ProcedureUEContextModification || *d.TriggeringMessage != TriggeringMessageInitiatingMessage || *d.ProcedureCriticality != CriticalityReject ||
		len(d.IEsCriticalityDiagnostics) != 1 || d.IEsCriticalityDiagnostics[0] != (CriticalityDiagnosticsIEItem{IECriticality: CriticalityNotify, IEID: IDCSFallbackIndicator, TypeOfError: TypeOfErrorNotUnderstood}) {
		t.Errorf("%v", d)
	}
}

// TestInnermostField: what is understood in part is the field with an id and
// criticality of its own that holds it, not those around or after it.
func TestInnermostField(t *testing.T) {
	m := &InitialContextSetupRequest{}
	*m = *benchRequest()
	qos := &m.ERABToBeSetupListCtxtSUReq[0].ERABLevelQoSParameters
	qos.AllocationRetentionPriority.IEExtensions = &Extensions{Unknown: []UnknownIE{{60000, CriticalityNotify, []byte{1}}}}
	m.ERABToBeSetupListCtxtSUReq[0].IEExtensions = &ERABToBeSetupItemCtxtSUReqExtIEs{BearerType: new(BearerType(9))}
	m.CSFallbackIndicator = new(CSFallbackIndicator(9))
	b, err := Append(nil, m)
	if err != nil {
		t.Fatal(err)
	}
	p, e := parseFault(t, b)
	want := []IEDiagnostic{{60000, CriticalityNotify, NotUnderstood}, {IDBearerType, CriticalityReject, NotUnderstood}, {IDCSFallbackIndicator, CriticalityReject, NotUnderstood}}
	if !slices.Equal(e.IEs, want) {
		t.Errorf("%v", e)
	}
	if d := sameMessage(m, p.Message); d != "" {
		t.Errorf("not kept: %s", d)
	}
	// A value before the extensions of the same IE is the IE's.
	setup := &S1SetupRequest{
		GlobalENBID: GlobalENBID{
			ENBID:        ENBID{Choice: ENBIDChoiceUnknown, Unknown: &UnknownChoice{Index: 9, Value: []byte{1}}},
			IEExtensions: &Extensions{Unknown: []UnknownIE{{60000, CriticalityIgnore, []byte{1}}}},
		},
		SupportedTAs: SupportedTAs{{BroadcastPLMNs: BPLMNs{{}}}},
	}
	if b, err = Append(nil, setup); err != nil {
		t.Fatal(err)
	}
	if _, e = parseFault(t, b); len(e.IEs) != 1 || e.IEs[0] != (IEDiagnostic{IDGlobalENBID, CriticalityReject, NotUnderstood}) {
		t.Errorf("%v", e)
	}
}

// TestExtensionsInDisorder: extension containers obey §10.3.6 too.
func TestExtensionsInDisorder(t *testing.T) {
	m := &UEContextModificationRequest{MMEUES1APID: 1, ENBUES1APID: 2, UEAggregateMaximumBitrate: &UEAggregateMaximumBitrate{
		IEExtensions: &UEAggregateMaximumBitratesExtIEs{ExtendedUEaggregateMaximumBitRateDL: new(ExtendedBitRate(10000000001)), ExtendedUEaggregateMaximumBitRateUL: new(ExtendedBitRate(10000000002))},
	}}
	b, err := Append(nil, m)
	if err != nil {
		t.Fatal(err)
	}
	field := func(id ProtocolIEID, v byte) []byte { return []byte{byte(id >> 8), byte(id), 0x40, 2, 0, v} }
	dl, ul := field(IDExtendedUEaggregateMaximumBitRateDL, 0), field(IDExtendedUEaggregateMaximumBitRateUL, 1)
	if bytes.Count(b, slices.Concat(dl, ul)) != 1 {
		t.Fatalf("% x", b)
	}
	for fault, pair := range map[IEError][]byte{OutOfOrder: slices.Concat(ul, dl), Repeated: slices.Concat(dl, dl)} {
		_, e := parseFault(t, bytes.Replace(b, slices.Concat(dl, ul), pair, 1))
		if len(e.IEs) != 1 || e.IEs[0].Error != fault || e.Continue() || !e.Report() {
			t.Errorf("%s: %v", fault, e)
		}
	}
}

// TestUnknownIEsRepeat: of what this release does not know it cannot say how
// often it may come; all are kept, in order.
func TestUnknownIEsRepeat(t *testing.T) {
	ies := []ie{{IDMMEUES1APID, CriticalityIgnore, "\x00\x01"}, {IDENBUES1APID, CriticalityIgnore, "\x00\x02"}}
	for i := range 9 {
		ies = append(ies, ie{60000, CriticalityIgnore, fmt.Sprint(i)})
	}
	b := assemble(relDone, ies...)
	p, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := p.Append(nil); err != nil || !bytes.Equal(again, b) {
		t.Errorf("%v\n% x\n% x", err, again, b)
	}
}

// TestPrivateMessage: IEs with a local number or an object identifier are kept
// whatever their criticality; only their user can understand them.
func TestPrivateMessage(t *testing.T) {
	m := &PrivateMessage{PrivateIEs: []PrivateIE{
		{PrivateIEID{Choice: PrivateIEIDChoiceLocal, Local: 40000}, CriticalityReject, []byte{1, 2}},
		{PrivateIEID{Choice: PrivateIEIDChoiceGlobal, Global: []byte{0x2b, 6, 1, 4, 1}}, CriticalityNotify, []byte{3}},
	}}
	b := roundTrip(t, m)
	// Count 2, local (0) 40000, reject; global (1) of five octets, notify.
	want := "\x00\x00\x01\x00\x9c\x40\x00\x02\x01\x02\x80\x05\x2b\x06\x01\x04\x01\x80\x01\x03"
	if !strings.HasSuffix(string(b), want) {
		t.Errorf("% x", b)
	}
	if _, err := Append(nil, &PrivateMessage{}); err == nil {
		t.Error("one without IEs is written")
	}
	for _, body := range []string{"\x00", "\x00\x00\x00", "\x00\x00\x05\x00\x9c\x40\x00\x01\x01"} {
		if _, e := parseFault(t, append([]byte{0, byte(private.ProcedureCode), byte(private.Criticality) << 6, byte(len(body))}, body...)); e.Transfer == nil {
			t.Errorf("% x: %v", body, e)
		}
	}
}

// TestManyFaultsHideNone sends as many faults as an error lists, and then one that
// ends the procedure: a message without its Security Key must not be acted on.
func TestManyFaultsHideNone(t *testing.T) {
	notify := repeat(unknownIE(CriticalityNotify), maxDiagnostics)
	order := append(repeat(mmeID, maxDiagnostics), enbID)
	for _, c := range []struct {
		name     string
		pdu      []byte
		complete bool
		cause    CauseProtocol
	}{
		{"missing behind many of criticality notify", assemble(dlNAS, append(notify, mmeID, enbID)...), false, CauseProtocolAbstractSyntaxErrorReject},
		{"repeated behind many of criticality notify", assemble(dlNAS, append(notify, mmeID, enbID, nas, nas)...), true, CauseProtocolAbstractSyntaxErrorFalselyConstructedMessage},
		{"missing behind many repeated", assemble(dlNAS, order...), false, CauseProtocolAbstractSyntaxErrorFalselyConstructedMessage},
	} {
		_, e := parseFault(t, c.pdu)
		if e.Continue() || e.Complete() != c.complete || e.Cause() != c.cause.Cause() || len(e.IEs) != maxDiagnostics {
			t.Errorf("%s: continue %t, complete %t, %v, %d faults", c.name, e.Continue(), e.Complete(), e.Cause(), len(e.IEs))
		}
	}
}
