package sip

import "testing"

// TestURI: URIs in their parts, and back. The third column is how it is written
// anew where that differs.
func TestURI(t *testing.T) {
	for _, c := range []struct {
		in   string
		want URI
		out  string
	}{
		{"sip:alice@atlanta.com", URI{Scheme: "sip", User: "alice", Host: "atlanta.com"}, ""},
		{"SIPS:alice:sec%20ret@atlanta.com:5061", URI{Scheme: "sips", User: "alice", Password: "sec ret", Host: "atlanta.com", Port: 5061}, "sips:alice:sec%20ret@atlanta.com:5061"},
		{"sip:[2001:db8::1]:5060;lr", URI{Scheme: "sip", Host: "2001:db8::1", Port: 5060, Params: Params{{Name: "lr"}}}, ""},
		{"sip:a%3Ab@h", URI{Scheme: "sip", User: "a:b", Host: "h"}, ""},
		{"sip:*135#;phone-context=irrelevant.net;user=dialstring@192.0.2.9", URI{Scheme: "sip", User: "*135#;phone-context=irrelevant.net;user=dialstring", Host: "192.0.2.9"},
			"sip:*135%23;phone-context=irrelevant.net;user=dialstring@192.0.2.9"},
		{"sip:h?subject=x&to=", URI{Scheme: "sip", Host: "h", Headers: Params{{Name: "subject", Value: "x", HasValue: true}, {Name: "to", HasValue: true}}}, ""},
		{"tel:+1-201-555-0123;ext=7", URI{Scheme: "tel", User: "+1-201-555-0123", Params: Params{{Name: "ext", Value: "7", HasValue: true}}}, ""},
		{"urn:service:sos", URI{Scheme: "urn", Opaque: "service:sos"}, ""},
	} {
		u, err := ParseURI(c.in)
		if err != nil {
			t.Errorf("%s: %v", c.in, err)
			continue
		}
		if !same(u, c.want) {
			t.Errorf("%s: got %+v", c.in, u)
		}
		if c.out == "" {
			c.out = c.in
		}
		if u.String() != c.out {
			t.Errorf("%s: written as %s", c.in, u)
		}
	}
}

func TestURIRefused(t *testing.T) {
	for _, in := range []string{"", "sip", "sip:", ":x", "1a:x", "sip:@h", "sip:a@", "sip:a@b@c", "sip:a b@h", "sip:h:", "sip:h:0", "sip:h:65536", "sip:h:99999999999999999999",
		"sip:[::1", "sip:[::1%25eth0]", "sip:[192.0.2.1]", "sip:[::1]x", "sip:::1", "sip:h;", "sip:h;=x", "sip:h;a=", "sip:h?", "sip:h?a", "sip:h?=b", "sip:%4@h", "sip:%zz@h",
		"sip:h\r\n", "sip:h;a=\x00", "sip:\xff@h", "tel:", "tel:abcx", "tel:+1 2", "http:", "http://<a>", "a b:c"} {
		if u, err := ParseURI(in); err == nil {
			t.Errorf("%q is read as %+v", in, u)
		}
	}
}

// TestURIEqual has the examples of RFC 3261 §19.1.4, except those on escapes
// that are part of the method's documentation.
func TestURIEqual(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp", true},
		{"sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5", true},
		{"sip:carol@chicago.com", "sip:carol@chicago.com;security=on", true},
		{"sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com", "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com", true},
		{"sip:alice@atlanta.com?subject=project%20x&priority=urgent", "sip:alice@atlanta.com?priority=urgent&subject=project%20x", true},
		{"SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP", false},
		{"sip:bob@biloxi.com", "sip:bob@biloxi.com:5060", false},
		{"sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp", false},
		{"sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp", false},
		{"sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting", false},
		{"sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4", false},
		{"sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off", false},
		{"sip:bob@biloxi.com", "sips:bob@biloxi.com", false},
		{"sip:[2001:db8::1]", "sip:[2001:DB8:0::1]", true},
		{"tel:+1-201-555-0123", "tel:+12015550123", true},
		{"tel:863-1234;phone-context=a.b", "tel:8631234;phone-context=c.b", false},
		{"urn:service:sos", "urn:service:sos", true},
	} {
		a, err := ParseURI(c.a)
		b, err2 := ParseURI(c.b)
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		if a.Equal(b) != c.want || b.Equal(a) != c.want {
			t.Errorf("%s and %s: not %t", c.a, c.b, c.want)
		}
	}
}

func TestNumber(t *testing.T) {
	for in, want := range map[string]string{"sip:+49-30(1).2@h": "+493012", "tel:*21*5%23": "*21*5#", "sip:alice@h": "", "sip:*100#@h": "*100#", "sip:h": "",
		"sip:112;phone-context=x@h": "112", "sip:IMSI001@h": "", "sip:1+2@h": ""} {
		u, err := ParseURI(in)
		if err != nil {
			t.Fatal(in, err)
		}
		if got := u.Number(); got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
}
