package s1ap

import (
	"math/rand/v2"

	"campanile.network/3gpp/per"
)

// randomMessage is a message that can fill itself with valid values; the
// methods are generated beside the codec.
type randomMessage interface {
	Message
	random(*gen)
}

// gen draws valid values. present is the chance in 100 of an optional
// component, most the usual bound of lists and strings.
type gen struct {
	*rand.Rand
	present int
	most    int
	unknown bool // add unknown IEs to containers
	long    bool // draw many elements now and then
}

func newGen(seed uint64, present, most int) *gen {
	return &gen{Rand: rand.New(rand.NewPCG(seed, 1)), present: present, most: most}
}

func (g *gen) optional() bool { return g.IntN(100) < g.present }

func (g *gen) integer(lo, hi uint64) uint64 {
	switch g.IntN(4) {
	case 0:
		return lo
	case 1:
		return hi
	}
	if hi-lo == 1<<64-1 {
		return g.Uint64()
	}
	return lo + g.Uint64N(hi-lo+1)
}

func (g *gen) enum(n int) int { return g.IntN(n) }

func (g *gen) bits(n int) uint64 { return g.Uint64() >> (64 - n) }

// fill draws octets; three of them are decimal digits, as a PLMN identity.
func (g *gen) fill(b []byte) {
	for i := range b {
		b[i] = byte(g.Uint32())
	}
	if len(b) == 3 {
		d := func() byte { return byte(g.IntN(10)) }
		copy(b, []byte{d()<<4 | d(), 0xf0 | d(), d()<<4 | d()})
		if g.IntN(2) == 0 {
			b[1] = d()<<4 | b[1]&0xf
		}
	}
}

// count draws a number of elements, now and then a large one.
func (g *gen) count(lo, hi int) int {
	if g.long && g.IntN(3) == 0 {
		return min(hi, 400)
	}
	return lo + g.IntN(min(hi, max(lo, g.most))-lo+1)
}

func (g *gen) length(s per.Size) int {
	hi := s.Max
	if hi == per.Unbounded {
		hi = 300
	}
	return g.count(s.Min, hi)
}

// octets draws an OCTET STRING.
func (g *gen) octets(s per.Size) []byte {
	b := make([]byte, g.length(s))
	g.fill(b)
	return b
}

func (g *gen) text(s per.Size) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 '()+,-./:=?"
	b := make([]byte, g.length(s))
	for i := range b {
		b[i] = letters[g.IntN(len(letters))]
	}
	return string(b)
}

func (g *gen) bitString(s per.Size) per.BitString {
	n := g.length(s)
	b := make([]byte, (n+7)/8)
	g.fill(b)
	if n%8 > 0 {
		b[len(b)-1] &= 0xff << (8 - n%8)
	}
	return per.BitString{Bytes: b, Len: n}
}

// oid is the contents of the OBJECT IDENTIFIER 1.2.840 and one arc more.
func (g *gen) oid() []byte { return []byte{0x2a, 0x86, 0x48, byte(g.IntN(128))} }

func (g *gen) unknownIE() *UnknownIE {
	return &UnknownIE{ID: 60000, Criticality: CriticalityIgnore, Value: []byte{1, 2, 3}}
}

func (g *gen) unknownIEs() []UnknownIE {
	if !g.unknown || g.IntN(3) > 0 {
		return nil
	}
	return []UnknownIE{*g.unknownIE()}
}

func (g *gen) privateIEs() []PrivateIE {
	ies := make([]PrivateIE, g.count(1, 10))
	for i := range ies {
		ies[i].ID.random(g)
		ies[i].Value = g.octets(per.Size{Min: 1, Max: 20})
	}
	return ies
}

func (x *Extensions) random(g *gen) {
	x.Unknown = g.unknownIEs()
}
