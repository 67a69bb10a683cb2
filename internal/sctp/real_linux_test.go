package sctp_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"campanile.network/internal/sctp"
)

// pather is what our own associations offer besides the interface.
type pather interface{ Paths() []sctp.PathInfo }

// until waits until a path's state is as wanted; it is told nothing, so it talks meanwhile.
func until(t *testing.T, x, y sctp.Association, what string, ok func([]sctp.PathInfo) bool) {
	t.Helper()
	for start := time.Now(); !ok(x.(pather).Paths()); {
		if time.Since(start) > 2*time.Minute {
			t.Fatalf("not in two minutes: %s: %+v", what, x.(pather).Paths())
		}
		mustSend(t, x, 0, text(0, 3000))
		mustRecv(t, y, 0, text(0, 3000))
	}
}

// A router between the ends begins to carry less in mid-association: its ICMP is not heard, its silence is (RFC 8899 §4.3). The far end meets the
// same at its own interface. Nothing is lost either way, plain and in UDP.
func TestPathMTUShrinks(t *testing.T) {
	near, far := netip.MustParseAddr("10.132.1.1"), netip.MustParseAddr("10.132.2.2")
	for _, c := range []struct {
		name   string
		open   func(sctp.Options) (*sctp.Userspace, error)
		port   uint16
		header int
	}{{"raw", sctp.NewRaw, 0, 20}, {"udp", sctp.NewUDP, 9899, 28}} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			ea := w.in(w.near, c.open, netip.AddrPortFrom(near, c.port), sctp.Options{Timers: fastTimers})
			eb := w.in(w.far, c.open, netip.AddrPortFrom(far, c.port), sctp.Options{Timers: fastTimers})
			l, err := eb.Listen(36412)
			if err != nil {
				t.Fatal(err)
			}
			x, err := ea.Dial(t.Context(), l.Addr(), sctp.DialOptions{})
			if err != nil {
				t.Fatal(err)
			}
			y, err := l.Accept(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			full := func(p []sctp.PathInfo) bool { return p[0].MTU == (1500-c.header)&^3 }
			until(t, x, y, "the whole MTU found", full)
			until(t, y, x, "the whole MTU found", full)
			w.ip("-n", w.middle, "link", "set", "right", "mtu", "1300")
			w.ip("-n", w.far, "link", "set", "right", "mtu", "1300")
			for i := range 50 {
				mustSend(t, x, 1, text(i, 5000))
				mustSend(t, y, 1, text(i, 5000))
			}
			for i := range 50 {
				mustRecv(t, y, 1, text(i, 5000))
				mustRecv(t, x, 1, text(i, 5000))
			}
			small := func(p []sctp.PathInfo) bool { return p[0].MTU <= 1300-c.header }
			until(t, x, y, "shrunk", small)
			until(t, y, x, "shrunk", small)
			t.Logf("near %+v, far %+v", ea.Stats(), eb.Stats())
			if ea.Stats().BlackHoles == 0 {
				t.Error("the near end noticed nothing")
			}
		})
	}
}

// libusrsctp with two addresses: the link to the first is cut, and the talk goes on over the second (RFC 9260 §6.4).
func TestStrangerFailover(t *testing.T) {
	w := newWorld(t)
	home := netip.MustParseAddr("10.132.9.1") // reachable over both links
	w.ip("-n", w.near, "addr", "add", "10.132.9.1/32", "dev", "lo")
	w.ip("-n", w.far, "route", "add", "10.132.9.1/32", "via", "10.132.0.1", "metric", "10")
	w.ip("-n", w.far, "route", "add", "10.132.9.1/32", "via", "10.132.2.254", "metric", "20")
	w.ip("-n", w.middle, "route", "add", "10.132.9.1/32", "via", "10.132.1.1")
	ours := w.raw(home.String(), sctp.Options{Timers: fastTimers})
	first, second := netip.MustParseAddr("10.132.0.2"), netip.MustParseAddr("10.132.2.2")
	p := startPeer(t, place{netns: w.far, peer: netip.AddrPortFrom(first, 0), more: []netip.Addr{second}}, "server", ours, 36412, "wait")
	p.expect("READY")
	a, err := ours.Dial(t.Context(), netip.AddrPortFrom(first, 36412), sctp.DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	talk := func(n int) {
		t.Helper()
		for i := range n {
			mustSend(t, a, 0, text(i, 2000))
			mustRecv(t, a, 0, text(i, 2000))
		}
	}
	until(t, a, a, "second address confirmed", func(p []sctp.PathInfo) bool { return len(p) == 2 && p[1].Confirmed })
	talk(100)
	w.ip("-n", w.far, "link", "set", "direct", "down")
	cut := time.Now()
	talk(1)
	t.Logf("first echo %v after the cut", time.Since(cut))
	talk(100)
	if got := a.(pather).Paths(); got[0].Current || !got[1].Current {
		t.Errorf("%+v", got)
	}
	until(t, a, a, "first address unreachable", func(p []sctp.PathInfo) bool { return !p[0].Reachable })
	noFaults(t, ours)
	a.Abort("")
}

// A raw endpoint speaks for its own address alone: what is for another one of the same host it neither answers nor sees.
func TestRawLeavesOthersAlone(t *testing.T) {
	w := newWorld(t)
	w.ip("-n", w.near, "addr", "add", "10.132.0.3/24", "dev", "direct")
	ours := w.raw("10.132.0.1", sctp.Options{})
	if _, err := ours.Listen(36412); err != nil {
		t.Fatal(err)
	}
	timers := fastTimers
	timers.MaxInitRetr = 1
	far := w.in(w.far, sctp.NewRaw, netip.MustParseAddrPort("10.132.0.2:0"), sctp.Options{Timers: timers})
	if _, err := far.Dial(t.Context(), netip.MustParseAddrPort("10.132.0.3:36412"), sctp.DialOptions{}); !errors.Is(err, sctp.ErrNoAnswer) {
		t.Errorf("the other address: %v", err)
	}
	if s := ours.Stats(); s.PacketsIn != 0 || s.PacketsOut != 0 {
		t.Errorf("%+v", s)
	}
	if _, err := far.Dial(t.Context(), netip.MustParseAddrPort("10.132.0.1:36412"), sctp.DialOptions{}); err != nil {
		t.Errorf("its own address: %v", err)
	}
}

// Where the kernel speaks SCTP it would abort a raw stack's associations; NewRaw says so instead.
func rawBesideKernel(t *testing.T) {
	if err := sctp.KernelAvailable(); err != nil {
		t.Fatal(err)
	}
	e, err := sctp.NewRaw(sctp.Options{Local: loopback})
	if err == nil {
		e.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "configure transport kernel") {
		t.Errorf("%v", err)
	}
}
