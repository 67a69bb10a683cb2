package s1ap

import (
	"math/rand/v2"
	"reflect"
	"testing"
)

// TestUsedMessageHoldsNothingOld reads messages, whole ones and broken ones, into
// a message that held something else: it holds what a new one would, so that no
// id or key of the phone before is taken for this one's.
func TestUsedMessageHoldsNothingOld(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	for i, m := range allMessages() {
		for seed := range uint64(12) {
			b, err := Append(nil, randomOf(m, seed*1000+uint64(i), 60, 3))
			if err != nil {
				t.Fatal(err)
			}
			for try := range 12 {
				broken := append([]byte(nil), b...)
				switch {
				case try == 0: // whole
				case try < 4:
					broken = broken[:r.IntN(len(broken))]
				default: // kind, length and all but a few octets stay
					for range 1 + r.IntN(3) {
						broken[min(len(broken)-1, 3+r.IntN(len(broken)))] ^= 1 << r.IntN(8)
					}
				}
				fresh, err := Parse(broken)
				used := PDU{Message: randomOf(m, seed*7777+uint64(try), 90, 5)}
				err2 := ParseInto(&used, broken)
				if (err == nil) != (err2 == nil) || err != nil && err.Error() != err2.Error() {
					t.Fatalf("%s: new: %v; used: %v\n% x", m.Header().Name, err, err2, broken)
				}
				if (fresh.Message == nil) != (used.Message == nil) {
					t.Fatalf("%s: %T and %T\n% x", m.Header().Name, fresh.Message, used.Message, broken)
				}
				if fresh.Message != nil {
					if d := sameMessage(fresh.Message, used.Message); d != "" {
						t.Fatalf("%s: a used message differs (-fresh +used): %v\n%s\n% x", m.Header().Name, err, d, broken)
					}
				}
			}
		}
	}
}

// randomOf makes a message of m's kind.
func randomOf(m Message, seed uint64, present, elements int) Message {
	other := reflect.New(reflect.TypeOf(m).Elem()).Interface().(randomMessage)
	other.random(newGen(seed, present, elements))
	return other
}

// TestUsedMessageOfAnotherKind reads the answer of a procedure over its request.
func TestUsedMessageOfAnotherKind(t *testing.T) {
	b, err := Append(nil, &ResetAcknowledge{})
	if err != nil {
		t.Fatal(err)
	}
	p := PDU{Message: &Reset{}}
	if err := ParseInto(&p, b); err != nil {
		t.Fatal(err)
	}
	if _, ok := p.Message.(*ResetAcknowledge); !ok {
		t.Errorf("read as %T", p.Message)
	}
}

// TestMessageAdditions skips what a later release adds to a message behind its
// IEs, and counts as many IEs as a container can have.
func TestMessageAdditions(t *testing.T) {
	b := assemble((*Reset)(nil).Header(), ie{IDCause, CriticalityIgnore, "\x40"}, ie{IDResetType, CriticalityReject, "\x00"})
	b[3] += 3
	b[4] |= 0x80                 // the extension bit
	b = append(b, 0x01, 1, 0x55) // one addition, present, of one octet
	if _, err := Parse(b); err != nil {
		t.Error(err)
	}
	b[len(b)-2] = 2 // one of two octets, of which one is there
	if _, e := parseFault(t, b); e.Transfer == nil {
		t.Error("an addition that is cut short")
	}
	full := &ResetAcknowledge{UnknownIEs: make([]UnknownIE, 65536)}
	if _, err := Append(nil, full); err == nil {
		t.Error("65536 IEs were written")
	}
	full.UnknownIEs = full.UnknownIEs[1:]
	if b, err := Append(nil, full); err != nil {
		t.Error(err)
	} else if p, err := Parse(b); err == nil || len(p.Message.(*ResetAcknowledge).UnknownIEs) > 65535 {
		t.Errorf("%v", err) // they have the id of MME-UE-S1AP-ID with criticality reject
	}
}
