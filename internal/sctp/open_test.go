package sctp

import (
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"
)

// Open takes the kernel's SCTP where there is one, else UDP, never raw unasked; and says why.
func TestOpenChooses(t *testing.T) {
	yes := func() error { return nil }
	no := func() error { return errors.New("protocol not supported") }
	for _, c := range []struct {
		asked  Transport
		kernel func() error
		want   Transport
		why    string
	}{
		{"", yes, TransportKernel, "this kernel's SCTP, found by auto"},
		{TransportAuto, yes, TransportKernel, "this kernel's SCTP, found by auto"},
		{TransportAuto, no, TransportUDP, "protocol not supported"},
		{TransportAuto, no, TransportUDP, "the other end has to do the same. For plain SCTP load the kernel's (modprobe sctp), or write raw"},
		{TransportKernel, no, TransportKernel, "as configured"},
		{TransportRaw, yes, TransportRaw, "as configured"},
		{TransportUDP, yes, TransportUDP, "as configured"},
	} {
		if got, err := choose(c.asked, c.kernel); err != nil || got.Transport != c.want || !strings.Contains(got.Why, c.why) {
			t.Errorf("asked %q: %+v %v", c.asked, got, err)
		}
	}
	if _, err := choose("tcp", no); err == nil || !strings.Contains(err.Error(), `"tcp"`) {
		t.Errorf("transport tcp: %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	one, two := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2")
	for want, o := range map[string]OpenOptions{
		"no local address":              {Transport: TransportUDP},
		"only the kernel":               {Transport: TransportUDP, Local: []netip.Addr{one, two}},
		"a specific unicast address":    {Transport: TransportRaw, Local: []netip.Addr{netip.IPv4Unspecified()}},
		"none of auto, kernel, raw":     {Transport: "sctp", Local: []netip.Addr{one}},
		"RTO.Initial":                   {Transport: TransportUDP, Local: []netip.Addr{one}, Timers: Timers{RTOMax: 1}},
		"MaxMessage 2000000 must fit R": {Transport: TransportUDP, Local: []netip.Addr{one}, MaxMessage: 2000000},
	} {
		e, _, err := Open(o)
		if e != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v %v, want an error with %q", o, e, err, want)
		}
	}
}

func TestOpenUDP(t *testing.T) {
	var ends [2]Endpoint
	for i, a := range []string{"127.0.0.73", "127.0.0.74"} {
		e, c, err := Open(OpenOptions{Transport: TransportUDP, Local: []netip.Addr{netip.MustParseAddr(a)}})
		if err != nil || c.Transport != TransportUDP {
			t.Fatal(c, err)
		}
		defer e.Close()
		ends[i] = e
	}
	exchange(t, ends[0], ends[1])
}

// exchange listens at one endpoint, dials from the other, and carries a message each way.
func exchange(t *testing.T, server, client Endpoint) {
	t.Helper()
	l, err := server.Listen(36412)
	if err != nil {
		t.Fatal(err)
	}
	x, err := client.Dial(t.Context(), l.Addr(), DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	y, err := l.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range [][2]Association{{x, y}, {y, x}} {
		if err := to[0].Send(t.Context(), 1, 18, []byte("over")); err != nil {
			t.Fatal(err)
		}
		wantRecv(t, to[1], "over")
	}
	if err := x.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	wantEnd(t, y, ErrShutdown)
}

// Over loopback, with two addresses of one host: each raw endpoint sees only what is for its own address, and a second one on the same address is
// refused.
func TestRawLoopback(t *testing.T) {
	needRoot(t)
	for _, addrs := range [][2]string{{"127.0.0.71", "127.0.0.72"}} {
		var ends [2]Endpoint
		for i, a := range addrs {
			local := []netip.Addr{netip.MustParseAddr(a)}
			e, c, err := Open(OpenOptions{Transport: TransportRaw, Local: local})
			if err != nil || c.Transport != TransportRaw {
				t.Fatal(c, err)
			}
			defer e.Close()
			ends[i] = e
			if _, _, err := Open(OpenOptions{Transport: TransportRaw, Local: local}); err == nil || !strings.Contains(err.Error(), "abort each other") {
				t.Errorf("second raw endpoint on %v: %v", a, err)
			}
		}
		exchange(t, ends[0], ends[1])
		for _, e := range ends {
			if d := e.(*Userspace).Stats().Dropped; len(d) != 0 {
				t.Errorf("dropped %v", d)
			}
		}
	}
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
}
