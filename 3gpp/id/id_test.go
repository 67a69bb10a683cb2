package id_test

import (
	"fmt"
	"strings"
	"testing"

	"campanile.network/3gpp/id"
)

func TestPLMN(t *testing.T) {
	for text, octets := range map[string][3]byte{
		"001/01":  {0x00, 0xf1, 0x10}, // as srsenb sends it
		"999/70":  {0x99, 0xf9, 0x07},
		"310/014": {0x13, 0x40, 0x10},
		"310/14":  {0x13, 0xf0, 0x41},
	} {
		p, err := id.ParsePLMN(text)
		if err != nil || p.String() != text || p.Octets() != octets {
			t.Errorf("%s: %v %x %v", text, p, p.Octets(), err)
		}
		q, err := id.DecodePLMN(octets)
		if err != nil || p != q {
			t.Errorf("%s decoded: %v %v", text, q, err)
		}
	}
	for _, bad := range []string{"", "1", "0010", "00x01", "0010112"} {
		if p, err := id.ParsePLMN(bad); err == nil {
			t.Errorf("%q taken as %v", bad, p)
		}
	}
	if p, err := id.DecodePLMN([3]byte{0x0a, 0xf1, 0x10}); err == nil {
		t.Errorf("digit A taken as %v", p)
	}
}

func TestIMSIIsMasked(t *testing.T) {
	i, err := id.ParseIMSI("001010123456780")
	if err != nil {
		t.Fatal(err)
	}
	text, _ := i.MarshalText()
	for _, shown := range []string{i.String(), fmt.Sprintf("%v %s", i, i), string(text)} {
		if strings.Contains(shown, "01234567") || !strings.HasPrefix(shown, "00101") {
			t.Errorf("shown as %q", shown)
		}
	}
	p, _ := id.ParsePLMN("00101")
	if i.Digits() != "001010123456780" || !i.HasPLMN(p) {
		t.Error("digits or PLMN lost")
	}
	for _, bad := range []string{"", "12345", "0010101234567800", "00101012345678a"} {
		if _, err := id.ParseIMSI(bad); err == nil {
			t.Errorf("%q taken", bad)
		}
	}
}

func TestGlobalENBID(t *testing.T) {
	for in, want := range map[string]string{
		"00101-0x19b":               "001/01-macro-0x19b",
		"001/01-macro-411":          "001/01-macro-0x19b",
		"999/70-long-macro-0x1abcd": "999/70-long-macro-0x1abcd",
		"999/70-home-0xfffffff":     "999/70-home-0xfffffff",
	} {
		g, err := id.ParseGlobalENBID(in)
		if err != nil || g.String() != want {
			t.Errorf("%s: %v %v", in, g, err)
		}
	}
	for _, bad := range []string{"", "001/01", "001/01-macro-0x100000", "001/01-short-macro-0x40000", "001/01-mega-1"} {
		if g, err := id.ParseGlobalENBID(bad); err == nil {
			t.Errorf("%q taken as %v", bad, g)
		}
	}
}

func TestAPN(t *testing.T) {
	a, err := id.ParseAPN("Internet.mnc001")
	if err != nil || a.String() != "internet.mnc001" {
		t.Fatal(a, err)
	}
	b, err := id.DecodeAPN(a.AppendTo(nil))
	if err != nil || a != b {
		t.Error(b, err)
	}
	for _, bad := range []string{"", ".", "a..b", "-a", "a b", strings.Repeat("a", 64), strings.Repeat("a.", 50) + "a"} {
		if _, err := id.ParseAPN(bad); err == nil {
			t.Errorf("%q taken", bad)
		}
	}
}

// What is nearly an identity does not reach the log whole, nor does a novel.
func TestMistakesAreMasked(t *testing.T) {
	for _, bad := range []string{"9997000000012345", "99970000001234x", strings.Repeat("9", 1<<20)} {
		_, err := id.ParseIMSI(bad)
		_, err2 := id.ParseMSISDN("+" + bad)
		for _, err := range []error{err, err2} {
			if err == nil || strings.Contains(err.Error(), bad[5:14]) || len(err.Error()) > 120 {
				t.Errorf("%d characters: %.200v", len(bad), err)
			}
		}
	}
}

// TestPrinted gives every type one form, and identities a masked one.
func TestPrinted(t *testing.T) {
	plmn, err := id.ParsePLMN("001/01")
	if err != nil {
		t.Fatal(err)
	}
	imei, err := id.ParseIMEI("356938035643809")
	if err != nil {
		t.Fatal(err)
	}
	number, err := id.ParseMSISDN("+15551234567")
	if err != nil {
		t.Fatal(err)
	}
	guti := id.GUTI{GUMMEI: id.GUMMEI{PLMN: plmn, Group: 0x8001, Code: 0x1a}, TMSI: 0xc0ffee01}
	for _, tc := range []struct {
		v    any
		want string
	}{
		{plmn, "001/01"}, {id.PLMN{}, "no PLMN"}, {imei, "35693803·······"}, {number, "155······67"},
		{guti, "001/01:8001:1a:c0ffee01"}, {guti.STMSI(), "1a:c0ffee01"}, {id.TEID(7), "0x00000007"},
		{id.TAI{PLMN: plmn, TAC: 7}, "001/01:7"}, {id.ECGI{PLMN: plmn, ECI: 0x19b01}, "001/01:0019b01"}, {id.CGI{PLMN: plmn, LAC: 0x3ef, CI: 10}, "001/01:03ef-000a"},
		{5 * id.Gbps, "5 Gbit/s"}, {1500 * id.Kbps, "1500 kbit/s"}, {2 * id.Mbps, "2 Mbit/s"}, {id.BitRate(1), "1 bit/s"},
		{id.SubscriberID{1, 0xab}, "01ab0000000000000000000000000000"},
	} {
		if got := fmt.Sprint(tc.v); got != tc.want {
			t.Errorf("%T: %s, want %s", tc.v, got, tc.want)
		}
	}
	if number.Digits() != "15551234567" || number.IsZero() || !(id.MSISDN{}).IsZero() || imei.Digits() != "356938035643809" {
		t.Error("digits lost")
	}
	if text, err := (id.SubscriberID{}).MarshalText(); err != nil || len(text) != 32 {
		t.Errorf("%s, %v", text, err)
	}
}

// TestRanges refuses what a field has no room for.
func TestRanges(t *testing.T) {
	for v := range 256 {
		if e, err := id.MakeEBI(uint8(v)); (err == nil) != (v >= 5 && v <= 15) || err == nil && int(e) != v {
			t.Errorf("EBI %d: %v, %v", v, e, err)
		}
	}
	if _, err := id.MakeECI(1<<28 - 1); err != nil {
		t.Error(err)
	}
	for name, err := range map[string]error{
		"ECI":         second(id.MakeECI(1 << 28)),
		"ECGI":        second(id.DecodeECGI([7]byte{0x00, 0xf1, 0x10, 0x10})),
		"ECGI's PLMN": second(id.DecodeECGI([7]byte{0xff, 0xff, 0xff})),
		"CGI's PLMN":  second(id.DecodeCGI([7]byte{0xff, 0xff, 0xff})),
		"eNB type":    second(id.MakeGlobalENBID(id.PLMN{}, 4, 0)),
		"long eNB id": second(id.ParseGlobalENBID("001/01-" + strings.Repeat("0", 40) + "1")),
		"long APN":    second(id.DecodeAPN(make([]byte, 101))),
		"IMEI":        second(id.ParseIMEI("1234567890123")),
		"PLMN":        second(id.ParsePLMN("0-0/101")),
	} {
		if err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	for name, p := range map[string]bool{"00101": true, "99999": true, "26201": false} {
		if v, err := id.ParsePLMN(name); err != nil || v.Test() != p {
			t.Errorf("%s: test network %v, %v", name, v.Test(), err)
		}
	}
	if !(id.IMSI{}).IsZero() || !(id.APN{}).IsZero() || (id.APN{}).AppendTo(nil) != nil {
		t.Error("nothing is something")
	}
}

func second[T any](_ T, err error) error { return err }
