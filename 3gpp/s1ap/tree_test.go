package s1ap

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"campanile.network/3gpp/tree"
)

func pduOf(m Message) *PDU {
	h := m.Header()
	return &PDU{Type: h.Type, ProcedureCode: h.ProcedureCode, Criticality: h.Criticality, Message: m}
}

// TestTree shows a message with most kinds of component.
func TestTree(t *testing.T) {
	m := benchRequest()
	m.ERABToBeSetupListCtxtSUReq[0].NASPDU = NASPDU{7, 0x42}
	m.UESecurityCapabilities.IEExtensions = &Extensions{Unknown: []UnknownIE{{60000, CriticalityIgnore, []byte{1, 2}}}}
	m.HandoverRestrictionList = &HandoverRestrictionList{
		ServingPLMN: PLMNidentity{0x00, 0xf1, 0x10}, EquivalentPLMNs: EPLMNs{{0x62, 0xf2, 0x20}, {0xff, 0xff, 0xff}},
	}
	m.CSFallbackIndicator = new(CSFallbackIndicatorCsFallbackRequired)
	const want = `S1AP-PDU
  type: initiatingMessage
  procedureCode: 9
  procedure: InitialContextSetup
  criticality: reject
  message: InitialContextSetupRequest
  protocolIEs
    MME-UE-S1AP-ID: 305419896
    eNB-UE-S1AP-ID: 11259375
    uEaggregateMaximumBitrate
      uEaggregateMaximumBitRateDL: 1000000000
      uEaggregateMaximumBitRateUL: 500000000
    E-RABToBeSetupListCtxtSUReq
      [0] E-RABToBeSetupItemCtxtSUReq
        e-RAB-ID: 5
        e-RABlevelQoSParameters
          qCI: 9
          allocationRetentionPriority
            priorityLevel: 15
            pre-emptionCapability: shall-not-trigger-pre-emption
            pre-emptionVulnerability: not-pre-emptable
        transportLayerAddress: 10.0.0.1
        gTP-TEID: 0x01020304
        nAS-PDU: 0742
    UESecurityCapabilities
      encryptionAlgorithms: 0xe000 (128-EEA1, 128-EEA2, 128-EEA3)
      integrityProtectionAlgorithms: 0xe000 (128-EIA1, 128-EIA2, 128-EIA3)
      iE-Extensions
        unknownIEs
          [0] UnknownIE
            id: 60000
            criticality: ignore
            value: 0102
    SecurityKey: KEY
    HandoverRestrictionList
      servingPLMN: 001/01
      equivalentPLMNs
        [0] PLMNidentity: 262/02
        [1] PLMNidentity: ffffff
    CSFallbackIndicator: cs-fallback-required`
	key := strings.Repeat("a5", 32)
	if got := (tree.View{}).Text(Tree(pduOf(m), nil)); got != strings.Replace(want, "KEY", key, 1) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	masked := strings.NewReplacer("KEY", redacted, "0742", "2 octets", "value: 0102", "value: 2 octets").Replace(want)
	if got := (tree.View{Mask: true}).Text(Tree(pduOf(m), nil)); got != masked {
		t.Errorf("masked, got\n%s\nwant\n%s", got, masked)
	}
	line := fmt.Sprint(m)
	if !strings.HasPrefix(line, `InitialContextSetupRequest {"MME-UE-S1AP-ID":305419896,"eNB`) || strings.Contains(line, key) || strings.Contains(line, "\n") {
		t.Errorf("%s", line)
	}
	if got := pduOf(m).String(); got != line {
		t.Errorf("PDU: %s", got)
	}
}

// TestTreeOfChoices shows what a CHOICE selects, and other leaves.
func TestTreeOfChoices(t *testing.T) {
	plmn := PLMNidentity{0x00, 0xf1, 0x10}
	for _, c := range []struct {
		m    Message
		want []string // lines
	}{
		{&S1SetupRequest{GlobalENBID: GlobalENBID{PLMNidentity: plmn, ENBID: ENBID{Choice: ENBIDChoiceShortMacroENBID, ShortMacroENBID: 5}}, ENBname: "a"},
			[]string{"Global-ENB-ID", "eNB-ID", "short-macroENB-ID: 0b000000000000000101", "eNBname: a", "DefaultPagingDRX: v32"}},
		{&S1SetupRequest{GlobalENBID: GlobalENBID{PLMNidentity: plmn, ENBID: ENBID{Choice: ENBIDChoiceMacroENBID, MacroENBID: 0x19b}}},
			[]string{"macroENB-ID: 0x0019b"}},
		{&S1SetupRequest{GlobalENBID: GlobalENBID{ENBID: ENBID{Choice: ENBIDChoiceUnknown, Unknown: &UnknownChoice{Index: 9, Value: []byte{3}}}}},
			[]string{"pLMNidentity: 000/000", "unknown", "index: 9", "value: 03"}},
		{&Paging{UEIdentityIndexValue: 3, UEPagingID: UEPagingID{Choice: UEPagingIDChoiceIMSI, IMSI: IMSI{0x00, 0x01, 0x01, 0x21, 0x43, 0x65, 0x87, 0xf9}}},
			[]string{"UEIdentityIndexValue: 0b0000000011", "iMSI: 001010123456789"}},
		{&Paging{UEPagingID: UEPagingID{Choice: UEPagingIDChoiceIMSI, IMSI: IMSI{0x0f, 0x01, 0x01}}}, []string{"iMSI: 0f0101"}},
		{&Paging{UEPagingID: UEPagingID{Choice: UEPagingIDChoiceSTMSI}}, []string{"s-TMSI: NULL"}},
		{&UEContextReleaseRequest{Cause: CauseRadioNetworkUserInactivity.Cause()}, []string{"Cause", "radioNetwork: user-inactivity"}},
		{&UEContextReleaseRequest{Cause: CauseRadioNetwork(250).Cause()}, []string{"radioNetwork: CauseRadioNetwork(250)"}},
		{&ErrorIndication{CriticalityDiagnostics: &CriticalityDiagnostics{
			ProcedureCode: new(ProcedurePaging), TriggeringMessage: new(TriggeringMessageInitiatingMessage),
			IEsCriticalityDiagnostics: CriticalityDiagnosticsIEList{{IEID: IDNASPDU}, {IEID: 60000, TypeOfError: TypeOfErrorMissing}},
		}}, []string{"procedureCode: 10", "triggeringMessage: initiating-message", "iEsCriticalityDiagnostics", "[0] CriticalityDiagnostics-IE-Item", "iE-ID: id-NAS-PDU (26)", "iE-ID: 60000", "typeOfError: missing"}},
		{&PrivateMessage{PrivateIEs: []PrivateIE{{ID: PrivateIEID{Choice: PrivateIEIDChoiceLocal, Local: 7}, Criticality: CriticalityNotify, Value: []byte{1}}}},
			[]string{"privateIEs", "[0] PrivateIE", "local: 7", "criticality: notify", "value: 01"}},
		{&UnknownMessage{ProcedureCode: 200, Value: []byte{9}}, []string{"procedureCode: 200", "procedure: ProcedureCode(200)", "value: 09"}},
	} {
		lines := map[string]bool{}
		for line := range strings.Lines((tree.View{}).Text(Tree(pduOf(c.m), nil))) {
			lines[strings.TrimSpace(line)] = true
		}
		for _, want := range c.want {
			if !lines[want] {
				t.Errorf("%s: no line %q in %v", c.m.Header().Name, want, lines)
			}
		}
	}
	if n := Tree(&PDU{ProcedureCode: ProcedurePaging}, nil); len(n.Nodes) != 4 {
		t.Errorf("a PDU without message: %+v", n)
	}
	if got := (PDU{ProcedureCode: ProcedurePaging}).String(); got != "Paging initiatingMessage" {
		t.Error(got)
	}
	if got := fmt.Sprint((*Paging)(nil)); got != "Paging nil" {
		t.Error(got)
	}
}

// TestAddresses shows transport layer addresses of every length.
func TestAddresses(t *testing.T) {
	both := append([]byte{10, 0, 0, 1, 0x20, 1, 0xd, 0xb8}, make([]byte, 12)...)
	for want, a := range map[string]TransportLayerAddress{
		"10.0.0.1":                       {both, 32},
		"2001:db8::":                     {both[4:], 128},
		"10.0.0.1, 2001:db8::":           {both, 160},
		"0b0000101":                      {both, 7},
		"0x0a00":                         {both, 16},
		"33 bits in 4 octets":            {both[:4:4], 33},
		"0x0a00000120010db80000":         {both, 80},
		"0x0a00000120010db800 (65 bits)": {both, 65},
	} {
		if got := addressText(a); got != want {
			t.Errorf("%d bits: %s, want %s", a.Len, got, want)
		}
	}
}

// TestInside: parts returned stand in place of the octets.
func TestInside(t *testing.T) {
	m := benchRequest()
	m.UERadioCapability = UERadioCapability{1}
	var seen []string
	n := Tree(pduOf(m), func(typ string, b []byte) []tree.Node {
		seen = append(seen, fmt.Sprintf("%s %d", typ, len(b)))
		if typ != "NAS-PDU" {
			return nil
		}
		return []tree.Node{tree.Leaf("inside", "yes")}
	})
	text := tree.View{Mask: true}.Text(n)
	if !strings.Contains(text, "nAS-PDU\n          inside: yes\n") || !strings.Contains(text, "UERadioCapability: 1 octets") {
		t.Errorf("%s", text)
	}
	if got := strings.Join(seen, ", "); got != "NAS-PDU 100, UERadioCapability 1" {
		t.Errorf("%s", got)
	}
}

// TestTreeOfEveryMessage: whatever a message holds has a name of TS 36.413 and
// can be shown; nothing that is present is left out.
func TestTreeOfEveryMessage(t *testing.T) {
	var check func(t *testing.T, n *tree.Node)
	check = func(t *testing.T, n *tree.Node) {
		if n.Name == "" {
			t.Errorf("a node without name: %+v", n)
		}
		for i := range n.Nodes {
			check(t, &n.Nodes[i])
		}
	}
	for i, m := range allMessages() {
		name := m.Header().Name
		for seed := range uint64(8) {
			g := newGen(seed*1000+uint64(i), int(seed*13), 3)
			g.unknown = seed%2 == 0
			fresh := reflect.New(reflect.TypeOf(m).Elem()).Interface().(randomMessage)
			fresh.random(g)
			n := Tree(pduOf(fresh), nil)
			check(t, &n)
			for _, v := range []tree.View{{}, {Mask: true}} {
				if b := v.AppendJSON(nil, n); !json.Valid(b) {
					t.Fatalf("%s: %s", name, b)
				}
			}
			if want, got := countLeaves(reflect.ValueOf(normal(fresh))), leaves(&n)-5; got != want && name != "PrivateMessage" {
				t.Fatalf("%s seed %d: %d leaves of %d are shown", name, seed, got, want)
			}
		}
	}
}

func leaves(n *tree.Node) (sum int) {
	if n.Value != nil {
		return 1
	}
	for i := range n.Nodes {
		sum += leaves(&n.Nodes[i])
	}
	return sum
}

// countLeaves counts what a message holds, in another way than the walker.
func countLeaves(v reflect.Value) (sum int) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return 0
		}
		if v.Elem().Kind() == reflect.String { // there, though it may be empty
			return 1
		}
		return countLeaves(v.Elem())
	case reflect.Struct:
		c := v.FieldByName("Choice")
		if _, ok := bitString(v); ok {
			return min(1, int(v.FieldByName("Len").Int()))
		}
		for i := range v.NumField() {
			if c.IsValid() {
				if tag := v.Type().Field(i).Tag.Get("asn1"); tag == fmt.Sprint(c.Interface()) {
					return countLeaves(v.Field(i))
				}
				continue
			}
			sum += countLeaves(v.Field(i))
		}
		if c.IsValid() {
			return 1 // NULL
		}
		return sum
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			if v.IsNil() {
				return 0
			}
			return 1
		}
		for i := range v.Len() {
			sum += countLeaves(v.Index(i))
		}
		return sum
	case reflect.String:
		return min(1, v.Len())
	}
	return 1
}

// TestIMSIDigits reads the digits of TS 36.413 §9.2.3.11.
func TestIMSIDigits(t *testing.T) {
	for in, want := range map[string]string{
		"0001012143f5": "00101012345", "00010121": "00101012", "0001f1": "00101", "a00101": "a00101", "00f101": "00f101",
	} {
		b, err := hex.DecodeString(in)
		if got := IMSI(b).digits(); err != nil || got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}
