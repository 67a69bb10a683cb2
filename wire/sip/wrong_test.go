package sip

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

const simple = "OPTIONS sip:a@b SIP/2.0\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\nFrom: <sip:u@h>;tag=1\nTo: <sip:a@b>\nCall-ID: 1\nCSeq: 1 OPTIONS\nContent-Length: 0\n\n"

// with is the simple message with one thing changed.
func with(old, changed string) string { return strings.Replace(simple, old, changed, 1) }

// TestWrong: what is refused, with which status, and where the blame lies: the
// octet is that of the first character of at in the message.
func TestWrong(t *testing.T) {
	for _, c := range []struct {
		name   string
		text   string
		status int // 0: nobody to answer
		where  string
		at     string
	}{
		{"nothing", "", 0, "message", ""},
		{"noise", "\x16\x03\x01\x00\xa5", 0, "message", "\x16"},
		{"another protocol", with("OPTIONS sip:a@b SIP/2.0", "GET / HTTP/1.1"), 0, "request line", " / HTTP"},
		{"a response of another version", "SIP/3.0 200 OK\n\n", 0, "status line", "SIP"},
		{"a status of two digits", "SIP/2.0 20 OK\n\n", 0, "status line", "20 "},
		{"a status above all", "SIP/2.0 700 OK\n\n", 0, "status line", "700"},
		{"a response with an error", strings.Replace(simple, "OPTIONS sip:a@b SIP/2.0", "SIP/2.0 200 OK", 1) + "", -1, "", ""},
		{"an ACK with an error", strings.ReplaceAll(with("Call-ID: 1", "Call-ID: 1 2"), "OPTIONS", "ACK"), 0, "Call-ID", " 2"},
		{"no Via", with("Via: SIP/2.0/UDP h;branch=z9hG4bK1\n", ""), 0, "Via", ""},
		{"a Via that says nothing", with("SIP/2.0/UDP h;branch=z9hG4bK1", "x"), 0, "Via", ""},
		{"no version", with("sip:a@b SIP/2.0", "sip:a@b SIP/"), 400, "request line", "SIP/\n"},
		{"a newer version", with("sip:a@b SIP/2.0", "sip:a@b SIP/2.1"), 505, "request line", "SIP/2.1"},
		{"no Request-URI", with("sip:a@b ", ""), 400, "request line", "SIP/2.0"},
		{"a Request-URI of no scheme", with("sip:a@b SIP", "a@b SIP"), 400, "request line", "a@b SIP"},
		{"no empty line", strings.TrimSuffix(simple, "\n"), 400, "message", ""},
		{"a line that is no field", with("From", "Hello\nFrom"), 400, "message", "\nFrom"},
		{"a field without name", with("From", ": x\nFrom"), 400, "message", ": x"},
		{"a NUL", with("From", "Subject: a\x00b\nFrom"), 400, "Subject", "\x00"},
		{"a CR alone", with("From", "Subject: a\rb\nFrom"), 400, "Subject", "\rb"},
		{"an LF alone", string(lines(simple[:len(simple)-1])) + "Xx: a\nVia: b\r\n\r\n", 400, "Xx", ""},
		{"no Call-ID", with("Call-ID: 1\n", ""), 400, "Call-ID", ""},
		{"an empty Call-ID", with("Call-ID: 1", "Call-ID:"), 400, "Call-ID", ""},
		{"CSeq of 2^31", with("1 OPTIONS", "2147483648 OPTIONS"), 400, "CSeq", "2147483648"},
		{"CSeq without method", with("1 OPTIONS", "1"), 400, "CSeq", ""},
		{"CSeq that is none", with("1 OPTIONS", "-1 OPTIONS"), 400, "CSeq", "-1"},
		{"Max-Forwards of 256", with("From", "Max-Forwards: 256\nFrom"), 400, "Max-Forwards", "256"},
		{"Expires that is none", with("From", "Expires: soon\nFrom"), 400, "Expires", "soon"},
		{"a From twice", with("To:", "f: <sip:u@h>;tag=1\nTo:"), 400, "From", "<sip:u@h>;tag=1\nTo"},
		{"two tags", with("tag=1", "tag=1;tag=2"), 400, "From", "\nTo"},
		{"two values of transport", with("<sip:u@h>", "<sip:u@h;transport=udp;transport=tcp>"), 400, "From", ">;tag"},
		{"an open bracket", with("<sip:u@h>", "<sip:u@h"), 400, "From", "\nTo"},
		{"junk behind an address", with("<sip:u@h>;tag=1", "<sip:u@h>;tag=1 x"), 400, "From", "x\n"},
		{"a star for From", with("<sip:u@h>;tag=1", "*"), 400, "From", "*"},
		{"a star beside a Contact", with("From", "Contact: <sip:a@b>\nContact: *\nFrom"), 400, "Contact", "*"},
		{"a star in an OPTIONS", with("From", "Contact: *\nFrom"), 400, "Contact", ""},
		{"a Contact without URI", with("From", "Contact: <>\nFrom"), 400, "Contact", ">\nFrom"},
		{"a Route without URI", with("From", "Route: ,\nFrom"), 400, "Route", ",\nFrom"},
		{"a longer body than there is", with("Content-Length: 0", "Content-Length: 1"), 400, "Content-Length", ""},
		{"a body of 2^64 octets", with("Content-Length: 0", "Content-Length: 18446744073709551616"), 400, "Content-Length", ""},
		{"two lengths that agree", with("Content-Length: 0", "Content-Length: 0\nContent-Length: 0"), 400, "Content-Length", "0\n\n"},
		{"very many fields", with("From", strings.Repeat("X: 1\n", maxLines)+"From"), 400, "message", ""},
		{"very many Contacts", with("From", "Contact: "+strings.Repeat("<sip:a>,", maxList)+"<sip:a>\nFrom"), 400, "Contact", ""},
		{"very many parameters", with("From", "Contact: <sip:a>"+manyParams(maxOwn+1)+"\nFrom"), 400, "Contact", ""},
		{"very many Via", with("From", "Via: "+strings.Repeat("SIP/2.0/UDP h,", maxList)+"SIP/2.0/UDP h\nFrom"), 400, "Via", ""},
	} {
		text := []byte(c.text)
		if !strings.Contains(c.text, "\r\n") {
			text = lines(c.text)
		}
		m, err := Parse(text, false)
		if err == nil {
			err = m.Validate()
		}
		var e *Error
		switch {
		case c.status == -1:
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		case !errors.As(err, &e):
			t.Errorf("%s: read as %+v", c.name, m)
			continue
		}
		answer := e.Response(m)
		if e.Where != c.where || e.Fatal != (c.status == 0) || (answer == nil) != e.Fatal || answer != nil && answer.Status != c.status {
			t.Errorf("%s: %+v", c.name, e)
		}
		if i := bytes.Index(text, lines(c.at)); c.at != "" && e.Offset != i {
			t.Errorf("%s: %v, want octet %d", c.name, e, i)
		}
	}
}

func manyParams(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(";p" + strings.Repeat("x", i))
	}
	return b.String()
}

// TestTolerated: what real peers write and a grammar would refuse.
func TestTolerated(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		ok   func(m *Message) bool
	}{
		"a branch without value":       {with(";branch=z9hG4bK1", ";branch"), func(m *Message) bool { return m.Via[0].Branch() == "" && m.Via[0].Params.Has("branch") }},
		"a # in the Request-URI":       {with("sip:a@b SIP", "sip:*100#@b SIP"), func(m *Message) bool { return m.URI.Number() == "*100#" }},
		"a name without quotes":        {with("<sip:u@h>", "Anna (office) <sip:u@h>"), func(m *Message) bool { return m.From.Name == "Anna (office)" }},
		"a name in UTF-8":              {with("<sip:u@h>", "Zoë@home <sip:u@h>"), func(m *Message) bool { return m.From.Name == "Zoë@home" }},
		"a tag of Base64":              {with("tag=1", "tag=a/b+c=="), func(m *Message) bool { return m.From.Tag() == "a/b+c==" }},
		"Authorization with a comma":   {with("From", "Authorization: Digest, nonce=00, uri=1\nFrom"), func(m *Message) bool { return m.Get("Authorization") == "Digest, nonce=00, uri=1" }},
		"line ends before the message": {"\n\n" + simple, func(m *Message) bool { return m.Method == MethodOptions }},
		"octets behind the body":       {simple + "INVITE", func(m *Message) bool { return m.Body == nil }},
		"no Content-Length":            {with("Content-Length: 0\n", "") + "body", func(m *Message) bool { return string(m.Body) == "body" }},
		"a host with an underscore":    {with("@h>", "@my_host>"), func(m *Message) bool { return m.From.URI.Host == "my_host" }},
		"a version in lower case":      {with("sip:a@b SIP/2.0", "sip:a@b sip/2.0"), func(m *Message) bool { return m.URI.User == "a" }},
		"a phrase that is missing":     {with("OPTIONS sip:a@b SIP/2.0", "SIP/2.0 200"), func(m *Message) bool { return m.Status == 200 }},
		"a Contact that lasts forever": {with("From", "Contact: <sip:a>;expires=99999999999\nFrom"), func(m *Message) bool { return m.Contact[0].Expires() == 1<<31-1 }},
		"a Contact that lasts a while": {with("From", "Contact: <sip:a>;expires=abc;q=x\nFrom"), func(m *Message) bool { return m.Contact[0].Expires() == 3600 && m.Contact[0].Q() == 1000 }},
	} {
		m, err := Parse(lines(c.text), false)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !c.ok(m) {
			t.Errorf("%s: %+v", name, m)
		}
	}
}

// TestInjection: no value makes a line of its own, or something else of its line.
func TestInjection(t *testing.T) {
	for name, change := range map[string]func(m *Message, bad string){
		"header value":        func(m *Message, bad string) { m.Add("X", bad) },
		"header name":         func(m *Message, bad string) { m.Add(bad, "x") },
		"Call-ID":             func(m *Message, bad string) { m.CallID = bad },
		"method":              func(m *Message, bad string) { m.Method = Method(bad) },
		"CSeq":                func(m *Message, bad string) { m.CSeq.Method = Method(bad) },
		"media type":          func(m *Message, bad string) { m.ContentType = bad },
		"host":                func(m *Message, bad string) { m.URI.Host = bad },
		"scheme":              func(m *Message, bad string) { m.URI = URI{Scheme: bad, Opaque: "x"} },
		"opaque":              func(m *Message, bad string) { m.URI = URI{Scheme: "urn", Opaque: bad} },
		"Via's host":          func(m *Message, bad string) { m.Via[0].Host = bad },
		"Via's transport":     func(m *Message, bad string) { m.Via[0].Transport = bad },
		"name of a parameter": func(m *Message, bad string) { m.To.Params = Params{{Name: bad}} },
		"Via's parameter":     func(m *Message, bad string) { m.Via[0].Params = Params{{Name: bad}} },
		"unread From":         func(m *Message, bad string) { m.From = Address{URI: URI{Opaque: bad}} },
	} {
		for _, bad := range []string{"a\r\nVia: x", "a\n", "a\r", "a\x00"} {
			m, err := Parse(lines(simple), false)
			if err != nil {
				t.Fatal(err)
			}
			change(m, bad)
			if b, err := m.Bytes(); err == nil {
				t.Errorf("%s: %q", name, b)
			}
		}
	}
	for name, change := range map[string]func(m *Message, bad string){
		"display name":    func(m *Message, bad string) { m.To.Name = bad },
		"parameter":       func(m *Message, bad string) { m.To.Params.Set("x", bad) },
		"reason":          func(m *Message, bad string) { m.Method, m.Status, m.Reason = "", 200, bad },
		"Via's parameter": func(m *Message, bad string) { m.Via[0].Params.Set("received", bad) },
	} {
		for _, bad := range []string{"a\r\nVia: x", "a\n", "a\r"} {
			m, _ := Parse(lines(simple), false)
			change(m, bad)
			if b, err := m.Bytes(); err == nil {
				t.Errorf("%s: %q", name, b)
			}
		}
	}
	for name, change := range map[string]func(m *Message){
		"a field of Message in Header": func(m *Message) { m.Add("v", "SIP/2.0/UDP h") },
		"a Content-Length of its own":  func(m *Message) { m.Add("Content-Length", "5") },
		"a request without From":       func(m *Message) { m.From = Address{} },
		"headers in the Request-URI":   func(m *Message) { m.URI.Headers = Params{{Name: "a", Value: "b", HasValue: true}} },
		"a Call-ID of two words":       func(m *Message) { m.CallID = "a b" },
		"a port that is none":          func(m *Message) { m.Via[0].Port = 65536 },
		"a status that is none":        func(m *Message) { m.Method, m.Status = "", 99 },
		"a URI that ends too soon":     func(m *Message) { m.To.URI.Host = "h>;tag=1" },
		"an IPv6 address that is none": func(m *Message) { m.To.URI.Host = "::g" },
	} {
		m, _ := Parse(lines(simple), false)
		change(m)
		if b, err := m.Bytes(); err == nil {
			t.Errorf("%s: %q", name, b)
		}
	}
	// What can be escaped is what it was when it is read.
	odd := "a\x00\r\n\"<>;@?é %"
	m, _ := Parse(lines(simple), false)
	m.URI.User, m.URI.Password = odd, odd
	m.To.URI.Params.Set(odd, odd)
	b, err := m.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	again, err := Parse(b, false)
	if err != nil || !reflect.DeepEqual(m, again) {
		t.Errorf("%v: %q", err, b)
	}
}

// TestStream: messages, line ends and pings of one connection, one after the other.
func TestStream(t *testing.T) {
	long := with("Content-Length: 0", "Content-Length: 2000") + strings.Repeat("x", 2000)
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"two messages":                {with("Content-Length: 0", "l: 3") + "abc" + simple, []string{"OPTIONS abc", "OPTIONS ", "EOF"}},
		"line ends between":           {"\n" + simple + "\n" + simple, []string{"OPTIONS ", "OPTIONS ", "EOF"}},
		"a ping":                      {simple + "\n\n" + simple, []string{"OPTIONS ", "sip: ping", "OPTIONS ", "EOF"}},
		"an error that is passed":     {with("Call-ID: 1", "Call-ID: 1 2") + simple, []string{"400", "OPTIONS ", "EOF"}},
		"an error with a body":        {strings.Replace(with("Call-ID: 1", "Call-ID: 1 2"), "Length: 0", "Length: 3", 1) + "abc" + simple, []string{"400", "OPTIONS ", "EOF"}},
		"no length":                   {with("Content-Length: 0\n", ""), []string{"400 lost"}},
		"two lengths":                 {with("Content-Length: 0", "Content-Length: 0\nl: 0") + simple, []string{"400 lost"}},
		"a length that is none":       {with("Content-Length: 0", "Content-Length: -1"), []string{"400 lost"}},
		"a large body":                {long, []string{"513 lost"}},
		"a large header":              {with("Call-ID: 1", "Call-ID: "+strings.Repeat("1", 5000)), []string{"fatal lost"}},
		"a header without end":        {strings.Repeat("x", 5000), []string{"fatal lost"}},
		"noise":                       {"\x16\x03\x01\n\n" + simple, []string{"fatal lost"}},
		"an end in the header":        {simple[:50], []string{"unexpected EOF"}},
		"an end in the body":          {with("Content-Length: 0", "Content-Length: 5") + "abc", []string{"unexpected EOF"}},
		"an end between":              {"\n", []string{"EOF"}},
		"a folded length":             {with("Content-Length: 0", "Content-Length:\n 3") + "abc" + simple, []string{"OPTIONS abc", "OPTIONS ", "EOF"}},
		"a body that looks like more": {with("Content-Length: 0", "Content-Length: 8") + "\n\nabcd" + simple, []string{"OPTIONS \r\n\r\nabcd", "OPTIONS ", "EOF"}},
	} {
		r := bufio.NewReaderSize(bytes.NewReader(lines(c.text)), 64)
		var got []string
		for len(got) < len(c.want)+1 {
			m, err := ReadStream(r, Limits{Header: 4096, Body: 1024})
			var e *Error
			switch {
			case err == nil:
				got = append(got, string(m.Method)+" "+string(m.Body))
				continue
			case errors.As(err, &e):
				s := "fatal"
				if a := e.Response(m); a != nil {
					s = strconv.Itoa(a.Status)
				}
				if e.Lost {
					s += " lost"
				}
				got = append(got, s)
			default:
				got = append(got, err.Error())
			}
			if e != nil && e.Lost || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				break
			}
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
