package sctp_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"campanile.network/internal/sctp"
	"campanile.network/internal/sctp/guest"
)

const (
	envRole       = "SCTP_ROLE"        // what TestKernelRole does
	envKernelPeer = "SCTP_KERNEL_PEER" // path of testdata/kernel_peer.c, built
)

// TestKernelRole is no test but a program that runs in a guest: the kernel's back end as somebody's peer.
func TestKernelRole(t *testing.T) {
	role := strings.Fields(os.Getenv(envRole))
	if len(role) == 0 {
		t.Skip("runs in a guest, for other tests")
	}
	timers := quick
	if role[0] == "lose" {
		timers.MaxRetrans = 3
	}
	e := kernelEndpoint(t, sctp.OpenOptions{Local: []netip.Addr{guestIP}, OutStreams: 10, Timers: timers})
	switch role[0] {
	case "echo":
		l, err := e.Listen(36412)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println("READY")
		for {
			a, err := l.Accept(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			go func() { fmt.Println("ENDED", echo(t.Context(), a)) }()
		}
	case "lose":
		l, err := e.Listen(36412)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println("READY")
		a, err := l.Accept(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for err == nil { // into the void, until the kernel gives up
			err = a.Send(t.Context(), 0, 18, []byte("hello?"))
		}
		<-a.Done()
		fmt.Println("ENDED", a.Err())
	case "call": // from the port that is listened on, as after a power cut
		if _, err := e.Listen(36412); err != nil {
			t.Fatal(err)
		}
		a, err := e.Dial(t.Context(), netip.MustParseAddrPort(role[1]), sctp.DialOptions{LocalPort: 36412})
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		fmt.Println("CALLED")
	case "ask":
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		a, err := e.Dial(ctx, netip.MustParseAddrPort(role[1]), sctp.DialOptions{})
		if err != nil {
			t.Fatal(err)
		}
		askAll(t, a)
		fmt.Println("ECHOED")
		if err := a.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// quick is for links that lose packets.
var quick = sctp.Timers{RTOInitial: 200 * time.Millisecond, RTOMin: 100 * time.Millisecond, RTOMax: time.Second, MaxRetrans: 30, MaxInitRetr: 30}

// askAll sends messages of many sizes on all streams to an echo and checks what comes back.
func askAll(t *testing.T, a sctp.Association) {
	t.Helper()
	out, in := a.Streams()
	for i, size := range []int{1, 2, 3, 100, 1371, 1372, 1373, 5000, 20000, 60000} {
		stream := uint16(i) % min(out, in)
		mustSend(t, a, stream, text(i, size))
		mustRecv(t, a, stream, text(i, size))
	}
	sent := make(chan error, 1)
	go func() {
		for i := range 500 {
			if err := a.Send(t.Context(), 1, 18, text(i, 100)); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	for i := range 500 {
		mustRecv(t, a, 1, text(i, 100))
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
}

// bootRole boots a guest whose kernel plays a role. udp is the UDP port of the other side, 0 for plain SCTP.
func bootRole(t *testing.T, link guest.Link, udp uint16, role string) *guest.Machine {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	o := guest.Options{Command: []string{self, "-test.run=^TestKernelRole$", "-test.timeout=5m"}, Env: []string{envRole + "=" + role}, Links: []guest.Link{link}}
	if udp != 0 {
		o.Sysctl = map[string]string{"net/sctp/udp_port": "9899", "net/sctp/encap_port": fmt.Sprint(udp)}
	}
	return guest.Boot(t, o)
}

// wait reads lines until one begins with want.
func waitLine(t *testing.T, m *guest.Machine, want string) string {
	t.Helper()
	var seen []string
	limit := time.After(2 * time.Minute)
	for {
		select {
		case line, ok := <-m.Lines:
			if !ok {
				t.Fatalf("the guest is off (%v); it said %q, want %q", m.Wait(), seen, want)
			}
			if seen = append(seen, line); strings.HasPrefix(line, want) {
				return line
			}
		case <-limit:
			t.Fatalf("the guest said %q in two minutes, want %q", seen, want)
		}
	}
}

// carrier is how packets travel.
type carrier struct {
	name string
	udp  uint16 // our port in UDP; 0 for plain SCTP
	loss float64
}

// carriers are the ways a guest's kernel and our userspace stack reach each other.
var carriers = []carrier{{"plain", 0, 0}, {"plain 5% loss", 0, 0.05}, {"UDP", 9900, 0}, {"UDP 5% loss", 9900, 0.05}}

// onlyInterop skips a test that make test can do without: each boots a guest, which takes seconds.
func onlyInterop(t *testing.T) {
	t.Helper()
	if os.Getenv("INTEROP") == "" && !guest.Inside() {
		t.Skip("make interop runs this")
	}
}

// carriersOr are all of them under make interop, and otherwise one.
func carriersOr(c carrier) []carrier {
	if os.Getenv("INTEROP") != "" {
		return carriers
	}
	return []carrier{c}
}

func wireEndpoint(t *testing.T, w *wire) *sctp.Userspace {
	t.Helper()
	o := sctp.Options{Local: w.local, Conn: w, Timers: quick, OutStreams: 10, MTU: 1400, CloseTimeout: time.Minute}
	open := sctp.NewUDP
	if w.local.Port() == 0 {
		open = sctp.NewRaw
	}
	e, err := open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("our end: %+v", e.Stats())
		}
	})
	return e
}

// The kernel's SCTP connects to our userspace stack.
func TestKernelConnects(t *testing.T) {
	for _, c := range carriersOr(carriers[2]) {
		t.Run(c.name, func(t *testing.T) {
			w, link := newWire(t, c.udp, c.loss)
			e := wireEndpoint(t, w)
			defer e.Close()
			l, err := e.Listen(36412)
			if err != nil {
				t.Fatal(err)
			}
			m := bootRole(t, link, c.udp, "ask 10.132.9.1:36412")
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
	}
}

// Our userspace stack connects to the kernel's SCTP; then its power is cut and it returns at once with the same ports: the kernel says that the
// association was restarted, and hands out the new one.
func TestKernelListens(t *testing.T) {
	for _, c := range carriersOr(carriers[1]) {
		t.Run(c.name, func(t *testing.T) {
			w, link := newWire(t, c.udp, c.loss)
			e := wireEndpoint(t, w)
			m := bootRole(t, link, c.udp, "echo")
			waitLine(t, m, "READY")
			to := netip.AddrPortFrom(guestIP, 36412)
			o := sctp.DialOptions{LocalPort: 40000, EncapPort: 9899}
			a, err := e.Dial(t.Context(), to, o)
			if err != nil {
				t.Fatal(err)
			}
			askAll(t, a)
			noFaults(t, e)

			w.silence()
			w.Close()
			e2 := wireEndpoint(t, w.again(c.loss))
			b, err := e2.Dial(t.Context(), to, o)
			if err != nil {
				t.Fatal(err)
			}
			waitLine(t, m, "ENDED sctp: peer restarted")
			askAll(t, b)
			if err := b.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
			waitLine(t, m, "ENDED sctp: peer shut")
			noFaults(t, e2, "wrong verification tag") // which the peer's last words in the former association may have
			m.Kill()
			a.Abort("") // so that closing need not wait for it
			if err := errors.Join(e.Close(), e2.Close()); err != nil {
				t.Error(err)
			}
		})
	}
}

// buildKernelPeer compiles testdata/kernel_peer.c, on the host, for the guest.
func buildKernelPeer(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "kernel_peer")
	if out, err := exec.Command("gcc", "-O2", "-o", bin, "testdata/kernel_peer.c").CombinedOutput(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("building the kernel peer: %v\n%s", err, out)
		}
		t.Skipf("building the kernel peer: %v\n%s", err, out)
	}
	return bin
}

// A peer that falls silent is given up after Association.Max.Retrans.
func TestKernelGivesUp(t *testing.T) {
	onlyInterop(t)
	w, link := newWire(t, 0, 0)
	e := wireEndpoint(t, w)
	m := bootRole(t, link, 0, "lose")
	waitLine(t, m, "READY")
	a, err := e.Dial(t.Context(), netip.AddrPortFrom(guestIP, 36412), sctp.DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w.silence()
	mustSend(t, a, 0, []byte("never arrives"))
	waitLine(t, m, "ENDED sctp: peer does not answer")
	a.Abort("")
	if err := e.Close(); err != nil {
		t.Error(err)
	}
}

// What an eNB's one-to-many socket sees of us, in one guest: srsRAN's subscribes to shutdown but not to association events, so that it learns of a
// SHUTDOWN and not of an ABORT; after one its next message opens a new association.
func kernelTower(t *testing.T) {
	e := kernelEndpoint(t, sctp.OpenOptions{Local: []netip.Addr{kernelB}})
	l, err := e.Listen(36412)
	if err != nil {
		t.Fatal(err)
	}
	p := startProgram(t, exec.Command(os.Getenv(envKernelPeer), "tower", kernelA.String(), kernelB.String(), "36412"))
	a, err := l.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if out, in := a.Streams(); out != 16 || in != 10 {
		t.Errorf("streams %d out, %d in", out, in)
	}
	mustRecv(t, a, 0, []byte("hello"))
	mustRecv(t, a, 1, []byte("ue"))
	mustSend(t, a, 0, []byte("setup"))
	p.expect("rx: stream 0 ppid 18 setup")
	a.Abort("the tower does not hear this")

	b, err := l.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	mustRecv(t, b, 1, []byte("tick"))
	mustSend(t, b, 3, []byte("who are you"))
	p.expect("rx: stream 3 ppid 18 who are you")
	if b.RemoteAddr() != a.RemoteAddr() {
		t.Errorf("tower came back from %v, was %v", b.RemoteAddr(), a.RemoteAddr())
	}
	for _, line := range p.seen {
		if strings.HasPrefix(line, "event:") {
			t.Errorf("before SHUTDOWN the tower saw %q", line)
		}
	}
	if err := b.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	p.expect("event: shutdown")
}

// startProgram runs a peer program whose lines are waited for.
func startProgram(t *testing.T, cmd *exec.Cmd) *usrsctp {
	t.Helper()
	p := &usrsctp{t: t, lines: make(chan string, 100), cmd: cmd}
	p.cmd.Stderr = &p.errs
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		for s := bufio.NewScanner(out); s.Scan(); {
			p.lines <- s.Text()
		}
		close(p.lines)
	}()
	t.Cleanup(p.kill)
	return p
}
