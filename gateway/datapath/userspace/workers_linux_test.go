package userspace

import (
	"context"
	"encoding/binary"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"campanile.network/3gpp/gtpu"
	"campanile.network/3gpp/id"
	"campanile.network/gateway/datapath"
	"campanile.network/gateway/datapath/dptest"
	"campanile.network/internal/loopback"
)

// Each socket of an address gets the tunnels that are its own, and no second data
// path gets any.
func TestTunnelsAreDealtOut(t *testing.T) {
	at := netip.AddrPortFrom(loopback.Addr(t), gtpu.Port)
	conns, err := listen(at, 3)
	if err != nil {
		t.Fatal(err)
	}
	if more, err := listen(at, 3); err == nil {
		t.Errorf("%d more sockets at an address that is taken", len(more))
	}
	from, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(at))
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	for teid := range id.TEID(30) {
		from.Write(gtpu.AppendGPDU(nil, teid, nil))
	}
	from.Write([]byte{1, 2}) // too short for a TEID
	buf := make([]byte, 100)
	for i, c := range conns {
		want := 10
		if i == 0 {
			want++
		}
		c.(*net.UDPConn).SetReadDeadline(time.Now().Add(20 * time.Second))
		for range want {
			n, _, err := c.ReadFromUDPAddrPort(buf)
			if err != nil {
				t.Fatalf("socket %d: %v", i, err)
			}
			if n >= 8 && int(binary.BigEndian.Uint32(buf[4:])%3) != i {
				t.Errorf("socket %d got TEID %d", i, binary.BigEndian.Uint32(buf[4:]))
			}
		}
		c.Close()
	}
}

// ordered is a Port that looks whether each phone's packets come in order.
type ordered struct {
	*wire
	mu    sync.Mutex
	last  map[netip.Addr]uint32
	wrong int
	got   chan struct{}
}

func (o *ordered) WritePacket(b []byte) error {
	src, n := netip.AddrFrom4([4]byte(b[12:16])), binary.BigEndian.Uint32(b[28:])
	o.mu.Lock()
	if n != o.last[src]+1 {
		o.wrong++
	}
	o.last[src] = n
	o.mu.Unlock()
	o.got <- struct{}{}
	return nil
}

func (o *ordered) wait(t *testing.T, n int) {
	t.Helper()
	late := time.After(60 * time.Second)
	for range n {
		select {
		case <-o.got:
		case <-late:
			t.Fatal("packets are lost")
		}
	}
}

func TestWorkersKeepOrder(t *testing.T) {
	port := &ordered{wire: newWire(), last: map[netip.Addr]uint32{}, got: make(chan struct{}, 128)}
	gw := loopback.Addr(t)
	p, err := New(Options{Local: netip.AddrPortFrom(gw, 0), Workers: 2, Port: port, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	const phones, each = 20, 200
	for i := range phones {
		ue := netip.AddrFrom4([4]byte{10, 45, 1, byte(i)})
		s := datapath.SessionID(i + 1)
		if err := p.PutSession(datapath.Session{ID: s, IPv4: ue}); err != nil {
			t.Fatal(err)
		}
		if err := p.PutBearer(datapath.Bearer{TEID: id.TEID(1<<datapath.SlotBits | i), Session: s, Default: true}); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- p.Serve(ctx) }()
	c, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(gw, gtpu.Port)))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for n := range each {
		for i := range phones {
			pkt := dptest.Packet(netip.AddrFrom4([4]byte{10, 45, 1, byte(i)}), netip.MustParseAddr("93.184.216.34"), 60)
			binary.BigEndian.PutUint32(pkt[28:], uint32(n+1))
			c.Write(gtpu.AppendGPDU(nil, id.TEID(1<<datapath.SlotBits|i), pkt))
		}
		if n >= 2 { // two rounds ahead at most
			port.wait(t, phones)
		}
	}
	port.wait(t, 2*phones)
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if port.wrong != 0 || p.Stats().ULPackets != phones*each {
		t.Errorf("%d of %d packets out of order", port.wrong, p.Stats().ULPackets)
	}
}
