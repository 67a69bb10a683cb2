package sipgw

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/internal/loopback"
	"campanile.network/internal/peertls"
	"campanile.network/wire/proof"
	"campanile.network/wire/sip"
	"campanile.network/wire/sip/txn"
)

// A station that comes over TLS is known by its tower's key and by nothing else; an
// app is reached by the connection over which it registered.
func TestStationByKey(t *testing.T) {
	gateway, tower, other := proof.NewSigningKey(), proof.NewSigningKey(), proof.NewSigningKey()
	admit, err := peertls.Server(gateway.Ed25519(), func([32]byte) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	at := netip.AddrPortFrom(loopback.Addr(t, 5061), 0)
	e, err := txn.Listen(txn.Options{TLS: []netip.AddrPort{at}, TLSConfig: admit})
	if err != nil {
		t.Fatal(err)
	}
	h := newFakeHome()
	h.add(t, alice, "4915100001", "")
	plmn, _ := id.ParsePLMN("00101")
	g, err := New(Options{Endpoint: e, Home: h, Directory: h, PLMN: plmn, Serving: proof.OperatorKey{1}, Realm: testRealm,
		Stations: []Station{{Name: "far", TLS: true, Tower: tower.Public(), Cells: []id.CGI{cell(1, 1)}}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- g.Serve(ctx) }()
	defer func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	to, _ := e.Local(txn.TLS)
	for i, key := range []proof.SigningKey{tower, other} {
		bare := i == 0
		config, err := peertls.Client(key.Ed25519(), gateway.Public())
		if err != nil {
			t.Fatal(err)
		}
		dialer := tls.Dialer{Config: config}
		c, err := dialer.DialContext(ctx, "tcp", to.String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(20 * time.Second))
		fmt.Fprint(c, strings.ReplaceAll(fmt.Sprintf("REGISTER sip:gw SIP/2.0\nVia: SIP/2.0/TLS bts.invalid;branch=z9hG4bKt\nFrom: <sip:IMSI%[1]s@gw>;tag=t\nTo: <sip:IMSI%[1]s@gw>\n"+
			"Call-ID: t\nCSeq: 1 REGISTER\nContact: <sip:IMSI%[1]s@bts.invalid>\nMax-Forwards: 70\nContent-Length: 0\n\n", alice), "\n", "\r\n"))
		m, err := sip.ReadStream(bufio.NewReader(c), sip.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.HasPrefix(m.Get("WWW-Authenticate"), "Digest nonce=") && !strings.Contains(m.Get("WWW-Authenticate"), "realm"); m.Status != 401 || got != bare {
			t.Errorf("%d with %q, want OpenBTS's challenge: %t", m.Status, m.Get("WWW-Authenticate"), bare)
		}
	}
}
