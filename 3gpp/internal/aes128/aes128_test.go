package aes128

import (
	"crypto/subtle"
	"fmt"
	"math/rand/v2"
	"testing"

	"campanile.network/3gpp/internal/testkit"
	"campanile.network/3gpp/secret"
)

// FIPS 197 appendix A.1 (the last round key), appendix B and C.1.
func TestPublished(t *testing.T) {
	for _, c := range []struct{ key, in, out, last string }{
		{"2b7e151628aed2a6abf7158809cf4f3c", "3243f6a8885a308d313198a2e0370734", "3925841d02dc09fbdc118597196a0b32", "d014f9a8c9ee2589e13f0cc8b6630ca6"},
		{"000102030405060708090a0b0c0d0e0f", "00112233445566778899aabbccddeeff", "69c4e0d86a7b0430d8cdb78070b4c55a", "13111d7fe3944a17f307a78b4d2b30c5"},
	} {
		k := Expand(secret.Key128(testkit.Unhex(t, c.key)))
		b := [16]byte(testkit.Unhex(t, c.in))
		k.Encrypt(&b, &b)
		if fmt.Sprintf("%x", b) != c.out {
			t.Errorf("%s under %s: %x, want %s", c.in, c.key, b, c.out)
		}
		if got := fmt.Sprintf("%x", k.round[10]); instructions && got != c.last {
			t.Errorf("last round key of %s: %s, want %s", c.key, got, c.last)
		}
	}
}

// The instructions, crypto/aes called through a Key, and crypto/aes itself give
// the same.
func TestAgainstStandardLibrary(t *testing.T) {
	g := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		var k secret.Key128
		for i := range k {
			k[i] = byte(g.Uint32())
		}
		data := make([]byte, g.IntN(200))
		for i := range data {
			data[i] = byte(g.Uint32())
		}
		var want [16]byte
		std := portable(k)
		for d := data; len(d) >= 16; d = d[16:] {
			subtle.XORBytes(want[:], want[:], d[:16])
			std.Encrypt(want[:], want[:])
		}
		for _, key := range []Key{Expand(k), {block: std}} {
			var got, src, dst [16]byte
			key.Chain(&got, data)
			if got != want {
				t.Fatalf("chain of %d octets: %x, want %x", len(data), got, want)
			}
			copy(src[:], data)
			before := src
			key.Encrypt(&dst, &src)
			std.Encrypt(want[:], src[:])
			if dst != want || src != before {
				t.Fatalf("%x, want %x", dst, want)
			}
			want = got
		}
	}
}

func TestAllocations(t *testing.T) {
	if !instructions {
		t.Skip("the processor has no AES instructions: crypto/aes allocates")
	}
	data := make([]byte, 64)
	if n := testing.AllocsPerRun(100, func() {
		k := Expand(secret.Key128{1})
		var b [16]byte
		k.Encrypt(&b, &b)
		k.Chain(&b, data)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestKeysDoNotPrint(t *testing.T) {
	k := Expand(secret.Key128{1})
	for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%d", "%s"} {
		if got := fmt.Sprintf(verb, k); got != "[redacted]" {
			t.Errorf("%s: %s", verb, got)
		}
	}
}
