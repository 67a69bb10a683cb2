package userspace

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"testing"

	"campanile.network/3gpp/gtpu"
	"campanile.network/3gpp/id"
	"campanile.network/gateway/datapath"
	"campanile.network/gateway/datapath/dptest"
	"campanile.network/internal/loopback"
	"campanile.network/internal/memnet"
)

// wire is a Port a test plays.
type wire struct {
	in     chan []byte
	closed chan struct{}
	once   sync.Once

	mu      sync.Mutex
	got     [][]byte
	refuses bool
}

func newWire() *wire { return &wire{in: make(chan []byte, 4096), closed: make(chan struct{})} }

func (w *wire) ReadPacket(b []byte) (int, error) {
	select {
	case <-w.closed:
		return 0, net.ErrClosed
	case p := <-w.in:
		return copy(b, p), nil
	}
}

func (w *wire) WritePacket(b []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.refuses {
		return errors.New("queue full")
	}
	w.got = append(w.got, append([]byte(nil), b...))
	return nil
}

func (w *wire) MTU() int { return 1400 }

func (w *wire) Close() error {
	w.once.Do(func() { close(w.closed) })
	return nil
}

func (w *wire) take() [][]byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	got := w.got
	w.got = nil
	return got
}

// inbox collects what arrives at a tower.
type inbox struct {
	conn *memnet.Conn
	mu   sync.Mutex
	got  [][]byte
}

func (i *inbox) run() {
	buf := make([]byte, 65536)
	for {
		n, _, err := i.conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		i.mu.Lock()
		i.got = append(i.got, append([]byte(nil), buf[:n]...))
		i.mu.Unlock()
	}
}

func (i *inbox) take() [][]byte {
	i.mu.Lock()
	defer i.mu.Unlock()
	got := i.got
	i.got = nil
	return got
}

// null takes everything and gives nothing.
type null struct{ wire }

func (*null) WritePacket([]byte) error { return nil }

func benchPath(b *testing.B) (*Path, id.TEID) {
	n, err := memnet.New(nil).Listen(netip.MustParseAddrPort("127.0.0.1:2152"))
	if err != nil {
		b.Fatal(err)
	}
	p, err := New(Options{Conn: &benchConn{n}, Port: &null{}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	const teid = 1<<datapath.SlotBits | 5
	put(b, p, teid, netip.MustParseAddr("10.45.0.2"), datapath.Tunnel{Peer: dptest.TowerA, TEID: 9})
	return p, teid
}

type benchConn struct{ *memnet.Conn }

func (*benchConn) WriteToUDPAddrPort(b []byte, _ netip.AddrPort) (int, error) { return len(b), nil }

// The two benchmarks are the work for a packet without its system calls.
func BenchmarkUplink(b *testing.B) {
	p, teid := benchPath(b)
	d := gtpu.AppendGPDU(nil, teid, dptest.Packet(netip.MustParseAddr("10.45.0.2"), netip.MustParseAddr("93.184.216.34"), 512))
	from, w := netip.AddrPortFrom(dptest.TowerA, gtpu.Port), p.lane(0)
	b.ReportAllocs()
	for b.Loop() {
		w.datagram(d, from)
		w.flush()
	}
}

func BenchmarkDownlink(b *testing.B) {
	p, _ := benchPath(b)
	f := append(make([]byte, gtpu.HeaderLen), dptest.Packet(netip.MustParseAddr("93.184.216.34"), netip.MustParseAddr("10.45.0.2"), 512)...)
	w := p.lane(0)
	b.ReportAllocs()
	for b.Loop() {
		w.downlink(f, false)
		w.flush()
	}
}

// window is a Port that lets the sender run 128 packets ahead.
type window struct {
	*wire
	ahead chan struct{}
}

func (w window) WritePacket([]byte) error {
	<-w.ahead
	return nil
}

// BenchmarkUplinkSocket adds the kernel's part: a tower's socket sends over
// loopback, at most 128 packets ahead, and the data path counts.
func BenchmarkUplinkSocket(b *testing.B) {
	port := window{newWire(), make(chan struct{}, 128)}
	p, err := New(Options{Local: netip.AddrPortFrom(loopback.Addr(b), 0), Port: port, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	const teid = 1<<datapath.SlotBits | 5
	ue := netip.MustParseAddr("10.45.0.2")
	put(b, p, teid, ue, datapath.Tunnel{})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- p.Serve(ctx) }()
	c, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(p.LocalAddr(), gtpu.Port)))
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	d := gtpu.AppendGPDU(nil, teid, dptest.Packet(ue, netip.MustParseAddr("93.184.216.34"), 512))
	b.ReportAllocs()
	for b.Loop() {
		port.ahead <- struct{}{}
		if _, err := c.Write(d); err != nil {
			b.Fatal(err)
		}
	}
	cancel()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
}
