package sctp_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/internal/sctp"
	"campanile.network/internal/sctp/sctptest"
)

// estranged are a server and a peer that dialled it from a port on which it listens itself, as a one-to-many socket does whose owner is told nothing of
// restarts.
type estranged struct {
	*bench
	peer sctp.Listener
	at   sctp.Peer // the peer, as the server sees it
	old  sctp.Association
}

func newEstranged(t *testing.T) *estranged {
	e := &estranged{bench: newBench(t, sctptest.Conditions{Delay: 10 * time.Millisecond}, sctp.Options{})}
	l, err := e.eb.Listen(36412)
	if err != nil {
		t.Fatal(err)
	}
	if e.peer, err = e.ea.Listen(5000); err != nil {
		t.Fatal(err)
	}
	if e.old, err = e.ea.Dial(t.Context(), l.Addr(), sctp.DialOptions{LocalPort: 5000}); err != nil {
		t.Fatal(err)
	}
	a, err := l.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	e.at = sctp.PeerOf(a)
	if want := (sctp.Peer{Addrs: []netip.Addr{addrA.Addr()}, Port: 5000, EncapPort: addrA.Port()}); !slices.Equal(e.at.Addrs, want.Addrs) || e.at.Port != want.Port || e.at.EncapPort != want.EncapPort {
		t.Errorf("the peer is %+v, want %+v", e.at, want)
	}
	return e
}

// powerCut puts an endpoint that knows nothing in the place of the server.
func (e *estranged) powerCut() sctp.Listener {
	e.t.Helper()
	e.net.SetConditions(sctptest.Conditions{Loss: 1})
	if err := e.eb.Close(); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		e.t.Errorf("close: %v", err)
	}
	e.net.SetConditions(sctptest.Conditions{Delay: 10 * time.Millisecond})
	e.eb = endpoint(e.t, e.net, addrB, sctp.Options{})
	l, err := e.eb.Listen(36412)
	if err != nil {
		e.t.Fatal(err)
	}
	return l
}

// call dials the peer from the port that the server listens on.
func (e *estranged) call() (sctp.Association, error) {
	return e.eb.Dial(e.t.Context(), netip.AddrPortFrom(e.at.Addrs[0], e.at.Port), sctp.DialOptions{LocalPort: 36412, EncapPort: e.at.EncapPort})
}

// A server whose power was cut calls its peer from the port that it listens on: to the peer this is a restart (RFC 9260 §5.2.4 action A), whose
// SHUTDOWN it hears. What it sends on the old association before is not answered: an ABORT would leave nothing to restart.
func TestDialFromListeningPort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEstranged(t)
		defer e.close()
		l := e.powerCut()
		e.net.SetConditions(sctptest.Conditions{Delay: 40 * time.Millisecond})
		mustSend(t, e.old, 0, []byte("are you there?")) // on its way when the call is made
		x, err := e.call()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.old.Recv(t.Context()); err != sctp.ErrRestarted {
			t.Errorf("the old association ended with %v", err)
		}
		y, err := e.peer.Accept(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if x.LocalAddr().Port() != 36412 || y.RemoteAddr() != x.LocalAddr() {
			t.Errorf("called from %v, seen from %v", x.LocalAddr(), y.RemoteAddr())
		}
		if s := e.eb.Stats(); s.Dropped["wrong verification tag"] == 0 || s.Dropped["out of the blue"] != 0 {
			t.Errorf("the old association's message met %v", s.Dropped)
		}
		if err := x.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := y.Recv(t.Context()); err != sctp.ErrShutdown {
			t.Errorf("the peer got %v", err)
		}

		<-y.Done()
		z, err := e.ea.Dial(t.Context(), l.Addr(), sctp.DialOptions{LocalPort: 5000}) // and it can come back
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Accept(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := e.call(); !errors.Is(err, sctp.ErrPortInUse) {
			t.Errorf("called while it is here: %v", err)
		}
		mustSend(t, z, 0, []byte("undisturbed"))
		synctest.Wait()
		if z.Err() != nil {
			t.Error(z.Err())
		}
	})
}

// The peer comes by itself while it is called (RFC 9260 §5.2.1): there is one association, it is the called one's, and both ends can use it.
func TestDialMeetsDial(t *testing.T) {
	for _, head := range []time.Duration{0, 5 * time.Millisecond, 10 * time.Millisecond, 15 * time.Millisecond, 25 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			e := newEstranged(t)
			defer e.close()
			e.old.Abort("")
			l := e.powerCut()
			called := make(chan sctp.Association, 1)
			go func() {
				a, err := e.call()
				if err != nil && !errors.Is(err, sctp.ErrPortInUse) {
					t.Errorf("call: %v", err)
				}
				called <- a
			}()
			time.Sleep(head)
			z, err := e.ea.Dial(t.Context(), l.Addr(), sctp.DialOptions{LocalPort: 5000})
			if errors.Is(err, sctp.ErrPortInUse) {
				z, err = e.peer.Accept(t.Context()) // the call was first
			}
			if err != nil {
				t.Fatal(err)
			}
			a := <-called
			if a == nil {
				if a, err = l.Accept(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			mustSend(t, z, 0, []byte("setup"))
			mustRecv(t, a, 0, []byte("setup"))
			mustSend(t, a, 0, []byte("response"))
			mustRecv(t, z, 0, []byte("response"))
			if n := e.eb.Stats().Associations; n != 1 {
				t.Errorf("%d associations", n)
			}
		})
	}
}
