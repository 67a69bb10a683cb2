package s1ap

import "campanile.network/3gpp/per"

// The memory that reading n octets may take is memoryFactor*n + memoryBase.
const (
	memoryFactor = 8
	memoryBase   = 4096
)

// UnknownIE is an IE or extension this release does not have, as received. It
// is written again with the container it came in.
type UnknownIE struct {
	ID          ProtocolIEID `asn1:"id"`
	Criticality Criticality  `asn1:"criticality"`
	Value       []byte       `asn1:"value"` // encoding, without the length of the open type
}

// UnknownChoice is an alternative of a CHOICE this release does not have.
type UnknownChoice struct {
	Index int    `asn1:"index"` // counted from the first alternative after the extension marker
	Value []byte `asn1:"value"`
}

// Extensions is an extension container for which this release has no members.
type Extensions struct {
	Unknown []UnknownIE `asn1:"unknownIEs"`
}

func (x *Extensions) isEmpty() bool { return x == nil || len(x.Unknown) == 0 }

func (x *Extensions) encode(w *encoder) {
	c := w.extensionsStart()
	w.extensionsEnd(&c, x.Unknown)
}

func (x *Extensions) decode(r *decoder) {
	l := r.extensionsStart(nil, x.Unknown)
	for l.next(r) >= 0 {
	}
	x.Unknown = l.end(r)
}

// ieSpec is a row of an object set.
type ieSpec struct {
	id        ProtocolIEID
	crit      Criticality
	mandatory bool
}

// encoder writes messages.
type encoder struct{ per.Writer }

// openContainer is a container being written.
type openContainer struct {
	count int // of IEs
	at    int // offset of the count field
	mark  int // of the IE's open type
}

func (w *encoder) messageStart() openContainer {
	w.Bit(false)
	return w.extensionsStart()
}

func (w *encoder) extensionsStart() openContainer {
	w.Align()
	c := openContainer{at: w.Len()}
	w.Bits(0, 16)
	return c
}

func (w *encoder) ie(c *openContainer, id ProtocolIEID, crit Criticality, field string) {
	c.count++
	c.mark = w.single(id, crit)
	w.At(field)
}

func (w *encoder) ieEnd(c *openContainer) { w.OpenEnd(c.mark) }

func (w *encoder) messageEnd(c *openContainer, unknown []UnknownIE) { w.finish(c, unknown, 0) }

func (w *encoder) extensionsEnd(c *openContainer, unknown []UnknownIE) { w.finish(c, unknown, 1) }

func (w *encoder) finish(c *openContainer, unknown []UnknownIE, least int) {
	for i := range unknown {
		w.raw(&unknown[i])
	}
	n := c.count + len(unknown)
	if n < least || n > 65535 {
		w.Fail("%d IEs in a container", n)
		return
	}
	w.Patch16(c.at, uint16(n-least))
}

// single writes the head of a ProtocolIE-Field and opens its value.
func (w *encoder) single(id ProtocolIEID, crit Criticality) int {
	return w.Field(uint16(id), uint8(crit))
}

// raw writes a ProtocolIE-Field as received.
func (w *encoder) raw(u *UnknownIE) {
	w.Align()
	w.Bits(uint64(u.ID), 16)
	w.Enum(uint8(u.Criticality), 3)
	w.Open(u.Value)
}

func (w *encoder) singleUnknown(u *UnknownIE) {
	if u == nil {
		w.Fail("container without IE")
		return
	}
	w.raw(u)
}

func (w *encoder) unknownChoice(u *UnknownChoice, known int) {
	if u == nil || u.Index < known {
		w.Fail("unknown alternative without index and value")
		return
	}
	w.ChoiceExt(u.Index)
	w.Open(u.Value)
}

// decoder reads messages and notes what clause 10 asks to be reported.
type decoder struct {
	per.Reader
	diags []IEDiagnostic
}

// ieLoop walks over the IEs of a container.
type ieLoop struct {
	specs   []ieSpec
	left    int
	last    int
	inside  bool
	seen    uint64
	in      per.Saved
	unknown []UnknownIE
	ext     bool // SEQUENCE extension bit of the message
}

func (r *decoder) messageStart(specs []ieSpec, unknown []UnknownIE) ieLoop {
	ext := r.Bit()
	return ieLoop{specs: specs, unknown: unknown[:0], left: r.Count(0, 65535, 32), ext: ext, last: -1}
}

func (r *decoder) extensionsStart(specs []ieSpec, unknown []UnknownIE) ieLoop {
	return ieLoop{specs: specs, unknown: unknown[:0], left: r.Count(1, 65535, 32), last: -1}
}

// next returns the index of the next IE, with the reader inside its value, and
// -1 after the last.
func (l *ieLoop) next(r *decoder) int {
	if l.inside {
		r.Leave(l.in)
		l.inside = false
	}
	for l.left > 0 && !r.Failed() {
		l.left--
		id, crit := r.ieField()
		if r.Failed() {
			return -1
		}
		i := l.find(id)
		switch {
		case i < 0:
			l.keep(r, UnknownIE{id, crit, r.Open()})
		case l.seen&(1<<i) != 0:
			r.Open()
			r.note(IEDiagnostic{id, l.specs[i].crit, Repeated})
		default:
			if i < l.last {
				r.note(IEDiagnostic{id, l.specs[i].crit, OutOfOrder})
			}
			l.last = i
			l.seen |= 1 << i
			l.in = r.Enter()
			l.inside = true
			return i
		}
	}
	return -1
}

func (r *decoder) ieField() (ProtocolIEID, Criticality) {
	id, crit := r.Field()
	return ProtocolIEID(id), Criticality(crit)
}

// find looks for id behind the last IE first: that is where it should be.
func (l *ieLoop) find(id ProtocolIEID) int {
	for i := l.last + 1; i < len(l.specs); i++ {
		if l.specs[i].id == id {
			return i
		}
	}
	for i := 0; i <= l.last; i++ {
		if l.specs[i].id == id {
			return i
		}
	}
	return -1
}

// keep stores an unknown IE and notes it unless it is to be ignored.
func (l *ieLoop) keep(r *decoder, u UnknownIE) {
	if u.Criticality != CriticalityIgnore {
		r.note(IEDiagnostic{u.ID, u.Criticality, NotUnderstood})
	}
	if len(l.unknown) == cap(l.unknown) {
		room := l.left + 1
		if len(l.unknown) == 0 {
			room = min(room, 4)
		}
		grown := per.List(&r.Reader, []UnknownIE(nil), len(l.unknown)+room)
		if grown == nil {
			return
		}
		l.unknown = grown[:copy(grown, l.unknown)]
	}
	l.unknown = append(l.unknown, u)
}

// end notes what is missing and returns the unknown IEs.
func (l *ieLoop) end(r *decoder) []UnknownIE {
	if r.Failed() {
		return l.unknown
	}
	for i := range l.specs {
		if l.specs[i].mandatory && l.seen&(1<<i) == 0 {
			r.note(IEDiagnostic{l.specs[i].id, l.specs[i].crit, Missing})
		}
	}
	if l.ext {
		r.Additions()
	}
	return l.unknown
}

// note adds a diagnostic; there are at most maxnoofErrors.
func (r *decoder) note(d IEDiagnostic) {
	if len(r.diags) < maxDiagnostics && !r.Failed() {
		r.diags = append(r.diags, d)
	}
}

// single reads the head of a ProtocolIE-Field in a list whose elements have
// the IE id, and enters its value. Another IE is noted and skipped.
func (r *decoder) single(id ProtocolIEID) (per.Saved, bool) {
	got, crit := r.ieField()
	if r.Failed() {
		return per.Saved{}, false
	}
	if got != id {
		r.Open()
		if crit != CriticalityIgnore {
			r.note(IEDiagnostic{got, crit, NotUnderstood})
		}
		return per.Saved{}, false
	}
	return r.Enter(), true
}

// unknownSingle keeps an IE that stands alone and is not of this release.
func (r *decoder) unknownSingle(id ProtocolIEID, crit Criticality) *UnknownIE {
	u := UnknownIE{id, crit, r.Open()}
	if u.Criticality != CriticalityIgnore {
		r.note(IEDiagnostic{u.ID, u.Criticality, NotUnderstood})
	}
	var p *UnknownIE
	*per.Pointee(&r.Reader, &p) = u
	return p
}

func (r *decoder) unknownChoice(i int) *UnknownChoice {
	var p *UnknownChoice
	*per.Pointee(&r.Reader, &p) = UnknownChoice{Index: i, Value: r.Open()}
	return p
}

// PrivateIE is an element of PrivateMessage (TS 36.413 §9.3.7).
type PrivateIE struct {
	ID          PrivateIEID `asn1:"id"`
	Criticality Criticality `asn1:"criticality"`
	Value       []byte      `asn1:"value"` // encoding of the value
}

func (w *encoder) privateIEs(ies []PrivateIE) {
	w.Bit(false)
	w.Count(len(ies), 1, 65535)
	for i := range ies {
		w.At("PrivateMessage.PrivateIEs")
		ies[i].ID.encode(w)
		w.Enum(uint8(ies[i].Criticality), 3)
		w.Open(ies[i].Value)
	}
}

func (r *decoder) privateIEs(old []PrivateIE) []PrivateIE {
	ext := r.Bit()
	ies := per.List(&r.Reader, old, r.Count(1, 65535, 32))
	for i := range ies {
		ies[i].ID.decode(r)
		ies[i].Criticality = Criticality(r.Enum(3))
		ies[i].Value = r.Open()
		if r.Failed() {
			break
		}
	}
	if ext {
		r.Additions()
	}
	return ies
}

// ids returns the ids of the alternative chosen.
func (v *UES1APIDs) ids() (*MMEUES1APID, *ENBUES1APID) {
	switch {
	case v.Choice == UES1APIDsChoiceUES1APIDPair && v.UES1APIDPair != nil:
		return &v.UES1APIDPair.MMEUES1APID, &v.UES1APIDPair.ENBUES1APID
	case v.Choice == UES1APIDsChoiceMMEUES1APID:
		return &v.MMEUES1APID, nil
	}
	return nil, nil
}
