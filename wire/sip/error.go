package sip

import (
	"fmt"
	"slices"
	"strconv"
)

// Error says what is wrong with a message. Parse, ReadStream, Validate and
// Check return no other type.
type Error struct {
	Where  string   // the header field, or "request line", "status line", "message"
	Offset int      // octets from the beginning of the message, or of what was parsed; -1: nowhere in particular
	What   string   // in words
	Status int      // the status that answers a request
	Fatal  bool     // there is nobody to answer: a response, an ACK, no Via to send by
	Lost   bool     // of a stream: nobody knows where the next message begins
	Header []Header // header fields that an answer carries: Unsupported, Allow, Accept
}

// Error implements error.
func (e *Error) Error() string {
	s := "sip: " + e.Where
	if e.Offset >= 0 {
		s += " (octet " + strconv.Itoa(e.Offset) + ")"
	}
	return s + ": " + e.What
}

// Response is the answer to request m, or nil if it has none. The phrase of a
// 400 says what is wrong (RFC 3261 §21.4.1).
func (e *Error) Response(m *Message) *Message {
	if e.Fatal || m == nil || !m.IsRequest() || m.Method == MethodAck {
		return nil
	}
	reason := ""
	if e.Status == 400 {
		reason = Phrase(400) + " (" + e.Where + ": " + e.What + ")"
	}
	r := m.Response(e.Status, reason)
	r.Header = append(r.Header, slices.Clone(e.Header)...)
	return r
}

// wrong is an error at a place in a value.
func wrong(offset int, format string, a ...any) *Error {
	return &Error{Offset: offset, What: fmt.Sprintf(format, a...), Status: 400}
}

// in names the place of an error in a part of the message.
func (e *Error) in(where string, base int) *Error {
	if e == nil {
		return nil
	}
	e.Where, e.Offset = where, e.Offset+base
	return e
}
