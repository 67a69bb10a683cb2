package main

import "fmt"

// use is one occurrence of a type in Go: how it is declared, whether it is
// present, and the statements that write and read it. %s stands for the value.
type use struct {
	goType    string
	encode    string // statement, %s is an addressable value
	decode    string // statement
	random    string // statement
	absent    string // expression that says an optional value is absent; "" needs a pointer
	clear     string // statement that makes it absent
	structure bool   // SEQUENCE
	least     int    // bits of the shortest encoding
}

const (
	clearNil  = "%s = nil"
	clearList = "%s = %[1]s[:0]"
)

// resolve follows references to a type that is not one.
func (g *generator) resolve(t *asnType) *asnType {
	for t.kind == kindRef {
		d := g.spec.typeByName[t.ref]
		if d == nil {
			g.fail("type %q is not defined", t.ref)
		}
		t = d.typ
	}
	return t
}

func uintFor(hi uint64) string {
	switch {
	case hi < 1<<8:
		return "uint8"
	case hi < 1<<16:
		return "uint16"
	case hi < 1<<32:
		return "uint32"
	}
	return "uint64"
}

func sizeLit(b *bounds) string {
	if b == nil {
		return "per.Size{Max: per.Unbounded}"
	}
	s := fmt.Sprintf("per.Size{Min: %d, Max: %d", b.lo(), b.hi())
	if b.ext {
		s += ", Ext: true"
	}
	return s + "}"
}

// isFixed says that the size is one number.
func (b *bounds) isFixed() bool { return b != nil && b.lo() == b.hi() }

// useOf describes an occurrence of t; name is the Go type if t is being
// defined or hoisted under one, "" for an anonymous primitive.
func (g *generator) useOf(t *asnType, name string) use {
	if t.kind == kindRef {
		return g.useNamed(t.ref)
	}
	u := g.primitive(t)
	if name != "" {
		u = g.named(u, name)
	}
	return u
}

// useNamed describes an occurrence of the defined type asn.
func (g *generator) useNamed(asn string) use {
	if u, ok := g.uses[asn]; ok {
		return u
	}
	if asn == "OCTET STRING" {
		return g.primitive(&asnType{kind: kindOctetString})
	}
	d := g.spec.typeByName[asn]
	if d == nil {
		g.fail("type %q is not defined", asn)
	}
	t := g.resolve(d.typ)
	u := g.shape(t, goName(asn))
	g.uses[asn] = u
	return u
}

// named turns a use into calls of the methods of a Go type.
func (g *generator) named(u use, name string) use {
	u.goType = name
	u.encode, u.decode, u.random = "%s.encode(w)", "%s.decode(r)", "%s.random(g)"
	return u
}

// shape is useOf for any kind under a Go name.
func (g *generator) shape(t *asnType, name string) use {
	switch t.kind {
	case kindSequence, kindChoice, kindSingle:
		return g.named(use{structure: t.kind == kindSequence, least: g.least(t)}, name)
	case kindSequenceOf:
		u := use{least: g.least(t)}
		if t.bounds.lo() > 0 {
			u.absent, u.clear = "len(%s) == 0", clearList
		}
		return g.named(u, name)
	}
	return g.named(g.primitive(t), name)
}

// primitive describes a type without components, by calls of the runtime.
func (g *generator) primitive(t *asnType) use {
	u := use{least: g.least(t)}
	switch t.kind {
	case kindInteger:
		g.integer(&u, t.bounds)
	case kindBitString:
		g.bitString(&u, t.bounds)
	case kindOctetString:
		g.octetString(&u, t.bounds)
	case kindText:
		u.goType = "string"
		size := sizeLit(t.bounds)
		u.encode = "w.Text(string(%s), " + size + ")"
		u.decode = "%s = TYPE(r.Text(" + size + "))"
		u.random = "%s = TYPE(g.text(" + size + "))"
		if t.bounds != nil && t.bounds.lo() > 0 {
			u.absent, u.clear = `%s == ""`, `%s = ""`
		}
	case kindOID: // its contents octets, at least one (X.691 §24, X.690 §8.19)
		u.goType = "[]byte"
		u.encode = "w.Octets(%s, per.Size{Min: 1, Max: per.Unbounded})"
		u.decode = "%s = r.Octets(per.Size{Min: 1, Max: per.Unbounded})"
		u.random = "%s = g.oid()"
	case kindEnumerated:
		u.goType = "uint8"
		u.encode = fmt.Sprintf("w.Enum(uint8(%%s), %d)", len(t.root))
		u.decode = fmt.Sprintf("%%s = TYPE(r.Enum(%d))", len(t.root))
		if n := uint64(len(t.root)); exact(n - 1) {
			u.decode = fmt.Sprintf("%%s = TYPE(r.Bits(%d))", width(n-1))
		}
		if t.ext {
			u.encode = fmt.Sprintf("w.EnumExt(uint8(%%s), %d)", len(t.root))
			u.decode = fmt.Sprintf("%%s = TYPE(r.enum(%d, %d))", len(t.root), len(t.root)+len(t.added))
		}
		u.random = fmt.Sprintf("%%s = TYPE(g.enum(%d))", len(t.root)+len(t.added))
	default:
		g.fail("kind %d is no primitive", t.kind)
	}
	return u
}

func (g *generator) integer(u *use, b *bounds) {
	if b == nil {
		g.fail("INTEGER without constraint")
	}
	u.goType = uintFor(b.hi())
	most := "1<<" + u.goType[4:] + "-1"
	args := fmt.Sprintf("%d, %d", b.lo(), b.hi())
	u.random = "%s = TYPE(g.integer(" + args + "))"
	switch {
	case len(b.spans) > 1:
		set := "[]per.Range{"
		for i, s := range b.spans {
			if i > 0 {
				set += ", "
			}
			set += fmt.Sprintf("{Lo: %d, Hi: %d}", s.lo, s.hi)
		}
		set += "}"
		u.encode = "w.IntSet(uint64(%s), " + set + ")"
		u.decode = "%s = TYPE(r.IntSet(" + set + ", " + most + "))"
	case b.ext:
		u.encode = "w.IntExt(uint64(%s), " + args + ")"
		u.decode = "%s = TYPE(r.IntExt(" + args + ", " + most + "))"
	default:
		u.encode = "w.Int(uint64(%s), " + args + ")"
		u.decode = "%s = TYPE(r.Int(" + args + "))"
		switch span := b.hi() - b.lo(); {
		case b.lo() > 0:
		case span == 255:
			u.decode = "%s = TYPE(r.Octet())"
		case exact(span):
			u.decode = fmt.Sprintf("%%s = TYPE(r.Bits(%d))", width(span))
		}
	}
}

// exact says that the numbers 0..span are all those of a bit-field (X.691
// §11.5.7.1), so that nothing need be checked.
func exact(span uint64) bool { return span > 0 && span < 255 && span&(span+1) == 0 }

func (g *generator) bitString(u *use, b *bounds) {
	switch {
	case b.isFixed() && b.hi() <= 64:
		n := int(b.hi())
		u.goType = uintFor(1<<n - 1)
		call := "BitField"
		if b.ext {
			call = "BitFieldExt"
		}
		u.encode = fmt.Sprintf("w.%s(uint64(%%s), %d)", call, n)
		u.decode = fmt.Sprintf("%%s = TYPE(r.%s(%d))", call, n)
		u.random = fmt.Sprintf("%%s = TYPE(g.bits(%d))", n)
	case b.isFixed():
		n := int(b.hi())
		u.goType = fmt.Sprintf("[%d]byte", (n+7)/8)
		u.encode = fmt.Sprintf("w.BitArray(%%s[:], %d)", n)
		u.decode = fmt.Sprintf("r.BitArray(%%s[:], %d)", n)
		u.random = "g.fill(%s[:])"
	default:
		u.goType = "per.BitString"
		size := sizeLit(b)
		u.encode = "w.BitString(per.BitString(%s), " + size + ")"
		u.decode = "%s = TYPE(r.BitString(" + size + "))"
		u.random = "%s = TYPE(g.bitString(" + size + "))"
		if b != nil && b.lo() > 0 {
			u.absent, u.clear = "%s.Len == 0", "%s = TYPE{}"
		}
	}
}

func (g *generator) octetString(u *use, b *bounds) {
	if b.isFixed() && !b.ext {
		u.goType = fmt.Sprintf("[%d]byte", b.hi())
		u.encode = "w.FixedOctets(%s[:])"
		u.decode = "r.FixedOctets(%s[:])"
		u.random = "g.fill(%s[:])"
		return
	}
	u.goType = "[]byte"
	size := sizeLit(b)
	u.encode = "w.Octets(%s, " + size + ")"
	u.decode = "%s = r.Octets(" + size + ")"
	u.random = "%s = g.octets(" + size + ")"
	u.absent, u.clear = "%s == nil", clearNil
}

// width is the number of bits of a constrained whole number in 0..span at
// least, alignment not counted.
func width(span uint64) int {
	switch {
	case span < 255:
		n := 0
		for ; span > 0; span >>= 1 {
			n++
		}
		return n
	case span == 255:
		return 8
	case span <= 65535:
		return 16
	}
	return 9
}

// least is the number of bits of the shortest encoding of t.
func (g *generator) least(t *asnType) int {
	switch t.kind {
	case kindRef:
		return g.useNamed(t.ref).least
	case kindInteger:
		return bit(t.bounds.ext) + width(t.bounds.hi()-t.bounds.lo())
	case kindEnumerated:
		return bit(t.ext) + width(uint64(len(t.root)-1))
	case kindBitString:
		return t.bounds.least(1)
	case kindOctetString, kindText:
		return t.bounds.least(8)
	case kindOID:
		return 8
	case kindSequence:
		n := bit(t.ext)
		for _, f := range t.fields {
			if f.optional {
				n++
			} else {
				n += g.least(f.typ)
			}
		}
		return n
	case kindChoice:
		low := 1 << 30
		for _, f := range t.fields {
			if !f.added {
				low = min(low, g.least(f.typ))
			}
		}
		if t.ext {
			low = min(low, 24) // extension bit, small number, length, one octet
		}
		return low
	case kindSequenceOf:
		b := t.bounds
		return width(b.hi()-b.lo()) + int(b.lo())*g.least(t.elem)
	case kindSingle:
		return 40 // id, criticality, length, one octet
	case kindExtensions:
		return 56
	}
	return 0
}

// bit is the length of an extension marker.
func bit(there bool) int {
	if there {
		return 1
	}
	return 0
}

// least gives the bits of the shortest string of units, of unit bits each, under a size
// constraint, its length included.
func (b *bounds) least(unit int) int {
	switch {
	case b == nil:
		return 8
	case b.ext:
		return 9 // an extension may be empty
	case b.hi() >= 65536:
		return int(b.lo())*unit + 8
	case !b.isFixed():
		return int(b.lo())*unit + width(b.hi()-b.lo())
	}
	return int(b.lo()) * unit
}
