package main

// kind is what an ASN.1 type is made of.
type kind int

const (
	kindRef kind = iota
	kindInteger
	kindEnumerated
	kindBitString
	kindOctetString
	kindText
	kindNull
	kindOID
	kindSequence
	kindSequenceOf
	kindChoice
	kindIEs        // ProtocolIE-Container {{Set}}
	kindExtensions // ProtocolExtensionContainer {{Set}}
	kindSingle     // ProtocolIE-SingleContainer {{Set}}
	kindPrivate    // PrivateIE-Container {{Set}}
)

// span is one range of a constraint.
type span struct{ lo, hi uint64 }

// bounds is a value or size constraint; a type without one has nil.
type bounds struct {
	spans []span
	ext   bool
}

func (b *bounds) lo() uint64 { return b.spans[0].lo }
func (b *bounds) hi() uint64 { return b.spans[len(b.spans)-1].hi }

// asnType is an ASN.1 type as written.
type asnType struct {
	kind   kind
	ref    string // kindRef: the type; container kinds: the object set
	bounds *bounds
	ext    bool     // extension marker of ENUMERATED, SEQUENCE, CHOICE
	root   []string // ENUMERATED
	added  []string // ENUMERATED additions
	fields []field
	elem   *asnType
}

// field is a component of a SEQUENCE or an alternative of a CHOICE.
type field struct {
	name     string
	typ      *asnType
	optional bool
	added    bool // after the extension marker
}

// typeDef is a type assignment.
type typeDef struct {
	name   string
	module string
	typ    *asnType
}

// ieDef is one row of an object set.
type ieDef struct {
	id, criticality, typ, presence string
}

// setDef is an object set of class S1AP-PROTOCOL-IES, -EXTENSION or -PRIVATE-IES.
type setDef struct {
	name, class, module string
	ies                 []ieDef
}

// procedure is one elementary procedure.
type procedure struct {
	name                                 string
	initiating, successful, unsuccessful string
	code                                 string // its constant
	criticality                          string
}

// constant is a value assignment.
type constant struct {
	name, typ string
	value     uint64
}

// spec is everything read from the modules, in order of appearance.
type spec struct {
	types      []*typeDef
	sets       []*setDef
	procedures []*procedure
	constants  []constant

	typeByName  map[string]*typeDef
	setByName   map[string]*setDef
	constByName map[string]uint64
}
