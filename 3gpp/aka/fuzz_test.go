package aka_test

import (
	"bytes"
	"testing"

	"campanile.network/3gpp/aka"
	"campanile.network/3gpp/milenage"
	"campanile.network/3gpp/secret"
)

func FuzzCard(f *testing.F) {
	k, opc, rand := set20(f)
	c := milenage.New(k, opc)
	good := aka.Generate(c, rand, 1<<aka.INDBits, aka.AMFEPS())
	f.Add(rand[:], good.AUTN[:])
	f.Add(make([]byte, 16), make([]byte, 16))
	f.Fuzz(func(t *testing.T, r, a []byte) {
		autn, err := aka.DecodeAUTN(a)
		if err != nil || len(r) != 16 {
			return
		}
		card, _ := newCard(t, nil)
		_, _, err = card.AuthenticateEPS(aka.RAND(r), autn, plmn(t))
		if err == nil && (!bytes.Equal(r, rand[:]) || autn != good.AUTN) {
			t.Errorf("forged RAND %x AUTN %x accepted", r, a)
		}
	})
}

// FuzzDecode has what comes off the air or out of another network's messages:
// nothing panics, what is taken goes back unchanged, and no token of another is
// believed.
func FuzzDecode(f *testing.F) {
	k, opc, rand := set20(f)
	c := milenage.New(k, opc)
	auts := aka.BuildAUTS(c, rand, 1)
	autn := aka.Generate(c, rand, 32, aka.AMFEPS()).AUTN
	f.Add(auts[:])
	f.Add(autn[:])
	f.Add([]byte{1, 2, 3, 4})
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, err := aka.DecodeAUTN(b); (err == nil) != (len(b) == 16) || err == nil && !bytes.Equal(a[:], b) {
			t.Errorf("AUTN %x: %x, %v", b, a, err)
		}
		if r, err := secret.MakeRES(b); (err == nil) != (len(b) >= 4 && len(b) <= 16) || err == nil && !r.Equal(b) {
			t.Errorf("RES %x: %v", b, err)
		}
		a, err := aka.DecodeAUTS(b)
		if (err == nil) != (len(b) == 14) {
			t.Errorf("AUTS %x: %v", b, err)
		}
		if err != nil {
			return
		}
		if ms, err := aka.VerifyAUTS(c, rand, a); err == nil && aka.BuildAUTS(c, rand, ms) != a {
			t.Errorf("AUTS %x is believed and says %v", a, ms)
		}
	})
}
