package eps

import (
	"bytes"
	"encoding/json"
	"testing"

	"campanile.network/3gpp/tree"
)

// FuzzTFT: a template that parses is written again to the same octets, but for
// spare bits and what stands behind it, has no more filters than there can be, and
// its components are whole or known not to be.
func FuzzTFT(f *testing.F) {
	none := FilterComponents{}
	all := none.With(FilterIPv4Remote, 93, 184, 216, 34, 255, 255, 255, 255).With(FilterProtocol, 17).With(FilterRemotePortRange, 0, 53, 0, 60).With(FilterTypeOfService, 0xb8, 0xfc)
	for op := TFTOperation(0); op < 8; op++ {
		f.Add(TFT{Operation: op, Filters: []PacketFilter{{Direction: FilterBidirectional, ID: 1, Precedence: 7, Components: all}, {Direction: FilterUplink, ID: 2}}}.AppendTo(nil))
		f.Add(TFT{Operation: op, Parameters: []byte{3, 2, 0x10, 1}}.AppendTo(nil))
	}
	f.Add([]byte{0x2f, 0x31, 10, 2, 0x30, 17})
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := ParseTFT(b)
		if err != nil {
			return
		}
		if len(x.Filters) > 15 || x.String() == "" || !json.Valid(tree.View{}.AppendJSON(nil, x.node("TFT"))) {
			t.Fatalf("%d filters: %v", len(x.Filters), x)
		}
		out := x.AppendTo(nil)
		y, err := ParseTFT(out)
		if err != nil || !bytes.Equal(y.AppendTo(nil), out) || len(out) > len(b) || y.Operation != x.Operation || len(y.Filters) != len(x.Filters) || !bytes.Equal(x.Parameters, y.Parameters) {
			t.Fatalf("%x is written as %x: %v, %v", b, out, y, err)
		}
		for i := range x.Filters {
			p, q := x.Filters[i], y.Filters[i]
			if p.ID > 15 || p.Direction > 3 || p.ID != q.ID || p.Direction != q.Direction || p.Precedence != q.Precedence || !bytes.Equal(p.Components, q.Components) {
				t.Fatalf("filter %d: %+v, %+v", i, p, q)
			}
			n := 0
			for range p.Components.All() {
				n++
			}
			if p.Components.Valid() && n == 0 && len(p.Components) > 0 {
				t.Fatalf("%x is valid and has none", p.Components)
			}
		}
	})
}
