package sip

import "strings"

// What parameters are bounded by.
const (
	maxParams = 1024 // in a message
	maxOwn    = 64   // of one URI, address or Via
)

// cursor reads the value of a header field from its beginning to its end.
type cursor struct {
	s    string
	i    int
	pool []Param // what lists of parameters are cut from
}

func (c *cursor) fail(what string) *Error { return wrong(c.i, "%s", what) }

func (c *cursor) more() bool { return c.i < len(c.s) }

// at reports whether the next octet is b.
func (c *cursor) at(b byte) bool { return c.i < len(c.s) && c.s[c.i] == b }

// skip passes white space.
func (c *cursor) skip() {
	for c.i < len(c.s) && (c.s[c.i] == ' ' || c.s[c.i] == '\t') {
		c.i++
	}
}

// take passes b and white space on both sides of it.
func (c *cursor) take(b byte) bool {
	if !c.at(b) {
		if c.skip(); !c.at(b) {
			return false
		}
	}
	c.i++
	c.skip()
	return true
}

// run takes octets of a class.
func (c *cursor) run(bits uint16) string {
	s, i := c.s, c.i
	for i < len(s) && class[s[i]]&bits != 0 {
		i++
	}
	s = s[c.i:i]
	c.i = i
	return s
}

// quoted takes a quoted string and undoes its escapes.
func (c *cursor) quoted() (string, *Error) {
	start := c.i
	c.i++
	escapes := 0
	for c.more() {
		switch b := c.s[c.i]; {
		case b == '"':
			s := c.s[start+1 : c.i]
			c.i++
			if escapes > 0 {
				s = unquote(s, escapes)
			}
			return s, nil
		case b == '\\':
			c.i++
			escapes++
			if !c.more() || c.s[c.i] == '\r' || c.s[c.i] == '\n' {
				return "", c.fail("a backslash escapes nothing")
			}
		case b < 0x20 && b != '\t' || b == 0x7f:
			return "", c.fail("a control character in a quoted string")
		}
		c.i++
	}
	c.i = start
	return "", c.fail("a quoted string does not end")
}

func unquote(s string, escapes int) string {
	var b strings.Builder
	b.Grow(len(s) - escapes)
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// params takes the parameters behind a value: *( SEMI generic-param ), or those
// before an error.
func (c *cursor) params() (Params, *Error) {
	if !c.more() {
		return nil, nil
	}
	first := len(c.pool)
	for c.take(';') {
		p := Param{Name: c.run(isToken)}
		if p.Name == "" {
			return c.cut(first), c.fail("a parameter has no name")
		}
		if c.take('=') {
			p.HasValue = true
			if c.at('"') {
				var err *Error
				p.Quoted = true
				if p.Value, err = c.quoted(); err != nil {
					return c.cut(first), err
				}
			} else if p.Value = c.run(isValue); p.Value == "" {
				return c.cut(first), c.fail("parameter " + p.Name + " has no value")
			}
		}
		if err := c.keep(p, first); err != nil {
			return c.cut(first), err
		}
	}
	return c.cut(first), nil
}

// keep adds a parameter to the list that began at first. None may stand there
// twice (RFC 3261 §7.3.1, §19.1.1): two elements might each believe another.
func (c *cursor) keep(p Param, first int) *Error {
	if len(c.pool) >= maxParams || len(c.pool)-first >= maxOwn {
		return c.fail("too many parameters")
	}
	if Params(c.pool[first:]).Has(p.Name) {
		return c.fail("parameter " + p.Name + " stands there twice")
	}
	c.pool = append(c.pool, p)
	return nil
}

func (c *cursor) cut(first int) Params {
	if n := len(c.pool); n > first {
		return Params(c.pool[first:n:n])
	}
	return nil
}
