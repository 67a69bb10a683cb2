// Package comp128 computes COMP128 versions 1, 2 and 3: the authentication and
// key generation algorithms A3 and A8 of TS 43.020 §C that most GSM SIMs
// carry. They are no 3GPP standard; the networks of their time shared them.
//
// It is for cards that exist; new ones take package milenage. Whoever may put
// tens of thousands of chosen challenges to a card of version 1, or to a home that
// answers for it, learns its Ki from collisions behind the first two levels of
// compression; versions 1 and 2 leave ten bits of Kc zero. None authenticates the
// network.
//
// Table lookups read the whole table and keep one entry with arithmetic, so that
// neither time nor cache tells of Ki, SRES or Kc. A triplet takes some 20 us with
// version 1 and 70 us with versions 2 and 3.
package comp128

import (
	"encoding/binary"

	"campanile.network/3gpp/secret"
)

// V1 computes COMP128-1: SRES and Kc for a Ki and a challenge. The ten low bits
// of Kc are zero.
func V1(ki secret.Key128, rand [16]byte) (sres [4]byte, kc secret.Key64) {
	var x [32]byte
	copy(x[16:], rand[:])
	for round := 0; ; round++ {
		copy(x[:16], ki[:])
		compress(&x)
		if round == 7 {
			break
		}
		permute(&x)
	}
	hi, lo := nibbles(x[:16]), nibbles(x[16:])
	binary.BigEndian.PutUint32(sres[:], uint32(hi>>32))
	binary.BigEndian.PutUint64(kc[:], lo<<10) // the last 54 of 128 bits
	return sres, kc
}

// V2 computes COMP128-2: version 3 with the ten low bits of Kc zero.
func V2(ki secret.Key128, rand [16]byte) (sres [4]byte, kc secret.Key64) {
	sres, kc = V3(ki, rand)
	kc[6] &= 0xfc
	kc[7] = 0
	return sres, kc
}

// V3 computes COMP128-3: SRES and a Kc of 64 bits for a Ki and a challenge.
func V3(ki secret.Key128, rand [16]byte) (sres [4]byte, kc secret.Key64) {
	var key, r [16]byte // the octets in reverse order
	for i := range r {
		r[i] = rand[15-i]
		key[i] = ki[15-i] ^ r[i]
	}
	for range 8 {
		mix(&r, &key)
	}
	for i := range sres {
		sres[i] = r[15-i]
	}
	for i := range kc { // octets 4 to 7 stay unused
		kc[i] = r[7-i]
	}
	return sres, kc
}

// compress is the butterfly of version 1: five levels, each over pairs half as
// far apart and through a table half as long, from 9 bits to 4.
func compress(x *[32]byte) {
	for level, table := range [...][]byte{v1T0[:], v1T1[:], v1T2[:], v1T3[:], v1T4[:]} {
		stride, mask := 16>>level, uint32(0x1ff)>>level
		for a := range 32 {
			if a&stride != 0 {
				continue
			}
			b := a + stride
			y := (uint32(x[a]) + 2*uint32(x[b])) & mask
			z := (2*uint32(x[a]) + uint32(x[b])) & mask
			// The second half of the first table repeats the first half, neighbours
			// swapped; in the other tables this changes nothing.
			x[a], x[b] = pick(table, (y^y>>8)&0xff), pick(table, (z^z>>8)&0xff)
		}
	}
}

// nibbles joins sixteen 4-bit values, the first most significant.
func nibbles(x []byte) (v uint64) {
	for _, n := range x {
		v = v<<4 | uint64(n)
	}
	return v
}

// permute writes the 128 bits of 32 nibbles to the octets x[16:], every
// seventeenth next, the most significant bit of an octet first.
func permute(x *[32]byte) {
	var out [16]byte
	for i := range 128 {
		from := i * 17 & 127
		bit := x[from>>2] >> (3 - from&3) & 1
		out[i>>3] |= bit << (7 - i&7)
	}
	copy(x[16:], out[:])
}

// mix is one round of versions 2 and 3: a butterfly of five levels over r and
// key, then a selection of 128 of its 256 bits.
func mix(r, key *[16]byte) {
	var x [32]byte
	copy(x[:16], r[:])
	copy(x[16:], key[:])
	for level := range 5 {
		old := x
		for i := range 16 {
			left := pick(v2T0[:], uint32(pick(v2T1[:], uint32(old[16+i]))^old[i]))
			right := pick(v2T0[:], uint32(pick(v2T1[:], uint32(left))^old[16+i]))
			size := 1 << level // blocks of both halves alternate
			at := (i&^(size-1))<<1 | i&(size-1)
			x[at], x[at+size] = left, right
		}
	}
	*r = [16]byte{}
	for i := range 128 {
		from := 19 * (i + 1) & 255
		r[i>>3] |= x[from>>3] >> (from & 7) & 1 << (i & 7)
	}
}

// pick gives t[i] and reads all of t, whose length is a multiple of 8.
func pick(t []byte, i uint32) byte {
	var w uint64
	row := uint64(i >> 3)
	for n := range uint64(len(t) / 8) {
		hit := ((n ^ row) - 1) >> 63 // 1 in the row of the entry
		w |= binary.LittleEndian.Uint64(t[8*n:]) & -hit
	}
	return byte(w >> (8 * (i & 7)))
}
