package kasumi

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"testing"

	"campanile.network/3gpp/internal/testkit"
	"campanile.network/3gpp/secret"
)

var unhex = testkit.Unhex

var number = testkit.Number

// published is the list of the test sets, clause by clause; one that is missing
// in testdata fails the test. TS 35.204 (design conformance) was not to be had
// but for what others publish of it. What a stranger computes follows.
var published = []struct {
	clause, file, kind string
	sets               int
	check              func(*testing.T, []string)
}{
	{"TS 35.203 KASUMI", "ts35203-kasumi.txt", "KASUMI", 4, checkKASUMI},
	{"TS 35.203 f8", "ts35203-kasumi.txt", "F8", 5, checkF8},
	{"TS 35.203 f9", "ts35203-kasumi.txt", "F9", 5, checkF9},
	{"3GPP by Intel, f9", "ts35203-kasumi.txt", "F9x", 5, checkF9},
	{"CryptoMobile, f8", "cryptomobile-kasumi.txt", "F8", 200, checkF8},
	{"CryptoMobile, f9", "cryptomobile-kasumi.txt", "F9", 200, checkF9},
}

func TestPublishedSets(t *testing.T) {
	for _, p := range published {
		seen := map[string]bool{}
		for _, f := range testkit.Rows(t, "testdata/"+p.file) {
			if f[0] != p.kind {
				continue
			}
			seen[f[1]] = true
			t.Run(p.clause+" set "+f[1], func(t *testing.T) { p.check(t, f) })
		}
		for n := 1; n <= p.sets; n++ {
			if !seen[strconv.Itoa(n)] {
				t.Errorf("%s: test set %d is missing", p.clause, n)
			}
		}
		if len(seen) != p.sets {
			t.Errorf("%s: %d test sets, want %d", p.clause, len(seen), p.sets)
		}
	}
}

func checkKASUMI(t *testing.T, f []string) {
	c := New(secret.Key128(unhex(t, f[2])))
	x := binary.BigEndian.Uint64(unhex(t, f[4]))
	for range number(t, f[3], 10) {
		x = c.Encrypt(x)
	}
	if want := binary.BigEndian.Uint64(unhex(t, f[5])); x != want {
		t.Errorf("%x, want %x", x, want)
	}
}

func checkF8(t *testing.T, f []string) {
	count, bearer, dir := uint32(number(t, f[3], 16)), uint8(number(t, f[4], 10)), Direction(number(t, f[5], 10))
	n, text, want := int(number(t, f[6], 10)), unhex(t, f[7]), unhex(t, f[8])
	u, got := NewUEA1(secret.Key128(unhex(t, f[2]))), bytes.Clone(text)
	u.ApplyBits(count, bearer, dir, got, n)
	if !bytes.Equal(got, want) {
		t.Fatalf("ciphered\n%x, want\n%x", got, want)
	}
	if u.ApplyBits(count, bearer, dir, got, n); !bytes.Equal(got, text) {
		t.Errorf("deciphered\n%x, want\n%x", got, text)
	}
}

func checkF9(t *testing.T, f []string) {
	count, fresh, dir := uint32(number(t, f[3], 16)), uint32(number(t, f[4], 16)), Direction(number(t, f[5], 10))
	n, text, want := int(number(t, f[6], 10)), unhex(t, f[7]), unhex(t, f[8])
	u := NewUIA1(secret.Key128(unhex(t, f[2])))
	if got := u.MACBits(count, fresh, dir, text, n); !bytes.Equal(got[:], want) {
		t.Errorf("MAC %x, want %x", got, want)
	}
	if n%8 != 0 { // what lies beyond the last bit must not matter
		text[n/8] ^= 0xff >> (n % 8)
		if got := u.MACBits(count, fresh, dir, text, n); !bytes.Equal(got[:], want) {
			t.Errorf("MAC %x with other padding, want %x", got, want)
		}
	}
}

// TestSBoxes checks that both are permutations.
func TestSBoxes(t *testing.T) {
	var seen7 [128]bool
	var seen9 [512]bool
	for x := range uint16(512) {
		if y := sub9(x); seen9[y] {
			t.Errorf("S9 gives %#x twice", y)
		} else {
			seen9[y] = true
		}
		if x < 128 {
			if y := sub7(x); seen7[y] || y != uint16(s7[x]) {
				t.Errorf("S7 of %#x is %#x", x, y)
			} else {
				seen7[y] = true
			}
		}
	}
}

// TestLengths has every length of a message around the ends of blocks: a bit
// more or less, or a one in place of a zero, is another code.
func TestLengths(t *testing.T) {
	u := NewUIA1(secret.Key128{1})
	data := make([]byte, 20)
	seen := map[[4]byte]int{}
	for n := range 160 {
		m := u.MACBits(1, 2, Uplink, data, n)
		if old, ok := seen[m]; ok {
			t.Errorf("%d bits and %d bits have the same code", old, n)
		}
		seen[m] = n
		if m == u.MACBits(1, 2, Downlink, data, n) {
			t.Errorf("%d bits: the direction does not matter", n)
		}
	}
	c := NewUEA1(secret.Key128{1})
	for n := range 20 {
		long, short := make([]byte, 20), make([]byte, n)
		c.Apply(3, 4, Downlink, long)
		if c.Apply(3, 4, Downlink, short); !bytes.HasPrefix(long, short) {
			t.Errorf("%d octets: %x, not the start of %x", n, short, long)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	c, g, data := NewUEA1(secret.Key128{1}), NewUIA1(secret.Key128{2}), make([]byte, 100)
	if n := testing.AllocsPerRun(10, func() { c.Apply(1, 2, Uplink, data); g.MAC(1, 2, Uplink, data) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkUEA1(b *testing.B) {
	c, data := NewUEA1(secret.Key128{1}), make([]byte, 100)
	b.SetBytes(100)
	b.ReportAllocs()
	for b.Loop() {
		c.Apply(1, 2, Uplink, data)
	}
}

func BenchmarkUIA1(b *testing.B) {
	g, data := NewUIA1(secret.Key128{1}), make([]byte, 100)
	b.SetBytes(100)
	b.ReportAllocs()
	for b.Loop() {
		g.MAC(1, 2, Uplink, data)
	}
}
