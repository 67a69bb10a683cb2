package sctp

import (
	"fmt"
	"net"
	"net/netip"
)

const udpHeader = 8

// ipHeader is the length of the IP header in front of what is sent from an address.
func ipHeader(local netip.Addr) int {
	if local.Unmap().Is4() {
		return 20
	}
	return 40
}

// linkMTU is what the interface with an address carries, IP header included, at most 1500: beyond that larger packets only cost memory.
func linkMTU(local netip.Addr) int {
	const ethernet = 1500
	links, err := net.Interfaces()
	if err != nil {
		return ethernet
	}
	for _, l := range links {
		addrs, _ := l.Addrs()
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil && (p.Addr() == local || l.Flags&net.FlagLoopback != 0 && p.Contains(local)) {
				return min(l.MTU, ethernet)
			}
		}
	}
	return ethernet
}

// udpSocket is a bound UDP socket as Datagrams.
type udpSocket struct {
	c     *net.UDPConn
	local netip.AddrPort
}

func openUDP(local netip.AddrPort) (Datagrams, error) {
	if !local.Addr().IsValid() || local.Addr().IsUnspecified() || local.Addr().IsMulticast() {
		return nil, fmt.Errorf("sctp: UDP address %v: a specific unicast address is needed, since peers know the association by it", local)
	}
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(local))
	if err != nil {
		return nil, fmt.Errorf("sctp: UDP socket: %w", err)
	}
	bigBuffers(c)
	a := c.LocalAddr().(*net.UDPAddr).AddrPort()
	return dontFragment(&udpSocket{c, netip.AddrPortFrom(a.Addr().Unmap(), a.Port())}, c)
}

// bigBuffers wishes for larger socket buffers; what the system grants is enough to work.
func bigBuffers(c interface {
	SetReadBuffer(int) error
	SetWriteBuffer(int) error
}) {
	_ = c.SetReadBuffer(4 << 20)
	_ = c.SetWriteBuffer(1 << 20)
}

func (s *udpSocket) ReadFrom(p []byte) (int, netip.AddrPort, error) {
	n, from, err := s.c.ReadFromUDPAddrPort(p)
	return n, netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), err
}

func (s *udpSocket) WriteTo(p []byte, to netip.AddrPort) error {
	_, err := s.c.WriteToUDPAddrPort(p, to)
	return err
}

func (s *udpSocket) LocalAddr() netip.AddrPort { return s.local }
func (s *udpSocket) Close() error              { return s.c.Close() }
