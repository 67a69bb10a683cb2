package sctp_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"campanile.network/internal/sctp"
	"campanile.network/internal/sctp/guest"
	blocking "github.com/ishidawataru/sctp"
	"golang.org/x/sys/unix"
)

// Each rate is measured so often and so long; the best counts.
const (
	rateRounds = 3
	rateTime   = time.Second
)

// TestKernelRates prints, in one guest, the rates of echo servers of 100-byte messages, each a process of its own and asked by the same client, and
// of messages one way within one process. It runs for make interop, which reads what it prints.
func TestKernelRates(t *testing.T) {
	if os.Getenv(envRates) == "" {
		t.Skip("runs in a guest, for TestInterop")
	}
	client := kernelEndpoint(t, sctp.OpenOptions{Local: []netip.Addr{kernelA}})
	servers := []string{"C epoll", "ours", "ishidawataru"}
	for _, load := range [][2]int{{1, 1}, {1, 32}, {16, 32}} {
		for range rateRounds { // in turn, so that what else the machine does meets all of them
			for i, server := range servers {
				to := netip.AddrPortFrom(kernelB, uint16(36412+i))
				stop := startServer(t, server, to)
				rate := echoRate(t, client, to, load[0], load[1])
				stop()
				fmt.Printf("RATE\techo, %d at once in each of %d associations\t%s\t%.0f\n", load[1], load[0], server, rate)
			}
		}
	}
	x, y := kernelPair(t, sctp.OpenOptions{})
	send, recv, _, _ := ends(x, y)
	bsend, brecv := blockingPair(t)
	for range rateRounds {
		fmt.Printf("RATE\tone way\tours\t%.0f\n", oneWay(t, send, recv))
		fmt.Printf("RATE\tone way\tishidawataru\t%.0f\n", oneWay(t, bsend, brecv))
	}
}

const (
	envRates  = "SCTP_RATES"
	envServer = "SCTP_SERVER" // address of an echo server to run
)

// startServer runs an echo server of a kind and returns what stops it.
func startServer(t *testing.T, kind string, at netip.AddrPort) (stop func()) {
	t.Helper()
	cmd := exec.Command(os.Getenv(envKernelPeer), "echo", at.Addr().String(), strconv.Itoa(int(at.Port())))
	if kind != "C epoll" {
		cmd = exec.Command(os.Args[0], "-test.run=^TestKernelServer$")
		cmd.Env = append(os.Environ(), envServer+"="+at.String(), envRole+"="+kind)
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); strings.TrimSpace(line) != "ready" {
		t.Fatalf("%s server says %q %v", kind, line, err)
	}
	return func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
}

// TestKernelServer is a program that runs in a guest: an echo server, until it is killed.
func TestKernelServer(t *testing.T) {
	at, err := netip.ParseAddrPort(os.Getenv(envServer))
	if err != nil {
		t.Skip("runs in a guest, for TestKernelRates")
	}
	if os.Getenv(envRole) == "ours" {
		l, err := kernelEndpoint(t, sctp.OpenOptions{Local: []netip.Addr{at.Addr()}}).Listen(at.Port())
		if err != nil {
			t.Fatal(err)
		}
		for fmt.Println("ready"); ; {
			a, err := l.Accept(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			go func() { _ = echo(t.Context(), a) }()
		}
	}
	l, err := blocking.ListenSCTP("sctp4", blockingAddr(at))
	if err != nil {
		t.Fatal(err)
	}
	for fmt.Println("ready"); ; {
		c, err := l.AcceptSCTP()
		if err != nil {
			t.Fatal(err)
		}
		blockingOptions(t, c)
		go func() {
			b := make([]byte, 1<<16)
			for {
				n, info, err := c.SCTPRead(b)
				if err == nil && info != nil {
					_, err = c.SCTPWrite(b[:n], info)
				}
				if err != nil {
					c.Close()
					return
				}
			}
		}()
	}
}

func blockingAddr(a netip.AddrPort) *blocking.SCTPAddr {
	return &blocking.SCTPAddr{IPAddrs: []net.IPAddr{{IP: a.Addr().AsSlice()}}, Port: int(a.Port())}
}

// blockingOptions asks for stream and PPID with each message, and for SCTP_NODELAY, which the other servers have.
func blockingOptions(t *testing.T, c *blocking.SCTPConn) {
	t.Helper()
	if err := c.SubscribeEvents(blocking.SCTP_EVENT_DATA_IO); err != nil {
		t.Fatal(err)
	}
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	const noDelay = 3
	if cerr := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.IPPROTO_SCTP, noDelay, 1) }); cerr != nil || err != nil {
		t.Fatal(cerr, err)
	}
}

// blockingPair is two ends of the blocking library.
func blockingPair(t *testing.T) (send func([]byte) error, recv func() error) {
	t.Helper()
	at := netip.AddrPortFrom(kernelB, 36500)
	l, err := blocking.ListenSCTP("sctp4", blockingAddr(at))
	if err != nil {
		t.Fatal(err)
	}
	x, err := blocking.DialSCTP("sctp4", nil, blockingAddr(at))
	if err != nil {
		t.Fatal(err)
	}
	y, err := l.AcceptSCTP()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { x.Close(); y.Close(); l.Close() })
	blockingOptions(t, x)
	blockingOptions(t, y)
	b, info := make([]byte, 1<<16), &blocking.SndRcvInfo{PPID: 18}
	return func(p []byte) error { _, err := x.SCTPWrite(p, info); return err },
		func() error { _, _, err := y.SCTPRead(b); return err }
}

// echoRate is messages echoed per second, over so many associations, each with so many messages under way.
func echoRate(t *testing.T, e sctp.Endpoint, to netip.AddrPort, assocs, window int) float64 {
	t.Helper()
	var count atomic.Int64
	var wg sync.WaitGroup
	msg := make([]byte, benchSize)
	var all []sctp.Association
	for range assocs {
		a, err := e.Dial(t.Context(), to, sctp.DialOptions{})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, a)
	}
	begin := time.Now()
	for _, a := range all {
		wg.Go(func() {
			ctx := context.Background()
			for i := 0; time.Since(begin) < rateTime; i++ {
				if err := a.Send(ctx, 0, 18, msg); err != nil {
					t.Error(err)
					return
				}
				if i < window-1 {
					continue
				}
				if _, err := a.Recv(ctx); err != nil {
					t.Error(err)
					return
				}
				count.Add(1)
			}
		})
	}
	wg.Wait()
	took := time.Since(begin)
	for _, a := range all {
		a.Abort("measured")
	}
	return float64(count.Load()) / took.Seconds()
}

// oneWay is messages received per second.
func oneWay(t *testing.T, send func([]byte) error, recv func() error) float64 {
	t.Helper()
	var stop atomic.Bool
	sent := make(chan int, 1)
	go func() {
		msg, n := make([]byte, benchSize), 0
		for ; !stop.Load() && send(msg) == nil; n++ {
		}
		sent <- n + 1
		_ = send(msg) // after the number, so that the receiver has it when the last message comes
	}()
	begin, n, total := time.Now(), 0, -1
	for n != total {
		if err := recv(); err != nil {
			t.Fatal(err)
		}
		n++
		if n%64 == 0 && time.Since(begin) > rateTime {
			stop.Store(true)
		}
		select {
		case total = <-sent:
		default:
		}
	}
	return float64(n) / time.Since(begin).Seconds()
}

// kernelRates boots a guest, runs TestKernelRates in it, and returns the lines it printed, each name, program and rate.
func kernelRates(t *testing.T) (rows [][]string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	m := guest.Boot(t, guest.Options{Command: []string{self, "-test.run=^TestKernelRates$"}, Env: []string{envRates + "=1", envKernelPeer + "=" + buildKernelPeer(t)}})
	var rest []string
	for line := range m.Lines {
		if f := strings.Split(line, "\t"); f[0] == "RATE" && len(f) == 4 {
			rows = append(rows, f[1:])
		} else {
			rest = append(rest, line)
		}
	}
	if err := m.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, strings.Join(rest, "\n"))
	}
	return rows
}
