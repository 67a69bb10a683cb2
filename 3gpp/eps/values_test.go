package eps

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/secret"
)

// Values made with this package's functions: octets as the clause has them, and
// how they are shown.
func TestMadeValues(t *testing.T) {
	plmn, _ := id.ParsePLMN("001/01")
	start := time.Date(2026, 11, 22, 6, 38, 0, 0, time.UTC)
	keys := CipheringKeyData{}.With(CipheringDataSet{ID: 0x0102, Key: secret.Key128{0xaa, 15: 0xbb}, C0: []byte{0xc0, 1}, SIBs: 1<<31 | 1<<24 | 1<<5,
		Start: start, Duration: 6 * time.Hour, TAIs: NewTAIList(id.TAI{PLMN: plmn, TAC: 7})})
	remote := RemoteUEs{}.
		With(RemoteUE{Identities: []RemoteIdentity{NewRemoteIdentity(RemoteMSISDN, "4915112345"), EncryptedRemoteIMSI([]byte{1, 2})},
			IPv4: netip.MustParseAddrPort("10.0.0.1:5060")}).
		With(RemoteUE{IPv6: netip.MustParsePrefix("2001:db8::/64")}).With(RemoteUE{})
	for _, c := range []struct {
		value        element
		octets, text string
	}{
		{ptr(EmergencyNumbers{}.With(EmergencyPolice|EmergencyFire, "112").With(0, "99")), "03 05 11f2 02 00 99",
			"[0], Emergency service category: police, fire brigade, Number digits: 112, [1], Emergency service category: any, Number digits: 99"},
		{ptr(NewExtendedEmergencyNumbers(true).With(ExtendedEmergencyNumber{"110", "police.municipal"})), "01 02 11f0 0e f0373b3d2ebbda75777a9c8687d9",
			"Valid in one PLMN only: true, Emergency numbers, [0], Number digits: 110, Sub-services field: police.municipal"},
		{&keys, "0102 aa0000000000000000000000000000bb 02 c001 81000020 6211226083 0168 06 0000f1100007",
			"[0], Ciphering set ID: 258, Ciphering key: [redacted], c0: 2 octets, Positioning SIB types: 1-1 2-1 3-1, " +
				"Validity start time: 2026-11-22 06:38 UTC, Validity duration: 6h0m0s, TAIs list, [0], PLMN: 001/01, TAC: 7"},
		{&remote, "03 13 02 06 4319152143f5 03 01 0102 01 0a000001 13c4", ""},
		{ptr(NewPKMFAddress(netip.MustParseAddr("10.0.0.1"))), "01 0a000001", "10.0.0.1"},
		{ptr(NewPKMFAddress(netip.MustParseAddr("2001:db8::1"))), "02 20010db8000000000000000000000001", "2001:db8::1"},
		{ptr(NewCLI("4915112345678")), "91 9451113254 76f8", "Type of number: international number (#1), Numbering plan identification: ISDN/telephony numbering plan (#1), Number digits: ···········78"},
		{ptr(CLI{0x11, 0xa0, 0x21}), "11 a0 21", "Type of number: international number (#1), Numbering plan identification: ISDN/telephony numbering plan (#1), " +
			"Presentation indicator: presentation restricted (#1), Screening indicator: user-provided, not screened (#0), Number digits: 12"},
		{ptr(NBIFOM{}.With(1, []byte{1})), "01 01 01", "NBIFOM mode: 01"},
		{ptr(Codecs{}.With(CodecsUMTS, 0x60, 0x04)), "04 02 6004", "[0], System identification: UMTS (#4), Codec bitmap: UMTS-AMR-2 UMTS-AMR UMTS-AMR-WB"},
		{ptr(NewWUS(43)), "08", "UE paging probability information: 40 % (#8)"},
		{ptr(NewHeaderCompression(ROHC0002|ROHC0104, 15)), "41 000f", "RoHC profiles: 0x0002 (UDP/IP), 0x0104 (IP), MAX_CID: 15"},
		{ptr(HeaderCompression{0, 0, 0, 4, 0xff}), "00 0000 04 ff",
			"RoHC profiles: none, MAX_CID: 0, Additional header compression context setup parameters type: 0x0006 (TCP/IP) (#4), " +
				"Additional header compression context setup parameters container: 1 octets"},
		{ptr(NewPagingRestriction(PagingRestrictAllButVoice, BearerStatus(0).With(5))), "02", "Paging restriction type: all paging is restricted except voice service (#2)"},
		{ptr(NewPagingRestriction(PagingRestrictAllButBearers, BearerStatus(0).With(5).With(9))), "03 2002",
			"Paging restriction type: all paging is restricted except for specified PDN connections (#3), Not restricted: 5 9"},
		{ptr(NewTransactionID(5, true)), "d0", "TI flag: true, TI value: 5"},
		{ptr(NewTransactionID(90, false)), "70 da", "TI flag: false, TI value: 90"},
		{ptr(NewExtendedQoS(20*id.Gbps, 30*id.Gbps, 0, 0)), "02 4e20 7530 01 0000 0000",
			"Maximum bit rate for uplink: 20 Gbit/s, Maximum bit rate for downlink: 30 Gbit/s, Guaranteed bit rate for uplink: 0 bit/s, Guaranteed bit rate for downlink: 0 bit/s"},
		{ptr(NewExtendedAMBR(262141*id.Mbps, 262140*id.Mbps)), "04 4000 03 ffff", "Extended APN-AMBR for downlink: 262144 Mbit/s, Extended APN-AMBR for uplink: 262140 Mbit/s"},
		{ptr(NewExtendedDRX(90*time.Second, 2*time.Second, false)), "15", "Paging Time Window: 2.56s, in NB-S1 mode 5.12s (#1), eDRX value: 1m21.92s (#5)"},
		{ptr(VoiceIMSFirst | VoiceDataCentric), "07", "UE's usage setting: data centric (#1), Voice domain preference for E-UTRAN: IMS PS voice preferred, CS voice as secondary (#3)"},
		{ptr(DRX{0, 0x70}), "0070", "SPLIT PG CYCLE CODE: 0, DRX value for S1 mode: T = 64 (#7), SPLIT on CCCH: false, Non-DRX timer: no non-DRX mode after transfer state (#0)"},
		{ptr(NRI{0x2a, 0xc0}), "2ac0", "NRI container value: 171"},
		{ptr(AUTS{0, 1, 2, 3, 4, 5, 6, 13: 9}), "00010203040506000000000000 09", "SQN MS xor AK: 000102030405, MAC-S: 0600000000000009"},
		{ptr(AdditionalSecurityCapability{0x70, 0, 0x60, 1}), "70006001", "5G-EA: 128-5G-EA1 128-5G-EA2 128-5G-EA3, 5G-IA: 128-5G-IA1 128-5G-IA2 5G-IA15"},
		{ptr(N1Capability{0x13}), "13", "5GS-PNB-CP-CIoT N3-data 5G-CP-CIoT"},
		{ptr(RadioCapabilityID{0x21, 0xf3}), "21f3", "123"},
		{ptr(HeaderCompressionStatus(1<<5 | 1<<10)), "2004", "not used: 5 10"},
		{ptr(ServingPLMNRateControl(10)), "000a", "10 messages in 6 minutes"},
		{ptr(RateUnrestricted), "ffff", "not restricted"},
		{ptr(AdditionalUpdateTypeSMSOnly | AdditionalUpdateTypeControlPlane), "05", "SMS only, control plane CIoT EPS optimization preferred"},
		{ptr(ReattemptIndicatorRATC | ReattemptIndicatorEPLMNC), "03", "re-attempt not allowed in A/Gb, Iu and N1 mode, re-attempt not allowed in an equivalent PLMN"},
		{ptr(UEStatus(0)), "00", "UE is registered in neither mode"},
		{ptr(DCNID(0x0102)), "0102", "258"},
		{ptr(SSCodeCLIP), "11", "calling line identification presentation (#17)"},
	} {
		want := unhex(t, c.octets)
		if c.value == element(&remote) {
			want = append(want, unhex(t, "0a 00 02 20010db800000000"+"0200 00")...)
			c.text = "[0], MSISDN: ········45, Encrypted IMSI: 2 octets, IPv4 address: 10.0.0.1, Port number: 5060, [1], IPv6 prefix: 2001:db8::/64, [2]"
		}
		if got := c.value.encode(nil); string(got) != string(want) {
			t.Errorf("%T: %x, want %x", c.value, got, want)
		}
		back := reflect.New(reflect.TypeOf(c.value).Elem()).Interface().(element)
		if err := back.decode(want); err != nil || !reflect.DeepEqual(back, c.value) {
			t.Errorf("%T: %x decodes to %v, %v", c.value, want, back, err)
		}
		if got := c.value.String(); got != c.text {
			t.Errorf("%T: shown as\n%s, want\n%s", c.value, got, c.text)
		}
	}
}

func ptr[T any](v T) element {
	return any(&v).(element)
}

func TestRefusedOctets(t *testing.T) {
	for _, c := range []struct {
		octets string
		value  element
		text   string
	}{
		{"03 05 11", new(EmergencyNumbers), "octet 1 has length 3 of 2"},
		{"02 05 11 00", new(EmergencyNumbers), "octet 4 has length 0"},
		{"00 02 11f0 03 41", new(ExtendedEmergencyNumbers), "octet 2 is cut off"},
		{"00 02 11", new(ExtendedEmergencyNumbers), "octet 2 is cut off"},
		{"0102" + strings.Repeat("00", 16) + "00 00000000 6211226083 0000 01", new(CipheringKeyData), "octet 1: cut off"},
		{"0102" + strings.Repeat("00", 16) + "00 00000000 6214226083 0000 00", new(CipheringKeyData), "validity start"},
		{"0102" + strings.Repeat("00", 16) + "00 00000000 6211226083 0000 01 60", new(CipheringKeyData), "type of list 3"},
		{"0102" + strings.Repeat("00", 16) + "00 00000000 6211226083 0000 06 0000faf00007", new(CipheringKeyData), "octet 1: "},
		{"", new(RemoteUEs), "no number of remote UE contexts"},
		{"01 03 01 02", new(RemoteUEs), "context 1 of 1 is cut off"},
		{"01 03 01 05 11", new(RemoteUEs), "identity is cut off"},
		{"01 00", new(RemoteUEs), "no number of identities"},
		{"01 03 00 01 0a", new(RemoteUEs), "address of type 1 in 1 octets"},
		{"00 01", new(RemoteUEs), "1 octets behind 0"},
		{"01 0a0000", new(PKMFAddress), "address of type 1 in 3 octets"},
		{"01 02 01", new(NBIFOM), "octet 1 is cut off"},
		{"04 02 6004 00 01", new(Codecs), "octet 5 is cut off"},
	} {
		if err := c.value.decode(unhex(t, c.octets)); err == nil || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%T %s: %v, want %q", c.value, c.octets, err, c.text)
		}
	}
}

// Values that cannot be written leave what was there.
func TestValuesThatDoNotFit(t *testing.T) {
	long := make([]byte, 256)
	for _, grown := range [][]byte{
		EmergencyNumbers{}.With(0, "x"), EmergencyNumbers{}.With(0, strings.Repeat("1", 41)), NBIFOM{}.With(1, long), Codecs{}.With(CodecsGSM, long...),
		ExtendedEmergencyNumbers{}.With(ExtendedEmergencyNumber{Digits: "1"}), RemoteUEs{}.With(RemoteUE{Identities: []RemoteIdentity{long}}), PCO{}.With(ContainerDNSv4, long),
	} {
		if len(grown) > 0 {
			t.Errorf("%x was written", grown)
		}
	}
	list := NewExtendedEmergencyNumbers(false)
	if got := list.With(ExtendedEmergencyNumber{"1", "鐘"}); len(got) != 1 {
		t.Errorf("%x has sub-services that the alphabet has not", got)
	}
	many := RemoteUEs{}
	for range 300 {
		many = many.With(RemoteUE{})
	}
	if n := len(slices.Collect(many.All())); n != 255 || many.check() != nil {
		t.Errorf("%d UEs, %v", n, many.check())
	}
}

// Every unit and number of the extended rates can be read, and what is written
// is the nearest step not less.
func TestExtendedRates(t *testing.T) {
	for n, want := range map[uint8]string{1: "200 kbit/s", 2: "1 Mbit/s", 6: "256 Mbit/s", 7: "1 Gbit/s", 12: "1000 Gbit/s", 16: "256000 Gbit/s", 17: "1000000 Gbit/s", 21: "256000000 Gbit/s", 255: "256000000 Gbit/s"} {
		q := ExtendedQoS{0: n, 2: 1, 5: n, 7: 1}
		if q.MaxUL().String() != want || q.GuaranteedUL().String() != want || q.MaxDL() != 0 {
			t.Errorf("unit %d is %v, want %s", n, q.MaxUL(), want)
		}
		a := ExtendedAMBR{0: n, 2: 1}
		if n < ambrUnit && a.DL() != 0 || n >= ambrUnit && a.DL() != q.MaxUL() {
			t.Errorf("unit %d of an AMBR is %v", n, a.DL())
		}
	}
	if top := (ExtendedQoS{0xff, 0xff, 0xff}).MaxUL(); top != ^id.BitRate(0) {
		t.Error(top)
	}
	for r := id.BitRate(1); r < 1<<62; r += r/3 + 1 {
		if got := NewExtendedQoS(r, 0, 0, r).MaxUL(); got < r || got > r+r/1000+200*id.Kbps {
			t.Fatalf("%v became %v", r, got)
		}
		if got := NewExtendedAMBR(r, 1).DL(); got < r || got > r+r/1000+4*id.Mbps {
			t.Fatalf("%v became %v", r, got)
		}
	}
}

func TestQoS3G(t *testing.T) {
	q := QoS3G(unhex(t, "0b 92 1f 73 96 40 80 74 42 fe 00 02"))
	text := q.String()
	for _, want := range []string{"Delay class: delay class 1 (#1)", "Reliability class: unacknowledged GTP and LLC, acknowledged RLC, protected data (#3)",
		"Peak throughput: up to 256 000 octet/s (#9)", "Precedence class: normal priority (#2)", "Mean throughput: best effort (#31)",
		"Traffic class: interactive class (#3)", "Delivery order: without delivery order (#2)", "Delivery of erroneous SDUs: erroneous SDUs are not delivered (#3)",
		"Maximum SDU size: 1500 octets", "Maximum bit rate for uplink: 64 kbit/s", "Maximum bit rate for downlink: 576 kbit/s", "Residual BER: 1*10^-5 (#7)",
		"SDU error ratio: 1*10^-4 (#4)", "Transfer delay: 200 ms", "Traffic handling priority: priority level 2 (#2)", "Guaranteed bit rate for uplink: 8640 kbit/s",
		"Guaranteed bit rate for downlink: 0 bit/s", "Signalling indication: false", "Source statistics description: #2"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %s", want, text)
		}
	}
	q = append(q, 0x4a, 0, 0xba, 0, 1, 0, 0, 0xf6)
	if q.Rate(QoS3GMaxDL) != 260*id.Mbps || q.Rate(QoS3GMaxUL) != 128*id.Mbps || q.Rate(QoS3GGuaranteedUL) != 10*id.Gbps || q.Rate(QoS3GGuaranteedDL) != 0 {
		t.Errorf("%v", q)
	}
}

// A classmark 3 with bands and parts that say whether others follow, cut where
// its sender has nothing more to say.
func TestClassmark3(t *testing.T) {
	// 0 110 1010 0011 0010 1(011) 0 11 0 ...: triple band, A5/7 and A5/5, R support 3, UCS2, extended measurement
	c := Classmark3(unhex(t, "6a 32 b6"))
	const want = "Multiband supported: 110, A5/7: true, A5/6: false, A5/5: true, A5/4: false, Associated Radio Capability 2: 3, Associated Radio Capability 1: 2, " +
		"R Support: 3, UCS2 treatment: true, Extended Measurement Capability: true"
	if got := c.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	// 0 001 0001 spare 0101 0 0 1 0 0 ...: one band, A5/4
	const one = "Multiband supported: 001, A5/7: false, A5/6: false, A5/5: false, A5/4: true, Associated Radio Capability 1: 5, UCS2 treatment: true, Extended Measurement Capability: false"
	if got := (Classmark3{0x11, 0xf5, 0x20}).String(); got != one {
		t.Errorf("got\n%s\nwant\n%s", got, one)
	}
	if got := (Classmark3{}).String(); got != "" {
		t.Error(got)
	}
}

// The length of some units takes two octets when a network sends them.
func TestLongUnits(t *testing.T) {
	p := PCO{}.WithLong(ContainerLongQoSRules, make([]byte, 300)).WithDNS(netip.MustParseAddr("10.45.0.1"))
	m := &ActivateDefaultEPSBearerContextRequest{QoS: EPSQoS{QCI: 9}, Address: IPv4Address(netip.MustParseAddr("10.45.0.2")), ExtendedPCO: Some(p)}
	m.APN, _ = id.ParseAPN("internet")
	b, err := Append(nil, m)
	if err != nil {
		t.Fatal(err)
	}
	back, err := Parse(Downlink, b)
	if err != nil || !reflect.DeepEqual(back, m) {
		t.Fatalf("%v, %v", back, err)
	}
	if rules, ok := p.Get(Downlink, ContainerLongQoSRules); !ok || len(rules) != 300 || len(p.DNS()) != 1 {
		t.Errorf("%d octets of rules, DNS %v", len(rules), p.DNS())
	}
	asked := PCO{}.With(ContainerLongQoSRules, nil).With(ContainerDNSv4, nil)
	if _, ok := asked.Get(Uplink, ContainerDNSv4); !ok || asked.decodeFrom(Downlink, asked) == nil {
		t.Errorf("%x", []byte(asked))
	}
	if s := back.String(); !strings.Contains(s, "QoS rules with the length of two octets: 300 octets") {
		t.Error(s)
	}
}

// What IPCP, LCP and CHAP hold is shown, but for names and challenges.
func TestPPP(t *testing.T) {
	p := PCO{}.With(ContainerIPCP, unhex(t, "0101 0010 8106 00000000 8306 0a2d0001")).
		With(ContainerLCP, unhex(t, "0101 0008 0304 c023")).
		With(ContainerCHAP, append(unhex(t, "0101 000a 02 aabb"), "bob"...)).
		With(ContainerCHAP, unhex(t, "0301 0004")).With(ContainerPAP, unhex(t, "0201 0005 00")).With(ContainerPAP, []byte{1})
	const want = "Configuration protocol: PPP for use with IP PDP type or IP PDN type (#0), " +
		"IPCP, Code: Configure-Request (#1), Identifier: 1, Primary-DNS-Address: 0.0.0.0, Secondary-DNS-Address: 10.45.0.1, " +
		"LCP, Code: Configure-Request (#1), Identifier: 1, Option 3: 2 octets, " +
		"CHAP, Code: Challenge (#1), Identifier: 1, Value: 2 octets, Name: 3 octets, CHAP, Code: Success (#3), Identifier: 1, Data: 0 octets, " +
		"PAP, Code: Authenticate-Ack (#2), Identifier: 1, Message: 0 octets, PAP, Code: Authenticate-Request (#1)"
	if got := p.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestPacketFilterText(t *testing.T) {
	f := FilterComponents{}.With(FilterIPv4Remote, 10, 0, 0, 1, 255, 255, 255, 0).With(FilterIPv6LocalPrefix, append(netip.MustParseAddr("2001:db8::1").AsSlice(), 64)...).
		With(FilterRemotePortRange, 0, 80, 0, 90).With(FilterLocalPort, 0, 22).With(FilterProtocol, 17).With(FilterEthertype, 8, 0)
	tft := TFT{TFTCreate, []PacketFilter{{FilterUplink, 1, 10, append(f, 0x99)}}, Octets{3, 1, 5, 9, 0}}
	const want = "TFT operation code: create new TFT (#1), Packet filter list, [0], Packet filter identifier: 1, Packet filter direction: uplink only (#2), " +
		"Packet filter evaluation precedence: 10, IPv4 remote address: 10.0.0.1 mask 255.255.255.0, IPv6 local address/prefix length: 2001:db8::1/64, " +
		"Remote port range: 80 to 90, Single local port: 22, Protocol identifier/Next header: 17, Ethertype: 0800, Components that are not understood: 99, " +
		"Packet Filter Identifier: 05, Parameter 9:"
	if got := tft.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if s := fmt.Sprint(TFT{TFTDeleteFilters, []PacketFilter{{ID: 3}}, nil}); s != "TFT operation code: delete packet filters from existing TFT (#5), Packet filter list, [0], Packet filter identifier: 3" {
		t.Error(s)
	}
}
