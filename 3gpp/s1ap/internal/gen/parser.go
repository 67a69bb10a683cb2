package main

import (
	"fmt"
	"strconv"
)

// parser reads the ASN.1 of one specification by recursive descent. It panics
// with a parseError, which parse turns into an error.
type parser struct {
	toks   []token
	pos    int
	module string
	spec   *spec
}

type parseError struct{ error }

// parse reads all modules in src.
func parse(src []byte) (s *spec, err error) {
	toks, err := lex(src)
	if err != nil {
		return nil, err
	}
	defer func() {
		if e, ok := recover().(parseError); ok {
			s, err = nil, e
		}
	}()
	p := &parser{toks: toks, spec: &spec{
		typeByName: map[string]*typeDef{}, setByName: map[string]*setDef{}, constByName: map[string]uint64{},
	}}
	// Constants come last in the text and are needed first.
	for i := 0; i+3 < len(toks); i++ {
		if toks[i+2].text == "::=" && toks[i+3].text[0] >= '0' && toks[i+3].text[0] <= '9' {
			p.pos = i + 3
			p.spec.constByName[toks[i].text] = p.number()
		}
	}
	p.pos = 0
	for p.pos < len(p.toks) {
		p.parseModule()
	}
	return p.spec, nil
}

func (p *parser) fail(format string, args ...any) {
	line := 0
	if p.pos < len(p.toks) {
		line = p.toks[p.pos].line
	}
	panic(parseError{fmt.Errorf("line %d: %s", line, fmt.Sprintf(format, args...))})
}

func (p *parser) peek() string { return p.peekAt(0) }

func (p *parser) peekAt(n int) string {
	if p.pos+n >= len(p.toks) {
		return ""
	}
	return p.toks[p.pos+n].text
}

func (p *parser) next() string {
	t := p.peek()
	if t == "" {
		p.fail("text ends")
	}
	p.pos++
	return t
}

func (p *parser) accept(t string) bool {
	if p.peek() == t {
		p.pos++
		return true
	}
	return false
}

func (p *parser) expect(ts ...string) {
	for _, t := range ts {
		if p.peek() != t {
			p.fail("%q found where %q was expected", p.peek(), t)
		}
		p.pos++
	}
}

// skipBraces skips a balanced { ... }.
func (p *parser) skipBraces() {
	p.expect("{")
	for depth := 1; depth > 0; {
		switch p.next() {
		case "{":
			depth++
		case "}":
			depth--
		}
	}
}

func (p *parser) parseModule() {
	p.module = p.next()
	p.skipBraces()
	p.expect("DEFINITIONS", "AUTOMATIC", "TAGS", "::=", "BEGIN")
	if p.accept("IMPORTS") {
		for p.next() != ";" {
		}
	}
	for !p.accept("END") {
		if p.module == "S1AP-Containers" {
			p.next() // classes and containers are built in
			continue
		}
		p.parseAssignment()
	}
}

// parseAssignment reads one type, value, object or object set assignment.
func (p *parser) parseAssignment() {
	name := p.next()
	switch {
	case p.peek() == "{": // parameterised: the containers, built in
		p.skipBraces()
		p.expect("::=")
		p.next()
		p.skipBraces()
	case p.accept("::="):
		if p.peek() == "CLASS" {
			p.next()
			p.skipBraces()
			p.expect("WITH", "SYNTAX")
			p.skipBraces()
			return
		}
		d := &typeDef{name, p.module, p.parseType()}
		p.spec.types = append(p.spec.types, d)
		p.spec.typeByName[name] = d
	default:
		class := p.next()
		p.expect("::=")
		switch {
		case p.peek() != "{":
			p.spec.constants = append(p.spec.constants, constant{name, class, p.number()})
		case class == "S1AP-ELEMENTARY-PROCEDURE" && name[0] >= 'a':
			p.parseProcedure(name)
		case class == "S1AP-ELEMENTARY-PROCEDURE":
			p.skipBraces()
		default:
			p.parseSet(name, class)
		}
	}
}

func (p *parser) parseProcedure(name string) {
	pr := &procedure{name: name, criticality: "ignore"}
	p.expect("{")
	for !p.accept("}") {
		switch w := p.next(); w {
		case "INITIATING":
			p.expect("MESSAGE")
			pr.initiating = p.next()
		case "SUCCESSFUL":
			p.expect("OUTCOME")
			pr.successful = p.next()
		case "UNSUCCESSFUL":
			p.expect("OUTCOME")
			pr.unsuccessful = p.next()
		case "PROCEDURE":
			p.expect("CODE")
			pr.code = p.next()
		case "CRITICALITY":
			pr.criticality = p.next()
		default:
			p.fail("%q in procedure %s", w, name)
		}
	}
	p.spec.procedures = append(p.spec.procedures, pr)
}

func (p *parser) parseSet(name, class string) {
	s := &setDef{name: name, class: class, module: p.module}
	p.expect("{")
	for !p.accept("}") {
		switch w := p.next(); w {
		case "...", ",", "|":
		case "{":
			var d ieDef
			for !p.accept("}") {
				switch w := p.next(); w {
				case "ID":
					d.id = p.next()
				case "CRITICALITY":
					d.criticality = p.next()
				case "TYPE", "EXTENSION":
					d.typ = p.typeName()
				case "PRESENCE":
					d.presence = p.next()
				default:
					p.fail("%q in object set %s", w, name)
				}
			}
			s.ies = append(s.ies, d)
		default:
			p.fail("%q in object set %s", w, name)
		}
	}
	p.spec.sets = append(p.spec.sets, s)
	p.spec.setByName[name] = s
}

// typeName reads the type of an object; two-word built-in types are joined.
func (p *parser) typeName() string {
	n := p.next()
	if n == "OCTET" || n == "BIT" {
		n += " " + p.next()
	}
	return n
}

func (p *parser) number() uint64 {
	t := p.next()
	if v, ok := p.spec.constByName[t]; ok {
		return v
	}
	v, err := strconv.ParseUint(t, 10, 64)
	if err != nil {
		p.fail("%q is not a number or a known constant", t)
	}
	return v
}

func (p *parser) parseType() *asnType {
	t := &asnType{}
	switch w := p.next(); w {
	case "INTEGER":
		t.kind = kindInteger
		if p.peek() == "{" {
			p.skipBraces()
		}
		t.bounds = p.parseValueConstraint()
	case "ENUMERATED":
		t.kind = kindEnumerated
		p.parseEnumerated(t)
	case "BIT", "OCTET":
		t.kind = map[string]kind{"BIT": kindBitString, "OCTET": kindOctetString}[w]
		p.expect("STRING")
		t.bounds = p.parseSizeConstraint()
	case "PrintableString", "VisibleString":
		t.kind = kindText
		t.bounds = p.parseSizeConstraint()
	case "NULL":
		t.kind = kindNull
	case "OBJECT":
		p.expect("IDENTIFIER")
		t.kind = kindOID
	case "CHOICE":
		t.kind = kindChoice
		p.parseFields(t)
	case "SEQUENCE":
		if p.peek() == "{" {
			t.kind = kindSequence
			p.parseFields(t)
			break
		}
		t.kind = kindSequenceOf
		t.bounds = p.parseSizeConstraint()
		p.expect("OF")
		t.elem = p.parseType()
	default:
		p.parseReference(t, w)
	}
	return t
}

// containers are the parameterised types of the specification.
var containers = map[string]kind{
	"ProtocolIE-Container":       kindIEs,
	"ProtocolExtensionContainer": kindExtensions,
	"ProtocolIE-SingleContainer": kindSingle,
	"PrivateIE-Container":        kindPrivate,
}

func (p *parser) parseReference(t *asnType, name string) {
	if p.peek() == "." { // field of a class, only in the built-in containers
		p.next()
		p.next()
		for p.peek() == "(" || p.peek() == "{" {
			p.skipTo(p.peek())
		}
	}
	if p.peek() != "{" {
		t.ref = name
		return
	}
	start := p.pos
	p.skipBraces()
	set := p.toks[p.pos-1]
	for _, tok := range p.toks[start:p.pos] {
		if isWord(tok.text[0]) {
			set = tok
		}
	}
	if k, ok := containers[name]; ok {
		t.kind, t.ref = k, set.text
		return
	}
	if name == "E-RAB-IE-ContainerList" {
		t.kind = kindSequenceOf
		t.bounds = &bounds{spans: []span{{1, p.spec.constByName["maxnoofE-RABs"]}}}
		t.elem = &asnType{kind: kindSingle, ref: set.text}
		return
	}
	t.ref = name
}

// skipTo skips a balanced pair that starts with open.
func (p *parser) skipTo(open string) {
	closing := map[string]string{"(": ")", "{": "}"}[open]
	p.expect(open)
	for depth := 1; depth > 0; {
		switch p.next() {
		case open:
			depth++
		case closing:
			depth--
		}
	}
}

func (p *parser) parseEnumerated(t *asnType) {
	p.expect("{")
	for !p.accept("}") {
		switch w := p.next(); {
		case w == ",":
		case w == "...":
			t.ext = true
		case t.ext:
			t.added = append(t.added, w)
		default:
			t.root = append(t.root, w)
		}
	}
}

func (p *parser) parseFields(t *asnType) {
	p.expect("{")
	for !p.accept("}") {
		if p.accept(",") {
			continue
		}
		if p.accept("...") {
			t.ext = true
			continue
		}
		f := field{name: p.next(), added: t.ext}
		f.typ = p.parseType()
		f.optional = p.accept("OPTIONAL")
		if f.added && t.kind == kindSequence {
			p.fail("extension addition %s of a SEQUENCE is not supported", f.name)
		}
		t.fields = append(t.fields, f)
	}
}

func (p *parser) parseSizeConstraint() *bounds {
	if p.peek() != "(" {
		return nil
	}
	p.expect("(", "SIZE")
	b := p.parseValueConstraint()
	p.expect(")")
	return b
}

func (p *parser) parseValueConstraint() *bounds {
	if !p.accept("(") {
		return nil
	}
	b := &bounds{}
	for !p.accept(")") {
		switch {
		case p.accept("|"):
		case p.accept(","):
			p.expect("...")
			b.ext = true
		default:
			s := span{}
			s.lo = p.number()
			s.hi = s.lo
			if p.accept("..") {
				s.hi = p.number()
			}
			b.spans = append(b.spans, s)
		}
	}
	return b
}
