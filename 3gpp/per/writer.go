package per

import "fmt"

// Writer appends an aligned PER encoding to a byte slice. The zero value with
// Reset called is ready for use; it may live on the stack.
type Writer struct {
	buf  []byte
	free uint // unused low bits of the last octet of buf
	at   string
	err  *Error
}

// Reset makes the writer append to dst, which it owns until Bytes is called.
func (w *Writer) Reset(dst []byte) { *w = Writer{buf: dst} }

// Bytes returns the slice with what was written, the last octet zero-padded.
func (w *Writer) Bytes() []byte { return w.buf }

// Len is the number of octets in the buffer, the unfinished one included.
func (w *Writer) Len() int { return len(w.buf) }

// Err returns the first error, nil if there was none. Its type is *Error.
func (w *Writer) Err() error {
	if w.err == nil {
		return nil
	}
	return w.err
}

// Failed reports whether an error has occurred.
func (w *Writer) Failed() bool { return w.err != nil }

// At names the component written next; it appears in the error.
func (w *Writer) At(field string) { w.at = field }

// Fail records an error unless there is one already.
func (w *Writer) Fail(format string, args ...any) {
	if w.err == nil {
		w.err = &Error{Field: w.at, Bit: len(w.buf) * 8, Reason: fmt.Sprintf(format, args...)}
	}
}

// Align fills the last octet with zero bits.
func (w *Writer) Align() { w.free = 0 }

// Bits writes the n low bits of v, the most significant first. n is at most 64.
func (w *Writer) Bits(v uint64, n int) {
	left := uint(n)
	if left-1 < w.free { // 1..free: the usual case
		w.free -= left
		w.buf[len(w.buf)-1] |= byte(v&(1<<left-1)) << w.free
		return
	}
	for left > 0 {
		if w.free == 0 {
			w.buf = append(w.buf, 0)
			w.free = 8
		}
		k := min(left, w.free)
		w.free -= k
		left -= k
		w.buf[len(w.buf)-1] |= byte(v>>left&(1<<k-1)) << w.free
	}
}

// Bit writes one bit.
func (w *Writer) Bit(b bool) {
	if w.free == 0 {
		w.buf = append(w.buf, 0)
		w.free = 8
	}
	w.free--
	if b {
		w.buf[len(w.buf)-1] |= 1 << w.free
	}
}

// raw appends octets after aligning.
func (w *Writer) raw(b []byte) {
	w.free = 0
	w.buf = append(w.buf, b...)
}

// octets writes v in n octets after aligning.
func (w *Writer) octets(v uint64, n int) {
	w.free = 0
	for n--; n >= 0; n-- {
		w.buf = append(w.buf, byte(v>>(8*uint(n))))
	}
}

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

// integer writes an unconstrained INTEGER that is not negative (§11.8).
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

// small writes a normally small non-negative whole number (§11.6).
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

// length writes a general length determinant below 16384 (§11.9.3.5-7).
func (w *Writer) length(n int) {
	if n < 128 {
		w.octets(uint64(n), 1)
	} else {
		w.octets(uint64(n)|0x8000, 2)
	}
}

// sized writes extension bit and length of n units. It reports whether the
// units follow as one field; if not, they go out by the general procedure.
func (w *Writer) sized(n int, s Size) (oneField bool) {
	in := s.holds(n)
	if !in && !s.Ext {
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
// zero length (§11.9.3.8.3).
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

// OpenStart begins an open type (§11.2) and returns a mark for OpenEnd.
func (w *Writer) OpenStart() int {
	w.free = 0
	w.buf = append(w.buf, 0)
	return len(w.buf) - 1
}

// OpenEnd ends the open type begun at mark and writes its length.
func (w *Writer) OpenEnd(mark int) {
	w.free = 0
	n := len(w.buf) - mark - 1
	switch {
	case n == 0: // a complete encoding has at least one octet (§11.1.3)
		w.buf = append(w.buf, 0)
		n = 1
		fallthrough
	case n < 128:
		w.buf[mark] = byte(n)
	case n < fragment:
		w.buf = append(w.buf, 0)
		copy(w.buf[mark+2:], w.buf[mark+1:])
		w.buf[mark] = byte(n>>8) | 0x80
		w.buf[mark+1] = byte(n)
	default:
		body := append([]byte(nil), w.buf[mark+1:]...)
		w.buf = w.buf[:mark]
		w.general(body, len(body), 8)
	}
}

// Field writes the head of a ProtocolIE-Field of the S1 family, id, criticality
// and open type, and returns the mark for OpenEnd.
func (w *Writer) Field(id uint16, criticality uint8) int {
	if criticality > 2 {
		w.Fail("criticality %d", criticality)
	}
	w.free = 0
	w.buf = append(w.buf, byte(id>>8), byte(id), criticality<<6, 0)
	return len(w.buf) - 1
}

// Open writes an open type whose encoding is already there.
func (w *Writer) Open(b []byte) {
	if len(b) == 0 {
		b = []byte{0}
	}
	w.general(b, len(b), 8)
}

// Patch16 overwrites two octets at an octet offset returned by Len.
func (w *Writer) Patch16(at int, v uint16) {
	w.buf[at], w.buf[at+1] = byte(v>>8), byte(v)
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
