package codec

import "math/bits"

// The 16-bit arithmetic of TS 46.010 §5.1, saturating as it is there.

func sat(v int32) int16 {
	if v != int32(int16(v)) {
		if v < 0 {
			return -0x8000
		}
		return 0x7fff
	}
	return int16(v)
}

func add(a, b int16) int16 { return sat(int32(a) + int32(b)) }
func sub(a, b int16) int16 { return sat(int32(a) - int32(b)) }

// multR multiplies fractions and rounds.
func multR(a, b int16) int16 { return sat((int32(a)*int32(b) + 0x4000) >> 15) }

// mult multiplies fractions and cuts off.
func mult(a, b int16) int16 { return sat(int32(a) * int32(b) >> 15) }

func abs(a int16) int16 {
	if a < 0 {
		return sat(-int32(a))
	}
	return a
}

func addLong(a, b int32) int32 {
	if s := int64(a) + int64(b); s > 0x7fffffff {
		return 0x7fffffff
	} else if s < -0x80000000 {
		return -0x80000000
	} else {
		return int32(s)
	}
}

// norm says by how many places a positive number can be shifted left.
func norm(v int32) int { return bits.LeadingZeros32(uint32(v)) - 1 }

// div divides 0 <= a <= b as fractions, by 15 steps.
func div(a, b int16) int16 {
	if a == b {
		return 0x7fff
	}
	return int16(int32(a) << 15 / int32(b))
}
