package nassec

// nibbles is a 64-bit polynomial over GF(2) in four parts, each with every fourth
// coefficient.
type nibbles struct{ n0, n1, n2, n3 uint64 }

const gap = 0x1111111111111111

func spread(v uint64) nibbles {
	return nibbles{v & gap, v & (gap << 1), v & (gap << 2), v & (gap << 3)}
}

// clmul is the low half of the product of two polynomials. Ordinary
// multiplications of parts do it, so that no table, no branch and no time depends
// on the values: the gaps of three bits take the carries, at most 15 of a place,
// but those at the top, which fall out.
func clmul(a, b nibbles) uint64 {
	z0 := a.n0*b.n0 ^ a.n1*b.n3 ^ a.n2*b.n2 ^ a.n3*b.n1
	z1 := a.n0*b.n1 ^ a.n1*b.n0 ^ a.n2*b.n3 ^ a.n3*b.n2
	z2 := a.n0*b.n2 ^ a.n1*b.n1 ^ a.n2*b.n0 ^ a.n3*b.n3
	z3 := a.n0*b.n3 ^ a.n1*b.n2 ^ a.n2*b.n1 ^ a.n3*b.n0
	return z0&gap | z1&(gap<<1) | z2&(gap<<2) | z3&(gap<<3)
}
