package sip

import (
	"errors"
	"net/netip"
	"testing"
)

// TestCheck: what an element does not do, with the status and the header fields
// that RFC 3261 §8.2 wants; and what it does without being asked twice.
func TestCheck(t *testing.T) {
	sdp := func(more string) string {
		return with("Content-Length: 0\n\n", "Content-Type: Application/SDP ;x=y\n"+more+"\nv=0\n")
	}
	as := func(method string) string {
		b := lines(with("OPTIONS sip", method+" sip"))
		m, _ := Parse(b, false)
		m.CSeq.Method = Method(method)
		text, _ := m.Bytes()
		return string(text)
	}
	for _, c := range []struct {
		name   string
		text   string
		status int
		header []Header
	}{
		{"what is done", simple, 0, nil},
		{"a method that others do", as("SUBSCRIBE"), 405, []Header{{"Allow", "INVITE, ACK, BYE, CANCEL, OPTIONS, REGISTER, MESSAGE"}}},
		{"a method that nobody does", as("DANCE"), 501, nil},
		{"a body of a type in other case", sdp(""), 0, nil},
		{"a body of a type that is not read", with("Content-Length: 0\n\n", "c: image/png\n\nx"), 415, []Header{{"Accept", "application/sdp, text/plain, multipart/mixed"}}},
		{"a body without type", with("Content-Length: 0\n\n", "\nx"), 415, []Header{{"Accept", "application/sdp, text/plain, multipart/mixed"}}},
		{"a body that may be passed over", with("Content-Length: 0\n\n", "c: image/png\nContent-Disposition: render;Handling=optional\n\nx"), 0, nil},
		{"a body that is packed", sdp("e: gzip\n"), 415, []Header{{"Accept-Encoding", "identity"}}},
		{"a body that is not", sdp("e: Identity\n"), 0, nil},
		{"an extension", with("From", "Require: 100rel, x\nFrom"), 420, []Header{{"Unsupported", "100rel, x"}}},
		{"an extension in a CANCEL", with("From", "Require: 100rel\nFrom"), 420, []Header{{"Unsupported", "100rel"}}},
		{"a proxy's extension, which is no business of ours", with("From", "Proxy-Require: x\nFrom"), 0, nil},
		{"an answer of another type", with("From", "Accept: text/html, image/*\nFrom"), 406, nil},
		{"an answer of any type", with("From", "Accept: text/html, */*;q=0.1\nFrom"), 0, nil},
		{"an answer of a group of types", with("From", "Accept: application/*\nFrom"), 0, nil},
		{"another scheme", with("OPTIONS sip:a@b", "OPTIONS tel:+1"), 416, nil},
	} {
		text := []byte(c.text)
		if text[len(text)-2] != '\r' {
			text = lines(c.text)
		}
		m, err := Parse(text, false)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if c.name == "an extension in a CANCEL" { // RFC 3261 §8.2.2.3
			m.Method, m.CSeq.Method, c.status = MethodCancel, MethodCancel, 0
		}
		err = Check(m, phone)
		var e *Error
		switch errors.As(err, &e); {
		case e == nil && c.status != 0, e != nil && e.Status != c.status:
			t.Errorf("%s: %v", c.name, err)
		case e != nil:
			if r := e.Response(m); r == nil || !same(r.Header, c.header) {
				t.Errorf("%s: answered %+v", c.name, r)
			}
		}
		if c.status == 0 {
			continue
		}
		if err := Check(m, Capabilities{}); err != nil {
			t.Errorf("%s: who does all refuses: %v", c.name, err)
		}
		if m.Method = MethodAck; errors.As(Check(m, phone), &e) && e.Response(m) != nil {
			t.Errorf("%s: an ACK is answered", c.name)
		}
	}
}

// TestViaParameters: by what a response finds its way back.
func TestViaParameters(t *testing.T) {
	for text, want := range map[string]struct {
		port     int
		asked    bool
		received string
	}{
		"SIP/2.0/UDP h":       {0, false, ""},
		"SIP/2.0/UDP h;rport": {0, true, ""},
		"SIP/2.0/UDP h;rport=5061;received=192.0.2.1":  {5061, true, "192.0.2.1"},
		"SIP/2.0/UDP h;rport=x":                        {0, true, ""},
		"SIP/2.0/UDP h;RPort=70000;received=[2001::1]": {0, true, "2001::1"},
	} {
		m, err := Parse(lines(with("SIP/2.0/UDP h;branch=z9hG4bK1", text)), false)
		if err != nil {
			t.Fatal(err)
		}
		port, asked := m.Via[0].RPort()
		if port != want.port || asked != want.asked || m.Via[0].Received() != want.received || m.Via[0].String() != text {
			t.Errorf("%s: %d, %t, %s, %s", text, port, asked, m.Via[0].Received(), m.Via[0])
		}
	}
}

// TestClone: a copy can be changed without the other knowing.
func TestClone(t *testing.T) {
	m, err := Parse(lines(with("From", "Route: <sip:r;lr>\nRecord-Route: <sip:r;lr>\nContact: <sip:c>\nX: y\nFrom")), false)
	if err != nil {
		t.Fatal(err)
	}
	before, _ := m.Bytes()
	c := m.Clone()
	c.Via[0].Host, c.Contact[0].URI.Host, c.Route[0].URI.Host, c.RecordRoute[0].URI.Host = "v", "v", "v", "v"
	c.Via[0].Params.Set("branch", "v")
	c.Header[0].Value = "v"
	c.From.SetTag("v")
	if after, _ := m.Bytes(); string(after) != string(before) {
		t.Errorf("%s", after)
	}
}

func TestAddr(t *testing.T) {
	for text, want := range map[string]netip.Addr{"sip:192.0.2.1": netip.MustParseAddr("192.0.2.1"), "sip:a@[2001:db8::1]:5": netip.MustParseAddr("2001:db8::1"), "sip:[::ffff:192.0.2.2]": netip.MustParseAddr("192.0.2.2"), "sip:h": {}, "tel:1": {}} {
		u, err := ParseURI(text)
		if err != nil {
			t.Fatal(err)
		}
		if a, ok := u.Addr(); a != want || ok != want.IsValid() {
			t.Errorf("%s: %v, %t", text, a, ok)
		}
	}
}
