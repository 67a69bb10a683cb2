package userspace

import (
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"testing"

	"campanile.network/3gpp/gtpu"
	"campanile.network/3gpp/id"
	"campanile.network/gateway/datapath"
)

// sent is a socket that remembers where the last datagram went.
type sent struct {
	PacketConn
	to netip.AddrPort
}

func (s *sent) WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error) {
	s.to = to
	return len(b), nil
}
func (s *sent) LocalAddr() net.Addr { return &net.UDPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 2152} }

// Downlink follows a tower that says it is behind a NAT to the NAT's port, and to
// no other address; one that says nothing gets GTP-U's own port, whatever port it
// sends from (TS 29.281 §4.4.2.3).
func TestTowerBehindNAT(t *testing.T) {
	s := &sent{}
	p, err := New(Options{Conn: s, Port: newWire(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	tower, elsewhere := netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("192.0.2.8")
	ue := netip.AddrFrom4([4]byte{10, 45, 0, 2})
	put(t, p, 1, ue, datapath.Tunnel{})
	ip := func(src, dst netip.Addr) []byte {
		b := make([]byte, 20)
		b[0], b[3] = 0x45, 20
		copy(b[12:], src.AsSlice())
		copy(b[16:], dst.AsSlice())
		return b
	}
	up := func(payload []byte, from netip.Addr, port uint16) {
		p.datagram(gtpu.AppendGPDU(nil, 1, payload), netip.AddrPortFrom(from, port))
	}
	down := func(want netip.AddrPort) {
		t.Helper()
		s.to = netip.AddrPort{}
		p.downlink(append(make([]byte, gtpu.HeaderLen), ip(elsewhere, ue)...), false)
		if s.to != want {
			t.Errorf("downlink goes to %v, want %v", s.to, want)
		}
	}
	tunnel := func(teid id.TEID) {
		t.Helper()
		if _, err := p.UpdateBearer(1, datapath.Tunnel{Peer: tower, TEID: teid}); err != nil {
			t.Fatal(err)
		}
	}
	tunnel(9)
	up(ip(ue, elsewhere), tower, 40000)
	down(netip.AddrPortFrom(tower, gtpu.Port))
	up(nil, tower, 40001)
	down(netip.AddrPortFrom(tower, 40001))
	up(ip(ue, elsewhere), tower, 40002) // the NAT has moved it
	down(netip.AddrPortFrom(tower, 40002))
	up(nil, elsewhere, 40003) // not where the tunnel was announced
	down(netip.AddrPortFrom(tower, 40002))
	up(nil, tower, 40004) // before a new tunnel is told
	tunnel(10)
	down(netip.AddrPortFrom(tower, 40004))
	if c, err := p.Usage(1); err != nil || c.ULPackets != 2 {
		t.Errorf("%+v, %v: a packet with nothing in it is nobody's traffic", c, err)
	}
	moved := p.Moved()
	p = restarted(t, p, s, datapath.Bearer{TEID: 1, Session: 1, Default: true, Resume: true, Tunnel: datapath.Tunnel{Peer: tower, TEID: 10}}, ue)
	down(netip.AddrPortFrom(tower, 40004))
	p = restarted(t, p, s, datapath.Bearer{TEID: 1, Session: 1, Default: true, Tunnel: datapath.Tunnel{Peer: tower, TEID: 10}}, ue)
	down(netip.AddrPortFrom(tower, gtpu.Port)) // another bearer with the same TEID
	if moved != 3 {
		t.Errorf("moved %d times", moved)
	}
}

// restarted is another data path with the same table.
func restarted(t *testing.T, p *Path, s *sent, b datapath.Bearer, ue netip.Addr) *Path {
	t.Helper()
	p, err := New(Options{Conn: s, Port: newWire(), Table: p.tab, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(p.PutSession(datapath.Session{ID: 1, IPv4: ue, Open: true, Resume: b.Resume}), p.PutBearer(b)); err != nil {
		t.Fatal(err)
	}
	return p
}

// A gateway that has lost its bearers says so: at GTP-U's port, and where the
// tower has shown that it is behind a NAT, at the port that leads through it.
func TestErrorIndicationThroughNAT(t *testing.T) {
	s := &sent{}
	p, err := New(Options{Conn: s, Port: newWire(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	from := netip.MustParseAddrPort("192.0.2.7:40001")
	p.datagram(gtpu.AppendGPDU(nil, 7, nil), from)
	if s.to != from {
		t.Errorf("to the one behind a NAT: %v", s.to)
	}
	p.datagram(gtpu.AppendGPDU(nil, 7, make([]byte, 20)), from)
	if want := netip.AddrPortFrom(from.Addr(), gtpu.Port); s.to != want {
		t.Errorf("to another: %v", s.to)
	}
}

// put makes an open session 1 with its default bearer.
func put(t testing.TB, p *Path, teid id.TEID, ue netip.Addr, tunnel datapath.Tunnel) {
	t.Helper()
	err := errors.Join(p.PutSession(datapath.Session{ID: 1, IPv4: ue, Open: true}), p.PutBearer(datapath.Bearer{TEID: teid, Session: 1, Default: true, Tunnel: tunnel}))
	if err != nil {
		t.Fatal(err)
	}
}
