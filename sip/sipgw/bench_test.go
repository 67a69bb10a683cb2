package sipgw

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"campanile.network/3gpp/aka"
	"campanile.network/3gpp/id"
	"campanile.network/wire/proof"
	"campanile.network/wire/sip"
	"campanile.network/wire/sip/digest"
	"campanile.network/wire/sip/txn"
)

// pipe is a socket in memory that hands on what is written.
type pipe struct {
	*datagrams
	out chan []byte
}

func (p pipe) WriteToUDPAddrPort(b []byte, _ netip.AddrPort) (int, error) {
	p.out <- append([]byte(nil), b...)
	return len(b), nil
}

// BenchmarkRegister is a registration by OpenBTS: two requests, a challenge of a home
// in the same process, and the answer. The socket is memory.
func BenchmarkRegister(b *testing.B) {
	wire := pipe{newDatagrams(), make(chan []byte, 64)}
	e, err := txn.Listen(txn.Options{Packets: []txn.PacketConn{wire}, Host: "gw.example", Admission: txn.Admission{Trusted: []netip.Prefix{netip.PrefixFrom(there.Addr(), 32)}}})
	if err != nil {
		b.Fatal(err)
	}
	h := newFakeHome()
	s := h.add(b, alice, "4915100001", "")
	plmn, _ := id.ParsePLMN("00101")
	g, err := New(Options{Endpoint: e, Home: h, Directory: h, PLMN: plmn, Serving: proof.OperatorKey{1}, Realm: testRealm, Messages: &centre{}, Tally: &book{},
		Stations: []Station{{Name: "bts", From: []netip.Prefix{netip.PrefixFrom(there.Addr(), 32)}, Cells: []id.CGI{cell(0x3ef, 0xa)}}}})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- g.Serve(ctx) }()
	ask := func(n int, authorization string, want int) *sip.Message {
		text := fmt.Sprintf("REGISTER sip:192.0.2.60 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKo%[1]d\nFrom: <sip:IMSI%[2]s@192.0.2.60>;tag=o%[1]d\n"+
			"To: <sip:IMSI%[2]s@192.0.2.60>\nCall-ID: 196117285@192.0.2.1\nCSeq: %[1]d REGISTER\nContact: <sip:IMSI%[2]s@192.0.2.1:5060>;expires=5400\nMax-Forwards: 70\n"+
			"P-Access-Network-Info: 3GPP-GERAN; cgi-3gpp=0010103ef000a\nP-PHY-Info: OpenBTS; TA=1 UpRSSI=-26\nUser-Agent: OpenBTS\n%[3]sContent-Length: 0\n\n", n, alice, authorization)
		wire.in <- datagram{[]byte(strings.ReplaceAll(text, "\n", "\r\n")), there}
		m, err := sip.Parse(<-wire.out, false)
		if err != nil || m.Status != want {
			b.Fatalf("%v, %+v", err, m)
		}
		return m
	}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		c, err := digest.ParseChallenge(ask(n+1, "", 401).Get("WWW-Authenticate"))
		if err != nil {
			b.Fatal(err)
		}
		rand, _, _ := digest.ReadNonce(c.Nonce)
		sres := aka.Generate(s.card, rand, 0, aka.AMF{}).Triplet().SRES
		ask(n+2, fmt.Sprintf("Authorization: Digest nonce=\"%x\", uri=\"%s\", response=\"%s\"\n", rand, alice, hex.EncodeToString(sres[:])), 200)
		n += 2
	}
	b.StopTimer()
	stop()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
}
