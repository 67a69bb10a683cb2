package ipstack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/channel"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
)

// DefaultMTU leaves room for GTP-U, UDP and IP in a 1500-octet network.
const DefaultMTU = 1400

// queue is how many outgoing packets wait for ReadPacket; more are lost as on
// any link.
const queue = 2048

const nic = tcpip.NICID(1)

// ErrPacket says that WritePacket was given something that is no IP packet.
var ErrPacket = errors.New("ipstack: not an IP packet")

// Counters are IP octets, headers included, and packets at one link.
type Counters struct {
	OutOctets, OutPackets uint64 // taken out by ReadPacket
	InOctets, InPackets   uint64 // put in by WritePacket
}

// link is a stack with one interface whose other end is two methods.
type link struct {
	stack *stack.Stack
	ep    *channel.Endpoint
	mtu   int
	ctx   context.Context // ends reads
	end   context.CancelFunc

	outOctets, outPackets, inOctets, inPackets atomic.Uint64
}

// newLink makes a stack with those addresses, IPv4 or IPv6. config is its IPv6
// host's, by default one that nobody advertises to.
func newLink(mtu int, config ipv6.Options, addrs ...netip.Addr) (*link, error) {
	if mtu == 0 {
		mtu = DefaultMTU
	}
	if mtu < 576 || mtu > 65535 {
		return nil, fmt.Errorf("ipstack: MTU %d: want 576 to 65535", mtu)
	}
	for _, a := range addrs {
		if !a.IsValid() || a.Is4In6() || a.IsUnspecified() {
			return nil, fmt.Errorf("ipstack: address %v is neither IPv4 nor IPv6", a)
		}
	}
	s := stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol, ipv6.NewProtocolWithOptions(config)},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol, udp.NewProtocol, icmp.NewProtocol4, icmp.NewProtocol6},
	})
	sack := tcpip.TCPSACKEnabled(true)
	s.SetTransportProtocolOption(tcp.ProtocolNumber, &sack)
	// RACK (RFC 8985), on by default, recovers from an overflowing queue one
	// segment per round trip here, or not at all (BenchmarkNarrowCell); SACK
	// alone (RFC 6675) fills the gaps at once.
	recovery := tcpip.TCPRecovery(0)
	s.SetTransportProtocolOption(tcp.ProtocolNumber, &recovery)
	moderate := tcpip.TCPModerateReceiveBufferOption(true)
	s.SetTransportProtocolOption(tcp.ProtocolNumber, &moderate)
	l := &link{stack: s, ep: channel.New(queue, uint32(mtu), ""), mtu: mtu}
	l.ctx, l.end = context.WithCancel(context.Background())
	fail := func(what string, err tcpip.Error) (*link, error) {
		l.close()
		return nil, fmt.Errorf("ipstack: %s: %v", what, err)
	}
	if err := s.CreateNIC(nic, l.ep); err != nil {
		return fail("interface", err)
	}
	for _, a := range addrs {
		if err := l.add(a); err != nil {
			return fail("address "+a.String(), err)
		}
	}
	s.SetRouteTable([]tcpip.Route{{Destination: header.IPv4EmptySubnet, NIC: nic}, {Destination: header.IPv6EmptySubnet, NIC: nic}})
	return l, nil
}

// protocol is the network protocol of an address.
func protocol(a netip.Addr) tcpip.NetworkProtocolNumber {
	if a.Is4() {
		return ipv4.ProtocolNumber
	}
	return ipv6.ProtocolNumber
}

func (l *link) add(a netip.Addr) tcpip.Error {
	pa := tcpip.ProtocolAddress{Protocol: protocol(a), AddressWithPrefix: tcpip.AddrFromSlice(a.AsSlice()).WithPrefix()}
	return l.stack.AddProtocolAddress(nic, pa, stack.AddressProperties{})
}

// close ends reads, aborts what is open and waits for the stack's goroutines.
func (l *link) close() {
	l.end()
	l.stack.Close()
	l.ep.Close()
	l.stack.Wait()
}

// MTU is the largest packet, in octets.
func (l *link) MTU() int { return l.mtu }

// ReadPacket waits for the next packet that leaves the stack and copies it to
// b, which must hold MTU octets. It gives net.ErrClosed after Close.
func (l *link) ReadPacket(b []byte) (int, error) {
	pkt := l.ep.ReadContext(l.ctx)
	if pkt == nil {
		return 0, net.ErrClosed
	}
	defer pkt.DecRef()
	size := pkt.Size()
	if size > len(b) {
		return 0, fmt.Errorf("ipstack: packet of %d octets, buffer of %d", size, len(b))
	}
	n := 0
	for _, v := range pkt.AsSlices() {
		n += copy(b[n:], v)
	}
	l.outOctets.Add(uint64(n))
	l.outPackets.Add(1)
	return n, nil
}

// WritePacket hands one IP packet to the stack; b is not kept. It fails with
// ErrPacket or, after Close, net.ErrClosed.
func (l *link) WritePacket(b []byte) error {
	version := header.IPv4ProtocolNumber
	switch {
	case len(b) >= header.IPv4MinimumSize && b[0]>>4 == 4:
	case len(b) >= header.IPv6MinimumSize && b[0]>>4 == 6:
		version = header.IPv6ProtocolNumber
	default:
		return ErrPacket
	}
	if l.ctx.Err() != nil {
		return net.ErrClosed
	}
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(b)})
	l.inOctets.Add(uint64(len(b)))
	l.inPackets.Add(1)
	l.ep.InjectInbound(version, pkt)
	pkt.DecRef()
	return nil
}

// Counters reads what passed the link so far.
func (l *link) Counters() Counters {
	return Counters{l.outOctets.Load(), l.outPackets.Load(), l.inOctets.Load(), l.inPackets.Load()}
}

func full(ap netip.AddrPort) tcpip.FullAddress {
	return tcpip.FullAddress{NIC: nic, Addr: tcpip.AddrFromSlice(ap.Addr().AsSlice()), Port: ap.Port()}
}
