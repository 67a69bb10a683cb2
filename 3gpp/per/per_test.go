package per

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

// write runs f on a fresh writer and returns what it wrote.
func write(t *testing.T, f func(*Writer)) []byte {
	t.Helper()
	var w Writer
	w.Reset(nil)
	f(&w)
	if w.Err() != nil {
		t.Fatal(w.Err())
	}
	return w.Bytes()
}

func reader(b []byte) *Reader {
	r := new(Reader)
	r.Reset(b, 8*len(b)+4096)
	return r
}

// TestEncodings compares with encodings worked out by hand from the clause of
// X.691 named, and reads them back.
func TestEncodings(t *testing.T) {
	unbounded := Size{Max: Unbounded}
	for _, c := range []struct {
		clause string
		write  func(*Writer)
		hex    string
		read   func(*Reader) any
		want   any
	}{
		{"11.5.4 one value, no bits", func(w *Writer) { w.Int(7, 7, 7); w.Bit(true) }, "80", func(r *Reader) any { return r.Int(7, 7) }, uint64(7)},
		{"11.5.7.1 bit-field", func(w *Writer) { w.Int(5, 3, 6) }, "80", func(r *Reader) any { return r.Int(3, 6) }, uint64(5)},
		{"11.5.7.1 range 255", func(w *Writer) { w.Bit(true); w.Int(254, 0, 254) }, "ff00", func(r *Reader) any { r.Bit(); return r.Int(0, 254) }, uint64(254)},
		{"11.5.7.2 one octet, aligned", func(w *Writer) { w.Bit(true); w.Int(255, 0, 255) }, "80ff", func(r *Reader) any { r.Bit(); return r.Int(0, 255) }, uint64(255)},
		{"11.5.7.3 two octets", func(w *Writer) { w.Bit(true); w.Int(256, 0, 256) }, "800100", func(r *Reader) any { r.Bit(); return r.Int(0, 256) }, uint64(256)},
		{"11.5.7.3 64K", func(w *Writer) { w.Int(65535, 0, 65535) }, "ffff", func(r *Reader) any { return r.Int(0, 65535) }, uint64(65535)},
		{"11.5.7.4 above 64K, short", func(w *Writer) { w.Int(1, 0, 65536) }, "0001", func(r *Reader) any { return r.Int(0, 65536) }, uint64(1)},
		{"11.5.7.4 above 64K, long", func(w *Writer) { w.Int(65536, 0, 65536) }, "80010000", func(r *Reader) any { return r.Int(0, 65536) }, uint64(65536)},
		{"11.5.7.4 32 bits", func(w *Writer) { w.Int(0x12345678, 0, 1<<32-1) }, "c012345678", func(r *Reader) any { return r.Int(0, 1<<32-1) }, uint64(0x12345678)},
		{"11.5.7.4 range 2^32+1: three bits of length", func(w *Writer) { w.Int(1<<32, 0, 1<<32) }, "800100000000", func(r *Reader) any { return r.Int(0, 1<<32) }, uint64(1 << 32)},
		{"11.5.7.4 lower bound above zero", func(w *Writer) { w.Int(10000000005, 10000000001, 4000000000000) }, "0004", func(r *Reader) any { return r.Int(10000000001, 4000000000000) }, uint64(10000000005)},
		{"11.5.7.4 64 bits", func(w *Writer) { w.Int(1<<64-1, 0, 1<<64-1) }, "e0ffffffffffffffff", func(r *Reader) any { return r.Int(0, 1<<64-1) }, uint64(1<<64 - 1)},
		{"13.1 extension, root", func(w *Writer) { w.IntExt(5, 0, 15) }, "28", func(r *Reader) any { return r.IntExt(0, 15, 255) }, uint64(5)},
		{"13.1 extension, addition", func(w *Writer) { w.IntExt(200, 0, 15) }, "800200c8", func(r *Reader) any { return r.IntExt(0, 15, 255) }, uint64(200)},
		{"13.1 extension, 64 bits", func(w *Writer) { w.IntExt(1<<63, 0, 15) }, "8009008000000000000000", func(r *Reader) any { return r.IntExt(0, 15, 1<<64-1) }, uint64(1 << 63)},
		{"13.1 union of ranges, hole", func(w *Writer) { w.IntSet(35, []Range{{1, 30}, {40, 40}}) }, "800123", func(r *Reader) any { return r.IntSet([]Range{{1, 30}, {40, 40}}, 255) }, uint64(35)},
		{"13.1 union of ranges, root", func(w *Writer) { w.IntSet(40, []Range{{1, 30}, {40, 40}}) }, "4e", func(r *Reader) any { return r.IntSet([]Range{{1, 30}, {40, 40}}, 255) }, uint64(40)},
		{"14 enumeration", func(w *Writer) { w.Enum(2, 3) }, "80", func(r *Reader) any { return r.Enum(3) }, uint8(2)},
		{"14.3 enumeration, addition", func(w *Writer) { w.EnumExt(4, 3) }, "81", func(r *Reader) any { return r.EnumExt(3) }, uint8(4)},
		{"11.6.2 small number of 64", func(w *Writer) { w.EnumExt(67, 3) }, "c00140", func(r *Reader) any { return r.EnumExt(3) }, uint8(67)},
		{"23.5 one alternative, no index", func(w *Writer) { w.Choice(0, 1, true); w.Bit(true) }, "40", func(r *Reader) any { return r.Choice(1, true) }, 0},
		{"23.8 alternative of the extension", func(w *Writer) { w.ChoiceExt(1) }, "81", func(r *Reader) any { return r.Choice(2, true) }, 3},
		{"16.9 bits up to 16, not aligned", func(w *Writer) { w.Bit(true); w.BitField(0x3ff, 10) }, "ffe0", func(r *Reader) any { r.Bit(); return r.BitField(10) }, uint64(0x3ff)},
		{"16.10 more bits, aligned", func(w *Writer) { w.Bit(true); w.BitField(0x12345, 20) }, "80123450", func(r *Reader) any { r.Bit(); return r.BitField(20) }, uint64(0x12345)},
		{"17.5 two octets, not aligned", func(w *Writer) { w.Bit(true); w.FixedOctets([]byte{0xff, 0}) }, "ff8000", func(r *Reader) any { b := make([]byte, 2); r.Bit(); r.FixedOctets(b); return b }, []byte{0xff, 0}},
		{"17.6 three octets, aligned", func(w *Writer) { w.Bit(true); w.FixedOctets([]byte{1, 2, 3}) }, "80010203", func(r *Reader) any { b := make([]byte, 3); r.Bit(); r.FixedOctets(b); return b }, []byte{1, 2, 3}},
		{"17.7 bounded length", func(w *Writer) { w.Octets([]byte{9, 8}, Size{Min: 1, Max: 3}) }, "400908", func(r *Reader) any { return r.Octets(Size{Min: 1, Max: 3}) }, []byte{9, 8}},
		{"17.8 no bounds", func(w *Writer) { w.Bit(true); w.Octets([]byte{9, 8}, unbounded) }, "80020908", func(r *Reader) any { r.Bit(); return r.Octets(unbounded) }, []byte{9, 8}},
		{"17.8 empty", func(w *Writer) { w.Octets(nil, unbounded) }, "00", func(r *Reader) any { return r.Octets(unbounded) }, []byte{}},
		{"17.3 outside the root", func(w *Writer) { w.Octets([]byte{9, 8}, Size{Min: 3, Max: 4, Ext: true}) }, "80020908", func(r *Reader) any { return r.Octets(Size{Min: 3, Max: 4, Ext: true}) }, []byte{9, 8}},
		{"16.11 bit string 1..160", func(w *Writer) { w.BitString(BitString{[]byte{10, 0, 0, 1}, 32}, Size{1, 160, true}) }, "0f800a000001", func(r *Reader) any { return r.BitString(Size{1, 160, true}) }, BitString{[]byte{10, 0, 0, 1}, 32}},
		{"16.6 bit string outside the root", func(w *Writer) { w.BitString(BitString{[]byte{0xe0}, 3}, Size{16, 16, true}) }, "8003e0", func(r *Reader) any { return r.BitString(Size{16, 16, true}) }, BitString{[]byte{0xe0}, 3}},
		{"16.6 bit string of the root size", func(w *Writer) { w.BitFieldExt(0xe001, 16) }, "700080", func(r *Reader) any { return r.BitFieldExt(16) }, uint64(0xe001)},
		{"16.10 of the root size, aligned", func(w *Writer) { w.BitFieldExt(0xe0010, 20) }, "00e00100", func(r *Reader) any { return r.BitFieldExt(20) }, uint64(0xe0010)},
		{"16.6 longer than the root size", func(w *Writer) { w.Bit(true); w.octets(20, 1); w.Bits(0xe0017, 20) }, "8014e00170", func(r *Reader) any { return r.BitFieldExt(16) }, uint64(0xe001)},
		{"16.6 shorter than the root size", func(w *Writer) { w.Bit(true); w.octets(3, 1); w.Bits(7, 3) }, "8003e0", func(r *Reader) any { return r.BitFieldExt(16) }, uint64(0xe000)},
		{"16.10 more than 64 bits", func(w *Writer) { w.Bit(true); w.BitArray([]byte{1, 2, 3, 4, 5, 6, 7, 8, 0xff}, 66) }, "800102030405060708c0", func(r *Reader) any { b := make([]byte, 9); r.Bit(); r.BitArray(b, 66); return b }, []byte{1, 2, 3, 4, 5, 6, 7, 8, 0xc0}},
		{"16.9 constrained to three bits, not aligned", func(w *Writer) { w.Bit(true); w.BitString(BitString{[]byte{0xa0}, 3}, Size{3, 3, false}); w.Bit(true) }, "d8", func(r *Reader) any {
			r.Bit()
			b := r.BitString(Size{3, 3, false})
			r.Bit()
			return b
		}, BitString{[]byte{0xa0}, 3}},
		{"17.5 two octets as a slice, not aligned", func(w *Writer) { w.Bit(true); w.Octets([]byte{0xff, 0}, Size{2, 2, false}) }, "ff8000", func(r *Reader) any { r.Bit(); return r.Octets(Size{2, 2, false}) }, []byte{0xff, 0}},
		{"17.7 empty within bounds", func(w *Writer) { w.Octets(nil, Size{Max: 3}) }, "00", func(r *Reader) any { return r.Octets(Size{Max: 3}) }, []byte{}},
		{"20.6 elements, 16 bits of count", func(w *Writer) { w.Count(2, 1, 65536); w.octets(9, 2) }, "00010009", func(r *Reader) any { return r.Count(1, 65536, 8) }, 2},
		{"23.7 one of four alternatives", func(w *Writer) { w.Choice(2, 4, true) }, "40", func(r *Reader) any { return r.Choice(4, true) }, 2},
		{"23.7 no extension marker", func(w *Writer) { w.Choice(2, 4, false) }, "80", func(r *Reader) any { return r.Choice(4, false) }, 2},
		{"11.2 open type passed on", func(w *Writer) { w.Open([]byte{1, 2}) }, "020102", func(r *Reader) any { return r.Open() }, []byte{1, 2}},
		{"30.4 text outside the root", func(w *Writer) { w.Text("abc", Size{1, 2, true}) }, "8003616263", func(r *Reader) any { return r.Text(Size{1, 2, true}) }, "abc"},
		{"30.5 text, 8 bits a character", func(w *Writer) { w.Text("ab", Size{1, 150, true}) }, "00806162", func(r *Reader) any { return r.Text(Size{1, 150, true}) }, "ab"},
		{"11.2 open type of nothing", func(w *Writer) { w.OpenEnd(w.OpenStart()) }, "0100", func(r *Reader) any { s := r.Enter(); r.Leave(s); return r.Err() }, nil},
		{"11.2 open type", func(w *Writer) { w.Bit(true); m := w.OpenStart(); w.Bits(0x5, 3); w.OpenEnd(m) }, "8001a0", func(r *Reader) any { r.Bit(); return r.Open() }, []byte{0xa0}},
		{"11.9.3.6 length of two octets", func(w *Writer) { w.Octets(make([]byte, 128), unbounded) }, "8080" + strings.Repeat("00", 128), func(r *Reader) any { return len(r.Octets(unbounded)) }, 128},
	} {
		b := write(t, c.write)
		if hex.EncodeToString(b) != c.hex {
			t.Errorf("X.691 §%s: wrote %x, want %s", c.clause, b, c.hex)
			continue
		}
		r := reader(b)
		got := c.read(r)
		if r.Err() != nil || !equal(got, c.want) {
			t.Errorf("X.691 §%s: read %v (%v), want %v", c.clause, got, r.Err(), c.want)
		}
	}
}

func equal(a, b any) bool {
	switch a := a.(type) {
	case []byte:
		b, ok := b.([]byte)
		return ok && a != nil && bytes.Equal(a, b)
	case BitString:
		b, ok := b.(BitString)
		return ok && a.Len == b.Len && bytes.Equal(a.Bytes, b.Bytes)
	}
	return a == b
}

// TestFragments: contents of whole fragments end with a zero length (§11.9.3.8.3).
func TestFragments(t *testing.T) {
	unbounded := Size{Max: Unbounded}
	for n, heads := range map[int]string{
		16383: "bfff", 16384: "c1", 32768: "c2", 65536: "c4", 65537: "c4", 81920: "c4", 81921: "c4",
	} {
		in := make([]byte, n)
		for i := range in {
			in[i] = byte(i * 31)
		}
		b := write(t, func(w *Writer) { w.Octets(in, unbounded) })
		if !strings.HasPrefix(hex.EncodeToString(b[:4]), heads) {
			t.Errorf("%d octets start with % x", n, b[:4])
		}
		if n%16384 == 0 && b[len(b)-1] != 0 {
			t.Errorf("%d octets have no final length", n)
		}
		r := reader(b)
		if got := r.Octets(unbounded); r.Err() != nil || !bytes.Equal(got, in) || r.Left() != 0 {
			t.Errorf("%d octets: %v, %d read, %d bits left", n, r.Err(), len(got), r.Left())
		}
		// The same as an open type entered and left.
		var w Writer
		w.Reset(nil)
		m := w.OpenStart()
		w.FixedOctets(in)
		w.OpenEnd(m)
		w.Bits(0xab, 8)
		r = reader(w.Bytes())
		s := r.Enter()
		got := make([]byte, n)
		r.FixedOctets(got)
		r.Leave(s)
		if tail := r.Bits(8); r.Err() != nil || tail != 0xab || !bytes.Equal(got, in) {
			t.Errorf("open type of %d octets: %v, then %#x", n, r.Err(), tail)
		}
		// And bit strings, whose unit is the bit.
		bs := BitString{in, n*8 - 3}
		b = write(t, func(w *Writer) { w.BitString(bs, Size{Min: 1, Max: 1 << 20}) })
		r = reader(b)
		back := r.BitString(Size{Min: 1, Max: 1 << 20})
		if r.Err() != nil || back.Len != bs.Len || !bytes.Equal(back.Bytes[:len(in)-1], in[:len(in)-1]) || back.Bytes[len(in)-1] != in[len(in)-1]&0xf8 {
			t.Errorf("%d bits: %v, %d", bs.Len, r.Err(), back.Len)
		}
	}
}

// TestRefused: input that breaks a constraint or ends early is an error that
// says so, and reading on returns zeros.
func TestRefused(t *testing.T) {
	unbounded := Size{Max: Unbounded}
	for _, c := range []struct {
		hex, want string
		read      func(*Reader)
	}{
		{"", "input ends", func(r *Reader) { r.Bit() }},
		{"ff", "input ends", func(r *Reader) { r.Bits(9) }},
		{"c0", "value 3 of the field is above 2", func(r *Reader) { r.Int(0, 2) }},
		{"ffff", "is above 256", func(r *Reader) { r.Int(0, 256) }},
		{"60", "value 12 of the field is above 10", func(r *Reader) { r.IntExt(0, 10, 255) }},
		{"60", "value 3 of the field is above 2", func(r *Reader) { r.EnumExt(3) }},
		{"60", "value 3 of the field is above 2", func(r *Reader) { r.Choice(3, true) }},
		{"a0000000000000", "number of 6 octets", func(r *Reader) { r.Int(0, 1e10) }},
		{"80ffffffffff", "is above 10000000000", func(r *Reader) { r.Int(0, 1e10) }},
		{"c003ffffff", "choice addition 16777215 cannot be held", func(r *Reader) { r.Choice(3, true) }},
		{"c000", "normally small number of 0 octets", func(r *Reader) { r.EnumExt(3) }},
		{"800a", "extension integer of 10 octets", func(r *Reader) { r.IntExt(0, 15, 255) }},
		{"05ff", "input ends", func(r *Reader) { r.Octets(unbounded) }},
		{"c5", "length octet 0xc5", func(r *Reader) { r.Octets(unbounded) }},
		{"c0", "length octet 0xc0", func(r *Reader) { r.Octets(unbounded) }},
		{"8000", "extension integer of 0 octets", func(r *Reader) { r.IntExt(0, 15, 255) }},
		{"8001ff", "cannot be held", func(r *Reader) { r.IntExt(0, 15, 255) }},
		{"80020100", "256 is above 255", func(r *Reader) { r.IntExt(0, 15, 255) }},
		{"44", "not in the root", func(r *Reader) { r.IntSet([]Range{{1, 30}, {40, 40}}, 255) }},
		{"c001ff", "cannot be held", func(r *Reader) { r.EnumExt(3) }},
		{"80ffffffffff", "255 extension additions", func(r *Reader) { r.Additions() }},
		{"8000", "0 extension additions", func(r *Reader) { r.Additions() }},
		{"03ff", "input ends", func(r *Reader) { r.Additions() }},
		{"ffff", "elements are claimed", func(r *Reader) { r.Count(0, 65535, 8) }},
		{"020000", "2 octets follow the value", func(r *Reader) { r.Leave(r.Enter()) }},
		{"0101", "", func(r *Reader) { r.Leave(r.Enter()) }},
		{"00804101", "character 0x01", func(r *Reader) { r.Text(Size{1, 150, true}) }},
		{"00", "size 0 is not in 1..", func(r *Reader) { r.Octets(Size{Min: 1, Max: Unbounded}) }},
		{"0000c000", "criticality 3", func(r *Reader) { r.EnterField() }},
		{"0000c0", "input ends", func(r *Reader) { r.EnterField() }},
		{"0000", "needs 100000 octets of memory", func(r *Reader) { r.Grow(100000) }},
		{"0000", "needs 800000 octets of memory", func(r *Reader) { _ = List(r, []uint64(nil), 100000) }},
	} {
		b, _ := hex.DecodeString(c.hex)
		r := reader(b)
		r.At("Type.Field")
		c.read(r)
		if c.want == "" {
			continue
		}
		var e *Error
		if !errors.As(r.Err(), &e) || !strings.Contains(e.Error(), c.want) || !strings.Contains(e.Error(), "Type.Field") {
			t.Errorf("%s: %v, want %q", c.hex, r.Err(), c.want)
		}
		if r.Bits(3) != 0 || r.Left() != 0 || len(r.Octets(unbounded)) != 0 || r.Count(1, 9, 1) != 0 {
			t.Errorf("%s: reads on after an error", c.hex)
		}
	}
}

// TestWriteRefused: values outside their constraints are not written.
func TestWriteRefused(t *testing.T) {
	for want, f := range map[string]func(*Writer){
		"16 is not in 0..15":               func(w *Writer) { w.Int(16, 0, 15) },
		"value 3 is not below 3":           func(w *Writer) { w.Enum(3, 3) },
		"3 elements are not in 0..2":       func(w *Writer) { w.Count(3, 0, 2) },
		"size 3 is not in 1..2":            func(w *Writer) { w.Octets(make([]byte, 3), Size{1, 2, false}) },
		"size 0 is below 1":                func(w *Writer) { w.Octets(nil, Size{1, Unbounded, false}) },
		"0x400 does not fit 10 bits":       func(w *Writer) { w.BitField(0x400, 10) },
		"bit string of 9 bits in 1 octets": func(w *Writer) { w.BitString(BitString{[]byte{0}, 9}, Size{1, 160, true}) },
		"character 0x0a":                   func(w *Writer) { w.Text("a\nb", Size{1, 150, true}) },
		"criticality 3":                    func(w *Writer) { w.Field(1, 3) },
	} {
		var w Writer
		w.Reset(nil)
		w.At("Type.Field")
		f(&w)
		if w.Err() == nil || !strings.Contains(w.Err().Error(), want) || !strings.Contains(w.Err().Error(), "Type.Field") {
			t.Errorf("%v, want %q", w.Err(), want)
		}
	}
}

// FuzzPrimitives writes values drawn from the input at every alignment and
// reads them back.
func FuzzPrimitives(f *testing.F) {
	f.Add(uint64(5), uint64(0), uint64(15), []byte("abc"), uint8(3))
	f.Add(uint64(1<<40), uint64(1<<33), uint64(1<<41), make([]byte, 40), uint8(0))
	f.Add(uint64(1<<63), uint64(0), uint64(1<<64-1), []byte{}, uint8(7))
	f.Fuzz(func(t *testing.T, v, lo, hi uint64, b []byte, shift uint8) {
		lo, hi = min(lo, hi), max(lo, hi)
		if span := hi - lo; span != 1<<64-1 {
			v = lo + v%(span+1)
		}
		n := int(shift % 8)
		bs := BitString{b, max(0, len(b)*8-n)}
		size := Size{Min: len(b) / 2, Max: len(b) + 1, Ext: shift&8 != 0}
		out := write(t, func(w *Writer) {
			w.Bits(0, n)
			w.Int(v, lo, hi)
			w.IntExt(v, lo, lo+(hi-lo)/2)
			w.Octets(b, size)
			w.Octets(b, Size{Max: Unbounded})
			w.BitString(bs, Size{Max: 8*len(b) + 9, Ext: true})
			m := w.OpenStart()
			w.Octets(b, Size{Max: Unbounded})
			w.OpenEnd(m)
			w.Bit(true)
		})
		r := reader(out)
		r.Bits(n)
		if got := r.Int(lo, hi); got != v {
			t.Fatalf("Int(%d in %d..%d) = %d (%v)", v, lo, hi, got, r.Err())
		}
		if got := r.IntExt(lo, lo+(hi-lo)/2, 1<<64-1); got != v {
			t.Fatalf("IntExt(%d) = %d (%v)", v, got, r.Err())
		}
		if !bytes.Equal(r.Octets(size), b) || !bytes.Equal(r.Octets(Size{Max: Unbounded}), b) {
			t.Fatalf("Octets differ (%v)", r.Err())
		}
		if got := r.BitString(Size{Max: 8*len(b) + 9, Ext: true}); got.Len != bs.Len {
			t.Fatalf("BitString of %d bits has %d (%v)", bs.Len, got.Len, r.Err())
		}
		s := r.Enter()
		inner := r.Octets(Size{Max: Unbounded})
		r.Leave(s)
		if !bytes.Equal(inner, b) || !r.Bit() || r.Err() != nil || r.Left() >= 8 {
			t.Fatalf("open type differs (%v)", r.Err())
		}
	})
}
