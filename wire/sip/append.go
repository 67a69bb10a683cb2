package sip

import (
	"bytes"
	"strconv"
	"strings"
)

// Append writes m behind b. Content-Length is the body's. It refuses, with an
// *Error that names the field, what would not be read as it was meant: line
// ends and control characters, names that are no tokens, hosts that are none, a
// header field of Message in Header, a request without what every request has.
func (m *Message) Append(b []byte) ([]byte, error) {
	w := writer{b: b}
	w.startLine(m)
	for i := range m.Via {
		w.via(&m.Via[i])
	}
	w.addresses("Route", m.Route)
	w.addresses("Record-Route", m.RecordRoute)
	if m.MaxForwards >= 0 {
		w.number("Max-Forwards", m.MaxForwards)
	}
	w.party("From", &m.From, m.IsRequest())
	w.party("To", &m.To, m.IsRequest())
	w.dialog(m)
	if m.ContactStar {
		w.line("Contact", "*")
	}
	w.addresses("Contact", m.Contact)
	if m.Expires >= 0 {
		w.number("Expires", m.Expires)
	}
	for i := range m.Header {
		h := &m.Header[i]
		if f, _ := known(h.Name); f != other || !token(h.Name) {
			w.fail(strconv.Quote(h.Name), "is no name for a field in Header")
		}
		w.line(h.Name, h.Value)
	}
	if m.ContentType != "" {
		w.line("Content-Type", m.ContentType)
	}
	w.number("Content-Length", len(m.Body))
	w.b = append(append(w.b, "\r\n"...), m.Body...)
	if w.err != nil {
		return b, w.err
	}
	return w.b, nil
}

// Bytes is Append to nothing.
func (m *Message) Bytes() ([]byte, error) { return m.Append(make([]byte, 0, 1024)) }

// writer is a message being written.
type writer struct {
	b    []byte
	from int // where the line begins
	err  error
}

func (w *writer) fail(where, what string) {
	if w.err == nil {
		w.err = &Error{Where: where, Offset: -1, What: "cannot be written: " + what, Status: 500, Fatal: true}
	}
}

// begin begins a header field.
func (w *writer) begin(name string) {
	w.from = len(w.b)
	w.b = append(append(w.b, name...), ": "...)
}

// end ends a line, and sees to it that it is one.
func (w *writer) end(name string) {
	if line := w.b[w.from:]; bytes.IndexByte(line, '\n') >= 0 || bytes.IndexByte(line, '\r') >= 0 {
		w.fail(name, "a line end")
	}
	w.b = append(w.b, "\r\n"...)
}

func (w *writer) startLine(m *Message) {
	w.from = len(w.b)
	if m.IsRequest() {
		const where = "request line"
		if !token(string(m.Method)) {
			w.fail(where, "method "+strconv.Quote(string(m.Method)))
		}
		if m.URI.Headers != nil {
			w.fail(where, "header fields in the Request-URI")
		}
		w.b = append(append(w.b, m.Method...), ' ')
		w.uri(where, &m.URI)
		w.b = append(w.b, " SIP/2.0"...)
		w.end(where)
		return
	}
	const where = "status line"
	if m.Status < 100 || m.Status > 699 || control(m.Reason) >= 0 {
		w.fail(where, "status or reason")
	}
	w.b = strconv.AppendInt(append(w.b, "SIP/2.0 "...), int64(m.Status), 10)
	w.b = append(append(w.b, ' '), m.Reason...)
	w.end(where)
}

// dialog writes Call-ID and CSeq. The answer to a request without them has none.
func (w *writer) dialog(m *Message) {
	if m.CallID != "" || m.IsRequest() {
		if err := callIDError(m.CallID); err != nil {
			w.fail("Call-ID", err.What)
		}
		w.line("Call-ID", m.CallID)
	}
	if m.CSeq.Method != "" || m.IsRequest() {
		if !token(string(m.CSeq.Method)) || m.CSeq.Seq >= 1<<31 {
			w.fail("CSeq", "no number less than 2^31 and method")
		}
		w.begin("CSeq")
		w.b = strconv.AppendUint(w.b, uint64(m.CSeq.Seq), 10)
		w.b = append(append(w.b, ' '), m.CSeq.Method...)
		w.end("CSeq")
	}
}

// line writes a value that has no escapes.
func (w *writer) line(name, value string) {
	if control(value) >= 0 {
		w.fail(name, "a control character")
	}
	w.begin(name)
	w.b = append(append(w.b, value...), "\r\n"...)
}

func (w *writer) number(name string, n int) {
	w.begin(name)
	w.b = append(strconv.AppendInt(w.b, int64(n), 10), "\r\n"...)
}

func (w *writer) party(name string, a *Address, must bool) {
	switch {
	case a.unread():
		w.line(name, a.URI.Opaque)
	case a.URI.Scheme != "" || must:
		w.address(name, a)
	}
}

func (w *writer) addresses(name string, list []Address) {
	for i := range list {
		w.address(name, &list[i])
	}
}

func (w *writer) address(name string, a *Address) {
	w.begin(name)
	if a.Name != "" {
		w.b = append(appendQuoted(w.b, a.Name), ' ')
	}
	w.b = append(w.b, '<')
	w.uri(name, &a.URI)
	w.b = append(w.b, '>')
	w.params(name, a.Params)
	w.end(name)
}

func (w *writer) via(v *Via) {
	if v.Transport == "" || !all(v.Transport, isToken|isSlash) || !isHostName(v.Host) || v.Port < 0 || v.Port > 65535 {
		w.fail("Via", "transport, host or port")
	}
	w.begin("Via")
	w.b = v.appendSentBy(w.b)
	w.params("Via", v.Params)
	w.end("Via")
}

func (w *writer) params(where string, p Params) {
	for i := range p {
		if !token(p[i].Name) {
			w.fail(where, "parameter "+strconv.Quote(p[i].Name))
		}
	}
	w.b = p.append(w.b)
}

func (w *writer) uri(where string, u *URI) {
	switch u.Scheme {
	case "sip", "sips":
		if !isHostName(u.Host) || u.Port < 0 || u.Port > 65535 {
			w.fail(where, "host "+strconv.Quote(u.Host))
		}
	case "tel":
	default:
		if !isScheme(u.Scheme) || u.Opaque == "" || !all(u.Opaque, isOpaque) {
			w.fail(where, "no URI")
		}
	}
	w.b = u.Append(w.b)
}

func isHostName(s string) bool {
	if strings.IndexByte(s, ':') < 0 {
		return s != "" && all(s, isHost)
	}
	c := cursor{s: "[" + s + "]"}
	_, err := c.host()
	return err == nil && !c.more()
}

// unread reports whether a is what could not be read of a request, and goes
// into its answer as it came.
func (a *Address) unread() bool { return a.URI.Scheme == "" && a.URI.Opaque != "" }

func (v *Via) appendSentBy(b []byte) []byte {
	if strings.IndexByte(v.Transport, '/') < 0 {
		b = append(b, "SIP/2.0/"...)
	}
	return appendHostPort(append(append(b, v.Transport...), ' '), v.Host, v.Port)
}

func (p Params) append(b []byte) []byte {
	for i := range p {
		b = append(append(b, ';'), p[i].Name...)
		if !p[i].HasValue {
			continue
		}
		b = append(b, '=')
		if p[i].Quoted || p[i].Value == "" || !all(p[i].Value, isValue) {
			b = appendQuoted(b, p[i].Value)
		} else {
			b = append(b, p[i].Value...)
		}
	}
	return b
}

func appendQuoted(b []byte, s string) []byte {
	b = append(b, '"')
	for i := range len(s) {
		if c := s[i]; c == '"' || c == '\\' || c < 0x20 && c != '\t' || c == 0x7f {
			b = append(b, '\\')
		}
		b = append(b, s[i])
	}
	return append(b, '"')
}
