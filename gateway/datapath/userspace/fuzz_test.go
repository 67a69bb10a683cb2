package userspace

import (
	"bytes"
	"encoding/binary"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"testing"

	"campanile.network/3gpp/gtpu"
	"campanile.network/3gpp/id"
	"campanile.network/gateway/datapath"
	"campanile.network/gateway/datapath/dptest"
)

// collected is a socket that keeps what is sent.
type collected struct {
	PacketConn
	sent [][]byte
}

func (c *collected) WriteToUDPAddrPort(b []byte, _ netip.AddrPort) (int, error) {
	c.sent = append(c.sent, bytes.Clone(b))
	return len(b), nil
}
func (c *collected) LocalAddr() net.Addr {
	return &net.UDPAddr{IP: net.IPv4(127, 77, 0, 9), Port: 2152}
}

// inner is how many octets of packets were sent to a tunnel.
func (c *collected) inner(to id.TEID) (n uint64) {
	for _, b := range c.sent {
		if m, err := gtpu.Parse(b); err == nil && m.Type == gtpu.GPDU && m.TEID == to {
			n += uint64(len(m.Payload))
		}
	}
	return n
}

const (
	fuzzTEID, fuzzUpstream, fuzzForward = id.TEID(1<<datapath.SlotBits | 5), id.TEID(1<<datapath.SlotBits | 6), id.TEID(1<<datapath.SlotBits | 7)
	fuzzOther                           = id.TEID(1<<datapath.SlotBits | 4)
)

// fuzzPath has a phone of both IP versions, one whose PGW is elsewhere, and a
// forward.
func fuzzPath(t testing.TB) (*Path, *collected, *wire) {
	c, w := &collected{}, newWire()
	p, err := New(Options{Conn: c, Port: w, MaxBearers: 8, Router: dptest.Router, CountHops: true, Neighbours: true, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	tunnel := func(teid id.TEID) datapath.Tunnel { return datapath.Tunnel{Peer: dptest.TowerA, TEID: teid} }
	if err := errors.Join(
		p.PutSession(datapath.Session{ID: 1, IPv4: netip.MustParseAddr("10.45.0.2"), IPv6: netip.MustParsePrefix("2001:db8:45:2::/64"), Open: true}),
		p.PutBearer(datapath.Bearer{TEID: fuzzTEID, Session: 1, Default: true, Tunnel: tunnel(9)}),
		p.PutSession(datapath.Session{ID: 2}),
		p.PutBearer(datapath.Bearer{TEID: fuzzOther, Session: 2, Default: true, Tunnel: tunnel(10), Upstream: tunnel(11), UpstreamTEID: fuzzUpstream}),
		p.PutForward(fuzzForward, tunnel(12)),
	); err != nil {
		t.Fatal(err)
	}
	return p, c, w
}

// FuzzDatagram gives the data path any datagram and any packet: it counts exactly
// what it handed on, says of each what became of it, and answers a datagram with
// no more than a few octets more than it has.
func FuzzDatagram(f *testing.F) {
	ue, web := netip.MustParseAddr("10.45.0.2"), netip.MustParseAddr("93.184.216.34")
	ue6, web6 := netip.MustParseAddr("2001:db8:45:2::5"), netip.MustParseAddr("2001:500:88:200::8")
	late := dptest.Packet(ue, web, 60)
	late[8] = 1
	for _, up := range [][]byte{dptest.Packet(ue, web, 60), dptest.Packet(ue6, web6, 80), dptest.Packet(ue, ue, 60), late, dptest.IP(ue6, web6, 44, []byte{17, 0, 0, 1, 0, 0, 0, 1, 0, 9, 0, 9, 0, 8, 0, 0})} {
		f.Add(gtpu.AppendGPDU(nil, fuzzTEID, up), dptest.Packet(web, ue, 60))
	}
	f.Add(gtpu.AppendGPDU(nil, fuzzTEID, dptest.IP(netip.MustParseAddr("fe80::5"), netip.MustParseAddr("ff02::2"), 58, []byte{133, 0, 0, 0, 0, 0, 0, 0})), dptest.Packet(web6, ue6, 1460))
	f.Add(gtpu.AppendGPDU(nil, fuzzOther, dptest.Packet(ue, web, 60)), dptest.Unreachable(web, dptest.Packet(ue, web, 60)))
	f.Add(gtpu.AppendGPDU(nil, fuzzUpstream, dptest.Packet(web, ue, 60)), []byte{})
	f.Add(gtpu.AppendGPDU(nil, fuzzForward, dptest.Packet(web, ue, 60)), []byte{0x60})
	f.Add(gtpu.AppendEndMarker(nil, fuzzForward), []byte{0x45})
	f.Add(gtpu.AppendErrorIndication(nil, 9, dptest.TowerA), []byte{0x45})
	f.Add(gtpu.AppendEchoRequest(nil, 1), []byte{})
	f.Fuzz(func(t *testing.T, d, pkt []byte) {
		if len(pkt) > maxDatagram || len(d) > maxDatagram {
			return
		}
		p, c, w := fuzzPath(t)
		p.datagram(bytes.Clone(d), netip.AddrPortFrom(dptest.TowerA, gtpu.Port))
		if s := p.Stats(); told(&s) == 0 && !unsaid(d) {
			t.Fatalf("nobody says what became of %x", d)
		}
		if n := len(bytes.Join(c.sent, nil)); n > len(d)+gtpu.HeaderLen+1280 { // an ICMP error or an advertisement
			t.Fatalf("%d octets went out for %d", n, len(d))
		}
		before := p.Stats()
		p.downlink(append(make([]byte, gtpu.HeaderLen), pkt...), false)
		if s := p.Stats(); told(&s) == told(&before) {
			t.Fatalf("nobody says what became of %x", pkt)
		}
		one, err := p.RemoveBearer(fuzzTEID)
		other, oerr := p.RemoveBearer(fuzzOther)
		if err != nil || oerr != nil {
			t.Fatal(err, oerr)
		}
		var up uint64
		for _, x := range w.take() {
			up += uint64(len(x))
		}
		down := c.inner(9)
		if one.ULOctets+one.LostOctets > uint64(len(d)) || one.DLOctets != down || up > one.ULOctets+1280 { // and ICMP errors to servers
			t.Fatalf("%+v, handed on %d up and %d down", one, up, down)
		}
		if other.ULOctets != c.inner(11) || other.DLOctets != c.inner(10) || c.inner(12) > uint64(len(d)) {
			t.Fatalf("%+v, handed on %d up and %d down", other, c.inner(11), c.inner(10))
		}
	})
}

// told is how much has been said of what came.
func told(s *datapath.Stats) uint64 {
	n := s.ULPackets + s.DLPackets + s.Forwarded + s.Advertised + s.Echoes + s.EndMarkers + s.ErrorIndications + uint64(s.Buffered)
	for _, d := range s.Dropped {
		n += d
	}
	return n
}

// unsaid are messages that are heard without a word: answers that mean nothing here,
// packets with nothing in them, and error indications that are believed.
func unsaid(d []byte) bool {
	m, err := gtpu.Parse(d)
	return err == nil && (m.Type == gtpu.EchoResponse || m.Type == gtpu.SupportedHeaders || m.Type == gtpu.GPDU && len(m.Payload) == 0 || m.Type == gtpu.ErrorIndication)
}

// FuzzHop: one hop less, and a header whose checksum was right stays so (RFC 1624).
func FuzzHop(f *testing.F) {
	f.Add(dptest.Packet(netip.MustParseAddr("10.45.0.2"), dptest.Router, 20))
	f.Add([]byte("E\x00\x00\x14\xff\xff\xff\xff\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < 20 || b[0]>>4 != 4 {
			return
		}
		h := b[:20]
		binary.BigEndian.PutUint16(h[10:], 0)
		binary.BigEndian.PutUint16(h[10:], fold(checksum(0, h)))
		was := h[8]
		went := hop(h)
		if went != (was > 1) || went && h[8] != was-1 || fold(checksum(0, h)) != 0 {
			t.Fatalf("% x: hops %d to %d, sum %#x", h, was, h[8], fold(checksum(0, h)))
		}
	})
}
