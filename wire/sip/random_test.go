package sip

import (
	"math/rand/v2"
	"reflect"
	"testing"
)

// maker makes messages at random, with strings that tempt.
type maker struct{ *rand.Rand }

func (r maker) pick(list ...string) string { return list[r.IntN(len(list))] }

// text is any string, of which a line may be made.
func (r maker) text() string {
	const tempting = "ab \t\"\\<>;,:@?&=%#[]'*é\x00\x7f\xff"
	b := make([]byte, 1+r.IntN(8))
	for i := range b {
		b[i] = tempting[r.IntN(len(tempting))]
	}
	return string(b)
}

func (r maker) params(value func() string) (p Params) {
	for range r.IntN(4) {
		name := r.pick("tag", "lr", "x", "y-z", "expires")
		if p.Has(name) {
			continue
		}
		if r.IntN(3) == 0 {
			p.SetFlag(name)
		} else {
			p.Set(name, value())
		}
	}
	for i := range p { // as it will be written
		p[i].Quoted = p[i].HasValue && !all(p[i].Value, isValue)
	}
	return p
}

func (r maker) uri(headers bool) URI {
	switch r.IntN(8) {
	case 0:
		return URI{Scheme: "tel", User: r.pick("+4930123", "*100#", "110"), Params: r.uriParams()}
	case 1:
		return URI{Scheme: r.pick("urn", "http", "x-1+y"), Opaque: r.pick("service:sos", "//h/p?q;x")}
	}
	u := URI{Scheme: r.pick("sip", "sips"), Host: r.pick("h", "a.example", "192.0.2.1", "2001:db8::1", "my_host"), Port: r.IntN(2) * r.IntN(65536), Params: r.uriParams()}
	if r.IntN(3) > 0 {
		u.User = r.text() + "\r\n"[:r.IntN(3)]
		if r.IntN(3) == 0 {
			u.Password = r.text()
		}
	}
	if headers && r.IntN(4) == 0 {
		u.Headers = Params{{Name: r.text(), Value: r.text(), HasValue: true}, {Name: "a", HasValue: true}}
	}
	return u
}

func (r maker) uriParams() Params {
	p := r.params(r.text)
	for i := range p {
		p[i].Quoted = false
	}
	return p
}

func (r maker) addresses(most int) (list []Address) {
	for range r.IntN(most + 1) {
		list = append(list, r.address())
	}
	return list
}

func (r maker) address() Address {
	a := Address{URI: r.uri(true), Params: r.params(r.text)}
	if r.IntN(2) == 0 {
		a.Name = r.text()
	}
	return a
}

func (r maker) message() *Message {
	method := Method(r.pick("INVITE", "REGISTER", "a'b%c", "MESSAGE"))
	m := NewRequest(method, r.uri(false))
	m.CSeq.Seq, m.CallID = r.Uint32()>>1, r.pick("a", `)(><:\/"][?}{`, "é@h")
	m.From, m.To = r.address(), r.address()
	for range 1 + r.IntN(4) {
		m.Via = append(m.Via, Via{Transport: r.pick("UDP", "TLS", "X-1", "SIP/3.0/TCP"), Host: r.pick("h", "::1", "192.0.2.1"), Port: r.IntN(2) * r.IntN(65536), Params: r.params(r.text)})
	}
	m.Contact, m.Route, m.RecordRoute = r.addresses(3), r.addresses(2), r.addresses(2)
	m.MaxForwards, m.Expires = r.IntN(257)-1, r.IntN(1<<30)-1
	for range r.IntN(4) {
		m.Header = append(m.Header, Header{r.pick("X-Y", "Subject", "a!b"), r.pick("", "a  b", ";;,,\t\"é", "\xff")})
	}
	if r.IntN(2) == 0 {
		m.ContentType, m.Body = "text/plain; charset=utf-8", []byte(r.text()+"\r\n\r\n")
	}
	if r.IntN(3) == 0 {
		m.Method, m.URI = "", URI{}
		m.Status, m.Reason = 100+r.IntN(600), r.pick("", "OK", "= 2**3 é \"x\"")
	}
	return m
}

// TestRandom: whatever a message says, it says after it was written and read.
func TestRandom(t *testing.T) {
	r := maker{rand.New(rand.NewPCG(1, 2))}
	for range 5000 {
		m := r.message()
		b, err := m.Bytes()
		if err != nil {
			t.Fatalf("%v: %+v", err, m)
		}
		again, err := Parse(b, true)
		if err != nil {
			t.Fatalf("%v: %q", err, b)
		}
		if !reflect.DeepEqual(m, again) {
			t.Fatalf("%q\ngot  %+v\nwant %+v", b, again, m)
		}
	}
}
