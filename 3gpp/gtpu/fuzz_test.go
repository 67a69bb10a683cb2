package gtpu_test

import (
	"bytes"
	"testing"

	"campanile.network/3gpp/gtpu"
	"campanile.network/3gpp/tree"
)

// seeds are the datagrams that fuzzing starts from: one at least of each message.
func seeds(t testing.TB) (list [][]byte) {
	for _, s := range []string{
		"30ff0004 00000001 45000014", "34ff000d 00000001 000000c0 01abcd40 01086800 45", "34ff0005 00000001 00000000 45",
		"321a0010 00000000 00000000 10 00000007 85 0004 0a010203", "321f0008 00000000 00000000 8d02 40c0", "32020006 00000000 abcd0000 0e00",
		"311a000530303030303030303030", "32010009 00000000 00010000 ff0002 28af", "30fe0000 00000009", "32fd0008 00000009 00000000 e6000101",
		"3202000d 00000000 1a6d0000 0e00 e70004 b3f91169", "36ff001d 00000001 00010085 01000982 0201020300000003 020102030000000020 010500 00 45",
	} {
		list = append(list, unhex(t, s))
	}
	return list
}

// FuzzParse wants no panic, bounds kept, and that what was parsed is built again
// to the same octets.
func FuzzParse(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := gtpu.Parse(b)
		if err != nil {
			return
		}
		n := 0
		for typ, content := range m.Extensions {
			typ.Number(content)
			n++
		}
		if n > gtpu.MaxExtensions {
			t.Fatalf("%d extensions", n)
		}
		if _, _, err := gtpu.ErrorIndicationOf(m); err == nil && m.Check() != nil {
			t.Fatal("an Error Indication that is none")
		}
		view(m)
		tree.View{}.AppendJSON(nil, gtpu.Tree(m))
		if l, err := gtpu.InnerLen(m.Payload); err == nil && (l > len(m.Payload) || l < 20) {
			t.Fatalf("inner length %d of %d", l, len(m.Payload))
		}
		want := bytes.Clone(b[:gtpu.HeaderLen+int(b[2])<<8+int(b[3])])
		want[0] &^= 0x08 // spare
		if out, err := m.Append(nil); err != nil || !bytes.Equal(out, want) {
			t.Fatalf("%x was built again as %x, %v", want, out, err)
		}
	})
}

// FuzzElements wants that the elements of a message, whatever they are, can be
// appended again one by one.
func FuzzElements(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add(uint8(s[1]), s[8:])
	}
	f.Fuzz(func(t *testing.T, typ uint8, elements []byte) {
		m := gtpu.Message{Type: gtpu.Type(typ), Payload: elements}
		var out []byte
		for e, value := range m.Elements {
			again, err := gtpu.AppendElement(out, e, value)
			if err != nil {
				return // of a length that it cannot have
			}
			out = again
		}
		if !bytes.HasPrefix(elements, out) || m.Type != gtpu.GPDU && m.Check() == nil && len(out) != len(elements) {
			t.Fatalf("%x became %x", elements, out)
		}
	})
}
