package mme

import (
	"slices"
	"testing"

	"campanile.network/3gpp/eps"
)

// FuzzTFT: whatever operations phone and gateway come up with, a template stays
// one: filters with identities of their own, as many as there may be, that NAS can
// say.
func FuzzTFT(f *testing.F) {
	f.Add([]byte{0x21, 0x31, 10, 2, 0x30, 17}, []byte{0x61, 0x32, 11, 2, 0x30, 6})
	f.Add([]byte{0x21, 0x31, 10, 2, 0x30, 17}, []byte{0xa1, 1})
	f.Add([]byte{0x21, 0x31, 10, 2, 0x30, 17}, []byte{0x40})
	f.Add([]byte{0x21, 0x31, 10, 2, 0x30, 17}, []byte{0x82, 1, 1, 0, 1, 1, 0})
	f.Fuzz(func(t *testing.T, a, b []byte) {
		var has *eps.TFT
		for _, octets := range [][]byte{a, b, a} {
			op, err := eps.ParseTFT(slices.Clone(octets))
			if err != nil {
				return
			}
			out, err := applyTFT(has, op)
			if err != nil {
				if _, ok := err.(*esmFailure); !ok {
					t.Fatalf("%v", err)
				}
				continue
			}
			seen := map[uint8]bool{}
			for _, x := range out.Filters {
				if seen[x.ID] {
					t.Fatalf("packet filter %d twice in %v", x.ID, out)
				}
				seen[x.ID] = true
			}
			again, err := eps.ParseTFT(out.AppendTo(nil))
			if err != nil || len(again.Filters) != len(out.Filters) {
				t.Fatalf("%v is written as %v: %v", out, again, err)
			}
			has = &out
		}
	})
}
