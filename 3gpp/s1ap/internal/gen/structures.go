package main

import (
	"fmt"
	"strings"
)

// member is a component ready for Go: its field, use and optionality.
type member struct {
	field
	goField string
	use
	ptr bool // held by pointer
}

// members prepares the components of a SEQUENCE or CHOICE of the Go type name,
// and returns the anonymous enumerations to be defined under its name.
func (g *generator) members(name string, t *asnType) (ms []member, hoisted []*asnType) {
	for _, f := range t.fields {
		m := member{field: f, goField: goName(f.name)}
		if t := goName(f.typ.ref); f.typ.kind == kindRef && strings.EqualFold(t, m.goField) {
			m.goField = t
		}
		switch f.typ.kind {
		case kindEnumerated:
			m.use = g.named(use{least: g.least(f.typ)}, name+m.goField)
			hoisted = append(hoisted, f.typ)
		case kindSingle:
			m.use = g.named(use{least: 40}, name+m.goField)
			hoisted = append(hoisted, f.typ)
		case kindExtensions:
			m.use = g.extensionUse(f.typ.ref)
		case kindNull:
			m.use = use{}
		default:
			m.use = g.useOf(f.typ, "")
		}
		m.ptr = f.optional && m.absent == "" || t.kind == kindChoice && m.structure
		ms = append(ms, m)
	}
	return ms, hoisted
}

// hoist defines the anonymous types of name.
func (g *generator) hoist(name string, ms []member) {
	for _, m := range ms {
		inner := name + m.goField
		switch m.typ.kind {
		case kindEnumerated:
			g.define(inner, name+" "+m.name)
			g.p("\n// %s is the component %s of %s.", inner, m.name, name)
			g.enumerated(inner, m.typ)
		case kindSingle:
			g.define(inner, name+" "+m.name)
			g.p("\n// %s is the alternative %s of %s, one IE of the set %s.", inner, m.name, name, m.typ.ref)
			g.single(inner, m.typ)
		}
	}
}

// extensionUse describes iE-Extensions of an object set.
func (g *generator) extensionUse(set string) use {
	u := use{goType: "Extensions", encode: "%s.encode(w)", decode: "%s.decode(r)", random: "%s.random(g)", least: 56}
	if len(g.set(set).ies) > 0 {
		u.goType = goName(set)
	}
	u.absent = "%s.isEmpty()"
	u.clear = clearNil
	return u
}

func (m *member) declare() string {
	if m.ptr || m.typ.kind == kindExtensions {
		return "*" + m.goType
	}
	return m.goType
}

// value is an expression for the value, dereferenced for inline statements.
func (m *member) value(expr string) string {
	if m.ptr && !strings.HasPrefix(m.encode, "%s.") {
		return "*" + expr
	}
	return expr
}

func (m *member) absence(expr string) string {
	if m.absent == "" || m.ptr && m.typ.kind != kindExtensions {
		return expr + " == nil"
	}
	return with(m.absent, expr, m.goType)
}

// decodeTo is the statement that reads the member into v.Field.
func (m *member) decodeTo(expr string) string {
	if m.ptr || m.typ.kind == kindExtensions {
		e := "per.Pointee(&r.Reader, &" + expr + ")"
		if strings.HasPrefix(m.decode, "%s.") {
			return with(m.decode, e, m.goType)
		}
		if strings.HasPrefix(m.decode, "%s") {
			return with(m.decode, "*"+e, m.goType)
		}
		return with(m.decode, e, m.goType)
	}
	return with(m.decode, expr, m.goType)
}

func (m *member) clearing(expr string) string {
	if m.clear == "" || m.ptr {
		return expr + " = nil"
	}
	return with(m.clear, expr, m.goType)
}

// occupied is a condition, ending in &&, that spares writing nil over nil.
func (m *member) occupied(expr string) string {
	if m.clear == "" || m.ptr || m.clear == clearNil {
		return expr + " != nil && "
	}
	return ""
}

func (m *member) randomTo(expr string) string {
	if m.ptr || m.typ.kind == kindExtensions {
		return fmt.Sprintf("%s = new(%s)\n%s", expr, m.goType, with(m.random, m.value(expr), m.goType))
	}
	return with(m.random, expr, m.goType)
}

// sequence writes a SEQUENCE as a struct.
func (g *generator) sequence(name string, t *asnType) {
	ms, _ := g.members(name, t)
	g.p("type %s struct {", name)
	optionals := 0
	for _, m := range ms {
		note := ""
		if m.optional {
			note = " // optional"
			optionals++
		}
		g.p("%s %s%s%s", m.goField, m.declare(), g.tag(m), note)
	}
	g.p("}")
	bits := optionals
	if t.ext {
		bits++
	}
	g.sequenceEncode(name, ms, optionals, bits)
	g.sequenceDecode(name, t, ms, optionals, bits)
	g.pr("\nfunc (v *%s) random(g *gen) {", name)
	for _, m := range ms {
		if m.optional {
			g.pr("if g.optional() {\n%s\n}", m.randomTo("v."+m.goField))
		} else {
			g.pr("%s", m.randomTo("v."+m.goField))
		}
	}
	g.pr("}")
	g.hoist(name, ms)
}

func (g *generator) sequenceEncode(name string, ms []member, optionals, bits int) {
	g.p("\nfunc (v *%s) encode(w *encoder) {", name)
	if optionals > 0 {
		g.p("var p uint64")
		i := optionals
		for _, m := range ms {
			if m.optional {
				i--
				g.p("if !(%s) { p |= 1<<%d }", m.absence("v."+m.goField), i)
			}
		}
		g.p("w.Bits(p, %d)", bits)
	} else if bits > 0 {
		g.p("w.Bit(false)")
	}
	i := optionals
	for _, m := range ms {
		e := with(m.encode, m.value("v."+m.goField), m.goType)
		at := fmt.Sprintf("w.At(%q)", name+"."+m.goField)
		if m.optional {
			i--
			g.p("if p&(1<<%d) != 0 {\n%s\n%s\n}", i, at, e)
		} else {
			g.p("%s\n%s", at, e)
		}
	}
	g.p("}")
}

func (g *generator) sequenceDecode(name string, t *asnType, ms []member, optionals, bits int) {
	g.p("\nfunc (v *%s) decode(r *decoder) {", name)
	if bits > 0 {
		g.p("p := r.Bits(%d)", bits)
	}
	i := optionals
	for _, m := range ms {
		d := fmt.Sprintf("r.At(%q)\n%s", name+"."+m.goField, m.decodeTo("v."+m.goField))
		if m.optional {
			i--
			g.p("if p&(1<<%d) != 0 {\n%s\n} else {\n%s\n}", i, d, m.clearing("v."+m.goField))
		} else {
			g.p("%s", d)
		}
	}
	if t.ext {
		g.p("if p>>%d != 0 { r.Additions() }", optionals)
	}
	g.p("}")
}

// choice writes a CHOICE as a struct with a selector.
func (g *generator) choice(name string, t *asnType) {
	ms, _ := g.members(name, t)
	sel := g.define(name+"Choice", name)
	g.p("type %s struct {\nChoice %s", name, sel)
	for _, m := range ms {
		if m.typ.kind != kindNull {
			g.p("%s %s%s", m.goField, m.declare(), g.tag(m))
		}
	}
	if t.ext {
		g.p("Unknown *UnknownChoice `asn1:\"unknown\"` // of %sUnknown", sel)
	}
	g.p("}")
	g.p("\n// %s selects the alternative of %s; zero is none.\ntype %s uint8", sel, name, sel)
	g.p("\n// Alternatives of %s.\nconst (", name)
	for i, m := range ms {
		c := g.define(sel+m.goField, name+" "+m.name)
		if i == 0 {
			g.p("%s %s = iota + 1 // %s", c, sel, m.name)
		} else {
			g.p("%s // %s", c, m.name)
		}
	}
	if t.ext {
		g.p("%s %s = 255", g.define(sel+"Unknown", name+" unknown"), sel)
	}
	g.p(")")
	g.choiceString(sel, ms, t.ext)
	root := 0
	for _, m := range ms {
		if !m.added {
			root++
		}
	}
	g.choiceEncode(name, sel, t, ms, root)
	g.choiceDecode(name, sel, t, ms, root)
	g.choiceRandom(name, sel, ms)
	g.hoist(name, ms)
}

// choiceString writes the names of the alternatives.
func (g *generator) choiceString(sel string, ms []member, ext bool) {
	g.p("\n// String returns the name of the alternative in TS 36.413.\nfunc (v %s) String() string {\nswitch v {", sel)
	for _, m := range ms {
		g.p("case %s%s: return %q", sel, m.goField, m.name)
	}
	if ext {
		g.p("case %sUnknown: return \"unknown\"", sel)
	}
	g.p("}\nreturn unknownNumber(%q, int(v))\n}", sel)
}

func (g *generator) choiceEncode(name, sel string, t *asnType, ms []member, root int) {
	g.p("\nfunc (v *%s) encode(w *encoder) {\nswitch v.Choice {", name)
	for i, m := range ms {
		g.p("case %s%s:", sel, m.goField)
		if m.ptr {
			g.p("if v.%s == nil {\nw.Fail(%q)\nreturn\n}", m.goField, name+"."+m.goField+" is chosen and nil")
		}
		body := with(m.encode, m.value("v."+m.goField), m.goType)
		if m.added {
			g.p("w.ChoiceExt(%d)\nm := w.OpenStart()\n%s\nw.OpenEnd(m)", i-root, body)
		} else {
			g.p("w.Choice(%d, %d, %t)\n%s", i, root, t.ext, body)
		}
	}
	if t.ext {
		g.p("case %sUnknown: w.unknownChoice(v.Unknown, %d)", sel, len(ms)-root)
	}
	g.p("default: w.Fail(%q)\n}\n}", name+" chooses no alternative")
}

func (g *generator) choiceDecode(name, sel string, t *asnType, ms []member, root int) {
	g.p("\nfunc (v *%s) decode(r *decoder) {", name)
	g.p("i := r.Choice(%d, %t)\nif r.Failed() { return }\nc := %s(i + 1)", root, t.ext, sel)
	if t.ext {
		g.p("if i >= %d { c = %sUnknown }", len(ms), sel)
	}
	g.p("if v.Choice != c { *v = %s{Choice: c} }\nswitch i {", name)
	for i, m := range ms {
		body := m.decodeTo("v." + m.goField)
		if m.typ.kind == kindNull {
			body = ""
		}
		if m.added {
			body = "in := r.Enter()\n" + body + "\nr.Leave(in)"
		}
		g.p("case %d:\n%s", i, body)
	}
	if t.ext {
		g.p("default:\nv.Unknown = r.unknownChoice(i - %d)", root)
	}
	g.p("}\n}")
}

func (g *generator) choiceRandom(name, sel string, ms []member) {
	g.pr("\nfunc (v *%s) random(g *gen) {\nv.Choice = %s(1 + g.enum(%d))\nswitch v.Choice {", name, sel, len(ms))
	for _, m := range ms {
		if m.typ.kind != kindNull {
			g.pr("case %s%s:\n%s", sel, m.goField, m.randomTo("v."+m.goField))
		}
	}
	g.pr("}\n}")
}

// single writes a ProtocolIE-SingleContainer that is not an element of a list:
// one pointer per IE of its set.
func (g *generator) single(name string, t *asnType) {
	set := g.set(t.ref)
	g.p("type %s struct {", name)
	for _, d := range set.ies {
		g.p("%s *%s %s // %s, %s", ieField(d), g.useNamed(d.typ).goType, nameTag(d.id), d.id, d.criticality)
	}
	g.p("Unknown *UnknownIE `asn1:\"unknownIE\"`\n}")
	g.p("\nfunc (v *%s) encode(w *encoder) {\nswitch {", name)
	for _, d := range set.ies {
		f := "v." + ieField(d)
		g.p("case %s != nil:\nm := w.single(%s, %s)\n%s\nw.OpenEnd(m)", f, idConst(d), critConst(d), with(g.useNamed(d.typ).encode, f, ""))
	}
	g.p("default: w.singleUnknown(v.Unknown)\n}\n}")
	g.p("\nfunc (v *%s) decode(r *decoder) {\n*v = %s{}\nf := r.single()\nif r.Failed() { return }\nswitch f.id {", name, name)
	for _, d := range set.ies {
		g.p("case %s:\n%s\nr.leave(&f)", idConst(d), with(g.useNamed(d.typ).decode, "per.Pointee(&r.Reader, &v."+ieField(d)+")", ""))
	}
	g.p("default: v.Unknown = r.unknownSingle(&f)\n}\n}")
	g.pr("\nfunc (v *%s) random(g *gen) {", name)
	if len(set.ies) > 0 {
		d := set.ies[0]
		u := g.useNamed(d.typ)
		g.pr("v.%s = new(%s)\n%s", ieField(d), u.goType, with(u.random, "v."+ieField(d), u.goType))
	} else {
		g.pr("v.Unknown = g.unknownIE()")
	}
	g.pr("}")
}

// tag is the struct tag of a component: its name in the ASN.1 and, of a BIT
// STRING that is a number in Go and has no type name, the number of bits.
func (g *generator) tag(m member) string {
	t := nameTag(m.name)
	if b := m.typ.bounds; m.typ.kind == kindBitString && b.isFixed() && b.hi() <= 64 {
		t = fmt.Sprintf("`asn1:%q bits:\"%d\"`", m.name, b.hi())
	}
	return t
}

// nameTag is the struct tag that holds the name of a component or IE.
func nameTag(asn string) string { return fmt.Sprintf("`asn1:%q`", strings.TrimPrefix(asn, "id-")) }

func idConst(d ieDef) string   { return "ID" + goName(strings.TrimPrefix(d.id, "id-")) }
func critConst(d ieDef) string { return "Criticality" + goName(d.criticality) }
