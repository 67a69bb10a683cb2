package sip

import (
	"net/netip"
	"strconv"
	"strings"
)

// URI is a sip, sips or tel URI in its parts, or another one as it is written.
// Escapes are undone in User, Password, Params and Headers.
type URI struct {
	Scheme         string // in lower case; "" in no URI at all
	User, Password string // of a tel URI, User is the number
	Host           string // an IPv6 address without its brackets; "" in other than sip and sips URIs
	Port           int    // 0: none
	Params         Params
	Headers        Params
	Opaque         string // what follows the colon in a URI of another scheme
}

// ParseURI reads a URI, and nothing else behind or before it.
func ParseURI(s string) (URI, error) {
	c := cursor{s: s}
	var u URI
	err := c.uri(&u)
	if err == nil && c.more() {
		err = c.fail("a character that no URI has here")
	}
	if err != nil {
		return URI{}, err.in("URI", 0)
	}
	return u, nil
}

// uri takes a URI, as far as there are characters of one.
func (c *cursor) uri(u *URI) *Error {
	if strings.HasPrefix(c.s[c.i:], "sip:") {
		u.Scheme = "sip"
		c.i += 4
		return c.sip(u)
	}
	start := c.i
	scheme := c.run(isToken)
	if !c.at(':') || !isScheme(scheme) {
		c.i = start
		return c.fail("no URI scheme")
	}
	c.i++
	switch u.Scheme = strings.ToLower(scheme); u.Scheme {
	case "sip", "sips":
		return c.sip(u)
	case "tel":
		return c.tel(u)
	}
	if u.Opaque = c.run(isOpaque); u.Opaque == "" {
		return c.fail("nothing behind the scheme")
	}
	return nil
}

func isScheme(s string) bool {
	if s == "" || s[0]|0x20 < 'a' || s[0]|0x20 > 'z' {
		return false
	}
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.") == ""
}

// sip reads what follows the scheme of a sip URI (RFC 3261 §19.1.1).
func (c *cursor) sip(u *URI) (err *Error) {
	start := c.i
	u.User = c.run(isUser)
	if !c.at('@') {
		c.i = start
		if err = c.userinfo(u); err != nil {
			return err
		}
	} else if c.i++; u.User == "" {
		return c.fail("no user before the @")
	}
	if u.Host, u.Port, err = c.hostPort(false); err != nil {
		return err
	}
	if u.Params, err = c.uriParams(); err == nil {
		u.Headers, err = c.uriHeaders()
	}
	return err
}

// userinfo takes user, password and @, or nothing.
func (c *cursor) userinfo(u *URI) (err *Error) {
	u.User = ""
	end := strings.IndexAny(c.s[c.i:], "@>")
	if end < 0 || c.s[c.i+end] == '>' {
		return nil
	}
	if u.User, err = c.escaped(isUser); err != nil {
		return err
	}
	if c.at(':') {
		c.i++
		if u.Password, err = c.escaped(isPass); err != nil {
			return err
		}
	}
	if !c.at('@') || u.User == "" {
		return c.fail("a character that no user part has")
	}
	c.i++
	return nil
}

// tel reads a telephone number and its parameters (RFC 3966 §3).
func (c *cursor) tel(u *URI) (err *Error) {
	if u.User, err = c.escaped(isTel); err != nil {
		return err
	}
	if u.User == "" {
		return c.fail("no number")
	}
	u.Params, err = c.uriParams()
	return err
}

// escaped takes octets of a class and %HH, which it undoes.
func (c *cursor) escaped(bits uint16) (string, *Error) {
	s := c.run(bits)
	if !c.at('%') {
		return s, nil
	}
	b := append(make([]byte, 0, len(s)+16), s...)
	for c.at('%') {
		if c.i+2 >= len(c.s) {
			return "", c.fail("an escape is cut short")
		}
		high, low := unhex(c.s[c.i+1]), unhex(c.s[c.i+2])
		if high < 0 || low < 0 {
			return "", c.fail("an escape is not hexadecimal")
		}
		c.i += 3
		b = append(append(b, byte(high<<4|low)), c.run(bits)...)
	}
	return string(b), nil
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return int(c|0x20) - 'a' + 10
	}
	return -1
}

// hostPort takes a host and its port; in Via there may be white space around the colon.
func (c *cursor) hostPort(spaced bool) (host string, port int, err *Error) {
	if host, err = c.host(); err != nil {
		return "", 0, err
	}
	if spaced && !c.take(':') || !spaced && !c.at(':') {
		return host, 0, nil
	}
	if !spaced {
		c.i++
	}
	start := c.i
	for c.more() && c.s[c.i] >= '0' && c.s[c.i] <= '9' && port < 1<<16 {
		port = port*10 + int(c.s[c.i]-'0')
		c.i++
	}
	if port == 0 || port > 65535 {
		c.i = start
		return "", 0, c.fail("no port behind the colon (an IPv6 address stands in brackets)")
	}
	return host, port, nil
}

func (c *cursor) host() (string, *Error) {
	if !c.at('[') {
		h := c.run(isHost)
		if h == "" {
			return "", c.fail("no host")
		}
		return h, nil
	}
	end := strings.IndexByte(c.s[c.i:], ']')
	if end < 0 {
		return "", c.fail("the bracket of an IPv6 address is not closed")
	}
	h := c.s[c.i+1 : c.i+end]
	a, e := netip.ParseAddr(h)
	if e != nil {
		// RFC 5118 §4.10: the grammar of RFC 3261 allowed three colons.
		h = strings.Replace(h, ":::", "::", 1)
		a, e = netip.ParseAddr(h)
	}
	if e != nil || !a.Is6() || a.Zone() != "" {
		return "", c.fail("no IPv6 address in the brackets")
	}
	c.i += end + 1
	return h, nil
}

func (c *cursor) uriParams() (Params, *Error) {
	first := len(c.pool)
	for c.at(';') {
		c.i++
		p, err := c.pair(isParam, "parameter")
		if err == nil {
			err = c.keep(p, first)
		}
		if err != nil {
			return nil, err
		}
	}
	return c.cut(first), nil
}

func (c *cursor) uriHeaders() (Params, *Error) {
	if !c.at('?') {
		return nil, nil
	}
	first := len(c.pool)
	for c.at('?') && len(c.pool) == first || c.at('&') {
		c.i++
		p, err := c.pair(isURIHdr, "header")
		switch {
		case err != nil:
			return nil, err
		case !p.HasValue:
			return nil, c.fail("a header in a URI has no value")
		case len(c.pool) >= maxParams || len(c.pool)-first >= maxOwn:
			return nil, c.fail("too many headers in a URI")
		}
		c.pool = append(c.pool, p)
	}
	return c.cut(first), nil
}

// pair takes name[=value]. A header may have an empty value.
func (c *cursor) pair(bits uint16, kind string) (p Param, err *Error) {
	if p.Name, err = c.escaped(bits); err != nil {
		return p, err
	}
	if p.Name == "" {
		return p, c.fail("a URI " + kind + " has no name")
	}
	if p.HasValue = c.at('='); p.HasValue {
		c.i++
		if p.Value, err = c.escaped(bits); err != nil {
			return p, err
		}
		if p.Value == "" && bits == isParam {
			return p, c.fail("a URI parameter has no value")
		}
	}
	return p, nil
}

// Addr is the host as an address, if it is one; an IPv4 address that is mapped
// into IPv6 is itself.
func (u URI) Addr() (netip.Addr, bool) {
	a, err := netip.ParseAddr(u.Host)
	return a.Unmap(), err == nil
}

// Number is the dialled digits of a sip or tel URI: the user part before a ';',
// without the visual separators of RFC 3966 §3; "" if anything stands there
// but digits, A to D, '*', '#' and a '+' in front.
func (u URI) Number() string {
	s, _, _ := strings.Cut(u.User, ";")
	if strings.ContainsAny(s, "-.()") {
		s = strings.NewReplacer("-", "", ".", "", "(", "", ")", "").Replace(s)
	}
	if strings.Trim(strings.TrimPrefix(s, "+"), "0123456789*#ABCDabcd") != "" {
		return ""
	}
	return s
}

// String is the URI as it is written.
func (u URI) String() string { return string(u.Append(nil)) }

// Append writes the URI.
func (u URI) Append(b []byte) []byte {
	b = append(append(b, u.Scheme...), ':')
	switch u.Scheme {
	case "sip", "sips":
	case "tel":
		b = escape(b, u.User, isTel)
		return appendURIParams(b, u.Params, isParam, ';', ';')
	default:
		return append(b, u.Opaque...)
	}
	if u.User != "" {
		b = escape(b, u.User, isUser)
		if u.Password != "" {
			b = escape(append(b, ':'), u.Password, isPass)
		}
		b = append(b, '@')
	}
	b = appendHostPort(b, u.Host, u.Port)
	b = appendURIParams(b, u.Params, isParam, ';', ';')
	return appendURIParams(b, u.Headers, isURIHdr, '?', '&')
}

func appendHostPort(b []byte, host string, port int) []byte {
	if strings.IndexByte(host, ':') >= 0 {
		b = append(append(append(b, '['), host...), ']')
	} else {
		b = append(b, host...)
	}
	if port != 0 {
		b = strconv.AppendInt(append(b, ':'), int64(port), 10)
	}
	return b
}

func appendURIParams(b []byte, p Params, bits uint16, before, between byte) []byte {
	for i := range p {
		b = escape(append(b, before), p[i].Name, bits)
		if p[i].HasValue {
			b = escape(append(b, '='), p[i].Value, bits)
		}
		before = between
	}
	return b
}

func escape(b []byte, s string, bits uint16) []byte {
	const hex = "0123456789ABCDEF"
	done := 0
	for i := range len(s) {
		if c := s[i]; class[c]&bits == 0 || c == '#' {
			b = append(append(b, s[done:i]...), '%', hex[c>>4], hex[c&15])
			done = i + 1
		}
	}
	return append(b, s[done:]...)
}
