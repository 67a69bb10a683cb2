package sdp

import (
	"fmt"
	"strconv"
	"strings"
)

// What a description is bounded by.
const (
	MaxSize   = 16384 // octets
	maxLines  = 512
	maxMedia  = 16
	maxFormat = 64 // formats of a line m=
)

// Error says what is wrong with a description. A SIP request with it in its
// body is answered 400, or 488 where it can be read but not be agreed on.
type Error struct {
	Line int // from 1; 0: none in particular
	What string
}

// Error implements error.
func (e *Error) Error() string {
	if e.Line == 0 {
		return "sdp: " + e.What
	}
	return fmt.Sprintf("sdp: line %d: %s", e.Line, e.What)
}

// Parse reads a session description. Lines may end in LF alone, and the order
// of lines within a section is not insisted on.
func Parse(b []byte) (*Session, error) {
	if len(b) > MaxSize {
		return nil, &Error{0, fmt.Sprintf("larger than %d octets", MaxSize)}
	}
	p := parser{s: &Session{}}
	for line := range strings.SplitSeq(string(b), "\n") {
		p.line++
		line = strings.TrimSuffix(line, "\r")
		if line == "" {
			continue
		}
		if err := p.read(line); err != nil {
			return nil, err
		}
	}
	switch {
	case !p.version:
		return nil, &Error{0, "no line v="}
	case p.s.Origin == (Origin{}):
		return nil, &Error{0, "no line o="}
	}
	if len(p.s.Times) == 1 && p.s.Times[0] == "0 0" {
		p.s.Times = nil
	}
	return p.s, nil
}

type parser struct {
	s       *Session
	line    int
	version bool
}

func (p *parser) fail(format string, a ...any) error {
	return &Error{p.line, fmt.Sprintf(format, a...)}
}

func (p *parser) read(line string) (err error) {
	if len(line) < 2 || line[1] != '=' || line[0] < 'a' || line[0] > 'z' {
		return p.fail("is not a letter, = and a value")
	}
	if strings.ContainsAny(line, "\x00\r") {
		return p.fail("a NUL or line end within the line")
	}
	if p.line > maxLines {
		return p.fail("more than %d lines", maxLines)
	}
	kind, value := line[0], line[2:]
	if !p.version {
		if p.version = line == "v=0"; !p.version {
			return p.fail("is not v=0")
		}
		return nil
	}
	if kind == 'm' {
		return p.media(value)
	}
	if n := len(p.s.Media); n > 0 {
		return p.inMedia(&p.s.Media[n-1], kind, value)
	}
	return p.inSession(kind, value)
}

func (p *parser) inSession(kind byte, value string) (err error) {
	s := p.s
	switch kind {
	case 'o':
		return p.origin(value)
	case 's':
		if s.Name = strings.TrimSpace(value); s.Name == "-" {
			s.Name = ""
		}
	case 'c':
		s.Connection, err = p.connection(value)
	case 'b':
		s.Bandwidth = append(s.Bandwidth, value)
	case 't':
		s.Times = append(s.Times, value)
	case 'r', 'z':
		s.Times = append(s.Times, string(kind)+"="+value)
	case 'a':
		s.Attributes, err = p.attribute(s.Attributes, value)
	case 'i', 'u', 'e', 'p':
		s.Extra = append(s.Extra, string(kind)+"="+value)
	case 'k': // a key that everybody reads: nobody does it any more (RFC 8866 §5.12)
	default:
		return p.fail("no line %c= belongs here", kind)
	}
	return err
}

func (p *parser) inMedia(m *Media, kind byte, value string) (err error) {
	switch kind {
	case 'c':
		c, err := p.connection(value)
		if m.Connection.Address == "" {
			m.Connection = c
		}
		return err
	case 'b':
		m.Bandwidth = append(m.Bandwidth, value)
	case 'a':
		m.Attributes, err = p.attribute(m.Attributes, value)
	case 'i':
		m.Extra = append(m.Extra, "i="+value)
	case 'k':
	default:
		return p.fail("no line %c= belongs here", kind)
	}
	return err
}

// origin reads o=. A user name should be one word, and is sometimes several.
func (p *parser) origin(value string) error {
	f := strings.Fields(value)
	n := len(f) - 5
	if n < 1 || f[n+2] != "IN" || f[n+3] != "IP4" && f[n+3] != "IP6" {
		return p.fail("is not o=user id version IN IP4 or IP6 address")
	}
	if p.s.Origin != (Origin{}) {
		return p.fail("a second o=")
	}
	user := strings.Join(f[:n], " ")
	if user == "-" {
		user = ""
	}
	p.s.Origin = Origin{user, f[n], f[n+1], f[n+4]}
	return nil
}

func (p *parser) connection(value string) (c Connection, err error) {
	f := strings.Fields(value)
	if len(f) != 3 || f[0] != "IN" || f[1] != "IP4" && f[1] != "IP6" {
		return c, p.fail("is not c=IN IP4 or IP6 address")
	}
	return Connection{f[2]}, nil
}

func (p *parser) attribute(list Attributes, value string) (Attributes, error) {
	var a Attribute
	if a.Name, a.Value, a.HasValue = strings.Cut(strings.TrimRight(value, " \t"), ":"); a.Name == "" {
		return list, p.fail("an attribute has no name")
	}
	return append(list, a), nil
}

func (p *parser) media(value string) error {
	f := strings.Fields(value)
	if len(f) < 4 || len(f) > maxFormat+3 {
		return p.fail("is not m=kind port proto and up to %d formats", maxFormat)
	}
	if len(p.s.Media) == maxMedia {
		return p.fail("more than %d lines m=", maxMedia)
	}
	port, count, several := strings.Cut(f[1], "/")
	n, err := strconv.ParseUint(port, 10, 16)
	m := Media{Kind: f[0], Port: int(n), Proto: f[2], Formats: f[3:]}
	if err == nil && several {
		n, err = strconv.ParseUint(count, 10, 16)
		m.Ports = int(n)
	}
	if err != nil {
		return p.fail("port %q is none of 0 to 65535", f[1])
	}
	p.s.Media = append(p.s.Media, m)
	return nil
}
