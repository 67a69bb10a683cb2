package digest

import (
	"fmt"
	"strings"
)

// Bounds of what is read.
const (
	maxLength = 4096 // octets of a header field
	maxParams = 32
)

// params are the parameters of a header field, with names in lower case.
type params []param

type param struct{ name, value string }

func (p params) lookup(name string) (string, bool) {
	for _, v := range p {
		if v.name == name {
			return v.value, true
		}
	}
	return "", false
}

func (p params) get(name string) string {
	v, _ := p.lookup(name)
	return v
}

// parse reads "Digest" and its parameters. OpenBTS writes a comma after the
// scheme, leaves quotes out and puts more than one space; an element may be
// empty (RFC 9110 §5.6.1). One that stands twice is an error: two readers might
// take one each.
func parse(s string) (params, error) {
	if len(s) > maxLength {
		return nil, ErrTooLong
	}
	s = strings.Trim(s, " \t\r\n")
	const scheme = "Digest"
	if len(s) < len(scheme) || !strings.EqualFold(s[:len(scheme)], scheme) {
		return nil, ErrScheme
	}
	s = s[len(scheme):]
	if s != "" && !strings.ContainsRune(" \t\r\n,", rune(s[0])) {
		return nil, ErrScheme
	}
	return parseList(s)
}

// parseList reads name=value pairs with commas between them.
func parseList(s string) (params, error) {
	p := make(params, 0, 12)
	for {
		s = strings.TrimLeft(s, " \t\r\n,")
		if s == "" {
			return p, nil
		}
		name, rest, ok := strings.Cut(s, "=")
		name = strings.ToLower(strings.TrimRight(name, " \t\r\n"))
		if !ok || !isToken(name) {
			return nil, fmt.Errorf("%w at %.20q", ErrSyntax, s)
		}
		var value string
		if value, s, ok = takeValue(strings.TrimLeft(rest, " \t\r\n")); !ok {
			return nil, fmt.Errorf("%w in the value of %.20s", ErrSyntax, name)
		}
		if _, twice := p.lookup(name); twice {
			return nil, fmt.Errorf("%w: %.20s", ErrTwice, name)
		}
		if p = append(p, param{name, value}); len(p) > maxParams {
			return nil, ErrTooLong
		}
	}
}

// takeValue takes a quoted string or what stands before the next comma or space.
func takeValue(s string) (value, rest string, ok bool) {
	if !strings.HasPrefix(s, `"`) {
		n := strings.IndexAny(s, ", \t\r\n")
		if n < 0 {
			n = len(s)
		}
		value, rest = s[:n], s[n:]
		return value, rest, clean(value) && !strings.Contains(value, `"`) && ended(rest)
	}
	if n := strings.IndexAny(s[1:], `"\`) + 1; n > 0 && s[n] == '"' {
		return s[1:n], s[n+1:], clean(s[1:n]) && ended(s[n+1:])
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return b.String(), s[i+1:], clean(b.String()) && ended(s[i+1:])
		case c == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", "", false
}

// ended says whether a value ends where rest begins.
func ended(rest string) bool {
	rest = strings.TrimLeft(rest, " \t\r\n")
	return rest == "" || rest[0] == ','
}

// clean says that a value has no control characters: it may go into a header
// field and a log.
func clean(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] == 0x7f {
			return false
		}
	}
	return true
}

func isToken(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`()<>@,;:\"/[]?={}`, c) >= 0 {
			return false
		}
	}
	return s != ""
}

// writer writes parameters. What would end the line becomes a space: nobody may
// write a header field of his own into a message.
type writer struct{ b strings.Builder }

func (w *writer) raw(name, value string) {
	if w.b.Len() > len("Digest ") {
		w.b.WriteString(", ")
	}
	w.b.WriteString(name + "=")
	w.b.WriteString(value)
}

func (w *writer) quoted(name, value string) {
	w.raw(name, "")
	w.b.WriteByte('"')
	for i := range len(value) {
		switch c := value[i]; {
		case c < ' ' || c == 0x7f:
			w.b.WriteByte(' ')
			continue
		case c == '"' || c == '\\':
			w.b.WriteByte('\\')
		}
		w.b.WriteByte(value[i])
	}
	w.b.WriteByte('"')
}

func (w *writer) quotedIf(name, value string) {
	if value != "" {
		w.quoted(name, value)
	}
}
