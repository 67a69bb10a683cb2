package rating_test

import (
	"errors"
	"math"
	"math/big"
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

func parse(t testing.TB, s string) proof.Amount {
	t.Helper()
	a, err := proof.ParseAmount(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestCharge(t *testing.T) {
	for _, c := range []struct {
		octets      uint64
		price, want string
	}{
		{0, "1000000000000000000", "0"},
		{1, "1000000000000000000", "1000000000"},
		{1_000_000_000, "1000000000000000000", "1000000000000000000"},
		{999, "1000000", "0"}, // a thousandth of an abell an octet: rounded down
		{1000, "1000000", "1"},
		{math.MaxUint64, "1000000000000000000", "18446744073709551615000000000"},
	} {
		if got, err := rating.Charge(c.octets, parse(t, c.price)); err != nil || got.String() != c.want {
			t.Errorf("%d octets at %s: %v, %v; want %s", c.octets, c.price, got, err, c.want)
		}
	}
	if a, err := rating.Charge(2*rating.GB, parse(t, "340282366920938463463374607431768211455")); err == nil {
		t.Errorf("overflow gave %v", a)
	}
}

// The charge is the floor of the exact product, never falls as octets rise,
// and charging in one go is never less than the sum of parts.
func TestChargeProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		price := proof.AmountOf(rapid.Uint64().Draw(t, "price"))
		a, b := rapid.Uint64Range(0, 1<<62).Draw(t, "a"), rapid.Uint64Range(0, 1<<62).Draw(t, "b")
		ca, err1 := rating.Charge(a, price)
		cb, err2 := rating.Charge(b, price)
		cs, err3 := rating.Charge(a+b, price)
		if err := errors.Join(err1, err2, err3); err != nil {
			t.Fatal(err)
		}
		exact, _ := new(big.Int).SetString(price.String(), 10)
		exact.Mul(exact, new(big.Int).SetUint64(a)).Quo(exact, big.NewInt(rating.GB))
		if ca.String() != exact.String() {
			t.Fatalf("charge %v, exact %v", ca, exact)
		}
		parts, err := ca.Add(cb)
		if err != nil || cs.Cmp(parts) < 0 {
			t.Fatalf("%v in one, %v in parts (%v)", cs, parts, err)
		}
		if lost, _ := cs.Sub(parts); lost.Cmp(proof.AmountOf(1)) > 0 {
			t.Fatalf("splitting once lost %v", lost)
		}
	})
}

func TestCoveredIsTheInverse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		price, have := amount(t, "price"), amount(t, "amount")
		n := rating.Covered(have, price)
		if n == math.MaxUint64 {
			if c, err := rating.Charge(n, price); err != nil || c.Cmp(have) > 0 {
				t.Fatalf("%v does not cover everything at %v", have, price)
			}
			return
		}
		if c, err := rating.Charge(n, price); err != nil || c.Cmp(have) > 0 {
			t.Fatalf("%d octets cost %v (%v), more than %v", n, c, err, have)
		}
		if c, err := rating.Charge(n+1, price); err == nil && c.Cmp(have) <= 0 {
			t.Fatalf("%v covers one octet more than %d at %v", have, n, price)
		}
	})
}
