package gsm7_test

import (
	"bytes"
	"encoding/hex"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/warthog618/sms/encoding/gsm7/charset"

	oracle "github.com/warthog618/sms/encoding/gsm7"

	"campanile.network/3gpp/gsm7"
	"campanile.network/3gpp/gsm7/internal/table"
)

// cell is a place in a table of somebody's.
type cell struct {
	who    string
	l      gsm7.Language
	single bool
	septet int
}

// dispute is a cell in which a stranger has another character than the table
// here, and why it is not followed.
type dispute struct {
	theirs uint16
	why    string
}

func disputes() map[cell]dispute {
	const (
		control = "CR2 is a control character without meaning"
		comma   = "the comma of all others; an apostrophe is in the single shift table"
		letter  = "the letter between U+0CA0 and U+0CA2; U+0CAA has its own place at 0x3D"
		nothing = "not a character of Unicode"
	)
	d := map[cell]dispute{
		{"warthog618/sms", gsm7.Hindi, false, 0x00}:     {0x0981, "Bengali's sign, not Devanagari's"},
		{"warthog618/sms", gsm7.Hindi, false, 0x01}:     {0x0982, "Bengali's sign, not Devanagari's"},
		{"warthog618/sms", gsm7.Hindi, false, 0x02}:     {0x0983, "Bengali's sign, not Devanagari's"},
		{"warthog618/sms", gsm7.Portuguese, true, 0x1f}: {0, "Ê is missing"},
		{"gsmcodecs", gsm7.Kannada, false, 0x24}:        {0x0caa, letter},
		{"gsmcodecs", gsm7.Telugu, true, 0x65}:          {0, "the euro sign is missing"},
		{"cyberchef", gsm7.Kannada, false, 0x24}:        {0x0caa, letter},
		{"cyberchef", gsm7.Tamil, false, 0x11}:          {0x0b91, nothing},
		{"cyberchef", gsm7.Telugu, false, 0x11}:         {0x0c11, nothing},
		{"cyberchef", gsm7.Telugu, true, 0x1c}:          {0x0ce6, "Kannada's digit"},
		{"cyberchef", gsm7.Oriya, true, 0x20}:           {0x0bea, "Tamil's digit"},
		{"cyberchef", gsm7.Portuguese, true, 0x05}:      {0, "ê is missing"},
	}
	for l := range gsm7.Language(14) {
		d[cell{"warthog618/sms", l, true, 0x0d}] = dispute{'\r', control}
		if l != gsm7.Default {
			d[cell{"cyberchef", l, true, 0x0d}] = dispute{'\r', control}
		}
		if l <= gsm7.Portuguese {
			d[cell{"warthog618/sms", l, true, 0x0d}] = dispute{'\n', control}
		} else {
			d[cell{"gsmcodecs", l, false, 0x2c}] = dispute{'\'', comma}
		}
	}
	return d
}

// TestTables holds every cell of every table against four strangers.
func TestTables(t *testing.T) {
	open, cells := disputes(), 0
	compare := func(who string, l gsm7.Language, single bool, septet int, theirs uint16) {
		cells++
		ours := table.Locking[l]
		if single {
			ours = table.Single[l]
		} else if ours == nil {
			ours = table.Locking[0]
		}
		if septet == table.Escape {
			return
		}
		at := cell{who, l, single, septet}
		if d, ok := open[at]; ok && d.theirs == theirs && ours[septet] != theirs {
			delete(open, at)
		} else if ours[septet] != theirs {
			t.Errorf("%s, %v, single %v, %#02x: %U, the table has %U", who, l, single, septet, theirs, ours[septet])
		}
	}
	for l := range gsm7.Language(14) {
		locking, single := charset.NewDecoder(int(l)), charset.NewExtDecoder(int(l))
		for i := range 128 {
			compare("warthog618/sms", l, false, i, uint16(locking[byte(i)]))
			compare("warthog618/sms", l, true, i, uint16(single[byte(i)]))
		}
	}
	for _, who := range []string{"gsmcodecs", "cyberchef", "perl"} {
		for line := range lines(t, "testdata/"+who+"-tables.txt") {
			f := strings.Fields(line)
			l, err := strconv.Atoi(f[0])
			if err != nil || len(f) != 2+128 {
				t.Fatalf("%s: %d fields, %v", who, len(f), err)
			}
			for i, c := range f[2:] {
				v, err := strconv.ParseUint(strings.ReplaceAll(c, "-", "0"), 16, 16)
				if err != nil {
					t.Fatal(err)
				}
				compare(who, gsm7.Language(l), f[1] == "single", i, uint16(v))
			}
		}
	}
	for at, d := range open {
		t.Errorf("no dispute: %+v, %s", at, d.why)
	}
	if want := 128 * (28 + 27 + 27 + 2); cells != want {
		t.Errorf("%d cells compared, want %d", cells, want)
	}
}

// lines gives the lines of a file that are no comment, without their ends.
func lines(t *testing.T, name string) func(func(string) bool) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return func(yield func(string) bool) {
		for line := range strings.Lines(string(text)) {
			if !strings.HasPrefix(line, "#") && !yield(strings.TrimSuffix(line, "\n")) {
				return
			}
		}
	}
}

// TestReverse reads every cell and writes it again: to itself, or to the lower
// of two places of one character.
func TestReverse(t *testing.T) {
	for l := range gsm7.Language(14) {
		for i := range 128 {
			for _, septets := range [][]byte{{byte(i)}, {gsm7.Escape, byte(i)}} {
				a := gsm7.Alphabet{Locking: l, Single: l}
				text := a.Text(septets)
				again, err := a.Append(nil, text)
				if err != nil || a.Text(again) != text || len(again) > len(septets) && i != gsm7.Escape {
					t.Errorf("%v %x: %q is written %x, %v", l, septets, text, again, err)
				}
				known := table.Locking[l]
				if known == nil {
					known = table.Locking[0]
				}
				if len(septets) == 1 && known[i] != 0 && i != gsm7.Escape && !bytes.Equal(again, septets) {
					t.Errorf("%v %x: %q is written %x", l, septets, text, again)
				}
			}
		}
	}
}

// TestPacking holds the bits against another packer.
func TestPacking(t *testing.T) {
	rnd := rand.New(rand.NewPCG(23, 38))
	for n := range 200 {
		septets := make([]byte, n)
		for i := range septets {
			septets[i] = byte(rnd.UintN(128))
		}
		for fill := range 7 {
			packed := gsm7.Pack(nil, septets, fill)
			if want := oracle.Pack7Bit(septets, fill); n > 0 && !bytes.Equal(packed, want) {
				t.Fatalf("%x behind %d bits: %x, want %x", septets, fill, packed, want)
			}
			if back, err := gsm7.Unpack(nil, packed, fill, n); err != nil || !bytes.Equal(back, septets) {
				t.Fatalf("%x behind %d bits came back as %x, %v", septets, fill, back, err)
			}
		}
	}
}

// TestPacked reads and writes what pycrate packed.
func TestPacked(t *testing.T) {
	count := 0
	for line := range lines(t, "testdata/pycrate-packed.txt") {
		count++
		f := strings.SplitN(line, " ", 3)
		fill, err := strconv.Atoi(f[0])
		if err != nil {
			t.Fatal(err)
		}
		want, err := hex.DecodeString(f[1])
		if err != nil {
			t.Fatal(err)
		}
		septets, err := gsm7.Alphabet{}.Append(nil, f[2])
		if err != nil {
			t.Fatal(err)
		}
		if fill == 0 {
			if got := gsm7.PackUSSD(nil, septets); !bytes.Equal(got, want) {
				t.Errorf("%q: %x, want %x", f[2], got, want)
			}
			if got := (gsm7.Alphabet{}).Text(gsm7.UnpackUSSD(nil, want)); got != f[2] {
				t.Errorf("%q is read as %q", f[2], got)
			}
			continue
		}
		got := gsm7.Pack(nil, septets, fill)
		if (len(want)*8-fill)%7 == 0 && len(septets) < (len(want)*8-fill)/7 {
			got[len(got)-1] |= '\r' << 1 // pycrate's own padding
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%q behind %d bits: %x, want %x", f[2], fill, got, want)
		}
	}
	if count != 60 {
		t.Errorf("%d texts", count)
	}
}
