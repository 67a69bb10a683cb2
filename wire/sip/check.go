package sip

import (
	"slices"
	"strings"
)

// Validate says what RFC 3261 wants of every message beyond its grammar: From,
// To, Call-ID, CSeq and Via are there (§8.1.1), CSeq has the request's method
// (§8.1.1.5), "*" in Contact removes bindings and nothing else (§10.3).
func (m *Message) Validate() error {
	if err := m.validate(); err != nil {
		return err
	}
	return nil
}

func (m *Message) validate() *Error {
	fail := func(where, what string) *Error {
		return &Error{Where: where, Offset: -1, What: what, Status: 400,
			Fatal: !m.IsRequest() || m.Method == MethodAck || len(m.Via) == 0}
	}
	const missing = "is missing"
	switch {
	case len(m.Via) == 0:
		return fail("Via", missing)
	case m.From.URI.Scheme == "":
		return fail("From", missing)
	case m.To.URI.Scheme == "":
		return fail("To", missing)
	case m.CallID == "":
		return fail("Call-ID", missing)
	case m.CSeq.Method == "":
		return fail("CSeq", missing)
	case m.IsRequest() && m.CSeq.Method != m.Method:
		return fail("CSeq", "its method "+string(m.CSeq.Method)+" is not "+string(m.Method))
	case m.ContactStar && (m.Method != MethodRegister || m.Expires != 0):
		return fail("Contact", `"*" is for a REGISTER with Expires: 0`)
	}
	return nil
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
// the header fields of request m ask for, in the order of RFC 3261 §8.2.
// Header fields that the answer must have are in the Error: see Error.Response.
// A nil error comes as nil.
func Check(m *Message, c Capabilities) error {
	if err := m.validate(); err != nil {
		return err
	}
	if !m.IsRequest() {
		return nil
	}
	for _, check := range []func(*Message) *Error{c.method, c.uri, c.forwards, c.require, c.body, c.accept} {
		if err := check(m); err != nil {
			err.Offset, err.Fatal = -1, m.Method == MethodAck
			return err
		}
	}
	return nil
}

func (c *Capabilities) method(m *Message) *Error {
	if c.Methods == nil || slices.Contains(c.Methods, m.Method) {
		return nil
	}
	if !m.Method.Known() {
		return &Error{Where: "request line", What: "unknown method " + string(m.Method), Status: 501}
	}
	return &Error{Where: "request line", What: "method " + string(m.Method) + " is not done here", Status: 405,
		Header: []Header{{"Allow", joined(c.Methods)}}}
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

func (c *Capabilities) uri(m *Message) *Error {
	if c.Schemes == nil || slices.Contains(c.Schemes, m.URI.Scheme) {
		return nil
	}
	return &Error{Where: "request line", What: "URI scheme " + m.URI.Scheme + " is not done here", Status: 416}
}

func (c *Capabilities) forwards(m *Message) *Error {
	if !c.Forwards || m.MaxForwards != 0 {
		return nil
	}
	return &Error{Where: "Max-Forwards", What: "is 0", Status: 483}
}

// require leaves ACK and CANCEL alone (RFC 3261 §8.2.2.3).
func (c *Capabilities) require(m *Message) *Error {
	if c.Extensions == nil || m.Method == MethodAck || m.Method == MethodCancel {
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
	return &Error{Where: "Require", What: "extensions not done here: " + joined(tags), Status: 420, Header: []Header{{"Unsupported", joined(tags)}}}
}

// body judges a body that must be understood (RFC 3261 §8.2.3).
func (c *Capabilities) body(m *Message) *Error {
	if len(m.Body) == 0 || strings.Contains(strings.ToLower(m.Get("Content-Disposition")), "handling=optional") {
		return nil
	}
	if t := m.MediaType(); c.Bodies != nil && !slices.Contains(c.Bodies, t) {
		return &Error{Where: "Content-Type", What: "bodies of type " + t + " are not read here", Status: 415, Header: []Header{{"Accept", joined(c.Bodies)}}}
	}
	for _, e := range m.List("Content-Encoding") {
		if e = strings.ToLower(e); c.Bodies != nil && e != "identity" && !slices.Contains(c.Encodings, e) {
			return &Error{Where: "Content-Encoding", What: "bodies of encoding " + e + " are not read here", Status: 415,
				Header: []Header{{"Accept-Encoding", joined(append([]string{"identity"}, c.Encodings...))}}}
		}
	}
	return nil
}

func (c *Capabilities) accept(m *Message) *Error {
	if _, ok := m.Lookup("Accept"); !ok || c.Answers == nil {
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
	return &Error{Where: "Accept", What: "has none of " + joined(c.Answers), Status: 406}
}

// MediaType is the type of the body in lower case, without parameters.
func (m *Message) MediaType() string { return mediaType(m.ContentType) }

func mediaType(s string) string {
	s, _, _ = strings.Cut(s, ";")
	kind, sub, _ := strings.Cut(s, "/")
	if kind = strings.TrimSpace(kind); kind == "" {
		return ""
	}
	return strings.ToLower(kind + "/" + strings.TrimSpace(sub))
}
