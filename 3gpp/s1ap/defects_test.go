package s1ap

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"campanile.network/3gpp/internal/testkit"
	"campanile.network/3gpp/per"
)

// The tests here guard against the faults of an existing reflective codec,
// github.com/free5gc/aper v1.1.0, one test each.

// roundTrip writes m, reads it and compares.
func roundTrip(t *testing.T, m Message) []byte {
	t.Helper()
	b, err := Append(nil, m)
	if err != nil {
		t.Fatal(err)
	}
	p, err := Parse(b)
	if err != nil {
		t.Fatalf("%v\n% x", err, b)
	}
	if d := sameMessage(m, p.Message); d != "" {
		t.Fatal(d)
	}
	return b
}

// 1: a CHOICE with one alternative has no index bits.
func TestChoiceWithOneAlternative(t *testing.T) {
	b := roundTrip(t, &OverloadStart{OverloadResponse: OverloadResponse{
		Choice: OverloadResponseChoiceOverloadAction, OverloadAction: OverloadActionRejectRrcCrSignalling,
	}})
	// Extension bit of the CHOICE 0, of the ENUMERATED 0, value 1 in two bits.
	if !bytes.HasSuffix(b, []byte{0, 101, 0, 1, 0x10}) {
		t.Errorf("% x", b)
	}
	row := dissect(t, [][]byte{b}, "s1ap.overloadAction")[0]
	if row[0] != "1" {
		t.Errorf("tshark reads overloadAction %q", row[0])
	}
}

// 2: alternatives behind the extension marker of a CHOICE.
func TestChoiceExtensionAlternatives(t *testing.T) {
	request := func(id ENBID) *S1SetupRequest {
		return &S1SetupRequest{
			GlobalENBID:  GlobalENBID{PLMNidentity: PLMNidentity{0, 0xf1, 0x10}, ENBID: id},
			SupportedTAs: SupportedTAs{{TAC: TAC{0, 7}, BroadcastPLMNs: BPLMNs{{0, 0xf1, 0x10}}}},
		}
	}
	short := roundTrip(t, request(ENBID{Choice: ENBIDChoiceShortMacroENBID, ShortMacroENBID: 0x2abcd}))
	long := roundTrip(t, request(ENBID{Choice: ENBIDChoiceLongMacroENBID, LongMacroENBID: 0x1abcde}))
	rows := dissect(t, [][]byte{short, long}, "s1ap.short_macroENB_ID", "s1ap.long_macroENB_ID")
	if rows[0][0] != "aa:f3:40" && rows[0][0] != "aaf340" || rows[1][1] != "d5:e6:f0" && rows[1][1] != "d5e6f0" {
		t.Errorf("tshark reads %q", rows)
	}
	// One of a later release is kept.
	m := request(ENBID{Choice: ENBIDChoiceUnknown, Unknown: &UnknownChoice{Index: 7, Value: []byte{1, 2}}})
	b, err := Append(nil, m)
	if err != nil {
		t.Fatal(err)
	}
	p, fault := parseFault(t, b)
	if d := sameMessage(m, p.Message); d != "" || len(fault.IEs) != 1 || fault.IEs[0] != (IEDiagnostic{IDGlobalENBID, CriticalityReject, NotUnderstood}) {
		t.Errorf("%s %v", d, fault)
	}
	m.GlobalENBID.ENBID.Unknown.Index = 1
	if _, err := Append(nil, m); err == nil {
		t.Error("a known alternative is written as unknown")
	}
}

// 3 and 4: strings of whole fragments end with an empty one, also 64 Ki.
func TestFragmentedStrings(t *testing.T) {
	var pdus [][]byte
	sizes := []int{16383, 16384, 16385, 32768, 49152, 65535, 65536, 65537, 81920, 131072, 200000}
	for _, n := range sizes {
		nas := make([]byte, n)
		for i := range nas {
			nas[i] = byte(i * 7)
		}
		pdus = append(pdus, roundTrip(t, &DownlinkNASTransport{MMEUES1APID: 1, ENBUES1APID: 2, NASPDU: nas}))
	}
	for i, row := range dissect(t, pdus, "s1ap.ENB_UE_S1AP_ID", "_ws.malformed", "_ws.expert.message") {
		if row[0] != "2" || row[1] != "" {
			t.Errorf("%d octets: tshark reads %q", sizes[i], row)
		}
	}
}

// 5: an INTEGER with a wide range takes the fewest octets for its offset.
func TestWideIntegerIsMinimal(t *testing.T) {
	m := &ERABModifyRequest{MMEUES1APID: 1, ENBUES1APID: 2,
		UEAggregateMaximumBitrate: &UEAggregateMaximumBitrate{IEExtensions: &UEAggregateMaximumBitratesExtIEs{
			ExtendedUEaggregateMaximumBitRateDL: new(ExtendedBitRate(10000000001 + 4)),
			ExtendedUEaggregateMaximumBitRateUL: new(ExtendedBitRate(4000000000000)),
		}},
		ERABToBeModifiedListBearerModReq: ERABToBeModifiedListBearerModReq{{NASPDU: []byte{1}}},
	}
	b := roundTrip(t, m)
	// Extension bit 0, length 1 in three bits (000), padding, offset 4.
	if !bytes.Contains(b, []byte{0x02, 0x00, 0x04}) {
		t.Errorf("% x", b)
	}
}

// 6: additions of a SEQUENCE are skipped, and what follows is read.
func TestSequenceAdditionsAreSkipped(t *testing.T) {
	// TAI with the extension bit set: extension bit and no iE-Extensions, PLMN
	// and TAC, one addition of three octets, in a list of two.
	var w per.Writer
	w.Reset(nil)
	w.Bit(false)
	w.Align()
	w.Bits(4, 16)
	field := func(id ProtocolIEID, body func()) {
		m := w.Field(uint16(id), 0)
		body()
		w.OpenEnd(m)
	}
	field(IDUEIdentityIndexValue, func() { w.Bits(1, 10) })
	field(IDUEPagingID, func() { w.Bits(1, 2); w.Bits(0, 3); w.FixedOctets([]byte{1, 2, 3}) })
	field(IDCNDomain, func() { w.Bits(1, 1) })
	field(IDTAIList, func() {
		w.Bits(1, 8) // two items
		for i := range 2 {
			field(IDTAIItem, func() {
				w.Bits(0b10, 2) // TAIItem: extension bit
				w.Bits(0b10, 2) // TAI: extension bit
				w.FixedOctets([]byte{0, 0xf1, 0x10})
				w.FixedOctets([]byte{0, byte(i + 1)})
				for range 2 { // additions of TAI, then of TAIItem: three, the middle one absent
					w.Bits(2, 7)
					w.Bits(0b101, 3)
					w.Open([]byte{9, 9, 9})
					w.Open([]byte{8})
				}
			})
		}
	})
	body := w.Bytes()
	pdu := append([]byte{0, byte(ProcedurePaging), 0x40, byte(len(body))}, body...)
	p, err := Parse(pdu)
	if err != nil {
		t.Fatalf("%v\n% x", err, pdu)
	}
	m := p.Message.(*Paging)
	if m.CNDomain != CNDomainCs || len(m.TAIList) != 2 || m.TAIList[0].TAI.TAC.ID() != 1 || m.TAIList[1].TAI.TAC.ID() != 2 {
		t.Errorf("%+v", m)
	}
}

// 7: ranges around 2^32 have the length field that reading expects; also in
// per's own tests.
func TestRangeAbove32Bits(t *testing.T) {
	for _, v := range []BitRate{0, 255, 256, 1<<32 - 1, 1 << 32, 1<<32 + 1, 10_000_000_000} {
		roundTrip(t, &ERABSetupRequest{
			UEAggregateMaximumBitrate:    &UEAggregateMaximumBitrate{UEaggregateMaximumBitRateDL: v, UEaggregateMaximumBitRateUL: 1},
			ERABToBeSetupListBearerSUReq: ERABToBeSetupListBearerSUReq{{NASPDU: []byte{1}, TransportLayerAddress: TransportLayerAddress{Bytes: []byte{1, 2, 3, 4}, Len: 32}}},
		})
	}
}

// 8: the payload of an unknown IE is kept: TestUnknownIgnoredIEIsKept,
// TestUnknownExtensionOfAnItem.

// 9: values outside their constraints are refused on reading.
func TestConstraintsOnReading(t *testing.T) {
	for _, c := range []struct {
		name string
		pdu  []byte
	}{
		{"BitRate above its bound", assemble((*UEContextModificationRequest)(nil).Header(), mmeID, enbID, ie{IDUEaggregateMaximumBitrate, 0, "\x20\xff\xff\xff\xff\xff\x00\x00"})},
		{"enumeration without extension, value 3 of 0..2", assemble((*ErrorIndication)(nil).Header(), ie{IDCriticalityDiagnostics, 0, "\x23"})},
		{"list count above its bound", assemble((*S1SetupResponse)(nil).Header(), ie{IDServedGUMMEIs, 0, "\x7f\xff\xff"})},
		{"three alternatives, index three", assemble((*OverloadStop)(nil).Header(), ie{IDGUMMEIList, 0, "\xff\xff\xff"})},
		{"control characters in a name", assemble((*S1SetupResponse)(nil).Header(), ie{IDMMEname, 0, "\x01\x80\x01\x02\x03\x04"})},
	} {
		if _, e := parseFault(t, c.pdu); e.Transfer == nil {
			t.Errorf("%s: %v", c.name, e)
		}
	}
}

// 10: what reading a PDU may allocate is bounded by its length.
func TestAllocationIsBounded(t *testing.T) {
	hostile := map[string][]byte{
		"65535 IEs claimed":      {0, 9, 0, 5, 0, 0xff, 0xff, 0, 0},
		"65535 private IEs":      {0, 39, 0x40, 5, 0, 0xff, 0xfe, 0, 0},
		"65535 cells":            assemble((*KillResponse)(nil).Header(), ie{IDMessageIdentifier, 0, "\x00\x01"}, ie{IDBroadcastCancelledAreaList, 0, "\x00\xff\xfe\x00"}),
		"unknown IEs of 1 octet": assemble(dlNAS, repeat(ie{60000, CriticalityIgnore, "x"}, 2000)...),
		"fragments in fragments": fragmented(300_000),
		"repeated IEs":           assemble(dlNAS, repeat(nas, 2000)...),
		"elements of other IEs": assemble((*ERABReleaseResponse)(nil).Header(), mmeID, enbID, // 25 in a list, each noted
			ie{IDERABReleaseListBearerRelComp, CriticalityIgnore, "\x18" + strings.Repeat("\xea\x60\x40\x01\x00", 25)}),
	}
	for name, b := range hostile {
		got := testkit.Allocated(func() { _, _ = Parse(b) })
		if limit := uint64(8*len(b) + 4096); got > limit {
			t.Errorf("%s: %d octets allocated for %d read, limit %d", name, got, len(b), limit)
		}
	}
	for i, m := range allMessages() {
		g := newGen(uint64(i), 100, 9)
		m.random(g)
		b, err := Append(nil, m)
		if err != nil {
			t.Fatal(err)
		}
		got := testkit.Allocated(func() {
			if _, err = Parse(b); err != nil {
				t.Errorf("%s: %v", m.Header().Name, err)
			}
		})
		if limit := uint64(8*len(b) + 4096); got > limit {
			t.Errorf("%s: %d octets allocated for %d read, limit %d", m.Header().Name, got, len(b), limit)
		}
	}
}

// TestLongListsAreNotRefused: the bound on memory leaves room for every valid
// message, also for long lists of the shortest elements.
func TestLongListsAreNotRefused(t *testing.T) {
	longest := 0
	for i, m := range allMessages() {
		for seed := range uint64(15) {
			g := newGen(seed*1000+uint64(i), int(seed%3)*10, 1)
			g.long = true
			fresh := reflect.New(reflect.TypeOf(m).Elem()).Interface().(randomMessage)
			fresh.random(g)
			b, err := Append(nil, fresh)
			if err != nil {
				t.Fatal(err)
			}
			longest = max(longest, len(b))
			if _, err := Parse(b); err != nil {
				t.Fatalf("%s seed %d, %d octets: %v", m.Header().Name, seed, len(b), err)
			}
		}
	}
	if longest < 10000 {
		t.Errorf("the longest message has %d octets", longest)
	}
}

// fragmented is a message with a NAS-PDU of n octets: fragments of the string
// in those of the IE in those of the message.
func fragmented(n int) []byte {
	b, _ := Append(nil, &DownlinkNASTransport{NASPDU: make([]byte, n)})
	return b
}

func repeat(e ie, n int) []ie {
	all := make([]ie, n)
	for i := range all {
		all[i] = e
	}
	return all
}

// 11: an empty extensible BIT STRING is no reason to panic, and writing does
// not change the caller's octets.
func TestBitStringIsNotTouched(t *testing.T) {
	address := TransportLayerAddress{Bytes: []byte{0xff, 0xff}, Len: 11}
	m := &InitialContextSetupResponse{ERABSetupListCtxtSURes: ERABSetupListCtxtSURes{{TransportLayerAddress: address}}}
	b, err := Append(nil, m)
	if err != nil || address.Bytes[1] != 0xff {
		t.Fatalf("%v % x", err, address.Bytes)
	}
	p, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Message.(*InitialContextSetupResponse).ERABSetupListCtxtSURes[0].TransportLayerAddress; got.Len != 11 || !bytes.Equal(got.Bytes, []byte{0xff, 0xe0}) {
		t.Errorf("%+v", got)
	}
	// An empty one is refused both ways, though the extension marker allows it.
	m.ERABSetupListCtxtSURes[0].TransportLayerAddress = TransportLayerAddress{}
	if _, err := Append(nil, m); err == nil || !strings.Contains(err.Error(), "ERABSetupItemCtxtSURes.TransportLayerAddress: size 0") {
		t.Errorf("%v", err)
	}
	empty := "\x00\x00\x32\x40\x06\x0b\x00\x01\x02\x03\x04"
	_, e := parseFault(t, assemble((*InitialContextSetupResponse)(nil).Header(), mmeID, enbID, ie{IDERABSetupListCtxtSURes, CriticalityIgnore, empty}))
	if !strings.Contains(e.Error(), "size 0 is not in 1..160") {
		t.Error(e)
	}
	// 161 bits are outside the root and go out as an extension.
	m.ERABSetupListCtxtSURes[0].TransportLayerAddress = TransportLayerAddress{Bytes: make([]byte, 21), Len: 161}
	roundTrip(t, m)
}

// 12: faults are returned, nothing is logged: the packages import no logger
// but for the redaction of keys, and a fault's text is one short line.
func TestFaultsAreReturned(t *testing.T) {
	_, err := Parse(bytes.Repeat([]byte{0xff}, 4000))
	var e *SyntaxError
	if !errors.As(err, &e) || strings.Contains(err.Error(), "\n") || len(err.Error()) > 300 {
		t.Errorf("%v", err)
	}
}
