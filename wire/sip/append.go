package sip

import (
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
		w.b = append(w.b, "Via: "...)
		w.b = m.Via[i].append(w.b)
		w.via(&m.Via[i])
		w.end("Via")
	}
	w.addresses("Route", m.Route)
	w.addresses("Record-Route", m.RecordRoute)
	if m.MaxForwards >= 0 {
		w.number("Max-Forwards", m.MaxForwards)
	}
	w.party("From", &m.From, m.IsRequest())
	w.party("To", &m.To, m.IsRequest())
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
		w.b = strconv.AppendUint(append(w.b, "CSeq: "...), uint64(m.CSeq.Seq), 10)
		w.b = append(append(append(w.b, ' '), m.CSeq.Method...), "\r\n"...)
	}
	if m.ContactStar {
		w.line("Contact", "*")
	}
	w.addresses("Contact", m.Contact)
	if m.Expires >= 0 {
		w.number("Expires", m.Expires)
	}
	for _, h := range m.Header {
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
func (m *Message) Bytes() ([]byte, error) { return m.Append(nil) }

// writer is a message being written.
type writer struct {
	b    []byte
	from int // where the line began that is checked at its end
	err  error
}

func (w *writer) fail(where, what string) {
	if w.err == nil {
		w.err = &Error{Where: where, Offset: -1, What: "cannot be written: " + what, Status: 500, Fatal: true}
	}
}

func (w *writer) startLine(m *Message) {
	w.from = len(w.b)
	if !m.IsRequest() {
		if m.Status < 100 || m.Status > 699 || control(m.Reason) >= 0 {
			w.fail("status line", "status or reason")
		}
		w.b = strconv.AppendInt(append(w.b, "SIP/2.0 "...), int64(m.Status), 10)
		w.b = append(append(append(w.b, ' '), m.Reason...), "\r\n"...)
		return
	}
	if !token(string(m.Method)) {
		w.fail("request line", "method "+strconv.Quote(string(m.Method)))
	}
	if m.URI.Headers != nil {
		w.fail("request line", "header fields in the Request-URI")
	}
	w.uri("request line", &m.URI)
	w.b = append(append(w.b, m.Method...), ' ')
	w.b = append(m.URI.Append(w.b), " SIP/2.0\r\n"...)
}

// line writes a value that has no escapes.
func (w *writer) line(name, value string) {
	if control(value) >= 0 {
		w.fail(name, "a control character")
	}
	w.b = append(append(append(append(w.b, name...), ": "...), value...), "\r\n"...)
}

func (w *writer) number(name string, n int) {
	w.b = strconv.AppendInt(append(append(w.b, name...), ": "...), int64(n), 10)
	w.b = append(w.b, "\r\n"...)
}

// end ends a line.
func (w *writer) end(string) { w.b = append(w.b, "\r\n"...) }

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
	w.uri(name, &a.URI)
	w.params(name, a.Params)
	if strings.ContainsAny(a.Name, "\r\n") {
		w.fail(name, "a line end in the display name")
	}
	w.b = append(append(w.b, name...), ": "...)
	w.b = a.append(w.b)
	w.end(name)
}

func (w *writer) via(v *Via) {
	if v.Transport == "" || !all(v.Transport, isToken|isSlash) || !isHostName(v.Host) || v.Port < 0 || v.Port > 65535 {
		w.fail("Via", "transport, host or port")
	}
	w.params("Via", v.Params)
}

func (w *writer) params(where string, p Params) {
	for i := range p {
		if !token(p[i].Name) {
			w.fail(where, "parameter "+strconv.Quote(p[i].Name))
		}
		if strings.ContainsAny(p[i].Value, "\r\n") {
			w.fail(where, "a line end in parameter "+p[i].Name)
		}
	}
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

func (a *Address) append(b []byte) []byte {
	if a.unread() {
		return append(b, a.URI.Opaque...)
	}
	if a.Name != "" {
		b = append(appendQuoted(b, a.Name), ' ')
	}
	b = append(a.URI.Append(append(b, '<')), '>')
	return a.Params.append(b)
}

func (v *Via) append(b []byte) []byte {
	if strings.IndexByte(v.Transport, '/') < 0 {
		b = append(b, "SIP/2.0/"...)
	}
	b = append(append(b, v.Transport...), ' ')
	return v.Params.append(appendHostPort(b, v.Host, v.Port))
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
