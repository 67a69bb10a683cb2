package nassec

// nibbles is a 64-bit polynomial over GF(2) in four parts, each with every fourth
// coefficient.
type nibbles struct{ n0, n1, n2, n3 uint64 }

const gap = 0x1111111111111111

func spread(v uint64) nibbles {
	return nibbles{v & gap, v & (gap << 1), v & (gap << 2), v & (gap << 3)}
}

// product is the low half of a sum of products of polynomials. Ordinary
// multiplications of parts make it, so that no table, no branch and no time
// depends on the values: the gaps of three bits take the carries, at most 15 of a
// place, but those at the top, which fall out. Each z has one coefficient in four.
type product struct{ z0, z1, z2, z3 uint64 }

func (p product) add(a *nibbles, v uint64) product {
	b := spread(v)
	p.z0 ^= a.n0*b.n0 ^ a.n1*b.n3 ^ a.n2*b.n2 ^ a.n3*b.n1
	p.z1 ^= a.n0*b.n1 ^ a.n1*b.n0 ^ a.n2*b.n3 ^ a.n3*b.n2
	p.z2 ^= a.n0*b.n2 ^ a.n1*b.n1 ^ a.n2*b.n0 ^ a.n3*b.n3
	p.z3 ^= a.n0*b.n3 ^ a.n1*b.n2 ^ a.n2*b.n1 ^ a.n3*b.n0
	return p
}

func (p product) value() uint64 {
	return p.z0&gap | p.z1&(gap<<1) | p.z2&(gap<<2) | p.z3&(gap<<3)
}
