package peertls_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"campanile.network/internal/peertls"
)

func newKey(t testing.TB) (ed25519.PrivateKey, [32]byte) {
	t.Helper()
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key, [32]byte(pub)
}

// shake runs a handshake and one octet each way, and gives both ends' errors.
func shake(server, client *tls.Config) (atServer, atClient error) {
	// net.Pipe has no buffer: two alerts at once would wait for each other.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err, err
	}
	defer l.Close()
	b, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		return err, err
	}
	a, err := l.Accept()
	if err != nil {
		return err, err
	}
	done := make(chan error, 1)
	go func() {
		c := tls.Server(a, server)
		_, err := c.Read(make([]byte, 1))
		if err == nil {
			_, err = c.Write([]byte{2})
		}
		a.Close()
		done <- err
	}()
	c := tls.Client(b, client)
	_, err = c.Write([]byte{1})
	if err == nil {
		_, err = c.Read(make([]byte, 1))
	}
	b.Close()
	return <-done, err
}

func TestKeysDecide(t *testing.T) {
	sk, sp := newKey(t)
	ck, cp := newKey(t)
	_, other := newKey(t)
	config := func(c *tls.Config, err error) *tls.Config {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	refusal := errors.New("nobody I know")
	only := func(want [32]byte) peertls.Check {
		return func(got [32]byte) error {
			if got != want {
				return refusal
			}
			return nil
		}
	}
	if s, c := shake(config(peertls.Server(sk, only(cp))), config(peertls.Client(ck, sp))); s != nil || c != nil {
		t.Errorf("known to each other: %v, %v", s, c)
	}
	if s, c := shake(config(peertls.Server(sk, only(other))), config(peertls.Client(ck, sp))); !errors.Is(s, refusal) || c == nil {
		t.Errorf("client unknown: %v, %v", s, c)
	}
	if s, c := shake(config(peertls.Server(sk, only(cp))), config(peertls.Client(ck, other))); s == nil || c == nil || !strings.Contains(c.Error(), "want") {
		t.Errorf("server is not who was wanted: %v, %v", s, c)
	}
	bare := config(peertls.Client(ck, sp))
	bare.Certificates = nil
	if s, _ := shake(config(peertls.Server(sk, only(cp))), bare); s == nil {
		t.Error("a client without a key got in")
	}
	old := config(peertls.Client(ck, sp))
	old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	if s, _ := shake(config(peertls.Server(sk, only(cp))), old); s == nil {
		t.Error("TLS 1.2 got in")
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(nil, template, template, ec.Public(), ec)
	if err != nil {
		t.Fatal(err)
	}
	curve := config(peertls.Client(ck, sp))
	curve.Certificates = []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: ec}}
	if s, _ := shake(config(peertls.Server(sk, func([32]byte) error { return nil })), curve); s == nil || !strings.Contains(s.Error(), "not ed25519") {
		t.Errorf("an ECDSA key got in: %v", s)
	}
}

func TestPeerKeyNeedsTLS(t *testing.T) {
	if k, err := peertls.PeerKey(context.Background()); err == nil {
		t.Errorf("key %x out of nothing", k)
	}
}

// A pass says what its issuer has said and of whom, and nothing else does.
func TestPass(t *testing.T) {
	operator, op := newKey(t)
	_, stranger := newKey(t)
	gateway, gw := newKey(t)
	server, sv := newKey(t)
	pass, err := peertls.Pass(operator, gw, "gateway", time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	over, err := peertls.Pass(operator, gw, "gateway", time.Now().Add(-time.Second))
	if err != nil {
		t.Fatal(err)
	}
	var role, other, own string
	st, err := peertls.ServerFor(server, func(p peertls.Peer) error {
		role, other, own = p.Role(op), p.Role(stranger), p.Role(gw)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	meet := func(pass []byte) {
		t.Helper()
		ct, err := peertls.ClientWith(gateway, pass, sv)
		if err != nil {
			t.Fatal(err)
		}
		a, b := net.Pipe()
		done := make(chan error, 1)
		go func() { done <- tls.Server(a, st).Handshake() }()
		if err := tls.Client(b, ct).Handshake(); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	meet(over)
	if role != "" {
		t.Errorf("with a pass that has ended: %q", role)
	}
	meet(pass)
	if role != "gateway" || other != "" || own != "" {
		t.Errorf("of the operator %q, of a stranger %q, of itself %q", role, other, own)
	}
	if _, err := peertls.ClientWith(server, pass, sv); err == nil {
		t.Error("another key goes with the pass")
	}
	if _, err := peertls.ClientWith(gateway, pass[:40], sv); err == nil {
		t.Error("half a pass is taken")
	}
}
