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

// fsm clocks the finite state machine (TS 35.216 §3.4.2) and gives F.
func (g *snow3g) fsm(s5, s15 uint32) uint32 {
	f := (s15 + g.r1) ^ g.r2
	r := g.r2 + (g.r3 ^ s5)
	g.r3 = snowS(&snowT2, g.r2)
	g.r2 = snowS(&snowT1, g.r1)
	g.r1 = r
	return f
}

// feedback is v of TS 35.216 §3.4.4 and 3.4.5 without F.
func feedback(s0, s2, s11 uint32) uint32 {
	return s0<<8 ^ mulAlpha[s0>>24] ^ s2 ^ s11>>8 ^ divAlpha[s11&0xff]
}

// init loads key and IV and runs 32 silent clocks (TS 35.216 §4.1). k[0] is the
// most significant word of the key (K3), iv[0] of the IV (IV3).
func (g *snow3g) init(k, iv *[4]uint32) {
	g.r1, g.r2, g.r3 = 0, 0, 0
	for i := range 4 {
		w := k[3-i]
		g.s[i], g.s[4+i], g.s[8+i], g.s[12+i] = ^w, w, ^w, w
	}
	g.s[9] ^= iv[0]
	g.s[10] ^= iv[1]
	g.s[12] ^= iv[2]
	g.s[15] ^= iv[3]
	for range 2 {
		for i := range 16 {
			f := g.fsm(g.s[i+5], g.s[i+15])
			g.s[i+16] = feedback(g.s[i], g.s[i+2], g.s[i+11]) ^ f
		}
		copy(g.s[:16], g.s[16:])
	}
	g.fsm(g.s[5], g.s[15]) // its output is dropped
	v := feedback(g.s[0], g.s[2], g.s[11])
	copy(g.s[:15], g.s[1:16])
	g.s[15] = v
}

// block gives the next sixteen words of keystream (TS 35.216 §4.2).
func (g *snow3g) block(z *[16]uint32) {
	for i := range 16 {
		f := g.fsm(g.s[i+5], g.s[i+15])
		z[i] = f ^ g.s[i]
		g.s[i+16] = feedback(g.s[i], g.s[i+2], g.s[i+11])
	}
	copy(g.s[:16], g.s[16:])
}

// some gives the next n <= 16 words; nothing may follow it.
func (g *snow3g) some(z *[16]uint32, n int) {
	for i := range n & 31 {
		f := g.fsm(g.s[(i+5)&31], g.s[(i+15)&31])
		z[i&15] = f ^ g.s[i&31]
		g.s[(i+16)&31] = feedback(g.s[i&31], g.s[(i+2)&31], g.s[(i+11)&31])
	}
}

// eea1 is f8 of TS 35.215 §3 with the inputs of TS 33.401 §B.1.2.
func eea1(k *[4]uint32, count uint32, bearer uint8, dir Direction, data []byte) {
	w := uint32(bearer)<<27 | uint32(dir&1)<<26
	iv := [4]uint32{count, w, count, w}
	var g snow3g
	g.init(k, &iv)
	var z [16]uint32
	for len(data) >= 64 {
		g.block(&z)
		xorWords(data[:64], &z)
		data = data[64:]
	}
	if len(data) > 0 {
		g.some(&z, (len(data)+3)/4)
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
	g.init(k, &iv)
	var z [16]uint32
	g.some(&z, 5)
	p := newMul64(uint64(z[0])<<32 | uint64(z[1]))
	q := newMul64(uint64(z[2])<<32 | uint64(z[3]))
	var eval uint64
	for left := n; left > 0; left -= 64 {
		var m uint64
		if left >= 64 {
			m = binary.BigEndian.Uint64(data)
			data = data[8:]
		} else {
			var last [8]byte
			copy(last[:], data)
			m = binary.BigEndian.Uint64(last[:]) &^ (^uint64(0) >> left)
		}
		eval = p.times(eval ^ m)
	}
	eval = q.times(eval ^ uint64(n))
	return uint32(eval>>32) ^ z[4]
}

// mul64 multiplies by a fixed element of GF(2^64) mod x^64+x^4+x^3+x+1, four
// bits at a time (TS 35.215 §4.3.4 MUL with c = 0x1b).
type mul64 [16]uint64

func newMul64(p uint64) (t mul64) {
	t[1] = p
	for i := 2; i < 16; i += 2 {
		h := t[i/2]
		t[i] = h<<1 ^ (-(h >> 63) & 0x1b)
		t[i+1] = t[i] ^ p
	}
	return t
}

// times is Horner's rule over the sixteen hexadecimal digits of v.
func (t *mul64) times(v uint64) uint64 {
	var acc uint64
	for range 16 {
		top := acc >> 60 // times 0x1b without carries: x^4+x^3+x+1
		acc = acc<<4 ^ top<<4 ^ top<<3 ^ top<<1 ^ top ^ t[v>>60]
		v <<= 4
	}
	return acc
}
