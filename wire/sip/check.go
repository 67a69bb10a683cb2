package sip

import (
	"cmp"
	"slices"
	"strings"
)

// Validate says what RFC 3261 wants of every message beyond its grammar: From,
// To, Call-ID, CSeq and Via are there (§8.1.1), CSeq has the request's method
// (§8.1.1.5), "*" in Contact removes bindings and nothing else (§10.3).
func (m *Message) Validate() error {
	return first(m.complete(), m.consistent())
}

// first is the first error of several; none is a nil error.
func first(errs ...*Error) error {
	if err := cmp.Or(errs...); err != nil {
		return err
	}
	return nil
}

func (m *Message) complete() *Error {
	missing := ""
	switch {
	case len(m.Via) == 0:
		missing = "Via"
	case m.From.URI.Scheme == "":
		missing = "From"
	case m.To.URI.Scheme == "":
		missing = "To"
	case m.CallID == "":
		missing = "Call-ID"
	case m.CSeq.Method == "":
		missing = "CSeq"
	default:
		return nil
	}
	return m.refused(missing, "is missing", 400)
}

func (m *Message) consistent() *Error {
	switch {
	case m.IsRequest() && m.CSeq.Method != m.Method:
		return m.refused("CSeq", "its method "+string(m.CSeq.Method)+" is not "+string(m.Method), 400)
	case m.ContactStar && (m.Method != MethodRegister || m.Expires != 0):
		return m.refused("Contact", `"*" is for a REGISTER with Expires: 0`, 400)
	}
	return nil
}

// refused is an error in the whole of m.
func (m *Message) refused(where, what string, status int, header ...Header) *Error {
	return &Error{Where: where, Offset: -1, What: what, Status: status, Header: header,
		Fatal: !m.IsRequest() || m.Method == MethodAck || len(m.Via) == 0}
}

// Capabilities are what an element does. Nil lists are not checked.
type Capabilities struct {
	Methods    []Method // of requests: 405 or 501
	Schemes    []string // of the Request-URI, in lower case: 416
	Extensions []string // option tags that Require may have: 420
	Bodies     []string // media types of bodies, in lower case: 415
	Encodings  []string // of bodies, beside identity: 415
	Answers    []string // media types of which Accept, where it is there, must have one: 406
	Forwards   bool     // requests go on to somebody else: Max-Forwards 0 is 483, Proxy-Require counts as Require does
}

// Check is Validate, and whether an element with these capabilities does what
// the header fields of request m ask for, in the order of RFC 3261 §8.2; of a
// response, whether its only Via is ours (§8.1.3.3). Header fields that the
// answer must have are in the Error: see Error.Response.
func Check(m *Message, c Capabilities) error {
	return first(m.complete(), c.method(m), m.consistent(), c.oneVia(m), c.uri(m), c.forwards(m), c.require(m), c.body(m), c.accept(m))
}

func (c *Capabilities) method(m *Message) *Error {
	switch {
	case c.Methods == nil || !m.IsRequest() || slices.Contains(c.Methods, m.Method):
		return nil
	case !m.Method.Known():
		return m.refused("request line", "unknown method "+string(m.Method), 501)
	}
	return m.refused("request line", "method "+string(m.Method)+" is not done here", 405, Header{"Allow", joined(c.Methods)})
}

func (c *Capabilities) oneVia(m *Message) *Error {
	if m.IsRequest() || len(m.Via) == 1 {
		return nil
	}
	return m.refused("Via", "a response for somebody behind us", 0)
}

func joined[S ~string](list []S) string {
	var b strings.Builder
	for i, s := range list {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(string(s))
	}
	return b.String()
}

// uri judges the Request-URI, and the address of record of a REGISTER (RFC 3261 §10.3).
func (c *Capabilities) uri(m *Message) *Error {
	switch {
	case c.Schemes == nil || !m.IsRequest():
	case !slices.Contains(c.Schemes, m.URI.Scheme):
		return m.refused("request line", "URI scheme "+m.URI.Scheme+" is not done here", 416)
	case m.Method == MethodRegister && !slices.Contains(c.Schemes, m.To.URI.Scheme):
		return m.refused("To", "URI scheme "+m.To.URI.Scheme+" is none of a subscriber", 400)
	}
	return nil
}

func (c *Capabilities) forwards(m *Message) *Error {
	if !c.Forwards || m.MaxForwards != 0 {
		return nil
	}
	return m.refused("Max-Forwards", "is 0", 483)
}

// require leaves ACK and CANCEL alone (RFC 3261 §8.2.2.3).
func (c *Capabilities) require(m *Message) *Error {
	if c.Extensions == nil || !m.IsRequest() || m.Method == MethodAck || m.Method == MethodCancel {
		return nil
	}
	tags := m.List("Require")
	if c.Forwards {
		tags = append(tags, m.List("Proxy-Require")...)
	}
	tags = slices.DeleteFunc(tags, func(tag string) bool { return slices.Contains(c.Extensions, tag) })
	if len(tags) == 0 {
		return nil
	}
	return m.refused("Require", "extensions not done here: "+joined(tags), 420, Header{"Unsupported", joined(tags)})
}

// body judges a body that must be understood (RFC 3261 §8.2.3).
func (c *Capabilities) body(m *Message) *Error {
	if c.Bodies == nil || !m.IsRequest() || len(m.Body) == 0 || strings.Contains(strings.ToLower(m.Get("Content-Disposition")), "handling=optional") {
		return nil
	}
	if t := m.MediaType(); !slices.Contains(c.Bodies, t) {
		return m.refused("Content-Type", "bodies of type "+t+" are not read here", 415, Header{"Accept", joined(c.Bodies)})
	}
	for _, e := range m.List("Content-Encoding") {
		if e = strings.ToLower(e); e != "identity" && !slices.Contains(c.Encodings, e) {
			return m.refused("Content-Encoding", "bodies of encoding "+e+" are not read here", 415,
				Header{"Accept-Encoding", joined(append([]string{"identity"}, c.Encodings...))})
		}
	}
	return nil
}

func (c *Capabilities) accept(m *Message) *Error {
	if _, ok := m.Lookup("Accept"); !ok || c.Answers == nil || !m.IsRequest() {
		return nil
	}
	for _, a := range m.List("Accept") {
		a = mediaType(a)
		for _, have := range c.Answers {
			if group, all := strings.CutSuffix(a, "*"); a == "*/*" || a == have || all && strings.HasPrefix(have, group) {
				return nil
			}
		}
	}
	return m.refused("Accept", "has none of "+joined(c.Answers), 406)
}

// MediaType is the type of the body in lower case, without parameters.
func (m *Message) MediaType() string { return mediaType(m.ContentType) }

func mediaType(s string) string {
	s, _, _ = strings.Cut(s, ";")
	s = strings.ToLower(strings.TrimSpace(s))
	if strings.ContainsAny(s, " \t") { // around the slash
		s = strings.Join(strings.Fields(s), "")
	}
	return s
}
