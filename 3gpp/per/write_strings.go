package per

// length writes a general length determinant below 16384 (X.691 §11.9.3.5-7).
func (w *Writer) length(n int) {
	if n < 128 {
		w.octets(uint64(n), 1)
	} else {
		w.octets(uint64(n)|0x8000, 2)
	}
}

// sized writes extension bit and length of n units. Nothing where the root asks
// for something is refused although an extension marker would allow it: it is a
// forgotten value, and absence where a component is optional. It reports whether the
// units follow as one field; if not, they go out by the general procedure.
func (w *Writer) sized(n int, s Size) (oneField bool) {
	in := s.holds(n)
	if !in && (!s.Ext || n == 0) {
		if s.Max == Unbounded {
			w.Fail("size %d is below %d", n, s.Min)
		} else {
			w.Fail("size %d is not in %d..%d", n, s.Min, s.Max)
		}
		return true
	}
	if s.Ext {
		w.Bit(!in)
	}
	if !in || s.Max == Unbounded || s.Max >= 65536 {
		return false
	}
	if !s.fixed() {
		w.whole(uint64(n-s.Min), uint64(s.Max-s.Min))
	}
	return true
}

// Octets writes an OCTET STRING.
func (w *Writer) Octets(b []byte, s Size) {
	if !w.sized(len(b), s) {
		w.general(b, len(b), 8)
		return
	}
	if w.err != nil || len(b) == 0 {
		return
	}
	if s.fixed() && len(b) == s.Min && len(b) <= 2 {
		for _, x := range b {
			w.Bits(uint64(x), 8)
		}
		return
	}
	w.raw(b)
}

// FixedOctets writes an OCTET STRING (SIZE (len(b))).
func (w *Writer) FixedOctets(b []byte) {
	if len(b) > 2 {
		w.raw(b)
		return
	}
	for _, x := range b {
		w.Bits(uint64(x), 8)
	}
}

// Text writes a PrintableString or VisibleString; characters are sent as they
// are and must be visible ASCII.
func (w *Writer) Text(t string, s Size) {
	for i := 0; i < len(t); i++ {
		if t[i] < 0x20 || t[i] > 0x7e {
			w.Fail("character %#02x is not visible ASCII", t[i])
			return
		}
	}
	if !w.sized(len(t), s) {
		w.general([]byte(t), len(t), 8)
		return
	}
	if w.err != nil || len(t) == 0 {
		return
	}
	w.Align()
	w.buf = append(w.buf, t...)
}

// BitField writes a BIT STRING (SIZE (n)), n at most 64, held right-aligned.
func (w *Writer) BitField(v uint64, n int) {
	if n < 64 && v>>uint(n) != 0 {
		w.Fail("%#x does not fit %d bits", v, n)
		return
	}
	if n > 16 {
		w.Align()
	}
	w.Bits(v, n)
}

// BitFieldExt writes a BIT STRING (SIZE (n, ...)) of the root size.
func (w *Writer) BitFieldExt(v uint64, n int) {
	w.Bit(false)
	w.BitField(v, n)
}

// BitArray writes a BIT STRING (SIZE (n)) with n above 64.
func (w *Writer) BitArray(b []byte, n int) {
	w.Align()
	w.bits(b, n)
}

// bits writes n bits of b from the present position.
func (w *Writer) bits(b []byte, n int) {
	if w.free == 0 {
		w.buf = append(w.buf, b[:n/8]...)
	} else {
		for _, x := range b[:n/8] {
			w.Bits(uint64(x), 8)
		}
	}
	if k := n % 8; k > 0 {
		w.Bits(uint64(b[n/8]>>(8-uint(k))), k)
	}
}

// BitString writes a BIT STRING of variable size. It does not change b.
func (w *Writer) BitString(b BitString, s Size) {
	if b.Len < 0 || b.Len > len(b.Bytes)*8 {
		w.Fail("bit string of %d bits in %d octets", b.Len, len(b.Bytes))
		return
	}
	if !w.sized(b.Len, s) {
		w.general(b.Bytes, b.Len, 1)
		return
	}
	if w.err != nil || b.Len == 0 {
		return
	}
	if !s.fixed() || b.Len > 16 {
		w.Align()
	}
	w.bits(b.Bytes, b.Len)
}

// general writes n units of unit bits with general length determinants,
// fragmented if need be; a content that ends on a fragment is followed by a
// zero length (X.691 §11.9.3.8.3).
func (w *Writer) general(b []byte, n, unit int) {
	for n >= fragment {
		k := min(n/fragment, 4)
		w.octets(uint64(0xc0|k), 1)
		size := k * fragment * unit / 8
		w.buf = append(w.buf, b[:size]...)
		b, n = b[size:], n-k*fragment
	}
	w.length(n)
	if unit == 8 {
		w.buf = append(w.buf, b[:n]...)
	} else {
		w.bits(b, n)
	}
}
