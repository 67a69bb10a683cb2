package datapath_test

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"campanile.network/3gpp/eps"
	"campanile.network/gateway/datapath"
	"campanile.network/gateway/datapath/dptest"
)

// packetSeeds are packets of all kinds that are looked into.
func packetSeeds() (all [][]byte) {
	first4, later4 := dptest.Fragments(dptest.Datagram(web4, ue4, 500), 9, 256)
	first6, later6 := dptest.Fragments(dptest.Datagram(web6, ue6, 500), 9, 256)
	options := append([]byte{17, 0, 1, 4, 0, 0, 0, 0}, dptest.Datagram(web6, ue6, 20)[40:]...)
	ah := append([]byte{6, 4, 0, 0, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, dptest.Segment(web6, ue6, 2)[40:]...)
	return [][]byte{dptest.Datagram(web4, ue4, 20), append(dptest.Datagram(web4, ue4, 0), 1, 2, 3), dptest.Segment(web6, ue6, 2), first4, later4, first6, later6,
		dptest.Unreachable(web4.Addr(), dptest.Datagram(ue4, web4, 20)), dptest.Unreachable(web6.Addr(), dptest.Datagram(ue6, web6, 20)), dptest.Unreachable(web6.Addr(), first6),
		dptest.IP(web6.Addr(), ue6.Addr(), 60, options), dptest.IP(web6.Addr(), ue6.Addr(), 51, ah), dptest.IP(web4.Addr(), ue4.Addr(), 50, []byte{1, 2, 3, 4, 0, 0, 0, 1}),
		dptest.IP(ue4.Addr(), web4.Addr(), 1, []byte{8, 0, 0, 0, 0x12, 0x34, 0, 1}), dptest.IP(web6.Addr(), ue6.Addr(), 0, []byte{60, 0, 1, 4, 0, 0, 0, 0, 43, 0, 1, 4, 0, 0, 0, 0, 59, 200, 0, 0, 0, 0, 0, 0})}
}

// FuzzParsePacket: any octets give an error or a packet that lies within them,
// whose fields are where the standards have them; what is behind it changes
// nothing, and a packet that an error quotes whole reads as it does alone.
func FuzzParsePacket(f *testing.F) {
	for _, b := range packetSeeds() {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		was := bytes.Clone(b)
		p, err := datapath.ParsePacket(b)
		if !bytes.Equal(b, was) {
			t.Fatal("the packet was changed")
		}
		if err != nil {
			return
		}
		if p.Size > len(b) || p.Size < 20 || p.Transport < 20 || p.Transport > p.Size || !p.Src.IsValid() || p.Src.Is4() != p.Dst.Is4() || p.Later && !p.Fragment || p.Later && p.HasPorts() {
			t.Fatalf("%+v of %d octets", p, len(b))
		}
		if q, err := datapath.ParsePacket(append(bytes.Clone(b[:p.Size]), 0xff, 0xff, 0xff, 0xff)); err != nil || q != p {
			t.Fatalf("with something behind it: %+v, %v\nalone %+v", q, err, p)
		}
		if p.HasPorts() && (p.SrcPort != binary.BigEndian.Uint16(b[p.Transport:]) || p.DstPort != binary.BigEndian.Uint16(b[p.Transport+2:])) {
			t.Fatalf("%+v: ports are others", p)
		}
		if p.Src.Is4() && (p.Transport != int(b[0]&15)*4 || p.Protocol != b[9] || p.TOS != b[1]) || p.Src.Is6() && (p.FlowLabel > 0xfffff || !p.DontFragment) {
			t.Fatalf("%+v of %x", p, b[:20])
		}
		q, ok := p.Quoted(b)
		if !ok {
			return
		}
		if !p.Error() || q.Src.Is4() != p.Src.Is4() {
			t.Fatalf("%+v quotes %+v", p, q)
		}
		if whole, err := datapath.ParsePacket(b[p.Transport+8 : p.Size]); err == nil && whole.Size == p.Size-p.Transport-8 && whole != q {
			t.Fatalf("quoted %+v\nwhole  %+v", q, whole)
		}
	})
}

// matches says, component by component and octet by octet, what a packet filter
// says of a packet (TS 24.008 §10.5.6.12).
func matches(e *eps.PacketFilter, p *datapath.Packet, d datapath.Direction) bool {
	if d == datapath.Uplink && e.Direction == eps.FilterDownlink || d == datapath.Downlink && e.Direction == eps.FilterUplink {
		return false
	}
	remote, local, rport, lport := p.Src, p.Dst, p.SrcPort, p.DstPort
	if d == datapath.Uplink {
		remote, local, rport, lport = local, remote, lport, rport
	}
	in := func(a netip.Addr, net, mask []byte) bool {
		o := a.AsSlice()
		if len(o) != len(net) {
			return false
		}
		for i := range o {
			if (o[i]^net[i])&mask[i] != 0 {
				return false
			}
		}
		return true
	}
	ones := func(n byte) []byte {
		m := make([]byte, 16)
		for i := range int(n) {
			m[i/8] |= 0x80 >> (i % 8)
		}
		return m
	}
	port := func(v []byte, port uint16) bool {
		lo := binary.BigEndian.Uint16(v)
		return p.HasPorts() && port >= lo && port <= binary.BigEndian.Uint16(v[len(v)-2:])
	}
	ok := true
	for kind, v := range e.Components.All() {
		switch kind {
		case eps.FilterIPv4Remote, eps.FilterIPv6Remote:
			ok = ok && in(remote, v[:len(v)/2], v[len(v)/2:])
		case eps.FilterIPv4Local:
			ok = ok && in(local, v[:4], v[4:])
		case eps.FilterIPv6RemotePrefix:
			ok = ok && in(remote, v[:16], ones(v[16]))
		case eps.FilterIPv6LocalPrefix:
			ok = ok && in(local, v[:16], ones(v[16]))
		case eps.FilterProtocol:
			ok = ok && p.Protocol == v[0]
		case eps.FilterLocalPort, eps.FilterLocalPortRange:
			ok = ok && port(v, lport)
		case eps.FilterRemotePort, eps.FilterRemotePortRange:
			ok = ok && port(v, rport)
		case eps.FilterSecurityParameter:
			ok = ok && !p.Later && p.SPI == binary.BigEndian.Uint32(v)
		case eps.FilterTypeOfService:
			ok = ok && (p.TOS^v[0])&v[1] == 0
		case eps.FilterFlowLabel:
			ok = ok && p.Src.Is6() && p.FlowLabel == uint32(v[0]&15)<<16|uint32(v[1])<<8|uint32(v[2])
		}
	}
	return ok
}

// FuzzFilterOf: any components give an error, or a filter that says of any packet
// what its components do.
func FuzzFilterOf(f *testing.F) {
	var none eps.FilterComponents
	packets := packetSeeds()
	for i, c := range []eps.FilterComponents{none, none.With(eps.FilterProtocol, 17), none.With(eps.FilterIPv4Remote, 93, 184, 216, 34, 255, 255, 0, 0), none.With(eps.FilterIPv4Local, 10, 45, 0, 2, 255, 255, 255, 255),
		none.With(eps.FilterIPv6RemotePrefix, append(web6.Addr().AsSlice(), 33)...), none.With(eps.FilterIPv6LocalPrefix, append(ue6.Addr().AsSlice(), 64)...), none.With(eps.FilterRemotePort, 1, 0xbb),
		none.With(eps.FilterRemotePortRange, 0, 0, 0xff, 0xff), none.With(eps.FilterLocalPortRange, 0x0f, 0, 0x0f, 0xff).With(eps.FilterProtocol, 6), none.With(eps.FilterSecurityParameter, 1, 2, 3, 4),
		none.With(eps.FilterTypeOfService, 0xb8, 0xfc), none.With(eps.FilterFlowLabel, 0, 0, 0), none.With(eps.FilterSourceMAC, 1, 2, 3, 4, 5, 6), none.With(eps.FilterIPv4Remote, 1, 2, 3, 4, 255, 0, 255, 0)} {
		for n := range 3 {
			f.Add(uint8(n+1), []byte(c), packets[(i*3+n)%len(packets)])
		}
		f.Add(uint8(3), []byte(c), packets[0])
		f.Add(uint8(3), []byte(c), packets[2])
	}
	f.Fuzz(func(t *testing.T, direction uint8, b, packet []byte) {
		e := eps.PacketFilter{Direction: direction & 3, Components: b}
		x, err := datapath.FilterOf(e)
		if err != nil {
			return
		}
		if x.RemotePorts.Lo > x.RemotePorts.Hi || x.LocalPorts.Lo > x.LocalPorts.Hi {
			t.Fatalf("%+v", x)
		}
		same := map[uint8]uint8{eps.FilterIPv6Remote: eps.FilterIPv4Remote, eps.FilterIPv6RemotePrefix: eps.FilterIPv4Remote, eps.FilterIPv6LocalPrefix: eps.FilterIPv4Local,
			eps.FilterLocalPortRange: eps.FilterLocalPort, eps.FilterRemotePortRange: eps.FilterRemotePort}
		seen := map[uint8]bool{}
		for kind := range e.Components.All() {
			if one, ok := same[kind]; ok {
				kind = one
			}
			if seen[kind] { // a UE says nothing twice; of two the second counts
				return
			}
			seen[kind] = true
		}
		p, err := datapath.ParsePacket(packet)
		if err != nil {
			return
		}
		for _, d := range []datapath.Direction{datapath.Uplink, datapath.Downlink} {
			if got, want := x.Match(&p, d), matches(&e, &p, d); got != want {
				t.Fatalf("%v %+v of %+v: %v, want %v", d, x, p, got, want)
			}
		}
	})
}
