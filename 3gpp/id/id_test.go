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

func FuzzDecode(f *testing.F) {
	f.Add([]byte("\x08internet"), []byte{0x00, 0xf1, 0x10, 0, 1, 0x9b, 1})
	f.Fuzz(func(t *testing.T, apn, ecgi []byte) {
		if a, err := id.DecodeAPN(apn); err == nil {
			if b, err := id.DecodeAPN(a.AppendTo(nil)); err != nil || a != b {
				t.Errorf("%q then %q: %v", a, b, err)
			}
		}
		if len(ecgi) == 7 {
			if e, err := id.DecodeECGI([7]byte(ecgi)); err == nil {
				if g, err := id.DecodeECGI(e.Octets()); err != nil || g != e {
					t.Errorf("%v then %v: %v", e, g, err)
				}
			}
		}
	})
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
