package sctp_test

import (
	"context"
	"errors"
	"net/netip"
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
	guest.Test(t, func(t *testing.T) {
		for rule, f := range contract {
			t.Run("contract/"+rule, func(t *testing.T) {
				x, y := kernelPair(t, sctp.OpenOptions{SendBuffer: 20000, ReceiveBuffer: 20000, MaxMessage: 10000, OutStreams: 4, InStreams: 4})
				f(t, x, y, conditions{settle: func() { time.Sleep(50 * time.Millisecond) }})
			})
		}
	})
}
