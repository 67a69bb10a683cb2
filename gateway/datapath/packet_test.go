package datapath_test

import (
	"net/netip"
	"testing"

	"campanile.network/3gpp/eps"
	"campanile.network/gateway/datapath"
	"campanile.network/gateway/datapath/dptest"
)

var (
	ue4, web4 = netip.MustParseAddrPort("10.45.0.2:4000"), netip.MustParseAddrPort("93.184.216.34:443")
	ue6, web6 = netip.MustParseAddrPort("[2001:db8:45:2::5]:4000"), netip.MustParseAddrPort("[2001:500:88:200::8]:443")
)

func TestParsePacket(t *testing.T) {
	first4, later4 := dptest.Fragments(dptest.Datagram(web4, ue4, 500), 9, 256)
	first6, later6 := dptest.Fragments(dptest.Datagram(web6, ue6, 500), 9, 256)
	behind := append([]byte{17, 0, 0, 0, 0, 0, 0, 0}, dptest.Datagram(web6, ue6, 20)[40:]...) // destination options
	for name, c := range map[string]struct {
		b         []byte
		want      datapath.Packet
		transport int
	}{
		"IPv4 UDP":            {append(dptest.Datagram(web4, ue4, 20), 1, 2, 3), datapath.Packet{Src: web4.Addr(), Dst: ue4.Addr(), Protocol: 17, Hops: 64, SrcPort: 443, DstPort: 4000, Size: 48}, 20},
		"IPv4 TCP":            {dptest.Segment(web4, ue4, 0x12), datapath.Packet{Src: web4.Addr(), Dst: ue4.Addr(), Protocol: 6, Hops: 64, SrcPort: 443, DstPort: 4000, TCPFlags: 0x12, Size: 40}, 20},
		"IPv4 echo":           {dptest.IP(ue4.Addr(), web4.Addr(), 1, []byte{8, 0, 0, 0, 0x12, 0x34, 0, 1}), datapath.Packet{Src: ue4.Addr(), Dst: web4.Addr(), Protocol: 1, Hops: 64, ICMPType: 8, SrcPort: 0x1234, DstPort: 0x1234, Size: 28}, 20},
		"IPv4 first fragment": {first4, datapath.Packet{Src: web4.Addr(), Dst: ue4.Addr(), Protocol: 17, Hops: 64, SrcPort: 443, DstPort: 4000, Fragment: true, FragmentID: 9, Size: len(first4)}, 20},
		"IPv4 later fragment": {later4, datapath.Packet{Src: web4.Addr(), Dst: ue4.Addr(), Protocol: 17, Hops: 64, Fragment: true, Later: true, FragmentID: 9, Size: len(later4)}, 20},
		"IPv6 UDP":            {dptest.Datagram(web6, ue6, 20), datapath.Packet{Src: web6.Addr(), Dst: ue6.Addr(), Protocol: 17, Hops: 64, DontFragment: true, SrcPort: 443, DstPort: 4000, Size: 68}, 40},
		"IPv6 options":        {dptest.IP(web6.Addr(), ue6.Addr(), 60, behind), datapath.Packet{Src: web6.Addr(), Dst: ue6.Addr(), Protocol: 17, Hops: 64, DontFragment: true, SrcPort: 443, DstPort: 4000, Size: 76}, 48},
		"IPv6 first fragment": {first6, datapath.Packet{Src: web6.Addr(), Dst: ue6.Addr(), Protocol: 17, Hops: 64, DontFragment: true, SrcPort: 443, DstPort: 4000, Fragment: true, FragmentID: 9, Size: len(first6)}, 48},
		"IPv6 later fragment": {later6, datapath.Packet{Src: web6.Addr(), Dst: ue6.Addr(), Protocol: 17, Hops: 64, DontFragment: true, Fragment: true, Later: true, FragmentID: 9, Size: len(later6)}, 48},
		"IPv6 ESP":            {dptest.IP(web6.Addr(), ue6.Addr(), 50, []byte{1, 2, 3, 4, 0, 0, 0, 1}), datapath.Packet{Src: web6.Addr(), Dst: ue6.Addr(), Protocol: 50, Hops: 64, DontFragment: true, SPI: 0x01020304, Size: 48}, 40},
		"ports cut off":       {dptest.IP(web4.Addr(), ue4.Addr(), 17, []byte{1, 2}), datapath.Packet{Src: web4.Addr(), Dst: ue4.Addr(), Protocol: 17, Hops: 64, Size: 22}, 20},
		"options cut off":     {dptest.IP(web6.Addr(), ue6.Addr(), 60, []byte{17, 9, 0, 0}), datapath.Packet{Src: web6.Addr(), Dst: ue6.Addr(), Protocol: 60, Hops: 64, DontFragment: true, Size: 44}, 44},
	} {
		c.want.Transport = c.transport
		if got, err := datapath.ParsePacket(c.b); err != nil || got != c.want {
			t.Errorf("%s:\n got %+v, %v\nwant %+v", name, got, err, c.want)
		}
	}
}

func TestFilterOf(t *testing.T) {
	var none eps.FilterComponents
	good := none.With(eps.FilterIPv4Remote, 93, 184, 216, 0, 255, 255, 255, 0).With(eps.FilterIPv4Local, 10, 45, 0, 2, 255, 255, 255, 255).
		With(eps.FilterProtocol, 17).With(eps.FilterRemotePortRange, 0x13, 0x8c, 0x13, 0x92).With(eps.FilterLocalPort, 0x0f, 0xa0).With(eps.FilterTypeOfService, 0xb8, 0xfc).
		With(eps.FilterSecurityParameter, 0, 0, 0, 9).With(eps.FilterFlowLabel, 0x1, 0x23, 0x45)
	want := datapath.Filter{Precedence: 7, Up: true, Down: true, Remote: netip.MustParsePrefix("93.184.216.0/24"), Local: netip.MustParsePrefix("10.45.0.2/32"), HasProtocol: true, Protocol: 17,
		RemotePorts: datapath.PortRange{Lo: 5004, Hi: 5010}, LocalPorts: datapath.PortRange{Lo: 4000, Hi: 4000}, TOS: 0xb8, Mask: 0xfc, HasSPI: true, SPI: 9, HasLabel: true, Label: 0x12345}
	if got, err := datapath.FilterOf(eps.PacketFilter{Direction: eps.FilterBidirectional, Precedence: 7, Components: good}); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	prefix := none.With(eps.FilterIPv6RemotePrefix, append(netip.MustParseAddr("2001:db8::").AsSlice(), 32)...)
	if got, err := datapath.FilterOf(eps.PacketFilter{Direction: eps.FilterDownlink, Components: prefix}); err != nil || got.Remote != netip.MustParsePrefix("2001:db8::/32") || got.Up || !got.Down {
		t.Errorf("%+v, %v", got, err)
	}
	for why, bad := range map[string]eps.FilterComponents{
		"unknown":           {0xff},
		"cut off":           {eps.FilterProtocol},
		"holes in the mask": none.With(eps.FilterIPv4Remote, 1, 2, 3, 4, 255, 0, 255, 0),
		"ports backwards":   none.With(eps.FilterLocalPortRange, 0, 9, 0, 8),
		"prefix too long":   none.With(eps.FilterIPv6LocalPrefix, append(make([]byte, 16), 129)...),
		"Ethernet":          none.With(eps.FilterSourceMAC, 1, 2, 3, 4, 5, 6),
	} {
		if got, err := datapath.FilterOf(eps.PacketFilter{Components: bad}); err == nil {
			t.Errorf("%s: %+v", why, got)
		}
	}
}

func TestFilterOfUplink(t *testing.T) {
	f := datapath.Filter{Up: true, Remote: netip.PrefixFrom(web4.Addr(), 32), RemotePorts: datapath.PortRange{Lo: 443, Hi: 443}, LocalPorts: datapath.PortRange{Lo: 4000, Hi: 4000}}
	up, _ := datapath.ParsePacket(dptest.Datagram(ue4, web4, 1))
	down, _ := datapath.ParsePacket(dptest.Datagram(web4, ue4, 1))
	if !f.Match(&up, datapath.Uplink) || f.Match(&down, datapath.Downlink) || f.Match(&down, datapath.Uplink) {
		t.Error("a filter of uplink packets matches those of one remote, and no downlink packet")
	}
}

func BenchmarkParsePacket(b *testing.B) {
	pkt := dptest.Datagram(web6, ue6, 500)
	b.ReportAllocs()
	for b.Loop() {
		datapath.ParsePacket(pkt)
	}
}
