package eps

import (
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"campanile.network/3gpp/id"
)

// Values as the spec writes them: octets of the value part, and the value.
func TestElements(t *testing.T) {
	plmn, _ := id.ParsePLMN("001/01")
	other, _ := id.ParsePLMN("310/410")
	imsi15, _ := id.ParseIMSI("001010123456780")
	imsi14, _ := id.ParseIMSI("00101012345678")
	imei, _ := id.ParseIMEI("353490069873368")
	imeisv, _ := id.ParseIMEI("3534900698733190")
	guti := id.GUTI{GUMMEI: id.GUMMEI{PLMN: other, Group: 0x8001, Code: 0xfe}, TMSI: 0xdeadbeef}
	apn, _ := id.ParseAPN("internet.mnc001")
	a := apnElement(apn)
	tai := func(p id.PLMN, c id.TAC) id.TAI { return id.TAI{PLMN: p, TAC: c} }
	one := NewTAIList(tai(plmn, 7))
	run := NewTAIList(tai(plmn, 7), tai(plmn, 8), tai(plmn, 9))
	some := NewTAIList(tai(plmn, 7), tai(plmn, 9))
	mixed := NewTAIList(tai(plmn, 7), tai(other, 8))
	two := TAIList{one[0], {ConsecutiveTAIs, []id.TAI{tai(other, 1), tai(other, 2)}}}
	ptr := func(v any) element {
		p := reflect.New(reflect.TypeOf(v))
		p.Elem().Set(reflect.ValueOf(v))
		return p.Interface().(element)
	}
	for _, c := range []struct {
		octets string
		value  element
	}{
		{"0910101032547608", ptr(FromIMSI(imsi15))},
		{"01101010325476f8", ptr(FromIMSI(imsi14))},
		{"3b35940096783386", ptr(FromIMEI(imei))},
		{"f6130014 8001 fe deadbeef", ptr(FromGUTI(guti))},
		{"0910101032547608", ptr(MobileIMSI(imsi15))},
		{"3a35940096783386", ptr(MobileIMEI(imei))},
		{"3335940096783391f0", ptr(MobileIMEI(imeisv))},
		{"f4deadbeef", ptr(MobileTMSI(0xdeadbeef))},
		{"000000", ptr(NoMobileIdentity())},
		{"0000f1100007", &one},
		{"2200f1100007", &run},
		{"0100f11000070009", &some},
		{"4100f11000071300140008", &mixed},
		{"0000f1100007 211300140001", &two},
		{"00f1101234", ptr(LAI{plmn, 0x1234})},
		{"00f110130014", ptr(PLMNList{plmn, other})},
		{"08696e7465726e6574066d6e63303031", &a},
		{"21", ptr(Algorithms{Ciphering: 2, Integrity: 1})},
		{"6004", ptr(BearerStatus(0).With(5).With(6).With(10))},
		{"010a2d0002", ptr(IPv4Address(netip.MustParseAddr("10.45.0.2")))},
		{"020000000000000001", ptr(PDNAddress{Type: PDNTypeIPv6, IID: [8]byte{7: 1}})},
		{"0300000000000000010a2d0002", ptr(PDNAddress{Type: PDNTypeIPv4v6, IID: [8]byte{7: 1}, IPv4: netip.MustParseAddr("10.45.0.2")})},
		{"0500000000", ptr(PDNAddress{Type: PDNTypeNonIP})},
		{"09", ptr(EPSQoS{QCI: 9})},
		{"01 3f 40 7f 80", ptr(EPSQoS{1, 63 * id.Kbps, 64 * id.Kbps, 568 * id.Kbps, 576 * id.Kbps})},
		{"01 fe fe ff ff 00 01 00 00", ptr(EPSQoS{1, 8640 * id.Kbps, 8700 * id.Kbps, 0, 0})},
		{"01 fe fe fe fe 4a 4b ba bb", ptr(EPSQoS{1, 16 * id.Mbps, 17 * id.Mbps, 128 * id.Mbps, 130 * id.Mbps})},
		{"01 fe fe fe fe fa fa fa fa 00 01 3d 3e", ptr(EPSQoS{1, 256 * id.Mbps, 260 * id.Mbps, 500 * id.Mbps, 510 * id.Mbps})},
		{"01 fe fe fe fe fa fa fa fa a1 a2 f6 f6", ptr(EPSQoS{1, 1500 * id.Mbps, 1600 * id.Mbps, 10 * id.Gbps, 10 * id.Gbps})},
		{"3f ff", ptr(AMBR{63 * id.Kbps, 0})},
		{"fe fe 66 4a", ptr(AMBR{44 * id.Mbps, 16 * id.Mbps})},
		{"fe fe fa fa 00 01", ptr(AMBR{256 * id.Mbps, 512 * id.Mbps})},
		{"fe fe ba ba 03 fe", ptr(AMBR{896 * id.Mbps, (254*256 + 128) * id.Mbps})},
		{"21 31 0a 02 30 11", ptr(TFT{TFTCreate, []PacketFilter{{FilterBidirectional, 1, 10, FilterComponents{FilterProtocol, 17}}}, nil})},
		{"71 12 00 00 03 01 05", ptr(TFT{TFTAddFilters, []PacketFilter{{FilterDownlink, 2, 0, FilterComponents{}}}, Octets{3, 1, 5}})},
		{"a2 01 0f", ptr(TFT{TFTDeleteFilters, []PacketFilter{{ID: 1}, {ID: 15}}, nil})},
		{"40", ptr(TFT{Operation: TFTDelete})},
		{"e3", ptr(KSIAndSequence{7, 3})},
		{"8a", ptr(TimeZone(-28))},
		{"62112260838300", ptr(NewTimeAndZone(time.Date(2026, 11, 22, 6, 38, 38, 0, time.UTC)))},
		{"8673f95c1a7402", ptr(NetworkName("\x86\x73\xf9\x5c\x1a\x74\x02"))},
	} {
		b := unhex(t, c.octets)
		if got := c.value.encode(nil); string(got) != string(b) {
			t.Errorf("%v encodes to %x, want %x", c.value, got, b)
		}
		back := reflect.New(reflect.TypeOf(c.value).Elem()).Interface().(element)
		if err := back.decode(b); err != nil || !reflect.DeepEqual(back, c.value) {
			t.Errorf("%x decodes to %v, %v, want %v", b, back, err, c.value)
		}
	}
}

func TestElementsRefuse(t *testing.T) {
	for _, c := range []struct {
		octets string
		value  element
		text   string
	}{
		{"02", new(EPSMobileIdentity), "reserved"},
		{"f600f11000011a8233", new(EPSMobileIdentity), "want 11"},
		{"f60af11000011a82333c1b", new(EPSMobileIdentity), "not decimal"},
		{"0110101032547608", new(EPSMobileIdentity), "end mark"},
		{"091010", new(EPSMobileIdentity), "want 6 to 15"},
		{"0910101032547608ffff", new(EPSMobileIdentity), "not decimal"},
		{"3235430996873391f0", new(MobileIdentity), "IMEISV has 16"},
		{"05", new(MobileIdentity), "type of identity 5"},
		{"f4dead", new(MobileIdentity), "want 5"},
		{"", new(TAIList), "empty"},
		{"6000f1100007", new(TAIList), "reserved"},
		{"0100f1100007", new(TAIList), "want 7"},
		{"1f00f1100007", new(TAIList), "at most 16"},
		{"2100f110ffff", new(TAIList), "beyond 65535"},
		{"00f11000", new(PLMNList), "multiple of 3"},
		{"0003616263", new(apnElement), "empty label"},
		{"04616263", new(apnElement), "cut off"},
		{"040a2d0002", new(PDNAddress), "reserved"},
		{"030a2d0002", new(PDNAddress), "want 13"},
		{"80000d", new(PCO), "cut off"},
		{"80000d0401", new(PCO), "cut off"},
		{"21 31 0a 03 30 11", new(TFT), "filter 1 of 1"},
		{"22 31 0a 00", new(TFT), "filter 2 of 2"},
		{"a2 01", new(TFT), "filter 2 of 2"},
		{"30 01", new(TFT), "parameter"},
		{"0901", new(EPSQoS), "want 1, 5, 9 or 13"},
		{"010203", new(AMBR), "want 2, 4 or 6"},
		{"f0f000", new(UESecurityCapability), "want 2, 4 or 5"},
		{"a0", new(TimeZone), "not decimal"},
	} {
		err := c.value.decode(unhex(t, c.octets))
		if err == nil || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%T %s: %v, want %q", c.value, c.octets, err, c.text)
		}
	}
}

// More than 16 tracking areas: the first 16 count.
func TestTAIListTooLong(t *testing.T) {
	plmn, _ := id.ParsePLMN("999/70")
	var part []id.TAI
	for i := range id.TAC(10) {
		part = append(part, id.TAI{PLMN: plmn, TAC: i})
	}
	b := (&TAIList{{ConsecutiveTAIs, part}, {ConsecutiveTAIs, part}, {ConsecutiveTAIs, part}}).encode(nil)
	var l TAIList
	if err := l.decode(b); err != nil || len(l.All()) != 16 || !l.Contains(id.TAI{PLMN: plmn, TAC: 9}) || l.Contains(id.TAI{PLMN: plmn, TAC: 10}) {
		t.Errorf("%v %v", l, err)
	}
}

func TestTimers(t *testing.T) {
	for _, c := range []struct {
		want   uint8
		length time.Duration
	}{{0x00, 0}, {0x01, 2 * time.Second}, {0x1f, 62 * time.Second}, {0x22, 63 * time.Second}, {0x3f, 31 * time.Minute},
		{0x49, 54 * time.Minute}, {0x5f, 186 * time.Minute}, {0x5f, 9999 * time.Hour}} {
		if got := NewGPRSTimer(c.length); uint8(got) != c.want {
			t.Errorf("%v: %#x, want %#x", c.length, uint8(got), c.want)
		}
	}
	if d, ok := GPRSTimer(TimerDeactivated).Duration(); ok || d != 0 {
		t.Error("deactivated timer runs")
	}
	for v := range 256 {
		d, ok := GPRSTimer3(v).Duration()
		if back, runs := NewGPRSTimer3(d).Duration(); ok && (back != d || !runs) {
			t.Errorf("GPRS timer 3 %#x: %v, then %v", v, d, back)
		}
		if d, ok := GPRSTimer(v).Duration(); ok {
			if back, _ := NewGPRSTimer(d).Duration(); back != d {
				t.Errorf("GPRS timer %#x: %v, then %v", v, d, back)
			}
		}
	}
	if d, _ := GPRSTimer3(0xc2).Duration(); d != 640*time.Hour {
		t.Error(d)
	}
}

// A zone no clock has is sent as the farthest one, with its own sign.
func TestZonesBeyondTheOctet(t *testing.T) {
	for _, c := range []struct{ z, want TimeZone }{{79, 79}, {80, 79}, {127, 79}, {-79, -79}, {-80, -79}, {-128, -79}} {
		if got, err := decodeZone(c.z.octet()); err != nil || got != c.want {
			t.Errorf("%d became %d, %v", c.z, got, err)
		}
	}
}

// At 256 Mbit/s one octet ends and the next begins; one rate's octets say nothing
// of another's.
func TestRatesAtTheSeam(t *testing.T) {
	q := EPSQoS{QCI: 1, MaxUL: 256 * id.Mbps, MaxDL: 260 * id.Mbps, GuaranteedUL: 64 * id.Kbps, GuaranteedDL: 8640 * id.Kbps}
	var back EPSQoS
	if b := q.encode(nil); len(b) != 13 || b[9] != 0 || back.decode(b) != nil || back != q {
		t.Errorf("% x: %v", b, back)
	}
	// The second extension of an APN-AMBR has 0 and 255 for nothing (TS 24.301 §9.9.4.2).
	var a AMBR
	if err := a.decode([]byte{0xfe, 0xfe, 0xfa, 0xfa, 1, 255}); err != nil || a.DL != 512*id.Mbps || a.UL != 256*id.Mbps {
		t.Errorf("%v, %v", a, err)
	}
}

// Every rate is sent as the nearest step that is not less.
func TestRatesRoundUp(t *testing.T) {
	for r := id.BitRate(1); r < 10*id.Gbps; r += r/50 + 1 {
		var q EPSQoS
		if err := q.decode((&EPSQoS{QCI: 1, MaxUL: r}).encode(nil)); err != nil || q.MaxUL < r || q.MaxUL > r+r/8+id.Kbps {
			t.Fatalf("EPS QoS %v became %v, %v", r, q.MaxUL, err)
		}
		var a AMBR
		if err := a.decode((&AMBR{DL: r, UL: 1}).encode(nil)); err != nil || a.DL < r || a.DL > r+r/8+id.Kbps {
			t.Fatalf("APN-AMBR %v became %v, %v", r, a.DL, err)
		}
	}
}

func TestCapabilities(t *testing.T) {
	c := NewUENetworkCapability(0, 1, 2, 3, 9, 10, 11) // as srsUE has it
	if fmt.Sprintf("%x", c.Octets()) != "f070" || !c.EEA(0) || c.EIA(0) || !c.EIA(3) || c.EEA(4) || c.EEA(200) || c.Has(CapN1Mode) {
		t.Errorf("%x %v", c.Octets(), c)
	}
	if s := c.Security(Opt[MSNetworkCapability]{}); fmt.Sprintf("%x", s.Octets()) != "f070" || !s.EEA(2) || s.EIA(0) {
		t.Errorf("%x", s.Octets())
	}
	with := NewUENetworkCapability(0, 8+2, CapUCS2, 24+1, CapN1Mode, CapPTCC, CapPagingRestriction)
	if got := fmt.Sprintf("%x", with.Octets()); got != "802000c00000200003" || !strings.HasSuffix(with.String(), "UCS2 UIA1 N1mode PTCC PR") {
		t.Errorf("%s %v", got, with)
	}
	var ms MSNetworkCapability
	if err := ms.decode([]byte{0xe5, 0xe0}); err != nil { // GEA1; PFC, GEA2, GEA3
		t.Fatal(err)
	}
	s := with.Security(Some(ms))
	if got := fmt.Sprintf("%x", s.Octets()); got != "8020004070" || s.String() != "EEA0 128-EIA2 UIA1 GEA1 GEA2 GEA3" {
		t.Errorf("%s %v", got, s)
	}
	if s != with.Security(Some(ms)) || s == with.Security(Opt[MSNetworkCapability]{}) {
		t.Error("capabilities do not compare")
	}
	n := NewNetworkFeatures(NetIMSVoPS, NetEMCBS, NetEPCO, NetNCR)
	if got := fmt.Sprintf("%x", n.encode(nil)); got != "030801" || !n.Has(NetEPCO) || n.Has(NetPIV) || n.String() != "EMC-BS IMS-VoPS ePCO NCR" {
		t.Errorf("%s %v", got, n)
	}
}

func TestFilterComponents(t *testing.T) {
	f := FilterComponents{}.With(FilterProtocol, 6).With(FilterRemotePort, 0, 80)
	var kinds []uint8
	for kind, value := range f.All() {
		kinds = append(kinds, kind, uint8(len(value)))
	}
	if !reflect.DeepEqual(kinds, []uint8{FilterProtocol, 1, FilterRemotePort, 2}) || !f.Valid() {
		t.Error(kinds)
	}
	for _, bad := range []FilterComponents{{0x99}, {FilterProtocol}, f.With(FilterIPv4Remote, 1)} {
		if bad.Valid() {
			t.Errorf("%x is valid", bad)
		}
	}
}

func TestPCO(t *testing.T) {
	dns1, dns2 := netip.MustParseAddr("10.45.0.1"), netip.MustParseAddr("2001:db8::1")
	p := PCO{}.WithDNS(dns1, dns2).With(ContainerIPv4LinkMTU, []byte{5, 0x78})
	want := "80 000d 04 0a2d0001 0003 10 20010db8000000000000000000000001 0010 02 0578"
	if got := fmt.Sprintf("%x", []byte(p)); got != strings.ReplaceAll(want, " ", "") {
		t.Errorf("%s", got)
	}
	if got := p.DNS(); !reflect.DeepEqual(got, []netip.Addr{dns1, dns2}) {
		t.Error(got)
	}
	if mtu, ok := p.Get(Downlink, ContainerIPv4LinkMTU); !ok || len(mtu) != 2 {
		t.Error(mtu, ok)
	}
	// IPCP Configure-Nak with both DNS options (RFC 1877), the first address twice.
	ipcp := PCO{}.With(ContainerIPCP, unhex(t, "03000010 81060a2d0001 8306 0a2d0002")).WithDNS(dns1)
	if got := ipcp.DNS(); len(got) != 2 || got[1] != netip.MustParseAddr("10.45.0.2") {
		t.Error(got)
	}
	secret := PCO{}.With(ContainerPAP, []byte("\x01\x01\x00\x10\x04user\x06secret")).String()
	if !strings.HasSuffix(secret, "PAP, Code: Authenticate-Request (#1), Identifier: 1, Peer-ID: 4 octets, Password: 6 octets") {
		t.Errorf("printed as %q", secret)
	}
	a := PCO{}.With(ContainerDNSv4, nil)
	b, c := a.With(ContainerMSISDN, nil), a.With(ContainerPCSCFv4, nil)
	if _, ok := b.Get(Uplink, ContainerMSISDN); !ok || b.String() == c.String() {
		t.Error("With changed another value")
	}
}

func TestNamesAndTime(t *testing.T) {
	for _, s := range []string{"srsRAN", "Campanile", "1234567", "12345678", "Glockenturm €", "鐘楼", "@home"} {
		if got := NewNetworkName(s).Text(); got != s {
			t.Errorf("%q became %q", s, got)
		}
	}
	if n := NewNetworkName("srsRAN"); string(n) != "\x86\x73\xf9\x5c\x1a\x74\x02" {
		t.Errorf("srsRAN is %x", string(n)) // as srsEPC writes it
	}
	if n := NewNetworkName(strings.Repeat("鐘", 200)); len(n) > 255 {
		t.Errorf("%d octets", len(n))
	}
	berlin := time.FixedZone("", 2*3600)
	at := time.Date(2026, 7, 1, 0, 30, 15, 0, berlin)
	v := NewTimeAndZone(at)
	if back, err := v.Time(); err != nil || !back.Equal(at) || ZoneOf(back) != 8 || fmt.Sprintf("%x", v[:]) != "62600322035180" {
		t.Errorf("%x %v %v", v[:], back, err)
	}
	for _, bad := range []TimeAndZone{{0x62, 0x31, 0x10}, {0x62, 0x20, 0x13, 0x10}, {0xaa}} {
		if got, err := bad.Time(); err == nil {
			t.Errorf("%x is %v", bad[:], got)
		}
	}
	for z := TimeZone(-79); z < 80; z++ {
		if back, err := decodeZone(z.octet()); err != nil || back != z {
			t.Errorf("%v became %v, %v", z, back, err)
		}
	}
}

func TestIdentitiesAreMasked(t *testing.T) {
	for _, p := range captured(t) {
		m, err := Parse(p.dir, p.plain)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(m.String(), "0123456") {
			t.Errorf("%s prints an IMSI:\n%v", p.origin, m)
		}
	}
	imsi, _ := id.ParseIMSI("001010123456780")
	inner, _ := Append(nil, &IdentityResponse{Identity: MobileIMSI(imsi)})
	text := (&SecurityModeComplete{ReplayedMessage: Some(EMMContainer(inner))}).String()
	if !strings.Contains(text, "IDENTITY RESPONSE") || strings.Contains(text, "0123456") {
		t.Error(text)
	}
}

func TestEnvelope(t *testing.T) {
	p := Protected{HeaderIntegrityCiphered, [4]byte{1, 2, 3, 4}, 0xfe, []byte{0x07, 0x5e}}
	b := p.Append([]byte{0xaa})
	if fmt.Sprintf("%x", b) != "aa2701020304fe075e" || !p.Header.Ciphered() {
		t.Errorf("%x", b)
	}
	if back, err := ParseProtected(b[1:]); err != nil || !reflect.DeepEqual(back, p) {
		t.Errorf("%+v %v", back, err)
	}
	for _, bad := range []string{"", "27", "2701020304fe", "0741", "c703d7c9", "6701020304fe07", "22010203040506", "33"} {
		if p, err := ParseProtected(unhex(t, bad)); err == nil {
			t.Errorf("%s taken apart: %+v", bad, p)
		}
	}
	for b, want := range map[string]SecurityHeader{"0741": HeaderPlain, "0201d0": HeaderPlain, "52": HeaderPlain, "c703": HeaderServiceRequest, "17": HeaderIntegrity, "f7": 15} {
		if h, err := HeaderOf(unhex(t, b)); err != nil || h != want {
			t.Errorf("%s: %v %v", b, h, err)
		}
	}
}

func TestFlags(t *testing.T) {
	d := DetachEPS | DetachSwitchOff
	if !d.SwitchOff() || d.Kind() != DetachEPS || d.String() != "EPS detach (#1), switch off" {
		t.Error(d)
	}
	u := UpdatePeriodic | UpdateActive
	if !u.Active() || u.Kind() != UpdatePeriodic || u.String() != "periodic updating (#3), bearer establishment requested" {
		t.Error(u)
	}
	if KSI(9).Value() != 1 || !KSI(9).Mapped() || NoKSI.Mapped() || !NoKSI.None() || KSI(15).Mapped() {
		t.Error("KSI flags")
	}
	if s := BearerStatus(0).With(5).With(15); !s.Active(5) || s.Active(6) || s.String() != "active: 5 15" {
		t.Error(s)
	}
	for v, want := range map[fmt.Stringer]string{EMMCause(22): "Congestion (#22)", EMMCause(200): "#200",
		ESMCauseMissingOrUnknownAPN: "Missing or unknown APN (#27)", EEA(2): "128-EEA2", EIA(0): "EIA0"} {
		if v.String() != want {
			t.Errorf("%q, want %q", v, want)
		}
	}
}
