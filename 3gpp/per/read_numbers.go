package per

import "encoding/binary"

// whole reads a constrained whole number in 0..span (X.691 §11.5).
func (r *Reader) whole(span uint64) uint64 {
	var v uint64
	switch {
	case span == 0:
		return 0
	case span < 255:
		v = r.Bits(bitsFor(span))
	case span == 255:
		return uint64(r.Octet())
	case span == 65535:
		return r.octets(2)
	case span < 65535:
		v = r.octets(2)
	default:
		v = r.long(octetsFor(span))
	}
	return r.upTo(span, v)
}

// long reads a number of at most most octets after their count (X.691 §11.5.7.4).
func (r *Reader) long(most int) uint64 {
	k := bitsFor(uint64(most - 1))
	if i := r.pos >> 3; r.pos&7 == 0 && i+9 <= len(r.buf) { // the usual case at one go
		n := int(r.buf[i])>>(8-k&7) + 1
		if end := r.pos + 8 + 8*n; n <= most && end <= r.end {
			r.pos = end
			return binary.BigEndian.Uint64(r.buf[i+1:i+9]) >> (-8 * n & 63)
		}
	}
	n := int(r.Bits(k)) + 1
	if n > most {
		r.Fail("number of %d octets", n)
		return 0
	}
	return r.octets(n)
}

// upTo checks a number read.
func (r *Reader) upTo(span, v uint64) uint64 {
	if v > span {
		r.Fail("value %d of the field is above %d", v, span)
		return 0
	}
	return v
}

// rootBits reads an extension bit and a bit-field of n bits at once. Unless the
// bit says that the root follows, and there is input for it, nothing is read.
func (r *Reader) rootBits(n int) (v uint64, ok bool) {
	if r.pos+n >= r.end {
		return 0, false
	}
	if v = r.Bits(1 + n); v>>n == 0 {
		return v, true
	}
	r.pos -= 1 + n
	return 0, false
}

// Int reads an INTEGER (lo..hi).
func (r *Reader) Int(lo, hi uint64) uint64 { return lo + r.whole(hi-lo) }

// IntExt reads an INTEGER (lo..hi, ...). A value outside the root is returned
// if it is not negative and not above most; otherwise it is an error.
func (r *Reader) IntExt(lo, hi, most uint64) uint64 {
	if hi-lo < 255 {
		if v, ok := r.rootBits(bitsFor(hi - lo)); ok {
			return lo + r.upTo(hi-lo, v)
		}
	}
	if !r.Bit() {
		return lo + r.whole(hi-lo)
	}
	n := int(r.Octet())
	if n < 1 || n > 9 {
		r.Fail("extension integer of %d octets", n)
		return 0
	}
	b := r.raw(n)
	if b == nil {
		return 0
	}
	if b[0]&0x80 != 0 || n == 9 && b[0] != 0 {
		r.Fail("extension integer % x cannot be held", b)
		return 0
	}
	var v uint64
	for _, x := range b {
		v = v<<8 | uint64(x)
	}
	if v > most {
		r.Fail("extension integer %d is above %d", v, most)
		return 0
	}
	return v
}

// small reads a normally small non-negative whole number (X.691 §11.6).
func (r *Reader) small() uint64 {
	if !r.Bit() {
		return r.Bits(6)
	}
	n := int(r.Octet())
	if n < 1 || n > 8 {
		r.Fail("normally small number of %d octets", n)
		return 0
	}
	return r.octets(n)
}

// Enum reads an ENUMERATED of root values without extension marker.
func (r *Reader) Enum(root int) uint8 { return uint8(r.whole(uint64(root - 1))) }

// EnumExt reads an extensible ENUMERATED. Additions, known or not, count on
// after the root values; one above 255 is an error.
func (r *Reader) EnumExt(root int) uint8 {
	if root < 256 {
		if v, ok := r.rootBits(bitsFor(uint64(root - 1))); ok {
			return uint8(r.upTo(uint64(root-1), v))
		}
	}
	if !r.Bit() {
		return r.Enum(root)
	}
	v := r.small()
	if v > uint64(255-root) {
		r.Fail("enumeration addition %d cannot be held", v)
		return 0
	}
	return uint8(v) + uint8(root)
}

// Choice reads the index of an alternative; those of the extension count on
// after the root ones and their value is an open type.
func (r *Reader) Choice(root int, ext bool) int {
	if ext && root < 256 {
		if v, ok := r.rootBits(bitsFor(uint64(root - 1))); ok {
			return int(r.upTo(uint64(root-1), v))
		}
	}
	if !ext || !r.Bit() {
		return int(r.whole(uint64(root - 1)))
	}
	v := r.small()
	if v > 65535 {
		r.Fail("choice addition %d cannot be held", v)
		return 0
	}
	return root + int(v)
}

// Count reads the number of elements of a SEQUENCE (SIZE (lo..hi)) OF whose
// elements take at least least bits each; a number that what is left of the
// input cannot hold is an error.
func (r *Reader) Count(lo, hi, least int) int {
	n := lo + int(r.whole(uint64(hi-lo)))
	if n*max(least, 1) <= r.end-r.pos { // not so after an error
		return n
	}
	r.Fail("%d elements are claimed, %d bits are left", n, r.Left())
	return 0
}

// Additions skips the extension additions of a SEQUENCE (X.691 §19.7-9).
func (r *Reader) Additions() {
	n := 0
	if !r.Bit() {
		n = int(r.Bits(6)) + 1
	} else if n = int(r.Octet()); n == 0 || n > 127 {
		r.Fail("%d extension additions", n)
		return
	}
	var present [2]uint64
	for i := range n {
		if r.Bit() {
			present[i/64] |= 1 << (i % 64)
		}
	}
	for i := range n {
		if present[i/64]&(1<<(i%64)) != 0 {
			r.Open()
		}
	}
}

// IntSet reads an extensible INTEGER whose root is the union of set, ordered
// by value.
func (r *Reader) IntSet(set []Range, most uint64) uint64 {
	extended := r.pos < r.end && r.buf[r.pos>>3]>>(7-r.pos&7)&1 != 0
	v := r.IntExt(set[0].Lo, set[len(set)-1].Hi, most)
	if r.err == nil && !extended && !among(v, set) {
		r.Fail("value %d is not in the root of the constraint", v)
	}
	return v
}
