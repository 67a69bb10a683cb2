package userspace

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"time"

	"campanile.network/3gpp/gtpu"
	"campanile.network/gateway/datapath"
	"campanile.network/internal/ipstack"
	"campanile.network/internal/loopback"
)

// A phone without IPv4 comes up over real sockets: its tower carries GTP-U, the data
// path advertises its prefix, it makes an address, asks for a name and moves a
// megabyte each way; one that has IPv4 too does the same with both. What the phone
// moved is what was counted.
func TestPhonesThroughSockets(t *testing.T) {
	iid := [8]byte{0, 0, 0, 0, 0, 0, 0, 7}
	for _, c := range []struct {
		name string
		host ipstack.HostOptions
		s    datapath.Session
	}{
		{"IPv6", ipstack.HostOptions{InterfaceID: iid}, datapath.Session{ID: 1, IPv6: netip.MustParsePrefix("2001:db8:45:2::/64")}},
		{"IPv4v6", ipstack.HostOptions{InterfaceID: iid, Addr: netip.MustParseAddr("10.45.0.2")}, datapath.Session{ID: 1, IPv4: netip.MustParseAddr("10.45.0.2"), IPv6: netip.MustParsePrefix("2001:db8:45:2::/64")}},
		{"IPv4", ipstack.HostOptions{Addr: netip.MustParseAddr("10.45.0.2"), DNS: []netip.Addr{netip.MustParseAddr("10.45.0.1")}}, datapath.Session{ID: 1, IPv4: netip.MustParseAddr("10.45.0.2")}},
	} {
		t.Run(c.name, func(t *testing.T) { phoneThroughSockets(t, c.host, c.s) })
	}
}

func phoneThroughSockets(t *testing.T, o ipstack.HostOptions, s datapath.Session) {
	router, router6 := netip.MustParseAddr("10.45.0.1"), netip.MustParseAddr("2001:db8:45::1")
	file := bytes.Repeat([]byte("campanile"), 1<<20/9)
	uploaded := make(chan int, 8)
	quiet := slog.New(slog.DiscardHandler)
	world, err := ipstack.NewForwarder(ipstack.ForwarderOptions{Router: router, Router6: router6, Logger: quiet, Names: map[string]netip.Addr{"web.campanile": router},
		HTTP: map[uint16]http.Handler{80: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			uploaded <- len(b)
			w.Write(file)
		})}})
	if err != nil {
		t.Fatal(err)
	}
	gw, tower := loopback.Addr(t), loopback.Addr(t)
	p, err := New(Options{Local: netip.AddrPortFrom(gw, 0), Port: world, Router: router, DNS: []netip.Addr{router6}, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	b := datapath.Bearer{TEID: 1<<datapath.SlotBits | 5, Session: s.ID, Default: true, Tunnel: datapath.Tunnel{Peer: tower, TEID: 9}}
	if err := errors.Join(p.PutSession(s), p.PutBearer(b)); err != nil {
		t.Fatal(err)
	}
	host, err := ipstack.NewHostWith(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	served := make(chan error, 2)
	for _, f := range []func(context.Context) error{world.Serve, p.Serve} {
		go func() { served <- f(ctx) }()
	}
	eNB := radio(t, host, tower, netip.AddrPortFrom(gw, gtpu.Port), b)
	if s.IPv6.IsValid() {
		if a, err := host.Addr6(ctx); err != nil || !s.IPv6.Contains(a) {
			t.Fatalf("%v, %v", a, err)
		}
	}
	urls := []string{"http://web.campanile/", "http://10.45.0.1/"}
	if s.IPv6.IsValid() {
		urls[1] = "http://[2001:db8:45::1]/"
	}
	for _, url := range urls {
		exchangeFile(ctx, t, host, url, file, uploaded)
	}
	agree(p, host, b, datapath.Count{})
	u, err := p.RemoveBearer(b.TEID)
	if h := host.Counters(); err != nil || u.Count != (datapath.Count{ULOctets: h.OutOctets, ULPackets: h.OutPackets, DLOctets: h.InOctets, DLPackets: h.InPackets}) {
		t.Errorf("%+v, %v; the phone has %+v; %+v", u.Count, err, h, p.Stats())
	}
	host.Close()
	eNB()
	cancel()
	for range 2 {
		if err := <-served; err != nil {
			t.Error(err)
		}
	}
}

// exchangeFile uploads a file and downloads it.
func exchangeFile(ctx context.Context, t *testing.T, host *ipstack.Host, url string, file []byte, uploaded <-chan int) {
	t.Helper()
	req, _ := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(file))
	res, err := (&http.Client{Transport: &http.Transport{DialContext: host.DialContext, DisableKeepAlives: true}}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(res.Body)
	res.Body.Close()
	if err != nil || !bytes.Equal(got, file) || <-uploaded != len(file) {
		t.Errorf("%s: %d octets, %v", url, len(got), err)
	}
}

// agree waits until the last acknowledgements have gone by; counts that never
// agree are the caller's to report.
func agree(p *Path, host *ipstack.Host, b datapath.Bearer, before datapath.Count) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range 500 {
		<-tick.C
		u, _ := p.Usage(b.TEID)
		if c, h := u.Sub(before), host.Counters(); c.ULOctets == h.OutOctets && c.DLOctets == h.InOctets {
			return
		}
	}
}

// radio carries a host's packets to a data path as an eNB does; what it gives ends
// it.
func radio(t *testing.T, host *ipstack.Host, tower netip.Addr, gw netip.AddrPort, b datapath.Bearer) (end func()) {
	c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(tower, gtpu.Port)))
	if err != nil {
		t.Fatal(err)
	}
	tune(c, 8<<20)
	var wg sync.WaitGroup
	wg.Go(func() {
		buf := make([]byte, 65536)
		for {
			n, err := host.ReadPacket(buf)
			if err != nil {
				return
			}
			c.WriteToUDPAddrPort(gtpu.AppendGPDU(nil, b.TEID, buf[:n]), gw)
		}
	})
	wg.Go(func() {
		buf := make([]byte, 65536)
		for {
			n, err := c.Read(buf)
			if err != nil {
				return
			}
			if m, err := gtpu.Parse(buf[:n]); err == nil && m.Type == gtpu.GPDU && m.TEID == b.Tunnel.TEID {
				host.WritePacket(m.Payload)
			}
		}
	})
	return func() { c.Close(); wg.Wait() }
}
