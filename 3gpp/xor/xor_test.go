package xor_test

import (
	"bytes"
	"testing"

	"campanile.network/3gpp/aka"
	"campanile.network/3gpp/internal/testkit"
	"campanile.network/3gpp/secret"
	"campanile.network/3gpp/xor"
)

var _ aka.Algorithm = (*xor.Cipher)(nil)

var unhex = testkit.Unhex

func cipher(t testing.TB, k secret.Key128, resLen int) *xor.Cipher {
	t.Helper()
	c, err := xor.New(k, resLen)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAgainstOsmoAucGen(t *testing.T) {
	sets := 0
	for _, f := range testkit.Rows(t, "testdata/osmo-auc-gen-xor.txt") {
		sets++
		// K RAND SQN AMF AUTN RES CK IK SRES Kc
		c := cipher(t, secret.Key128(unhex(t, f[0])), 16)
		v := aka.Generate(c, aka.RAND(unhex(t, f[1])), aka.DecodeSQN([6]byte(unhex(t, f[2]))), aka.AMF(unhex(t, f[3])))
		g := v.Triplet()
		for i, got := range [][]byte{v.AUTN[:], v.XRES.Bytes(), v.CK[:], v.IK[:], g.SRES[:], g.Kc[:]} {
			if !bytes.Equal(got, unhex(t, f[4+i])) {
				t.Errorf("K %s, field %d: %x, want %s", f[0], 4+i, got, f[4+i])
			}
		}
	}
	if sets != 200 {
		t.Errorf("%d sets, want 200", sets)
	}
}

// TestOsmoHLRVector is the vector of osmo-hlr's own test of this algorithm.
func TestOsmoHLRVector(t *testing.T) {
	c := cipher(t, secret.Key128(unhex(t, "000102030405060708090a0b0c0d0e0f")), 16)
	v := aka.Generate(c, aka.RAND(unhex(t, "b5039c57e4a75051551d1a390a71ce48")), 0, aka.AMF{})
	g := v.Triplet()
	for _, x := range []struct {
		name, want string
		got        []byte
	}{
		{"AUTN", "54e0a256565d0000b5029e54e0a25656", v.AUTN[:]},
		{"CK", "029e54e0a256565d141032067cc047b5", v.CK[:]},
		{"IK", "9e54e0a256565d141032067cc047b502", v.IK[:]},
		{"RES", "b5029e54e0a256565d141032067cc047", v.XRES.Bytes()},
		{"Kc", "98e880384887f9fe", g.Kc[:]},
		{"SRES", "0ec81877", g.SRES[:]},
	} {
		if !bytes.Equal(x.got, unhex(t, x.want)) {
			t.Errorf("%s %x, want %s", x.name, x.got, x.want)
		}
	}
}

// TestCard walks a test USIM through AKA, resynchronisation included, with every
// length of RES.
func TestCard(t *testing.T) {
	for n := 4; n <= 16; n++ {
		c := cipher(t, secret.Key128{1, 2, 3, 15: 4}, n)
		card, err := aka.NewUSIM(aka.USIMOptions{Algorithm: c})
		if err != nil {
			t.Fatal(err)
		}
		rand := aka.RAND{9, 8, 7}
		v := aka.Generate(c, rand, 5<<aka.INDBits, aka.AMF{})
		a, err := card.Authenticate(rand, v.AUTN)
		if err != nil || !v.XRES.Equal(a.RES.Bytes()) || a.RES.Len() != n || a.CK != v.CK || a.IK != v.IK {
			t.Errorf("RES of %d octets: %v", n, err)
		}
		_, err = card.Authenticate(rand, v.AUTN)
		synch, ok := err.(*aka.SynchFailure)
		if !ok {
			t.Fatalf("replay: %v", err)
		}
		if ms, err := aka.VerifyAUTS(c, rand, synch.AUTS); err != nil || ms != 5<<aka.INDBits {
			t.Errorf("AUTS says %v, %v", ms, err)
		}
	}
	for _, n := range []int{-1, 0, 3, 17} {
		if _, err := xor.New(secret.Key128{}, n); err == nil {
			t.Errorf("RES of %d octets accepted", n)
		}
	}
}

// TestGSM has the values of TS 51.010-1 §A4.1.2 that follow for Ki 00 01 ... 0f.
func TestGSM(t *testing.T) {
	ki := secret.Key128(unhex(t, "000102030405060708090a0b0c0d0e0f"))
	for _, tc := range [][3]string{
		{"00000000000000000000000000000000", "00010203", "0405060708090a0b"},
		{"00102030405060708090a0b0c0d0e0f0", "00112233", "445566778899aabb"},
	} {
		sres, kc := xor.GSM(ki, [16]byte(unhex(t, tc[0])))
		if !bytes.Equal(sres[:], unhex(t, tc[1])) || !bytes.Equal(kc[:], unhex(t, tc[2])) {
			t.Errorf("RAND %s: SRES %x, Kc %x", tc[0], sres, kc[:])
		}
	}
}
