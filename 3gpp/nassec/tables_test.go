package nassec

import "testing"

// mulx and mulxPow are MULx and MULxPOW of TS 35.216 §3.1.
func mulx(v, c byte) byte {
	if v&0x80 != 0 {
		return v<<1 ^ c
	}
	return v << 1
}

func mulxPow(v byte, i int, c byte) byte {
	for range i {
		v = mulx(v, c)
	}
	return v
}

func times(a, b, c byte) (r byte) {
	for ; b != 0; b >>= 1 {
		if b&1 != 0 {
			r ^= a
		}
		a = mulx(a, c)
	}
	return r
}

func pow(a byte, n int, c byte) byte {
	r := byte(1)
	for range n {
		r = times(r, a, c)
	}
	return r
}

func rol(v byte, n int) byte { return v<<n | v>>(8-n) }

// rijndael is the S-box SR: inverse, then the affine map of FIPS 197.
func rijndael(x byte) byte {
	i := pow(x, 254, 0x1b)
	return i ^ rol(i, 1) ^ rol(i, 2) ^ rol(i, 3) ^ rol(i, 4) ^ 0x63
}

// dickson is the S-box SQ: the Dickson polynomial g49 over x^8+x^6+x^5+x^3+1,
// plus 0x25, as the designers of SNOW 3G chose it.
func dickson(x byte) byte {
	y := byte(0x25)
	for _, e := range []int{1, 9, 13, 15, 33, 41, 45, 47, 49} {
		y ^= pow(x, e, 0x69)
	}
	return y
}

// TestMul64 holds MUL against its definition in TS 35.215 §4.3.4, bit by bit.
func TestMul64(t *testing.T) {
	slow := func(v, p uint64) (r uint64) {
		for i := range 64 {
			if p>>i&1 != 0 {
				r ^= v
			}
			v = v<<1 ^ -(v>>63)&0x1b
		}
		return r
	}
	v, p := uint64(0x9e3779b97f4a7c15), uint64(0xd1342543de82ef95)
	for range 1000 {
		m := newMul64(p)
		if got, want := m.times(v), slow(v, p); got != want {
			t.Fatalf("%x times %x is %x, want %x", v, p, got, want)
		}
		v, p = p, v*0x2545f4914f6cdd1d+1
	}
	all := newMul64(^uint64(0)) // as many carries as there can be
	if got, want := all.times(^uint64(0)), slow(^uint64(0), ^uint64(0)); got != want {
		t.Errorf("all ones: %x, want %x", got, want)
	}
}

func pack(a, b, c, d byte) uint32 {
	return uint32(a)<<24 | uint32(b)<<16 | uint32(c)<<8 | uint32(d)
}

func TestSnowTables(t *testing.T) {
	for i := range 256 {
		x := byte(i)
		sr, sq := rijndael(x), dickson(x)
		if want := pack(mulx(sr, 0x1b), mulx(sr, 0x1b)^sr, sr, sr); snowT1[i] != want {
			t.Errorf("snowT1[%d] %08x, want %08x", i, snowT1[i], want)
		}
		if want := pack(mulx(sq, 0x69), mulx(sq, 0x69)^sq, sq, sq); snowT2[i] != want {
			t.Errorf("snowT2[%d] %08x, want %08x", i, snowT2[i], want)
		}
		if want := pack(mulxPow(x, 23, 0xa9), mulxPow(x, 245, 0xa9), mulxPow(x, 48, 0xa9), mulxPow(x, 239, 0xa9)); mulAlpha[i] != want {
			t.Errorf("mulAlpha[%d] %08x, want %08x", i, mulAlpha[i], want)
		}
		if want := pack(mulxPow(x, 16, 0xa9), mulxPow(x, 39, 0xa9), mulxPow(x, 6, 0xa9), mulxPow(x, 64, 0xa9)); divAlpha[i] != want {
			t.Errorf("divAlpha[%d] %08x, want %08x", i, divAlpha[i], want)
		}
	}
}

// TestZUCBoxes checks what the design says of the S-boxes: both are
// permutations, and S1 is an affine image of the inverse over
// x^8+x^7+x^3+x+1, so S1(a)^S1(b)^S1(c)^S1(d) = 0 where the inverses of a, b, c
// and d sum to zero.
func TestZUCBoxes(t *testing.T) {
	var seen0, seen1 [256]bool
	inv := func(x byte) byte { return pow(x, 254, 0x8b) }
	back := map[byte]byte{}
	for i := range 256 {
		seen0[zucS0[i]], seen1[zucS1[i]] = true, true
		back[inv(byte(i))] = byte(i)
	}
	for i := range 256 {
		if !seen0[i] || !seen1[i] {
			t.Errorf("value %02x is missing from an S-box", i)
		}
		a, b := byte(i), byte(i*7+3)
		c := byte(0x5a)
		d := back[inv(a)^inv(b)^inv(c)]
		if zucS1[a]^zucS1[b]^zucS1[c]^zucS1[d] != 0 {
			t.Errorf("S1 is not affine over the inverse at %02x", i)
		}
	}
	for i, d := range zucD {
		if d>>15 != 0 {
			t.Errorf("constant %d has more than 15 bits: %x", i, d)
		}
	}
}
