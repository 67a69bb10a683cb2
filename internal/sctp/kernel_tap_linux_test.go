package sctp_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"testing"

	"campanile.network/internal/sctp"
	"campanile.network/internal/sctp/guest"
	"golang.org/x/sys/unix"
)

// tapWorld is a network namespace whose interface tap is the other end of a guest's wire, with frames lost both ways. It needs root and iproute2.
func tapWorld(t *testing.T, loss float64) (*world, guest.Link) {
	t.Helper()
	w := &world{t: t, near: fmt.Sprintf("sk-%d", os.Getpid())}
	w.namespace(w.near)
	var tap *os.File
	w.within(w.near, func() (err error) { tap, err = openTap("tap"); return err })
	w.ip("-n", w.near, "link", "set", "lo", "up")
	w.ip("-n", w.near, "addr", "add", netip.PrefixFrom(hostIP, 24).String(), "dev", "tap")
	w.ip("-n", w.near, "link", "set", "tap", "up")
	ours, theirs := socketPair(t)
	t.Cleanup(func() { tap.Close() })
	go forward(ours, tap, loss, 7) // both end when the test closes the files
	go forward(tap, ours, loss, 8)
	return w, guest.Link{Host: theirs, Addr: netip.PrefixFrom(guestIP, 24)}
}

func openTap(name string) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("open /dev/net/tun", err)
	}
	r, err := unix.NewIfreq(name)
	if err == nil {
		r.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, r)
	}
	if err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("TUNSETIFF", err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// forward copies frames, but loses some, until a file is closed.
func forward(from, to *os.File, loss float64, seed uint64) {
	rng, b := rand.New(rand.NewPCG(seed, seed)), make([]byte, 4096)
	for {
		n, err := from.Read(b)
		if err != nil {
			return
		}
		if rng.Float64() >= loss {
			_, _ = to.Write(b[:n]) // a frame that does not go is one lost
		}
	}
}

// inNamespace starts a libusrsctp peer of plain SCTP at the host's end of the wire.
func inNamespace(t *testing.T, w *world, role, end string) *usrsctp {
	t.Helper()
	bin, err := stranger()
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	return startProgram(t, exec.Command("ip", "netns", "exec", w.near, bin, role, hostIP.String()+",0", guestIP.String()+",0", "36412", end))
}

// The kernel back end, in a guest, and libusrsctp over raw sockets on the host: each dials the other; libusrsctp is killed and comes back.
func TestKernelMeetsStranger(t *testing.T) {
	for _, loss := range []float64{0, 0.05} {
		t.Run(fmt.Sprintf("loss=%v/kernel dials", loss), func(t *testing.T) {
			onlyInterop(t)
			w, link := tapWorld(t, loss)
			p := inNamespace(t, w, "server", "wait")
			p.expect("READY")
			m := bootRole(t, link, 0, "ask 10.132.9.1:36412")
			waitLine(t, m, "ECHOED")
			if loss == 0 { // otherwise the last word may be lost, and the guest is off when it is asked again
				p.expect("CLOSED")
			}
		})
		t.Run(fmt.Sprintf("loss=%v/libusrsctp dials", loss), func(t *testing.T) {
			if loss > 0 {
				onlyInterop(t)
			}
			w, link := tapWorld(t, loss)
			m := bootRole(t, link, 0, "echo")
			waitLine(t, m, "READY")
			first := inNamespace(t, w, "client", "hold")
			first.expect("ECHOED")
			first.kill()
			second := inNamespace(t, w, "client", "shutdown")
			waitLine(t, m, "ENDED sctp: peer restarted")
			second.expect("ECHOED")
			waitLine(t, m, "ENDED sctp: peer shut")
			second.expect("END")
			if loss == 0 {
				inNamespace(t, w, "client", "abort").expect("END")
				waitLine(t, m, `ENDED sctp: aborted by peer: user-initiated abort: "tired"`)
			}
		})
	}
}

// The same guest and our raw back end.
func TestKernelMeetsRaw(t *testing.T) {
	onlyInterop(t)
	for _, loss := range []float64{0, 0.05} {
		t.Run(fmt.Sprintf("loss=%v/kernel dials", loss), func(t *testing.T) {
			w, link := tapWorld(t, loss)
			e := w.raw(hostIP.String(), sctp.Options{Timers: quick})
			l, err := e.Listen(36412)
			if err != nil {
				t.Fatal(err)
			}
			m := bootRole(t, link, 0, "ask 10.132.9.1:36412")
			a, err := l.Accept(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if err := echo(t.Context(), a); err != sctp.ErrShutdown {
				t.Errorf("our end: %v", err)
			}
			waitLine(t, m, "ECHOED")
			for range m.Lines {
			}
			if err := m.Wait(); err != nil {
				t.Error(err)
			}
			noFaults(t, e)
		})
		t.Run(fmt.Sprintf("loss=%v/raw dials", loss), func(t *testing.T) {
			w, link := tapWorld(t, loss)
			e := w.raw(hostIP.String(), sctp.Options{Timers: quick})
			m := bootRole(t, link, 0, "echo")
			waitLine(t, m, "READY")
			a, err := e.Dial(t.Context(), netip.AddrPortFrom(guestIP, 36412), sctp.DialOptions{})
			if err != nil {
				t.Fatal(err)
			}
			askAll(t, a)
			if err := a.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
			waitLine(t, m, "ENDED sctp: peer shut")
			noFaults(t, e)
		})
	}
}
