package proof_test

import (
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"campanile.network/3gpp/id"
	"campanile.network/wire/proof"
)

func parseAmount(t testing.TB, s string) proof.Amount {
	t.Helper()
	a, err := proof.ParseAmount(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestCharge(t *testing.T) {
	for _, c := range []struct {
		carried             proof.Carried
		gb, minute, message string
		want                string
	}{
		{proof.Carried{}, "1000000000000000000", "5", "5", "0"},
		{proof.Carried{Bytes: 1}, "1000000000000000000", "0", "0", "1000000000"},
		{proof.Carried{Bytes: 1_000_000_000}, "1000000000000000000", "0", "0", "1000000000000000000"},
		{proof.Carried{Bytes: 999}, "1000000", "0", "0", "0"}, // a thousandth of an abell an octet: rounded down
		{proof.Carried{Bytes: 1000}, "1000000", "0", "0", "1"},
		{proof.Carried{Bytes: math.MaxUint64}, "1000000000000000000", "0", "0", "18446744073709551615000000000"},
		{proof.Carried{VoiceMs: 90_000, Messages: 7}, "1", "1000", "30", "1710"},
		{proof.Carried{VoiceMs: 59}, "0", "1000", "0", "0"},
		{proof.Carried{Bytes: 2_000_000_000, VoiceMs: 30_000, Messages: 1}, "10", "5", "3", "25"},
	} {
		p := proof.Prices{PerGB: parseAmount(t, c.gb), PerMinute: parseAmount(t, c.minute), PerMessage: parseAmount(t, c.message)}
		if got, err := p.Charge(c.carried); err != nil || got.String() != c.want {
			t.Errorf("%v: %v, %v; want %s", c.carried, got, err, c.want)
		}
	}
	most := parseAmount(t, "340282366920938463463374607431768211455")
	for _, c := range []struct {
		p proof.Prices
		n proof.Carried
	}{
		{proof.Prices{PerGB: most}, proof.Carried{Bytes: 2 * proof.GB}},
		{proof.Prices{PerMessage: most}, proof.Carried{Messages: 2}},
		{proof.Prices{PerGB: most, PerMessage: proof.AmountOf(1)}, proof.Carried{Bytes: proof.GB, Messages: 1}},
	} {
		if a, err := c.p.Charge(c.n); err == nil {
			t.Errorf("%v: overflow gave %v", c.n, a)
		}
	}
}

// The charge is the floor of the exact products, never falls as counts rise, and
// charging in one go is never less than the sum of parts.
func TestChargeProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := func(name string) uint64 { return rapid.Uint64Range(0, 1<<61).Draw(t, name) }
		p := proof.Prices{PerGB: proof.AmountOf(n("gb")), PerMinute: proof.AmountOf(n("minute")), PerMessage: proof.AmountOf(n("message"))}
		a, b := proof.Carried{Bytes: n("a1"), VoiceMs: n("a2"), Messages: n("a3")}, proof.Carried{Bytes: n("b1"), VoiceMs: n("b2"), Messages: n("b3")}
		charge := func(c proof.Carried) *big.Int {
			got, err := p.Charge(c)
			if err != nil {
				t.Fatal(err)
			}
			exact := new(big.Int)
			for _, part := range []struct {
				price  proof.Amount
				n, per uint64
			}{{p.PerGB, c.Bytes, 1e9}, {p.PerMinute, c.VoiceMs, 60_000}, {p.PerMessage, c.Messages, 1}} {
				v, _ := new(big.Int).SetString(part.price.String(), 10)
				v.Mul(v, new(big.Int).SetUint64(part.n)).Quo(v, new(big.Int).SetUint64(part.per))
				exact.Add(exact, v)
			}
			if got.String() != exact.String() {
				t.Fatalf("%v costs %v, exactly %v", c, got, exact)
			}
			return exact
		}
		whole, parts := charge(a.Plus(b)), new(big.Int).Add(charge(a), charge(b))
		if lost := new(big.Int).Sub(whole, parts); lost.Sign() < 0 || lost.Cmp(big.NewInt(2)) > 0 {
			t.Fatalf("%v in one, %v in two parts", whole, parts)
		}
	})
}

func TestCarried(t *testing.T) {
	a, b := proof.Carried{Bytes: 5, VoiceMs: 6, Messages: 7}, proof.Carried{Bytes: 1, VoiceMs: 9, Messages: 7}
	if got := a.Plus(proof.Carried{Bytes: math.MaxUint64, VoiceMs: 1}); got != (proof.Carried{Bytes: math.MaxUint64, VoiceMs: 7, Messages: 7}) {
		t.Error("sum", got)
	}
	if got := a.Less(b); got != (proof.Carried{Bytes: 4}) {
		t.Error("difference", got)
	}
	if got := a.Most(b); got != (proof.Carried{Bytes: 1, VoiceMs: 6, Messages: 7}) {
		t.Error("least", got)
	}
	if a.Covers(b) || !a.Covers(a) || !a.Plus(b).Covers(b) {
		t.Error("covers")
	}
}

// Each kind of cell comes back in a segment as what it was, and no other kind does.
func TestCells(t *testing.T) {
	serving, _, _, sg, _ := sample(t)
	plmn, err := id.ParsePLMN("00101")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[proof.Cell]bool{}
	for _, c := range []struct {
		cell proof.Cell
		text string
	}{
		{proof.EUTRAN(id.ECGI{PLMN: plmn, ECI: 0x3ef000a}), "001/01:3ef000a"},
		{proof.GERAN(id.CGI{PLMN: plmn, LAC: 0x3ef, CI: 10}), "001/01:03ef-000a"},
		{proof.GERAN(id.CGI{PLMN: plmn, LAC: 0xffff, CI: 0xffff}), "001/01:ffff-ffff"},
	} {
		sg.Cell = c.cell
		b, err := sg.Sign(serving)
		if err != nil {
			t.Fatal(err)
		}
		got, err := proof.OpenSegment("campanile-1", serving.Public(), b)
		if err != nil || got != sg || got.Cell.String() != c.text || seen[got.Cell] {
			t.Errorf("%v came back as %v, %v", c.cell, got.Cell, err)
		}
		seen[got.Cell] = true
	}
	sg.Cell = proof.Cell{}
	b, err := sg.Sign(serving)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := proof.OpenSegment("campanile-1", serving.Public(), b); err == nil {
		t.Errorf("a segment at no cell is believed: %+v", got)
	}
}
