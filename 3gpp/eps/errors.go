package eps

import (
	"fmt"

	"campanile.network/3gpp/id"
)

// Error is why a message was not understood: what is wrong, where, and the
// cause to answer with.
type Error struct {
	// Cause is the cause for the peer: from Parse #96, #97 or #100, from others
	// any. The numbers of protocol errors, #95 to #111, are the same in EMM and
	// ESM. Zero: the message is to be ignored (TS 24.301 §7.2.1).
	Cause   EMMCause
	Message MessageType // zero if not even that is known
	EBI     id.EBI      // of an ESM message
	PTI     PTI         // of an ESM message
	Element string      // the spec's name of the element; empty: the header
	Offset  int         // octets before the element
	Problem string
}

func (e *Error) Error() string {
	s := "NAS message"
	if e.Message != 0 {
		s = e.Message.String()
	}
	if e.Element != "" {
		s += ": " + e.Element
	}
	s += fmt.Sprintf(" at octet %d: %s", e.Offset+1, e.Problem)
	if e.Cause == 0 {
		return s + ", ignored"
	}
	return s + ", cause " + e.Cause.String()
}

// Status is the EMM STATUS or ESM STATUS that answers the error (TS 24.301
// §7.4, §7.5.1), or nil if the message is to be ignored. Some procedures
// answer a broken message with their own reject instead.
func (e *Error) Status() Message {
	switch {
	case e.Cause == 0:
		return nil
	case e.Message>>8 == pdESM:
		return &ESMStatus{EBI: e.EBI, PTI: e.PTI, Cause: ESMCause(e.Cause)}
	}
	return &EMMStatus{Cause: e.Cause}
}

// header notes the ESM header of b.
func (e *Error) header(b []byte) {
	if len(b) > 1 && b[0]&15 == pdESM {
		e.EBI, e.PTI = id.EBI(b[0]>>4), PTI(b[1])
	}
}

func ignored(b []byte, what string) *Error {
	e := &Error{Problem: what}
	e.header(b)
	return e
}

// A problem is what an element finds wrong with its value; the engine adds
// the rest.
type problem string

func (p problem) Error() string { return string(p) }
