//go:build linux

package xdp

import (
	"net"
	"net/netip"
	"slices"
	"sync"

	"campanile.network/gateway/datapath"
	"campanile.network/gateway/datapath/dptest"
	"campanile.network/gateway/datapath/userspace"
)

// quiet leaves out what this machine's own kernel says to phones: solicitations and
// listener reports, errors and redirects.
type quiet struct{ userspace.Port }

var ownAddresses = []netip.Addr{townLocal4, townLocal6, netHere, netHere6, tunHere, dptest.Router6}

func (q quiet) ReadPacket(b []byte) (int, error) {
	for {
		n, err := q.Port.ReadPacket(b)
		if err != nil {
			return n, err
		}
		p, err := datapath.ParsePacket(b[:n])
		icmp := p.Protocol == datapath.ProtoICMP || p.Protocol == datapath.ProtoICMPv6
		if err != nil || !p.Dst.IsMulticast() && !(icmp && (p.Src.IsLinkLocalUnicast() || slices.Contains(ownAddresses, p.Src))) {
			return n, nil
		}
	}
}

// asidePort is what answers phones without quota, as a test plays it.
type asidePort struct {
	in     chan []byte
	closed chan struct{}
	once   sync.Once

	mu  sync.Mutex
	got [][]byte
}

func (a *asidePort) ReadPacket(b []byte) (int, error) {
	select {
	case <-a.closed:
		return 0, net.ErrClosed
	case p := <-a.in:
		return copy(b, p), nil
	}
}

func (a *asidePort) WritePacket(b []byte) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.got = append(a.got, append([]byte(nil), b...))
	return nil
}

func (a *asidePort) MTU() int { return 1400 }

func (a *asidePort) Close() error {
	a.once.Do(func() { close(a.closed) })
	return nil
}

func (a *asidePort) take() [][]byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	got := a.got
	a.got = nil
	return got
}
