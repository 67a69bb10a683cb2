// Package per reads and writes the aligned basic variant of the Packed
// Encoding Rules (ITU-T X.691), as far as the protocols of 3GPP's S1 family
// need it: every primitive, extensible types with their additions skipped,
// open types, and fragmentation of anything longer than 16383 units.
//
// It is a runtime for generated code: it knows no ASN.1 type by name, uses no
// reflection and keeps no state besides the position in a buffer. Errors are
// sticky: after the first one every call is a cheap no-op that returns zero
// values, so callers check Err once at the end.
//
// It is not a complete X.691: REAL, SET, canonical ordering of SET OF, and the
// unaligned variant are absent because nothing here uses them.
package per

import (
	"fmt"
	"math/bits"
)

// Unbounded as Size.Max says that the type has no upper bound.
const Unbounded = -1

// Size is an effective size constraint (X.691 §10.5.1): the bounds of the
// extension root and whether sizes outside it may be sent (the "..." marker).
// The unit is octets, bits, characters or elements, as the type has it.
type Size struct {
	Min, Max int
	Ext      bool
}

func (s Size) holds(n int) bool {
	return n >= s.Min && (s.Max == Unbounded || n <= s.Max)
}

// fixed says that no length is sent for the root (X.691 §11.9).
func (s Size) fixed() bool { return s.Min == s.Max && s.Max < 65536 }

// BitString is an ASN.1 BIT STRING of variable length: Len bits, the first one
// being the most significant bit of Bytes[0]. Bits of Bytes beyond Len are
// ignored when written and zero when read.
type BitString struct {
	Bytes []byte
	Len   int
}

// Error is what went wrong at one place of an encoding.
type Error struct {
	// Field is the ASN.1 type and component last entered, "Type.Field".
	Field string
	// Bit is the bit offset in the input (in a fragmented open type, from its
	// start) or eight times the length of the output.
	Bit int
	// Reason says what is wrong with it.
	Reason string
}

// Error implements error.
func (e *Error) Error() string {
	if e.Field == "" {
		return fmt.Sprintf("per: bit %d: %s", e.Bit, e.Reason)
	}
	return fmt.Sprintf("per: %s: %s (bit %d)", e.Field, e.Reason, e.Bit)
}

// bitsFor is the width of a bit-field that holds 0..span (X.691 §11.5.7.1).
func bitsFor(span uint64) int { return bits.Len64(span) }

// octetsFor is the least number of octets that hold v, at least one.
func octetsFor(v uint64) int { return max(1, (bits.Len64(v)+7)/8) }

// Length fragments of X.691 §11.9.3.8 are multiples of 16384 units.
const fragment = 16384

// Range is one part of a value constraint that is a union of ranges.
type Range struct{ Lo, Hi uint64 }

func among(v uint64, set []Range) bool {
	for _, r := range set {
		if v >= r.Lo && v <= r.Hi {
			return true
		}
	}
	return false
}
