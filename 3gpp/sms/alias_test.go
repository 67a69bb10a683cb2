package sms

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// TestParsersKeepNoPartOfTheirInput: a receiver may use its buffer again.
func TestParsersKeepNoPartOfTheirInput(t *testing.T) {
	g := &gen{rand.New(rand.NewPCG(8, 8))}
	for _, k := range kinds() {
		for range 50 {
			b := append(must(Append(nil, k.random(g))), 0x99, 1, 2) // and what no release has
			whole := bytes.Clone(b)
			m, err := k.parse(b)
			if err != nil {
				continue
			}
			for i := range b {
				b[i] = ^b[i]
			}
			if again := must(Append(nil, m)); !bytes.Equal(again, whole) {
				t.Errorf("%s: %x became %x", k.name, whole, again)
			}
		}
	}
}
