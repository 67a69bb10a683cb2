package nassec

import (
	"encoding/binary"
	"math/bits"

	"campanile.network/3gpp/secret"
)

func words(k secret.Key128) (w [4]uint32) {
	for i := range w {
		w[i] = binary.BigEndian.Uint32(k[4*i:])
	}
	return w
}

// snow3g is the keystream generator of TS 35.216. s holds sixteen words of the
// shift register and room for the next sixteen, so that a step writes one word
// instead of moving fifteen.
type snow3g struct {
	s          [32]uint32
	r1, r2, r3 uint32
}

// snowS applies a 32-bit S-box of TS 35.216 §3.3 through one table for the top
// octet; the matrix is circulant, so the other octets use it rotated.
func snowS(t *[256]uint32, w uint32) uint32 {
	return t[w>>24] ^
		bits.RotateLeft32(t[w>>16&0xff], -8) ^
		bits.RotateLeft32(t[w>>8&0xff], -16) ^
		bits.RotateLeft32(t[w&0xff], -24)
}

// feedback is v of TS 35.216 §3.4.4 and TS 35.216 §3.4.5 without F.
func feedback(s0, s2, s11 uint32) uint32 {
	return s0<<8 ^ mulAlpha[s0>>24] ^ s2 ^ s11>>8 ^ divAlpha[s11&0xff]
}

// load puts in key and IV and runs 32 silent clocks (TS 35.216 §4.1). k[0] is the
// most significant word of the key (K3), iv[0] of the IV (IV3).
func (g *snow3g) load(k, iv *[4]uint32) {
	g.r1, g.r2, g.r3 = 0, 0, 0
	for i := range 4 {
		w := k[3-i]
		g.s[i], g.s[4+i], g.s[8+i], g.s[12+i] = ^w, w, ^w, w
	}
	g.s[9] ^= iv[0]
	g.s[10] ^= iv[1]
	g.s[12] ^= iv[2]
	g.s[15] ^= iv[3]
	var z [16]uint32
	g.run(&z, 16, true)
	g.run(&z, 16, true)
	g.run(&z, 1, false) // its output is dropped
	copy(g.s[:16], g.s[1:17])
}

// run clocks the generator n <= 16 times (TS 35.216 §3.4). Silent clocks feed F
// back into the register and yield nothing (TS 35.216 §4.1), others yield n words
// of keystream (TS 35.216 §4.2). After n = 16 the register is in place for the
// next run.
func (g *snow3g) run(z *[16]uint32, n int, silent bool) {
	s := &g.s
	r1, r2, r3 := g.r1, g.r2, g.r3
	for i := 0; i < 16 && i < n; i++ {
		f := (s[i+15] + r1) ^ r2
		v := feedback(s[i], s[i+2], s[i+11])
		if silent {
			v ^= f
		} else {
			z[i] = f ^ s[i]
		}
		r := r2 + (r3 ^ s[i+5])
		r3 = snowS(&snowT2, r2)
		r2 = snowS(&snowT1, r1)
		r1 = r
		s[i+16] = v
	}
	g.r1, g.r2, g.r3 = r1, r2, r3
	if n == 16 {
		copy(s[:16], s[16:])
	}
}

// eea1 is f8 of TS 35.215 §3 with the inputs of TS 33.401 §B.1.2.
func eea1(k *[4]uint32, count uint32, bearer uint8, dir Direction, data []byte) {
	w := uint32(bearer)<<27 | uint32(dir&1)<<26
	iv := [4]uint32{count, w, count, w}
	var g snow3g
	g.load(k, &iv)
	var z [16]uint32
	for len(data) >= 64 {
		g.run(&z, 16, false)
		xorWords(data[:64], &z)
		data = data[64:]
	}
	if len(data) > 0 {
		g.run(&z, (len(data)+3)/4, false)
		xorWords(data, &z)
	}
}

// xorWords xors up to 64 octets with big-endian words.
func xorWords(data []byte, z *[16]uint32) {
	i := 0
	for ; len(data) >= 4; data = data[4:] {
		binary.BigEndian.PutUint32(data, binary.BigEndian.Uint32(data)^z[i&15])
		i++
	}
	for j := range data {
		data[j] ^= byte(z[i&15] >> (24 - 8*j))
	}
}

// eia1 is UIA2 with FRESH made of the bearer (TS 33.401 §B.2.2).
func eia1(k *[4]uint32, count uint32, bearer uint8, dir Direction, data []byte, n int) uint32 {
	return uia2(k, count, uint32(bearer)<<27, dir, data, n)
}

// uia2 is f9 of TS 35.215 §4.
func uia2(k *[4]uint32, count, fresh uint32, dir Direction, data []byte, n int) uint32 {
	d := uint32(dir & 1)
	iv := [4]uint32{count, fresh, count ^ d<<31, fresh ^ d<<15}
	var g snow3g
	g.load(k, &iv)
	var z [16]uint32
	g.run(&z, 5, false)
	q := newMul64(uint64(z[2])<<32 | uint64(z[3]))
	eval := q.times(eval64(uint64(z[0])<<32|uint64(z[1]), data, n) ^ uint64(n))
	return uint32(eval>>32) ^ z[4]
}

// mul64 multiplies by a fixed element of GF(2^64) mod x^64+x^4+x^3+x+1 (MUL of
// TS 35.215 §4), in constant time: it holds the element and its mirror image.
type mul64 struct{ p, mirror nibbles }

func newMul64(p uint64) mul64 { return mul64{spread(p), spread(bits.Reverse64(p))} }

func (t *mul64) times(v uint64) uint64 {
	return reduce128(product{}.add(&t.p, v), product{}.add(&t.mirror, bits.Reverse64(v)))
}

// eval64 is EVAL of TS 35.215 §4: the value at p of the polynomial whose
// coefficients are the n bits of data in words of 64, the first the highest.
func eval64(p uint64, data []byte, n int) (eval uint64) {
	one := newMul64(p)
	if n >= 1024 { // four words at once are worth three more powers, the highest first
		p2 := one.times(p)
		p3 := one.times(p2)
		power := [4]mul64{newMul64(one.times(p3)), newMul64(p3), newMul64(p2), one}
		for ; n >= 256; n -= 256 {
			four := (*[32]byte)(data)
			data = data[32:]
			var lo, mirror product
			for i := range power {
				v := binary.BigEndian.Uint64(four[8*i:]) ^ eval
				eval = 0 // is part of the first word alone
				lo = lo.add(&power[i].p, v)
				mirror = mirror.add(&power[i].mirror, bits.Reverse64(v))
			}
			eval = reduce128(lo, mirror)
		}
	}
	for ; n >= 64; n -= 64 {
		eval = one.times(eval ^ binary.BigEndian.Uint64(data))
		data = data[8:]
	}
	if n > 0 {
		var last [8]byte
		copy(last[:], data)
		eval = one.times(eval ^ binary.BigEndian.Uint64(last[:])&^(^uint64(0)>>n))
	}
	return eval
}

// reduce128 reduces a product of which it has the low half, and the low half of
// the product of the mirror images, which is the high half in reverse.
func reduce128(lo, mirror product) uint64 {
	hi := bits.Reverse64(mirror.value()) >> 1
	over := hi>>63 ^ hi>>61 ^ hi>>60 // what the reduction of hi shifts out itself
	return lo.value() ^ reduce64(hi) ^ reduce64(over)
}

// reduce64 takes what was shifted out at the top back in: x^64 = x^4+x^3+x+1.
func reduce64(over uint64) uint64 { return over<<4 ^ over<<3 ^ over<<1 ^ over }
