package nassec

import (
	"encoding/binary"
	"math/bits"
)

// zuc is the keystream generator of TS 35.222. s holds sixteen 31-bit cells of
// the shift register and room for the next sixteen.
type zuc struct {
	s      [32]uint32
	r1, r2 uint32
}

// add31 adds modulo 2^31-1 (TS 35.222 §3.2).
func add31(a, b uint32) uint32 {
	c := a + b
	return c&0x7fffffff + c>>31
}

func rot31(a uint32, k uint) uint32 { return (a<<k | a>>(31-k)) & 0x7fffffff }

// lfsr is the feedback of TS 35.222 §3.2: 2^15 s15 + 2^17 s13 + 2^21 s10 +
// 2^20 s4 + (1 + 2^8) s0 mod 2^31-1, summed in 64 bits and reduced once.
func lfsr(s0, s4, s10, s13, s15 uint32) uint32 {
	v := uint64(s15)<<15 + uint64(s13)<<17 + uint64(s10)<<21 + uint64(s4)<<20 + uint64(s0)<<8 + uint64(s0)
	return reduce31(v)
}

func reduce31(v uint64) uint32 {
	v = v&0x7fffffff + v>>31
	r := uint32(v&0x7fffffff + v>>31)
	if r == 0 {
		r = 0x7fffffff
	}
	return r
}

// f is the nonlinear function (TS 35.222 §3.4) over the bit reorganisation X0,
// X1, X2.
func (g *zuc) f(x0, x1, x2 uint32) uint32 {
	w := (x0 ^ g.r1) + g.r2
	w1 := g.r1 + x1
	w2 := g.r2 ^ x2
	u, v := w1<<16|w2>>16, w2<<16|w1>>16
	u ^= bits.RotateLeft32(u, 2) ^ bits.RotateLeft32(u, 10) ^ bits.RotateLeft32(u, 18) ^ bits.RotateLeft32(u, 24)
	v ^= bits.RotateLeft32(v, 8) ^ bits.RotateLeft32(v, 14) ^ bits.RotateLeft32(v, 22) ^ bits.RotateLeft32(v, 30)
	g.r1 = zucS(u)
	g.r2 = zucS(v)
	return w
}

func zucS(x uint32) uint32 {
	return uint32(zucS0[x>>24])<<24 | uint32(zucS1[x>>16&0xff])<<16 | uint32(zucS0[x>>8&0xff])<<8 | uint32(zucS1[x&0xff])
}

// init loads key and IV and runs 32 rounds (TS 35.222 §3.5, 3.6.1), then the
// one round whose output is dropped.
func (g *zuc) init(k, iv *[16]byte) {
	g.r1, g.r2 = 0, 0
	for i := range 16 {
		g.s[i] = uint32(k[i])<<23 | uint32(zucD[i])<<8 | uint32(iv[i])
	}
	for range 2 {
		for i := range 16 {
			w := g.f(g.x0(i), g.x1(i), g.x2(i))
			v := lfsr(g.s[i], g.s[i+4], g.s[i+10], g.s[i+13], g.s[i+15])
			v = add31(v, w>>1)
			if v == 0 {
				v = 0x7fffffff
			}
			g.s[i+16] = v
		}
		copy(g.s[:16], g.s[16:])
	}
	g.f(g.x0(0), g.x1(0), g.x2(0))
	v := lfsr(g.s[0], g.s[4], g.s[10], g.s[13], g.s[15])
	copy(g.s[:15], g.s[1:16])
	g.s[15] = v
}

// The bit reorganisation (TS 35.222 §3.3) at step i of a block.
func (g *zuc) x0(i int) uint32 { return g.s[(i+15)&31]&0x7fff8000<<1 | g.s[(i+14)&31]&0xffff }
func (g *zuc) x1(i int) uint32 { return g.s[(i+11)&31]<<16 | g.s[(i+9)&31]>>15 }
func (g *zuc) x2(i int) uint32 { return g.s[(i+7)&31]<<16 | g.s[(i+5)&31]>>15 }
func (g *zuc) x3(i int) uint32 { return g.s[(i+2)&31]<<16 | g.s[i&31]>>15 }

// block gives the next n <= 16 words of keystream (TS 35.222 §3.6.2); only a
// full block may be followed by another.
func (g *zuc) block(z *[16]uint32, n int) {
	for i := range n & 31 {
		z[i&15] = g.f(g.x0(i), g.x1(i), g.x2(i)) ^ g.x3(i)
		g.s[(i+16)&31] = lfsr(g.s[i&31], g.s[(i+4)&31], g.s[(i+10)&31], g.s[(i+13)&31], g.s[(i+15)&31])
	}
	if n == 16 {
		copy(g.s[:16], g.s[16:])
	}
}

// eea3 is TS 35.221 §3.
func eea3(k *[16]byte, count uint32, bearer uint8, dir Direction, data []byte) {
	var iv [16]byte
	binary.BigEndian.PutUint32(iv[:], count)
	iv[4] = bearer<<3 | byte(dir&1)<<2
	copy(iv[8:], iv[:8])
	var g zuc
	g.init(k, &iv)
	var z [16]uint32
	for len(data) > 0 {
		n := min(64, len(data))
		g.block(&z, (n+3)/4)
		xorWords(data[:n], &z)
		data = data[n:]
	}
}

// eia3 is TS 35.221 §4. Every set message bit adds the 32 keystream bits that
// start at its position; bits are masks, not branches.
func eia3(k *[16]byte, count uint32, bearer uint8, dir Direction, data []byte, n int) uint32 {
	var iv [16]byte
	binary.BigEndian.PutUint32(iv[:], count)
	iv[4] = bearer << 3
	copy(iv[8:], iv[:8])
	iv[8] ^= byte(dir&1) << 7
	iv[14] ^= byte(dir&1) << 7
	s := zucStream{words: (n+31)/32 + 2}
	s.g.init(k, &iv)
	window := uint64(s.next())<<32 | uint64(s.next())
	var t uint32
	left := n
	for ; left >= 32; left -= 32 {
		t ^= fold(binary.BigEndian.Uint32(data), window)
		data = data[4:]
		window = window<<32 | uint64(s.next())
	}
	if left > 0 {
		var last [4]byte
		copy(last[:], data)
		t ^= fold(binary.BigEndian.Uint32(last[:])&^(^uint32(0)>>left), window)
		t ^= uint32(window << left >> 32) // the end mark: word at bit n
		window = window<<32 | uint64(s.next())
	} else {
		t ^= uint32(window >> 32)
	}
	return t ^ uint32(window) // the last of L = ceil(n/32)+2 words
}

// fold sums the 32-bit windows of w at the positions of the set bits of m.
func fold(m uint32, w uint64) (t uint32) {
	for range 32 {
		t ^= uint32(w>>32) & uint32(int32(m)>>31)
		m <<= 1
		w <<= 1
	}
	return t
}

// zucStream hands out keystream word by word, never computing more than words.
type zucStream struct {
	g     zuc
	z     [16]uint32
	at    int
	have  int
	words int
}

func (s *zucStream) next() uint32 {
	if s.at == s.have {
		s.have = min(16, s.words)
		s.words -= s.have
		s.g.block(&s.z, s.have)
		s.at = 0
	}
	w := s.z[s.at&15]
	s.at++
	return w
}
