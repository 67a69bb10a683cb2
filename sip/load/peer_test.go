package load

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"campanile.network/wire/sip"
	"campanile.network/wire/sip/digest"
)

// peer registers the two ends of calls, as the server wants it: with a password,
// or as phones of a cell of OpenBTS.
type peer struct {
	t    *testing.T
	conn *net.UDPConn
	n    int
}

func newPeer(t *testing.T, at string) *peer {
	t.Helper()
	c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(at)))
	if err != nil {
		t.Fatal(err)
	}
	return &peer{t: t, conn: c}
}

// ask sends a request until something final comes, or gives nil.
func (p *peer) ask(to netip.AddrPort, method, user string, seq int, extra string, patience time.Duration) *sip.Message {
	p.n++
	at := p.conn.LocalAddr().String()
	m := fmt.Sprintf("%s sip:load.test SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%s%d-%d\r\nMax-Forwards: 70\r\nFrom: <sip:%s@load.test>;tag=p%d\r\n"+
		"To: <sip:%s@load.test>\r\nCall-ID: %s-%d\r\nCSeq: %d %s\r\nContact: <sip:%s@%s>;expires=3600\r\n%sContent-Length: 0\r\n\r\n",
		method, at, user, p.n, time.Now().UnixNano(), user, p.n, user, user, p.n, seq, method, user, at, extra)
	if _, err := p.conn.WriteToUDPAddrPort([]byte(m), to); err != nil {
		return nil
	}
	_ = p.conn.SetReadDeadline(time.Now().Add(patience))
	b := make([]byte, 65535)
	for {
		n, err := p.conn.Read(b)
		if err != nil {
			return nil
		}
		if r, err := sip.Parse(b[:n], false); err == nil && r.Status >= 200 {
			return r
		}
	}
}

// register registers a user at the server.
func (p *peer) register(to netip.AddrPort, user, auth, password string) {
	p.t.Helper()
	r := p.ask(to, "REGISTER", user, 1, "", 5*time.Second)
	if r == nil || r.Status != 401 {
		p.t.Fatalf("REGISTER of %s: %v", user, r)
	}
	extra := ""
	for _, v := range r.Values("WWW-Authenticate") {
		c, err := digest.ParseChallenge(v)
		if err != nil {
			p.t.Fatal(err)
		}
		if c.Realm == "" { // as OpenBTS answers
			extra = fmt.Sprintf("Authorization: Digest nonce=%q, uri=%q, response=\"01020304\"\r\n", c.Nonce, strings.TrimPrefix(user, "IMSI"))
			break
		}
		a, err := c.Respond(digest.Request{Username: auth, Password: password, Method: "REGISTER", URI: "sip:load.test", CNonce: "0a4f113b"})
		if err != nil {
			p.t.Fatal(err)
		}
		extra = "Authorization: " + a.String() + "\r\n"
	}
	if r = p.ask(to, "REGISTER", user, 2, extra, 5*time.Second); r == nil || r.Status != 200 {
		p.t.Fatalf("REGISTER of %s: %v", user, r)
	}
}

// prepare registers who is called, and at the gateway who calls, too: there
// both are phones of a cell.
func prepare(t *testing.T, c competitor, at netip.AddrPort, what string) {
	t.Helper()
	callee := newPeer(t, "127.0.0.1:16100")
	defer callee.conn.Close()
	if c.name != "gateway" {
		callee.register(at, "2101", fmt.Sprint("0010110000", firstUser+1), fmt.Sprint("secret", firstUser+1))
		return
	}
	callee.register(at, calleeIMSI, "", "")
	caller := newPeer(t, "127.0.0.1:16000")
	defer caller.conn.Close()
	for i := range users {
		caller.register(at, fmt.Sprint("IMSI0010110000", firstUser+i), "", "")
		if what == "message" {
			callee.register(at, fmt.Sprint("IMSI0010120000", firstUser+i), "", "")
		}
	}
}
