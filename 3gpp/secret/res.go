package secret

import (
	"crypto/subtle"
	"fmt"
	"log/slog"
)

// Lengths of a response in octets (TS 33.102 §6.3.7).
const (
	MinRES = 4
	MaxRES = 16
)

// RES is a card's response to a challenge, or XRES, the expected one: 4 to 16
// octets, 8 with Milenage. An XRES that leaks before the card has answered is an
// answer. The zero RES is none: it equals nothing.
type RES struct {
	octets [MaxRES]byte // zero beyond n
	n      uint8
}

// MakeRES takes a response of 4 to 16 octets; an error for another length.
func MakeRES(b []byte) (r RES, err error) {
	if len(b) < MinRES || len(b) > MaxRES {
		return r, fmt.Errorf("secret: RES of %d octets, want %d to %d", len(b), MinRES, MaxRES)
	}
	r.n = uint8(copy(r.octets[:], b))
	return r, nil
}

// RES64 makes a response of 8 octets, the usual length.
func RES64(b [8]byte) (r RES) {
	r.n = uint8(copy(r.octets[:], b[:]))
	return r
}

// Len gives the length in octets, 0 for the zero RES.
func (r RES) Len() int { return int(r.n) }

// Bytes gives the octets, a copy.
func (r RES) Bytes() []byte { return r.octets[:r.n] }

// Padded gives the octets followed by zeros up to 16, as the conversion
// function c2 wants them (TS 33.102 §6.8.1.2).
func (r RES) Padded() [MaxRES]byte { return r.octets }

// Equal compares with a response off the air in constant time; a response of
// another length is unequal.
func (r RES) Equal(got []byte) bool {
	return r.n != 0 && subtle.ConstantTimeCompare(r.octets[:r.n], got) == 1
}

// Format prints "[redacted]" whatever the verb.
func (RES) Format(f fmt.State, _ rune) { fmt.Fprint(f, redacted) }

// LogValue gives slog "[redacted]".
func (RES) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText refuses: ErrRefused.
func (RES) MarshalText() ([]byte, error) { return nil, ErrRefused }
