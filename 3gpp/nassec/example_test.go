package nassec_test

import (
	"fmt"
	"log"

	"campanile.network/3gpp/aka"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/milenage"
	"campanile.network/3gpp/nassec"
	"campanile.network/3gpp/secret"
)

// Example walks authentication and security mode control from the home over the
// serving network to the phone.
func Example() {
	must := func(err error) {
		if err != nil {
			log.Fatal(err)
		}
	}
	k, opc := secret.Key128{1}, secret.Key128{2}
	plmn, err := id.ParsePLMN("00101")
	must(err)

	// Home: the next number, a vector.
	seq, err := aka.NextSEQ(41, 0, 0)
	must(err)
	sqn, err := aka.MakeSQN(seq, 0)
	must(err)
	vector := aka.Generate(milenage.New(k, opc), aka.RAND{3}, sqn, aka.AMFEPS())

	// Phone: Authentication Request in, RES out.
	card, err := aka.NewUSIM(aka.USIMOptions{Algorithm: milenage.New(k, opc)})
	must(err)
	res, kasme, err := card.AuthenticateEPS(vector.RAND, vector.AUTN, plmn)
	must(err)
	fmt.Println("RES accepted:", vector.XRES.Equal(res.Bytes()))

	// Network: choose algorithms, send Security Mode Command.
	policy := nassec.Policy{EEA: []nassec.EEA{nassec.EEA2, nassec.EEA0}, EIA: []nassec.EIA{nassec.EIA2}}
	eea, eia, err := policy.Select(nassec.CapabilityOf(0, 1, 2), nassec.CapabilityOf(1, 2))
	must(err)
	network, err := nassec.New(nassec.State{Role: nassec.Network, KASME: vector.KASME(plmn), EEA: eea, EIA: eia})
	must(err)
	command, err := network.Protect(nil, nassec.IntegrityNewContext, []byte{0x07, 0x5d, byte(eea)<<4 | byte(eia), 0, 2, 0xe0, 0x60})
	must(err)

	// Phone: read the algorithms, make the context, verify, answer.
	h, err := nassec.ParseHeader(command)
	must(err)
	phone, err := nassec.New(nassec.State{Role: nassec.Phone, KASME: kasme, EEA: nassec.EEA(h.Payload[2] >> 4), EIA: nassec.EIA(h.Payload[2] & 7)})
	must(err)
	_, err = phone.Unprotect(nil, command)
	must(err)
	complete, err := phone.Protect(nil, nassec.CipheredNewContext, []byte{0x07, 0x5e})
	must(err)

	// Network: verify; both derive K_eNB from the same COUNT.
	got, err := network.Unprotect(nil, complete)
	must(err)
	fmt.Printf("%v, %v, plain % x, COUNT %d\n", eea, eia, got.Plain, got.Count)
	fmt.Println("same K_eNB:", network.KeNB(got.Count) == phone.KeNB(phone.UL()-1))
	// Output:
	// RES accepted: true
	// 128-EEA2, 128-EIA2, plain 07 5e, COUNT 0
	// same K_eNB: true
}
