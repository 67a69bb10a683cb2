package userspace

import (
	"encoding/binary"
	"math/bits"
	"net/netip"

	"campanile.network/3gpp/gtpu"
	"campanile.network/gateway/datapath"
)

// hop takes one off a packet's hops, as a router does (RFC 1812 §5.3.1, RFC 8200
// §3); false when none would be left.
func hop(b []byte) bool {
	if b[0]>>4 == 6 {
		if b[7] <= 1 {
			return false
		}
		b[7]--
		return true
	}
	if b[8] <= 1 {
		return false
	}
	b[8]--
	sum := uint32(^binary.BigEndian.Uint16(b[10:])) + 0xfeff // RFC 1624
	sum = sum>>16 + sum&0xffff
	binary.BigEndian.PutUint16(b[10:], ^uint16(sum>>16+sum&0xffff))
	return true
}

// checksum adds octets to a ones' complement sum (RFC 1071): eight at a time, in the
// other order, for which such a sum does not care.
func checksum(sum uint32, b []byte) uint32 {
	var all, carry uint64
	for ; len(b) >= 32; b = b[32:] {
		all, carry = bits.Add64(all, binary.LittleEndian.Uint64(b), carry)
		all, carry = bits.Add64(all, binary.LittleEndian.Uint64(b[8:]), carry)
		all, carry = bits.Add64(all, binary.LittleEndian.Uint64(b[16:]), carry)
		all, carry = bits.Add64(all, binary.LittleEndian.Uint64(b[24:]), carry)
	}
	for ; len(b) >= 8; b = b[8:] {
		all, carry = bits.Add64(all, binary.LittleEndian.Uint64(b), carry)
	}
	var rest [8]byte
	copy(rest[:], b)
	all, carry = bits.Add64(all, binary.LittleEndian.Uint64(rest[:]), carry)
	all = all>>32 + all&0xffffffff + carry
	return sum + uint32(bits.ReverseBytes16(^fold(uint32(all>>32)+uint32(all&0xffff)+uint32(all>>16&0xffff))))
}

func fold(sum uint32) uint16 {
	for sum>>16 != 0 {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// appendIPv4 appends an IPv4 packet.
func appendIPv4(dst []byte, from, to netip.Addr, protocol, hops uint8, payload []byte) []byte {
	at := len(dst)
	dst = append(dst, 0x45, 0, 0, 0, 0, 0, 0, 0, hops, protocol, 0, 0)
	binary.BigEndian.PutUint16(dst[at+2:], uint16(20+len(payload)))
	dst = append(append(dst, from.AsSlice()...), to.AsSlice()...)
	binary.BigEndian.PutUint16(dst[at+10:], fold(checksum(0, dst[at:])))
	return append(dst, payload...)
}

// appendICMPv6 appends an ICMPv6 packet; its checksum is filled in.
func appendICMPv6(dst []byte, from, to netip.Addr, hops uint8, message []byte) []byte {
	at := len(dst)
	dst = append(dst, 0x60, 0, 0, 0, 0, 0, datapath.ProtoICMPv6, hops)
	binary.BigEndian.PutUint16(dst[at+4:], uint16(len(message)))
	dst = append(append(append(dst, from.AsSlice()...), to.AsSlice()...), message...)
	sum := checksum(uint32(len(message))+datapath.ProtoICMPv6, dst[at+8:])
	binary.BigEndian.PutUint16(dst[at+42:], fold(sum))
	return dst
}

// icmpError makes an ICMP error about a packet (RFC 792, RFC 4443 §3), or
// nothing: about ICMP errors, later fragments and packets that are not of one to
// one there is none (RFC 1122 §3.2.2, RFC 4443 §2.4). types are those of ICMP and
// ICMPv6, type before code; rest is the word behind the checksum.
func (p *Path) icmpError(pkt *datapath.Packet, b []byte, v4, v6 [2]byte, rest uint32) []byte {
	if pkt.Error() || pkt.Later || pkt.Dst.IsMulticast() || !pkt.Src.IsGlobalUnicast() || !p.icmps.ok() {
		return nil
	}
	m := make([]byte, 8, 576)
	binary.BigEndian.PutUint32(m[4:], rest)
	if pkt.Src.Is6() {
		from := p.o.Router6
		if !from.IsValid() && p.byAddress(pkt.Src) != nil {
			from = routerLocal
		}
		if !from.IsValid() {
			return nil
		}
		m[0], m[1] = v6[0], v6[1]
		m = append(m, b[:min(len(b), 1280-48)]...)
		return appendICMPv6(make([]byte, gtpu.HeaderLen), from, pkt.Src, 64, m)
	}
	if !p.o.Router.Is4() {
		return nil
	}
	m[0], m[1] = v4[0], v4[1]
	m = append(m, b[:min(len(b), 576-28)]...)
	binary.BigEndian.PutUint16(m[2:], fold(checksum(0, m)))
	return appendIPv4(make([]byte, gtpu.HeaderLen), p.o.Router, pkt.Src, datapath.ProtoICMP, 64, m)
}

// expired tells a phone that its packet has used up its hops.
func (w *lane) expired(b *bearer, pkt *datapath.Packet, packet []byte) {
	w.toPhone(b, w.p.icmpError(pkt, packet, [2]byte{11, 0}, [2]byte{3, 0}, 0))
}

// tooBig tells the sender of a packet what is the most the tunnel takes
// (RFC 1191 §4, RFC 8201 §4).
func (w *lane) tooBig(pkt *datapath.Packet, packet []byte) {
	p := w.p
	frame := p.icmpError(pkt, packet, [2]byte{3, 4}, [2]byte{2, 0}, uint32(p.o.MTU))
	if frame == nil {
		return
	}
	if p.byAddress(pkt.Src) != nil {
		w.downlink(frame, false)
		return
	}
	w.port.WritePacket(frame[gtpu.HeaderLen:])
}

// toPhone sends a packet of the router's own to a phone on its default bearer.
func (w *lane) toPhone(b *bearer, frame []byte) {
	if frame == nil {
		return
	}
	if def := b.sess.plan.Load().def; def != nil {
		b = def
	}
	d := down{frame: frame, load: load{n: uint64(len(frame) - gtpu.HeaderLen)}}
	pkt, err := datapath.ParsePacket(frame[gtpu.HeaderLen:])
	if err != nil {
		return
	}
	w.deliver(b, &d, &pkt, w.p.tab.Now())
}
