package sip

import (
	"reflect"
	"strings"
	"testing"
)

func lines(s string) []byte { return []byte(strings.ReplaceAll(s, "\n", "\r\n")) }

const openBTS = `REGISTER sip:127.0.0.1 SIP/2.0
To: IMSI001010002220002 <sip:IMSI001010002220002@127.0.0.1>
From: IMSI001010002220002 <sip:IMSI001010002220002@127.0.0.1>;tag=jakdyk
Via: SIP/2.0/UDP 127.0.0.1:5062;branch
Call-ID: 196117285@127.0.0.1
CSeq: 226 REGISTER
Contact: <sip:IMSI001010002220002@127.0.0.1:5062>;expires=5400
Max-Forwards: 70
P-PHY-Info: OpenBTS; TA=1 TE=0.392578 UpRSSI=-26.000000 TxPwr=33 DnRSSIdBm=-111
Authorization: Digest, nonce=0123456789abcdef0123456789abcdef, uri=001010002220002, response=12345678
User-Agent: OpenBTS 2.8
Content-Length: 0

`

func TestOpenBTS(t *testing.T) {
	m, err := Parse(lines(openBTS), false)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Validate(); err != nil {
		t.Fatal(err)
	}
	if m.To.Name != "IMSI001010002220002" || m.From.URI.User != "IMSI001010002220002" || m.From.Tag() != "jakdyk" {
		t.Errorf("to %v, from %v", m.To, m.From)
	}
	if v := m.Via[0]; v.Host != "127.0.0.1" || v.Port != 5062 || !v.Params.Has("branch") || v.Branch() != "" {
		t.Errorf("via %v", v)
	}
	if m.Contact[0].Expires() != 5400 || m.MaxForwards != 70 || m.Expires != -1 || m.CSeq != (CSeq{226, MethodRegister}) {
		t.Errorf("%+v", m)
	}
	if !strings.HasPrefix(m.Get("authorization"), "Digest, nonce=") || len(m.Header) != 3 {
		t.Errorf("header %q", m.Header)
	}
	b, err := m.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	r := m.Response(401, "")
	r.To.SetTag("x")
	if m.To.Tag() != "" {
		t.Error("the response's tag is the request's")
	}
	if _, err := r.Append(b); err != nil {
		t.Fatal(err)
	}
}

func same(a, b any) bool { return reflect.DeepEqual(a, b) }

// TestTortureMeaning: what messages of RFC 4475 and RFC 5118 say, beside being well-formed.
func TestTortureMeaning(t *testing.T) {
	_, messages := published(t)
	read := func(id string) *Message {
		m, err := Parse(messages[id], false)
		if err != nil {
			t.Fatalf("%s: %v", id, err)
		}
		return m
	}
	for what, ok := range map[string]bool{
		"wsinv's numbers":         read("wsinv").MaxForwards == 68 && read("wsinv").CSeq == CSeq{9, MethodInvite},
		"wsinv's Via":             len(read("wsinv").Via) == 3 && read("wsinv").Via[2].Branch() == "z9hG4bK30239" && read("wsinv").Via[1].Host == "spindle.example.com",
		"wsinv's From":            read("wsinv").From.Name == `J Rosenberg \"` && read("wsinv").From.Tag() == "98asjd8",
		"wsinv's Contact":         read("wsinv").Contact[0].Name == `Quoted string ""` && read("wsinv").Contact[0].Q() == 330 && read("wsinv").Contact[0].Params.Has("secondparam"),
		"wsinv's Route":           read("wsinv").Route[0].URI.Params.Has("lr") && read("wsinv").Route[0].Params == nil,
		"wsinv's folded field":    strings.Join(strings.Fields(read("wsinv").Get("newfangledheader")), " ") == "newfangled value continued newfangled value",
		"wsinv's Subject":         read("wsinv").Header[0] == Header{"Subject", ""},
		"wsinv's odd field":       read("wsinv").Get("UnknownHeaderWithUnusualValue") == ";;,,;;,;",
		"wsinv's body":            len(read("wsinv").Body) == 150,
		"intmeth's To":            read("intmeth").To.Name == "BEL:\a NUL:\x00 DEL:\x7f",
		"intmeth's user":          read("intmeth").URI.User == "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*" && read("intmeth").URI.Password == "&it+has=1,weird!*pas$wo~d_too.(doesn't-it)",
		"intmeth's From":          read("intmeth").From.Name == "token1~` token2'+_ token3*%!.-" && read("intmeth").From.Params[0].Value == "работающий",
		"esc01's Request-URI":     read("esc01").URI.User == "sips:user@example.com" && read("esc01").URI.Scheme == "sip" && read("esc01").URI.Host == "example.net",
		"esc01's To":              read("esc01").To.URI.User == "user",
		"esc01's From":            read("esc01").From.URI.User == "I have spaces",
		"esc01's Contact":         read("esc01").Contact[0].URI.User == "caller" && read("esc01").Contact[0].URI.Params.Has("lr") && read("esc01").Contact[0].URI.Params.Get("name") == "value%41",
		"escnull's users":         read("escnull").To.URI.User == "null-\x00-null" && read("escnull").Contact[0].URI.User == "\x00" && read("escnull").Contact[1].URI.User == "\x00\x00",
		"esc02's name":            read("esc02").To.Name == "%Z%45" && len(read("esc02").Contact) == 2 && read("esc02").Get("C%6Fntact") != "",
		"lwsdisp's name":          read("lwsdisp").From.Name == "caller",
		"longreq's Via":           len(read("longreq").Via) == 34 && read("longreq").Via[33].Received() == "192.0.2.5",
		"dblreq is the first":     read("dblreq").Method == MethodRegister && read("dblreq").Body == nil,
		"semiuri's user":          read("semiuri").URI.User == "user;par=u@example.net" && len(read("semiuri").List("Accept")) == 6,
		"transports' Via":         read("transports").Via[3].Transport == "UNKNOWN" && len(read("transports").Via) == 5,
		"mpart01's body":          len(read("mpart01").Body) == 553 && read("mpart01").MediaType() == "multipart/mixed",
		"unreason's phrase":       read("unreason").Reason == "= 2**3 * 5**2 но сто девяносто девять - простое",
		"noreason's phrase":       read("noreason").Status == 100 && read("noreason").Reason == "",
		"badbranch's transaction": !transaction(read("badbranch")) && transaction(read("lwsdisp")),
		"cparam01's parameter":    read("cparam01").Contact[0].Params.Has("unknownparam") && !read("cparam01").Contact[0].URI.Params.Has("unknownparam"),
		"cparam02's parameter":    !read("cparam02").Contact[0].Params.Has("unknownparam") && read("cparam02").Contact[0].URI.Params.Has("unknownparam"),
		"regescrt's header":       read("regescrt").Contact[0].URI.Headers.Get("Route") == "<sip:sip.example.com>",
		"inv2543's To":            read("inv2543").To.Params.Get("user") == "phone" && read("inv2543").MaxForwards == -1 && len(read("inv2543").Body) > 0,
		"port-ambiguous":          read("port-ambiguous").URI.Host == "2001:db8::10:5070" && read("port-ambiguous").URI.Port == 0,
		"port-unambiguous":        read("port-unambiguous").URI.Host == "2001:db8::10" && read("port-unambiguous").URI.Port == 5070,
		"received with brackets":  read("via-received-param-with-delim").Via[0].Received() == "2001:db8::9:255",
		"received without":        read("via-received-param-no-delim").Via[0].Received() == "2001:db8::9:255",
		"mapped address":          read("ipv4-mapped-ipv6").Via[0].Host == "::ffff:192.0.2.10" && read("ipv4-mapped-ipv6").Via[0].Port == 19823,
		"three colons":            read("ipv6-bug-abnf-3-colons").URI.Equal(read("ipv6-correct-abnf-2-colons").URI),
	} {
		if !ok {
			t.Error(what)
		}
	}
}

func transaction(m *Message) bool {
	_, ok := m.Via[0].Transaction()
	return ok
}

// TestForwards: an element that sends requests on refuses Max-Forwards 0 and
// what proxies should do and it does not.
func TestForwards(t *testing.T) {
	_, messages := published(t)
	proxy := phone
	proxy.Forwards = true
	if got, err := verdict(t, messages["zeromf"], func(m *Message) error { return Check(m, proxy) }); got != 483 {
		t.Errorf("%d, %v", got, err)
	}
	_, err := verdict(t, messages["bext01"], func(m *Message) error { return Check(m, proxy) })
	want := []Header{{"Unsupported", "nothingSupportsThis, nothingSupportsThisEither, noProxiesSupportThis, norDoAnyProxiesSupportThis"}}
	if err == nil || !same(err.Header, want) {
		t.Errorf("%+v", err)
	}
}
