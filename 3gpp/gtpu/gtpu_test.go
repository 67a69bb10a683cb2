package gtpu_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"campanile.network/3gpp/gtpu"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/internal/testkit"

	gogtp "github.com/wmnsk/go-gtp/gtpv1/message"
)

var unhex = testkit.Unhex

type extension struct {
	t gtpu.ExtensionType
	b string
}

func TestParse(t *testing.T) {
	for _, tc := range []struct {
		name, in string
		want     gtpu.Message
		ext      []extension
		err      error
	}{
		{"plain", "30ff0004 00000001 45000014", gtpu.Message{Type: gtpu.GPDU, TEID: 1, Payload: unhex(t, "45000014")}, nil, nil},
		{"octets behind the length", "30ff0001 deadbeef 45ffff", gtpu.Message{Type: gtpu.GPDU, TEID: 0xdeadbeef, Payload: unhex(t, "45")}, nil, nil},
		{"sequence", "32ff0005 00000001 12349900 45", gtpu.Message{Type: gtpu.GPDU, TEID: 1, HasSequence: true, Sequence: 0x1234, Payload: unhex(t, "45")}, nil, nil},
		{"N-PDU number", "31ff0005 00000001 12349900 45", gtpu.Message{Type: gtpu.GPDU, TEID: 1, HasNPDU: true, NPDU: 0x99, Payload: unhex(t, "45")}, nil, nil},
		{"next type without E", "32ff0005 00000001 123400c0 45", gtpu.Message{Type: gtpu.GPDU, TEID: 1, HasSequence: true, Sequence: 0x1234, Payload: unhex(t, "45")}, nil, nil},
		{"E without next type", "34ff0005 00000001 00000000 45", gtpu.Message{Type: gtpu.GPDU, TEID: 1, Payload: unhex(t, "45")}, nil, nil},
		{"two extensions", "34ff000d 00000001 000000c0 01abcd40 01086800 45",
			gtpu.Message{Type: gtpu.GPDU, TEID: 1, Payload: unhex(t, "45")}, []extension{{gtpu.PDCPNumber, "abcd"}, {gtpu.UDPPort, "0868"}}, nil},
		{"long extension", "34ff000c 00000001 00000082 02010203040506 00",
			gtpu.Message{Type: gtpu.GPDU, TEID: 1, Payload: []byte{}}, []extension{{gtpu.LongPDCPNumber, "010203040506"}}, nil},
		{"nothing", "", gtpu.Message{}, nil, gtpu.ErrShort},
		{"seven octets", "30ff0000 000000", gtpu.Message{}, nil, gtpu.ErrShort},
		{"version 2", "48ff0000 00000001", gtpu.Message{}, nil, gtpu.ErrVersion},
		{"version 0", "1eff0000 00000001", gtpu.Message{}, nil, gtpu.ErrVersion},
		{"GTP'", "20ff0000 00000001", gtpu.Message{}, nil, gtpu.ErrPrime},
		{"length beyond", "30ff0002 00000001 45", gtpu.Message{}, nil, gtpu.ErrLength},
		{"optional fields cut", "32ff0003 00000001 123400", gtpu.Message{}, nil, gtpu.ErrShort},
		{"extension of no length", "34ff0008 00000001 000000c0 00000000", gtpu.Message{}, nil, gtpu.ErrExtension},
		{"extension beyond", "34ff0008 00000001 000000c0 02000000", gtpu.Message{}, nil, gtpu.ErrExtension},
		{"chain without end", "34ff0008 00000001 000000c0 010000c0", gtpu.Message{}, nil, gtpu.ErrExtension},
		{"chain of nine", "34ff0028 00000001 000000c0" + strings.Repeat("010000c0", 8) + "01000000", gtpu.Message{}, nil, gtpu.ErrExtension},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m, err := gtpu.Parse(unhex(t, tc.in))
			if !errors.Is(err, tc.err) {
				t.Fatalf("%v, want %v", err, tc.err)
			}
			if err != nil {
				return
			}
			var ext []extension
			for typ, b := range m.Extensions {
				ext = append(ext, extension{typ, hex.EncodeToString(b)})
			}
			if m.Type != tc.want.Type || m.TEID != tc.want.TEID || m.HasSequence != tc.want.HasSequence || m.Sequence != tc.want.Sequence ||
				m.HasNPDU != tc.want.HasNPDU || m.NPDU != tc.want.NPDU || !bytes.Equal(m.Payload, tc.want.Payload) {
				t.Errorf("%+v, want %+v", m, tc.want)
			}
			if len(ext) != len(tc.ext) {
				t.Fatalf("extensions %v, want %v", ext, tc.ext)
			}
			for i := range ext {
				if ext[i] != tc.ext[i] {
					t.Errorf("extension %d %v, want %v", i, ext[i], tc.ext[i])
				}
			}
		})
	}
}

func TestBuildAndParse(t *testing.T) {
	local4, local6 := netip.MustParseAddr("10.1.2.3"), netip.MustParseAddr("2001:db8::1")
	for _, tc := range []struct {
		name string
		got  []byte
		want string
	}{
		{"G-PDU", gtpu.AppendGPDU(nil, 0x01020304, []byte{0x45, 0x99}), "30ff0002 01020304 4599"},
		{"Echo Request", gtpu.AppendEchoRequest(nil, 0xabcd), "32010004 00000000 abcd0000"},
		{"Echo Response", gtpu.AppendEchoResponse(nil, 0xabcd), "32020006 00000000 abcd0000 0e00"},
		{"Error Indication", gtpu.AppendErrorIndication(nil, 7, local4), "321a0010 00000000 00000000 10 00000007 85 0004 0a010203"},
		{"Error Indication, IPv6", gtpu.AppendErrorIndication(nil, 7, local6), "321a001c 00000000 00000000 10 00000007 85 0010 20010db8000000000000000000000001"},
		{"End Marker", gtpu.AppendEndMarker(nil, 9), "30fe0000 00000009"},
		{"Supported Extension Headers", gtpu.AppendSupportedHeaders(nil, gtpu.UDPPort, gtpu.PDCPNumber), "321f0008 00000000 00000000 8d02 40c0"},
	} {
		if !bytes.Equal(tc.got, unhex(t, tc.want)) {
			t.Errorf("%s: %x, want %s", tc.name, tc.got, tc.want)
		}
		if _, err := gtpu.Parse(tc.got); err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
		if m, err := gogtp.Parse(bytes.Clone(tc.got)); err != nil || m.MessageType() != tc.got[1] {
			t.Errorf("%s: go-gtp does not read it: %v", tc.name, err)
		}
	}
	for _, local := range []netip.Addr{local4, local6} {
		m, err := gtpu.Parse(gtpu.AppendErrorIndication(nil, 7, local))
		if err != nil {
			t.Fatal(err)
		}
		if teid, peer, err := gtpu.ErrorIndicationOf(m); teid != 7 || peer != local || err != nil {
			t.Errorf("Error Indication: %v, %v, %v", teid, peer, err)
		}
	}
	m, err := gtpu.Parse(gtpu.AppendSupportedHeaders(nil, gtpu.UDPPort, gtpu.PDCPNumber))
	if err != nil {
		t.Fatal(err)
	}
	if types, ok := m.HeaderTypes(); !ok || !bytes.Equal(types, []byte{0x40, 0xc0}) {
		t.Errorf("supported headers %x, %v", types, ok)
	}
}

func TestElementsMalformed(t *testing.T) {
	for _, in := range []string{
		"", "10000000", "1000000007", "85000401020304", "1000000007 850003010203", "1000000007 8500040a0102",
		"1000000007 8500", "0e", "63 01", "8d",
	} {
		m := gtpu.Message{Type: gtpu.ErrorIndication, Payload: unhex(t, in)}
		if _, _, err := gtpu.ErrorIndicationOf(m); !errors.Is(err, gtpu.ErrElement) {
			t.Errorf("Error Indication with %q: %v", in, err)
		}
	}
	// A private extension before and a recovery between do no harm.
	m := gtpu.Message{Payload: unhex(t, "ff0003000100 0e00 1000000007 8500040a010203")}
	if teid, _, err := gtpu.ErrorIndicationOf(m); teid != 7 || err != nil {
		t.Errorf("elements in between: %v, %v", teid, err)
	}
	for _, in := range []string{"", "8d", "8d02 40", "63"} {
		m := gtpu.Message{Type: gtpu.SupportedHeaders, Payload: unhex(t, in)}
		if types, ok := m.HeaderTypes(); ok || !errors.Is(m.Check(), gtpu.ErrElement) {
			t.Errorf("supported headers with %q: %x, %v", in, types, m.Check())
		}
	}
}

func TestExtensionsBuilt(t *testing.T) {
	m := gtpu.Message{Type: gtpu.GPDU, TEID: 5, Payload: []byte{0x45}}
	for i, e := range []extension{{gtpu.PDCPNumber, "abcd"}, {gtpu.LongPDCPNumber, "010203"}, {gtpu.ServiceClassIndicator, ""}} {
		if err := m.AddExtension(e.t, unhex(t, e.b)); err != nil {
			t.Fatalf("extension %d: %v", i, err)
		}
	}
	b, err := m.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := "34ff0015 00000005 000000c0 01abcd82 0201020300000020 01000000 45"; !bytes.Equal(b, unhex(t, want)) {
		t.Fatalf("%x, want %s", b, want)
	}
	if m, err = gtpu.Parse(b); err != nil {
		t.Fatal(err)
	}
	if x, must := m.Unknown(); x != gtpu.PDCPNumber || !must {
		t.Errorf("unknown %v, %v", x, must)
	}
	if x, must := m.Unknown(gtpu.PDCPNumber); x != gtpu.LongPDCPNumber || !must {
		t.Errorf("unknown %v, %v", x, must)
	}
	if x, must := m.Unknown(gtpu.PDCPNumber, gtpu.LongPDCPNumber); must {
		t.Errorf("unknown %v: the rest is optional", x)
	}
	for range gtpu.MaxExtensions - 3 {
		if err := m.AddExtension(gtpu.UDPPort, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.AddExtension(gtpu.UDPPort, nil); !errors.Is(err, gtpu.ErrExtension) {
		t.Errorf("one too many: %v", err)
	}
	m = gtpu.Message{}
	if err := m.AddExtension(gtpu.RANContainer, make([]byte, 1019)); !errors.Is(err, gtpu.ErrExtension) {
		t.Errorf("too long: %v", err)
	}
	if err := m.AddExtension(0, []byte{1, 2}); !errors.Is(err, gtpu.ErrExtension) { // 0 ends a chain
		t.Error(err)
	}
	if err := m.AddExtension(gtpu.RANContainer, make([]byte, 1018)); err != nil {
		t.Errorf("longest: %v", err)
	}
	m.Payload = make([]byte, 0xffff)
	if _, err := m.Append(nil); !errors.Is(err, gtpu.ErrLength) {
		t.Errorf("message too long: %v", err)
	}
}

func TestInnerLen(t *testing.T) {
	ip4 := "45 00 0016 0000 0000 4011 0000 0a000001 0a000002 abcd"
	ip6 := "60000000 0002 11 40" + strings.Repeat("00", 32) + "abcd"
	for _, tc := range []struct {
		name, in string
		want     int
	}{
		{"IPv4", ip4, 22},
		{"IPv4 with padding", ip4 + "0000", 22},
		{"IPv4 cut", ip4[:len(ip4)-2], 0},
		{"IPv4 header only", "45000014" + strings.Repeat("00", 16), 20},
		{"IPv4 with options", "46000018" + strings.Repeat("00", 20), 24},
		{"IPv4 options cut", "46000018" + strings.Repeat("00", 16), 0},
		{"IPv4 total below header", "46000014" + strings.Repeat("00", 20), 0},
		{"IPv4 header length 4", "44000014" + strings.Repeat("00", 16), 0},
		{"IPv6", ip6, 42},
		{"IPv6 with padding", ip6 + "00", 42},
		{"IPv6 cut", ip6[:len(ip6)-2], 0},
		{"IPv6 header cut", "60000000 0000 3b40", 0},
		{"IPv6 without payload", "60000000 0000 3b40" + strings.Repeat("00", 32), 40},
		{"IPv6 jumbogram", "60000000 0000 0040" + strings.Repeat("00", 32), 0},
		{"nothing", "", 0},
		{"version 5", "55000014" + strings.Repeat("00", 16), 0},
	} {
		got, err := gtpu.InnerLen(unhex(t, tc.in))
		if got != tc.want || (tc.want == 0) != errors.Is(err, gtpu.ErrInner) {
			t.Errorf("%s: %d, %v; want %d", tc.name, got, err, tc.want)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	in := unhex(t, "34ff000d 00000001 000000c0 01abcd40 01086800 45")
	buf, packet := make([]byte, 0, 2000), make([]byte, 1400)
	var h [gtpu.HeaderLen]byte
	if n := testing.AllocsPerRun(100, func() {
		m, err := gtpu.Parse(in)
		if err != nil {
			t.Fatal(err)
		}
		for range m.Extensions {
			h[0]++
		}
		if buf, err = m.Append(buf[:0]); err != nil {
			t.Fatal(err)
		}
		gtpu.PutHeader(&h, 1, 1400)
		buf = gtpu.AppendGPDU(buf[:0], id.TEID(1), packet)
		buf = gtpu.AppendEchoResponse(buf[:0], 1)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestTypesHaveNames(t *testing.T) {
	for typ, name := range map[gtpu.Type]string{gtpu.GPDU: "G-PDU", gtpu.EndMarker: "End Marker", 77: "message type 77"} {
		if typ.String() != name {
			t.Errorf("%d prints %q, want %q", uint8(typ), typ, name)
		}
	}
}
