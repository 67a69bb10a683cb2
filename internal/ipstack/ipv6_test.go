package ipstack_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"campanile.network/internal/ipstack"
)

var (
	router6 = netip.MustParseAddr("2001:db8:45::1")
	phone6  = netip.MustParseAddr("2001:db8:45:2::2")
)

// network6 joins a host to a forwarder of both versions.
func network6(t *testing.T, h *ipstack.Host, o ipstack.ForwarderOptions) *ipstack.Forwarder {
	t.Helper()
	o.Router, o.Router6, o.Logger = router, router6, slog.New(slog.DiscardHandler)
	f, err := ipstack.NewForwarder(o)
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
	return f
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// An IPv6 host fetches from the router by name, and from the machine's network
// through a dialled connection of IPv6.
func TestIPv6Host(t *testing.T) {
	server, client6 := net.Pipe()
	dialled := make(chan string, 1)
	h := must(ipstack.NewHost(phone6, 0, router6))
	network6(t, h, ipstack.ForwarderOptions{
		HTTP:  map[uint16]http.Handler{80: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "to "+r.RemoteAddr) })},
		Names: map[string]netip.Addr{"web.campanile": router},
		Dial: func(_ context.Context, network, address string) (net.Conn, error) {
			dialled <- network + " " + address
			return client6, nil
		},
	})
	res, err := client(h).Get("http://web.campanile/")
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(res.Body)
	res.Body.Close()
	if from, perr := netip.ParseAddrPort(string(b)[3:]); err != nil || perr != nil || from.Addr() != phone6 {
		t.Errorf("server answered %q, %v", b, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	c, err := h.DialContext(ctx, "tcp", "[2606:4700::1111]:443")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got := <-dialled; got != "tcp6 [2606:4700::1111]:443" {
		t.Errorf("dialled %s", got)
	}
	go c.Write([]byte("hello"))
	buf := make([]byte, 5)
	if _, err := io.ReadFull(server, buf); err != nil || string(buf) != "hello" {
		t.Errorf("%q, %v", buf, err)
	}
	for _, private := range []string{"[fd00::1]:80", "[2001:db8::9]:80"} {
		if c, err := h.DialContext(ctx, "tcp", private); err == nil {
			c.Close()
			t.Errorf("%s can be reached", private)
		}
	}
}

// advertisement is what a router says (RFC 4861 §4.2): a prefix for addresses, and
// a name server (RFC 8106).
func advertisement(prefix netip.Prefix, dns netip.Addr) []byte {
	m := []byte{134, 0, 0, 0, 64, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 3, 4, 64, 0x40, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}
	m = append(m, prefix.Addr().AsSlice()...)
	m = append(m, 25, 3, 0, 0, 0, 0, 0xff, 0xff)
	m = append(m, dns.AsSlice()...)
	b := append([]byte{0x60, 0, 0, 0, 0, byte(len(m)), 58, 255}, netip.MustParseAddr("fe80::1").AsSlice()...)
	b = append(append(b, netip.MustParseAddr("ff02::1").AsSlice()...), m...)
	sum := uint32(len(m)) + 58
	for i := 8; i < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum>>16 != 0 {
		sum = sum>>16 + sum&0xffff
	}
	binary.BigEndian.PutUint16(b[42:], ^uint16(sum))
	return b
}

func TestHostMakesItsAddress(t *testing.T) {
	h := must(ipstack.NewHostWith(ipstack.HostOptions{InterfaceID: [8]byte{0, 0, 0, 0, 0, 0, 0, 7}}))
	buf := make([]byte, 2000)
	n, err := h.ReadPacket(buf)
	for ; err == nil && !(n >= 48 && buf[6] == 58 && buf[40] == 133); n, err = h.ReadPacket(buf) { // past listener reports
	}
	if src := netip.AddrFrom16([16]byte(buf[8:24])); err != nil || src != netip.MustParseAddr("fe80::7") || buf[7] != 255 {
		t.Fatalf("solicits from %v, hop limit %d, %v", src, buf[7], err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.Addr6(gone); !errors.Is(err, context.Canceled) {
		t.Errorf("an address before any prefix: %v", err)
	}
	network6(t, h, ipstack.ForwarderOptions{HTTP: map[uint16]http.Handler{80: http.NotFoundHandler()}, Names: map[string]netip.Addr{"web.campanile": router6}})
	prefix := netip.MustParsePrefix("2001:db8:45:9::/64")
	if err := h.WritePacket(advertisement(prefix, router6)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if a, err := h.Addr6(ctx); err != nil || !prefix.Contains(a) {
		t.Fatalf("%v, %v", a, err)
	}
	res, err := client(h).Get("http://web.campanile/") // the name server is the advertised one
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
}
