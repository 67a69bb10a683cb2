package per

// whole writes a constrained whole number, v in 0..span (X.691 §11.5).
func (w *Writer) whole(v, span uint64) {
	switch {
	case span < 255:
		w.Bits(v, bitsFor(span))
	case span == 255:
		w.octets(v, 1)
	case span <= 65535:
		w.octets(v, 2)
	default:
		n := octetsFor(v)
		w.whole(uint64(n-1), uint64(octetsFor(span)-1))
		w.octets(v, n)
	}
}

// Int writes an INTEGER (lo..hi).
func (w *Writer) Int(v, lo, hi uint64) {
	if v < lo || v > hi {
		w.Fail("%d is not in %d..%d", v, lo, hi)
		return
	}
	w.whole(v-lo, hi-lo)
}

// IntExt writes an INTEGER (lo..hi, ...); a value outside the root goes out as
// an extension.
func (w *Writer) IntExt(v, lo, hi uint64) {
	if v >= lo && v <= hi {
		w.Bit(false)
		w.whole(v-lo, hi-lo)
		return
	}
	w.Bit(true)
	w.integer(v)
}

// integer writes an unconstrained INTEGER that is not negative (X.691 §11.8).
func (w *Writer) integer(v uint64) {
	n := octetsFor(v)
	if n < 9 && v>>(8*uint(n)-1) != 0 {
		n++ // room for the sign
	}
	w.octets(uint64(n), 1)
	if n == 9 {
		w.octets(0, 1)
		n = 8
	}
	w.octets(v, n)
}

// small writes a normally small non-negative whole number (X.691 §11.6).
func (w *Writer) small(v uint64) {
	if v < 64 {
		w.Bits(v, 7)
		return
	}
	w.Bit(true)
	n := octetsFor(v)
	w.octets(uint64(n), 1)
	w.octets(v, n)
}

// Enum writes an ENUMERATED of root values without extension marker.
func (w *Writer) Enum(v uint8, root int) {
	if int(v) >= root {
		w.Fail("enumeration value %d is not below %d", v, root)
		return
	}
	w.whole(uint64(v), uint64(root-1))
}

// EnumExt writes an extensible ENUMERATED; v counts the root values first.
func (w *Writer) EnumExt(v uint8, root int) {
	if int(v) < root {
		w.Bit(false)
		w.whole(uint64(v), uint64(root-1))
		return
	}
	w.Bit(true)
	w.small(uint64(int(v) - root))
}

// Choice writes the index of a root alternative, of root ones.
func (w *Writer) Choice(i, root int, ext bool) {
	if ext {
		w.Bit(false)
	}
	w.whole(uint64(i), uint64(root-1))
}

// ChoiceExt begins the i-th extension alternative; its value is an open type.
func (w *Writer) ChoiceExt(i int) {
	w.Bit(true)
	w.small(uint64(i))
}

// Count writes the number of elements of a SEQUENCE (SIZE (lo..hi)) OF.
func (w *Writer) Count(n, lo, hi int) {
	if n < lo || n > hi {
		w.Fail("%d elements are not in %d..%d", n, lo, hi)
		return
	}
	w.whole(uint64(n-lo), uint64(hi-lo))
}

// IntSet writes an extensible INTEGER whose root is the union of set, ordered
// by value.
func (w *Writer) IntSet(v uint64, set []Range) {
	if !among(v, set) {
		w.Bit(true)
		w.integer(v)
		return
	}
	lo := set[0].Lo
	w.Bit(false)
	w.whole(v-lo, set[len(set)-1].Hi-lo)
}
