package sctp_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"campanile.network/internal/sctp"
	"campanile.network/internal/sctp/guest"
)

// These tests run in a guest kernel that has SCTP, since the host's may not.

var (
	kernelA = netip.MustParseAddr("127.0.0.2")
	kernelB = netip.MustParseAddr("127.0.0.3")
)

func kernelEndpoint(t testing.TB, o sctp.OpenOptions) sctp.Endpoint {
	t.Helper()
	o.Transport = sctp.TransportAuto
	e, c, err := sctp.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	if c.Transport != sctp.TransportKernel {
		t.Fatalf("a kernel with SCTP, and Open chose %+v", c)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("close: %v", err)
		}
	})
	return e
}

// kernelPair is an association between two endpoints of the kernel.
func kernelPair(t testing.TB, o sctp.OpenOptions) (x, y sctp.Association) {
	t.Helper()
	oa, ob := o, o
	oa.Local, ob.Local = []netip.Addr{kernelA}, []netip.Addr{kernelB}
	ea, eb := kernelEndpoint(t, oa), kernelEndpoint(t, ob)
	l, err := eb.Listen(36412)
	if err != nil {
		t.Fatal(err)
	}
	x, err = ea.Dial(t.Context(), l.Addr(), sctp.DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if y, err = l.Accept(t.Context()); err != nil {
		t.Fatal(err)
	}
	return x, y
}

func TestKernel(t *testing.T) {
	var env []string
	if !guest.Inside() {
		env = []string{envKernelPeer + "=" + buildKernelPeer(t), "INTEROP=" + os.Getenv("INTEROP")}
	}
	guest.Test(t, "TestKernel", func(t *testing.T) {
		for rule, f := range contract {
			t.Run("contract/"+rule, func(t *testing.T) {
				x, y := kernelPair(t, sctp.OpenOptions{SendBuffer: 20000, ReceiveBuffer: 20000, MaxMessage: 10000, OutStreams: 4, InStreams: 4})
				f(t, x, y, conditions{settle: func() { time.Sleep(50 * time.Millisecond) }})
			})
		}
		t.Run("ports", kernelPorts)
		t.Run("backlog", kernelBacklog)
		t.Run("sizes", kernelSizes)
		t.Run("addresses", kernelAddresses)
		t.Run("endpoint close", kernelClose)
		t.Run("listener closes while peers come", kernelListenerRace)
		t.Run("IPv6", kernelIPv6)
		t.Run("many", kernelMany)
		t.Run("close while dialling", kernelDialClosed)
		t.Run("stats", kernelStats)
		t.Run("tower", kernelTower)
		t.Run("dial from a listening port", kernelDialsFromListener)
		t.Run("raw beside kernel", rawBesideKernel)
	}, env...)
}

// kernelEnds are two endpoints and a listener at the second.
func kernelEnds(t *testing.T, o sctp.OpenOptions) (dialler sctp.Endpoint, l sctp.Listener) {
	t.Helper()
	oa, ob := o, o
	oa.Local, ob.Local = []netip.Addr{kernelA}, []netip.Addr{kernelB}
	l, err := kernelEndpoint(t, ob).Listen(0)
	if err != nil {
		t.Fatal(err)
	}
	return kernelEndpoint(t, oa), l
}

func kernelPorts(t *testing.T) {
	e, l := kernelEnds(t, sctp.OpenOptions{})
	if _, err := kernelEndpoint(t, sctp.OpenOptions{Local: []netip.Addr{kernelB}}).Listen(l.Addr().Port()); !errors.Is(err, sctp.ErrPortInUse) {
		t.Errorf("second listener: %v", err)
	}
	for range 3 {
		x, err := e.Dial(t.Context(), l.Addr(), sctp.DialOptions{LocalPort: 7})
		if err != nil {
			t.Fatal(err)
		}
		y, err := l.Accept(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if x.LocalAddr().Port() != 7 || y.RemoteAddr() != x.LocalAddr() {
			t.Errorf("dialled from %v, seen as %v", x.LocalAddr(), y.RemoteAddr())
		}
		if err := y.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		<-x.Done()
	}
	var refused *sctp.AbortError
	if _, err := e.Dial(t.Context(), netip.AddrPortFrom(kernelB, 9), sctp.DialOptions{}); !errors.As(err, &refused) {
		t.Errorf("nobody listens: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := e.Dial(ctx, netip.MustParseAddrPort("127.255.255.255:9"), sctp.DialOptions{}); err == nil {
		t.Error("a broadcast address was dialled")
	}
	if _, err := l.Accept(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("accept: %v", err)
	}
}

// Closing a listener aborts those not accepted and leaves the others alone.
func kernelBacklog(t *testing.T) {
	e, l := kernelEnds(t, sctp.OpenOptions{Backlog: 4})
	var xs []sctp.Association
	for range 3 {
		x, err := e.Dial(t.Context(), l.Addr(), sctp.DialOptions{})
		if err != nil {
			t.Fatal(err)
		}
		xs = append(xs, x)
	}
	y, err := l.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Accept(t.Context()); err != sctp.ErrClosed {
		t.Errorf("accept: %v", err)
	}
	mustSend(t, xs[0], 0, []byte("accepted"))
	mustRecv(t, y, 0, []byte("accepted"))
	for _, x := range xs[1:] {
		var e *sctp.AbortError
		if _, err := x.Recv(t.Context()); !errors.As(err, &e) {
			t.Errorf("not accepted: %v", err)
		}
	}
}

// Messages longer than the buffers of one read arrive whole; one longer than the receiver takes ends the association.
func kernelSizes(t *testing.T) {
	x, y := kernelPair(t, sctp.OpenOptions{})
	for i, n := range []int{1, 2047, 2048, 2049, 30000, 128<<10 - 8} {
		mustSend(t, x, 2, text(i, n))
		mustSend(t, x, 2, text(i, 5))
		mustRecv(t, y, 2, text(i, n))
		mustRecv(t, y, 2, text(i, 5))
	}
	small := []netip.Addr{kernelB}
	l, err := kernelEndpoint(t, sctp.OpenOptions{Local: small, MaxMessage: 5000}).Listen(0)
	if err != nil {
		t.Fatal(err)
	}
	e := kernelEndpoint(t, sctp.OpenOptions{Local: []netip.Addr{kernelA}})
	if x, err = e.Dial(t.Context(), l.Addr(), sctp.DialOptions{}); err != nil {
		t.Fatal(err)
	}
	if y, err = l.Accept(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustSend(t, x, 0, text(0, 6000))
	var aborted *sctp.AbortError
	if _, err := y.Recv(t.Context()); !errors.As(err, &aborted) || !aborted.Local {
		t.Errorf("too long a message: %v", err)
	}
	if _, err := x.Recv(t.Context()); !errors.As(err, &aborted) || aborted.Local {
		t.Errorf("its sender: %v", err)
	}
}

// An endpoint with two addresses is reached at both, and says both.
func kernelAddresses(t *testing.T) {
	second := netip.MustParseAddr("127.0.0.4")
	l, err := kernelEndpoint(t, sctp.OpenOptions{Local: []netip.Addr{kernelB, second}}).Listen(36412)
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	e := kernelEndpoint(t, sctp.OpenOptions{Local: []netip.Addr{kernelA}, Logger: slog.New(slog.NewTextHandler(&said, nil))})
	for _, ip := range []netip.Addr{kernelB, second} {
		x, err := e.Dial(t.Context(), netip.AddrPortFrom(ip, 36412), sctp.DialOptions{})
		if err != nil {
			t.Fatal(err)
		}
		y, err := l.Accept(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		mustSend(t, x, 0, []byte("here"))
		mustRecv(t, y, 0, []byte("here"))
		if x.RemoteAddr().Addr() != ip {
			t.Errorf("dialled %v, reached %v", ip, x.RemoteAddr())
		}
		if err := x.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if n := strings.Count(said.String(), "multi-homed"); n != 2 {
		t.Errorf("%d lines about several addresses: %s", n, said.String())
	}
}

// Closing an endpoint shuts its associations down, and nothing of it is left.
func kernelClose(t *testing.T) {
	before := runtime.NumGoroutine()
	e, l := kernelEnds(t, sctp.OpenOptions{})
	var xs []sctp.Association
	for i := range 20 {
		x, err := e.Dial(t.Context(), l.Addr(), sctp.DialOptions{})
		if err != nil {
			t.Fatal(err)
		}
		y, err := l.Accept(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		mustSend(t, y, 0, text(i, 5000))
		mustRecv(t, x, 0, text(i, 5000))
		xs = append(xs, x)
	}
	if n := runtime.NumGoroutine() - before; n > 20*4+5 {
		t.Errorf("%d goroutines for 20 associations", n)
	}
	if err := errors.Join(e.Shutdown(t.Context()), e.Close()); err != nil {
		t.Error(err)
	}
	for _, x := range xs {
		if _, err := x.Recv(t.Context()); err != sctp.ErrClosed {
			t.Error(err)
		}
	}
	if _, err := e.Listen(1); err != sctp.ErrClosed {
		t.Errorf("listen: %v", err)
	}
	if _, err := e.Dial(t.Context(), l.Addr(), sctp.DialOptions{}); !errors.Is(err, sctp.ErrClosed) {
		t.Errorf("dial: %v", err)
	}
}
