package gsm7_test

import (
	"bytes"
	"testing"
	"unicode/utf8"

	"campanile.network/3gpp/gsm7"
)

// FuzzText wants that a text which an alphabet takes comes back, and that Choose
// agrees with Append.
func FuzzText(f *testing.F) {
	for _, s := range []string{"", "hellohello", "@£€\n", "ığ", "¿Qué pasó?", "João", "বাংলা", "हिन्दी", "اردو", "中", "a\xffb", "\x1b"} {
		f.Add(s, uint8(0), uint8(0))
		f.Add(s, uint8(1), uint8(2))
		f.Add(s, uint8(6), uint8(6))
	}
	f.Fuzz(func(t *testing.T, s string, locking, single uint8) {
		a := gsm7.Alphabet{Locking: gsm7.Language(locking), Single: gsm7.Language(single)}
		septets, err := a.Append(nil, s)
		if err == nil && a.Text(septets) != s {
			t.Fatalf("%v: %q became %q", a, s, a.Text(septets))
		}
		n := 0
		for _, r := range s {
			if n += a.Septets(r); a.Septets(r) == 0 != (err != nil) && err == nil {
				t.Fatalf("%v: %q was written, but %q is not in it", a, s, r)
			}
		}
		if err == nil && n != len(septets) {
			t.Fatalf("%v: %q has %d septets, %d were counted", a, s, len(septets), n)
		}
		best, ok := gsm7.Choose(s)
		if err == nil && !ok {
			t.Fatalf("%q: Choose found nothing, %v has it", s, a)
		}
		if _, err := best.Append(nil, s); ok != (err == nil) {
			t.Fatalf("%q: Choose gave %v, %v; writing: %v", s, best, ok, err)
		}
	})
}

// FuzzSeptets wants that any octets unpack, read as text and pack again.
func FuzzSeptets(f *testing.F) {
	f.Add([]byte("\xe8\x32\x9b\xfd\x46\x97\xd9\xec\x37"), uint8(0), uint8(0), uint8(10))
	f.Add([]byte("\x9b\xf4\xe6\x0c"), uint8(3), uint8(1), uint8(4))
	f.Add([]byte("\x31\xd9\x8c\x56\xb3\xdd\x1a\x0d"), uint8(0), uint8(13), uint8(9))
	f.Add([]byte{}, uint8(6), uint8(2), uint8(0))
	f.Fuzz(func(t *testing.T, packed []byte, fill, language, n uint8) {
		a := gsm7.Alphabet{Locking: gsm7.Language(language), Single: gsm7.Language(language)}
		septets, err := gsm7.Unpack(nil, packed, int(fill), int(n))
		if err == nil {
			if len(septets) != int(n) {
				t.Fatalf("%d septets, want %d", len(septets), n)
			}
			again := gsm7.Pack(nil, septets, int(fill))
			if back, err := gsm7.Unpack(nil, again, int(fill), int(n)); err != nil || !bytes.Equal(back, septets) {
				t.Fatalf("%x behind %d bits became %x: %x, %v", septets, fill, again, back, err)
			}
		}
		for _, septets := range [][]byte{septets, packed, gsm7.UnpackUSSD(nil, packed), gsm7.UnpackPage(nil, packed)} {
			text := a.Text(septets)
			if !utf8.ValidString(text) || utf8.RuneCountInString(text) > len(septets) {
				t.Fatalf("%v: %x is read as %q", a, septets, text)
			}
			if _, err := a.Append(nil, text); err != nil {
				t.Fatalf("%v: %q of %x: %v", a, text, septets, err)
			}
		}
		ussd := gsm7.UnpackUSSD(nil, packed)
		if again := gsm7.UnpackUSSD(nil, gsm7.PackUSSD(nil, ussd)); !bytes.Equal(bytes.TrimRight(again, "\r"), bytes.TrimRight(ussd, "\r")) {
			t.Fatalf("USSD %x became %x", ussd, again)
		}
	})
}
