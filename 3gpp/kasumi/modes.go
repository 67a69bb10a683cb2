package kasumi

import (
	"encoding/binary"

	"campanile.network/3gpp/secret"
)

// Direction is the DIRECTION bit of f8 and f9.
type Direction uint8

// Directions.
const (
	Uplink   Direction = 0
	Downlink Direction = 1
)

// UEA1 is the confidentiality function f8 under one CK (TS 35.201 §3). It is
// immutable and safe for concurrent use.
type UEA1 struct{ plain, modified *Cipher }

// NewUEA1 expands a CK.
func NewUEA1(ck secret.Key128) *UEA1 { return &UEA1{New(ck), New(modify(ck, 0x55))} }

// modify sums every octet of a key and the modifier KM.
func modify(k secret.Key128, km byte) secret.Key128 {
	for i := range k {
		k[i] ^= km
	}
	return k
}

// Apply ciphers or deciphers data in place. count is COUNT-C, bearer 0..31.
func (u *UEA1) Apply(count uint32, bearer uint8, dir Direction, data []byte) {
	u.ApplyBits(count, bearer, dir, data, len(data)*8)
}

// ApplyBits ciphers or deciphers the first n bits of data in place, most
// significant bit first; the remaining bits of the last octet touched become
// zero, octets after it stay. It panics if data is shorter than n bits.
func (u *UEA1) ApplyBits(count uint32, bearer uint8, dir Direction, data []byte, n int) {
	data = data[:(n+7)/8]
	a := u.modified.Encrypt(uint64(count)<<32 | uint64(bearer&31)<<27 | uint64(dir&1)<<26)
	var ks uint64
	rest := data
	for block := uint64(0); len(rest) > 0; block++ {
		ks = u.plain.Encrypt(a ^ block ^ ks)
		var b [8]byte
		binary.BigEndian.PutUint64(b[:], ks)
		size := min(8, len(rest))
		for i := range size {
			rest[i] ^= b[i]
		}
		rest = rest[size:]
	}
	if n%8 != 0 {
		data[len(data)-1] &= 0xff << (8 - n%8)
	}
}

// UIA1 is the integrity function f9 under one IK (TS 35.201 §4). It is immutable
// and safe for concurrent use.
type UIA1 struct{ plain, modified *Cipher }

// NewUIA1 expands an IK.
func NewUIA1(ik secret.Key128) *UIA1 { return &UIA1{New(ik), New(modify(ik, 0xaa))} }

// MAC gives MAC-I over data. count is COUNT-I.
func (u *UIA1) MAC(count, fresh uint32, dir Direction, data []byte) [4]byte {
	return u.MACBits(count, fresh, dir, data, len(data)*8)
}

// MACBits gives MAC-I over the first n bits of data, most significant bit first.
// It panics if data is shorter than n bits.
func (u *UIA1) MACBits(count, fresh uint32, dir Direction, data []byte, n int) (mac [4]byte) {
	data = data[:(n+7)/8]
	a := u.plain.Encrypt(uint64(count)<<32 | uint64(fresh))
	b := a
	add := func(block uint64) {
		a = u.plain.Encrypt(a ^ block)
		b ^= a
	}
	for ; n >= 64; n -= 64 {
		add(binary.BigEndian.Uint64(data))
		data = data[8:]
	}
	// What is left, DIRECTION, a one, and zeros up to the end of a block.
	var last [8]byte
	copy(last[:], data)
	end := uint64(dir&1)<<1 | 1 // two bits, at n
	block := binary.BigEndian.Uint64(last[:]) &^ (^uint64(0) >> n)
	if n < 63 {
		add(block | end<<(62-n))
	} else { // the one opens a block of its own
		add(block | end>>1)
		add(1 << 63)
	}
	binary.BigEndian.PutUint32(mac[:], uint32(u.modified.Encrypt(b)>>32))
	return mac
}
