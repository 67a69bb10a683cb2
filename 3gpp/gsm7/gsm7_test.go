package gsm7_test

import (
	"bytes"
	"strings"
	"testing"

	"campanile.network/3gpp/gsm7"
)

// TestAppend writes and reads texts whose octets are well known.
func TestAppend(t *testing.T) {
	for _, tc := range []struct {
		a       gsm7.Alphabet
		text    string
		septets string
		packed  string
	}{
		{gsm7.Alphabet{}, "hellohello", "hellohello", "\xe8\x32\x9b\xfd\x46\x97\xd9\xec\x37"},
		{gsm7.Alphabet{}, "@£€\n", "\x00\x01\x1b\x65\x0a", "\x80\xc0\xa6\xac\x00"},
		{gsm7.Alphabet{Single: gsm7.Turkish}, "ığ", "\x1b\x69\x1b\x67", "\x9b\xf4\xe6\x0c"},
		{gsm7.Alphabet{Locking: gsm7.Turkish}, "ığ", "\x07\x0c", "\x07\x06"},
		{gsm7.Alphabet{}, "", "", ""},
	} {
		septets, err := tc.a.Append(nil, tc.text)
		if err != nil || string(septets) != tc.septets {
			t.Errorf("%q: %x, %v; want %x", tc.text, septets, err, tc.septets)
		}
		if got := gsm7.Pack(nil, septets, 0); string(got) != tc.packed {
			t.Errorf("%q: packed %x, want %x", tc.text, got, tc.packed)
		}
		back, err := gsm7.Unpack(nil, []byte(tc.packed), 0, len(tc.septets))
		if err != nil || string(back) != tc.septets {
			t.Errorf("%q: unpacked %x, %v", tc.text, back, err)
		}
		if got := tc.a.Text(back); got != tc.text {
			t.Errorf("%q came back as %q", tc.text, got)
		}
	}
}

func TestAppendRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"né中":         "gsm7: U+4E2D at octet 3 of the text is not in the alphabet",
		"a\xffb":      "gsm7: U+FFFD at octet 1 of the text is not in the alphabet",
		"\x1b":        "gsm7: U+001B at octet 0 of the text is not in the alphabet",
		"\x00":        "gsm7: U+0000 at octet 0 of the text is not in the alphabet",
		"x\U0001f514": "gsm7: U+1F514 at octet 1 of the text is not in the alphabet",
	} {
		got, err := gsm7.Alphabet{}.Append([]byte("dst"), text)
		if err == nil || err.Error() != want || string(got) != "dst" {
			t.Errorf("%q: %q, %v; want %s", text, got, err, want)
		}
	}
}

// TestText reads what the specification gives no character for.
func TestText(t *testing.T) {
	for _, tc := range []struct {
		a             gsm7.Alphabet
		septets, want string
	}{
		{gsm7.Alphabet{}, "a\x1bAb", "aAb"},                          // not in the extension table: the default alphabet's
		{gsm7.Alphabet{}, "a\x1b\x1be", "a e"},                       // reserved for another extension table
		{gsm7.Alphabet{}, "a\x1b", "a "},                             // nothing behind the escape
		{gsm7.Alphabet{}, "\x1b\x0dx", "\rx"},                        // a control character
		{gsm7.Alphabet{}, "\xe1", "a"},                               // bit 8 means nothing
		{gsm7.Alphabet{Locking: gsm7.Turkish}, "\x1b\x07", "ı"},      // the locking table's, not the default's
		{gsm7.Alphabet{Locking: gsm7.Bengali}, "\x0c\x1b\x0c", "  "}, // an empty cell
		{gsm7.Alphabet{Locking: gsm7.Spanish, Single: gsm7.Spanish}, "\x09\x1b\x09", "Çç"},
		{gsm7.Alphabet{Locking: 14, Single: 200}, "\x09\x1b\x65", "Ç€"}, // reserved: the default's
	} {
		if got := tc.a.Text([]byte(tc.septets)); got != tc.want {
			t.Errorf("%v %x: %q, want %q", tc.a, tc.septets, got, tc.want)
		}
	}
}

func TestSeptets(t *testing.T) {
	for r, want := range map[rune]int{'a': 1, '€': 2, '中': 0, 'ğ': 0, -1: 0, 0x10ffff: 0, 0x1b: 0} {
		if got := (gsm7.Alphabet{}).Septets(r); got != want {
			t.Errorf("%U: %d septets, want %d", r, got, want)
		}
	}
	if got := (gsm7.Alphabet{Locking: gsm7.Turkish}).Septets('ğ'); got != 1 {
		t.Errorf("ğ under the Turkish locking table: %d septets", got)
	}
}

func TestLanguages(t *testing.T) {
	for l, want := range map[gsm7.Language]string{gsm7.Default: "default", gsm7.Turkish: "Turkish", gsm7.Urdu: "Urdu", 14: "reserved (14)"} {
		if l.String() != want {
			t.Errorf("%d is %v, want %s", uint8(l), l, want)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	buf, octets := make([]byte, 0, 600), make([]byte, 0, 200)
	a := gsm7.Alphabet{Locking: gsm7.Tamil, Single: gsm7.Tamil}
	text := strings.Repeat("தமிழ் [", 8)
	if n := testing.AllocsPerRun(100, func() {
		var err error
		if buf, err = a.Append(buf[:0], text); err != nil {
			t.Fatal(err)
		}
		n := len(buf)
		octets = gsm7.Pack(octets[:0], buf, 3)
		if buf, err = gsm7.Unpack(buf[:0], octets, 3, n); err != nil {
			t.Fatal(err)
		}
		octets = append(octets[:0], buf...)
		buf = a.AppendText(buf[:0], octets)
		gsm7.Choose(text)
	}); n != 0 || string(buf) != text {
		t.Errorf("%v allocations, %q", n, buf)
	}
}

func TestFill(t *testing.T) {
	for octets, want := range map[int]int{0: 0, 1: 6, 4: 3, 5: 2, 6: 1, 7: 0, 8: 6, 140: 0} {
		if got := gsm7.Fill(octets); got != want || (octets*8+got)%7 != 0 {
			t.Errorf("%d octets: %d fill bits, want %d", octets, got, want)
		}
	}
}

func TestUnpackRefuses(t *testing.T) {
	for _, tc := range []struct{ octets, fill, n int }{{0, 0, 1}, {7, 0, 9}, {7, 1, 8}, {1, 2, 1}, {0, 1, 0}, {1, -1, 1}, {1, 0, -1}} {
		if got, err := gsm7.Unpack([]byte("x"), make([]byte, tc.octets), tc.fill, tc.n); err == nil || string(got) != "x" {
			t.Errorf("%+v: %x, %v", tc, got, err)
		}
	}
}

func TestUSSD(t *testing.T) {
	for _, tc := range []struct{ in, packed, out string }{
		{"1234567", "\x31\xd9\x8c\x56\xb3\xdd\x1a", "1234567"},           // the last seven bits are a carriage return
		{"1234567\r", "\x31\xd9\x8c\x56\xb3\xdd\x1a\x0d", "1234567\r\r"}, // a wanted one gets a second
		{"1234567@", "\x31\xd9\x8c\x56\xb3\xdd\x00", "1234567@"},         // an @ stays
		{"*101#", "\xaa\x18\x2c\x36\x02", "*101#"},
		{"", "", ""},
	} {
		septets, err := gsm7.Alphabet{}.Append(nil, tc.in)
		if err != nil {
			t.Fatal(err)
		}
		packed := gsm7.PackUSSD([]byte("x"), septets)
		if string(packed) != "x"+tc.packed {
			t.Errorf("%q: %x, want %x", tc.in, packed[1:], tc.packed)
		}
		if got := (gsm7.Alphabet{}).Text(gsm7.UnpackUSSD(nil, packed[1:])); got != tc.out {
			t.Errorf("%q: read %q, want %q", tc.in, got, tc.out)
		}
	}
}

func TestPage(t *testing.T) {
	page, err := gsm7.PackPage(nil, []byte("Campanile"))
	if err != nil || len(page) != gsm7.PageOctets {
		t.Fatalf("%d octets, %v", len(page), err)
	}
	all, err := gsm7.Unpack(nil, page, 0, gsm7.PageSeptets)
	if err != nil || string(all) != "Campanile"+strings.Repeat("\r", 84) {
		t.Errorf("the page is %q, %v", all, err)
	}
	if got := gsm7.UnpackPage(nil, page); string(got) != "Campanile" {
		t.Errorf("read %q", got)
	}
	if got := gsm7.UnpackPage([]byte("\r"), page[:4]); string(got) != "\rCamp" {
		t.Errorf("short page: %q", got)
	}
	full := bytes.Repeat([]byte("a"), gsm7.PageSeptets)
	if page, err = gsm7.PackPage(nil, full); err != nil || !bytes.Equal(gsm7.UnpackPage(nil, append(page, 1, 2, 3)), full) {
		t.Errorf("full page: %x, %v", page, err)
	}
	if _, err = gsm7.PackPage(nil, append(full, 'a')); err == nil {
		t.Error("94 septets were packed")
	}
}

// TestChoose holds Choose against trying everything.
func TestChoose(t *testing.T) {
	for _, text := range []string{
		"", "plain", "a € [b]", "[[[[[", "[[[[[[", "ğ", "ışığı", "Ağır €", "año", "¿Qué pasó, José?", "João, não!", "ÇçÇç", "中",
		"বাংলা", "ગુજરાતી", "हिन्दी", "ಕನ್ನಡ", "മലയാളം", "ଓଡ଼ିଆ", "ਪੰਜਾਬੀ", "தமிழ்", "తెలుగు", "اردو", "١", "हिन्दी ০", "हिन्दी中",
		strings.Repeat("ç", 3), strings.Repeat("ç", 20), "ठीक है. Call me @ 5 [ok]",
	} {
		var want gsm7.Alphabet
		least, found := 0, false
		for l := range gsm7.Language(14) {
			for s := range gsm7.Language(14) {
				a := gsm7.Alphabet{Locking: l, Single: s}
				septets, err := a.Append(nil, text)
				header := 0
				if l != 0 {
					header += 3
				}
				if s != 0 {
					header += 3
				}
				if header > 0 {
					header++
				}
				n := len(septets) + (header*8+6)/7
				if err == nil && l != gsm7.Spanish && (!found || n < least) {
					want, least, found = a, n, true
				}
			}
		}
		if got, ok := gsm7.Choose(text); got != want || ok != found {
			t.Errorf("%q: %v, %v; want %v, %v", text, got, ok, want, found)
		}
	}
}
