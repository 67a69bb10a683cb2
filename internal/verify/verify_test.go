package verify

import (
	"crypto/ed25519"
	"encoding/hex"
	"math/rand/v2"
	"slices"
	"testing"
)

// Of any signature, of any key, what crypto/ed25519 says.
func TestAsTheStandardLibrary(t *testing.T) {
	var k Keys
	agree := func(what string, key [32]byte, message, sig []byte) bool {
		t.Helper()
		want := ed25519.Verify(key[:], message, sig)
		for range 2 { // met, and met again
			if got := k.Verify(key, message, sig); got != want {
				t.Errorf("%s: key %x, message %x, signature %x: %v, want %v", what, key, message, sig, got, want)
			}
		}
		return want
	}
	r := rand.NewChaCha8([32]byte{1})
	seed := make([]byte, 32)
	for n := range 20 {
		r.Read(seed)
		priv := ed25519.NewKeyFromSeed(seed)
		key := [32]byte(priv.Public().(ed25519.PublicKey))
		message := make([]byte, n*7)
		r.Read(message)
		sig := ed25519.Sign(priv, message)
		if !agree("good", key, message, sig) {
			t.Fatal("a good signature is not")
		}
		for i := range sig {
			bad := slices.Clone(sig)
			bad[i] ^= 1 << (n % 8)
			agree("altered", key, message, bad)
		}
		agree("S beyond the order", key, message, append(slices.Clone(sig[:32]), plusOrder(sig[32:])...))
		agree("another message", key, append(message, 0), sig)
		agree("short", key, message, sig[:63])
		agree("long", key, message, append(sig, 0))
		for i := range key {
			bad := key
			bad[i] ^= 1 << (n % 8)
			agree("another key", bad, message, sig)
		}
	}
	// Points of small order, and those that are written in two ways, as key and as R.
	taken := 0
	for _, a := range strange {
		for _, p := range strange {
			for n := range byte(8) {
				sig := append(unhex(t, p), make([]byte, 32)...)
				if agree("strange", [32]byte(unhex(t, a)), []byte{n}, sig) {
					taken++
				}
			}
		}
	}
	if taken == 0 {
		t.Error("none of the strange signatures is taken: they try nothing")
	}
}

// strange are the encodings of points of order 1, 2, 4 and 8, canonical and not.
var strange = []string{
	"0100000000000000000000000000000000000000000000000000000000000000",
	"0100000000000000000000000000000000000000000000000000000000000080",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	"0000000000000000000000000000000000000000000000000000000000000000",
	"0000000000000000000000000000000000000000000000000000000000000080",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
}

// plusOrder gives s and the order of the base point together, little-endian.
func plusOrder(s []byte) []byte {
	order, _ := hex.DecodeString("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010")
	out, carry := make([]byte, 32), 0
	for i := range out {
		n := int(s[i]) + int(order[i]) + carry
		out[i], carry = byte(n), n>>8
	}
	return out
}

func unhex(t *testing.T, s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Whatever keys are shown, so many are kept.
func TestBounded(t *testing.T) {
	var k Keys
	for n := range 2 * maxKeys {
		priv := ed25519.NewKeyFromSeed(append(make([]byte, 30), byte(n>>8), byte(n)))
		if !k.Verify([32]byte(priv.Public().(ed25519.PublicKey)), nil, ed25519.Sign(priv, nil)) {
			t.Fatal(n)
		}
	}
	if n := len(k.known); n != maxKeys {
		t.Errorf("%d keys are kept, want %d", n, maxKeys)
	}
}

func BenchmarkVerify(b *testing.B) {
	priv := ed25519.NewKeyFromSeed(make([]byte, 32))
	key, message := [32]byte(priv.Public().(ed25519.PublicKey)), make([]byte, 250)
	sig := ed25519.Sign(priv, message)
	b.Run("kept", func(b *testing.B) {
		var k Keys
		for b.Loop() {
			k.Verify(key, message, sig)
		}
	})
	b.Run("crypto/ed25519", func(b *testing.B) {
		for b.Loop() {
			ed25519.Verify(key[:], message, sig)
		}
	})
}
