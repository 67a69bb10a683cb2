// Package rating says how far money goes, in whole numbers only; what things cost
// is proof.Prices' to say. It is pure functions, so that the chain may rate with
// them too. It knows no tariffs by time of day, no currencies and no accounts; how
// a payment is shared is x/settlement's rule.
package rating

import "campanile.network/wire/proof"

// Covered is as much of due as an amount covers: all of had, which was granted
// before and is nowhere more than due, then of what has come since messages first,
// voice next and octets last. Where the amount does not even cover had, it is had.
func Covered(amount proof.Amount, p proof.Prices, had, due proof.Carried) proof.Carried {
	fits := func(c proof.Carried) bool {
		a, err := p.Charge(c)
		return err == nil && a.Cmp(amount) <= 0
	}
	if fits(due) {
		return due
	}
	got := had
	for _, part := range []struct {
		of   *uint64
		most uint64
	}{{&got.Messages, due.Messages}, {&got.VoiceMs, due.VoiceMs}, {&got.Bytes, due.Bytes}} {
		for least, most := *part.of, part.most; least < most; { // what is least fits
			mid := least + (most-least)/2 + 1
			if *part.of = mid; fits(got) {
				least = mid
			} else {
				most = mid - 1
			}
			*part.of = least
		}
	}
	return got
}
