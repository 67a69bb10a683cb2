package proof_test

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"strings"
	"testing"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/wire/proof"
)

func sample(t testing.TB) (serving, node proof.SigningKey, tk proof.Ticket, sg proof.Segment, v proof.Voucher) {
	serving, node = proof.NewSigningKey(), proof.NewSigningKey()
	p, err := id.ParsePLMN("00101")
	if err != nil {
		t.Fatal(err)
	}
	tk = proof.Ticket{ChainID: "campanile-1", ID: proof.TicketID{1}, Home: proof.OperatorKey{2}, Node: node.Public(), Serving: serving.Public(),
		Class: proof.Proven, NotBefore: time.Unix(1000, 0).UTC(), NotAfter: time.Unix(22600, 0).UTC(), Cap: proof.Carried{Bytes: 1 << 30, VoiceMs: 3_600_000, Messages: 9}, Prices: [32]byte{7}}
	sg = proof.Segment{ChainID: "campanile-1", Ticket: tk.ID, No: 3, Tower: proof.TowerKey{9}, Cell: proof.EUTRAN(id.ECGI{PLMN: p, ECI: 0x19b01}), Start: time.UnixMilli(1234567).UTC()}
	v = proof.Voucher{ChainID: "campanile-1", Channel: 4, Seq: 5, Amount: proof.AmountOf(6), Carried: proof.Carried{Bytes: 7, VoiceMs: 8, Messages: 9}, Root: [32]byte{8}}
	return
}

func TestSignedThingsComeBack(t *testing.T) {
	serving, node, tk, sg, v := sample(t)
	b, err := tk.Sign(node)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := proof.OpenTicket("campanile-1", b); err != nil || got != tk {
		t.Errorf("ticket %+v: %v", got, err)
	}
	if !tk.Valid(time.Unix(1000, 0)) || tk.Valid(time.Unix(999, 0)) || tk.Valid(time.Unix(22600, 0)) {
		t.Error("validity is [NotBefore, NotAfter)")
	}
	if b, err = sg.Sign(serving); err != nil {
		t.Fatal(err)
	}
	if got, err := proof.OpenSegment("campanile-1", serving.Public(), b); err != nil || got != sg {
		t.Errorf("segment %+v: %v", got, err)
	}
	if b, err = v.Sign(serving); err != nil {
		t.Fatal(err)
	}
	if got, err := proof.OpenVoucher("campanile-1", serving.Public(), b); err != nil || got != v {
		t.Errorf("voucher %+v: %v", got, err)
	}
}

// Every octet of something signed is covered, and neither another chain's nor
// another purpose's signature is taken.
func TestNothingElseIsBelieved(t *testing.T) {
	serving, node, tk, sg, v := sample(t)
	tb, _ := tk.Sign(node)
	sb, _ := sg.Sign(serving)
	vb, _ := v.Sign(serving)
	for i := range vb {
		c := append([]byte(nil), vb...)
		c[i] ^= 1
		if _, err := proof.OpenVoucher("campanile-1", serving.Public(), c); err == nil {
			t.Fatalf("voucher with octet %d changed is believed", i)
		}
	}
	for i := range tb {
		c := append([]byte(nil), tb...)
		c[i] ^= 1
		if _, err := proof.OpenTicket("campanile-1", c); err == nil {
			t.Fatalf("ticket with octet %d changed is believed", i)
		}
	}
	if _, err := proof.OpenVoucher("campanile-2", serving.Public(), vb); !errors.Is(err, proof.ErrChain) {
		t.Errorf("other chain: %v", err)
	}
	if _, err := proof.OpenSegment("campanile-1", node.Public(), sb); !errors.Is(err, proof.ErrSignature) {
		t.Errorf("other signer: %v", err)
	}
	if _, err := proof.OpenVoucher("campanile-1", serving.Public(), sb); err == nil {
		t.Error("segment believed as voucher")
	}
	for n := range vb {
		if _, err := proof.OpenVoucher("campanile-1", serving.Public(), vb[:n]); err == nil {
			t.Fatalf("voucher cut at %d is believed", n)
		}
	}
	if _, err := tk.Sign(serving); err == nil {
		t.Error("ticket signed by a key it does not name")
	}
	v.ChainID = strings.Repeat("x", 51)
	if _, err := v.Sign(serving); !errors.Is(err, proof.ErrMalformed) {
		t.Errorf("long chain-id: %v", err)
	}
}

func TestSigningKeyDoesNotPrint(t *testing.T) {
	k := proof.SigningKeyFromSeed([32]byte{0xab, 0xcd})
	if s := fmt.Sprintf("%v %x %+v %#v", k, k, &k, k); strings.Contains(s, "abcd") || strings.Contains(s, "171") {
		t.Error(s)
	}
	if _, err := json.Marshal(k); err == nil {
		t.Error("key became JSON")
	}
}

func TestAmount(t *testing.T) {
	const most = "340282366920938463463374607431768211455"
	a, err := proof.ParseAmount(most)
	if err != nil || a.String() != most {
		t.Fatal(a, err)
	}
	if _, err := a.Add(proof.AmountOf(1)); err == nil {
		t.Error("overflow not seen")
	}
	if _, err := (proof.Amount{}).Sub(proof.AmountOf(1)); err == nil {
		t.Error("underflow not seen")
	}
	if _, err := a.MulDiv(2, 1); err == nil {
		t.Error("product overflow not seen")
	}
	if _, err := a.MulDiv(2, 0); err == nil {
		t.Error("division by zero not seen")
	}
	if b, err := a.MulDiv(1<<63, 1<<63); err != nil || b != a {
		t.Error(b, err)
	}
	for _, bad := range []string{"", "-1", "+1", "1.0", "x", most + "0"} {
		if _, err := proof.ParseAmount(bad); err == nil {
			t.Errorf("%q taken", bad)
		}
	}
}

func FuzzAmount(f *testing.F) {
	f.Add(uint64(1), uint64(2), uint64(3), uint64(4))
	f.Fuzz(func(t *testing.T, al, bl, m, d uint64) {
		a, err := proof.AmountOf(al).MulDiv(1<<62, 1)
		if err != nil {
			t.Fatal(err)
		}
		b := proof.AmountOf(bl)
		s, err := a.Add(b)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := s.Sub(b); err != nil || back != a || s.Cmp(a) < 0 {
			t.Errorf("%v + %v - %v = %v, %v", a, b, b, back, err)
		}
		want := new(big.Int).SetUint64(bl)
		want.Mul(want, new(big.Int).SetUint64(m))
		if d != 0 {
			if got, err := b.MulDiv(m, d); err != nil || got.String() != want.Quo(want, new(big.Int).SetUint64(d)).String() {
				t.Errorf("%v * %d / %d = %v, %v; want %v", b, m, d, got, err, want)
			}
		}
	})
}

// mth is RFC 6962 §2.1 word for word.
func mth(leaves [][32]byte) [32]byte {
	if len(leaves) == 0 {
		return sha256.Sum256(nil)
	}
	if len(leaves) == 1 {
		return leaves[0]
	}
	k := 1
	for k*2 < len(leaves) {
		k *= 2
	}
	l, r := mth(leaves[:k]), mth(leaves[k:])
	return sha256.Sum256(append(append([]byte{1}, l[:]...), r[:]...))
}

func TestTreeIsRFC6962(t *testing.T) {
	var tree proof.Tree
	var leaves [][32]byte
	for n := range 70 {
		if tree.Root() != mth(leaves) {
			t.Fatalf("root of %d leaves", n)
		}
		b, _ := tree.MarshalBinary()
		var back proof.Tree
		if err := back.UnmarshalBinary(b); err != nil || back.Root() != tree.Root() || back.Size() != uint64(n) {
			t.Fatalf("stored tree of %d: %v", n, err)
		}
		l := proof.Receipt{No: uint32(n), UL: 5}.Leaf()
		side := tree.Clone()
		side.Append(proof.Receipt{}.Leaf())
		leaves = append(leaves, l)
		tree.Append(l)
	}
	if err := new(proof.Tree).UnmarshalBinary([]byte{0, 0, 0, 0, 0, 0, 0, 3, 1}); err == nil {
		t.Error("short tree read")
	}
}

func FuzzOpen(f *testing.F) {
	serving, node, tk, sg, v := sample(f)
	for _, sign := range []func() ([]byte, error){
		func() ([]byte, error) { return tk.Sign(node) },
		func() ([]byte, error) { return sg.Sign(serving) },
		func() ([]byte, error) { return v.Sign(serving) },
		func() ([]byte, error) { return statement(node).Sign(node) },
	} {
		b, err := sign()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		other := proof.NewSigningKey()
		if _, err := proof.OpenSegment("campanile-1", other.Public(), b); err == nil {
			t.Error("segment believed from nobody")
		}
		if _, err := proof.OpenVoucher("campanile-1", other.Public(), b); err == nil {
			t.Error("voucher believed from nobody")
		}
		proof.OpenTicket("campanile-1", b)
		proof.OpenHealth("campanile-1", b)
	})
}

// Times that nobody could keep, or that never end, are not believed.
func TestTicketsOfAbsurdTime(t *testing.T) {
	_, node, tk, _, _ := sample(t)
	for _, c := range []struct{ from, to int64 }{
		{1000, 1000}, {1000, 999}, {-1, 1000}, {0, math.MaxInt64}, {math.MinInt64, 0}, {math.MaxInt64 - 10, math.MaxInt64},
		{1000, 1000 + 367*86400}, {300_000_000_000, 300_000_000_100},
	} {
		tk.NotBefore, tk.NotAfter = time.Unix(c.from, 0), time.Unix(c.to, 0)
		b, err := tk.Sign(node)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := proof.OpenTicket(tk.ChainID, b); !errors.Is(err, proof.ErrMalformed) {
			t.Errorf("from %d to %d: %v", c.from, c.to, err)
		}
	}
}
