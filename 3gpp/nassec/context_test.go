package nassec_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"campanile.network/3gpp/nassec"
	"campanile.network/3gpp/secret"
)

func state(eea nassec.EEA, eia nassec.EIA) nassec.State {
	return nassec.State{
		KSI: 3, KASME: secret.Key256{1, 2, 3}, EEA: eea, EIA: eia, AllowNullIntegrity: eia == nassec.EIA0,
	}
}

func mustProtect(t testing.TB, c *nassec.Context, h nassec.HeaderType, plain []byte) []byte {
	t.Helper()
	pdu, err := c.Protect(nil, h, plain)
	if err != nil {
		t.Fatal(err)
	}
	return pdu
}

func TestBothWaysUnderEveryAlgorithm(t *testing.T) {
	plain := []byte("\x07\x5e and a payload of some length, longer than a block")
	for eea := nassec.EEA0; eea <= nassec.EEA3; eea++ {
		for eia := nassec.EIA0; eia <= nassec.EIA3; eia++ {
			t.Run(fmt.Sprintf("%v,%v", eea, eia), func(t *testing.T) {
				p := newPair(t, state(eea, eia))
				for n := range 600 { // past two wraps of the sequence number
					for _, way := range [][2]*nassec.Context{{p.network, p.phone}, {p.phone, p.network}} {
						pdu := mustProtect(t, way[0], nassec.IntegrityCiphered, plain)
						if clear := bytes.Equal(pdu[6:], plain); clear != (eea == nassec.EEA0) {
							t.Fatalf("ciphered: %v under %v", !clear, eea)
						}
						got, err := way[1].Unprotect(pdu[:0], pdu)
						if err != nil {
							t.Fatalf("message %d: %v", n, err)
						}
						if !bytes.Equal(got.Plain, plain) || got.Count != nassec.Count(n) || got.Type != nassec.IntegrityCiphered {
							t.Fatalf("message %d: %+v", n, got)
						}
					}
				}
				if p.network.UL() != 600 || p.phone.UL() != 600 || p.network.DL() != 600 || p.phone.DL() != 600 {
					t.Errorf("counts %v %v %v %v", p.network.UL(), p.phone.UL(), p.network.DL(), p.phone.DL())
				}
			})
		}
	}
}

func TestHeaderTypesCipherOrNot(t *testing.T) {
	plain := []byte{7, 0x5d, 1, 2, 3}
	for h, ciphered := range map[nassec.HeaderType]bool{
		nassec.IntegrityProtected: false, nassec.IntegrityCiphered: true,
		nassec.IntegrityNewContext: false, nassec.CipheredNewContext: true,
	} {
		p := newPair(t, state(nassec.EEA2, nassec.EIA2))
		pdu := mustProtect(t, p.network, h, plain)
		if pdu[0] != byte(h)<<4|7 || pdu[5] != 0 || bytes.Equal(pdu[6:], plain) == ciphered {
			t.Errorf("type %d: %x", h, pdu)
		}
		if got, err := p.phone.Unprotect(nil, pdu); err != nil || !bytes.Equal(got.Plain, plain) {
			t.Errorf("type %d: %x, %v", h, got.Plain, err)
		}
	}
	p := newPair(t, state(nassec.EEA0, nassec.EIA1))
	for _, h := range []nassec.HeaderType{0, 5, 12, 15} {
		if _, err := p.network.Protect(nil, h, plain); !errors.Is(err, nassec.ErrHeader) {
			t.Errorf("Protect with type %d: %v", h, err)
		}
	}
}

func TestEveryChangedOctetIsRefused(t *testing.T) {
	for eia := nassec.EIA1; eia <= nassec.EIA3; eia++ {
		p := newPair(t, state(nassec.EEA2, eia))
		pdu := mustProtect(t, p.phone, nassec.IntegrityCiphered, []byte("\x07\x41 attach request"))
		for i := 1; i < len(pdu); i++ {
			bad := bytes.Clone(pdu)
			bad[i] ^= 0x10
			if _, err := p.network.Unprotect(nil, bad); !errors.Is(err, nassec.ErrMAC) {
				t.Errorf("%v, octet %d: %v, want ErrMAC", eia, i, err)
			}
		}
		if p.network.UL() != 0 {
			t.Fatalf("a forged message used COUNT %d", p.network.UL())
		}
		if _, err := p.network.Unprotect(nil, pdu[:len(pdu)-1]); !errors.Is(err, nassec.ErrMAC) {
			t.Errorf("cut: %v, want ErrMAC", err)
		}
		if _, err := p.phone.Unprotect(nil, pdu); !errors.Is(err, nassec.ErrMAC) {
			t.Errorf("reflected to its sender: %v, want ErrMAC", err)
		}
		if _, err := p.network.Unprotect(nil, pdu); err != nil {
			t.Errorf("the message itself: %v", err)
		}
	}
}

func TestReplayAndLoss(t *testing.T) {
	p := newPair(t, state(nassec.EEA1, nassec.EIA1))
	var sent [][]byte
	for i := range 520 {
		sent = append(sent, mustProtect(t, p.phone, nassec.IntegrityCiphered, []byte{7, byte(i)}))
	}
	for _, step := range []struct {
		n   int
		err error
	}{
		{0, nil}, {0, nassec.ErrReplay}, {200, nil}, {199, nassec.ErrReplay}, {200, nassec.ErrReplay},
		{456, nil},           // 255 lost: the furthest jump that eight bits bridge
		{200, nassec.ErrMAC}, // over a period old: not even recognised, still refused
		{457, nil}, {519, nil}, {519, nassec.ErrReplay},
	} {
		got, err := p.network.Unprotect(nil, sent[step.n])
		if !errors.Is(err, step.err) {
			t.Errorf("message %d: %v, want %v", step.n, err, step.err)
		}
		if err == nil && got.Count != nassec.Count(step.n) {
			t.Errorf("message %d taken for COUNT %d", step.n, got.Count)
		}
	}
	far := newPair(t, state(nassec.EEA1, nassec.EIA1))
	if _, err := far.network.Unprotect(nil, sent[256]); !errors.Is(err, nassec.ErrMAC) {
		t.Errorf("jump of 256: %v, want ErrMAC", err)
	}
}

func TestVerifyUsesNoCount(t *testing.T) {
	p := newPair(t, state(nassec.EEA2, nassec.EIA2))
	pdu := mustProtect(t, p.phone, nassec.IntegrityProtected, []byte{7, 0x48})
	copyOf, err := nassec.New(p.network.State()) // a leg is checked beside the owner
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if count, err := copyOf.Verify(pdu); err != nil || count != 0 {
			t.Fatalf("Verify: %d, %v", count, err)
		}
	}
	if _, err := p.network.Unprotect(nil, pdu); err != nil {
		t.Fatal(err)
	}
	if _, err := p.network.Verify(pdu); !errors.Is(err, nassec.ErrReplay) {
		t.Errorf("Verify after use: %v", err)
	}
}

func TestRestartAtReservedMark(t *testing.T) {
	p := newPair(t, state(nassec.EEA2, nassec.EIA2))
	stored := p.network.State()
	stored.DL += 32 // reserved ahead
	for range 5 {
		if _, err := p.phone.Unprotect(nil, mustProtect(t, p.network, nassec.IntegrityCiphered, []byte{7, 1})); err != nil {
			t.Fatal(err)
		}
	}
	again, err := nassec.New(stored)
	if err != nil {
		t.Fatal(err)
	}
	got, err := p.phone.Unprotect(nil, mustProtect(t, again, nassec.IntegrityCiphered, []byte{7, 2}))
	if err != nil || got.Count != 32 {
		t.Errorf("after the restart: COUNT %d, %v; want 32", got.Count, err)
	}
}

func TestCountIsUsedUp(t *testing.T) {
	s := state(nassec.EEA2, nassec.EIA2)
	s.UL, s.DL = nassec.MaxCount, nassec.MaxCount
	p := newPair(t, s)
	if !p.network.NearWrap(1) {
		t.Error("not near the wrap at the last COUNT")
	}
	pdu := mustProtect(t, p.phone, nassec.IntegrityCiphered, []byte{7, 1})
	if got, err := p.network.Unprotect(nil, pdu); err != nil || got.Count != nassec.MaxCount {
		t.Fatalf("last COUNT: %+v, %v", got, err)
	}
	if _, err := p.phone.Protect(nil, nassec.IntegrityCiphered, []byte{7, 1}); !errors.Is(err, nassec.ErrCountExhausted) {
		t.Errorf("Protect: %v", err)
	}
	if _, err := p.phone.AppendServiceRequest(nil); !errors.Is(err, nassec.ErrCountExhausted) {
		t.Errorf("AppendServiceRequest: %v", err)
	}
	for seq := range 256 {
		pdu[5] = byte(seq)
		if _, err := p.network.Unprotect(nil, pdu); !errors.Is(err, nassec.ErrCountExhausted) {
			t.Fatalf("Unprotect of sequence %d: %v", seq, err)
		}
	}
	if _, err := nassec.New(p.phone.State()); err != nil {
		t.Errorf("an exhausted context must be restorable: %v", err)
	}
	s.UL = nassec.MaxCount + 2
	if _, err := nassec.New(s); !errors.Is(err, nassec.ErrCountExhausted) {
		t.Errorf("25-bit COUNT: %v", err)
	}
	s.UL, s.DL = 0, nassec.MaxCount-255
	if p = newPair(t, s); p.phone.NearWrap(255) || !p.phone.NearWrap(256) {
		t.Error("NearWrap is off by one")
	}
}

func TestServiceRequest(t *testing.T) {
	for eia := nassec.EIA1; eia <= nassec.EIA3; eia++ {
		p := newPair(t, state(nassec.EEA2, eia))
		var last []byte
		for n := range 100 { // past three wraps of five bits
			sr, err := p.phone.AppendServiceRequest(nil)
			if err != nil {
				t.Fatal(err)
			}
			if sr[0] != 0xc7 || sr[1] != 3<<5|byte(n)&0x1f || len(sr) != 4 {
				t.Fatalf("Service Request %x", sr)
			}
			for i := 1; i < 4; i++ {
				bad := bytes.Clone(sr)
				bad[i] ^= 0x80
				if _, err := p.network.AcceptServiceRequest(bad); !errors.Is(err, nassec.ErrMAC) {
					t.Fatalf("octet %d changed: %v", i, err)
				}
			}
			if _, err := p.network.VerifyServiceRequest(sr); err != nil {
				t.Fatal(err)
			}
			if count, err := p.network.AcceptServiceRequest(sr); err != nil || count != nassec.Count(n) {
				t.Fatalf("COUNT %d, %v; want %d", count, err, n)
			}
			last = sr
		}
		if _, err := p.network.AcceptServiceRequest(last); !errors.Is(err, nassec.ErrReplay) && !errors.Is(err, nassec.ErrMAC) {
			t.Errorf("replayed: %v", err)
		}
		if _, err := p.network.AppendServiceRequest(nil); !errors.Is(err, nassec.ErrHeader) {
			t.Errorf("network sends Service Request: %v", err)
		}
	}
}

// TestServiceRequestOfAnotherKeySet has a valid code and still the wrong KSI.
func TestServiceRequestOfAnotherKeySet(t *testing.T) {
	s := state(nassec.EEA2, nassec.EIA2)
	network := newPair(t, s).network
	s.KSI = 4
	sr, err := newPair(t, s).phone.AppendServiceRequest(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := network.AcceptServiceRequest(sr); !errors.Is(err, nassec.ErrMAC) {
		t.Errorf("%v, want ErrMAC", err)
	}
	if r, err := nassec.ParseServiceRequest(sr); err != nil || r.KSI != 4 {
		t.Errorf("KSI %d, %v; want 4", r.KSI, err)
	}
}

// TestServiceRequestOfMappedKeySet: bit 3 of the KSI of a mapped context has no
// place in the message.
func TestServiceRequestOfMappedKeySet(t *testing.T) {
	s := state(nassec.EEA2, nassec.EIA2)
	s.KSI = 8 + 5
	p := newPair(t, s)
	sr, err := p.phone.AppendServiceRequest(nil)
	if err != nil || sr[1]>>5 != 5 {
		t.Fatalf("%x, %v", sr, err)
	}
	if _, err := p.network.AcceptServiceRequest(sr); err != nil {
		t.Error(err)
	}
}

// TestServiceRequestHeaders: a network takes the reserved types 13 to 15 for a
// Service Request (TS 24.301 §9.3.1), and no other.
func TestServiceRequestHeaders(t *testing.T) {
	for h := range byte(16) {
		r, err := nassec.ParseServiceRequest([]byte{h<<4 | 7, 3<<5 | 9, 1, 2})
		if ok := h >= 12; ok != (err == nil) || ok && (r.KSI != 3 || r.Sequence != 9) {
			t.Errorf("header type %d: %+v, %v", h, r, err)
		}
	}
}

func TestMalformed(t *testing.T) {
	p := newPair(t, state(nassec.EEA2, nassec.EIA2))
	for _, tc := range []struct {
		pdu  []byte
		want error
	}{
		{nil, nassec.ErrShort},
		{[]byte{0x27}, nassec.ErrShort},
		{[]byte{0x27, 0, 0, 0, 0, 0}, nassec.ErrShort},
		{[]byte{0x07, 0x41}, nassec.ErrHeader},
		{[]byte{0x22, 1, 2, 3, 4, 5, 6, 7}, nassec.ErrHeader},
		{[]byte{0x57, 1, 2, 3, 4, 5, 6, 7}, nassec.ErrHeader},
		{[]byte{0xc7, 1, 2, 3, 4, 5, 6, 7}, nassec.ErrHeader},
	} {
		if _, err := p.network.Unprotect(nil, tc.pdu); !errors.Is(err, tc.want) {
			t.Errorf("Unprotect %x: %v, want %v", tc.pdu, err, tc.want)
		}
		if _, err := p.network.Verify(tc.pdu); !errors.Is(err, tc.want) {
			t.Errorf("Verify %x: %v, want %v", tc.pdu, err, tc.want)
		}
	}
	for _, pdu := range [][]byte{nil, {0xc7}, {0xc7, 0x60, 1}, {0x17, 0x60, 1, 2}, {0xc2, 0x60, 1, 2}} {
		if _, err := p.network.AcceptServiceRequest(pdu); !errors.Is(err, nassec.ErrShort) && !errors.Is(err, nassec.ErrHeader) {
			t.Errorf("AcceptServiceRequest %x: %v", pdu, err)
		}
	}
}

func TestNullIntegrityNeedsPermission(t *testing.T) {
	s := state(nassec.EEA0, nassec.EIA0)
	s.AllowNullIntegrity = false
	if _, err := nassec.New(s); !errors.Is(err, nassec.ErrNullIntegrity) {
		t.Errorf("New: %v", err)
	}
	for _, s := range []nassec.State{{EEA: 4, EIA: 1}, {EEA: 1, EIA: 4}} {
		if _, err := nassec.New(s); !errors.Is(err, nassec.ErrAlgorithm) {
			t.Errorf("EEA%d, EIA%d: %v", s.EEA, s.EIA, err)
		}
	}
}

func TestStateDoesNotPrintItsKey(t *testing.T) {
	s := nassec.State{KASME: secret.Key256{0xde, 0xad, 0xbe, 0xef}}
	for _, verb := range []string{"%v", "%+v", "%#v", "%x"} {
		if out := fmt.Sprintf(verb, s); strings.Contains(out, "dead") || strings.Contains(out, "222 173") || strings.Contains(out, "0xde") {
			t.Errorf("%s: %s", verb, out)
		}
	}
}

func TestNextHopChain(t *testing.T) {
	p := newPair(t, state(nassec.EEA2, nassec.EIA2))
	n, ph := nassec.NextHop{Key: p.network.KeNB(7)}, nassec.NextHop{Key: p.phone.KeNB(7)}
	seen := map[secret.Key256]bool{n.Key: true}
	for i := range 20 {
		n, ph = p.network.NextHop(n), p.phone.NextHop(ph)
		if n != ph || n.NCC != uint8(i+1)&7 || seen[n.Key] {
			t.Fatalf("step %d: NCC %d and %d, repeated %v", i, n.NCC, ph.NCC, seen[n.Key])
		}
		seen[n.Key] = true
	}
	if p.network.KeNB(7) == p.network.KeNB(8) {
		t.Error("K_eNB does not depend on the COUNT")
	}
}

func TestSelect(t *testing.T) {
	all := nassec.CapabilityOf(0, 1, 2, 3)
	policy := nassec.Policy{EEA: []nassec.EEA{2, 1, 0}, EIA: []nassec.EIA{2, 1, 0}}
	for _, tc := range []struct {
		eea, eia nassec.Capability
		null     bool
		wantE    nassec.EEA
		wantI    nassec.EIA
		err      error
	}{
		{all, all, false, 2, 2, nil},
		{0xc0, 0x40, false, 1, 1, nil},
		{0x80, 0x60, false, 0, 2, nil},
		{0x10, 0x60, false, 0, 0, nassec.ErrNoCommon},
		{all, 0x80, false, 0, 0, nassec.ErrNoCommon},
		{all, 0x80, true, 2, 0, nil},
		{0, 0, true, 0, 0, nassec.ErrNoCommon},
	} {
		policy.AllowNullIntegrity = tc.null
		e, i, err := policy.Select(tc.eea, tc.eia)
		if e != tc.wantE || i != tc.wantI || !errors.Is(err, tc.err) {
			t.Errorf("%08b %08b null %v: %v, %v, %v", tc.eea, tc.eia, tc.null, e, i, err)
		}
	}
	// EEA0..2 and EIA1, EIA2: in S1AP the first bit is algorithm 1.
	if got := nassec.Capability(0xe0).S1AP(); got != 0xc000 {
		t.Errorf("S1AP bits %016b, want 1100...", got)
	}
	if nassec.CapabilityOf(0, 7, 8) != 0x81 || nassec.Capability(0xff).Has(8) {
		t.Error("capability bits outside 0..7")
	}
}
