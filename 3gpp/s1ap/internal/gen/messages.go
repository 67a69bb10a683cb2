package main

import (
	"cmp"
	"fmt"
	"strings"
)

// messageNames maps each message type to its procedure.
func (g *generator) messageNames() map[string]*procedure {
	m := map[string]*procedure{}
	for _, p := range g.spec.procedures {
		for _, n := range []string{p.initiating, p.successful, p.unsuccessful} {
			if n == "" {
				continue
			}
			if m[n] != nil {
				g.fail("message %s belongs to %s and %s", n, m[n].name, p.name)
			}
			m[n] = p
		}
	}
	return m
}

// eachMessage calls f for every message in the order of the procedures.
func (g *generator) eachMessage(f func(p *procedure, kind, typ string)) {
	for _, p := range g.spec.procedures {
		f(p, "InitiatingMessage", p.initiating)
		if p.successful != "" {
			f(p, "SuccessfulOutcome", p.successful)
		}
		if p.unsuccessful != "" {
			f(p, "UnsuccessfulOutcome", p.unsuccessful)
		}
	}
}

// messages writes the message types.
func (g *generator) messages() {
	g.out = g.file("messages_gen.go")
	g.eachMessage(func(p *procedure, kind, asn string) {
		d := g.spec.typeByName[asn]
		if d == nil {
			g.fail("message %s is not defined", asn)
		}
		name := g.define(goName(asn), asn)
		g.p("\n// %s is %s, the %s of %s (TS 36.413 §9.3.3).", name, asn, kindWords[kind], p.code)
		switch c := d.typ.fields[0].typ; c.kind {
		case kindIEs:
			g.container(name, g.set(c.ref), true)
		case kindPrivate:
			g.p("type %s struct {\nPrivateIEs []PrivateIE `asn1:\"privateIEs\"` // 1..65535\n}", name)
			g.p("\nfunc (m *%s) encode(w *encoder) { w.privateIEs(m.PrivateIEs) }", name)
			g.p("\nfunc (m *%s) decode(r *decoder) { m.PrivateIEs = r.privateIEs(m.PrivateIEs) }", name)
			g.pr("\nfunc (v *%s) random(g *gen) { v.PrivateIEs = g.privateIEs() }", name)
		default:
			g.fail("message %s has no container", asn)
		}
		g.p("\n// Header implements Message.\nfunc (*%s) Header() Header {\nreturn Header{%s, Procedure%s, Criticality%s, %q}\n}",
			name, kind, goName(p.code[3:]), goName(p.criticality), name)
		g.p("\n// String gives the message on one line, identities and keys hidden.\nfunc (m *%s) String() string { return oneLine(m) }", name)
	})
}

var kindWords = map[string]string{
	"InitiatingMessage":   "initiating message",
	"SuccessfulOutcome":   "successful outcome",
	"UnsuccessfulOutcome": "unsuccessful outcome",
}

// extensionSets writes a struct for every extension set with members.
func (g *generator) extensionSets() {
	g.out = g.file("extensions_gen.go")
	for _, s := range g.spec.sets {
		if s.class != "S1AP-PROTOCOL-EXTENSION" || len(s.ies) == 0 {
			continue
		}
		name := g.define(goName(s.name), s.name)
		g.p("\n// %s is the extension container of the object set %s (%s).", name, s.name, clause(s.module))
		g.container(name, s, false)
		empty := "len(m.Unknown) == 0"
		for _, m := range g.ieMembers(s) {
			empty += " &&\n" + m.absence("m."+m.goField)
		}
		g.p("\nfunc (m *%s) isEmpty() bool {\nreturn m == nil || %s\n}", name, empty)
	}
}

// ieMembers prepares the IEs of a set.
func (g *generator) ieMembers(s *setDef) []member {
	if len(s.ies) > 64 {
		g.fail("set %s has more than 64 IEs", s.name)
	}
	var ms []member
	for _, d := range s.ies {
		m := member{field: field{name: d.id, typ: &asnType{}, optional: d.presence != "mandatory"}, goField: ieField(d), use: g.useNamed(d.typ)}
		m.ptr = m.optional && m.absent == ""
		ms = append(ms, m)
	}
	return ms
}

// container writes a struct that holds a ProtocolIE-Container (message) or a
// ProtocolExtensionContainer.
func (g *generator) container(name string, s *setDef, message bool) {
	ms := g.ieMembers(s)
	unknown, begin := "Unknown", "extensions"
	if message {
		unknown, begin = "UnknownIEs", "message"
	}
	g.p("type %s struct {", name)
	for i, m := range ms {
		g.p("%s %s %s // %s, %s, %s", m.goField, m.declare(), nameTag(m.name), m.name, s.ies[i].presence, s.ies[i].criticality)
	}
	g.p("%s []UnknownIE `asn1:\"unknownIEs\"` // not of this release, written after the others\n}", unknown)
	table := lowerName(name) + "Set"
	var mandatory []string
	for i, m := range ms {
		if !m.optional {
			mandatory = append(mandatory, fmt.Sprintf("1<<%d", i))
		}
	}
	g.p("\nvar %s = ieSet{%s, []ieRow{", table, cmp.Or(strings.Join(mandatory, " | "), "0"))
	for i := range ms {
		g.p("{%s, %s},", idConst(s.ies[i]), critConst(s.ies[i]))
	}
	g.p("}}")

	g.p("\nfunc (m *%s) encode(w *encoder) {\nc := w.%sStart()", name, begin)
	for i, m := range ms {
		body := fmt.Sprintf("w.ie(&c, %s, %s, %q)\n%s\nw.ieEnd(&c)", idConst(s.ies[i]), critConst(s.ies[i]), name+"."+m.goField,
			with(m.encode, m.value("m."+m.goField), m.goType))
		if m.optional {
			body = fmt.Sprintf("if !(%s) {\n%s\n}", m.absence("m."+m.goField), body)
		}
		g.p("%s", body)
	}
	g.p("w.%sEnd(&c, m.%s)\n}", begin, unknown)

	g.p("\nfunc (m *%s) decode(r *decoder) {\nvar l ieLoop\nl.%s(r, &%s, m.%s)", name, begin, table, unknown)
	g.p("for i := l.next(r); i >= 0; i = l.next(r) {\nswitch i {")
	for i, m := range ms {
		g.p("case %d:\nr.At(%q)\n%s", i, name+"."+m.goField, m.decodeTo("m."+m.goField))
	}
	g.p("}\n}\nm.%s = l.end(r)", unknown)
	for i, m := range ms {
		clear, condition := m.clearing("m."+m.goField), m.occupied("m."+m.goField)
		if !m.optional {
			clear, condition = fmt.Sprintf("var zero %s\nm.%s = zero", m.goType, m.goField), ""
		}
		g.p("if %sl.seen&(1<<%d) == 0 {\n%s\n}", condition, i, clear)
	}
	g.p("}")

	g.pr("\nfunc (v *%s) random(g *gen) {", name)
	for _, m := range ms {
		if m.optional {
			g.pr("if g.optional() {\n%s\n}", m.randomTo("v."+m.goField))
		} else {
			g.pr("%s", m.randomTo("v."+m.goField))
		}
	}
	g.pr("v.%s = g.unknownIEs()\n}", unknown)
}

// dispatch writes the switches from header to message and from message to code.
func (g *generator) dispatch() {
	g.out = g.file("dispatch_gen.go")
	g.p("\n// newMessage returns an empty message, nil if there is none of that kind.")
	g.p("func newMessage(t MessageType, p ProcedureCode) Message {\nswitch uint16(t)<<8 | uint16(p) {")
	g.eachMessage(func(p *procedure, kind, typ string) {
		g.p("case uint16(%s)<<8 | uint16(Procedure%s): return new(%s)", kind, goName(p.code[3:]), goName(typ))
	})
	g.p("}\nreturn nil\n}")
	for _, way := range []struct{ recv, verb string }{{"w *encoder", "encode"}, {"r *decoder", "decode"}} {
		g.p("\nfunc (%s) message(m Message) {\nswitch m := m.(type) {", way.recv)
		g.eachMessage(func(_ *procedure, _, typ string) {
			g.p("case *%s: m.%s(%c)", goName(typ), way.verb, way.recv[0])
		})
		g.p("case *UnknownMessage: m.%s(%c)\n}\n}", way.verb, way.recv[0])
	}
	g.ueIDs()
	g.typeNames()
	g.pr("\nfunc allMessages() []randomMessage {\nreturn []randomMessage{")
	g.eachMessage(func(_ *procedure, _, typ string) { g.pr("new(%s),", goName(typ)) })
	g.pr("}\n}")
}

// ueIDs writes the function that finds the UE's ids in any message.
func (g *generator) ueIDs() {
	g.p("\n// UEIDs returns the UE S1AP ids in m, nil for one that it has not; they point into m.")
	g.p("// Of PathSwitchRequest it is the MME's id at the source, and of UEContextReleaseCommand")
	g.p("// that of the alternative chosen.")
	g.p("func UEIDs(m Message) (mme *MMEUES1APID, enb *ENBUES1APID) {\nswitch m := m.(type) {")
	g.eachMessage(func(_ *procedure, _, typ string) {
		c := g.spec.typeByName[typ].typ.fields[0].typ
		if c.kind != kindIEs {
			return
		}
		found := map[string]string{}
		for _, m := range g.ieMembers(g.set(c.ref)) {
			key, expr := m.name, "m."+m.goField
			if !m.ptr {
				expr = "&" + expr
			}
			if key == "id-SourceMME-UE-S1AP-ID" {
				key = "id-MME-UE-S1AP-ID"
			}
			if _, ok := found[key]; !ok {
				found[key] = expr
			}
		}
		mme, enb := found["id-MME-UE-S1AP-ID"], found["id-eNB-UE-S1AP-ID"]
		switch {
		case found["id-UE-S1AP-IDs"] != "":
			g.p("case *%s: return m.UES1APIDs.ids()", goName(typ))
		case mme != "" || enb != "":
			g.p("case *%s: return %s, %s", goName(typ), orNil(mme), orNil(enb))
		}
	})
	g.p("}\nreturn nil, nil\n}")
}

// typeNames writes the function that gives the ASN.1 name of a Go type.
func (g *generator) typeNames() {
	g.p("\n// typeName returns the name in TS 36.413 of the Go type name.\nfunc typeName(name string) string {\nswitch name {")
	for _, d := range g.spec.types {
		if n := goName(d.name); n != d.name && g.names[n] == d.name {
			g.p("case %q: return %q", n, d.name)
		}
	}
	g.p("}\nreturn name\n}")
}

func orNil(s string) string {
	if s == "" {
		return "nil"
	}
	return s
}
