package sms

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"campanile.network/3gpp/gsm7"
)

func TestSplit(t *testing.T) {
	ports := UDH{}.WithPorts(Ports{5000, 5001, true})
	for _, c := range []struct {
		name  string
		text  string
		o     SplitOptions
		parts int
		dcs   DCS
		last  uint8 // TP-User-Data-Length of the last part
	}{
		{"empty", "", SplitOptions{}, 1, DCS7Bit, 0},
		{"fits", strings.Repeat("a", 160), SplitOptions{}, 1, DCS7Bit, 160},
		{"one too many", strings.Repeat("a", 161), SplitOptions{}, 2, DCS7Bit, 7 + 8},
		{"two full parts", strings.Repeat("a", 306), SplitOptions{}, 2, DCS7Bit, 160},
		{"a wide reference takes a character", strings.Repeat("a", 306), SplitOptions{Wide: true}, 3, DCS7Bit, 8 + 2},
		{"80 escapes", strings.Repeat("€", 80), SplitOptions{}, 1, DCS7Bit, 160},
		{"an escape does not cross", strings.Repeat("a", 152) + strings.Repeat("€", 5), SplitOptions{}, 2, DCS7Bit, 7 + 10},
		{"UCS-2 fits", strings.Repeat("я", 70), SplitOptions{}, 1, DCSUCS2, 140},
		{"UCS-2 one too many", strings.Repeat("я", 71), SplitOptions{}, 2, DCSUCS2, 6 + 8},
		{"a surrogate pair does not cross", strings.Repeat("я", 66) + "🔔🔔🔔", SplitOptions{}, 2, DCSUCS2, 6 + 12},
		{"UCS-2 wanted", "a", SplitOptions{UCS2: true}, 1, DCSUCS2, 2},
		{"class", "a", SplitOptions{Class: Some(Class0)}, 1, 0x10, 1},
		{"ports", strings.Repeat("a", 153), SplitOptions{Header: ports}, 2, DCS7Bit, 14 + 7},
		{"Turkish not allowed", strings.Repeat("ğ", 100), SplitOptions{}, 2, DCSUCS2, 6 + 66},
		{"Turkish in one part", strings.Repeat("ğ", 100), SplitOptions{National: true}, 1, DCS7Bit, 105},
		{"a national table that saves nothing", strings.Repeat("a", 160), SplitOptions{National: true}, 1, DCS7Bit, 160},
		{"not UTF-8", "a\xff", SplitOptions{}, 1, DCSUCS2, 4},
	} {
		parts, err := Split(c.text, c.o)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		last := parts[len(parts)-1]
		if len(parts) != c.parts || last.DCS != c.dcs || last.User.Length != c.last {
			t.Errorf("%s: %d parts, the last %v of length %d", c.name, len(parts), last.DCS, last.User.Length)
		}
		checkParts(t, c.name, c.text, parts, c.o)
	}
}

// checkParts: the parts fit messages, are whole by themselves, and are the text.
func checkParts(t *testing.T, name, text string, parts []Part, o SplitOptions) {
	t.Helper()
	want := strings.ToValidUTF8(text, "\uFFFD")
	var alone strings.Builder
	for i, p := range parts {
		b, err := Append(nil, &Submit{Destination: must(NewAddress("1")), DCS: p.DCS, User: p.User})
		if err != nil {
			t.Errorf("%s: part %d: %v", name, i+1, err)
			return
		}
		back, err := Parse(Uplink, b)
		if err != nil || !back.(*Submit).Part().equal(p) {
			t.Errorf("%s: part %d: %v", name, i+1, err)
		}
		h, ok := p.User.Header()
		c, several := h.Concatenation()
		if !ok || several != (len(parts) > 1) || several && (int(c.Total) != len(parts) || int(c.Number) != i+1 || c.Wide != o.Wide) {
			t.Errorf("%s: part %d: %+v", name, i+1, c)
		}
		for iei, data := range o.Header.All() {
			if got, ok := h.Get(iei); !ok || string(got) != string(data) {
				t.Errorf("%s: part %d without %v", name, i+1, iei)
			}
		}
		s, err := p.User.Text(p.DCS)
		if err != nil {
			t.Errorf("%s: part %d: %v", name, i+1, err)
		}
		alone.WriteString(s)
	}
	if alone.String() != want {
		t.Errorf("%s: the parts one by one are %q, want %q", name, alone.String(), want)
	}
	if got, err := Join(parts); err != nil || got != want {
		t.Errorf("%s: joined %q, %v, want %q", name, got, err, want)
	}
}

func TestSplitFails(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		o    SplitOptions
	}{
		"256 parts":          {strings.Repeat("a", 255*153+1), SplitOptions{}},
		"256 parts of UCS-2": {strings.Repeat("я", 255*67+1), SplitOptions{}},
		"no room":            {"a", SplitOptions{Header: UDH{}.With(0x70, make([]byte, 137)...)}},
		"no room in parts":   {strings.Repeat("a", 100), SplitOptions{Header: UDH{}.With(0x70, make([]byte, 133)...)}},
		"broken header":      {"a", SplitOptions{Header: UDH{1}}},
	} {
		if parts, err := Split(c.text, c.o); err == nil {
			t.Errorf("%s: %d parts", name, len(parts))
		}
	}
	if parts, err := Split(strings.Repeat("a", 255*153), SplitOptions{}); err != nil || len(parts) != 255 {
		t.Errorf("255 parts: %d, %v", len(parts), err)
	}
}

func TestSplitData(t *testing.T) {
	for n := range 500 {
		data := newGen(uint64(n)).octets(n)
		parts, err := SplitData(data, SplitOptions{Reference: 300, Wide: n%2 == 0, Header: UDH{}.WithPorts(Ports{1, 2, true})})
		if err != nil {
			t.Fatal(err)
		}
		if back, err := JoinData(parts); err != nil || string(back) != string(data) {
			t.Errorf("%d octets in %d parts: %v", n, len(parts), err)
		}
		if _, err := Join(parts); !errors.Is(err, errNoText) {
			t.Errorf("data has a text: %v", err)
		}
	}
}

// TestSplitNational: random texts of every national table.
func TestSplitNational(t *testing.T) {
	g := newGen(1)
	for l := gsm7.Turkish; l <= gsm7.Urdu; l++ {
		a := gsm7.Alphabet{Locking: l, Single: l}
		septets := make([]byte, 400)
		for round := range 50 {
			for i := range septets {
				septets[i] = g.octet() & 0x7f
			}
			text := a.Text(septets[:g.IntN(len(septets))])
			parts, err := Split(text, SplitOptions{National: true, Wide: round%2 == 0})
			if err != nil {
				t.Fatal(err)
			}
			checkParts(t, text, text, parts, SplitOptions{Wide: round%2 == 0})
		}
	}
}

// TestJoinHealsCuts: parts that another sender has cut within a surrogate pair
// or an escape sequence.
func TestJoinHealsCuts(t *testing.T) {
	half := func(n uint8) UDH { return UDH{}.WithConcatenation(Concatenation{5, false, 2, n}) }
	ucs2 := []Part{{DCSUCS2, must(New8Bit(half(1), unhex(t, "0041d83d")))}, {DCSUCS2, must(New8Bit(half(2), unhex(t, "dd140042")))}}
	if got, err := Join(ucs2); got != "A\U0001F514B" || err != nil {
		t.Errorf("%q %v", got, err)
	}
	septets := []Part{{DCS7Bit, must(packSeptets(half(1), []byte{'a', gsm7.Escape}))}, {DCS7Bit, must(packSeptets(half(2), []byte{'e', 'b'}))}}
	if got, err := Join(septets); got != "a€b" || err != nil {
		t.Errorf("%q %v", got, err)
	}
	mixed := []Part{ucs2[1], {DCS7Bit, must(New7Bit(half(1), gsm7.Alphabet{}, "a"))}}
	if got, err := Join(mixed); got != "a\uFFFDB" || err != nil {
		t.Errorf("%q %v", got, err)
	}
}

func TestJoin(t *testing.T) {
	text := strings.Repeat("The quick brown fox. ", 30)
	parts := must(Split(text, SplitOptions{Reference: 9}))
	r := rand.New(rand.NewPCG(1, 1))
	for range 50 {
		mixed := append(parts[:len(parts):len(parts)], parts[r.IntN(len(parts))])
		r.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
		if got, err := Join(mixed); err != nil || got != text {
			t.Fatalf("%v", err)
		}
	}
	other := must(Split(strings.ToUpper(text), SplitOptions{Reference: 9}))
	single := must(Split("one", SplitOptions{}))
	for want, wrong := range map[string][]Part{
		"part 2 of 5 is missing":      {parts[0], parts[2]},
		"part 5 of 5 is missing":      parts[:4],
		"part 1 of 5 is missing":      parts[1:],
		"parts of different messages": {parts[0], must(Split(text, SplitOptions{Reference: 8}))[1]},
		"two different parts 1 of 5":  {parts[0], parts[1], parts[2], parts[3], parts[4], other[0]},
		"belongs to no message":       {single[0], parts[0]},
		"of different messages":       {parts[0], single[0]},
		"no parts":                    nil,
		"two different parts 3 of 5":  append([]Part{other[2]}, parts...),
	} {
		if got, err := Join(wrong); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q, %v", want, got, err)
		}
	}
	if got, err := Join(single); got != "one" || err != nil {
		t.Error(got, err)
	}
}

// FuzzSplitJoin: what is split is joined to the same text, each part fits a
// message and is a text by itself.
func FuzzSplitJoin(f *testing.F) {
	for _, s := range []string{"", "hello", strings.Repeat("€", 200), strings.Repeat("я🔔", 60), strings.Repeat("ğŞı ", 60), strings.Repeat("नमस्ते", 40), "a\xffb"} {
		f.Add(s, uint16(300), true, true, false)
		f.Add(s, uint16(7), false, false, true)
	}
	f.Fuzz(func(t *testing.T, s string, reference uint16, wide, national, ucs2 bool) {
		o := SplitOptions{Reference: reference, Wide: wide, National: national, UCS2: ucs2}
		parts, err := Split(s, o)
		if err != nil {
			if utf8.RuneCountInString(s) < 255*33 {
				t.Fatalf("%q: %v", s, err)
			}
			return
		}
		checkParts(t, "fuzz", s, parts, o)
	})
}
