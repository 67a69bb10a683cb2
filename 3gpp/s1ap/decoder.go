package s1ap

import (
	"math/bits"

	"campanile.network/3gpp/per"
)

// decoder reads messages and notes what TS 36.413 §10 asks to be reported.
type decoder struct {
	per.Reader
	diags   []IEDiagnostic
	foreign bool // the present field holds a value of a later release
}

// openField is a ProtocolIE-Field or ProtocolExtensionField being read.
type openField struct {
	id   ProtocolIEID
	crit Criticality // as received
	in   per.Saved
	// foreign is the decoder's of what is around the field.
	foreign bool
}

// enter reads the head of a field and enters its value.
func (r *decoder) enter() openField {
	id, crit, in := r.EnterField()
	return openField{id: ProtocolIEID(id), crit: Criticality(crit), in: in}
}

// leave ends a field. One that is only partly understood is treated by its own
// criticality (TS 36.413 §10.3.2).
func (r *decoder) leave(f *openField) {
	r.Leave(f.in)
	if r.foreign {
		r.notUnderstood(f)
	}
	r.foreign = f.foreign
}

// rest reads the value of a field that is not understood, and leaves it.
func (r *decoder) rest(f *openField) UnknownIE {
	u := UnknownIE{f.id, f.crit, r.Rest()}
	r.Leave(f.in)
	r.notUnderstood(f)
	r.foreign = f.foreign
	return u
}

// notUnderstood notes a field unless it is to be ignored.
func (r *decoder) notUnderstood(f *openField) {
	if f.crit != CriticalityIgnore {
		r.note(IEDiagnostic{f.id, f.crit, NotUnderstood})
	}
}

// note adds a diagnostic; there are at most maxnoofErrors. One that ends the
// procedure takes the last place of one that does not: whoever sends many small
// faults does not hide a great one behind them.
func (r *decoder) note(d IEDiagnostic) {
	switch last := len(r.diags) - 1; {
	case r.Failed():
	case len(r.diags) < maxDiagnostics:
		r.diags = append(r.diags, d)
	case d.weight() > r.diags[last].weight():
		r.diags[last] = d
	}
}

// enum reads an extensible ENUMERATED of which this release knows known values.
func (r *decoder) enum(root, known int) uint8 {
	v := r.EnumExt(root)
	if int(v) >= known {
		r.foreign = true
	}
	return v
}

// ieLoop walks over the IEs of a container.
type ieLoop struct {
	set     *ieSet
	left    int    // IEs not yet read
	last    int    // row of the last IE
	seen    uint64 // rows, a bit each
	inside  bool   // of field
	field   openField
	unknown []UnknownIE
	ext     bool // SEQUENCE extension bit of the message
	foreign bool // of the decoder before the container
}

// message begins the container of a message.
func (l *ieLoop) message(r *decoder, set *ieSet, unknown []UnknownIE) {
	l.ext = r.Bit()
	l.set, l.left, l.last, l.unknown = set, r.Count(0, 65535, 32), -1, unknown[:0]
}

// extensions begins an extension container.
func (l *ieLoop) extensions(r *decoder, set *ieSet, unknown []UnknownIE) {
	l.set, l.left, l.last, l.unknown = set, r.Count(1, 65535, 32), -1, unknown[:0]
	l.foreign, r.foreign = r.foreign, false
}

// next returns the row of the next IE, with the reader inside its value, and
// -1 after the last.
func (l *ieLoop) next(r *decoder) int {
	if l.inside {
		r.leave(&l.field)
	}
	for l.left > 0 {
		l.left--
		l.field = r.enter()
		i := l.last + 1
		if i >= len(l.set.rows) || l.set.rows[i].id != l.field.id {
			i = l.find(r)
		}
		if i >= 0 {
			l.last, l.inside = i, true
			l.seen |= 1 << i
			return i
		}
	}
	l.inside = false
	return -1
}

// find returns the row of an IE that does not follow the last one, -1 for one
// that is not to be read, which it leaves.
func (l *ieLoop) find(r *decoder) int {
	if r.Failed() {
		l.left = 0
		return -1
	}
	for i := range l.set.rows {
		row := &l.set.rows[i]
		if row.id != l.field.id {
			continue
		}
		if l.seen&(1<<i) != 0 {
			r.note(IEDiagnostic{row.id, row.crit, Repeated})
			r.Rest()
			r.Leave(l.field.in)
			return -1
		}
		if i < l.last {
			r.note(IEDiagnostic{row.id, row.crit, OutOfOrder})
		}
		return i
	}
	l.keep(r)
	return -1
}

// keep stores an unknown IE.
func (l *ieLoop) keep(r *decoder) {
	u := r.rest(&l.field)
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
	for missing := l.set.mandatory &^ l.seen; missing != 0; missing &= missing - 1 {
		row := l.set.rows[bits.TrailingZeros64(missing)]
		r.note(IEDiagnostic{row.id, row.crit, Missing})
	}
	if l.ext {
		r.Additions()
	}
	r.foreign = r.foreign || l.foreign
	return l.unknown
}

// single reads the head of a ProtocolIE-Field that stands alone and enters its
// value.
func (r *decoder) single() openField {
	f := r.enter()
	f.foreign, r.foreign = r.foreign, false
	return f
}

// element is single for a list whose elements have the IE id. An element of
// another IE has no place in the list: it is left out, and always noted, so
// that it is not lost in silence.
func (r *decoder) element(id ProtocolIEID) (openField, bool) {
	f := r.single()
	if f.id != id {
		r.Rest()
		r.leave(&f)
		r.note(IEDiagnostic{f.id, f.crit, NotUnderstood})
		return f, false
	}
	return f, true
}

// unknownSingle keeps an IE that stands alone and is not of this release.
func (r *decoder) unknownSingle(f *openField) *UnknownIE {
	u := r.rest(f)
	var p *UnknownIE
	*per.Pointee(&r.Reader, &p) = u
	return p
}

// unknownChoice keeps an alternative that is not of this release.
func (r *decoder) unknownChoice(i int) *UnknownChoice {
	r.foreign = true
	var p *UnknownChoice
	*per.Pointee(&r.Reader, &p) = UnknownChoice{Index: i, Value: r.Open()}
	return p
}
