package sctp_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"campanile.network/internal/sctp"
	"campanile.network/internal/sctp/guest"
)

// These tests talk to libusrsctp, an SCTP that is not ours, through testdata/usrsctp_peer.c.

// stranger builds the peer program; without compiler or library the test is skipped, or fails under CI=true.
var stranger = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "usrsctp")
	if err != nil {
		return "", err
	}
	strangerDir = dir
	bin := filepath.Join(dir, "peer")
	out, err := exec.Command("gcc", "-O1", "-o", bin, "testdata/usrsctp_peer.c", "-lusrsctp", "-lpthread").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building the libusrsctp peer: %w\n%s", err, out)
	}
	return bin, nil
})

// strangerDir is where the program was built, removed at the end.
var strangerDir string

func TestMain(m *testing.M) {
	code := guest.Main(m)
	if strangerDir != "" {
		os.RemoveAll(strangerDir)
	}
	os.Exit(code)
}

// lossy is a UDP socket that loses and duplicates packets in both directions, the same ones with the same seed and traffic.
type lossy struct {
	*net.UDPConn
	mu   sync.Mutex
	rng  *rand.Rand
	loss float64
}

func (l *lossy) chance() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rng.Float64() < l.loss
}

func (l *lossy) ReadFrom(p []byte) (int, netip.AddrPort, error) {
	for {
		n, from, err := l.ReadFromUDPAddrPort(p)
		if err != nil || !l.chance() {
			return n, from, err
		}
	}
}

func (l *lossy) WriteTo(p []byte, to netip.AddrPort) error {
	for range 2 {
		if l.chance() {
			continue // lost at the first turn, not duplicated at the second
		}
		if _, err := l.WriteToUDPAddrPort(p, to); err != nil {
			return err
		}
		if !l.chance() {
			break
		}
	}
	return nil
}

func (l *lossy) LocalAddr() netip.AddrPort { return l.UDPConn.LocalAddr().(*net.UDPAddr).AddrPort() }

func lossySocket(t *testing.T, loss float64) *lossy {
	c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(loopback))
	if err != nil {
		t.Fatal(err)
	}
	return &lossy{UDPConn: c, rng: rand.New(rand.NewPCG(3, 4)), loss: loss}
}

func freeUDPPort(t *testing.T) uint16 {
	c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(loopback))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return uint16(c.LocalAddr().(*net.UDPAddr).Port)
}

// place is where a peer program runs and how it reaches us.
type place struct {
	netns string         // network namespace, "" for ours
	peer  netip.AddrPort // the program's IP address and UDP port, 0 for plain SCTP
	more  []netip.Addr   // further addresses of it
}

// onLoopback is a place for SCTP in UDP.
func onLoopback(t *testing.T) place {
	return place{peer: netip.AddrPortFrom(loopback.Addr(), freeUDPPort(t))}
}

// usrsctp is a running peer program.
type usrsctp struct {
	t     *testing.T
	cmd   *exec.Cmd
	at    place
	lines chan string
	seen  []string
	errs  bytes.Buffer
}

func startPeer(t *testing.T, at place, role string, ours *sctp.Userspace, sctpPort uint16, end string) *usrsctp {
	t.Helper()
	bin, err := stranger()
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	p := &usrsctp{t: t, at: at, lines: make(chan string, 100)}
	comma := func(a netip.AddrPort) string { return fmt.Sprintf("%v,%d", a.Addr(), a.Port()) }
	local := comma(at.peer)
	for _, a := range at.more {
		local += "," + a.String()
	}
	args := []string{bin, role, local, comma(ours.EncapAddr()), strconv.Itoa(int(sctpPort)), end}
	if at.netns != "" {
		args = append([]string{"ip", "netns", "exec", at.netns}, args...)
	}
	p.cmd = exec.Command(args[0], args[1:]...)
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

func (p *usrsctp) kill() {
	_ = p.cmd.Process.Kill()
	for range p.lines {
	}
	_ = p.cmd.Wait()
}

// expect reads lines until one is want.
func (p *usrsctp) expect(want string) {
	p.t.Helper()
	limit := time.After(2 * time.Minute)
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				p.t.Fatalf("libusrsctp ended; it said %q, want %q\n%s", p.seen, want, p.errs.String())
			}
			p.seen = append(p.seen, line)
			if line == want {
				return
			}
		case <-limit:
			p.t.Fatalf("libusrsctp said %q in two minutes, want %q\n%s", p.seen, want, p.errs.String())
		}
	}
}

// echo returns what arrives until the association ends.
func echo(ctx context.Context, a sctp.Association) error {
	for {
		m, err := a.Recv(ctx)
		if err != nil {
			return err
		}
		if err := a.Send(ctx, m.Stream, m.PPID, m.Data); err != nil {
			return err
		}
	}
}

// end ends our side as told and returns what the association ended with.
func end(t *testing.T, a sctp.Association, how string) error {
	t.Helper()
	switch how {
	case "shutdown":
		if err := a.Shutdown(t.Context()); err != nil {
			t.Errorf("shutdown: %v", err)
		}
	case "abort":
		a.Abort("test")
	}
	<-a.Done()
	return a.Err()
}

var endings = []struct {
	peer, ours string
	word       string // what libusrsctp says at the end
	check      func(error) bool
}{
	{"shutdown", "wait", "CLOSED", func(err error) bool { return err == sctp.ErrShutdown }},
	{"wait", "shutdown", "CLOSED", func(err error) bool { return err == sctp.ErrClosed }},
	{"abort", "wait", "LOST", func(err error) bool {
		var e *sctp.AbortError
		return errors.As(err, &e) && !e.Local && e.Cause == sctp.CauseUserAbort && e.Reason == "tired"
	}},
	{"wait", "abort", "LOST", func(err error) bool {
		var e *sctp.AbortError
		return errors.As(err, &e) && e.Local && e.Cause == sctp.CauseUserAbort
	}},
}

var fastTimers = sctp.Timers{RTOInitial: 200 * time.Millisecond, RTOMin: 50 * time.Millisecond, RTOMax: time.Second}

// forEachEnding runs f for every way to end, over UDP on loopback, with and without loss, and plain over two IP versions.
func forEachEnding(t *testing.T, f func(t *testing.T, ours *sctp.Userspace, at place, i int)) {
	type stage func(t *testing.T) (*sctp.Userspace, place)
	udp := func(loss float64) stage {
		return func(t *testing.T) (*sctp.Userspace, place) {
			return udpEndpoint(t, sctp.Options{Conn: lossySocket(t, loss), Timers: fastTimers}), onLoopback(t)
		}
	}
	raw := func(ours, theirs string) stage {
		return func(t *testing.T) (*sctp.Userspace, place) {
			w := newWorld(t)
			return w.raw(ours, sctp.Options{Timers: fastTimers}), place{netns: w.far, peer: netip.AddrPortFrom(netip.MustParseAddr(theirs), 0)}
		}
	}
	for name, s := range map[string]stage{"udp": udp(0), "udp-lossy": udp(0.05), "raw4": raw("10.132.0.1", "10.132.0.2"), "raw6": raw("fd00:132::1", "fd00:132::2")} {
		for i, e := range endings {
			if name == "udp-lossy" && (e.peer == "abort" || e.ours == "abort") {
				continue // an ABORT is sent once and may be lost, by design
			}
			t.Run(fmt.Sprintf("%s/peer=%s/ours=%s", name, e.peer, e.ours), func(t *testing.T) {
				ours, at := s(t)
				f(t, ours, at, i)
				noFaults(t, ours)
			})
		}
	}
}

// noFaults fails for what an honest peer never sends. A repeated packet is no fault.
func noFaults(t *testing.T, ours *sctp.Userspace, but ...string) {
	t.Helper()
	dropped := ours.Stats().Dropped
	for _, why := range []string{"malformed packet", "wrong checksum", "wrong verification tag", "unknown chunk type", "bad INIT or INIT ACK",
		"SACK out of range", "inconsistent fragment or stream", "cookie not ours"} {
		if dropped[why] != 0 && !slices.Contains(but, why) {
			t.Errorf("dropped %d: %s", dropped[why], why)
		}
	}
}

func TestStrangerConnects(t *testing.T) {
	forEachEnding(t, func(t *testing.T, ours *sctp.Userspace, at place, i int) {
		l, err := ours.Listen(36412)
		if err != nil {
			t.Fatal(err)
		}
		p := startPeer(t, at, "client", ours, 36412, endings[i].peer)
		a, err := l.Accept(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if out, in := a.Streams(); out != 16 || in != 10 {
			t.Errorf("streams %d out %d in, want 16 and 10", out, in)
		}
		echoed := make(chan error, 1)
		go func() { echoed <- echo(t.Context(), a) }()
		p.expect("ECHOED")
		if err := end(t, a, endings[i].ours); !endings[i].check(err) {
			t.Errorf("our end: %v", err)
		}
		<-echoed
		p.expect(endings[i].word)
		p.expect("END")
	})
}

func TestStrangerListens(t *testing.T) {
	forEachEnding(t, func(t *testing.T, ours *sctp.Userspace, at place, i int) {
		p := startPeer(t, at, "server", ours, 36412, endings[i].peer)
		p.expect("READY")
		a, err := ours.Dial(t.Context(), netip.AddrPortFrom(at.peer.Addr(), 36412), sctp.DialOptions{EncapPort: at.peer.Port()})
		if err != nil {
			t.Fatal(err)
		}
		for n, size := range []int{1, 2, 3, 100, 1372, 1373, 20000, 60000} {
			stream := uint16(n % 4)
			mustSend(t, a, stream, text(n, size))
			mustRecv(t, a, stream, text(n, size))
		}
		for n := range 500 {
			mustSend(t, a, 1, text(n, 100))
		}
		for n := range 500 {
			mustRecv(t, a, 1, text(n, 100))
		}
		if endings[i].ours == "wait" {
			mustSend(t, a, 0, []byte("BYE"))
		}
		if err := end(t, a, endings[i].ours); !endings[i].check(err) {
			t.Errorf("our end: %v", err)
		}
		p.expect(endings[i].word)
		p.expect("END")
	})
}

// A peer killed and started again with the same ports restarts the association (RFC 9260 §5.2).
func TestStrangerRestarts(t *testing.T) {
	ours := udpEndpoint(t, sctp.Options{Local: loopback})
	l, err := ours.Listen(36412)
	if err != nil {
		t.Fatal(err)
	}
	at := onLoopback(t)
	first := startPeer(t, at, "client", ours, 36412, "hold")
	a, err := l.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	over := make(chan error, 1)
	go func() { over <- echo(t.Context(), a) }()
	first.expect("ECHOED")
	first.kill()
	second := startPeer(t, at, "client", ours, 36412, "shutdown")
	b, err := l.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := <-over; err != sctp.ErrRestarted {
		t.Errorf("the old association ended with %v", err)
	}
	if err := echo(t.Context(), b); err != sctp.ErrShutdown {
		t.Errorf("the new association ended with %v", err)
	}
	second.expect("END")
	if slices.Contains(second.seen, "RESTART") {
		t.Errorf("libusrsctp said %q", second.seen)
	}
	if n := ours.Stats().Restarted; n != 1 {
		t.Errorf("%d restarts counted", n)
	}
}
