package ipstack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// Host is one IPv4 host with one address and a default route into its link.
type Host struct {
	*link
	addr     netip.Addr
	resolver *net.Resolver
	once     sync.Once
}

// window bounds what a TCP connection of a Host has in flight each way. GTP-U
// crosses sockets whose buffers, without privilege, hold about 180 packets; a
// larger window overflows them and measures nothing but that.
const window = 64 << 10

// NewHost makes a host with that address and MTU (0: DefaultMTU) which asks
// dns, in turn, for names. Close ends it.
func NewHost(addr netip.Addr, mtu int, dns ...netip.Addr) (*Host, error) {
	l, err := newLink(addr, mtu)
	if err != nil {
		return nil, err
	}
	rcv := tcpip.TCPReceiveBufferSizeRangeOption{Min: tcp.MinBufferSize, Default: window, Max: window}
	snd := tcpip.TCPSendBufferSizeRangeOption{Min: tcp.MinBufferSize, Default: window, Max: window}
	for _, e := range []tcpip.Error{l.stack.SetTransportProtocolOption(tcp.ProtocolNumber, &rcv), l.stack.SetTransportProtocolOption(tcp.ProtocolNumber, &snd)} {
		if e != nil {
			l.close()
			return nil, fmt.Errorf("ipstack: TCP buffers: %v", e)
		}
	}
	h := &Host{link: l, addr: addr}
	next := 0
	var mu sync.Mutex
	h.resolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		if len(dns) == 0 {
			return nil, errors.New("ipstack: host has no name server")
		}
		mu.Lock()
		server := dns[next%len(dns)]
		next++
		mu.Unlock()
		return h.dial(ctx, network, netip.AddrPortFrom(server, 53))
	}}
	return h, nil
}

// Addr is the host's address.
func (h *Host) Addr() netip.Addr { return h.addr }

// DialContext connects from the host, like net.Dialer's method: network is
// tcp, tcp4, udp or udp4, address host:port; names are asked of the host's own
// name servers. An http.Transport can use it.
func (h *Host) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	name, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("ipstack: %w", err)
	}
	p, err := net.DefaultResolver.LookupPort(ctx, network, port)
	if err != nil {
		return nil, fmt.Errorf("ipstack: %w", err)
	}
	addrs := []netip.Addr{}
	if a, err := netip.ParseAddr(name); err == nil {
		addrs = append(addrs, a)
	} else if addrs, err = h.resolver.LookupNetIP(ctx, "ip4", name); err != nil {
		return nil, fmt.Errorf("ipstack: %w", err)
	}
	var last error
	for _, a := range addrs {
		c, err := h.dial(ctx, network, netip.AddrPortFrom(a.Unmap(), uint16(p)))
		if err == nil {
			return c, nil
		}
		last = err
	}
	return nil, last
}

func (h *Host) dial(ctx context.Context, network string, to netip.AddrPort) (net.Conn, error) {
	if !to.Addr().Is4() {
		return nil, fmt.Errorf("ipstack: %v is not IPv4", to)
	}
	remote := full(to)
	switch network {
	case "tcp", "tcp4":
		return gonet.DialContextTCP(ctx, h.stack, remote, ipv4.ProtocolNumber)
	case "udp", "udp4":
		return gonet.DialUDP(h.stack, nil, &remote, ipv4.ProtocolNumber)
	}
	return nil, fmt.Errorf("ipstack: network %q: want tcp or udp", network)
}

// Listen accepts TCP connections to a port of the host.
func (h *Host) Listen(port uint16) (net.Listener, error) {
	return gonet.ListenTCP(h.stack, full(netip.AddrPortFrom(h.addr, port)), ipv4.ProtocolNumber)
}

// ListenPacket receives UDP datagrams at a port of the host; 0 picks one.
func (h *Host) ListenPacket(port uint16) (net.PacketConn, error) {
	local := full(netip.AddrPortFrom(h.addr, port))
	return gonet.DialUDP(h.stack, &local, nil, ipv4.ProtocolNumber)
}

// Close aborts the host's connections and waits until its stack is idle.
func (h *Host) Close() error {
	h.once.Do(h.close)
	return nil
}
