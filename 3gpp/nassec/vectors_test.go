package nassec

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"campanile.network/3gpp/secret"
)

// vector is one published test set, see testdata.
type vector struct {
	name   string
	key    secret.Key128
	count  uint32
	extra  uint32 // BEARER or FRESH
	dir    Direction
	bits   int
	in     []byte
	out    []byte
	offset int // of a keystream
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return b
}

func number(t testing.TB, s string, base int) uint64 {
	t.Helper()
	v, err := strconv.ParseUint(s, base, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// vectors reads the test sets of one kind out of a testdata file.
func vectors(t testing.TB, file, kind string, want int) (all []vector) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if f[0] != kind {
			continue
		}
		v := vector{name: kind + "/" + f[1]}
		if kind == "ks" {
			v.offset = int(number(t, f[2], 10))
			v.key = secret.Key128(unhex(t, f[3]))
			v.in, v.out = unhex(t, f[4]), unhex(t, f[5])
		} else {
			base := 10
			if kind == "F9" {
				base = 16
			}
			v.key = secret.Key128(unhex(t, f[2]))
			v.count = uint32(number(t, f[3], 16))
			v.extra = uint32(number(t, f[4], base))
			v.dir = Direction(number(t, f[5], 10))
			v.bits = int(number(t, f[6], 10))
			v.in, v.out = unhex(t, f[7]), unhex(t, f[8])
		}
		all = append(all, v)
	}
	if len(all) != want {
		t.Fatalf("%s: %d test sets of kind %s, want %d", file, len(all), kind, want)
	}
	return all
}

func TestCipherVectors(t *testing.T) {
	for _, tc := range []struct {
		alg        EEA
		file, kind string
		sets       int
	}{
		{EEA1, "ts35217-ts33401c4-snow3g.txt", "F8", 5},
		{EEA2, "ts33401c-aes.txt", "EEA2", 6},
		{EEA3, "ts35223-zuc.txt", "EEA3", 5},
	} {
		for _, v := range vectors(t, tc.file, tc.kind, tc.sets) {
			t.Run(v.name, func(t *testing.T) {
				c, err := NewCipher(tc.alg, v.key)
				if err != nil {
					t.Fatal(err)
				}
				got := bytes.Clone(v.in)
				c.ApplyBits(v.count, uint8(v.extra), v.dir, got, v.bits)
				n := (v.bits + 7) / 8
				if !bytes.Equal(got[:n], v.out[:n]) {
					t.Fatalf("ciphered\n%x, want\n%x", got[:n], v.out)
				}
				c.ApplyBits(v.count, uint8(v.extra), v.dir, got, v.bits)
				if !bytes.Equal(got[:n], v.in[:n]) {
					t.Errorf("deciphered\n%x, want\n%x", got[:n], v.in[:n])
				}
			})
		}
	}
}

func TestIntegrityVectors(t *testing.T) {
	for _, tc := range []struct {
		alg        EIA
		file, kind string
		sets       int
	}{
		{EIA1, "ts35217-ts33401c4-snow3g.txt", "EIA1", 6},
		{EIA2, "ts33401c-aes.txt", "EIA2", 8},
		{EIA3, "ts35223-zuc.txt", "EIA3", 5},
	} {
		for _, v := range vectors(t, tc.file, tc.kind, tc.sets) {
			t.Run(v.name, func(t *testing.T) {
				g, err := NewIntegrity(tc.alg, v.key)
				if err != nil {
					t.Fatal(err)
				}
				got := g.MACBits(v.count, uint8(v.extra), v.dir, v.in, v.bits)
				if !bytes.Equal(got[:], v.out) {
					t.Fatalf("MAC %x, want %x", got, v.out)
				}
				if v.bits%8 != 0 { // what lies beyond the last bit must not matter
					dirty := bytes.Clone(v.in)
					dirty[v.bits/8] ^= 0xff >> (v.bits % 8)
					if again := g.MACBits(v.count, uint8(v.extra), v.dir, dirty, v.bits); again != got {
						t.Errorf("MAC %x with other padding, want %x", again, got)
					}
				}
			})
		}
	}
}

func TestUIA2Vectors(t *testing.T) {
	for _, v := range vectors(t, "ts35217-ts33401c4-snow3g.txt", "F9", 6) {
		t.Run(v.name, func(t *testing.T) {
			k := words(v.key)
			m := uia2(&k, v.count, v.extra, v.dir, v.in, v.bits)
			if got := []byte{byte(m >> 24), byte(m >> 16), byte(m >> 8), byte(m)}; !bytes.Equal(got, v.out) {
				t.Errorf("MAC %x, want %x", got, v.out)
			}
		})
	}
}

func TestKeystreamVectors(t *testing.T) {
	for _, v := range vectors(t, "ts35217-ts33401c4-snow3g.txt", "ks", 5) {
		t.Run("SNOW3G"+v.name, func(t *testing.T) {
			k, iv := words(v.key), words(secret.Key128(v.in))
			slices.Reverse(k[:]) // TS 35.217 §3 writes K0 and IV0 first
			slices.Reverse(iv[:])
			var g snow3g
			g.load(&k, &iv)
			compareStream(t, v, func(z *[16]uint32) { g.run(z, 16, false) })
		})
	}
	for _, v := range vectors(t, "ts35223-zuc.txt", "ks", 5) {
		t.Run("ZUC"+v.name, func(t *testing.T) {
			k, iv := [16]byte(v.key), [16]byte(v.in)
			var g zuc
			g.load(&k, &iv)
			compareStream(t, v, func(z *[16]uint32) { g.run(z, 16, false) })
		})
	}
}

func compareStream(t *testing.T, v vector, block func(*[16]uint32)) {
	t.Helper()
	var z [16]uint32
	stream := make([]byte, (v.offset+len(v.out)+63)/64*64)
	for at := 0; at < len(stream); at += 64 {
		block(&z)
		xorWords(stream[at:at+64], &z)
	}
	if got := stream[v.offset : v.offset+len(v.out)]; !bytes.Equal(got, v.out) {
		t.Errorf("keystream at %d: %x, want %x", v.offset, got, v.out)
	}
}
