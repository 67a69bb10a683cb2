// Package rating turns octets into money, in whole numbers only. It is pure
// functions, so that the chain may rate with them too. It knows no tariffs by
// time of day, no currencies and no accounts; how a payment is shared is
// x/settlement's rule.
package rating

import (
	"fmt"
	"math"

	"campanile.network/wire/proof"
)

// GB is what a price is for: 10^9 octets.
const GB = 1_000_000_000

// Charge is what octets cost at a price for 10^9 octets, rounded down to a
// whole base denom. It is meant for cumulative counts: rounding is lost once,
// not at every step. It fails when the sum does not fit 128 bits.
func Charge(octets uint64, pricePerGB proof.Amount) (proof.Amount, error) {
	a, err := pricePerGB.MulDiv(octets, GB)
	if err != nil {
		return proof.Amount{}, fmt.Errorf("rating: %d octets at %v for 10^9: %w", octets, pricePerGB, err)
	}
	return a, nil
}

// Covered is the largest number of octets whose Charge is at most amount; all
// of them when the price is nothing.
func Covered(amount, pricePerGB proof.Amount) uint64 {
	if pricePerGB.IsZero() {
		return math.MaxUint64
	}
	least, most := uint64(0), uint64(math.MaxUint64) // Charge(least) <= amount always
	for least < most {
		mid := least + (most-least)/2 + 1
		if c, err := Charge(mid, pricePerGB); err == nil && c.Cmp(amount) <= 0 {
			least = mid
		} else {
			most = mid - 1
		}
	}
	return least
}
