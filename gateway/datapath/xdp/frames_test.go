//go:build linux

package xdp

import (
	"encoding/binary"
	"net/netip"
)

// Frames as they come from towers and the packet network.

func ethernet(kind uint16, payload []byte) []byte {
	f := append([]byte{}, ourMAC...)
	f = append(f, theirMAC...)
	f = binary.BigEndian.AppendUint16(f, kind)
	return append(f, payload...)
}

func frame(ip []byte) []byte {
	if ip[0]>>4 == 4 {
		return ethernet(0x0800, ip)
	}
	return ethernet(0x86dd, ip)
}

func sum16(b []byte) (sum uint32) {
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	return sum
}

func folded(sum uint32) uint16 {
	for sum>>16 != 0 {
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}

// packet makes an IP packet with a payload; change may spoil its header before
// the checksum is made.
func packet(src, dst netip.Addr, protocol uint8, payload []byte, change func(h []byte)) []byte {
	var h []byte
	if src.Is4() {
		h = make([]byte, 20)
		h[0], h[8], h[9] = 0x45, 64, protocol
		binary.BigEndian.PutUint16(h[2:], uint16(20+len(payload)))
		copy(h[12:], src.AsSlice())
		copy(h[16:], dst.AsSlice())
	} else {
		h = make([]byte, 40)
		h[0], h[6], h[7] = 0x60, protocol, 64
		binary.BigEndian.PutUint16(h[4:], uint16(len(payload)))
		copy(h[8:], src.AsSlice())
		copy(h[24:], dst.AsSlice())
	}
	if change != nil {
		change(h)
	}
	if src.Is4() {
		binary.BigEndian.PutUint16(h[10:], ^folded(sum16(h)))
	}
	return append(h, payload...)
}

// datagram is a UDP payload of an IP packet; n octets of data.
func datagram(sport, dport uint16, data []byte) []byte {
	u := binary.BigEndian.AppendUint16(nil, sport)
	u = binary.BigEndian.AppendUint16(u, dport)
	u = binary.BigEndian.AppendUint16(u, uint16(8+len(data)))
	u = binary.BigEndian.AppendUint16(u, 0)
	return append(u, data...)
}

// segment is TCP without data.
func segment(sport, dport uint16, flags byte) []byte {
	s := make([]byte, 20)
	binary.BigEndian.PutUint16(s, sport)
	binary.BigEndian.PutUint16(s[2:], dport)
	s[12], s[13] = 5<<4, flags
	return s
}

// data of n octets that are not all the same.
func data(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8)
	}
	return b
}

// tunnelled puts a GTP-U message into the outer headers a tower sends: IPv6 has a UDP
// checksum.
func tunnelled(from, to netip.Addr, gtp []byte, change func(h []byte)) []byte {
	ip := packet(from, to, 17, datagram(2152, 2152, gtp), change)
	if from.Is6() {
		c := ^folded(sum16(ip[8:40]) + 17 + uint32(len(ip)-40) + sum16(ip[40:]))
		if c == 0 {
			c = 0xffff
		}
		binary.BigEndian.PutUint16(ip[46:], c)
	}
	return ip
}

func udp4(n int) []byte { return packet(phone4, server4, 17, datagram(4000, 53, data(n-28)), nil) }
func udp6(n int) []byte { return packet(phone6, server6, 17, datagram(4000, 53, data(n-48)), nil) }
func down4(n int) []byte {
	return packet(server4, phone4, 17, datagram(53, 4000, data(n-28)), nil)
}
func down6(n int) []byte {
	return packet(server6, phone6, 17, datagram(53, 4000, data(n-48)), nil)
}

func netipMust(s string) netip.Addr { return netip.MustParseAddr(s) }
