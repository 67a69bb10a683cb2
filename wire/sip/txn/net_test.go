package txn

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/internal/memnet"
	"campanile.network/wire/sip"
)

var (
	here  = netip.MustParseAddrPort("192.0.2.1:5060")
	there = netip.MustParseAddrPort("192.0.2.2:5062")
)

// town is an endpoint in a network in memory and in virtual time, with a far
// end whose messages a test writes and reads.
type town struct {
	*testing.T
	net *memnet.Network
	e   *Endpoint
	far *far
	in  chan *Server // requests that have reached the handler
}

// far is a socket of the far end, and what has come there.
type far struct {
	t    *testing.T
	conn *memnet.Conn
	got  chan string
}

// within runs a test in a town whose packets obey rule; change may alter the options.
func within(t *testing.T, rule memnet.Rule, change func(*Options), test func(*town)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New(rule)
		c, err := n.Listen(here)
		if err != nil {
			t.Fatal(err)
		}
		o := Options{Packets: []PacketConn{c}, Memory: 1 << 20}
		if change != nil {
			change(&o)
		}
		e, err := Listen(o)
		if err != nil {
			t.Fatal(err)
		}
		w := &town{T: t, net: n, e: e, in: make(chan *Server, 1024)}
		w.far = w.at(there.String())
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- e.Serve(ctx, func(_ context.Context, s *Server) { w.in <- s }) }()
		synctest.Wait()
		test(w)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if s := e.Stats(); s.Transactions != 0 || len(e.timers) != 0 {
			t.Errorf("%d transactions and %d timers are left", s.Transactions, len(e.timers))
		}
		_ = w.far.conn.Close()
		synctest.Wait()
	})
}

// at is another far end.
func (w *town) at(s string) *far {
	w.Helper()
	c, err := w.net.Listen(netip.MustParseAddrPort(s))
	if err != nil {
		w.Fatal(err)
	}
	f := &far{w.T, c, make(chan string, 4096)}
	go func() {
		b := make([]byte, largest)
		for {
			n, _, err := c.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			f.got <- string(b[:n])
		}
	}()
	w.Cleanup(func() { _ = c.Close() })
	return f
}

// next is the request that has reached the handler.
func (w *town) next() *Server {
	w.Helper()
	synctest.Wait()
	select {
	case s := <-w.in:
		return s
	default:
		w.Fatalf("no request has reached the handler: %+v", w.e.Stats())
	}
	return nil
}

// says sends a message written with plain line ends.
func (f *far) says(m string) {
	f.t.Helper()
	if _, err := f.conn.WriteToUDPAddrPort([]byte(wire(m)), here); err != nil {
		f.t.Fatal(err)
	}
	synctest.Wait()
}

func wire(m string) string {
	return strings.ReplaceAll(m, "\n", "\r\n")
}

// hears gives the next message, which must have come by now.
func (f *far) hears() *sip.Message {
	f.t.Helper()
	synctest.Wait()
	select {
	case s := <-f.got:
		m, err := sip.Parse([]byte(s), false)
		if err != nil {
			f.t.Fatalf("%v in\n%s", err, s)
		}
		return m
	default:
		f.t.Fatal("nothing has come")
	}
	return nil
}

// wants is hears for a start line's beginning.
func (f *far) wants(start string) *sip.Message {
	f.t.Helper()
	m := f.hears()
	if got := startLine(m); !strings.HasPrefix(got, start) {
		f.t.Fatalf("got %q, want %q", got, start)
	}
	return m
}

func startLine(m *sip.Message) string {
	if m.IsRequest() {
		return string(m.Method) + " " + m.URI.String()
	}
	return strings.TrimSpace("SIP/2.0 " + sip.CSeq{Seq: uint32(m.Status)}.String() + m.Reason)
}

// silent fails when something has come.
func (f *far) silent() {
	f.t.Helper()
	synctest.Wait()
	select {
	case s := <-f.got:
		f.t.Fatalf("unexpected:\n%s", s)
	default:
	}
}

// times counts what comes in a time, and when.
func (f *far) times(d time.Duration) (at []time.Duration) {
	f.t.Helper()
	begun := time.Now()
	end := time.After(d)
	for {
		select {
		case <-f.got:
			at = append(at, time.Since(begun))
		case <-end:
			synctest.Wait()
			return at
		}
	}
}

func invite(branch, extra string) string {
	return request("INVITE", branch, extra)
}

func request(method, branch, extra string) string {
	return method + ` sip:bob@192.0.2.1 SIP/2.0
Via: SIP/2.0/UDP 192.0.2.2:5062;branch=` + branch + `
Max-Forwards: 70
From: <sip:alice@192.0.2.2>;tag=a1
To: <sip:bob@192.0.2.1>
Call-ID: call-1
CSeq: 1 ` + method + `
Contact: <sip:alice@192.0.2.2:5062>
` + extra + `Content-Length: 0

`
}

func (f *far) addr() netip.AddrPort { return addrPort(f.conn.LocalAddr()) }

// selfSigned is a TLS server's configuration with a certificate made on the spot.
func selfSigned(t *testing.T) *tls.Config {
	t.Helper()
	_, key, _ := ed25519.GenerateKey(nil)
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}
