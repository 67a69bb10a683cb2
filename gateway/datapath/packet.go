package datapath

import (
	"encoding/binary"
	"net/netip"

	"campanile.network/3gpp/gtpu"
)

// Protocols of IP that have ports or are looked into.
const (
	ProtoICMP    = 1
	ProtoTCP     = 6
	ProtoUDP     = 17
	ProtoESP     = 50
	ProtoAH      = 51
	ProtoICMPv6  = 58
	ProtoDCCP    = 33
	ProtoSCTP    = 132
	ProtoUDPLite = 136
)

// Packet is what filters and flows look at in an IP packet.
type Packet struct {
	Src, Dst netip.Addr
	Protocol uint8 // of IPv6 behind the extension headers
	TOS      uint8 // type of service, or traffic class
	Hops     uint8 // time to live, or hop limit
	TCPFlags uint8
	// ICMPType is set for ICMP and ICMPv6.
	ICMPType uint8
	// DontFragment as IPv4 says it; IPv6 always.
	DontFragment bool
	// Fragment says that it is one; Later that it is not the first, which has no ports.
	Fragment, Later  bool
	SrcPort, DstPort uint16 // of an ICMP echo both are its identifier
	FlowLabel        uint32
	SPI              uint32
	FragmentID       uint32
	Size             int // octets by its own header
	Transport        int // offset of the transport header, Size if there is none
}

// MaxExtensionHeaders bounds those of an IPv6 packet that are looked through;
// behind more, the protocol is that of the last one.
const MaxExtensionHeaders = 8

// ParsePacket reads the headers of a whole IPv4 or IPv6 packet; octets behind it
// are padding. It fails with gtpu.ErrInner and does not allocate otherwise. A
// transport header that is cut off leaves ports at 0.
func ParsePacket(b []byte) (p Packet, err error) {
	n, err := gtpu.InnerLen(b)
	if err != nil {
		return p, err
	}
	p.Size, b = n, b[:n]
	if b[0]>>4 == 4 {
		p.v4(b)
	} else {
		p.v6(b)
	}
	if !p.Later {
		p.transport(b)
	}
	return p, nil
}

func (p *Packet) v4(b []byte) {
	p.Src, p.Dst = netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
	p.TOS, p.Hops, p.Protocol = b[1], b[8], b[9]
	frag := binary.BigEndian.Uint16(b[6:])
	p.DontFragment, p.Later = frag&0x4000 != 0, frag&0x1fff != 0
	p.Fragment, p.FragmentID = p.Later || frag&0x2000 != 0, uint32(binary.BigEndian.Uint16(b[4:]))
	p.Transport = int(b[0]&15) * 4
}

func (p *Packet) v6(b []byte) {
	p.Src, p.Dst = netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
	head := binary.BigEndian.Uint32(b)
	p.TOS, p.FlowLabel, p.Hops, p.DontFragment = byte(head>>20), head&0xfffff, b[7], true
	p.Protocol, p.Transport = b[6], 40
	for range MaxExtensionHeaders {
		o := b[p.Transport:]
		size := 8
		switch p.Protocol {
		case 0, 43, 60, 135: // hop-by-hop, routing, destination options, mobility
			if len(o) >= 8 {
				size = 8 * (int(o[1]) + 1)
			}
		case ProtoAH:
			if len(o) >= 8 {
				size = 4 * (int(o[1]) + 2)
				p.SPI = binary.BigEndian.Uint32(o[4:])
			}
		case 44: // fragment
			if len(o) >= 8 {
				f := binary.BigEndian.Uint16(o[2:])
				p.Later = f&0xfff8 != 0
				p.Fragment, p.FragmentID = p.Later || f&1 != 0, binary.BigEndian.Uint32(o[4:])
			}
		default:
			return
		}
		if len(o) < size || size == 0 {
			p.Transport = len(b)
			return
		}
		p.Protocol, p.Transport = o[0], p.Transport+size
		if p.Later {
			return
		}
	}
}

func (p *Packet) transport(b []byte) {
	o := b[min(p.Transport, len(b)):]
	switch p.Protocol {
	case ProtoTCP, ProtoUDP, ProtoSCTP, ProtoDCCP, ProtoUDPLite:
		if len(o) >= 4 {
			p.SrcPort, p.DstPort = binary.BigEndian.Uint16(o), binary.BigEndian.Uint16(o[2:])
		}
		if p.Protocol == ProtoTCP && len(o) >= 14 {
			p.TCPFlags = o[13]
		}
	case ProtoICMP, ProtoICMPv6:
		if len(o) == 0 {
			return
		}
		p.ICMPType = o[0]
		if p.echo() && len(o) >= 8 {
			p.SrcPort = binary.BigEndian.Uint16(o[4:])
			p.DstPort = p.SrcPort
		}
	case ProtoESP:
		if len(o) >= 4 {
			p.SPI = binary.BigEndian.Uint32(o)
		}
	case ProtoAH: // IPv4
		if len(o) >= 8 {
			p.SPI = binary.BigEndian.Uint32(o[4:])
		}
	}
}

func (p *Packet) echo() bool {
	if p.Protocol == ProtoICMP {
		return p.ICMPType == 0 || p.ICMPType == 8
	}
	return p.ICMPType == 128 || p.ICMPType == 129
}

// Error says that the packet is an ICMP error, which carries the beginning of
// another packet (RFC 792, RFC 4443 §2.1).
func (p *Packet) Error() bool {
	switch {
	case p.Later || p.Transport >= p.Size:
		return false
	case p.Protocol == ProtoICMP:
		return p.ICMPType == 3 || p.ICMPType == 4 || p.ICMPType == 5 || p.ICMPType == 11 || p.ICMPType == 12
	}
	return p.Protocol == ProtoICMPv6 && p.ICMPType < 128
}

// Quoted reads the packet an ICMP error carries the beginning of; b is the error.
// Its Size is what its own header says.
func (p *Packet) Quoted(b []byte) (q Packet, ok bool) {
	if !p.Error() || p.Size > len(b) || p.Size < p.Transport+8+20 {
		return q, false
	}
	o := b[p.Transport+8 : p.Size]
	switch {
	case o[0]>>4 == 4 && p.Protocol == ProtoICMP && len(o) >= int(o[0]&15)*4 && o[0]&15 >= 5:
		q.Size = int(binary.BigEndian.Uint16(o[2:]))
		q.v4(o)
	case o[0]>>4 == 6 && p.Protocol == ProtoICMPv6 && len(o) >= 40:
		q.Size = 40 + int(binary.BigEndian.Uint16(o[4:]))
		q.v6(o)
	default:
		return q, false
	}
	if !q.Later {
		q.transport(o)
	}
	return q, true
}
