package codec

import (
	"errors"
	"math/bits"
)

// ErrFrame says that octets are not a GSM full rate frame as RFC 3551 §4.5.8
// packs it: 33 octets, the first of which begins with 1101.
var ErrFrame = errors.New("codec: not a GSM full rate frame of 33 octets")

// frame is the parameters of 20 ms (TS 46.010 §1.7).
type frame struct {
	larc [8]int16
	sub  [4]subframe
}

// subframe is the parameters of 5 ms.
type subframe struct {
	nc, bc, mc, xmaxc int16
	xmc               [13]int16
}

const signature = 0xd

var larBits = [8]uint{6, 6, 5, 5, 4, 4, 3, 3}

// pack writes parameters in the order of TS 46.010 table 1.1, most significant bits first.
func (f *frame) pack(dst []byte) []byte {
	w := writer{dst: dst, acc: signature, n: 4}
	for i, n := range larBits {
		w.put(f.larc[i], n)
	}
	for i := range f.sub {
		s := &f.sub[i]
		w.put(s.nc, 7)
		w.put(s.bc, 2)
		w.put(s.mc, 2)
		w.put(s.xmaxc, 6)
		for _, x := range s.xmc {
			w.put(x, 3)
		}
	}
	return w.dst
}

func (f *frame) unpack(b []byte) error {
	if len(b) != FrameSize || b[0]>>4 != signature {
		return ErrFrame
	}
	r := reader{src: b, at: 4}
	for i, n := range larBits {
		f.larc[i] = r.get(n)
	}
	for i := range f.sub {
		s := &f.sub[i]
		s.nc, s.bc, s.mc, s.xmaxc = r.get(7), r.get(2), r.get(2), r.get(6)
		for k := range s.xmc {
			s.xmc[k] = r.get(3)
		}
	}
	return nil
}

type writer struct {
	dst []byte
	acc uint32
	n   uint
}

func (w *writer) put(v int16, n uint) {
	w.acc, w.n = w.acc<<n|uint32(v), w.n+n
	for w.n >= 8 {
		w.n -= 8
		w.dst = append(w.dst, byte(w.acc>>w.n))
	}
}

type reader struct {
	src []byte
	at  uint
}

func (r *reader) get(n uint) int16 {
	v := uint32(0)
	for i := r.at / 8; i <= (r.at+n-1)/8; i++ {
		v = v<<8 | uint32(r.src[i])
	}
	r.at += n
	return int16(v >> ((8 - r.at%8) % 8) & (1<<n - 1))
}

// The tables of TS 46.010 §5.4.
var (
	larA   = [8]int16{20480, 20480, 20480, 20480, 13964, 15360, 8534, 9036}
	larB   = [8]int16{0, 0, 2048, -2560, 94, -1792, -341, -1144}
	larMin = [8]int16{-32, -32, -16, -16, -8, -8, -4, -4}
	larMax = [8]int16{31, 31, 15, 15, 7, 7, 3, 3}
	larInv = [8]int16{13107, 13107, 13107, 13107, 19223, 17476, 31454, 29708}
	gainAt = [3]int16{6554, 16384, 26214}
	gain   = [4]int16{3277, 11469, 21299, 32767}
	nrfac  = [8]int16{29128, 26215, 23832, 21846, 20165, 18725, 17476, 16384}
	fac    = [8]int16{18431, 20479, 22527, 24575, 26623, 28671, 30719, 32767}
)

// coefficients holds the log area ratios of two frames, between which the short
// term filters go over.
type coefficients struct{ before, now [8]int16 }

// decode takes the coded ratios of a frame (§5.2.8).
func (c *coefficients) decode(larc *[8]int16) {
	c.before = c.now
	for i, v := range larc {
		t := multR(larInv[i], sub(add(v, larMin[i])<<10, larB[i]<<1))
		c.now[i] = add(t, t)
	}
}

// stretches are the samples over which one set of interpolated ratios holds (§5.2.9.1).
var stretches = [4]struct{ from, to int }{{0, 13}, {13, 27}, {27, 40}, {40, 160}}

// reflection gives the reflection coefficients of a stretch (§5.2.9).
func (c *coefficients) reflection(stretch int) (rp [8]int16) {
	for i := range rp {
		a, b := c.before[i], c.now[i]
		v := b
		switch stretch {
		case 0:
			v = add(add(a>>2, b>>2), a>>1)
		case 1:
			v = add(a>>1, b>>1)
		case 2:
			v = add(add(a>>2, b>>2), b>>1)
		}
		t := abs(v)
		switch {
		case t < 11059:
			t <<= 1
		case t < 20070:
			t += 11059
		default:
			t = add(t>>2, 26112)
		}
		if v < 0 {
			t = -t
		}
		rp[i] = t
	}
	return rp
}

// scale splits the coded maximum of a block into exponent and mantissa (§5.2.15).
func scale(xmaxc int16) (exp int, mant int16) {
	if xmaxc > 15 {
		exp = int(xmaxc>>3) - 1
	}
	mant = xmaxc - int16(exp)<<3
	if mant == 0 {
		return -4, 7
	}
	for mant <= 7 {
		mant = mant<<1 | 1
		exp--
	}
	return exp, mant - 8
}

// excitation decodes the pulses of a subframe and puts them in their places of e
// (§5.2.16, §5.2.17).
func (s *subframe) excitation(e *[40]int16) {
	*e = [40]int16{}
	exp, mant := scale(s.xmaxc)
	shift := 6 - exp
	round := int16(0)
	if shift > 0 {
		round = 1 << (shift - 1)
	}
	for i, x := range s.xmc {
		e[int(s.mc)+3*i] = add(multR(fac[mant], (x<<1-7)<<12), round) >> shift
	}
}

// quantize codes 13 pulses (§5.2.15).
func (s *subframe) quantize(xm *[13]int16) {
	peak := int16(0)
	for _, x := range xm {
		peak = max(peak, abs(x))
	}
	exp := min(bits.Len16(uint16(peak>>9)), 6)
	s.xmaxc = add(peak>>(exp+5), int16(exp)<<3)
	exp, mant := scale(s.xmaxc)
	for i, x := range xm {
		s.xmc[i] = mult(x<<(6-exp), nrfac[mant])>>12 + 4
	}
}
