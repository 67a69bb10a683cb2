package aka_test

import (
	"fmt"
	"log"

	"campanile.network/3gpp/aka"
	"campanile.network/3gpp/milenage"
	"campanile.network/3gpp/secret"
	"campanile.network/3gpp/xor"
)

// The home of a USIM serves a GSM network: a quintet becomes a triplet, and the
// card, asked as a SIM, answers it. The values are set 3 of TS 35.208.
func ExampleVector_Triplet() {
	k := secret.Key128{0xfe, 0xc8, 0x6b, 0xa6, 0xeb, 0x70, 0x7e, 0xd0, 0x89, 0x05, 0x75, 0x7b, 0x1b, 0xb4, 0x4b, 0x8f}
	opc := secret.Key128{0x10, 0x06, 0x02, 0x0f, 0x0a, 0x47, 0x8b, 0xf6, 0xb6, 0x99, 0xf1, 0x5c, 0x06, 0x2e, 0x42, 0xb3}
	rand := aka.RAND{0x9f, 0x7c, 0x8d, 0x02, 0x1a, 0xcc, 0xf4, 0xdb, 0x21, 0x3c, 0xcf, 0xf0, 0xc7, 0xf7, 0x1a, 0x6a}
	f := milenage.New(k, opc)

	quintet := aka.Generate(f, rand, aka.DecodeSQN([6]byte{0x9d, 0x02, 0x77, 0x59, 0x5f, 0xfc}), aka.AMF{0x72, 0x5c})
	triplet := quintet.Triplet()
	fmt.Printf("RES %x becomes SRES %x\n", quintet.XRES.Bytes(), triplet.SRES[:])
	fmt.Printf("Kc %x\n", triplet.Kc[:])
	fmt.Println("a triplet by accident:", triplet.SRES, triplet.Kc)

	card, err := aka.NewUSIM(aka.USIMOptions{Algorithm: f})
	if err != nil {
		log.Fatal(err)
	}
	sres, _ := card.AuthenticateGSM(triplet.RAND)
	fmt.Println("SRES accepted:", triplet.SRES.Equal(sres[:]))
	// Output:
	// RES 8011c48c0c214ed2 becomes SRES 8c308a5e
	// Kc aa01739b8caa976d
	// a triplet by accident: [redacted] [redacted]
	// SRES accepted: true
}

// A test USIM with the exclusive-or algorithm in place of Milenage, out of step
// with its home.
func ExampleAlgorithm() {
	f, err := xor.New(secret.Key128{1, 2, 3}, 16)
	if err != nil {
		log.Fatal(err)
	}
	card, err := aka.NewUSIM(aka.USIMOptions{Algorithm: f, SEQ: [aka.INDs]uint64{0: 100}})
	if err != nil {
		log.Fatal(err)
	}
	v := aka.Generate(f, aka.RAND{4}, 50<<aka.INDBits, aka.AMFEPS())
	_, err = card.Authenticate(v.RAND, v.AUTN)
	fmt.Println(err)
	synch, ok := err.(*aka.SynchFailure)
	if !ok {
		log.Fatal(err)
	}
	ms, err := aka.VerifyAUTS(f, v.RAND, synch.AUTS)
	fmt.Println("the home learns", ms, err)
	// Output:
	// aka: synch failure: SQN 50/0 refused, card is at 100/0 (EMM cause #21)
	// the home learns 100/0 <nil>
}
