package sctp_test

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"campanile.network/internal/sctp"
)

// An endpoint dials from the port it listens on, which goes on as before and is still nobody else's; whoever has an association with that port
// already is left alone.
func kernelDialsFromListener(t *testing.T) {
	second := netip.MustParseAddr("127.0.0.4")
	core := kernelEndpoint(t, sctp.OpenOptions{Local: []netip.Addr{kernelB, second}})
	l, err := core.Listen(36412)
	if err != nil {
		t.Fatal(err)
	}
	tower := kernelEndpoint(t, sctp.OpenOptions{Local: []netip.Addr{kernelA}})
	reached, err := tower.Listen(5000)
	if err != nil {
		t.Fatal(err)
	}
	from := sctp.DialOptions{LocalPort: 36412}
	for range 3 {
		x, err := core.Dial(t.Context(), reached.Addr(), from)
		if err != nil {
			t.Fatal(err)
		}
		y, err := reached.Accept(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if p := sctp.PeerOf(y); p.Port != 36412 || !slices.Contains(p.Addrs, kernelB) || !slices.Contains(p.Addrs, second) {
			t.Errorf("called by %+v", p)
		}
		mustSend(t, x, 0, []byte("it is me"))
		mustRecv(t, y, 0, []byte("it is me"))
		if _, err := core.Dial(t.Context(), reached.Addr(), from); !errors.Is(err, sctp.ErrPortInUse) {
			t.Errorf("called while it is here: %v", err)
		}
		if err := x.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if _, err := y.Recv(t.Context()); err != sctp.ErrShutdown {
			t.Errorf("the peer got %v", err)
		}
		<-y.Done()
	}

	z, err := tower.Dial(t.Context(), l.Addr(), sctp.DialOptions{LocalPort: 5001})
	if err != nil {
		t.Fatal(err)
	}
	a, err := l.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := core.Dial(t.Context(), z.LocalAddr(), from); !errors.Is(err, sctp.ErrPortInUse) {
		t.Errorf("called who is here: %v", err)
	}
	mustSend(t, a, 0, []byte("undisturbed"))
	mustRecv(t, z, 0, []byte("undisturbed"))
	if _, err := kernelEndpoint(t, sctp.OpenOptions{Local: []netip.Addr{kernelB}}).Listen(36412); !errors.Is(err, sctp.ErrPortInUse) {
		t.Errorf("a second listener: %v", err)
	}
}

// The power of a kernel's host is cut, and comes back: from the listening port it calls a peer that has not noticed. To that this is a restart
// (RFC 9260 §5.2.4 action A), and then it hears SHUTDOWN.
func TestKernelCallsAfterPowerCut(t *testing.T) {
	onlyInterop(t)
	for _, c := range carriers {
		t.Run(c.name, func(t *testing.T) {
			w, link := newWire(t, c.udp, c.loss)
			e := wireEndpoint(t, w)
			defer e.Close()
			l, err := e.Listen(5000)
			if err != nil {
				t.Fatal(err)
			}
			m := bootRole(t, link, c.udp, "echo")
			waitLine(t, m, "READY")
			a, err := e.Dial(t.Context(), netip.AddrPortFrom(guestIP, 36412), sctp.DialOptions{LocalPort: 5000, EncapPort: 9899})
			if err != nil {
				t.Fatal(err)
			}
			mustSend(t, a, 0, text(0, 10))
			mustRecv(t, a, 0, text(0, 10))
			m.Kill()
			began := time.Now()
			m = bootRole(t, link, c.udp, "call 10.132.9.1:5000")
			if _, err := a.Recv(t.Context()); err != sctp.ErrRestarted {
				t.Fatalf("the old association ended with %v", err)
			}
			b, err := l.Accept(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := b.Recv(t.Context()); err != sctp.ErrShutdown {
				t.Errorf("the new one ended with %v", err)
			}
			t.Logf("told %v after the power cut", time.Since(began).Round(time.Millisecond))
			waitLine(t, m, "CALLED")
		})
	}
}
