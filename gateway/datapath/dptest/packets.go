package dptest

import (
	"encoding/binary"
	"net/netip"
)

func sum16(b []byte) (sum uint32) {
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum>>16 != 0 {
		sum = sum>>16 + sum&0xffff
	}
	return sum
}

// IP makes an IPv4 or IPv6 packet, by its addresses, around a payload.
func IP(src, dst netip.Addr, protocol uint8, payload []byte) []byte {
	if src.Is6() {
		b := make([]byte, 40, 40+len(payload))
		b[0], b[6], b[7] = 0x60, protocol, 64
		binary.BigEndian.PutUint16(b[4:], uint16(len(payload)))
		copy(b[8:], src.AsSlice())
		copy(b[24:], dst.AsSlice())
		return append(b, payload...)
	}
	b := make([]byte, 20, 20+len(payload))
	b[0], b[8], b[9] = 0x45, 64, protocol
	binary.BigEndian.PutUint16(b[2:], uint16(20+len(payload)))
	copy(b[12:], src.AsSlice())
	copy(b[16:], dst.AsSlice())
	binary.BigEndian.PutUint16(b[10:], ^uint16(sum16(b)))
	return append(b, payload...)
}

// Datagram makes a UDP datagram of n octets of payload, without checksum.
func Datagram(src, dst netip.AddrPort, n int) []byte {
	b := make([]byte, 8+n)
	binary.BigEndian.PutUint16(b, src.Port())
	binary.BigEndian.PutUint16(b[2:], dst.Port())
	binary.BigEndian.PutUint16(b[4:], uint16(8+n))
	return IP(src.Addr(), dst.Addr(), 17, b)
}

// Segment makes a TCP segment without payload or checksum.
func Segment(src, dst netip.AddrPort, flags uint8) []byte {
	b := make([]byte, 20)
	binary.BigEndian.PutUint16(b, src.Port())
	binary.BigEndian.PutUint16(b[2:], dst.Port())
	b[12], b[13] = 5<<4, flags
	return IP(src.Addr(), dst.Addr(), 6, b)
}

// Packet makes an IP packet of size octets, of the addresses' version: at least a
// header; with 8 more it is a UDP datagram without checksum.
func Packet(src, dst netip.Addr, size int) []byte {
	head := 20
	if src.Is6() {
		head = 40
	}
	if size < head+8 {
		return IP(src, dst, 17, make([]byte, size-head))
	}
	return Datagram(netip.AddrPortFrom(src, 12345), netip.AddrPortFrom(dst, 9), size-head-8)
}

// Fragments cuts a packet's payload in two after at octets, a multiple of 8.
func Fragments(b []byte, id uint16, at int) (first, later []byte) {
	if b[0]>>4 == 6 {
		cut := func(off uint16, more byte, part []byte) []byte {
			head := []byte{b[6], 0, byte(off >> 8), byte(off) | more, 0, 0, byte(id >> 8), byte(id)}
			src, _ := netip.AddrFromSlice(b[8:24])
			dst, _ := netip.AddrFromSlice(b[24:40])
			return IP(src, dst, 44, append(head, part...))
		}
		return cut(0, 1, b[40:40+at]), cut(uint16(at), 0, b[40+at:])
	}
	cut := func(off uint16, part []byte) []byte {
		p := append(append([]byte(nil), b[:20]...), part...)
		binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
		binary.BigEndian.PutUint16(p[4:], id)
		binary.BigEndian.PutUint16(p[6:], off)
		binary.BigEndian.PutUint16(p[10:], 0)
		binary.BigEndian.PutUint16(p[10:], ^uint16(sum16(p[:20])))
		return p
	}
	return cut(0x2000, b[20:20+at]), cut(uint16(at/8), b[20+at:])
}

// Unreachable makes an ICMP or ICMPv6 error, port unreachable, about a packet.
func Unreachable(from netip.Addr, about []byte) []byte {
	if about[0]>>4 == 6 {
		to, _ := netip.AddrFromSlice(about[8:24])
		return IP(from, to, 58, append([]byte{1, 4, 0, 0, 0, 0, 0, 0}, about...))
	}
	to, _ := netip.AddrFromSlice(about[12:16])
	return IP(from, to, 1, append([]byte{3, 3, 0, 0, 0, 0, 0, 0}, about[:28]...))
}
