package eps

import (
	"bytes"
	"fmt"

	"campanile.network/3gpp/id"
)

// Parse reads a plain message that was sent in direction dir. The message
// keeps no part of b. Every error is an *Error. A SERVICE REQUEST is read
// although it is protected: all of it is in clear.
//
// Elements behind the mandatory ones that are unknown, repeated, out of
// sequence or broken do not fail the message (TS 24.301 §7.6, §7.7.1); they
// are kept in its Unparsed field. From a UE, elements out of sequence are used:
// a UE must ignore them, a network need not, and the spec itself has two orders
// for the same elements in ATTACH REQUEST and TRACKING AREA UPDATE REQUEST.
func Parse(dir Direction, b []byte) (Message, error) {
	m, n, err := begin(dir, b)
	if err != nil {
		return nil, err
	}
	r := reader{dir: dir, msg: m, b: bytes.Clone(b), pos: n}
	if err := r.mandatory(); err != nil {
		return nil, err
	}
	if err := r.optional(); err != nil {
		return nil, err
	}
	if c, ok := m.(conditional); ok && c.missing() != "" { // TS 24.301 §7.7.2
		return nil, &Error{Cause: EMMCauseConditionalIEError, Message: m.MessageType(), Element: c.missing(), Offset: len(b), Problem: "missing"}
	}
	return m, nil
}

// begin reads the header, makes the message it names and tells where the
// header ends.
func begin(dir Direction, b []byte) (Message, int, *Error) {
	if len(b) == 0 {
		return nil, 0, ignored(b, "empty message")
	}
	create, n, code := newUplinkEMM, 2, MessageType(pdEMM<<8)
	switch {
	case b[0]&15 == pdESM:
		create, n, code = newUplinkESM, 3, pdESM<<8
		if dir == Downlink {
			create = newDownlinkESM
		}
	case b[0]&15 != pdEMM:
		return nil, 0, ignored(b, fmt.Sprintf("protocol discriminator %d is neither EMM nor ESM", b[0]&15))
	case b[0] >= byte(HeaderServiceRequest)<<4 && dir == Uplink: // 13 to 15 too, TS 24.301 §9.3.1
		return new(ServiceRequest), 1, nil
	case b[0] != pdEMM:
		return nil, 0, ignored(b, fmt.Sprintf("security header type %d: not a plain message", b[0]>>4))
	case dir == Downlink:
		create = newDownlinkEMM
	}
	if len(b) < n {
		return nil, 0, ignored(b, "too short for a message type")
	}
	code |= MessageType(b[n-1])
	m := create(b[n-1])
	if m == nil {
		e := &Error{Cause: EMMCauseMessageTypeNonExistentOrNotImplemented, Message: code, Offset: n - 1,
			Problem: "no such message in this direction"}
		e.header(b)
		return nil, 0, e
	}
	if s, ok := m.(ESM); ok {
		s.setHeader(id.EBI(b[0]>>4), PTI(b[1]))
	}
	return m, n, nil
}

// A reader walks through b along the table of msg.
type reader struct {
	dir  Direction
	msg  Message
	b    []byte
	pos  int
	high bool // the next half octet is bits 5 to 8 of b[pos]
}

func (r *reader) fail(row *row, at int, problem string) *Error {
	e := &Error{Cause: EMMCauseInvalidMandatoryInformation, Message: r.msg.MessageType(), Element: row.name, Offset: at, Problem: problem}
	e.header(r.b)
	return e
}

// mandatory reads the imperative part (TS 24.301 §7.5.1).
func (r *reader) mandatory() error {
	t := r.msg.table()
	for i := range t.mandatory() {
		row := &t.rows[i]
		at := r.pos
		val, ok := r.value(row)
		if !ok {
			return r.fail(row, at, "cut off")
		}
		if row.get == nil {
			continue
		}
		el, _ := row.get(r.msg)
		if err := r.decode(row, el, val); err != nil {
			return r.fail(row, at, err.Error())
		}
	}
	return nil
}

// value takes the value of an element whose IEI, if any, has been read. It
// tells whether all of it is there; if not, nothing is taken.
func (r *reader) value(row *row) ([]byte, bool) {
	head, n := 0, int(row.max)
	rest := r.b[r.pos:]
	switch row.format {
	case half:
		if len(rest) == 0 {
			return nil, false
		}
		val := nibble(rest[0] & 15)
		if r.high {
			val = nibble(rest[0] >> 4)
			r.pos++
		}
		r.high = !r.high
		return val, true
	case lv, tlv:
		head = 1
		if len(rest) < head {
			return nil, false
		}
		n = int(rest[0])
	case lve, tlve:
		head = 2
		if len(rest) < head {
			return nil, false
		}
		n = int(rest[0])<<8 | int(rest[1])
	}
	if len(rest) < head+n {
		return nil, false
	}
	r.pos += head + n
	return rest[head : head+n : head+n], true
}

// decode checks the length and reads the value. What is longer than the table
// allows comes from a later release: its known part is read.
func (r *reader) decode(row *row, el element, val []byte) error {
	if len(val) < int(row.min) {
		return problem(fmt.Sprintf("%d octets, want at least %d", len(val), row.min))
	}
	if len(val) > int(row.max) {
		val = val[:row.max]
	}
	if p, ok := el.(*PCO); ok {
		return p.decodeFrom(r.dir, val)
	}
	return el.decode(val)
}

// nibble is v as a slice, out of a table that nobody writes to, so that a half
// octet is decoded like any other value and without allocation.
func nibble(v byte) []byte { return nibbles[v : v+1 : v+1] }

var nibbles = [16]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}

// optional reads the elements with IEI. next is the first row that may still
// come: an element of an earlier row is repeated or out of sequence.
func (r *reader) optional() error {
	t := r.msg.table()
	first := t.mandatory()
	next := first
	for r.pos < len(r.b) {
		at := r.pos
		iei := r.b[at]
		i := find(t.rows, first, next, iei)
		if i < 0 {
			if iei>>4 == 0 { // TS 24.007 §11.2.4: comprehension required
				return r.fail(&row{name: fmt.Sprintf("IEI 0x%02x", iei)}, at, "unknown element, comprehension required")
			}
			r.skip()
			r.keep(at, &r.msg.rest().Unknown)
			continue
		}
		row := &t.rows[i]
		val, ok := r.tagged(row)
		el, has := row.get(r.msg)
		switch {
		case !ok:
			r.pos = len(r.b)
			r.keep(at, &r.msg.rest().Malformed)
		case *has:
			r.keep(at, &r.msg.rest().Repeated)
		case i < next && r.dir == Downlink:
			r.keep(at, &r.msg.rest().OutOfSequence)
		case r.decode(row, el, val) != nil:
			r.keep(at, &r.msg.rest().Malformed)
			next = max(next, i+1)
		default:
			*has = true
			next = max(next, i+1)
		}
	}
	return nil
}

// tagged takes an element with its IEI.
func (r *reader) tagged(row *row) ([]byte, bool) {
	r.pos++
	if row.format == tv1 {
		return nibble(r.b[r.pos-1] & 15), true
	}
	return r.value(row)
}

// find looks for the row of an IEI from next on, then among those before it;
// -1 is none.
func find(rows []row, first, next int, iei uint8) int {
	match := func(r *row) bool { return r.iei == iei || r.format == tv1 && r.iei == iei&0xf0 }
	for i := next; i < len(rows); i++ {
		if match(&rows[i]) {
			return i
		}
	}
	for i := first; i < next; i++ {
		if match(&rows[i]) {
			return i
		}
	}
	return -1
}

// skip passes over an element of unknown IEI, whose format follows from the
// IEI (TS 24.007 §11.2.4): bit 8 set is one octet, 0x78 to 0x7f have two
// octets of length, all others one.
func (r *reader) skip() {
	row := row{format: tlv}
	iei := r.b[r.pos]
	r.pos++
	if iei >= 0x80 {
		return
	}
	if iei >= 0x78 {
		row.format = tlve
	}
	if _, ok := r.value(&row); !ok {
		r.pos = len(r.b)
	}
}

// keep puts the octets from at to here aside and counts them.
func (r *reader) keep(at int, count *int) {
	u := r.msg.rest()
	*count++
	u.Octets = append(u.Octets, r.b[at:r.pos]...)
}

// Unparsed is what Parse found behind the mandatory elements and could not
// use: the elements whole, one after the other, and how many there were of
// each kind. Append puts the octets at the end of the message.
type Unparsed struct {
	Octets        []byte
	Unknown       int // IEI not in the table (TS 24.301 §7.6.1)
	Repeated      int // came once already (TS 24.301 §7.6.3)
	OutOfSequence int // should have come earlier (TS 24.301 §7.6.2)
	Malformed     int // length or content wrong (TS 24.301 §7.7.1)
}

// Count is the number of elements.
func (u *Unparsed) Count() int { return u.Unknown + u.Repeated + u.OutOfSequence + u.Malformed }
