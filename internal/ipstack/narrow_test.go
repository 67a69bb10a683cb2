package ipstack

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
)

// cell is a way for packets as a cell is: so many bit/s, a queue that drops what
// finds no room for so many packets, a delay.
type cell struct {
	rate, room int
	delay      time.Duration
}

func (c cell) carry(wg *sync.WaitGroup, dst, src *link) {
	type late struct {
		b  []byte
		at time.Time
	}
	air := make(chan late, 4096)
	wg.Go(func() {
		for p := range air {
			time.Sleep(time.Until(p.at))
			_ = dst.WritePacket(p.b) // fails once dst is closed
		}
	})
	wg.Go(func() {
		defer close(air)
		b := make([]byte, 65536)
		var idle time.Time // when all that is queued has left
		for {
			n, err := src.ReadPacket(b)
			if err != nil {
				return
			}
			now := time.Now()
			if idle.Before(now) {
				idle = now
			}
			each := time.Duration(n) * 8 * time.Second / time.Duration(c.rate)
			if idle.Sub(now) > time.Duration(c.room)*each {
				continue
			}
			idle = idle.Add(each)
			air <- late{bytes.Clone(b[:n]), idle.Add(c.delay)}
		}
	})
}

// BenchmarkNarrowCell downloads through a cell of 18 Mbit/s whose queue the
// sender overflows, to a phone with a large window.
func BenchmarkNarrowCell(b *testing.B) {
	const size = 2 << 20
	router := netip.MustParseAddr("10.45.0.1")
	f, err := NewForwarder(ForwarderOptions{Router: router, Logger: slog.New(slog.DiscardHandler), HTTP: map[uint16]http.Handler{
		80: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, size)) })}})
	if err != nil {
		b.Fatal(err)
	}
	phone, err := newLink(0, ipv6.Options{}, netip.MustParseAddr("10.45.0.2"))
	if err != nil {
		b.Fatal(err)
	}
	var wg sync.WaitGroup
	c := cell{rate: 18e6, room: 60, delay: 15 * time.Millisecond}
	c.carry(&wg, phone, f.link)
	c.carry(&wg, f.link, phone)
	ctx, cancel := context.WithCancel(context.Background())
	wg.Go(func() { _ = f.Serve(ctx) })
	defer func() { cancel(); phone.close(); wg.Wait() }()
	web := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, to string) (_ net.Conn, err error) {
		return gonet.DialContextTCP(ctx, phone.stack, full(netip.MustParseAddrPort(to)), ipv4.ProtocolNumber)
	}}}
	b.SetBytes(size)
	for b.Loop() {
		res, err := web.Get("http://10.45.0.1:80/")
		if err != nil {
			b.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, res.Body); err != nil || n != size {
			b.Fatalf("%d octets: %v", n, err)
		}
		res.Body.Close()
	}
	b.ReportMetric(float64(f.stack.Stats().TCP.Timeouts.Value())/float64(b.N), "timeouts/op")
}
