package s1ap

import (
	"bytes"
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
	foreign bool // give strings of other protocols contents valid there
}

// foreign is what tshark looks into although the S1AP dissector is on its own:
// contents valid in the other protocol, or nil to leave the IE out.
var foreign = map[string][]byte{
	"MSClassmark2":                        {0x33, 0x19, 0xa2},
	"MSClassmark3":                        {0x60, 0x14, 0x04, 0x6f, 0x65, 0x00, 0x00, 0x00},
	"NASSecurityParametersfromEUTRAN":     {0x01},
	"NASSecurityParameterstoEUTRAN":       {0x00, 0x00, 0x00, 0x00, 0x12, 0x00},
	"[]byte":                              {0x00, 0x0b, 0x40, 0x14, 0x00, 0x00, 0x03, 0x00, 0x00, 0x00, 0x02, 0x00, 0x01, 0x00, 0x08, 0x00, 0x02, 0x00, 0x01, 0x00, 0x1a, 0x00, 0x01, 0x00},
	"WarningMessageContents":              append([]byte{1}, append(bytes.Repeat([]byte{0x20}, 82), 82)...),
	"Cdma2000SectorID":                    append([]byte{15}, make([]byte, 15)...),
	"MDTConfigurationNR":                  nil, // NGAP
	"IntersystemSONConfigurationTransfer": nil, // NGAP
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

// octets draws an OCTET STRING of the named type.
func (g *gen) octets(name string, s per.Size) []byte {
	if b, ok := foreign[name]; ok && g.foreign {
		return b
	}
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
		if g.foreign { // tshark 4.0 loses its place behind an object identifier
			ies[i].ID = PrivateIEID{Choice: PrivateIEIDChoiceLocal, Local: 7}
		}
		ies[i].Value = g.octets("", per.Size{Min: 1, Max: 20})
	}
	return ies
}

func (x *Extensions) random(g *gen) {
	x.Unknown = g.unknownIEs()
}
