package proof

import (
	"encoding/binary"
	"fmt"
	"math/big"
	"math/bits"
)

// Amount is an unsigned 128-bit integer of the base denom (abell: 10^18 make
// one BELL, so int64 would hold nine of them). Arithmetic reports overflow.
type Amount struct{ hi, lo uint64 }

// AmountOf makes a small amount.
func AmountOf(v uint64) Amount { return Amount{0, v} }

// ParseAmount reads decimal digits.
func ParseAmount(s string) (Amount, error) {
	v, ok := new(big.Int).SetString(s, 10)
	if !ok || s[0] == '+' || s[0] == '-' {
		return Amount{}, fmt.Errorf("amount %q: want decimal digits", s)
	}
	return amountFromBig(v)
}

func amountFromBig(v *big.Int) (Amount, error) {
	if v.Sign() < 0 || v.BitLen() > 128 {
		return Amount{}, fmt.Errorf("amount %v: does not fit 128 bits unsigned", v)
	}
	var b [16]byte
	v.FillBytes(b[:])
	return AmountFromOctets(b), nil
}

func (a Amount) big() *big.Int {
	b := a.Octets()
	return new(big.Int).SetBytes(b[:])
}

// AmountFromOctets reads sixteen octets, big-endian.
func AmountFromOctets(b [16]byte) Amount {
	return Amount{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

// Octets gives sixteen octets, big-endian.
func (a Amount) Octets() (b [16]byte) {
	binary.BigEndian.PutUint64(b[:8], a.hi)
	binary.BigEndian.PutUint64(b[8:], a.lo)
	return b
}

// String is decimal digits.
func (a Amount) String() string { return a.big().String() }

// MarshalText is decimal digits.
func (a Amount) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText is ParseAmount.
func (a *Amount) UnmarshalText(b []byte) (err error) {
	*a, err = ParseAmount(string(b))
	return err
}

// IsZero says that nothing is there.
func (a Amount) IsZero() bool { return a == Amount{} }

// Cmp is -1, 0 or 1.
func (a Amount) Cmp(b Amount) int {
	switch {
	case a == b:
		return 0
	case a.hi < b.hi || a.hi == b.hi && a.lo < b.lo:
		return -1
	}
	return 1
}

// Add fails when the sum does not fit.
func (a Amount) Add(b Amount) (Amount, error) {
	lo, c := bits.Add64(a.lo, b.lo, 0)
	hi, c := bits.Add64(a.hi, b.hi, c)
	if c != 0 {
		return Amount{}, fmt.Errorf("amount %v + %v: does not fit 128 bits", a, b)
	}
	return Amount{hi, lo}, nil
}

// Sub fails when b is more than a.
func (a Amount) Sub(b Amount) (Amount, error) {
	lo, c := bits.Sub64(a.lo, b.lo, 0)
	hi, c := bits.Sub64(a.hi, b.hi, c)
	if c != 0 {
		return Amount{}, fmt.Errorf("amount %v - %v: less than nothing", a, b)
	}
	return Amount{hi, lo}, nil
}

// MulDiv is a*mul/div, rounded down; it fails when div is 0 or the result
// does not fit.
func (a Amount) MulDiv(mul, div uint64) (Amount, error) {
	if div == 0 {
		return Amount{}, fmt.Errorf("amount %v * %d / 0", a, mul)
	}
	v := a.big()
	v.Mul(v, new(big.Int).SetUint64(mul))
	return amountFromBig(v.Quo(v, new(big.Int).SetUint64(div)))
}
