package datapath

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"net/netip"

	"campanile.network/3gpp/eps"
)

// MaxFilters is how many a bearer can have (TS 24.008 §10.5.6.12).
const MaxFilters = 15

// PortRange is of ports, both ends within; the zero PortRange is all of them.
type PortRange struct{ Lo, Hi uint16 }

// Has says that a port is within.
func (r PortRange) Has(port uint16) bool {
	return r == PortRange{} || r.Lo <= port && port <= r.Hi
}

// Filter is a packet filter (TS 24.008 §10.5.6.12). Remote is the packet
// network's side, local the phone's. A zero field matches everything, but for
// those with a flag.
type Filter struct {
	Precedence    uint8 // lower is evaluated first
	Up, Down      bool  // directions it is for
	Remote, Local netip.Prefix
	// Protocol of IP, or next header behind extension headers.
	HasProtocol bool
	Protocol    uint8
	RemotePorts PortRange
	LocalPorts  PortRange
	TOS, Mask   uint8 // TOS counts where Mask has ones
	HasSPI      bool
	SPI         uint32
	HasLabel    bool
	Label       uint32 // IPv6 flow label
}

// Match says that a packet of that direction is the filter's. Later fragments
// have no ports: a filter that names ports does not match them.
func (f *Filter) Match(p *Packet, d Direction) bool {
	remote, local, rport, lport := p.Src, p.Dst, p.SrcPort, p.DstPort
	if d == Uplink {
		remote, local, rport, lport = local, remote, lport, rport
	}
	switch {
	case d == Uplink && !f.Up, d == Downlink && !f.Down,
		f.Remote.IsValid() && !f.Remote.Contains(remote),
		f.Local.IsValid() && !f.Local.Contains(local),
		f.HasProtocol && f.Protocol != p.Protocol,
		(p.TOS^f.TOS)&f.Mask != 0,
		f.HasSPI && (f.SPI != p.SPI || p.Later),
		f.HasLabel && (f.Label != p.FlowLabel || p.Src.Is4()):
		return false
	}
	if (f.RemotePorts != PortRange{} || f.LocalPorts != PortRange{}) {
		return p.HasPorts() && f.RemotePorts.Has(rport) && f.LocalPorts.Has(lport)
	}
	return true
}

// HasPorts says that the packet is of a protocol with ports and shows them.
func (p *Packet) HasPorts() bool {
	switch p.Protocol {
	case ProtoTCP, ProtoUDP, ProtoSCTP, ProtoDCCP, ProtoUDPLite:
		return !p.Later && p.Size >= p.Transport+4
	}
	return false
}

// FilterOf gives a decoded packet filter of a traffic flow template as a Filter;
// ErrInvalid for components that IP packets do not have or that contradict
// themselves.
func FilterOf(e eps.PacketFilter) (Filter, error) {
	f := Filter{Precedence: e.Precedence, Up: e.Direction != eps.FilterDownlink, Down: e.Direction != eps.FilterUplink}
	if !e.Components.Valid() {
		return f, fmt.Errorf("%w: packet filter %d has components that are none", ErrInvalid, e.ID)
	}
	for kind, v := range e.Components.All() {
		if !f.component(kind, v) {
			return f, fmt.Errorf("%w: packet filter %d: component %#x with %x", ErrInvalid, e.ID, kind, v)
		}
	}
	return f, nil
}

func (f *Filter) component(kind uint8, v []byte) (ok bool) {
	ok = true
	switch kind {
	case eps.FilterIPv4Remote, eps.FilterIPv6Remote:
		f.Remote, ok = masked(v)
	case eps.FilterIPv4Local:
		f.Local, ok = masked(v)
	case eps.FilterIPv6RemotePrefix:
		f.Remote, ok = prefix(v)
	case eps.FilterIPv6LocalPrefix:
		f.Local, ok = prefix(v)
	case eps.FilterProtocol:
		f.HasProtocol, f.Protocol = true, v[0]
	case eps.FilterLocalPort, eps.FilterLocalPortRange:
		f.LocalPorts, ok = ports(v)
	case eps.FilterRemotePort, eps.FilterRemotePortRange:
		f.RemotePorts, ok = ports(v)
	case eps.FilterSecurityParameter:
		f.HasSPI, f.SPI = true, binary.BigEndian.Uint32(v)
	case eps.FilterTypeOfService:
		f.TOS, f.Mask = v[0], v[1]
	case eps.FilterFlowLabel:
		f.HasLabel, f.Label = true, uint32(v[0]&15)<<16|uint32(v[1])<<8|uint32(v[2])
	default: // of Ethernet
		return false
	}
	return ok
}

// masked reads an address and a mask, whose ones have to come first.
func masked(v []byte) (netip.Prefix, bool) {
	a, ok := netip.AddrFromSlice(v[:len(v)/2])
	n, end := 0, false
	for _, m := range v[len(v)/2:] {
		ones := bits.LeadingZeros8(^m)
		if end && m != 0 || m<<ones != 0 {
			return netip.Prefix{}, false
		}
		end = ones < 8
		n += ones
	}
	return netip.PrefixFrom(a, n).Masked(), ok
}

func prefix(v []byte) (netip.Prefix, bool) {
	a, ok := netip.AddrFromSlice(v[:16])
	if !ok || v[16] > 128 {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(a, int(v[16])).Masked(), true
}

// ports reads one port or two. Port 0 alone, which nobody has, matches nothing
// else: the zero PortRange is all ports.
func ports(v []byte) (PortRange, bool) {
	r := PortRange{Lo: binary.BigEndian.Uint16(v)}
	r.Hi = r.Lo
	if len(v) == 4 {
		r.Hi = binary.BigEndian.Uint16(v[2:])
	}
	return r, r.Lo <= r.Hi && r != PortRange{}
}
