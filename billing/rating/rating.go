// Package rating turns octets into money and money into shares, in whole
// numbers only. It is a handful of pure functions that the meter, the tower
// and the chain use alike, so that they cannot differ. It knows no tariffs by
// time of day, no currencies and no accounts.
package rating

import (
	"errors"
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

// ErrShares says that there is nobody to share with.
var ErrShares = errors.New("rating: no share has weight")

// Split divides total by weight. Every part is rounded down, and the base
// denoms left over, fewer than there are shares, go one each to the first
// shares that have weight: the parts add up to total. Errors: ErrShares.
func Split(total proof.Amount, weights []uint32) ([]proof.Amount, error) {
	var sum uint64
	for _, w := range weights {
		sum += uint64(w)
	}
	if sum == 0 {
		return nil, ErrShares
	}
	parts := make([]proof.Amount, len(weights))
	rest := total
	var err error
	for i, w := range weights {
		if parts[i], err = total.MulDiv(uint64(w), sum); err != nil {
			return nil, fmt.Errorf("rating: share %d: %w", i, err)
		}
		if rest, err = rest.Sub(parts[i]); err != nil {
			return nil, fmt.Errorf("rating: share %d: %w", i, err)
		}
	}
	one := proof.AmountOf(1)
	for i, w := range weights {
		if w == 0 || rest.IsZero() {
			continue
		}
		if parts[i], err = parts[i].Add(one); err != nil {
			return nil, fmt.Errorf("rating: share %d: %w", i, err)
		}
		if rest, err = rest.Sub(one); err != nil {
			return nil, fmt.Errorf("rating: share %d: %w", i, err)
		}
	}
	return parts, nil
}
