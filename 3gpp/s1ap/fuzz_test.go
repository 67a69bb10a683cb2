package s1ap

import (
	"encoding/json"
	"strings"
	"testing"

	"campanile.network/3gpp/tree"
)

// fuzzSeeds is what FuzzParse starts from: all that others encoded, and a random
// value of every message with unknown IEs.
func fuzzSeeds(t testing.TB) [][]byte {
	var seeds [][]byte
	for _, c := range captures(t) {
		seeds = append(seeds, c.pdu)
	}
	for _, d := range pycrate(t) {
		seeds = append(seeds, d.pdu)
	}
	for i, m := range allMessages() {
		g := newGen(uint64(i), 60, 3)
		g.unknown = true
		m.random(g)
		if b, err := Append(nil, m); err == nil {
			seeds = append(seeds, b)
		}
	}
	return seeds
}

// FuzzParse reads arbitrary octets: it must not panic and not allocate beyond
// its bound (the reader's budget sees to it); what it could read must come out
// the same after writing and reading again, also into a message used before.
func FuzzParse(f *testing.F) {
	for _, b := range fuzzSeeds(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := Parse(b)
		n := Tree(&p, nil)
		if out := (tree.View{Mask: true}).AppendJSON(nil, n); !json.Valid(out) || strings.Contains(p.String(), "\n") {
			t.Fatalf("shown as %s", out)
		}
		fault, ok := Continuable(err)
		if fault != nil {
			_ = fault.Error()
			if _, err := Append(nil, &ErrorIndication{Cause: new(fault.Cause()), CriticalityDiagnostics: fault.CriticalityDiagnostics()}); err != nil {
				t.Fatalf("answer to %v: %v", fault, err)
			}
		}
		if !ok || fault != nil && len(fault.IEs) > 0 {
			return // a mandatory IE may be missing, so that it cannot be written
		}
		again, err := p.Append(nil)
		if err != nil {
			t.Fatalf("written again: %v", err)
		}
		q, err := Parse(again)
		if err != nil {
			t.Fatalf("read again: %v\n% x", err, again)
		}
		if d := sameMessage(p.Message, q.Message); d != "" {
			t.Fatalf("differs (-first +second)\n%s\n% x", d, again)
		}
		// The same into a message that held something else.
		other := newMessage(p.Type, p.ProcedureCode).(randomMessage)
		other.random(newGen(uint64(len(b)), 70, 4))
		r := PDU{Message: other}
		if err := ParseInto(&r, again); err != nil {
			t.Fatalf("read into a used message: %v", err)
		}
		if d := sameMessage(q.Message, r.Message); d != "" {
			t.Fatalf("a used message differs (-fresh +used)\n%s", d)
		}
	})
}
