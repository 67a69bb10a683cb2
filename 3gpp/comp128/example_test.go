package comp128_test

import (
	"fmt"

	"campanile.network/3gpp/aka"
	"campanile.network/3gpp/comp128"
	"campanile.network/3gpp/secret"
)

// The home of an old SIM makes a triplet, with which a GSM network authenticates
// it; in UMTS its Kc serves as CK and IK by the conversion functions c4 and c5.
func Example() {
	ki := secret.Key128{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
	rand := aka.RAND{}
	sres, kc := comp128.V1(ki, rand)
	t := aka.Triplet{RAND: rand, SRES: sres, Kc: kc}
	fmt.Printf("SRES %x, Kc %x\n", t.SRES[:], t.Kc[:])
	fmt.Println("the SIM's answer is right:", t.SRES.Equal([]byte{0x61, 0xb5, 0x69, 0xf5}))
	ck, ik := t.UMTSKeys()
	fmt.Printf("CK %x\nIK %x\n", ck[:], ik[:])
	// Output:
	// SRES 61b569f5, Kc d9d9c2ed627d6800
	// the SIM's answer is right: true
	// CK d9d9c2ed627d6800d9d9c2ed627d6800
	// IK bba4aaedd9d9c2ed627d6800bba4aaed
}
