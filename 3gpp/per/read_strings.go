package per

// size reads extension bit and length. oneField says that the units follow as
// one field; if not, the general procedure follows.
func (r *Reader) size(s Size) (n int, oneField bool) {
	if span := s.Max - s.Min; s.Ext && span > 0 && span < 255 {
		if v, ok := r.rootBits(bitsFor(uint64(span))); ok {
			return s.Min + int(r.upTo(uint64(span), v)), true
		}
	}
	if s.Ext && r.Bit() {
		return 0, false
	}
	if s.Max == Unbounded || s.Max >= 65536 {
		return 0, false
	}
	if s.fixed() {
		return s.Min, true
	}
	return s.Min + int(r.whole(uint64(s.Max-s.Min))), true
}

// Octets reads an OCTET STRING. The result is never nil without an error.
func (r *Reader) Octets(s Size) []byte {
	if s == (Size{Max: Unbounded}) {
		return r.Open() // has the same form (X.691 §17.8)
	}
	n, one := r.size(s)
	if !one {
		b, n := r.general(8)
		r.least(n, s)
		return b
	}
	if n == 0 && r.err == nil {
		return r.buf[:0:0]
	}
	if s.fixed() && n <= 2 && r.pos&7 != 0 {
		b := make([]byte, n)
		r.FixedOctets(b)
		return b
	}
	return r.raw(n)
}

// least checks a size that came by the general procedure: it may be outside the
// root if that is extensible, but not zero (see Writer.sized).
func (r *Reader) least(n int, s Size) {
	if r.err == nil && !s.holds(n) && (!s.Ext || n == 0) {
		r.Fail("size %d is not in %d..%d", n, s.Min, s.Max)
	}
}

// FixedOctets reads an OCTET STRING (SIZE (len(dst))) into dst.
func (r *Reader) FixedOctets(dst []byte) {
	if len(dst) > 2 {
		copy(dst, r.raw(len(dst)))
		return
	}
	for i := range dst {
		dst[i] = byte(r.Bits(8))
	}
}

// Text reads a PrintableString or VisibleString. Any visible ASCII is
// accepted: implementations put underscores where PrintableString has none.
func (r *Reader) Text(s Size) string {
	n, one := r.size(s)
	var b []byte
	switch {
	case !one:
		b, n = r.general(8)
		r.least(n, s)
	case n > 0:
		b = r.raw(n)
	}
	for _, c := range b {
		if c < 0x20 || c > 0x7e {
			r.Fail("character %#02x is not visible ASCII", c)
			return ""
		}
	}
	if !r.Grow(len(b)) {
		return ""
	}
	return string(b)
}

// BitField reads a BIT STRING (SIZE (n)), n at most 64, right-aligned.
func (r *Reader) BitField(n int) uint64 {
	if n > 16 {
		r.Align()
	}
	if n > 57 {
		return r.Bits(n-32)<<32 | r.Bits(32)
	}
	return r.Bits(n)
}

// BitFieldExt reads a BIT STRING (SIZE (n, ...)). Of a longer string the first
// n bits are kept, a shorter one is filled with zero bits.
func (r *Reader) BitFieldExt(n int) uint64 {
	if n <= 16 {
		if v, ok := r.rootBits(n); ok {
			return v
		}
	}
	if !r.Bit() {
		return r.BitField(n)
	}
	b, got := r.general(1)
	var v uint64
	for i := range n {
		v <<= 1
		if i < got {
			v |= uint64(b[i/8] >> (7 - i%8) & 1)
		}
	}
	return v
}

// BitArray reads a BIT STRING (SIZE (n)), n above 64, into dst.
func (r *Reader) BitArray(dst []byte, n int) {
	b := r.aligned(n)
	copy(dst, b)
	if k := n % 8; k > 0 && len(b) > 0 {
		dst[len(b)-1] &= 0xff << (8 - k)
	}
}

// aligned returns the octets that hold the next n bits after aligning.
func (r *Reader) aligned(n int) []byte {
	r.Align()
	if n > r.end-r.pos {
		r.short(n)
		return nil
	}
	i := r.pos >> 3
	j := i + (n+7)/8
	r.pos += n
	return r.buf[i:j:j]
}

// BitString reads a BIT STRING of variable size.
func (r *Reader) BitString(s Size) BitString {
	n, one := r.size(s)
	if !one {
		b, n := r.general(1)
		r.least(n, s)
		return r.bitString(b, n)
	}
	if n == 0 {
		return BitString{}
	}
	if s.fixed() && n <= 16 { // not aligned (X.691 §16.9)
		if v := r.Bits(n) << (16 - n); r.err == nil && r.Grow(2) {
			return BitString{[]byte{byte(v >> 8), byte(v)}[:(n+7)/8], n}
		}
		return BitString{}
	}
	return r.bitString(r.aligned(n), n)
}

func (r *Reader) bitString(b []byte, n int) BitString {
	if r.err != nil {
		return BitString{}
	}
	return BitString{r.masked(b, n), n}
}

// masked returns b with the bits after the n-th zero, a copy if that changes
// any: they belong to the next component.
func (r *Reader) masked(b []byte, n int) []byte {
	k := n & 7
	if k == 0 || len(b) == 0 || b[len(b)-1]<<k == 0 || !r.Grow(len(b)) {
		return b
	}
	b = append([]byte(nil), b...)
	b[len(b)-1] &= 0xff << (8 - k)
	return b
}

// general reads units of unit bits (1 or 8) with general length determinants
// and returns the octets that hold them and their number.
func (r *Reader) general(unit int) ([]byte, int) {
	n, more := r.length()
	if !more {
		b := r.aligned(n * unit)
		if b == nil {
			n = 0
		}
		return b, n
	}
	// Two passes, so that the whole is allocated once: measure, then copy.
	start, first := r.pos, n
	octets, units := 0, 0
	for {
		octets += len(r.aligned(n * unit))
		units += n
		if !more {
			break
		}
		n, more = r.length()
	}
	if r.err != nil || !r.Grow(octets) {
		return nil, 0
	}
	all := make([]byte, 0, octets)
	r.pos, n, more = start, first, true
	for {
		all = append(all, r.aligned(n*unit)...)
		if !more {
			return all, units
		}
		n, more = r.length()
	}
}

// length reads a general length determinant; more says that it is a fragment
// and another length follows its content (X.691 §11.9.3.5-8).
func (r *Reader) length() (n int, more bool) {
	n = int(r.Octet())
	switch {
	case n < 0x80:
		return n, false
	case n < 0xc0:
		return n&0x3f<<8 | int(r.Octet()), false
	}
	if k := n & 0x3f; k >= 1 && k <= 4 {
		return k * fragment, true
	}
	r.Fail("length octet %#02x", n)
	return 0, false
}
