// Package kasumi computes the block cipher KASUMI (TS 35.202) and the UMTS
// confidentiality and integrity functions f8 and f9 made of it, UEA1 and UIA1
// (TS 35.201).
//
// LTE has no use for them: they are for who joins a UMTS radio network to this
// core. It is neither A5/3 nor GEA3, though their kernel is the same.
//
// Nothing branches or looks up by a secret: S7 is read whole each time and S9 is
// computed as the quadratic form that it is. That costs speed: some 5 MB/s, enough
// for signalling and voice, not for the packets of a city.
package kasumi

import (
	"encoding/binary"
	"fmt"
	"math/bits"

	"campanile.network/3gpp/secret"
)

// Cipher is KASUMI under one key, the subkeys made once. It is immutable and safe
// for concurrent use.
type Cipher struct{ rounds [8]round }

// round has the subkeys of one round (TS 35.202 §4.1 and §4.2).
type round struct {
	kl1, kl2      uint16
	ko1, ko2, ko3 uint16
	ki1, ki2, ki3 uint16
}

// Format hides the keys under every verb: fmt would print them out of fields
// that are not exported.
func (Cipher) Format(f fmt.State, _ rune) { fmt.Fprint(f, "[redacted]") }

// New expands a key (TS 35.202 §4.6).
func New(key secret.Key128) *Cipher {
	var k, mod [8]uint16 // K_j and K'_j
	for j := range k {
		k[j] = binary.BigEndian.Uint16(key[2*j:])
		mod[j] = k[j] ^ constants[j]
	}
	c := new(Cipher)
	for i := range c.rounds {
		at := func(j int) int { return (i + j) & 7 }
		c.rounds[i] = round{
			kl1: bits.RotateLeft16(k[i], 1), kl2: mod[at(2)],
			ko1: bits.RotateLeft16(k[at(1)], 5), ko2: bits.RotateLeft16(k[at(5)], 8), ko3: bits.RotateLeft16(k[at(6)], 13),
			ki1: mod[at(4)], ki2: mod[at(3)], ki3: mod[at(7)],
		}
	}
	return c
}

// Encrypt enciphers a block of 64 bits, the first octet most significant
// (TS 35.202 §3). f8 and f9 need no deciphering.
func (c *Cipher) Encrypt(block uint64) uint64 {
	left, right := uint32(block>>32), uint32(block)
	for i := 0; i < 8; i += 2 {
		odd, even := &c.rounds[i], &c.rounds[i+1]
		right ^= odd.fo(odd.fl(left))
		left ^= even.fl(even.fo(right))
	}
	return uint64(left)<<32 | uint64(right)
}

// fl is FL of TS 35.202 §4.3.
func (k *round) fl(x uint32) uint32 {
	l, r := uint16(x>>16), uint16(x)
	r ^= bits.RotateLeft16(l&k.kl1, 1)
	l ^= bits.RotateLeft16(r|k.kl2, 1)
	return uint32(l)<<16 | uint32(r)
}

// fo is FO of TS 35.202 §4.4.
func (k *round) fo(x uint32) uint32 {
	l, r := uint16(x>>16), uint16(x)
	l = fi(l^k.ko1, k.ki1) ^ r
	r = fi(r^k.ko2, k.ki2) ^ l
	l = fi(l^k.ko3, k.ki3) ^ r
	return uint32(r)<<16 | uint32(l)
}

// fi is FI of TS 35.202 §4.5.
func fi(x, k uint16) uint16 {
	nine, seven := x>>7, x&0x7f
	nine = sub9(nine) ^ seven
	seven = sub7(seven) ^ nine&0x7f
	seven ^= k >> 9
	nine ^= k & 0x1ff
	nine = sub9(nine) ^ seven
	seven = sub7(seven) ^ nine&0x7f
	return seven<<9 | nine
}

// sub7 is S7: it reads all of the table and keeps one entry.
func sub7(x uint16) uint16 {
	var w uint64
	row := uint64(x >> 3)
	for n := range uint64(len(s7) / 8) {
		hit := ((n ^ row) - 1) >> 63 // 1 in the row of the entry
		w |= binary.LittleEndian.Uint64(s7[8*n:]) & -hit
	}
	return uint16(w >> (8 * (x & 7)) & 0x7f)
}

// sub9 is S9: it sums the coefficients in eight lanes, one for each x_i but the
// last, over the set bits of x, and then the lanes whose own bit is set.
func sub9(x uint16) uint16 {
	var low, high uint64
	for j := range 9 {
		set := -uint64(x >> j & 1)
		low ^= s9Low[j] & set
		high ^= s9High[j] & set
	}
	sum := low&lanes(uint64(x)) ^ high&lanes(uint64(x>>4))
	sum ^= sum >> 32
	return s9Zero ^ uint16(sum^sum>>16) ^ s9Last&-(x>>8)
}

// lanes fills the lane of 16 bits for each of the four low bits of x.
func lanes(x uint64) uint64 {
	return (x | x<<15 | x<<30 | x<<45) & 0x0001_0001_0001_0001 * 0xffff
}
