package dptest

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"campanile.network/3gpp/gtpu"
	"campanile.network/gateway/datapath"
)

func setup6(t *testing.T, r *Rig) *fixture {
	t.Helper()
	return setupSession(t, r, datapath.Session{IPv6: net6, Open: true})
}

func exact6(t *testing.T, r *Rig) { exactly(t, setup6(t, r), 48) }

func dual(t *testing.T, r *Rig) {
	f := setupSession(t, r, datapath.Session{IPv4: ue1, IPv6: net6, Open: true})
	f.ul(100)
	f.up(Packet(ue6, server6, 200))
	f.dl(300)
	f.down(Packet(server6, ue6, 400))
	f.down(Packet(server6, net6.Addr().Next(), 500)) // any address of the /64 is the phone's
	if c := f.usage(); c != (datapath.Count{ULOctets: 300, ULPackets: 2, DLOctets: 1200, DLPackets: 3}) {
		t.Errorf("%+v", c)
	}
	f.up(Packet(netip.MustParseAddr("2001:db8:45:3::1"), server6, 100))
	f.dropped(datapath.ULSpoofed, 1)
}

func outer6(t *testing.T, r *Rig) {
	if !r.Local6.IsValid() {
		t.Skip("the rig has no GTP-U address of IPv6")
	}
	f := setup(t, r)
	f.update(datapath.Tunnel{Peer: TowerC, TEID: 0x66})
	f.TowerGot(TowerA) // the end marker
	f.TowerSend(TowerC, gtpu.AppendGPDU(nil, f.b.TEID, Packet(ue1, server, 100)))
	f.dl(200)
	if sizes, _ := f.payloads(TowerC, 0x66); len(sizes) != 1 || sizes[0] != 200 {
		t.Errorf("tower got %v", sizes)
	}
	if c := f.usage(); c != (datapath.Count{ULOctets: 100, ULPackets: 1, DLOctets: 200, DLPackets: 1}) {
		t.Errorf("%+v", c)
	}
	f.TowerSend(TowerC, gtpu.AppendGPDU(nil, 0xdead, Packet(ue1, server, 100)))
	f.Settle()
	got := f.TowerGot(TowerC)
	if len(got) != 1 {
		t.Fatalf("%d datagrams", len(got))
	}
	m, err := gtpu.Parse(got[0])
	if teid, at, e := gtpu.ErrorIndicationOf(m); err != nil || e != nil || teid != 0xdead || at != r.Local6 {
		t.Errorf("%v, %v, %v, %v", teid, at, err, e)
	}
}

// solicitation is a router solicitation (RFC 4861 §4.1).
func solicitation(src netip.Addr, hops byte) []byte {
	b := IP(src, netip.MustParseAddr("ff02::2"), 58, []byte{133, 0, 0, 0, 0, 0, 0, 0})
	b[7] = hops
	return b
}

func advertised(t *testing.T, r *Rig) {
	f := setupSession(t, r, datapath.Session{IPv6: net6, Open: true, DNS: []netip.Addr{server6}})
	phone := netip.MustParseAddr("fe80::1:2:3:4")
	f.up(solicitation(phone, 255))
	got := f.towerPackets(TowerA)[enbTEID]
	if len(got) != 1 {
		t.Fatalf("%d packets", len(got))
	}
	b := got[0]
	p, err := datapath.ParsePacket(b)
	if err != nil || p.Dst != phone || !p.Src.IsLinkLocalUnicast() || p.Hops != 255 || p.ICMPType != 134 {
		t.Fatalf("%+v, %v", p, err)
	}
	pseudo := append(append([]byte(nil), b[8:40]...), 0, 0, byte((len(b)-40)>>8), byte(len(b)-40), 0, 0, 0, 58)
	if s := sum16(append(pseudo, b[40:]...)); s != 0xffff {
		t.Errorf("checksum: %#x", s)
	}
	var prefix, dns []byte
	var mtu uint32
	for o := b[56:]; len(o) >= 8 && o[1] > 0; o = o[8*int(o[1]):] {
		switch o[0] {
		case 3:
			if o[2] != 64 || o[3] != 0x40 { // autonomous, not on the link (TS 29.061 §11.2.1.3.2)
				t.Errorf("prefix of %d, flags %#x", o[2], o[3])
			}
			prefix = o[16:32]
		case 25:
			dns = o[8:24]
		case 5:
			mtu = binary.BigEndian.Uint32(o[4:])
		}
	}
	if !bytes.Equal(prefix, net6.Addr().AsSlice()) || !bytes.Equal(dns, server6.AsSlice()) || int(mtu) != r.MTU || binary.BigEndian.Uint16(b[46:]) == 0 || b[45]&0x80 != 0 {
		t.Errorf("advertised %x, MTU %d: % x", prefix, mtu, b[40:56])
	}
	if c := f.usage(); c.ULPackets != 1 || c.DLOctets != uint64(len(b)) {
		t.Errorf("%+v", c)
	}
	f.up(solicitation(phone, 64)) // from beyond the link
	if n := len(f.TowerGot(TowerA)); n != 0 || len(f.NetGot()) != 0 {
		t.Errorf("%d answers to a solicitation that has been routed", n)
	}
	f.update(datapath.Tunnel{})
	f.update(datapath.Tunnel{Peer: TowerB, TEID: 0x22})
	if n := len(f.TowerGot(TowerB)); n != 0 {
		t.Errorf("%d advertisements to a phone that has a fresh one", n)
	}
	if r.Virtual {
		r.Wait(7 * 3600e9)
		if n := len(f.TowerGot(TowerB)); n != 1 {
			t.Errorf("%d advertisements in seven hours", n)
		}
	}
}

func linkLocal(t *testing.T, r *Rig) {
	f := setup6(t, r)
	phone := netip.MustParseAddr("fe80::1:2:3:4")
	f.up(IP(netip.IPv6Unspecified(), netip.MustParseAddr("ff02::1:ff03:4"), 58, []byte{135, 0, 0, 0, 0, 0, 0, 0})) // duplicate detection
	f.up(Packet(phone, netip.MustParseAddr("ff02::fb"), 100))
	f.up(Packet(phone, server6, 100))
	f.dropped(datapath.ULSpoofed, 1)
	if up, down := len(f.NetGot()), len(f.TowerGot(TowerA)); up != 0 || down != 0 {
		t.Errorf("%d forwarded, %d answered", up, down)
	}
}
