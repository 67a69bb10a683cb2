package sctp_test

import (
	"net/netip"
	"testing"

	"campanile.network/internal/sctp"
)

var loopback = netip.MustParseAddrPort("127.0.0.1:0")

func udpEndpoint(t testing.TB, o sctp.Options) *sctp.Userspace {
	t.Helper()
	o.Local = loopback
	e, err := sctp.NewUDP(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return e
}

// udpPair is an association over real sockets on loopback.
func udpPair(t testing.TB, o sctp.Options) (x, y sctp.Association) {
	t.Helper()
	ea, eb := udpEndpoint(t, o), udpEndpoint(t, o)
	l, err := eb.Listen(36412)
	if err != nil {
		t.Fatal(err)
	}
	x, err = ea.Dial(t.Context(), l.Addr(), sctp.DialOptions{EncapPort: eb.EncapAddr().Port()})
	if err != nil {
		t.Fatal(err)
	}
	if y, err = l.Accept(t.Context()); err != nil {
		t.Fatal(err)
	}
	return x, y
}

func TestUDPLoopback(t *testing.T) {
	x, y := udpPair(t, sctp.Options{})
	for i := range 1000 {
		mustSend(t, x, uint16(i%4), text(i, i*61%5000))
		mustRecv(t, y, uint16(i%4), text(i, i*61%5000))
		mustSend(t, y, 0, text(i, 50))
		mustRecv(t, x, 0, text(i, 50))
	}
	if y.RemoteAddr() != x.LocalAddr() || x.RemoteAddr() != y.LocalAddr() {
		t.Errorf("addresses: %v-%v and %v-%v", x.LocalAddr(), x.RemoteAddr(), y.LocalAddr(), y.RemoteAddr())
	}
	if err := y.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := x.Recv(t.Context()); err != sctp.ErrShutdown {
		t.Fatalf("after SHUTDOWN: %v", err)
	}
}

func TestNewUDPRefuses(t *testing.T) {
	taken := udpEndpoint(t, sctp.Options{})
	for name, o := range map[string]sctp.Options{
		"unspecified address": {Local: netip.MustParseAddrPort("0.0.0.0:0")},
		"no address":          {},
		"port in use":         {Local: taken.EncapAddr()},
		"tiny MTU":            {Local: loopback, MTU: 100},
		"window < message":    {Local: loopback, ReceiveBuffer: 1000},
		"RTO order":           {Local: loopback, Timers: sctp.Timers{RTOMax: 1}},
	} {
		if e, err := sctp.NewUDP(o); err == nil {
			e.Close()
			t.Errorf("%s: no error", name)
		} else {
			t.Logf("%s: %v", name, err)
		}
	}
}
