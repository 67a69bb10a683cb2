package sip

import (
	"bytes"
	"math"
	"slices"
	"strconv"
	"strings"
)

// What a message is bounded by, beside its own size.
const (
	maxLines = 256 // header fields
	maxList  = 128 // elements of Via, Contact, Route, Record-Route
)

// parser is one message being read. What it cannot read it remembers the first
// of, and goes on: whoever is to be answered is to be found in what follows.
type parser struct {
	c      cursor // its text is one value at a time
	text   string // the whole datagram; of a stream, up to the empty line
	m      *Message
	err    *Error
	seen   [fieldCount]bool
	size   int  // Content-Length, -1: absent
	unsure bool // Content-Length cannot be read, or says two things
}

// room is where most messages fit.
type room struct {
	m       Message
	via     [1]Via
	contact [1]Address
	params  [6]Param
	header  [9]Header
}

// Parse reads a message from a datagram, or, with stream, a message cut out of
// a stream. It keeps no part of b. With an *Error that is not Fatal comes what
// could be read of the request: for Error.Response and for nothing else.
func Parse(b []byte, stream bool) (*Message, error) {
	offset := 0
	for bytes.HasPrefix(b[offset:], crlf) {
		offset += 2
	}
	var p parser
	body := b[offset+p.read(b[offset:]):]
	if p.size < 0 && !stream {
		p.size = len(body) // RFC 3261 §18.3
	}
	if p.size > len(body) {
		p.failed(&Error{Where: "Content-Length", Offset: -1, What: "the message ends before its body does", Status: 400})
	} else if p.size > 0 {
		p.m.Body = bytes.Clone(body[:p.size])
	}
	if p.err != nil && p.err.Offset >= 0 {
		p.err.Offset += offset
	}
	return p.result(stream)
}

var crlf = []byte("\r\n")

// read reads start line and header fields, and returns where the body begins.
func (p *parser) read(b []byte) (body int) {
	r := &room{}
	p.m, p.size, p.text = &r.m, -1, string(b)
	p.m.Via, p.m.Contact, p.m.Header, p.c.pool = r.via[:0], r.contact[:0], r.header[:0], r.params[:0]
	p.m.MaxForwards, p.m.Expires = -1, -1
	pos, ok := p.startLine()
	if ok {
		pos = p.header(pos)
	}
	m := p.m
	m.Via, m.Contact, m.Route, m.RecordRoute, m.Header = clip(m.Via), clip(m.Contact), clip(m.Route), clip(m.RecordRoute), clip(m.Header)
	return min(pos, len(b))
}

// clip makes an empty list nil, and lets nobody write behind the end of another.
func clip[E any](s []E) []E {
	if len(s) == 0 {
		return nil
	}
	return slices.Clip(s)
}

// result is what Parse gives back.
func (p *parser) result(stream bool) (*Message, error) {
	if stream && p.size < 0 {
		p.failed(wrong(0, "is missing, and needed in a stream").in("Content-Length", 0))
	}
	if p.err == nil {
		return p.m, nil
	}
	p.err.Lost = stream && (p.size < 0 || p.unsure)
	if p.err.Fatal = p.err.Fatal || !p.m.IsRequest() || p.m.Method == MethodAck || len(p.m.Via) == 0; p.err.Fatal {
		return nil, p.err
	}
	return p.m, p.err
}

// failed remembers the first thing that is wrong.
func (p *parser) failed(err *Error) {
	if p.err == nil {
		p.err = err
	}
}

// startLine reads the request line or status line. It reports whether there is one.
func (p *parser) startLine() (next int, ok bool) {
	end := strings.IndexByte(p.text, '\r')
	if end < 0 || !strings.HasPrefix(p.text[end:], "\r\n") {
		p.err = wrong(0, "no line of SIP").in("message", 0)
		p.err.Fatal = true
		return 0, false
	}
	line := p.text[:end]
	if len(line) >= 4 && strings.EqualFold(line[:4], "SIP/") {
		p.failed(p.statusLine(line).in("status line", 0))
		return end + 2, p.err == nil
	}
	p.failed(p.requestLine(line).in("request line", 0))
	return end + 2, p.m.Method != ""
}

func (p *parser) requestLine(line string) *Error {
	p.c.s, p.c.i = line, 0
	method := p.c.run(isToken)
	last := strings.LastIndexByte(line, ' ')
	version := line[last+1:]
	if method == "" || !p.c.at(' ') || version != "SIP/2.0" && !strings.Contains(line, "SIP/") && !strings.Contains(line, "sip/") {
		return wrong(p.c.i, "no method, Request-URI and version")
	}
	p.m.Method = Method(method)
	p.c.i++
	if version != "SIP/2.0" && !strings.EqualFold(version, "SIP/2.0") {
		err := wrong(last+1, "no version behind the Request-URI")
		if len(version) > 4 && strings.EqualFold(version[:4], "SIP/") && strings.Trim(version[4:], "0123456789.") == "" {
			err.What, err.Status = "version is not SIP/2.0", 505
		}
		return err
	}
	if last <= p.c.i {
		return p.c.fail("no Request-URI")
	}
	if err := p.c.part(&p.m.URI, last); err != nil {
		return err
	}
	if p.m.URI.Headers != nil {
		return wrong(len(method)+1, "header fields in the Request-URI")
	}
	return nil
}

func (p *parser) statusLine(line string) *Error {
	version, rest, _ := strings.Cut(line, " ")
	code, reason, _ := strings.Cut(rest, " ")
	n, ok := number(code, 700)
	switch {
	case !strings.EqualFold(version, "SIP/2.0"):
		return wrong(0, "version is not SIP/2.0")
	case !ok || len(code) != 3 || n < 100 || n > 699:
		return wrong(len(version)+1, "status is none of 100 to 699")
	case control(reason) >= 0:
		return wrong(len(version)+5, "a control character in the reason phrase")
	}
	p.m.Status, p.m.Reason = n, reason
	return nil
}

// header reads the header fields from pos on, and the empty line behind them.
// It returns where the body begins.
func (p *parser) header(pos int) int {
	for range maxLines {
		if rest := p.text[pos:]; len(rest) >= 2 && rest[0] == '\r' && rest[1] == '\n' {
			return pos + 2
		} else if rest == "" {
			p.failed(wrong(pos, "no empty line ends the header").in("message", 0))
			return pos
		}
		end, clean := p.lineEnd(pos)
		p.field(pos, end, clean)
		pos = min(end+2, len(p.text))
	}
	p.failed(wrong(pos, "more than %d header fields", maxLines).in("message", 0))
	return len(p.text)
}

// lineEnd is where a header field ends, without its CRLF, and whether it has no
// control character. It makes one line of a folded one, white space for line ends.
func (p *parser) lineEnd(pos int) (end int, clean bool) {
	end, clean = pos, true
	for {
		n := control(p.text[end:])
		if n < 0 {
			return len(p.text), clean
		}
		end += n
		rest := p.text[end:]
		if len(rest) < 2 || rest[0] != '\r' || rest[1] != '\n' {
			end++
			clean = false
			continue
		}
		if len(rest) == 2 || rest[2] != ' ' && rest[2] != '\t' {
			return end, clean
		}
		p.unfold()
	}
}

// unfold makes white space of all line ends in header fields that go on in the
// next line (RFC 3261 §7.3.1).
func (p *parser) unfold() {
	head, body := p.text, ""
	if i := strings.Index(p.text, "\r\n\r\n"); i >= 0 {
		head, body = p.text[:i], p.text[i:]
	}
	p.text = strings.NewReplacer("\r\n ", "   ", "\r\n\t", "  \t").Replace(head) + body
}

// field reads one header field.
func (p *parser) field(pos, end int, clean bool) {
	p.c.s, p.c.i = p.text[pos:end], 0
	name := p.c.run(isToken)
	if name == "" || !p.c.take(':') {
		p.failed(wrong(pos+p.c.i, "a line is no header field").in("message", 0))
		return
	}
	start := pos + p.c.i
	value := p.text[start:end]
	for value != "" && (value[len(value)-1] == ' ' || value[len(value)-1] == '\t') {
		value = value[:len(value)-1]
	}
	f, long := known(name)
	if f == other {
		if !clean {
			p.failed(wrong(control(value), "a control character").in(long, start))
			return
		}
		p.m.Header = append(p.m.Header, Header{long, value})
		return
	}
	if p.seen[f] && f < lists {
		p.unsure = p.unsure || f == contentLength
		p.failed(wrong(0, "stands there twice").in(long, start))
		return
	}
	p.seen[f] = true
	p.c.s, p.c.i = value, 0
	if err := p.value(f); err != nil {
		p.failed(err.in(long, start))
	}
}

// value reads the value of a header field that is a field of Message.
func (p *parser) value(f field) (err *Error) {
	m, value := p.m, p.c.s
	switch f {
	case from:
		return p.party(&m.From)
	case to:
		return p.party(&m.To)
	case callID:
		if err := callIDError(value); err != nil {
			return err
		}
		m.CallID = value
	case cseq:
		m.CSeq, err = p.c.cseq()
	case maxForwards:
		n, ok := number(value, 256)
		if !ok || n > 255 {
			return wrong(0, "no number of 0 to 255")
		}
		m.MaxForwards = n
	case expires:
		m.Expires, err = seconds(value)
	case contentType:
		if i := control(value); i >= 0 {
			return wrong(i, "a control character")
		}
		m.ContentType = value
	case contentLength:
		n, ok := number(value, math.MaxInt32)
		if !ok {
			p.unsure = true
			return wrong(0, "no number")
		}
		p.size = n
	case via:
		m.Via, err = p.c.vias(m.Via)
	case contact:
		return p.contact()
	case route:
		m.Route, err = p.c.addresses(m.Route)
	case recordRoute:
		m.RecordRoute, err = p.c.addresses(m.RecordRoute)
	}
	return err
}

// party reads From or To. An answer repeats what cannot be read.
func (p *parser) party(a *Address) (err *Error) {
	value := p.c.s
	if err = p.c.only(a); err != nil {
		*a = Address{URI: URI{Opaque: strings.Map(printable, value)}}
	}
	return err
}

func printable(r rune) rune {
	if r < ' ' && r != '\t' || r == 0x7f {
		return '?'
	}
	return r
}

func (p *parser) contact() (err *Error) {
	m := p.m
	if m.ContactStar || p.c.s == "*" && len(m.Contact) > 0 {
		return wrong(0, `"*" stands beside another Contact`)
	}
	if m.ContactStar = p.c.s == "*"; m.ContactStar {
		return nil
	}
	m.Contact, err = p.c.addresses(m.Contact)
	return err
}

func callIDError(s string) *Error {
	if s == "" {
		return wrong(0, "is empty")
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] == 0x7f {
			return wrong(i, "a character that no Call-ID has")
		}
	}
	return nil
}

func (c *cursor) cseq() (CSeq, *Error) {
	digits := c.run(isToken)
	n, e := strconv.ParseUint(digits, 10, 31)
	if e != nil {
		return CSeq{}, wrong(0, "no number less than 2^31")
	}
	c.skip()
	method := c.run(isToken)
	if method == "" || c.more() {
		return CSeq{}, c.fail("no method behind the number")
	}
	return CSeq{uint32(n), Method(method)}, nil
}
