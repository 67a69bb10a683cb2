package capture

import (
	"encoding/binary"
	"net/netip"
)

// IP protocols.
const (
	UDP  = 17
	SCTP = 132
)

// Datagram is what one host sent another on IP: the payload of UDP, or an SCTP
// packet.
type Datagram struct {
	Protocol uint8          // UDP or SCTP; 0: a message that was recorded alone, without addresses
	Src, Dst netip.AddrPort // ports of UDP, or of SCTP
	Payload  []byte         // of SCTP with its header
	Cut      int            // octets that the capture left out at the end
	Name     string         // of a message alone: what the capture calls its protocol, if it does
}

// Network takes frames apart. It holds fragments of IP packets between them.
type Network struct{ fragments fragments }

// Open takes a frame apart; ok is false when it holds nothing of UDP or SCTP,
// or a fragment whose packet is not whole yet. The payload is a part of p.Data
// or its own.
func (n *Network) Open(p Packet) (d Datagram, ok bool) {
	cut := p.Length - len(p.Data)
	b, kind := p.Data, uint16(0)
	switch l := p.Link; {
	case l == LinkEthernet:
		b, kind = etherType(b, 12)
	case l == LinkSLL:
		b, kind = etherType(b, 14)
	case l == LinkSLL2:
		if len(b) < 20 {
			return d, false
		}
		kind = binary.BigEndian.Uint16(b)
		if b = b[20:]; isVLAN(kind) {
			b, kind = etherType(b, 2)
		}
	case (l == LinkNull || l == LinkLoop) && len(b) > 4:
		b = b[4:]
	case l == LinkRaw || l == LinkRawBSD || l == LinkRawOBSD || l == LinkIPv4 || l == LinkIPv6:
	case l >= LinkUser0 && l <= LinkUser15:
		return Datagram{Payload: b, Cut: cut}, len(b) > 0
	case l == LinkUpperPDU:
		return upperPDU(b, cut)
	default:
		return d, false
	}
	if len(b) == 0 || kind != 0 && kind != 0x0800 && kind != 0x86dd {
		return d, false
	}
	switch b[0] >> 4 {
	case 4:
		return n.ipv4(b, cut)
	case 6:
		return n.ipv6(b, cut)
	}
	return d, false
}

func isVLAN(kind uint16) bool { return kind == 0x8100 || kind == 0x88a8 || kind == 0x9100 }

// etherType reads the type at an offset, and VLAN tags behind it.
func etherType(b []byte, at int) (rest []byte, kind uint16) {
	for {
		if len(b) < at+2 {
			return nil, 0
		}
		kind, b = binary.BigEndian.Uint16(b[at:]), b[at+2:]
		if !isVLAN(kind) {
			return b, kind
		}
		at = 2
	}
}

// upperPDU reads Wireshark's exported PDU: tags of type, length and value, and
// the message behind them.
func upperPDU(b []byte, cut int) (d Datagram, ok bool) {
	for len(b) >= 4 {
		tag, n := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
		if b = b[4:]; n > len(b) {
			return d, false
		}
		v := b[:n]
		b = b[n:]
		switch {
		case tag == 0:
			d.Payload, d.Cut = b, cut
			return d, len(b) > 0
		case tag == 12 || tag == 13 && d.Name == "": // the dissector's name, or its table's
			for len(v) > 0 && v[len(v)-1] == 0 {
				v = v[:len(v)-1]
			}
			d.Name = string(v)
		}
	}
	return d, false
}

func (n *Network) ipv4(b []byte, cut int) (d Datagram, ok bool) {
	if len(b) < 20 {
		return d, false
	}
	head, total := int(b[0]&15)*4, int(binary.BigEndian.Uint16(b[2:]))
	if head < 20 || len(b) < head {
		return d, false
	}
	b, cut = trim(b, total, cut)
	if len(b) < head {
		return d, false
	}
	src, dst := netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
	frag := binary.BigEndian.Uint16(b[6:])
	payload := b[head:]
	if frag&0x3fff != 0 && (frag&0x1fff != 0 || cut == 0) { // a first fragment that was cut is all there will be
		k := packetID{src, dst, b[9], uint32(binary.BigEndian.Uint16(b[4:]))}
		if payload = n.fragments.add(k, int(frag&0x1fff)*8, frag&0x2000 != 0, payload, cut); payload == nil {
			return d, false
		}
		cut = 0
	}
	return transport(b[9], src, dst, payload, cut)
}

// trim takes the padding of the link behind a packet of total octets away, or
// says how much of the packet is missing.
func trim(b []byte, total, cut int) ([]byte, int) {
	switch {
	case total == 0: // left to the network card
		return b, cut
	case total <= len(b):
		return b[:total], 0
	}
	return b, total - len(b)
}

// IPv6 extension headers that may stand before the transport.
const (
	extHopByHop    = 0
	extRouting     = 43
	extFragment    = 44
	extDestination = 60
)

func (n *Network) ipv6(b []byte, cut int) (d Datagram, ok bool) {
	if len(b) < 40 {
		return d, false
	}
	if total := int(binary.BigEndian.Uint16(b[4:])); total > 0 {
		b, cut = trim(b, 40+total, cut)
	}
	src, dst := netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
	next := b[6]
	for b = b[40:]; len(b) >= 8; {
		size := 8 + int(b[1])*8
		switch next {
		case extHopByHop, extRouting, extDestination:
		case extFragment:
			off := binary.BigEndian.Uint16(b[2:])
			k := packetID{src, dst, b[0], binary.BigEndian.Uint32(b[4:])}
			next, b = b[0], b[8:]
			if off&^6 != 0 && (off&^7 != 0 || cut == 0) { // a packet in one fragment has neither offset nor more
				if b = n.fragments.add(k, int(off&^7), off&1 != 0, b, cut); b == nil {
					return d, false
				}
				cut = 0
			}
			continue
		default:
			return transport(next, src, dst, b, cut)
		}
		if size > len(b) {
			return d, false
		}
		next, b = b[0], b[size:]
	}
	return d, false
}

// transport reads ports.
func transport(protocol uint8, src, dst netip.Addr, b []byte, cut int) (d Datagram, ok bool) {
	if len(b) < 8 {
		return d, false
	}
	sport, dport := binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	switch protocol {
	case UDP:
		if size := int(binary.BigEndian.Uint16(b[4:])); size >= 8 {
			b, cut = b[:min(size, len(b))], max(size-len(b), 0)
		}
		b = b[8:]
	case SCTP:
	default:
		return d, false
	}
	return Datagram{Protocol: protocol, Src: netip.AddrPortFrom(src, sport), Dst: netip.AddrPortFrom(dst, dport), Payload: b, Cut: cut}, true
}
