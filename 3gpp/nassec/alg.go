// Package nassec protects NAS messages: the ciphers EEA0 to EEA3 and integrity
// algorithms EIA0 to EIA3 of TS 33.401 §B, and the EPS NAS security context
// of TS 24.301 §4.4 with its counts, for the network's and the phone's side.
//
// It works on octets: it knows the security header, not the messages inside.
// It is not the AS (PDCP) layer and not 5G, though the ciphers are the same.
// It stores nothing; that a count is on disk before an answer leaves is the
// caller's duty, for which State gives and takes everything.
//
// Where time depends on secrets: EEA2 and EIA2 nowhere, on machines with AES
// instructions; the multiplications of EIA1 and EIA3 nowhere. The keystream
// generators SNOW 3G (EEA1, EIA1) and ZUC (EEA3, EIA3) look up S-boxes at secret
// indices, as their designs suppose, and reading whole tables instead would cost
// a hundredfold: on a machine shared with an observer of its cache prefer EEA2
// and EIA2. Codes are compared in constant time.
package nassec

import (
	"errors"
	"fmt"

	"campanile.network/3gpp/secret"
)

// EEA is an EPS encryption algorithm (TS 33.401 §5.1.3.2).
type EEA uint8

// Encryption algorithms.
const (
	EEA0 EEA = 0 // null
	EEA1 EEA = 1 // SNOW 3G
	EEA2 EEA = 2 // AES-128 CTR
	EEA3 EEA = 3 // ZUC
)

// String gives the name used in the specifications.
func (a EEA) String() string {
	if a == EEA0 {
		return "EEA0"
	}
	return fmt.Sprintf("128-EEA%d", uint8(a))
}

// EIA is an EPS integrity algorithm (TS 33.401 §5.1.4.2).
type EIA uint8

// Integrity algorithms.
const (
	EIA0 EIA = 0 // null
	EIA1 EIA = 1 // SNOW 3G
	EIA2 EIA = 2 // AES-128 CMAC
	EIA3 EIA = 3 // ZUC
)

// String gives the name used in the specifications.
func (a EIA) String() string {
	if a == EIA0 {
		return "EIA0"
	}
	return fmt.Sprintf("128-EIA%d", uint8(a))
}

// Direction is the DIRECTION bit.
type Direction uint8

// Directions.
const (
	Uplink   Direction = 0
	Downlink Direction = 1
)

// ErrAlgorithm says that an algorithm number is not 0..3.
var ErrAlgorithm = errors.New("nassec: unknown algorithm")

// Cipher is one encryption algorithm under one key, the key schedule made once.
// It is safe for concurrent use.
type Cipher struct {
	alg EEA
	key [4]uint32 // EEA1, big-endian words
	raw [16]byte  // EEA3
	aes *eea2
}

// Format hides the keys under every verb: fmt would print them out of fields
// that are not exported.
func (Cipher) Format(f fmt.State, _ rune) { fmt.Fprint(f, "[redacted]") }

// NewCipher makes a cipher; ErrAlgorithm for a number above 3.
func NewCipher(alg EEA, key secret.Key128) (*Cipher, error) {
	c := &Cipher{alg: alg}
	switch alg {
	case EEA0:
	case EEA1:
		c.key = words(key)
	case EEA2:
		c.aes = newEEA2(key)
	case EEA3:
		c.raw = key
	default:
		return nil, fmt.Errorf("%w: EEA%d", ErrAlgorithm, alg)
	}
	return c, nil
}

// Algorithm tells which algorithm this is.
func (c *Cipher) Algorithm() EEA { return c.alg }

// Apply ciphers or deciphers data in place. count is the 32-bit COUNT, bearer
// 0..31. It does not allocate, but EEA2 for more than 512 octets.
func (c *Cipher) Apply(count uint32, bearer uint8, dir Direction, data []byte) {
	c.ApplyBits(count, bearer, dir, data, len(data)*8)
}

// ApplyBits ciphers or deciphers the first n bits of data in place, most
// significant bit first; the remaining bits of the last octet touched become
// zero, octets after it stay. It panics if data is shorter than n bits.
func (c *Cipher) ApplyBits(count uint32, bearer uint8, dir Direction, data []byte, n int) {
	data = data[:(n+7)/8]
	switch c.alg {
	case EEA1:
		eea1(&c.key, count, bearer, dir, data)
	case EEA2:
		c.aes.apply(count, bearer, dir, data)
	case EEA3:
		eea3(&c.raw, count, bearer, dir, data)
	}
	if n%8 != 0 {
		data[len(data)-1] &= 0xff << (8 - n%8)
	}
}

// Integrity is one integrity algorithm under one key, the key schedule made
// once. It is safe for concurrent use.
type Integrity struct {
	alg EIA
	key [4]uint32 // EIA1
	raw [16]byte  // EIA3
	aes *eia2
}

// Format hides the keys under every verb: fmt would print them out of fields
// that are not exported.
func (Integrity) Format(f fmt.State, _ rune) { fmt.Fprint(f, "[redacted]") }

// NewIntegrity makes an integrity algorithm; ErrAlgorithm for a number above 3.
func NewIntegrity(alg EIA, key secret.Key128) (*Integrity, error) {
	g := &Integrity{alg: alg}
	switch alg {
	case EIA0:
	case EIA1:
		g.key = words(key)
	case EIA2:
		g.aes = newEIA2(key)
	case EIA3:
		g.raw = key
	default:
		return nil, fmt.Errorf("%w: EIA%d", ErrAlgorithm, alg)
	}
	return g, nil
}

// Algorithm tells which algorithm this is.
func (g *Integrity) Algorithm() EIA { return g.alg }

// MAC gives the 32-bit code over data; EIA0 gives zero. count is the 32-bit
// COUNT, bearer 0..31. It does not allocate.
func (g *Integrity) MAC(count uint32, bearer uint8, dir Direction, data []byte) [4]byte {
	return g.MACBits(count, bearer, dir, data, len(data)*8)
}

// MACBits gives the code over the first n bits of data, most significant bit
// first. It panics if data is shorter than n bits.
func (g *Integrity) MACBits(count uint32, bearer uint8, dir Direction, data []byte, n int) [4]byte {
	data = data[:(n+7)/8]
	var m uint32
	switch g.alg {
	case EIA1:
		m = eia1(&g.key, count, bearer, dir, data, n)
	case EIA2:
		m = g.aes.code(count, bearer, dir, data, n)
	case EIA3:
		m = eia3(&g.raw, count, bearer, dir, data, n)
	}
	return [4]byte{byte(m >> 24), byte(m >> 16), byte(m >> 8), byte(m)}
}
