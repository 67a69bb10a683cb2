package s1ap_test

import (
	"fmt"
	"net/netip"
	"testing"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
)

// S1AP and NAS order the digits of a long MNC otherwise. The first octets are
// what a public network with MCC 310 and MNC 410 broadcast to an iPhone 6
// (testdata/iphone6-volte-pcapr.txt: its TAI in S1AP, and in NAS).
func TestDigitsOfPLMN(t *testing.T) {
	for _, c := range []struct {
		plmn      string
		s1ap, nas [3]byte
	}{
		{"310/410", [3]byte{0x13, 0x40, 0x01}, [3]byte{0x13, 0x00, 0x14}},
		{"123/456", [3]byte{0x21, 0x43, 0x65}, [3]byte{0x21, 0x63, 0x54}},
		{"123/45", [3]byte{0x21, 0xf3, 0x54}, [3]byte{0x21, 0xf3, 0x54}},
	} {
		p, err := id.ParsePLMN(c.plmn)
		if err != nil {
			t.Fatal(err)
		}
		if v := s1ap.FromPLMN(p); v != c.s1ap || p.Octets() != c.nas {
			t.Errorf("%s: %x in S1AP, want %x; %x in NAS, want %x", c.plmn, v, c.s1ap, p.Octets(), c.nas)
		}
		if back, err := s1ap.PLMNidentity(c.s1ap).ID(); err != nil || back != p {
			t.Errorf("%x is %v (%v), want %s", c.s1ap, back, err, c.plmn)
		}
	}
	for _, broken := range []s1ap.PLMNidentity{{0x1a, 0x40, 0x01}, {0x13, 0xa0, 0x01}, {0x13, 0x40, 0x0a}, {0x13, 0x40, 0xa0}, {0x13, 0x40, 0xf1}} {
		if p, err := broken.ID(); err == nil {
			t.Errorf("%x was read as %v", broken, p)
		}
	}
}

func TestIdentifiersThereAndBack(t *testing.T) {
	p, err := id.ParsePLMN("999/70")
	if err != nil {
		t.Fatal(err)
	}
	for kind := id.MacroENB; kind <= id.LongMacroENB; kind++ {
		g, err := id.MakeGlobalENBID(p, kind, 0x19b)
		if err != nil {
			t.Fatal(err)
		}
		v := s1ap.FromGlobalENBID(g)
		if back, err := v.ID(); err != nil || back != g {
			t.Errorf("%v: %v %v", g, back, err)
		}
	}
	tai := id.TAI{PLMN: p, TAC: 0x1234}
	v := s1ap.FromTAI(tai)
	if back, err := v.ID(); err != nil || back != tai || v.TAC != (s1ap.TAC{0x12, 0x34}) {
		t.Errorf("%v %v %v", v, back, err)
	}
	cell := id.ECGI{PLMN: p, ECI: 0xabcdef1}
	c := s1ap.FromECGI(cell)
	if back, err := c.ID(); err != nil || back != cell {
		t.Errorf("%v %v %v", c, back, err)
	}
	mme := id.GUMMEI{PLMN: p, Group: 0x8001, Code: 7}
	m := s1ap.FromGUMMEI(mme)
	if back, err := m.ID(); err != nil || back != mme {
		t.Errorf("%v %v %v", m, back, err)
	}
	for digits, want := range map[string]string{"001010000000001": "00010100000000f1", "26207123456789": "62021732547698"} {
		imsi, err := id.ParseIMSI(digits)
		if got := fmt.Sprintf("%x", []byte(s1ap.FromIMSI(imsi))); err != nil || got != want {
			t.Errorf("IMSI %s: %s, want %s", digits, got, want)
		}
	}
	if s := (id.STMSI{Code: 3, TMSI: 0x01020304}); s1ap.FromSTMSI(s).ID() != s {
		t.Error("S-TMSI")
	}
	if s1ap.FromTEID(0x01020304).ID() != 0x01020304 {
		t.Error("TEID")
	}
	for _, text := range []string{"10.1.2.3", "2001:db8::1"} {
		a := netip.MustParseAddr(text)
		if back, err := s1ap.FromAddr(a).Addr(); err != nil || back != a {
			t.Errorf("%v: %v %v", a, back, err)
		}
	}
	both := s1ap.TransportLayerAddress{Bytes: append(netip.MustParseAddr("10.1.2.3").AsSlice(), make([]byte, 16)...), Len: 160}
	if a, err := both.Addr(); err != nil || a.String() != "10.1.2.3" {
		t.Errorf("both families: %v %v", a, err)
	}
	for _, bad := range []s1ap.TransportLayerAddress{{}, {Bytes: []byte{1}, Len: 8}, {Bytes: []byte{1}, Len: 32}} {
		if a, err := bad.Addr(); err == nil {
			t.Errorf("%v read as %v", bad, a)
		}
	}
	if _, err := new(s1ap.GlobalENBID).ID(); err == nil {
		t.Error("no kind of eNB id, and no error")
	}
}
