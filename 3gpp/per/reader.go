package per

import (
	"encoding/binary"
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
	outers []outer
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

// failed is the position after an error, behind the end of any input.
const failed = 1 << 62

// Fail records an error unless there is one already, and ends the input.
func (r *Reader) Fail(format string, args ...any) {
	if r.err == nil {
		r.err = &Error{Field: r.at, Bit: r.pos, Reason: fmt.Sprintf(format, args...)}
		r.pos = failed
	}
}

// Left is the number of bits not yet read in the present open type.
func (r *Reader) Left() int { return max(0, r.end-r.pos) }

// Grow takes n octets from the budget and reports whether they were there.
func (r *Reader) Grow(n int) bool {
	if n > r.budget {
		r.Fail("needs %d octets of memory, %d are allowed", n, r.budget)
		return false
	}
	r.budget -= n
	return true
}

// Budget is the number of octets that may still be allocated.
func (r *Reader) Budget() int { return r.budget }

func (r *Reader) short(n int) {
	if r.err == nil {
		r.Fail("input ends: %d bits wanted, %d left", n, r.end-r.pos)
	}
}

// Align skips to the next octet boundary.
func (r *Reader) Align() { r.pos = (r.pos + 7) &^ 7 }

// Bits reads n bits, 1 to 57.
func (r *Reader) Bits(n int) uint64 {
	p := r.pos
	if p+n > r.end {
		r.short(n)
		return 0
	}
	r.pos = p + n
	i := p >> 3
	if i+8 > len(r.buf) {
		return tail(r.buf[i:]) << (p & 7) >> (-n & 63)
	}
	return binary.BigEndian.Uint64(r.buf[i:i+8]) << (p & 7) >> (-n & 63)
}

// tail gives the last octets of the input, fewer than eight, as the most
// significant ones of a number.
func tail(b []byte) uint64 {
	var v uint64
	for i, x := range b {
		v |= uint64(x) << (56 - 8*i)
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

// octets reads n octets, one to eight, as a number after aligning.
func (r *Reader) octets(n int) uint64 {
	r.Align()
	if n*8 > r.end-r.pos {
		r.short(n * 8)
		return 0
	}
	i := r.pos >> 3
	r.pos += n * 8
	if i+8 > len(r.buf) {
		return tail(r.buf[i:]) >> (-8 * n & 63)
	}
	return binary.BigEndian.Uint64(r.buf[i:i+8]) >> (-8 * n & 63)
}

// Octet reads one octet after aligning: an INTEGER (0..255).
func (r *Reader) Octet() uint8 {
	i := (r.pos + 7) >> 3
	if i >= r.end>>3 {
		r.short(8)
		return 0
	}
	r.pos = i<<3 + 8
	return r.buf[i]
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
