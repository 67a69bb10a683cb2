package id_test

import (
	"strings"
	"testing"

	"campanile.network/3gpp/id"
)

// FuzzText wants of every parser of text that what it takes is written in one
// way, which is read as the same again, and that an identity stays out of errors.
func FuzzText(f *testing.F) {
	for _, s := range []string{
		"", "00101", "001/01", "001-01", "310/014", "001010123456780", "+15551234567", "356938035643809", "internet", "ims.mnc001.mcc001.gprs",
		"001/01-macro-0x19b", "00101-0x19b", "999/70-long-macro-0x1abcd", "a..b", "9997000000012345", "99970000001234x", "0-0/1",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if p, err := id.ParsePLMN(s); brief(t, err) {
			q, err := id.ParsePLMN(p.String())
			r, err2 := id.DecodePLMN(p.Octets())
			if err != nil || err2 != nil || q != p || r != p || p.IsZero() {
				t.Errorf("PLMN %q is %v, then %v %v, then %v %v", s, p, q, err, r, err2)
			}
		}
		if g, err := id.ParseGlobalENBID(s); brief(t, err) {
			if again, err := id.ParseGlobalENBID(g.String()); err != nil || again != g || g.ID>>g.Type.Bits() != 0 {
				t.Errorf("eNB id %q is %v, then %v, %v", s, g, again, err)
			}
		}
		if a, err := id.ParseAPN(s); brief(t, err) && a != id.AnyAPN {
			b, err := id.DecodeAPN(a.AppendTo(nil))
			if err != nil || b != a || !strings.EqualFold(a.String(), s) {
				t.Errorf("APN %q is %v, then %v, %v", s, a, b, err)
			}
		}
		imsi, err := id.ParseIMSI(s)
		if masked(t, s, 5, err) && imsi.Digits() != s || err == nil && strings.Contains(imsi.String(), s) {
			t.Errorf("IMSI %q became %q, shown as %v", s, imsi.Digits(), imsi)
		}
		imei, err := id.ParseIMEI(s)
		if masked(t, s, 8, err) && imei.Digits() != s || err == nil && strings.Contains(imei.String(), s) {
			t.Errorf("IMEI %q became %q, shown as %v", s, imei.Digits(), imei)
		}
		number, err := id.ParseMSISDN(s)
		if s := strings.TrimPrefix(s, "+"); masked(t, s, 5, err) && number.Digits() != s {
			t.Errorf("MSISDN %q became %q", s, number.Digits())
		}
	})
}

// masked reports whether s was taken; an error must not tell more than its first
// digits and how it ends.
func masked(t *testing.T, s string, head int, err error) bool {
	if brief(t, err) {
		return true
	}
	if len(s) > 9 && strings.Contains(err.Error(), s[:head+1]) && strings.Trim(s, "0123456789") == "" {
		t.Errorf("the error tells: %.200v", err)
	}
	return false
}

// brief reports whether there is no error; one must not be a novel.
func brief(t *testing.T, err error) bool {
	if err != nil && len(err.Error()) > 1000 {
		t.Errorf("an error of %d octets", len(err.Error()))
	}
	return err == nil
}

// FuzzDecode wants of every parser of octets that what it takes is the same
// when it is written and read again.
func FuzzDecode(f *testing.F) {
	f.Add([]byte("\x08internet"))
	f.Add([]byte("\x03ims\x06mnc001\x06mcc001\x04gprs"))
	f.Add([]byte("\x03a.b"))
	f.Add([]byte{0x00, 0xf1, 0x10, 0, 1, 0x9b, 1})
	f.Add([]byte{0x13, 0x40, 0x10, 0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{0x0a, 0xf1, 0x10})
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, err := id.DecodeAPN(b); err == nil {
			if out := a.AppendTo(nil); !strings.EqualFold(string(out), string(b)) {
				t.Errorf("APN %x became %x", b, out)
			}
		}
		if len(b) >= 3 {
			if p, err := id.DecodePLMN([3]byte(b)); err == nil && p.Octets() != [3]byte(b) {
				t.Errorf("PLMN %x became %x", b[:3], p.Octets())
			}
		}
		if len(b) >= 7 {
			if c, err := id.DecodeCGI([7]byte(b)); err == nil && c.Octets() != [7]byte(b) {
				t.Errorf("CGI %x is %v, then %x", b[:7], c, c.Octets())
			}
			if e, err := id.DecodeECGI([7]byte(b)); err == nil {
				if again, err := id.DecodeECGI(e.Octets()); err != nil || again != e {
					t.Errorf("ECGI %x is %v, then %v, %v", b[:7], e, again, err)
				}
			}
		}
	})
}
