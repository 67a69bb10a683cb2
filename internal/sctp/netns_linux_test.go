package sctp_test

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"campanile.network/internal/sctp"
	"golang.org/x/sys/unix"
)

// world is three network namespaces in a row, near - middle - far: near and far also have a link of their own.
//
//	near 10.132.0.1/24 fd00:132::1 ---- 10.132.0.2 fd00:132::2 far      link "direct"
//	near 10.132.1.1/24 -- 10.132.1.254 middle 10.132.2.254 -- 10.132.2.2/24 far      links "left", "right"
type world struct {
	t                 *testing.T
	near, middle, far string
}

// newWorld needs what namespace does.
func newWorld(t *testing.T) *world {
	t.Helper()
	name := func(s string) string { return fmt.Sprintf("sa-%d-%s", os.Getpid(), s) }
	w := &world{t, name("near"), name("middle"), name("far")}
	for _, n := range []string{w.near, w.middle, w.far} {
		w.namespace(n)
		w.ip("-n", n, "link", "set", "lo", "up")
	}
	for _, v := range [][4]string{{w.near, "direct", w.far, "direct"}, {w.near, "left", w.middle, "left"}, {w.middle, "right", w.far, "right"}} {
		w.ip("link", "add", v[1], "netns", v[0], "type", "veth", "peer", "name", v[3], "netns", v[2])
	}
	for _, a := range [][3]string{{w.near, "direct", "10.132.0.1/24"}, {w.far, "direct", "10.132.0.2/24"}, {w.near, "direct", "fd00:132::1/64"},
		{w.far, "direct", "fd00:132::2/64"}, {w.near, "left", "10.132.1.1/24"}, {w.middle, "left", "10.132.1.254/24"},
		{w.middle, "right", "10.132.2.254/24"}, {w.far, "right", "10.132.2.2/24"}} {
		args := []string{"-n", a[0], "addr", "add", a[2], "dev", a[1]}
		if netip.MustParsePrefix(a[2]).Addr().Is6() {
			args = append(args, "nodad")
		}
		w.ip(args...)
		w.ip("-n", a[0], "link", "set", a[1], "up")
	}
	w.ip("-n", w.near, "route", "add", "10.132.2.0/24", "via", "10.132.1.254")
	w.ip("-n", w.far, "route", "add", "10.132.1.0/24", "via", "10.132.2.254")
	w.ip("netns", "exec", w.middle, "sysctl", "-qw", "net.ipv4.ip_forward=1")
	return w
}

// namespace makes a network namespace that is gone when the test ends. Without root the test is skipped; without iproute2 too, but not with CI=true.
func (w *world) namespace(name string) {
	w.t.Helper()
	if os.Getuid() != 0 {
		w.t.Skip("network namespaces need root")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		if os.Getenv("CI") == "true" {
			w.t.Fatalf("%v (apt-get install iproute2)", err)
		}
		w.t.Skip(err)
	}
	if out, err := exec.Command("ip", "netns", "add", name).CombinedOutput(); err != nil {
		w.t.Skipf("no network namespaces here: %v: %s", err, out)
	}
	w.t.Cleanup(func() { w.ip("netns", "del", name) })
}

// A test's namespaces do not outlive it, though sockets in them are still open when it fails.
func TestNamespacesAreLeft(t *testing.T) {
	t.Run("world", func(t *testing.T) { newWorld(t).raw("10.132.0.1", sctp.Options{}) })
	left, _ := filepath.Glob(fmt.Sprintf("/run/netns/s[ak]-%d*", os.Getpid()))
	if len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// ip runs the command ip.
func (w *world) ip(args ...string) {
	w.t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		w.t.Fatalf("ip %q: %v: %s", args, err, out)
	}
}

// within runs f in a network namespace. The thread never leaves it again and ends with f.
func (w *world) within(netns string, f func() error) {
	w.t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		ns, err := os.Open("/run/netns/" + netns)
		if err == nil {
			defer ns.Close()
			err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
		}
		if err == nil {
			err = f()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		w.t.Fatal(err)
	}
}

// in opens an endpoint in a namespace.
func (w *world) in(netns string, open func(sctp.Options) (*sctp.Userspace, error), local netip.AddrPort, o sctp.Options) (e *sctp.Userspace) {
	w.t.Helper()
	o.Local, o.CloseTimeout = local, time.Minute
	w.within(netns, func() (err error) { e, err = open(o); return err })
	w.t.Cleanup(func() {
		if err := e.Close(); err != nil {
			w.t.Errorf("close: %v", err)
		}
	})
	return e
}

// raw opens an endpoint of plain SCTP in the near namespace.
func (w *world) raw(local string, o sctp.Options) *sctp.Userspace {
	w.t.Helper()
	return w.in(w.near, sctp.NewRaw, netip.AddrPortFrom(netip.MustParseAddr(local), 0), o)
}
