package hss_test

import (
	"fmt"
	"testing"

	"campanile.network/3gpp/comp128"
	"campanile.network/3gpp/id"
	"campanile.network/hss-chain/hss"
	"campanile.network/hss-chain/ledger"
	"campanile.network/wire/home"
	"campanile.network/wire/sip/digest"
)

// What a REGISTER costs the home: a challenge and its proof, of a SIM that is
// known (its ticket is lent again) and of an application. SIMs are asked in turn,
// as often as they may be; what the card or the application itself computes
// stands beside, not in it.
func BenchmarkRegister(b *testing.B) {
	const n = 20000
	w := newTown(b)
	defer w.close()
	p, _ := w.hss.Profile(w.imsi)
	subs := make([]hss.Subscription, n)
	for i := range subs {
		subs[i] = hss.Subscription{K: w.k, SQN: hss.Array32, Algorithm: hss.COMP128v3, Profile: p}
		subs[i].IMSI, _ = id.ParseIMSI(fmt.Sprintf("99970%010d", 1000+i))
	}
	recs, err := w.hss.Provision(subs, "open")
	if err != nil {
		b.Fatal(err)
	}
	for i := range recs {
		recs[i].Operator = "camp1op"
	}
	w.block(ledger.Update{Subscribers: recs})
	b.Run("GSM", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			imsi := subs[i%n].IMSI
			c, err := w.challenge(imsi, home.GSM)
			if home.CodeOf(err) == home.RateLimited {
				b.Skip("more rounds than cards may be asked")
			}
			if err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			sres, _ := comp128.V3(w.k, c.RAND)
			b.StartTimer()
			if _, err := w.prove(c, sres[:]); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(w.hss.Stats().Lent)/float64(max(1, w.hss.Stats().Proofs)), "lent/op")
	})
	password := w.password()
	b.Run("App", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c := w.mustChallenge(w.imsi, home.App)
			b.StopTimer()
			a := respond(b, c, digest.SHA256, w.imsi.Digits(), password)
			b.StartTimer()
			if _, err := w.hashed(c, a); err != nil {
				b.Fatal(err)
			}
		}
	})
}
