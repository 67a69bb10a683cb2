package sctp_test

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	"campanile.network/internal/sctp"
)

// stats are the counters of an endpoint that Open made.
func stats(e sctp.Endpoint) sctp.Stats { return e.(interface{ Stats() sctp.Stats }).Stats() }

// threads is how many threads this process has.
func threads(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(string(regexp.MustCompile(`(?m)^Threads:\s+(\d+)`).FindSubmatch(b)[1]))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// descriptors is how many files and sockets this process has open.
func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// Many associations, all waited for, block no threads, and closing their endpoints closes their sockets.
func kernelMany(t *testing.T) {
	many := 100
	if os.Getenv("INTEROP") != "" {
		many = 500
	}
	files := descriptors(t)
	e, l := kernelEnds(t, sctp.OpenOptions{CloseTimeout: 5 * time.Minute})
	before := threads(t)
	var wg sync.WaitGroup
	for range many {
		x, err := e.Dial(t.Context(), l.Addr(), sctp.DialOptions{})
		if err != nil {
			t.Fatal(err)
		}
		y, err := l.Accept(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() { _ = echo(context.Background(), y) })
		mustSend(t, x, 0, []byte("hello"))
		mustRecv(t, x, 0, []byte("hello"))
		wg.Go(func() { _, _ = x.Recv(context.Background()) })
	}
	if n := threads(t) - before; n > 10 {
		t.Errorf("%d threads more for %d associations", n, many)
	}
	if s := stats(e); s.Associations != many || s.Established != uint64(many) || s.Ended != 0 {
		t.Errorf("%+v", s)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	wg.Wait()
	if s := stats(e); s.Associations != 0 || s.Ended != uint64(many) {
		t.Errorf("%+v", s)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	deadline := time.Now().Add(time.Minute) // the last reader closes its socket after the association is over
	for descriptors(t) > files && time.Now().Before(deadline) {
		time.Sleep(10 * time.Millisecond)
	}
	if n := descriptors(t) - files; n > 0 {
		t.Errorf("%d descriptors leaked", n)
	}
}

// The same over IPv6, and with addresses of both families at one end.
func kernelIPv6(t *testing.T) {
	v6 := netip.IPv6Loopback()
	for _, c := range []struct {
		name           string
		server, client []netip.Addr
		dial           []netip.Addr
	}{
		{"IPv6", []netip.Addr{v6}, []netip.Addr{v6}, []netip.Addr{v6}},
		{"IPv6 and IPv4", []netip.Addr{v6, kernelB}, []netip.Addr{v6, kernelA}, []netip.Addr{v6, kernelB}},
		{"IPv4 and IPv6", []netip.Addr{kernelB, v6}, []netip.Addr{kernelA}, []netip.Addr{kernelB}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, err := kernelEndpoint(t, sctp.OpenOptions{Local: c.server}).Listen(36412)
			if err != nil {
				t.Fatal(err)
			}
			e := kernelEndpoint(t, sctp.OpenOptions{Local: c.client})
			for _, ip := range c.dial {
				x, err := e.Dial(t.Context(), netip.AddrPortFrom(ip, 36412), sctp.DialOptions{})
				if err != nil {
					t.Fatalf("%v: %v", ip, err)
				}
				y, err := l.Accept(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				mustSend(t, x, 1, text(1, 5000))
				mustRecv(t, y, 1, text(1, 5000))
				mustSend(t, y, 1, text(2, 5000))
				mustRecv(t, x, 1, text(2, 5000))
				if x.RemoteAddr().Addr() != ip || y.LocalAddr() != l.Addr() || l.Addr().Addr() != c.server[0] {
					t.Errorf("dialled %v: %v, %v", ip, x.RemoteAddr(), y.LocalAddr())
				}
				if err := x.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	e := kernelEndpoint(t, sctp.OpenOptions{Local: []netip.Addr{kernelA}})
	if _, err := e.Dial(t.Context(), netip.AddrPortFrom(v6, 36412), sctp.DialOptions{}); err == nil {
		t.Error("IPv6 was reached from IPv4")
	}
}

// A listener that closes while peers come leaves none of them hanging: each was accepted or is aborted.
func kernelListenerRace(t *testing.T) {
	for range 20 {
		e, l := kernelEnds(t, sctp.OpenOptions{})
		to := l.Addr()
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				x, err := e.Dial(context.Background(), to, sctp.DialOptions{})
				if err != nil {
					return // refused
				}
				var aborted *sctp.AbortError
				if _, err := x.Recv(context.Background()); !errors.As(err, &aborted) {
					t.Errorf("not accepted: %v", err)
				}
			})
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		wg.Wait()
	}
}

// Closing an endpoint ends the dials that nobody answers.
func kernelDialClosed(t *testing.T) {
	for _, c := range [][]string{{"addr", "add", "10.99.1.1/32", "dev", "lo"}, {"route", "add", "10.99.0.0/24", "dev", "lo"}} {
		if out, err := exec.Command("ip", c...).CombinedOutput(); err != nil {
			t.Skipf("no silent network: %v: %s", err, out)
		}
	}
	e := kernelEndpoint(t, sctp.OpenOptions{Local: []netip.Addr{netip.MustParseAddr("10.99.1.1")}})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := e.Dial(ctx, netip.MustParseAddrPort("10.99.0.1:36412"), sctp.DialOptions{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("who is silent: %v", err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := e.Dial(context.Background(), netip.MustParseAddrPort("10.99.0.1:36412"), sctp.DialOptions{})
		ended <- err
	}()
	time.Sleep(50 * time.Millisecond)
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, sctp.ErrClosed) {
		t.Error(err)
	}
}

// The kernel's endpoint counts what is said about associations.
func kernelStats(t *testing.T) {
	e, l := kernelEnds(t, sctp.OpenOptions{})
	x, err := e.Dial(t.Context(), l.Addr(), sctp.DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	y, err := l.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	y.Abort("")
	<-x.Done()
	if s := stats(e); s.Established != 1 || s.Ended != 1 || s.Associations != 0 || s.Notifications == 0 || len(s.Dropped) != 0 {
		t.Errorf("%+v", s)
	}
}
