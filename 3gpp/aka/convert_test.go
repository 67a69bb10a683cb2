package aka_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"campanile.network/3gpp/aka"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/internal/testkit"
	"campanile.network/3gpp/milenage"
	"campanile.network/3gpp/secret"
)

// TestAgainstLibosmogsm holds conversions and derivations against those of
// libosmogsm.
func TestAgainstLibosmogsm(t *testing.T) {
	seen := map[string]int{}
	for _, f := range testkit.Rows(t, "testdata/libosmogsm-conversions.txt") {
		key := func(i int) secret.Key128 { return secret.Key128(unhex(t, f[i])) }
		var got []byte
		switch f[0] {
		case "c3":
			kc := aka.C3(key(1), key(2))
			got = kc[:]
		case "c45":
			ck, ik := aka.Triplet{Kc: secret.Key64(unhex(t, f[1]))}.UMTSKeys()
			if !bytes.Equal(ck[:], unhex(t, f[2])) {
				t.Errorf("%v: c4 gives %x", f, ck[:])
			}
			got = ik[:]
		case "kc128":
			kc := aka.Kc128(key(1), key(2))
			got = kc[:]
		case "kasme":
			plmn, err := id.DecodePLMN([3]byte(unhex(t, f[1])))
			if err != nil {
				t.Fatal(err)
			}
			var autn aka.AUTN
			copy(autn[:], unhex(t, f[2]))
			kasme := aka.KASME(key(3), key(4), plmn, autn)
			got = kasme[:]
		case "kenb":
			kenb := aka.KeNB(secret.Key256(unhex(t, f[2])), uint32(number(t, f[1], 16)))
			got = kenb[:]
		case "nh":
			nh := aka.NH(secret.Key256(unhex(t, f[1])), secret.Key256(unhex(t, f[2])))
			got = nh[:]
		case "key":
			k := aka.AlgorithmKey(secret.Key256(unhex(t, f[3])), aka.Use(number(t, f[1], 10)), uint8(number(t, f[2], 10)))
			got = k[:]
		}
		seen[f[0]]++
		if !bytes.Equal(got, unhex(t, f[len(f)-1])) {
			t.Errorf("%v: %x", f, got)
		}
	}
	for _, kind := range []string{"c3", "c45", "kc128", "kasme", "kenb", "nh", "key"} {
		if seen[kind] != 40 {
			t.Errorf("%d rows of %s, want 40", seen[kind], kind)
		}
	}
}

var number = testkit.Number

// TestGSMMilenage has both sides of GSM-Milenage: the home's triplet out of a
// quintet, and a USIM asked as a SIM.
func TestGSMMilenage(t *testing.T) {
	sets := testkit.Rows(t, "testdata/ts55205-gsm-milenage.txt")
	if len(sets) != 19 {
		t.Fatalf("%d sets, want 19", len(sets))
	}
	for _, f := range sets {
		c := milenage.New(secret.Key128(unhex(t, f[1])), secret.Key128(unhex(t, f[3])))
		rand := aka.RAND(unhex(t, f[2]))
		g := aka.Generate(c, rand, 0, aka.AMF{}).Triplet()
		if g.RAND != rand || !g.SRES.Equal(unhex(t, f[4])) || !bytes.Equal(g.Kc[:], unhex(t, f[5])) {
			t.Errorf("set %s: SRES %x, Kc %x", f[0], g.SRES[:], g.Kc[:])
		}
		card, err := aka.NewUSIM(aka.USIMOptions{Algorithm: c})
		if err != nil {
			t.Fatal(err)
		}
		if sres, kc := card.AuthenticateGSM(rand); sres != g.SRES || kc != g.Kc {
			t.Errorf("set %s: the card says SRES %x, Kc %x", f[0], sres[:], kc[:])
		}
		if card.Array() != [aka.INDs]uint64{} {
			t.Errorf("set %s: a GSM challenge used a sequence number", f[0])
		}
	}
}

// TestC2PadsWithZeros has every length of RES.
func TestC2PadsWithZeros(t *testing.T) {
	octets := []byte{0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0x03, 0x06, 0x0c, 0x18, 0x30, 0x60, 0xc0, 0x81}
	for n := 4; n <= 16; n++ {
		res, err := secret.MakeRES(octets[:n])
		if err != nil {
			t.Fatal(err)
		}
		var want [4]byte
		for i, b := range octets[:n] {
			want[i%4] ^= b
		}
		if got := aka.C2(res); got != want {
			t.Errorf("%d octets: %x, want %x", n, got[:], want)
		}
	}
}

func TestSRESDoesNotPrint(t *testing.T) {
	s := aka.SRES{0xde, 0xad, 0xbe, 0xef}
	for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%s", "%d"} {
		if out := fmt.Sprintf(verb+verb, s, aka.Triplet{SRES: s}); strings.Contains(out, "dead") || strings.Contains(out, "222 173") || strings.Contains(out, "0xde") {
			t.Errorf("%s shows SRES: %s", verb, out)
		}
	}
	if _, err := json.Marshal(s); !errors.Is(err, secret.ErrRefused) {
		t.Errorf("SRES became JSON: %v", err)
	}
	if !s.Equal(s[:]) || s.Equal(s[:3]) || s.Equal(nil) || s.Equal([]byte{0xde, 0xad, 0xbe, 0xee}) {
		t.Error("Equal is wrong")
	}
}
