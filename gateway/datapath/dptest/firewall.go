package dptest

import (
	"net/netip"
	"testing"
	"time"

	"campanile.network/gateway/datapath"
)

func closed4(t *testing.T, r *Rig) *fixture {
	t.Helper()
	return setupSession(t, r, datapath.Session{IPv4: ue1})
}

func at(a netip.Addr, port uint16) netip.AddrPort { return netip.AddrPortFrom(a, port) }

func unsolicited(t *testing.T, r *Rig) { unasked(t, closed4(t, r)) }

func unsolicited6(t *testing.T, r *Rig) {
	unasked(t, setupSession(t, r, datapath.Session{IPv6: net6}))
}

// unasked: what nobody asked for is dropped before it is charged, and an answer to
// what was asked passes.
func unasked(t *testing.T, f *fixture) {
	server := f.server()
	for _, b := range [][]byte{
		Datagram(at(server, 53), at(f.ue, 4000), 100),
		Segment(at(server, 80), at(f.ue, 4000), 2),
		Segment(at(server, 80), at(f.ue, 4000), 0x12),
	} {
		f.down(b)
	}
	f.dropped(datapath.DLUnsolicited, 3)
	if c := f.usage(); c != (datapath.Count{}) {
		f.t.Errorf("charged %+v", c)
	}
	f.up(Datagram(at(f.ue, 4000), at(server, 53), 30))
	f.up(Segment(at(f.ue, 4000), at(server, 80), 2))
	f.down(Datagram(at(server, 53), at(f.ue, 4000), 100))
	f.down(Segment(at(server, 80), at(f.ue, 4000), 0x12))
	if sizes, _ := f.payloads(TowerA, enbTEID); len(sizes) != 2 {
		f.t.Errorf("%d answers came, want 2", len(sizes))
	}
	for _, b := range [][]byte{
		Datagram(at(server, 54), at(f.ue, 4000), 100),
		Datagram(at(server, 53), at(f.ue, 4001), 100),
		Datagram(at(server.Next(), 53), at(f.ue, 4000), 100),
		Segment(at(server, 53), at(f.ue, 4000), 2),
	} {
		f.down(b)
	}
	f.dropped(datapath.DLUnsolicited, 7)
	if n := len(f.TowerGot(TowerA)); n != 0 {
		f.t.Errorf("%d packets of others came", n)
	}
	if err := f.Path.UpdateSession(datapath.Session{ID: f.b.Session, Open: true}); err != nil {
		f.t.Error(err)
	}
	f.down(Datagram(at(server, 54), at(f.ue, 4000), 100))
	if n := len(f.TowerGot(TowerA)); n != 1 {
		f.t.Error("an open session does not get what comes")
	}
}

func flowErrors(t *testing.T, r *Rig) {
	f := closed4(t, r)
	router := netip.MustParseAddr("198.51.100.1")
	sent := Datagram(at(ue1, 4000), at(server, 33434), 30)
	f.up(sent)
	f.down(Unreachable(router, sent))
	if n := len(f.TowerGot(TowerA)); n != 1 {
		t.Errorf("%d errors about the phone's own flow came", n)
	}
	f.down(Unreachable(router, Datagram(at(ue1, 4000), at(server, 33435), 30)))
	f.down(Unreachable(router, Datagram(at(ue2, 4000), at(server, 33434), 30)))
	stranger := Unreachable(router, sent)
	f.down(stranger[:40])
	if n := len(f.TowerGot(TowerA)); n != 0 {
		t.Errorf("%d errors about other flows came", n)
	}
}

func flowsEnd(t *testing.T, r *Rig) {
	if !r.Virtual && !r.Ages {
		t.Skip("minutes take minutes here, or the machine has not run for the two hours that flows are made older by")
	}
	f := closed4(t, r)
	back := func(want int, b []byte) {
		t.Helper()
		f.down(b)
		if n := len(f.TowerGot(TowerA)); n != want {
			t.Errorf("%d packets, want %d", n, want)
		}
	}
	dns, web := Datagram(at(server, 53), at(ue1, 4000), 100), Segment(at(server, 80), at(ue1, 4000), 0x10)
	f.up(Datagram(at(ue1, 4000), at(server, 53), 30))
	f.up(Segment(at(ue1, 4000), at(server, 80), 2))
	r.Wait(4 * time.Minute / 2)
	back(1, dns)
	back(1, web)
	r.Wait(4*time.Minute + time.Second)
	back(1, dns)
	back(1, web) // established since the last
	r.Wait(5*time.Minute + time.Second)
	back(0, dns)
	r.Wait(time.Hour)
	back(1, web)
	f.up(Segment(at(ue1, 4000), at(server, 80), 0x11)) // FIN
	r.Wait(5 * time.Minute)
	back(0, web)
	if n := r.Path.Stats().Flows; n != 0 {
		t.Errorf("%d flows are left", n)
	}
}

func fragmentsFollow(t *testing.T, r *Rig) {
	f := setupSession(t, r, datapath.Session{IPv4: ue1, IPv6: net6})
	video := f.dedicated(6, 0x1002, datapath.Policy{Filters: []datapath.Filter{{Down: true, HasProtocol: true, Protocol: 17, RemotePorts: datapath.PortRange{Lo: 5004, Hi: 5005}}}})
	for _, c := range []struct{ phone, server netip.Addr }{{ue1, server}, {ue6, server6}} {
		first, later := Fragments(Datagram(at(c.server, 5004), at(c.phone, 4000), 1000), 77, 504)
		f.down(first)
		f.down(later)
		if n := len(f.TowerGot(TowerA)); n != 0 {
			t.Errorf("%d fragments nobody asked for", n)
		}
		f.up(Datagram(at(c.phone, 4000), at(c.server, 5004), 10))
		f.down(first)
		f.down(later)
		_, other := Fragments(Datagram(at(c.server, 5004), at(c.phone, 4000), 1000), 78, 504)
		f.down(other)
		got := f.towerPackets(TowerA)
		if len(got) != 1 || len(got[video.Tunnel.TEID]) != 2 {
			t.Errorf("%v: %d packets on the dedicated bearer of %d", c.phone, len(got[video.Tunnel.TEID]), len(got))
		}
	}
}

func fragmentsUp(t *testing.T, r *Rig) {
	f := closed4(t, r)
	first, later := Fragments(Datagram(at(ue1, 4000), at(server, 5004), 1000), 77, 504)
	f.up(first)
	f.up(later)
	if n := len(f.NetGot()); n != 2 || f.usage().ULOctets != uint64(len(first)+len(later)) {
		t.Errorf("%d fragments, %+v", n, f.usage())
	}
}

// second puts another phone, at TowerB.
func (f *fixture) second(s datapath.Session) datapath.Bearer {
	f.t.Helper()
	s.ID = 8
	b := datapath.Bearer{TEID: 1<<datapath.SlotBits | 9, Session: 8, Default: true, Tunnel: datapath.Tunnel{Peer: TowerB, TEID: 0x2002}}
	if err := f.Path.PutSession(s); err != nil {
		f.t.Fatal(err)
	}
	if err := f.Path.PutBearer(b); err != nil {
		f.t.Fatal(err)
	}
	return b
}

func apart(t *testing.T, r *Rig) {
	f := setup(t, r)
	b := f.second(datapath.Session{IPv4: ue2, Open: true})
	f.up(Packet(ue1, ue2, 100))
	f.dropped(datapath.ULNeighbour, 1)
	if up, down := len(f.NetGot()), len(f.TowerGot(TowerB)); up != 0 || down != 0 || f.usage().LostOctets != 100 || f.of(b.TEID).Count != (datapath.Count{}) {
		t.Errorf("%d up, %d to the other, %+v", up, down, f.usage())
	}
}

func together(t *testing.T, r *Rig) {
	f := setup(t, r)
	b := f.second(datapath.Session{IPv4: ue2})
	f.up(Packet(ue1, ue2, 100))
	f.dropped(datapath.DLUnsolicited, 1) // the other has not asked, and the sender's router has done its part
	f.Path.UpdateSession(datapath.Session{ID: 8, Open: true})
	f.up(Packet(ue1, ue2, 100))
	got := f.towerPackets(TowerB)[b.Tunnel.TEID]
	if len(got) != 1 || got[0][8] != 63 || sum16(got[0][:20]) != 0xffff {
		t.Fatalf("%d packets: % x", len(got), got)
	}
	if f.usage() != (datapath.Count{ULOctets: 200, ULPackets: 2}) || f.of(b.TEID).Count != (datapath.Count{DLOctets: 100, DLPackets: 1}) || len(f.NetGot()) != 0 {
		t.Errorf("%+v, %+v", f.usage(), f.of(b.TEID).Count)
	}
}

func hops(t *testing.T, r *Rig) {
	f := setupSession(t, r, datapath.Session{IPv4: ue1, IPv6: net6, Open: true})
	other := netip.MustParsePrefix("2001:db8:45:3::/64")
	f.second(datapath.Session{IPv4: ue2, IPv6: other, Open: true})
	for _, b := range [][]byte{Packet(ue1, ue2, 100), Packet(ue6, other.Addr().Next(), 100)} {
		if b[0]>>4 == 6 {
			b[7] = 1
		} else {
			b[8] = 1
			b[10], b[11] = 0, 0
			s := ^uint16(sum16(b[:20]))
			b[10], b[11] = byte(s>>8), byte(s)
		}
		f.up(b)
		got := f.towerPackets(TowerA)[enbTEID]
		if len(got) != 1 {
			t.Fatalf("%d packets: want time exceeded", len(got))
		}
		p, err := datapath.ParsePacket(got[0])
		if q, ok := p.Quoted(got[0]); err != nil || !ok || p.ICMPType != 11 && p.ICMPType != 3 || p.Transport == 20 && sum16(got[0][20:]) != 0xffff || q.Size != 100 {
			t.Errorf("%+v, %v: % x", p, err, got[0])
		}
	}
	f.dropped(datapath.ULExpired, 2)
	if n := len(f.TowerGot(TowerB)); n != 0 {
		t.Errorf("%d packets went on", n)
	}
}

func tooBig(t *testing.T, r *Rig) {
	f := setupSession(t, r, datapath.Session{IPv4: ue1, IPv6: net6, Open: true})
	whole := Packet(server, ue1, r.MTU+60)
	f.down(whole) // may be fragmented on its way
	if n := len(f.TowerGot(TowerA)); n != 1 {
		t.Errorf("%d packets: one that may be fragmented is sent", n)
	}
	before := f.usage()
	for _, b := range [][]byte{Packet(server, ue1, r.MTU+60), Packet(server6, ue6, r.MTU+60)} {
		if b[0]>>4 == 4 {
			b[6] = 0x40
			b[10], b[11] = 0, 0
			s := ^uint16(sum16(b[:20]))
			b[10], b[11] = byte(s>>8), byte(s)
		}
		f.down(b)
		got := f.NetGot()
		if len(got) != 1 {
			t.Fatalf("%d packets to the sender", len(got))
		}
		p, err := datapath.ParsePacket(got[0])
		if err != nil || !p.Error() || p.Dst != server && p.Dst != server6 || !p.Src.IsGlobalUnicast() {
			t.Fatalf("%+v, %v", p, err)
		}
		word := got[0][p.Transport+4:]
		if mtu := int(word[0])<<24 | int(word[1])<<16 | int(word[2])<<8 | int(word[3]); mtu != r.MTU {
			t.Errorf("told an MTU of %d, want %d", mtu, r.MTU)
		}
	}
	f.dropped(datapath.DLTooBig, 2)
	if f.usage() != before {
		t.Errorf("charged %+v", f.usage().Sub(before))
	}
}
