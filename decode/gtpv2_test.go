package decode_test

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/wmnsk/go-gtp/gtpv2"
	"github.com/wmnsk/go-gtp/gtpv2/ie"
	"github.com/wmnsk/go-gtp/gtpv2/message"

	"campanile.network/decode"
	"campanile.network/decode/capture"
)

// createSession is a Create Session Request as go-gtp writes it.
func createSession(t testing.TB) []byte {
	t.Helper()
	m := message.NewCreateSessionRequest(0x11223344, 0x010203,
		ie.NewIMSI("001010123456780"), ie.NewMSISDN("491701234567"), ie.NewMobileEquipmentIdentity("3534900698733190"),
		ie.NewUserLocationInformationStruct(nil, nil, nil, ie.NewTAI("001", "01", 7), ie.NewECGI("001", "01", 0x19b01), nil, nil, nil),
		ie.NewServingNetwork("001", "01"), ie.NewRATType(gtpv2.RATTypeEUTRAN),
		ie.NewFullyQualifiedTEID(gtpv2.IFTypeS11MMEGTPC, 0xcafe, "10.0.0.1", ""),
		ie.NewFullyQualifiedTEID(gtpv2.IFTypeS5S8PGWGTPC, 0, "10.0.0.2", "").WithInstance(1),
		ie.NewAccessPointName("internet.example"), ie.NewSelectionMode(gtpv2.SelectionModeMSorNetworkProvidedAPNSubscribedVerified),
		ie.NewPDNType(gtpv2.PDNTypeIPv4), ie.NewPDNAddressAllocation("10.45.0.2"), ie.NewAPNRestriction(0),
		ie.NewAggregateMaximumBitRate(50000, 100000),
		ie.NewBearerContext(ie.NewEPSBearerID(5), ie.NewFullyQualifiedTEID(gtpv2.IFTypeS1UeNodeBGTPU, 1, "10.0.0.3", ""),
			ie.NewBearerQoS(1, 9, 0, 9, 1000, 2000, 0, 0)),
		ie.NewRecovery(42), ie.NewUETimeZone(2*time.Hour, 1))
	b := make([]byte, m.MarshalLen())
	if err := m.MarshalTo(b); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestGTPv2(t *testing.T) {
	out, _, err := run(t, decode.Options{}, []byte(hex.EncodeToString(createSession(t))))
	if err != nil {
		t.Error(err)
	}
	const want = `line 1 (hex) GTPv2-C Create Session Request (type 32, TEID 0x11223344, sequence 66051)
  IMSI: 001010123456780
  MSISDN: 491701234567
  MEI: 3534900698733190
  ULI
    TAI
      PLMN: 001/01
      TAC: 7
    ECGI
      PLMN: 001/01
      ECI: 105217
  Serving Network: 001/01
  RAT Type: EUTRAN (WB-E-UTRAN) (6)
  F-TEID
    Interface type: S11 MME GTP-C
    TEID/GRE Key: 0x0000cafe
    IPv4 address: 10.0.0.1
  F-TEID (instance 1)
    Interface type: S5/S8 PGW GTP-C
    TEID/GRE Key: 0x00000000
    IPv4 address: 10.0.0.2
  APN: internet.example
  Selection Mode: MS or network provided APN, subscription verified
  PDN Type: IPv4
  PAA
    PDN Type: IPv4
    IPv4 address: 10.45.0.2
  APN Restriction: 0
  AMBR
    APN-AMBR for uplink: 50000 kbit/s
    APN-AMBR for downlink: 100000 kbit/s
  Bearer Context
    EBI: 5
    F-TEID
      Interface type: S1-U eNodeB GTP-U
      TEID/GRE Key: 0x00000001
      IPv4 address: 10.0.0.3
    Bearer QoS
      ARP
        PCI: disabled (1)
        PL: 9
        PVI: enabled (0)
      QCI: 9
      MBR for uplink: 1000 kbit/s
      MBR for downlink: 2000 kbit/s
      GBR for uplink: 0 kbit/s
      GBR for downlink: 0 kbit/s
  Recovery: 42
  UE Time Zone
    Time Zone: +02:00
    Daylight Saving Time: 1

`
	if out != want {
		t.Errorf("got\n%s", diff(out, want))
	}
	out, _, _ = run(t, decode.Options{Mask: true}, []byte(hex.EncodeToString(createSession(t))))
	for _, secret := range []string{"001010123456780", "491701234567", "3534900698733190"} {
		if strings.Contains(out, secret) {
			t.Errorf("%s is shown masked", secret)
		}
	}
}

// A message whose elements do not fit is shown as far as it goes, with what is
// wrong; a piggybacked message is one of its own.
func TestGTPv2Faults(t *testing.T) {
	b := createSession(t)
	for _, c := range []struct {
		spoil func([]byte) []byte
		want  string
	}{
		{func(b []byte) []byte { b[13]++; return b }, "malformed"},
		{func(b []byte) []byte { return b[:40] }, "the length field says"},
		{func(b []byte) []byte { return append(b, 0) }, "1 octets behind the message"},
		{func(b []byte) []byte { b[0] = 0x30; return b }, "GTP version 1, not 2"},
		{func(b []byte) []byte { b[16] = 0xaa; return b }, "IMSI of 8 octets cannot be read"},
	} {
		out, _, err := run(t, decode.Options{As: "gtpv2"}, []byte(hex.EncodeToString(c.spoil(append([]byte(nil), b...)))))
		var broken *decode.Malformed
		if !errors.As(err, &broken) || !strings.Contains(out, c.want) {
			t.Errorf("%s: %v\n%s", c.want, err, out)
		}
	}
	two := append([]byte(nil), b...)
	two[0] |= 0x10
	out, _, err := run(t, decode.Options{Format: decode.Summary}, []byte(hex.EncodeToString(append(two, b...))))
	if err != nil || strings.Count(out, "Create Session Request") != 2 {
		t.Errorf("%v\n%s", err, out)
	}
}

// tshark reads the same values.
func TestTsharkReadsGTPv2Alike(t *testing.T) {
	gtp := createSession(t)
	ip := append([]byte{0x45, 0, 0, 0, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0x08, 0x4b, 0x08, 0x4b, 0, 0, 0, 0}, gtp...)
	ip[2], ip[3] = byte(len(ip)>>8), byte(len(ip))
	ip[24], ip[25] = byte((len(ip)-20)>>8), byte(len(ip)-20)
	name := filepath.Join(t.TempDir(), "s11.pcap")
	if err := os.WriteFile(name, pcap(binary.LittleEndian, false, capture.LinkRaw, []capture.Packet{{Data: ip, Length: len(ip), Time: time.Unix(1, 0)}}), 0o600); err != nil {
		t.Fatal(err)
	}
	got := strings.TrimSpace(tool(t, "tshark", "-r", name, "-T", "fields", "-E", "separator=;", "-e", "gtpv2.message_type", "-e", "gtpv2.seq",
		"-e", "e212.imsi", "-e", "gtpv2.tai_tac", "-e", "gtpv2.ecgi_eci", "-e", "gtpv2.apn", "-e", "gtpv2.f_teid_gre_key", "-e", "gtpv2.ambr_down", "-e", "gtpv2.ebi"))
	if want := "32;0x010203;001010123456780;0x0007;105217;internet.example;0x0000cafe,0x00000000,0x00000001;100000;5"; got != want {
		t.Errorf("tshark reads %s\nwant %s", got, want)
	}
	out, _, err := run(t, decode.Options{Format: decode.Summary}, file(t, name))
	if err != nil || !strings.Contains(out, "10.0.0.1 > 10.0.0.2  GTPv2-C Create Session Request") {
		t.Errorf("%v %s", err, out)
	}
}
