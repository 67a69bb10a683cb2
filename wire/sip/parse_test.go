package sip

import (
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
