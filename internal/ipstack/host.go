package ipstack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// Host is one host with an address of IPv4, IPv6 or both and a default route into
// its link.
type Host struct {
	*link
	addr     netip.Addr
	dns      []netip.Addr
	ndp      *advertised // nil: no addresses of its own making
	resolver *net.Resolver
	once     sync.Once
}

// HostOptions say what a host is like.
type HostOptions struct {
	// Addr is the host's IPv4 address, or an IPv6 address it has from the start.
	Addr netip.Addr
	// InterfaceID, if not zero, makes it an IPv6 host that solicits routers from
	// fe80::InterfaceID and makes its address of the prefix one of them advertises
	// (RFC 4862 §5.5.3), as a phone does (TS 23.401 §5.3.1.2.2).
	InterfaceID [8]byte
	// MTU of the link, octets: DefaultMTU.
	MTU int
	// DNS are asked, in turn, for names, besides those a router advertises.
	DNS []netip.Addr
}

// window bounds what a TCP connection of a Host has in flight each way. GTP-U
// crosses sockets whose buffers, without privilege, hold about 180 packets; a
// larger window overflows them and measures nothing but that.
const window = 64 << 10

// NewHost makes a host with that address and MTU (0: DefaultMTU) which asks
// dns, in turn, for names. Close ends it.
func NewHost(addr netip.Addr, mtu int, dns ...netip.Addr) (*Host, error) {
	return NewHostWith(HostOptions{Addr: addr, MTU: mtu, DNS: dns})
}

// NewHostWith makes a host. Close ends it.
func NewHostWith(o HostOptions) (*Host, error) {
	h := &Host{addr: o.Addr, dns: o.DNS}
	var addrs []netip.Addr
	if o.Addr.IsValid() || o.InterfaceID == [8]byte{} {
		addrs = append(addrs, o.Addr)
	}
	var config ipv6.Options
	if o.InterfaceID != [8]byte{} {
		h.ndp = newAdvertised()
		config = h.ndp.options()
		addrs = append(addrs, netip.AddrFrom16([16]byte(append([]byte{0xfe, 0x80, 0, 0, 0, 0, 0, 0}, o.InterfaceID[:]...))))
	}
	l, err := newLink(o.MTU, config, addrs...)
	if err != nil {
		return nil, err
	}
	h.link = l
	rcv := tcpip.TCPReceiveBufferSizeRangeOption{Min: tcp.MinBufferSize, Default: window, Max: window}
	snd := tcpip.TCPSendBufferSizeRangeOption{Min: tcp.MinBufferSize, Default: window, Max: window}
	for _, e := range []tcpip.Error{l.stack.SetTransportProtocolOption(tcp.ProtocolNumber, &rcv), l.stack.SetTransportProtocolOption(tcp.ProtocolNumber, &snd)} {
		if e != nil {
			l.close()
			return nil, fmt.Errorf("ipstack: TCP buffers: %v", e)
		}
	}
	next := 0
	var mu sync.Mutex
	h.resolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		dns := h.servers()
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

// Addr is the address the host was made with.
func (h *Host) Addr() netip.Addr { return h.addr }

// Addr6 waits for the IPv6 address the host makes itself.
func (h *Host) Addr6(ctx context.Context) (netip.Addr, error) {
	if h.ndp == nil {
		return netip.Addr{}, errors.New("ipstack: host makes no IPv6 address: give HostOptions an InterfaceID")
	}
	select {
	case <-h.ndp.ready:
		h.ndp.mu.Lock()
		defer h.ndp.mu.Unlock()
		return h.ndp.addr, nil
	case <-ctx.Done():
		return netip.Addr{}, fmt.Errorf("ipstack: no router has advertised a prefix: %w", context.Cause(ctx))
	}
}

// servers are the name servers of the versions that the host has.
func (h *Host) servers() (all []netip.Addr) {
	if h.ndp != nil {
		h.ndp.mu.Lock()
		all = slices.Clone(h.ndp.dns)
		h.ndp.mu.Unlock()
	}
	for _, a := range h.dns {
		if !slices.Contains(all, a) {
			all = append(all, a)
		}
	}
	return slices.DeleteFunc(all, func(a netip.Addr) bool { return !h.has(a) })
}

// has says that the host has an address of that version.
func (h *Host) has(a netip.Addr) bool {
	if h.addr.IsValid() && h.addr.Is4() == a.Is4() {
		return true
	}
	if h.ndp == nil || a.Is4() {
		return false
	}
	select {
	case <-h.ndp.ready:
		return true
	default:
		return false
	}
}

// DialContext connects from the host, like net.Dialer's method: network is
// tcp or udp, with 4 or 6 behind it or without, address host:port; names are asked of the host's own
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
	} else if addrs, err = h.resolver.LookupNetIP(ctx, "ip"+family(network), name); err != nil {
		return nil, fmt.Errorf("ipstack: %w", err)
	}
	last := fmt.Errorf("ipstack: %s has no address the host can reach", name)
	for _, a := range addrs {
		if !h.has(a.Unmap()) && len(addrs) > 1 {
			continue
		}
		c, err := h.dial(ctx, network, netip.AddrPortFrom(a.Unmap(), uint16(p)))
		if err == nil {
			return c, nil
		}
		last = err
	}
	return nil, last
}

// family is the version at the end of a network's name, if there is one.
func family(network string) string { return strings.TrimLeft(network, "tcpud") }

func (h *Host) dial(ctx context.Context, network string, to netip.AddrPort) (net.Conn, error) {
	if v := family(network); v == "4" && !to.Addr().Is4() || v == "6" && !to.Addr().Is6() {
		return nil, fmt.Errorf("ipstack: %v is no address of %s", to, network)
	}
	remote := full(to)
	switch strings.TrimRight(network, "46") {
	case "tcp":
		return gonet.DialContextTCP(ctx, h.stack, remote, protocol(to.Addr()))
	case "udp":
		return gonet.DialUDP(h.stack, nil, &remote, protocol(to.Addr()))
	}
	return nil, fmt.Errorf("ipstack: network %q: want tcp or udp", network)
}

// WritePacket hands one IP packet to the stack; b is not kept. It fails with
// ErrPacket or, after Close, net.ErrClosed.
func (h *Host) WritePacket(b []byte) error {
	if h.ndp != nil {
		if mtu, ok := advertisedMTU(b, h.MTU()); ok {
			h.stack.SetNICMTU(nic, mtu)
		}
	}
	return h.link.WritePacket(b)
}

// Ping sends an echo request of ICMP or ICMPv6 with payload, in fragments where it is
// larger than the link's MTU, and returns when the answer with the same payload has
// come.
func (h *Host) Ping(ctx context.Context, to netip.Addr, payload []byte) error {
	number, message := icmp.ProtocolNumber4, []byte{byte(header.ICMPv4Echo), 0, 0, 0, 0, 0, 0, 1}
	if to.Is6() {
		number, message[0] = icmp.ProtocolNumber6, byte(header.ICMPv6EchoRequest)
	}
	message = append(message, payload...)
	var wq waiter.Queue
	ep, terr := h.stack.NewEndpoint(number, protocol(to), &wq)
	if terr != nil {
		return fmt.Errorf("ipstack: echo: %v", terr)
	}
	c := gonet.NewUDPConn(&wq, ep) // messages with their destinations
	defer c.Close()
	if terr := ep.Connect(full(netip.AddrPortFrom(to, 0))); terr != nil {
		return fmt.Errorf("ipstack: echo to %v: %v", to, terr)
	}
	defer context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })()
	if _, err := c.Write(message); err != nil {
		return fmt.Errorf("ipstack: echo to %v: %w", to, err)
	}
	for answer := make([]byte, len(message)+1); ; {
		n, err := c.Read(answer)
		if err != nil {
			return fmt.Errorf("ipstack: no echo of %d octets from %v: %w", len(payload), to, errors.Join(context.Cause(ctx), err))
		}
		if n == len(message) && bytes.Equal(answer[8:n], payload) {
			return nil
		}
	}
}

// Listen accepts TCP connections to a port of the host.
func (h *Host) Listen(port uint16) (net.Listener, error) {
	return gonet.ListenTCP(h.stack, full(netip.AddrPortFrom(h.addr, port)), protocol(h.addr))
}

// ListenPacket receives UDP datagrams at a port of the host; 0 picks one.
func (h *Host) ListenPacket(port uint16) (net.PacketConn, error) {
	local := full(netip.AddrPortFrom(h.addr, port))
	return gonet.DialUDP(h.stack, &local, nil, protocol(h.addr))
}

// Close aborts the host's connections and waits until its stack is idle.
func (h *Host) Close() error {
	h.once.Do(h.close)
	return nil
}
