package per

import (
	"bytes"
	"testing"

	"campanile.network/3gpp/internal/testkit"
)

// naive reads n bits at bit p, one after the other.
func naive(b []byte, p, n int) (v uint64) {
	for i := p; i < p+n; i++ {
		v = v<<1 | uint64(b[i/8]>>(7-i%8)&1)
	}
	return v
}

// TestBitsEverywhere reads fields of every width at every place, also where the
// input ends within the eight octets that are looked at.
func TestBitsEverywhere(t *testing.T) {
	b := []byte{0x9c, 0x35, 0xe1, 0x07, 0xaa, 0x5b, 0xf0, 0x6d, 0x12, 0xcb, 0x81, 0x7e}
	for size := range len(b) + 1 {
		for p := range 8 * size {
			for n := 1; n <= 57; n++ {
				r := reader(b[:size])
				r.pos = p
				got := r.Bits(n)
				if p+n > 8*size {
					if r.Err() == nil || got != 0 {
						t.Fatalf("%d bits at %d of %d octets: %#x, %v", n, p, size, got, r.Err())
					}
				} else if want := naive(b, p, n); got != want || r.pos != p+n {
					t.Fatalf("%d bits at %d of %d octets: %#x, want %#x", n, p, size, got, want)
				}
				if n > 8 {
					continue
				}
				r = reader(b[:size])
				r.pos = p
				at := (p + 7) / 8
				if got := r.octets(n); at+n > size && r.Err() == nil || at+n <= size && got != naive(b, 8*at, 8*n) {
					t.Fatalf("%d octets at bit %d of %d: %#x, %v", n, p, size, got, r.Err())
				}
			}
		}
	}
}

// TestWideBitField: 58 bits and more are read in two parts.
func TestWideBitField(t *testing.T) {
	for _, n := range []int{57, 58, 63, 64} {
		v := uint64(0xfedcba9876543210) >> (64 - n)
		r := reader(write(t, func(w *Writer) { w.BitField(v, n) }))
		if got := r.BitField(n); got != v || r.Err() != nil {
			t.Errorf("%d bits: %#x, %v", n, got, r.Err())
		}
	}
}

// TestNested: open types in open types, in fragments and not, each left with
// the reader behind it.
func TestNested(t *testing.T) {
	for _, n := range []int{1, 100, 127, 128, 16383, 16384, 40000} {
		in := bytes.Repeat([]byte{0xa5}, n)
		b := write(t, func(w *Writer) {
			outer := w.OpenStart()
			w.Bit(true)
			inner := w.Field(7, 2)
			w.FixedOctets(append([]byte{1, 2, 3}, in...))
			w.OpenEnd(inner)
			w.Bits(0x5a, 8)
			w.OpenEnd(outer)
			w.Bits(0xc3, 8)
		})
		r := new(Reader)
		r.Reset(b, 8*len(b)+4096)
		outer := r.Enter()
		r.Bit()
		id, crit, inner := r.EnterField()
		head := make([]byte, 3)
		r.FixedOctets(head)
		rest := r.Rest()
		r.Leave(inner)
		a := r.Bits(8)
		r.Leave(outer)
		if id != 7 || crit != 2 || !bytes.Equal(rest, in) || a != 0x5a || r.Bits(8) != 0xc3 || r.Err() != nil || r.Left() != 0 {
			t.Errorf("%d octets: id %d, criticality %d, %d left over, %#x, %v", n, id, crit, len(rest), a, r.Err())
		}
		// An error inside ends the outer encodings too.
		r.Reset(b, 8*len(b)+4096)
		outer = r.Enter()
		r.Bit()
		_, _, inner = r.EnterField()
		r.Fail("no")
		r.Leave(inner)
		r.Leave(outer)
		if r.Left() != 0 || r.Bits(8) != 0 || r.Err().Error() != "per: bit "+errBit(r)+": no" {
			t.Errorf("%d octets: reads on after an error: %v", n, r.Err())
		}
	}
}

func errBit(r *Reader) string {
	var digits []byte
	for n := r.err.Bit; n > 0 || len(digits) == 0; n /= 10 {
		digits = append([]byte{byte('0' + n%10)}, digits...)
	}
	return string(digits)
}

// script calls the method of the reader that op names, with arguments from it
// too, and returns how to leave an open type that it has entered.
func script(r *Reader, op byte, v []uint64) []uint64 {
	size := Size{Min: int(op >> 6), Max: int(op>>6) + int(op>>5&1)*int(op), Ext: op&16 != 0}
	if op&15 == 15 {
		size.Max = Unbounded
	}
	hi := uint64(1)<<(op>>2) - 1
	switch op % 21 {
	case 0:
		r.Bits(1 + int(op)%57)
	case 1:
		r.Bit()
	case 2:
		r.Octet()
	case 3:
		r.Int(0, hi)
	case 4:
		r.IntExt(0, hi/2, hi)
	case 5:
		r.IntSet([]Range{{1, 30}, {40, 40}}, hi)
	case 6:
		r.Enum(int(op)/2 + 1)
	case 7:
		r.EnumExt(int(op)/2 + 1)
	case 8:
		r.Choice(int(op)/16+1, op&1 != 0)
	case 9:
		v = List(r, v, r.Count(0, int(op)*int(op), int(op&7)))
	case 10:
		r.Additions()
	case 11:
		r.Octets(size)
	case 12:
		r.FixedOctets(make([]byte, op>>4))
	case 13:
		_ = r.Text(size)
	case 14:
		r.BitField(1 + int(op)%64)
	case 15:
		r.BitFieldExt(1 + int(op)%64)
	case 16:
		r.BitArray(make([]byte, 32), 1+int(op))
	case 17:
		r.BitString(size)
	case 18:
		r.Open()
	case 19:
		r.Align()
	case 20:
		r.Rest()
	}
	return v
}

// run reads b as ops say; the numbers 240 and up enter and leave open types.
func run(r *Reader, ops []byte, list []uint64) {
	var open []Saved
	for _, op := range ops {
		switch {
		case op >= 252 && len(open) > 0:
			r.Leave(open[len(open)-1])
			open = open[:len(open)-1]
		case op >= 246:
			_, _, s := r.EnterField()
			open = append(open, s)
		case op >= 240:
			open = append(open, r.Enter())
		default:
			list = script(r, op, list)
		}
	}
	for i := len(open) - 1; i >= 0; i-- {
		r.Leave(open[i])
	}
}

// FuzzReader calls the reader's methods in any order on any input: it must not
// panic, not read behind the input, not go on after an error, and not allocate
// more than its budget.
func FuzzReader(f *testing.F) {
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	f.Add(every, bytes.Repeat([]byte{0x01, 0x80, 0x20, 0xc1, 0x00}, 60))
	f.Add([]byte{240, 18, 252}, append([]byte{0xc1}, make([]byte, 16385)...))
	f.Add([]byte{246, 11, 250, 17, 252, 13, 255}, []byte("\x00\x07\x40\x0a\x05abcde\x02\xff\xff\x00\x01\x00\x02\x30\x31"))
	f.Add([]byte{7, 4, 15, 10, 9, 3}, bytes.Repeat([]byte{0xff}, 40))
	f.Fuzz(func(t *testing.T, ops, b []byte) {
		if len(ops) > 300 {
			ops = ops[:300]
		}
		budget := 2*len(b) + 256
		r := new(Reader)
		r.Reset(b, budget)
		run(r, ops, nil)
		if r.budget < 0 || r.Left() > 8*len(b) || r.Err() == nil && (r.pos < 0 || r.pos > 8*len(b)) {
			t.Fatalf("budget %d, %d bits left of %d octets, at %d", r.budget, r.Left(), len(b), r.pos)
		}
		if r.Err() != nil {
			list := make([]uint64, 0, 70000)
			for op := range 240 {
				if v := script(r, byte(op), list); len(v) != 0 {
					t.Fatalf("%d elements after an error", len(v))
				}
			}
			if r.BitString(Size{Max: 9}).Len != 0 || r.BitString(Size{Min: 9, Max: 9}).Len != 0 || r.BitString(Size{Max: Unbounded}).Len != 0 {
				t.Fatal("a bit string after an error")
			}
			if r.Bits(5) != 0 || r.Octet() != 0 || len(r.Rest()) != 0 || r.Left() != 0 {
				t.Fatal("reads on after an error")
			}
		}
	})
}

// TestBudgetBoundsMemory: what hostile encodings make the reader allocate stays
// within the budget and a little for the error.
func TestBudgetBoundsMemory(t *testing.T) {
	const budget, little = 1 << 16, 4096
	fragments := append(bytes.Repeat(append([]byte{0xc4}, make([]byte, 65536)...), 4), 0)
	text := bytes.Clone(fragments)
	for i := range text {
		if text[i] == 0 && i < len(text)-1 {
			text[i] = 'a'
		}
	}
	for name, c := range map[string]struct {
		b    []byte
		read func(*Reader)
	}{
		"octets in fragments":     {fragments, func(r *Reader) { r.Octets(Size{Max: Unbounded}) }},
		"open type in fragments":  {fragments, func(r *Reader) { r.Leave(r.Enter()) }},
		"bit string in fragments": {fragments, func(r *Reader) { r.BitString(Size{Max: Unbounded}) }},
		"text in fragments":       {text, func(r *Reader) { _ = r.Text(Size{Max: Unbounded}) }},
		"list of large elements":  {fragments, func(r *Reader) { _ = List(r, [][64]uint64(nil), r.Count(0, 65535, 1)) }},
		"many pointers": {fragments, func(r *Reader) {
			for range 10000 {
				var p *[64]uint64
				Pointee(r, &p)
				if r.Failed() {
					return
				}
			}
		}},
	} {
		least := testkit.Allocated(func() {
			r := new(Reader)
			r.Reset(c.b, budget)
			c.read(r)
		})
		if least > budget+little {
			t.Errorf("%s: %d octets allocated, budget %d", name, least, budget)
		}
	}
}
