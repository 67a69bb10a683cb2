package ipstack_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"campanile.network/internal/ipstack"
)

var (
	router = netip.MustParseAddr("10.45.0.1")
	phone  = netip.MustParseAddr("10.45.0.2")
)

type packets interface {
	ReadPacket([]byte) (int, error)
	WritePacket([]byte) error
}

// join carries packets both ways until both ends are closed.
func join(a, b packets) *sync.WaitGroup {
	var wg sync.WaitGroup
	one := func(dst, src packets) {
		buf := make([]byte, 65536)
		for {
			n, err := src.ReadPacket(buf)
			if err != nil {
				return
			}
			if dst.WritePacket(buf[:n]) != nil {
				return
			}
		}
	}
	wg.Go(func() { one(a, b) })
	wg.Go(func() { one(b, a) })
	return &wg
}

// network joins a host to a forwarder for the length of a test.
func network(t testing.TB, o ipstack.ForwarderOptions) (*ipstack.Host, *ipstack.Forwarder) {
	t.Helper()
	o.Router, o.Logger = router, slog.New(slog.DiscardHandler)
	f, err := ipstack.NewForwarder(o)
	if err != nil {
		t.Fatal(err)
	}
	h, err := ipstack.NewHost(phone, 0, router)
	if err != nil {
		t.Fatal(err)
	}
	wg := join(h, f)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- f.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
		h.Close()
		wg.Wait()
	})
	return h, f
}

func client(h *ipstack.Host) *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: h.DialContext, DisableKeepAlives: true}, Timeout: 20 * time.Second}
}

func TestFetchFromTheServerInside(t *testing.T) {
	body := make([]byte, 3<<20)
	rand.Read(body)
	h, f := network(t, ipstack.ForwarderOptions{
		HTTP: map[uint16]http.Handler{80: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if host, _, _ := net.SplitHostPort(r.RemoteAddr); host != phone.String() {
				t.Errorf("server sees %q", r.RemoteAddr)
			}
			w.Write(body)
		})},
		Names: map[string]netip.Addr{"web.campanile": router},
	})
	for _, url := range []string{"http://10.45.0.1/", "http://web.campanile/"} {
		res, err := client(h).Get(url)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || sha256.Sum256(got) != sha256.Sum256(body) {
			t.Fatalf("%s: %d octets, %v", url, len(got), err)
		}
	}
	hc, fc := h.Counters(), f.Counters()
	if hc.InOctets < 6<<20 || hc.OutPackets == 0 || fc.OutOctets < hc.InOctets {
		t.Errorf("host %+v, forwarder %+v", hc, fc)
	}
}

// outside is a TCP server that echoes and says goodbye, and a UDP echo.
func outside(t *testing.T) (net.Listener, net.PacketConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() { // echo until half-closed, then say goodbye
				n, _ := io.Copy(c, c)
				fmt.Fprintf(c, "bye after %d", n)
				c.Close()
			}()
		}
	}()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pc.Close() })
	go func() {
		buf := make([]byte, 2000)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			pc.WriteTo(buf[:n], from)
		}
	}()
	return ln, pc
}

func TestFlowsGoOutThroughDial(t *testing.T) {
	ln, pc := outside(t)
	h, f := network(t, ipstack.ForwarderOptions{Dial: func(ctx context.Context, nw, to string) (net.Conn, error) {
		if !strings.HasPrefix(to, "93.184.216.34:") {
			return nil, fmt.Errorf("unexpected destination %s", to)
		}
		if strings.HasPrefix(nw, "udp") {
			return net.Dial("udp", pc.LocalAddr().String())
		}
		return net.Dial("tcp", ln.Addr().String())
	}})
	c, err := h.DialContext(t.Context(), "tcp", "93.184.216.34:7")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	msg := bytes.Repeat([]byte("0123456789"), 20000)
	go func() {
		c.Write(msg)
		c.(interface{ CloseWrite() error }).CloseWrite()
	}()
	got, err := io.ReadAll(c)
	if want := string(msg) + "bye after 200000"; err != nil || string(got) != want {
		t.Fatalf("%d octets of %d, %v", len(got), len(want), err)
	}
	u, err := h.DialContext(t.Context(), "udp", "93.184.216.34:7")
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	u.SetDeadline(time.Now().Add(10 * time.Second))
	buf := make([]byte, 100)
	for _, s := range []string{"one", "two"} {
		u.Write([]byte(s))
		if n, err := u.Read(buf); err != nil || string(buf[:n]) != s {
			t.Fatalf("%q, %v", buf[:n], err)
		}
	}
	if s := f.Stats(); s.TCP != 1 || s.UDP != 1 || s.Denied != 0 {
		t.Errorf("%+v", s)
	}
}

func TestDestinationsThatAreDenied(t *testing.T) {
	h, f := network(t, ipstack.ForwarderOptions{Dial: func(_ context.Context, nw, to string) (net.Conn, error) {
		t.Errorf("dialled %s %s", nw, to)
		return nil, errors.New("no")
	}})
	denied := []string{"127.0.0.2:80", "10.1.2.3:80", "172.16.0.1:22", "192.168.1.1:80", "169.254.169.254:80", "100.64.0.1:80",
		"198.18.0.1:80", "240.0.0.1:80", "10.45.0.1:81"}
	for _, to := range denied {
		if ipstack.Public(netip.MustParseAddrPort(to)) {
			t.Errorf("Public(%s)", to)
		}
		if strings.HasPrefix(to, "127.") {
			continue // netstack never lets this leave the host
		}
		_, err := h.DialContext(t.Context(), "tcp", to)
		if err == nil || !strings.Contains(err.Error(), "refused") {
			t.Errorf("tcp to %s: %v, want connection refused", to, err)
		}
	}
	for _, to := range []string{"224.0.0.1:5", "0.0.0.0:80", "255.255.255.255:67", "8.8.8.8:0"} {
		if ipstack.Public(netip.MustParseAddrPort(to)) {
			t.Errorf("Public(%s)", to)
		}
	}
	if n := f.Stats().Denied; n < uint64(len(denied)-1) {
		t.Errorf("%d denials counted", n)
	}
}

func TestOutsideThatRefusesIsARefusal(t *testing.T) {
	h, f := network(t, ipstack.ForwarderOptions{Dial: func(context.Context, string, string) (net.Conn, error) { return nil, syscall.ECONNREFUSED }})
	if _, err := h.DialContext(t.Context(), "tcp", "93.184.216.34:80"); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Fatalf("err = %v", err)
	}
	if f.Stats().Failed != 1 {
		t.Error("the failure was not counted")
	}
}

func TestMaxFlowsIsABound(t *testing.T) {
	h, f := network(t, ipstack.ForwarderOptions{MaxFlows: 8, MaxPerPhone: 2, Dial: func(context.Context, string, string) (net.Conn, error) {
		a, _ := net.Pipe()
		return a, nil
	}})
	for i := range 3 {
		_, err := h.DialContext(t.Context(), "tcp", "93.184.216.34:80")
		if (err != nil) != (i == 2) {
			t.Fatalf("flow %d: %v", i+1, err)
		}
	}
	if s := f.Stats(); s.Full != 1 || s.Open != 2 {
		t.Errorf("%+v", s)
	}
}

func TestDeniedDatagramIsAnsweredPortUnreachable(t *testing.T) {
	f, err := ipstack.NewForwarder(ipstack.ForwarderOptions{Router: router, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, to := range []string{"192.168.1.1", "169.254.169.254", "10.45.0.1"} {
		b := echo(netip.MustParseAddr(to))
		b[9] = 17
		b[10], b[11] = 0, 0
		b[10], b[11] = checksum(b[:20])
		copy(b[20:], []byte{0x10, 0, 0, 99, 0, 8, 0, 0})
		f.WritePacket(b)
		buf := make([]byte, 1500)
		n, err := f.ReadPacket(buf)
		if err != nil || n < 56 || buf[9] != 1 || buf[20] != 3 || buf[21] != 3 || netip.AddrFrom4([4]byte(buf[16:20])) != phone {
			t.Fatalf("%s: %x, %v", to, buf[:n], err)
		}
	}
}

func checksum(p []byte) (byte, byte) {
	var s uint32
	for i := 0; i < len(p); i += 2 {
		s += uint32(p[i])<<8 | uint32(p[i+1])
	}
	for s>>16 != 0 {
		s = s>>16 + s&0xffff
	}
	return byte(^s >> 8), byte(^s)
}

// echo builds an ICMP echo request of 28 octets.
func echo(to netip.Addr) []byte {
	b := make([]byte, 28)
	b[0], b[3], b[8], b[9] = 0x45, 28, 64, 1
	copy(b[12:], phone.AsSlice())
	copy(b[16:], to.AsSlice())
	b[10], b[11] = checksum(b[:20])
	b[20] = 8
	b[22], b[23] = checksum(b[20:])
	return b
}

func TestOnlyTheRouterAnswersEcho(t *testing.T) {
	f, err := ipstack.NewForwarder(ipstack.ForwarderOptions{Router: router, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	f.WritePacket(echo(netip.MustParseAddr("8.8.8.8")))
	f.WritePacket(echo(router))
	buf := make([]byte, 1500)
	n, err := f.ReadPacket(buf)
	if err != nil || n != 28 || buf[20] != 0 || netip.AddrFrom4([4]byte(buf[12:16])) != router {
		t.Fatalf("%x, %v", buf[:n], err)
	}
	if f.Stats().ICMP != 1 {
		t.Error("the other echo was not counted")
	}
	if err := f.WritePacket([]byte{0x60}); !errors.Is(err, ipstack.ErrPacket) {
		t.Errorf("IPv6: %v", err)
	}
}

func TestCloseLeavesNoGoroutine(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 3 {
		func() {
			f, err := ipstack.NewForwarder(ipstack.ForwarderOptions{Router: router, Logger: slog.New(slog.DiscardHandler),
				Dial: func(context.Context, string, string) (net.Conn, error) { a, _ := net.Pipe(); return a, nil }})
			if err != nil {
				t.Fatal(err)
			}
			h, err := ipstack.NewHost(phone, 0)
			if err != nil {
				t.Fatal(err)
			}
			wg := join(h, f)
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() { f.Serve(ctx); close(done) }()
			for range 10 {
				if _, err := h.DialContext(t.Context(), "tcp", "93.184.216.34:80"); err != nil {
					t.Fatal(err)
				}
			}
			cancel()
			<-done
			h.Close()
			wg.Wait()
		}()
	}
	// gVisor's own workers may still be on their way out; they need no event from here.
	for i := 0; runtime.NumGoroutine() > before && i < 1000; i++ {
		runtime.Gosched()
		<-time.After(time.Millisecond)
	}
	if n := runtime.NumGoroutine(); n > before+2 {
		buf := make([]byte, 1<<16)
		t.Fatalf("%d goroutines, %d before\n%s", n, before, buf[:runtime.Stack(buf, true)])
	}
}

func BenchmarkFetch(b *testing.B) {
	chunk := make([]byte, 1<<20)
	h, _ := network(b, ipstack.ForwarderOptions{HTTP: map[uint16]http.Handler{80: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(chunk) })}})
	c := &http.Client{Transport: &http.Transport{DialContext: h.DialContext}}
	b.SetBytes(1 << 20)
	b.ReportAllocs()
	for b.Loop() {
		res, err := c.Get("http://10.45.0.1/")
		if err != nil {
			b.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, res.Body); err != nil || n != 1<<20 {
			b.Fatal(n, err)
		}
		res.Body.Close()
	}
}
