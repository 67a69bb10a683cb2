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
	var l ieLoop
	l.extensions(r, &noExtensions, x.Unknown)
	for l.next(r) >= 0 {
	}
	x.Unknown = l.end(r)
}

// ieSet is an object set of IEs or extensions.
type ieSet struct {
	mandatory uint64 // rows, a bit each
	rows      []ieRow
}

type ieRow struct {
	id   ProtocolIEID
	crit Criticality
}

var noExtensions ieSet

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
