package per

import (
	"fmt"
	"unsafe"
)

// Reader reads an aligned PER encoding. Byte and bit strings it returns are
// parts of the input unless they came in fragments.
//
// Everything a Reader or the code it serves allocates for a message is drawn
// from a budget (Grow), so a small message cannot claim a large structure.
type Reader struct {
	buf    []byte
	pos    int // in bits
	end    int // in bits
	budget int // octets that may still be allocated
	at     string
	err    *Error
}

// Reset makes the reader read b. budget is the number of octets the values
// read may occupy beyond those part of b.
func (r *Reader) Reset(b []byte, budget int) {
	*r = Reader{buf: b, end: len(b) * 8, budget: budget}
}

// Err returns the first error, nil if there was none. Its type is *Error.
func (r *Reader) Err() error {
	if r.err == nil {
		return nil
	}
	return r.err
}

// Failed reports whether an error has occurred.
func (r *Reader) Failed() bool { return r.err != nil }

// At names the component read next; it appears in the error.
func (r *Reader) At(field string) { r.at = field }

// Fail records an error unless there is one already, and ends the input.
func (r *Reader) Fail(format string, args ...any) {
	if r.err == nil {
		r.err = &Error{Field: r.at, Bit: r.pos, Reason: fmt.Sprintf(format, args...)}
	}
	r.pos = r.end
}

// Left is the number of bits not yet read in the present open type.
func (r *Reader) Left() int { return r.end - r.pos }

// Grow takes n octets from the budget and reports whether they were there.
func (r *Reader) Grow(n int) bool {
	if n > r.budget {
		r.Fail("needs %d octets of memory, %d are allowed", n, r.budget)
		return false
	}
	r.budget -= n
	return true
}

func (r *Reader) short(n int) {
	r.Fail("input ends: %d bits wanted, %d left", n, r.end-r.pos)
}

// Align skips to the next octet boundary.
func (r *Reader) Align() { r.pos = (r.pos + 7) &^ 7 }

// Bits reads n bits, at most 64.
func (r *Reader) Bits(n int) uint64 {
	if n > r.end-r.pos {
		r.short(n)
		return 0
	}
	if n == 0 {
		return 0
	}
	i, off := r.pos>>3, r.pos&7
	r.pos += n
	if off+n <= 8 {
		return uint64(r.buf[i]>>(8-off-n)) & (1<<n - 1)
	}
	v := uint64(r.buf[i]) & (0xff >> off)
	n -= 8 - off
	for n >= 8 {
		i++
		v = v<<8 | uint64(r.buf[i])
		n -= 8
	}
	if n > 0 {
		v = v<<n | uint64(r.buf[i+1]>>(8-n))
	}
	return v
}

// Bit reads one bit.
func (r *Reader) Bit() bool {
	if r.pos >= r.end {
		r.short(1)
		return false
	}
	b := r.buf[r.pos>>3] >> (7 - r.pos&7) & 1
	r.pos++
	return b != 0
}

// octets reads n octets, at most eight, as a number after aligning.
func (r *Reader) octets(n int) uint64 {
	r.Align()
	if n*8 > r.end-r.pos {
		r.short(n * 8)
		return 0
	}
	var v uint64
	for _, x := range r.buf[r.pos>>3 : r.pos>>3+n] {
		v = v<<8 | uint64(x)
	}
	r.pos += n * 8
	return v
}

// raw returns the next n octets of the input after aligning.
func (r *Reader) raw(n int) []byte {
	r.Align()
	if n > (r.end-r.pos)/8 {
		r.short(n * 8)
		return nil
	}
	i := r.pos >> 3
	r.pos += n * 8
	return r.buf[i : i+n : i+n]
}

// whole reads a constrained whole number in 0..span (X.691 §11.5).
func (r *Reader) whole(span uint64) uint64 {
	var v uint64
	switch {
	case span < 255:
		v = r.Bits(bitsFor(span))
	case span == 255:
		return r.octets(1)
	case span <= 65535:
		v = r.octets(2)
	default:
		v = r.octets(int(r.whole(uint64(octetsFor(span)-1))) + 1)
	}
	if v > span {
		r.Fail("value %d of the field is above %d", v, span)
		return 0
	}
	return v
}

// Int reads an INTEGER (lo..hi).
func (r *Reader) Int(lo, hi uint64) uint64 { return lo + r.whole(hi-lo) }

// IntExt reads an INTEGER (lo..hi, ...). A value outside the root is returned
// if it is not negative and not above most; otherwise it is an error.
func (r *Reader) IntExt(lo, hi, most uint64) uint64 {
	if !r.Bit() {
		return lo + r.whole(hi-lo)
	}
	n := int(r.octets(1))
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

// small reads a normally small non-negative whole number (§11.6).
func (r *Reader) small() uint64 {
	if !r.Bit() {
		return r.Bits(6)
	}
	n := int(r.octets(1))
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
	if !r.Bit() {
		return uint8(r.whole(uint64(root - 1)))
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
	if r.err == nil && n*max(least, 1) > r.Left() {
		r.Fail("%d elements are claimed, %d bits are left", n, r.Left())
	}
	if r.err != nil {
		return 0
	}
	return n
}

// Additions skips the extension additions of a SEQUENCE (§19.7-9).
func (r *Reader) Additions() {
	n := 0
	if !r.Bit() {
		n = int(r.Bits(6)) + 1
	} else if n = int(r.octets(1)); n == 0 || n > 127 {
		r.Fail("%d extension additions", n)
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

// size reads extension bit and length. oneField says that the units follow as
// one field; if not, the general procedure follows.
func (r *Reader) size(s Size) (n int, oneField bool) {
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

// least checks a size that came by the general procedure without extension.
func (r *Reader) least(n int, s Size) {
	if r.err == nil && !s.Ext && !s.holds(n) {
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
	return r.Bits(n)
}

// BitFieldExt reads a BIT STRING (SIZE (n, ...)). Of a longer string the first
// n bits are kept, a shorter one is filled with zero bits.
func (r *Reader) BitFieldExt(n int) uint64 {
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
		return BitString{r.masked(b, n), n}
	}
	if n == 0 {
		return BitString{}
	}
	return BitString{r.masked(r.aligned(n), n), n}
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
	var all []byte
	total := 0
	for {
		b := r.aligned(n * unit)
		if r.err != nil || !r.Grow(len(b)) {
			return nil, 0
		}
		all = append(all, b...)
		total += n
		if !more {
			return all, total
		}
		n, more = r.length()
	}
}

// length reads a general length determinant; more says that it is a fragment
// and another length follows its content (§11.9.3.5-8).
func (r *Reader) length() (n int, more bool) {
	n = int(r.octets(1))
	switch {
	case n < 0x80:
		return n, false
	case n < 0xc0:
		return n&0x3f<<8 | int(r.octets(1)), false
	}
	if k := n & 0x3f; k >= 1 && k <= 4 {
		return k * fragment, true
	}
	r.Fail("length octet %#02x", n)
	return 0, false
}

// Open reads an open type and returns its encoding.
func (r *Reader) Open() []byte {
	b, _ := r.general(8)
	return b
}

// Field reads the head of a ProtocolIE-Field of the S1 family, id and
// criticality; its value follows as an open type.
func (r *Reader) Field() (id uint16, criticality uint8) {
	r.Align()
	i := r.pos >> 3
	if r.end-r.pos < 24 {
		r.short(24)
		return 0, 0
	}
	h := r.buf[i : i+3 : i+3]
	if criticality = h[2] >> 6; criticality > 2 {
		r.Fail("criticality %d", criticality)
		return 0, 0
	}
	r.pos += 18
	return uint16(h[0])<<8 | uint16(h[1]), criticality
}

// Saved is the place in an outer encoding to which Leave returns.
type Saved struct {
	start int    // of the open type's content
	end   int    // of the outer encoding
	outer *outer // nil if the open type is part of the outer buffer
}

type outer struct {
	buf []byte
	pos int
}

// Enter begins to read an open type; Leave ends it.
func (r *Reader) Enter() Saved {
	s := Saved{end: r.end}
	n, more := r.length()
	if more {
		r.pos -= 8
		b := r.Open()
		s.outer = &outer{r.buf, r.pos}
		r.buf, r.pos, r.end = b, 0, len(b)*8
		if r.err != nil {
			r.pos = r.end
		}
		return s
	}
	if n > (r.end-r.pos)>>3 {
		r.short(n * 8)
		return s
	}
	s.start = r.pos
	r.end = r.pos + n*8
	return s
}

// Leave ends an open type. Whole octets that nothing has read are an error,
// unless the value has no bits and the one octet is the empty encoding's.
func (r *Reader) Leave(s Saved) {
	if left := r.end - r.pos; left >= 8 && r.err == nil {
		if left > 8 || r.pos != s.start {
			r.Fail("%d octets follow the value", left/8)
		}
	}
	r.pos, r.end = r.end, s.end
	if s.outer != nil {
		r.buf, r.pos = s.outer.buf, s.outer.pos
	}
	if r.err != nil {
		r.pos = r.end
	}
}

// Pointee returns *p, a new value if it is nil, within the budget. After a
// failure *p may be nil only if the budget was exhausted; a throw-away value
// is returned then.
func Pointee[T any](r *Reader, p **T) *T {
	if *p == nil {
		if !r.Grow(int(unsafe.Sizeof(**p))) {
			return new(T)
		}
		*p = new(T)
	}
	return *p
}

// List returns a slice of n elements, s itself if it is large enough, within
// the budget. Elements of s keep what they hold, for reuse.
func List[S ~[]T, T any](r *Reader, s S, n int) S {
	if cap(s) >= n {
		return s[:n]
	}
	var z T
	if !r.Grow(n * int(unsafe.Sizeof(z))) {
		return nil
	}
	return make(S, n)
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

// Rest returns the whole octets not yet read of the present open type.
func (r *Reader) Rest() []byte {
	r.Align()
	return r.raw(max(0, r.end-r.pos) / 8)
}
