package sms

import (
	"bytes"
	"errors"
	"fmt"

	"campanile.network/3gpp/tree"
)

type mode uint8

const (
	reading mode = iota
	writing
	showing
)

// A walker goes through the fields of a message in the order of the
// specification's table and reads, writes or shows each of them: a message is
// one list of calls for all three. After an error nothing more happens.
type walker struct {
	mode  mode
	fault Error // what an error begins with: message and causes
	err   *Error

	b     []byte // reading: the message; writing: what is appended to
	start int    // writing: where the message begins in b
	pos   int    // reading: the next octet
	head  byte   // the first octet as the fields say it
	nodes []tree.Node
}

// walk goes through m. The switch, in place of a method of Message, lets the
// walker stay on the stack.
func walk(w *walker, m Message) {
	switch m := m.(type) {
	case *CPData:
		m.walk(w)
	case *CPAck:
		m.walk(w)
	case *CPError:
		m.walk(w)
	case *RPData:
		m.walk(w)
	case *RPAck:
		m.walk(w)
	case *RPError:
		m.walk(w)
	case *RPSMMA:
		m.walk(w)
	case *Deliver:
		m.walk(w)
	case *DeliverReport:
		m.walk(w)
	case *Submit:
		m.walk(w)
	case *SubmitReport:
		m.walk(w)
	case *StatusReport:
		m.walk(w)
	case *Command:
		m.walk(w)
	}
}

// read reads m, whose kind the caller knows from the first octet.
func read(m Message, fault Error, b []byte) *Error {
	fault.Message = m.MessageType()
	w := walker{mode: reading, fault: fault, b: b}
	walk(&w, m)
	return w.err
}

// Append appends m to dst. It fails, with an *Error and dst as it was, if a
// mandatory field has no value or a value does not fit.
func Append(dst []byte, m Message) ([]byte, error) {
	if m == nil {
		return dst, errors.New("no message to append")
	}
	w := walker{mode: writing, b: dst, start: len(dst)}
	w.fault.Message = m.MessageType()
	walk(&w, m)
	if w.err != nil {
		return dst, w.err
	}
	return w.b, nil
}

// Tree shows m with the specification's names, and what it carries: the RPDU
// in a CP-DATA, the TPDU in an RPDU, the text in a TPDU. Numbers, names and
// texts have masks.
func Tree(m Message) tree.Node {
	w := walker{mode: showing}
	walk(&w, m)
	return tree.Branch(m.MessageType().String(), w.nodes...)
}

func text(m Message) string { return tree.View{Mask: true}.Text(Tree(m)) }

func (w *walker) fail(element string, at int, format string, args ...any) {
	if w.err == nil {
		w.err = w.fault.at(element, at, format, args...)
	}
}

// take gives the next n octets of the message that is read, or nil.
func (w *walker) take(name string, n int) []byte {
	if w.err != nil {
		return nil
	}
	rest := w.b[w.pos:]
	if len(rest) < n {
		w.fail(name, w.pos, "cut off: %d octets, want %d", len(rest), n)
		return nil
	}
	w.pos += n
	return rest[:n:n]
}

func (w *walker) leaf(name string, value any) { w.nodes = append(w.nodes, tree.Leaf(name, value)) }

func (w *walker) masked(name string, value any, mask string) {
	w.nodes = append(w.nodes, tree.Node{Name: name, Value: value, Masked: mask})
}

// first begins a message: v is its type in the first octet.
func (w *walker) first(name string, v byte) {
	w.head = v
	switch w.mode {
	case reading:
		w.take(name, 1)
	case writing:
		w.b = append(w.b, 0)
	case showing:
		w.leaf(name, v)
	}
}

// flag is a bit of the first octet.
func (w *walker) flag(name string, bit uint8, p *bool) {
	switch w.mode {
	case reading:
		*p = w.b[0]>>bit&1 == 1
	case showing:
		w.leaf(name, *p)
	}
	if *p {
		w.head |= 1 << bit
	}
}

// end ends a message.
func (w *walker) end(x *Extra) {
	switch w.mode {
	case reading:
		if w.err == nil {
			x.Spare = w.b[0] ^ w.head
			x.Octets = clone(w.b[w.pos:])
		}
	case writing:
		w.b[w.start] = w.head ^ x.Spare
		w.b = append(w.b, x.Octets...)
	case showing:
		if x.Spare != 0 {
			w.leaf("spare bits", fmt.Sprintf("0x%02x", x.Spare))
		}
		if len(x.Octets) > 0 {
			w.masked("unknown", x.Octets, octets(len(x.Octets)))
		}
	}
}

func octet[T ~uint8](w *walker, name string, p *T) {
	switch w.mode {
	case reading:
		if v := w.take(name, 1); v != nil {
			*p = T(v[0])
		}
	case writing:
		w.b = append(w.b, byte(*p))
	case showing:
		w.leaf(name, *p)
	}
}

// counted is a length octet and that many octets; see carried.
func (w *walker) counted(name string, p *[]byte, limit int) {
	switch w.mode {
	case reading:
		at := w.pos
		n := w.take(name, 1)
		if n == nil {
			return
		}
		if int(n[0]) > limit {
			w.fail(name, at, "%d octets, want at most %d", n[0], limit)
			return
		}
		if v := w.take(name, int(n[0])); v != nil {
			*p = append([]byte{}, v...)
		}
	case writing:
		if len(*p) > limit {
			w.fail(name, len(w.b)-w.start, "%d octets, want at most %d", len(*p), limit)
			return
		}
		w.b = append(w.b, byte(len(*p)))
		w.b = append(w.b, *p...)
	}
}

// tagged is an optional element with an identifier and a length, absent if nil.
// One that is cut off counts as unknown; see carried.
func (w *walker) tagged(name string, iei byte, p *[]byte, limit int) {
	switch w.mode {
	case reading:
		rest := w.b[min(w.pos, len(w.b)):]
		if w.err != nil || len(rest) < 2 || rest[0] != iei || int(rest[1]) > min(len(rest)-2, limit) {
			return
		}
		w.pos++
	case writing:
		if *p == nil {
			return
		}
		w.b = append(w.b, iei)
	}
	w.counted(name, p, limit)
}

// carried shows the message in the field b, as read reads it.
func carried[M Message](w *walker, name string, b []byte, read func() (M, error)) {
	if w.mode != showing || b == nil {
		return
	}
	m, err := read()
	if err != nil {
		w.masked(name, b, octets(len(b)))
		w.leaf(name+": problem", err.Error())
		return
	}
	w.nodes = append(w.nodes, tree.Branch(name, Tree(m)))
}

func clone(b []byte) []byte { return bytes.Clone(orNil(b)) }

func octets(n int) string { return fmt.Sprintf("%d octets", n) }
