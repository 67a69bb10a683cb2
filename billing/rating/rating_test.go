package rating_test

import (
	"testing"

	"pgregory.net/rapid"

	"campanile.network/billing/rating"
	"campanile.network/wire/proof"
)

func amount(t *rapid.T, name string) proof.Amount {
	var b [16]byte
	copy(b[rapid.IntRange(0, 16).Draw(t, name+" zeros"):], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, name))
	return proof.AmountFromOctets(b)
}

func prices(t *rapid.T) proof.Prices {
	return proof.Prices{PerGB: amount(t, "per GB"), PerMinute: amount(t, "per minute"), PerMessage: amount(t, "per message")}
}

func carried(t *rapid.T, name string) proof.Carried {
	n := func(of string) uint64 {
		return rapid.Uint64Range(0, 1<<rapid.IntRange(0, 62).Draw(t, name+of+" bits")).Draw(t, name+of)
	}
	return proof.Carried{Bytes: n(" octets"), VoiceMs: n(" ms"), Messages: n(" messages")}
}

func TestCovered(t *testing.T) {
	p := proof.Prices{PerGB: proof.AmountOf(octet), PerMinute: proof.AmountOf(60_000), PerMessage: proof.AmountOf(10)} // 1 an octet, 1 a ms, 10 a message
	for _, c := range []struct {
		amount    uint64
		had, want proof.Carried
	}{
		{1000, proof.Carried{}, proof.Carried{Bytes: 100, VoiceMs: 100, Messages: 10}},
		{300, proof.Carried{}, proof.Carried{Bytes: 100, VoiceMs: 100, Messages: 10}},
		{299, proof.Carried{}, proof.Carried{Bytes: 99, VoiceMs: 100, Messages: 10}},
		{199, proof.Carried{}, proof.Carried{VoiceMs: 99, Messages: 10}},
		{95, proof.Carried{}, proof.Carried{VoiceMs: 5, Messages: 9}},
		{199, proof.Carried{Bytes: 50}, proof.Carried{Bytes: 50, VoiceMs: 49, Messages: 10}},
		{10, proof.Carried{Bytes: 50}, proof.Carried{Bytes: 50}},
	} {
		if got := rating.Covered(proof.AmountOf(c.amount), p, c.had, proof.Carried{Bytes: 100, VoiceMs: 100, Messages: 10}); got != c.want {
			t.Errorf("%d covers %v after %v, want %v", c.amount, got, c.had, c.want)
		}
	}
}

const octet = proof.GB // the price for 10^9 octets that makes 1 an octet

// What is covered is paid for, holds what was granted before, and a unit more of
// anything would not be covered.
func TestCoveredIsTheMost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, have, had := prices(t), amount(t, "amount"), carried(t, "had")
		due := had.Plus(carried(t, "new"))
		before, err := p.Charge(had)
		if err != nil || before.Cmp(have) > 0 {
			if got := rating.Covered(have, p, had, due); got != had {
				t.Fatalf("%v after %v, which was too much already", got, had)
			}
			return
		}
		got := rating.Covered(have, p, had, due)
		if c, err := p.Charge(got); err != nil || c.Cmp(have) > 0 || !got.Covers(had) || !due.Covers(got) {
			t.Fatalf("%v of %v after %v costs %v (%v), there are %v", got, due, had, c, err, have)
		}
		for _, one := range []proof.Carried{{Bytes: 1}, {VoiceMs: 1}, {Messages: 1}} {
			more := got.Plus(one)
			if c, err := p.Charge(more); due.Covers(more) && err == nil && c.Cmp(have) <= 0 {
				t.Fatalf("%v would have been covered, %v was", more, got)
			}
		}
	})
}
