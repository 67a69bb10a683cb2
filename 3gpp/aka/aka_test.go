package aka_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"campanile.network/3gpp/aka"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/milenage"
	"campanile.network/3gpp/secret"
)

// Set 20 of TS 35.208 §4.3.
func set20(t testing.TB) (k, opc secret.Key128, rand aka.RAND) {
	return secret.Key128(unhex(t, "90dca4eda45b53cf0f12d7c9c3bc6a89")),
		secret.Key128(unhex(t, "cb9cccc4b9258e6dca4760379fb82581")),
		aka.RAND(unhex(t, "9fddc72092c6ad036b6e464789315b78"))
}

func plmn(t testing.TB) id.PLMN {
	p, err := id.ParsePLMN("00101")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func newCard(t testing.TB, change func(*aka.USIMOptions)) (*aka.USIM, *milenage.Cipher) {
	t.Helper()
	k, opc, _ := set20(t)
	o := aka.USIMOptions{Algorithm: milenage.New(k, opc)}
	if change != nil {
		change(&o)
	}
	u, err := aka.NewUSIM(o)
	if err != nil {
		t.Fatal(err)
	}
	return u, milenage.New(k, opc)
}

func sqn(t testing.TB, seq uint64, ind uint8) aka.SQN {
	t.Helper()
	s, err := aka.MakeSQN(seq, ind)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAUTNOfPublishedSet(t *testing.T) {
	k, opc, rand := set20(t)
	v := aka.Generate(milenage.New(k, opc), rand, aka.DecodeSQN([6]byte(unhex(t, "20f813bd4141"))), aka.AMF{0x61, 0xdf})
	// SQN xor f5, AMF, f1 of the set.
	if want := unhex(t, "a337c6f0f852"+"61df"+"09db94eab4f8149e"); !bytes.Equal(v.AUTN[:], want) {
		t.Errorf("AUTN %x, want %x", v.AUTN, want)
	}
	if want := unhex(t, "a95100e2760952cd"); !v.XRES.Equal(want) || v.XRES.Equal(want[:7]) || v.XRES.Equal(nil) {
		t.Errorf("XRES %x, want %x", v.XRES.Bytes(), want)
	}
}

// TestStrangersAUTS verifies tokens out of hostap's milenage test, the second
// from a test card.
func TestStrangersAUTS(t *testing.T) {
	k, opc, rand := set20(t)
	c := milenage.New(k, opc)
	var aa aka.RAND
	for i := range aa {
		aa[i] = 0xaa
	}
	for _, tc := range []struct {
		rand aka.RAND
		auts string
		sqn  string
	}{
		{rand, "4f2039392ddd4bb4316ed4a14688", "000000000001"},
		{aa, "43681ad3daf006bcde405a207267", "00000000002a"}, // the source gives no SQN: MAC-S is the check
	} {
		auts, err := aka.DecodeAUTS(unhex(t, tc.auts))
		if err != nil {
			t.Fatal(err)
		}
		ms, err := aka.VerifyAUTS(c, tc.rand, auts)
		if err != nil {
			t.Fatalf("AUTS %s: %v", tc.auts, err)
		}
		if o := ms.Octets(); !bytes.Equal(o[:], unhex(t, tc.sqn)) {
			t.Errorf("AUTS %s: SQN_MS %x, want %s", tc.auts, o, tc.sqn)
		}
		if again := aka.BuildAUTS(c, tc.rand, ms); again != auts {
			t.Errorf("built %x, want %x", again, auts)
		}
		for i := range auts {
			bad := auts
			bad[i] ^= 1
			if _, err := aka.VerifyAUTS(c, tc.rand, bad); !errors.Is(err, aka.ErrAUTS) {
				t.Errorf("octet %d changed: %v, want ErrAUTS", i, err)
			}
		}
	}
	if _, err := aka.VerifyAUTS(c, aa, aka.AUTS(unhex(t, "4f2039392ddd4bb4316ed4a14688"))); !errors.Is(err, aka.ErrAUTS) {
		t.Errorf("AUTS for another RAND: %v, want ErrAUTS", err)
	}
}

func TestVectorAllocatesOnce(t *testing.T) {
	k, opc, rand := set20(t)
	var f aka.Algorithm = milenage.New(k, opc)
	if n := testing.AllocsPerRun(100, func() { aka.Generate(f, rand, 32, aka.AMFEPS()) }); n > 1 {
		t.Errorf("%v allocations, want at most 1", n)
	}
}

func TestCardAnswersOnce(t *testing.T) {
	card, c := newCard(t, nil)
	_, _, rand := set20(t)
	v := aka.Generate(c, rand, sqn(t, 1, 0), aka.AMFEPS())
	res, kasme, err := card.AuthenticateEPS(v.RAND, v.AUTN, plmn(t))
	if err != nil {
		t.Fatal(err)
	}
	if !v.XRES.Equal(res.Bytes()) || kasme != v.KASME(plmn(t)) {
		t.Errorf("RES %x, K_ASME %x", res.Bytes(), kasme[:])
	}
	_, _, err = card.AuthenticateEPS(v.RAND, v.AUTN, plmn(t))
	var synch *aka.SynchFailure
	if !errors.As(err, &synch) {
		t.Fatalf("replayed AUTN: %v, want SynchFailure", err)
	}
	if ms, err := aka.VerifyAUTS(c, rand, synch.AUTS); err != nil || ms != sqn(t, 1, 0) {
		t.Errorf("AUTS says %v, %v; want 1/0", ms, err)
	}
}

func TestRefusalsHaveTheirCause(t *testing.T) {
	_, _, rand := set20(t)
	for _, tc := range []struct {
		name  string
		autn  func(aka.Vector) aka.AUTN
		amf   aka.AMF
		seq   uint64
		cause uint8
	}{
		{"good", func(v aka.Vector) aka.AUTN { return v.AUTN }, aka.AMFEPS(), 101, 0},
		{"MAC changed", func(v aka.Vector) aka.AUTN { v.AUTN[15] ^= 1; return v.AUTN }, aka.AMFEPS(), 101, 20},
		{"SQN changed", func(v aka.Vector) aka.AUTN { v.AUTN[0] ^= 1; return v.AUTN }, aka.AMFEPS(), 101, 20},
		{"AMF changed", func(v aka.Vector) aka.AUTN { v.AUTN[7] ^= 1; return v.AUTN }, aka.AMFEPS(), 101, 20},
		{"old", func(v aka.Vector) aka.AUTN { return v.AUTN }, aka.AMFEPS(), 100, 21},
		{"not EPS", func(v aka.Vector) aka.AUTN { return v.AUTN }, aka.AMF{0x7f, 0xff}, 101, 26},
	} {
		t.Run(tc.name, func(t *testing.T) {
			card, c := newCard(t, func(o *aka.USIMOptions) { o.SEQ[3] = 100 })
			before := card.Array()
			v := aka.Generate(c, rand, sqn(t, tc.seq, 3), tc.amf)
			_, _, err := card.AuthenticateEPS(rand, tc.autn(v), plmn(t))
			cause, failed := aka.Cause(err)
			if cause != tc.cause || failed != (err != nil) {
				t.Errorf("%v: cause %d, want %d", err, cause, tc.cause)
			}
			if err != nil && card.Array() != before {
				t.Error("a refused number was marked as used")
			}
		})
	}
	if _, ok := aka.Cause(aka.ErrAUTS); ok {
		t.Error("ErrAUTS has no EMM cause")
	}
}

// TestArrayRule walks the acceptance rule of TS 33.102 §C.2.2.
func TestArrayRule(t *testing.T) {
	card, c := newCard(t, func(o *aka.USIMOptions) { o.Limit = 1 << 20 })
	_, _, rand := set20(t)
	for i, step := range []struct {
		seq uint64
		ind uint8
		ok  bool
		why string
	}{
		{5, 0, true, "first"},
		{5, 1, true, "equal number under another index"},
		{5, 0, false, "repeated"},
		{4, 2, true, "lower but fresh under its index"},
		{5 + aka.Delta, 3, true, "a step of exactly Delta"},
		{5 + 2*aka.Delta + 1, 4, false, "a step of Delta + 1"},
		{6 + aka.Delta - 1<<20, 0, true, "younger than L behind the highest"},
		{5 + aka.Delta - 1<<20, 1, false, "L behind the highest"},
		{6 + aka.Delta, 3, true, "next under the highest index"},
	} {
		v := aka.Generate(c, rand, sqn(t, step.seq, step.ind), aka.AMFEPS())
		_, err := card.Authenticate(rand, v.AUTN)
		if (err == nil) != step.ok {
			t.Errorf("step %d, %s (%d/%d): %v", i, step.why, step.seq, step.ind, err)
		}
	}
	if got, want := card.Highest(), sqn(t, 6+aka.Delta, 3); got != want {
		t.Errorf("highest %v, want %v", got, want)
	}
	again, _ := newCard(t, func(o *aka.USIMOptions) { o.SEQ = card.Array() })
	if again.Highest() != card.Highest() {
		t.Errorf("restored highest %v, want %v", again.Highest(), card.Highest())
	}
}

// TestResyncBringsThemTogether runs issuer and card through a loss of state on
// either side: after one resynchronisation the next challenge is accepted.
func TestResyncBringsThemTogether(t *testing.T) {
	now := aka.TickAt(time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC))
	for _, tc := range []struct {
		name string
		card uint64 // SEQ of the card
		last uint64
		dif  int64
	}{
		{"card ahead of the issuer", 1 << 30, 10, -int64(now) + 11},
		{"card beyond the issuer's clock", uint64(now) + 1000, 0, 0},
		{"fresh card, issuer without DIF", 0, 0, 0},
		{"card at the same number", 77, 76, -int64(now)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			card, c := newCard(t, func(o *aka.USIMOptions) { o.SEQ[9] = tc.card })
			_, _, rand := set20(t)
			last, dif := tc.last, tc.dif
			challenge := func() error {
				seq, err := aka.NextSEQ(last, now, dif)
				if err != nil {
					t.Fatal(err)
				}
				last = seq
				_, _, err = card.AuthenticateEPS(rand, aka.Generate(c, rand, sqn(t, seq, 9), aka.AMFEPS()).AUTN, plmn(t))
				return err
			}
			var synch *aka.SynchFailure
			if err := challenge(); !errors.As(err, &synch) {
				t.Fatalf("first challenge: %v, want SynchFailure", err)
			}
			ms, err := aka.VerifyAUTS(c, rand, synch.AUTS)
			if err != nil {
				t.Fatal(err)
			}
			last, dif = aka.Resync(last, dif, now, ms)
			for range 3 {
				if err := challenge(); err != nil {
					t.Fatalf("after resynchronisation: %v", err)
				}
			}
		})
	}
}

func TestResyncKeepsANumberThatWouldDo(t *testing.T) {
	if last, dif := aka.Resync(500, -20, 100, sqn(t, 400, 1)); last != 500 || dif != -20 {
		t.Errorf("got %d, %d; the issuer at 500 is good for a card at 400", last, dif)
	}
}

// TestResyncAtTheEdges: the next number has to be above the card's, and no more
// than Delta above it.
func TestResyncAtTheEdges(t *testing.T) {
	for _, tc := range []struct {
		last, card uint64
		keeps      bool
	}{
		{99, 100, false}, // the next number would be the card's own
		{100, 100, true},
		{99 + aka.Delta, 100, true},
		{100 + aka.Delta, 100, false},
	} {
		last, _ := aka.Resync(tc.last, -1000, 0, sqn(t, tc.card, 1))
		if want := map[bool]uint64{true: tc.last, false: tc.card}[tc.keeps]; last != want {
			t.Errorf("issuer at %d, card at %d: %d, want %d", tc.last, tc.card, last, want)
		}
	}
}

func TestNextSEQ(t *testing.T) {
	for _, tc := range []struct {
		last  uint64
		clock aka.Tick
		dif   int64
		want  uint64
		err   error
	}{
		{0, 0, 0, 1, nil},
		{10, 5, 0, 11, nil},
		{10, 50, 0, 50, nil},
		{10, 50, -45, 11, nil},
		{10, 50, -1000, 11, nil},
		{aka.MaxSEQ - 1, 0, 0, aka.MaxSEQ, nil},
		{aka.MaxSEQ, 0, 0, 0, aka.ErrSEQ},
		{0, aka.MaxSEQ, 1, 0, aka.ErrSEQ},
	} {
		got, err := aka.NextSEQ(tc.last, tc.clock, tc.dif)
		if got != tc.want || !errors.Is(err, tc.err) {
			t.Errorf("NextSEQ(%d, %d, %d) = %d, %v; want %d, %v", tc.last, tc.clock, tc.dif, got, err, tc.want, tc.err)
		}
	}
	clock := aka.Tick(17_700_000_000)
	if seq, err := aka.NextSEQ(0, clock, aka.DIFFor(41, clock)); err != nil || seq != 42 {
		t.Errorf("after import at 41: %d, %v; want 42", seq, err)
	}
}

func TestSQNParts(t *testing.T) {
	s := sqn(t, aka.MaxSEQ, 31)
	if o := s.Octets(); o != [6]byte{255, 255, 255, 255, 255, 255} || aka.DecodeSQN(o) != s {
		t.Errorf("octets %x", o)
	}
	if s.SEQ() != aka.MaxSEQ || s.IND() != 31 {
		t.Errorf("parts %d, %d", s.SEQ(), s.IND())
	}
	if _, err := aka.MakeSQN(aka.MaxSEQ+1, 0); !errors.Is(err, aka.ErrSEQ) {
		t.Errorf("44 bits: %v", err)
	}
	if _, err := aka.MakeSQN(0, 32); err == nil {
		t.Error("IND 32 accepted")
	}
	if _, err := aka.NewUSIM(aka.USIMOptions{Algorithm: milenage.New(secret.Key128{}, secret.Key128{}), SEQ: [aka.INDs]uint64{7: aka.MaxSEQ + 1}}); !errors.Is(err, aka.ErrSEQ) {
		t.Errorf("card with 44 bits: %v", err)
	}
	if _, err := aka.NewUSIM(aka.USIMOptions{}); err == nil {
		t.Error("a card without algorithm")
	}
	if _, err := aka.DecodeAUTS(make([]byte, 13)); err == nil {
		t.Error("AUTS of 13 octets accepted")
	}
	if _, err := aka.DecodeAUTN(make([]byte, 17)); err == nil {
		t.Error("AUTN of 17 octets accepted")
	}
}

func TestResponseDoesNotPrint(t *testing.T) {
	v := aka.Vector{XRES: secret.RES64([8]byte{0xde, 0xad}), CK: secret.Key128{0xbe, 0xef}}
	for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%s", "%d"} {
		if s := fmt.Sprintf(verb, v); strings.Contains(s, "dead") || strings.Contains(s, "222 173") || strings.Contains(s, "0xde") {
			t.Errorf("%s shows XRES: %s", verb, s)
		}
	}
	if _, err := json.Marshal(v.XRES); err == nil {
		t.Error("XRES became JSON")
	}
}

func BenchmarkVectorWithKASME(b *testing.B) {
	k, opc, rand := set20(b)
	c, p := milenage.New(k, opc), plmn(b)
	b.ReportAllocs()
	for b.Loop() {
		v := aka.Generate(c, rand, 32, aka.AMFEPS())
		v.KASME(p)
	}
}
