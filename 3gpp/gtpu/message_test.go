package gtpu_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"campanile.network/3gpp/gtpu"
	"campanile.network/3gpp/tree"

	gogtp "github.com/wmnsk/go-gtp/gtpv1/message"
)

// TestGoGTP: go-gtp reads random messages of every type and, where it can, builds
// them again to the same octets.
func TestGoGTP(t *testing.T) {
	defects := map[gtpu.Type]string{ // of v0.8.12
		gtpu.EchoResponse:     "puts what it does not know behind the private extension",
		gtpu.ErrorIndication:  "cannot build what it parsed",
		gtpu.SupportedHeaders: "cannot build what it parsed",
	}
	for _, typ := range messageTypes() {
		r, differs := newMaker(t, typ), 0
		for range each {
			m := r.message(typ)
			want, err := m.Append(nil)
			r.ok(err)
			other, err := gogtp.Parse(bytes.Clone(want))
			if err != nil || other.TEID() != uint32(m.TEID) || m.HasSequence && other.Sequence() != m.Sequence {
				t.Fatalf("%v: go-gtp reads %+v, %v: %x", typ, other, err, want)
			}
			if e, ok := other.(*gogtp.ErrorIndication); ok {
				teid, peer, err := gtpu.ErrorIndicationOf(m)
				r.ok(err)
				if e.TEIDDataI.MustTEID() != uint32(teid) || e.GTPUPeerAddress.MustGSNAddress() != peer.String() {
					t.Errorf("go-gtp reads %v and %v, want %v and %v", e.TEIDDataI, e.GTPUPeerAddress, teid, peer)
				}
			}
			if again, err := gogtp.Marshal(other); err != nil || !bytes.Equal(again, want) {
				differs++
				if defects[typ] == "" {
					t.Errorf("%v: go-gtp built %x, %v; want %x", typ, again, err, want)
				}
			}
		}
		if defects[typ] != "" && differs == 0 {
			t.Errorf("%v: go-gtp is cured: %s", typ, defects[typ])
		}
	}
}

func TestExtensionTypes(t *testing.T) {
	for _, tc := range []struct {
		t        gtpu.ExtensionType
		name     string
		required bool
		what     gtpu.Comprehension
	}{
		{0, "No more extension headers", false, gtpu.ForwardUnknown},
		{gtpu.MBMSSupport, "MBMS support indication", false, gtpu.ForwardUnknown},
		{gtpu.MSInfoChange, "MS Info Change Reporting support indication", false, gtpu.ForwardUnknown},
		{gtpu.OptionalLongPDCPNumber, "Long PDCP PDU Number", false, gtpu.ForwardUnknown},
		{gtpu.ServiceClassIndicator, "Service Class Indicator", false, gtpu.ForwardUnknown},
		{gtpu.UDPPort, "UDP Port", false, gtpu.DiscardUnknown},
		{gtpu.RANContainer, "RAN Container", true, gtpu.EndpointKnows},
		{gtpu.LongPDCPNumber, "Long PDCP PDU Number", true, gtpu.EndpointKnows},
		{gtpu.XwRANContainer, "Xw RAN Container", true, gtpu.EndpointKnows},
		{gtpu.NRRANContainer, "NR RAN Container", true, gtpu.EndpointKnows},
		{gtpu.PDUSessionContainer, "PDU Session Container", true, gtpu.EndpointKnows},
		{gtpu.PDCPNumber, "PDCP PDU Number", true, gtpu.ReceiverKnows},
		{gtpu.SuspendRequest, "Suspend Request", true, gtpu.ReceiverKnows},
		{gtpu.SuspendResponse, "Suspend Response", true, gtpu.ReceiverKnows},
		{0x7f, "extension header 0x7f", false, gtpu.DiscardUnknown},
	} {
		if tc.t.String() != tc.name || tc.t.Required() != tc.required || tc.t.Comprehension() != tc.what {
			t.Errorf("%#02x: %v, required %v, %v", uint8(tc.t), tc.t, tc.t.Required(), tc.t.Comprehension())
		}
	}
}

func TestNumbers(t *testing.T) {
	for _, tc := range []struct {
		t    gtpu.ExtensionType
		n    uint32
		want string // "": does not fit
	}{
		{gtpu.UDPPort, 2152, "01086800"}, {gtpu.UDPPort, 1 << 16, ""},
		{gtpu.PDCPNumber, 0xabcd, "01abcd00"},
		{gtpu.LongPDCPNumber, 0x3ffff, "0203ffff00000000"}, {gtpu.LongPDCPNumber, 1 << 18, ""},
		{gtpu.OptionalLongPDCPNumber, 1, "0200000100000000"},
		{gtpu.ServiceClassIndicator, 255, "01ff0000"}, {gtpu.ServiceClassIndicator, 256, ""},
		{gtpu.RANContainer, 1, ""},
	} {
		m := gtpu.Message{Type: gtpu.GPDU}
		if err := m.AddNumber(tc.t, tc.n); (err == nil) != (tc.want != "") || err != nil && !errors.Is(err, gtpu.ErrExtension) {
			t.Errorf("%v %d: %v", tc.t, tc.n, err)
		}
		if tc.want == "" {
			continue
		}
		b, err := m.Append(nil)
		if err != nil || !bytes.Equal(b[12:], unhex(t, tc.want)) {
			t.Errorf("%v %d: %x, %v; want %s", tc.t, tc.n, b[12:], err, tc.want)
		}
		for typ, content := range m.Extensions {
			if n, ok := typ.Number(content); !ok || n != tc.n {
				t.Errorf("%v %d came back as %d, %v", tc.t, tc.n, n, ok)
			}
		}
	}
	if n, ok := gtpu.LongPDCPNumber.Number([]byte{0xff, 0xff, 0xff}); n != 0x3ffff || !ok {
		t.Errorf("spare bits count: %#x, %v", n, ok)
	}
	if _, ok := gtpu.LongPDCPNumber.Number([]byte{1, 2}); ok {
		t.Error("two octets are a long PDCP PDU number")
	}
}

// TestCheck names what is wrong with a message, and lets pass what is not.
func TestCheck(t *testing.T) {
	for _, tc := range []struct {
		typ            gtpu.Type
		elements, want string
	}{
		{gtpu.EchoRequest, "", ""},
		{gtpu.EchoRequest, "c80002abcd", ""},    // unknown, with a length
		{gtpu.EchoRequest, "ff000101 0e00", ""}, // malformed, but optional
		{gtpu.EchoRequest, "e700020102", ""},    // likewise
		{gtpu.EchoRequest, "0100", "Echo Request: information element 1 at octet 0 of the elements"},
		{gtpu.EchoRequest, "0e00 ff0003 0001", "Echo Request: Private Extension at octet 2 of the elements"},
		{gtpu.EchoResponse, "", "Echo Response without Recovery"},
		{gtpu.EchoResponse, "0e", "Echo Response: Recovery at octet 0 of the elements"},
		{gtpu.ErrorIndication, "1000000001", "Error Indication without GTP-U Peer Address"},
		{gtpu.ErrorIndication, "1000000001 8500050102030405", "Error Indication: GTP-U Peer Address of 5 octets"},
		{gtpu.ErrorIndication, "850004010203041000000001", ""}, // in the wrong order
		{gtpu.TunnelStatus, "e60000", "Tunnel Status: GTP-U Tunnel Status Information of 0 octets"},
		{gtpu.TunnelStatus, "e6000201ff", ""}, // of a later release
		{gtpu.SupportedHeaders, "8d00", ""},
		{gtpu.SupportedHeaders, "", "Supported Extension Headers Notification without Extension Header Type List"},
		{gtpu.EndMarker, "", ""},
		{gtpu.GPDU, "01", ""},
		{77, "01", "message type 77: information element 1 at octet 0 of the elements"},
	} {
		m := gtpu.Message{Type: tc.typ, Payload: unhex(t, tc.elements)}
		err := m.Check()
		got := ""
		if err != nil {
			got = strings.TrimPrefix(err.Error(), gtpu.ErrElement.Error()+": ")
		}
		if got != tc.want || err != nil && !errors.Is(err, gtpu.ErrElement) {
			t.Errorf("%v %s: %q, want %q", tc.typ, tc.elements, got, tc.want)
		}
	}
}

// TestRepeated: of two elements of a type the first counts.
func TestRepeated(t *testing.T) {
	m := gtpu.Message{Type: gtpu.ErrorIndication, Payload: unhex(t, "1000000001 1000000002 85000401020304 85000404030201")}
	if teid, peer, err := gtpu.ErrorIndicationOf(m); teid != 1 || peer.String() != "1.2.3.4" || err != nil {
		t.Errorf("%v, %v, %v", teid, peer, err)
	}
}

func TestAppendElement(t *testing.T) {
	for _, tc := range []struct {
		t    gtpu.ElementType
		n    int
		fits bool
	}{
		{gtpu.ElementRecovery, 1, true}, {gtpu.ElementRecovery, 2, false}, {gtpu.ElementTEID, 4, true}, {gtpu.ElementTEID, 3, false},
		{1, 1, false}, {gtpu.ElementPeer, 16, true}, {gtpu.ElementPeer, 6, false}, {gtpu.ElementHeaders, 255, true}, {gtpu.ElementHeaders, 256, false},
		{200, 65535, true}, {200, 65536, false}, {gtpu.ElementPrivate, 1, false}, {gtpu.ElementRecoveryTime, 3, false},
	} {
		b, err := gtpu.AppendElement([]byte{9}, tc.t, make([]byte, tc.n))
		if (err == nil) != tc.fits || err != nil && (!errors.Is(err, gtpu.ErrElement) || len(b) != 1) {
			t.Errorf("%v of %d octets: %d octets, %v", tc.t, tc.n, len(b), err)
		}
	}
	for _, at := range []time.Time{time.Date(1899, 12, 31, 23, 59, 59, 0, time.UTC), time.Date(2036, 2, 7, 6, 28, 16, 0, time.UTC)} {
		if _, err := gtpu.RecoveryTimeValue(at); !errors.Is(err, gtpu.ErrElement) {
			t.Errorf("%v has a time stamp: %v", at, err)
		}
	}
}

func TestTunnelStatus(t *testing.T) {
	for _, pause := range []bool{true, false} {
		m, err := gtpu.Parse(gtpu.AppendTunnelStatus([]byte("x"), 7, pause)[1:])
		spoc, ok := m.PausesCharging()
		if err != nil || m.Type != gtpu.TunnelStatus || m.TEID != 7 || spoc != pause || !ok {
			t.Errorf("%+v, %v, %v", m, spoc, err)
		}
	}
}

// TestLossless: octets that mean nothing, and elements nobody knows, come back.
func TestLossless(t *testing.T) {
	for _, in := range []string{
		"34ff0005 00000001 12349900 45", "31ff0005 00000001 123499c0 45", "32ff0005 00000001 12349985 45", "32010007 00000000 00010007 c80000",
		"3602000f 00000000 00010090 01abcd00 0e09 c80002ffff",
	} {
		m, err := gtpu.Parse(unhex(t, in))
		if err != nil {
			t.Fatal(err)
		}
		if b, err := m.Append(nil); err != nil || !bytes.Equal(b, unhex(t, in)) {
			t.Errorf("%s: %x, %v", in, b, err)
		}
	}
}

func TestTree(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{"37ff002c 00000001 00020385 01000982 0202030300000040 01086881 01abcd00" + " 4500001400000000000000000a0000010a000002", `G-PDU
  Message Type: 255
  Tunnel Endpoint Identifier: 0x00000001
  Sequence Number: 2
  N-PDU Number: 3
  Extension Headers
    PDU Session Container
      PDU Type: 0
      Paging Policy Presence (PPP): false
      Reflective QoS Indicator (RQI): false
      QoS Flow Identifier (QFI): 9
      content: 0009
    Long PDCP PDU Number: 131843
    UDP Port: 2152
    RAN Container: abcd
  T-PDU: 20 octets`},
		{"321a0023 00000000 00000000 10 00000007 85 0004 0a010203 e70004 83aa7e80 ff0004 28af 0102 c80001ff 01", `Error Indication
  Message Type: 26
  Tunnel Endpoint Identifier: 0x00000000
  Sequence Number: 0
  Tunnel Endpoint Identifier Data I: 0x00000007
  GTP-U Peer Address: 10.1.2.3
  Recovery Time Stamp: 1970-01-01T00:00:00Z
  Private Extension
    Extension Identifier: 10415
    Extension Value: 0102
  information element 200: ff
  malformed: 01`},
		{"321f0008 00000000 00000000 8d02 40c0", `Supported Extension Headers Notification
  Message Type: 31
  Tunnel Endpoint Identifier: 0x00000000
  Sequence Number: 0
  Extension Header Type List
    [0]: UDP Port
    [1]: PDCP PDU Number`},
		{"30fd0004 00000009 e6000101", `Tunnel Status
  Message Type: 253
  Tunnel Endpoint Identifier: 0x00000009
  GTP-U Tunnel Status Information
    SPOC (Start Pause Of Charging): true`},
		{"30020007 00000000 0e05 85000201 02", `Echo Response
  Message Type: 2
  Tunnel Endpoint Identifier: 0x00000000
  Recovery: 5
  GTP-U Peer Address: 0102`},
	} {
		m, err := gtpu.Parse(unhex(t, tc.in))
		if err != nil {
			t.Errorf("%s: %v", tc.in, err)
			continue
		}
		if got := (tree.View{Mask: true}).Text(gtpu.Tree(m)); got != tc.want {
			t.Errorf("%s:\n%s\nwant\n%s", tc.in, got, tc.want)
		}
	}
}

func TestAllTypesHaveNames(t *testing.T) {
	var names []string
	for _, typ := range messageTypes() {
		names = append(names, typ.String())
	}
	want := []string{"Echo Request", "Echo Response", "Supported Extension Headers Notification", "Error Indication", "End Marker", "Tunnel Status", "G-PDU"}
	if !slices.Equal(names, want) {
		t.Errorf("%q, want %q", names, want)
	}
}
