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

// lfsr is the feedback of TS 35.222 §3.2, not yet reduced modulo 2^31-1:
// 2^15 s15 + 2^17 s13 + 2^21 s10 + 2^20 s4 + (1 + 2^8) s0, below 2^55.
func lfsr(s0, s4, s10, s13, s15 uint32) uint64 {
	return uint64(s15)<<15 + uint64(s13)<<17 + uint64(s10)<<21 + uint64(s4)<<20 + uint64(s0)<<8 + uint64(s0)
}

// reduce31 reduces v < 2^55 modulo 2^31-1 to 1..2^31-1: the register writes zero
// as 2^31-1. A sum of terms that are not all zero stays above zero when folded.
func reduce31(v uint64) uint32 {
	v = v&0x7fffffff + v>>31
	return uint32(v&0x7fffffff + v>>31)
}

// zucL1 and zucL2 are the linear transforms of TS 35.222 §3.4.2.
func zucL1(x uint32) uint32 {
	return x ^ bits.RotateLeft32(x, 2) ^ bits.RotateLeft32(x, 10) ^ bits.RotateLeft32(x, 18) ^ bits.RotateLeft32(x, 24)
}

func zucL2(x uint32) uint32 {
	return x ^ bits.RotateLeft32(x, 8) ^ bits.RotateLeft32(x, 14) ^ bits.RotateLeft32(x, 22) ^ bits.RotateLeft32(x, 30)
}

func zucS(x uint32) uint32 {
	return uint32(zucS0[x>>24])<<24 | uint32(zucS1[x>>16&0xff])<<16 | uint32(zucS0[x>>8&0xff])<<8 | uint32(zucS1[x&0xff])
}

// load puts in key and IV and runs 32 rounds (TS 35.222 §3.5,
// TS 35.222 §3.6.1), then the one round whose output is dropped.
func (g *zuc) load(k, iv *[16]byte) {
	g.r1, g.r2 = 0, 0
	for i := range 16 {
		g.s[i] = uint32(k[i])<<23 | uint32(zucD[i])<<8 | uint32(iv[i])
	}
	var z [16]uint32
	g.run(&z, 16, true)
	g.run(&z, 16, true)
	g.run(&z, 1, false)
	copy(g.s[:16], g.s[1:17])
}

// run clocks the generator n <= 16 times: bit reorganisation (TS 35.222 §3.3),
// nonlinear function F (TS 35.222 §3.4), register. In the initialisation mode F
// goes back into the register (TS 35.222 §3.6.1), in the other it makes n words
// of keystream (TS 35.222 §3.6.2). After n = 16 the register is in place for the
// next run.
func (g *zuc) run(z *[16]uint32, n int, initialise bool) {
	s := &g.s
	r1, r2 := g.r1, g.r2
	for i := 0; i < 16 && i < n; i++ {
		x0 := s[i+15]&0x7fff8000<<1 | s[i+14]&0xffff
		x1 := s[i+11]<<16 | s[i+9]>>15
		x2 := s[i+7]<<16 | s[i+5]>>15
		w := (x0 ^ r1) + r2
		v := lfsr(s[i], s[i+4], s[i+10], s[i+13], s[i+15])
		if initialise {
			v += uint64(w >> 1)
		} else {
			z[i] = w ^ (s[i+2]<<16 | s[i]>>15)
		}
		w1, w2 := r1+x1, r2^x2
		r1 = zucS(zucL1(w1<<16 | w2>>16))
		r2 = zucS(zucL2(w2<<16 | w1>>16))
		s[i+16] = reduce31(v)
	}
	g.r1, g.r2 = r1, r2
	if n == 16 {
		copy(s[:16], s[16:])
	}
}

// eea3 is TS 35.221 §3.
func eea3(k *[16]byte, count uint32, bearer uint8, dir Direction, data []byte) {
	var iv [16]byte
	binary.BigEndian.PutUint32(iv[:], count)
	iv[4] = bearer<<3 | byte(dir&1)<<2
	copy(iv[8:], iv[:8])
	var g zuc
	g.load(k, &iv)
	var z [16]uint32
	for len(data) > 0 {
		n := min(64, len(data))
		g.run(&z, (n+3)/4, false)
		xorWords(data[:n], &z)
		data = data[n:]
	}
}

// eia3 is TS 35.221 §4. Every set message bit adds the 32 keystream bits that
// start at its position.
func eia3(k *[16]byte, count uint32, bearer uint8, dir Direction, data []byte, n int) uint32 {
	var iv [16]byte
	binary.BigEndian.PutUint32(iv[:], count)
	iv[4] = bearer << 3
	copy(iv[8:], iv[:8])
	iv[8] ^= byte(dir&1) << 7
	iv[14] ^= byte(dir&1) << 7
	s := zucStream{words: (n+31)/32 + 2}
	s.g.load(k, &iv)
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

// fold sums the 32-bit windows of w at the positions of the set bits of m: the
// upper half of the low 64 bits of the product, without carries, of w and m
// mirrored.
func fold(m uint32, w uint64) uint32 {
	a := spread(w)
	return uint32(product{}.add(&a, uint64(bits.Reverse32(m))).value() >> 32)
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
		s.g.run(&s.z, s.have, false)
		s.at = 0
	}
	w := s.z[s.at&15]
	s.at++
	return w
}
