package relay

import (
	"log/slog"
	"net"
	"net/netip"
	"testing"
	"time"

	"campanile.network/3gpp/gtpu"
	"campanile.network/3gpp/s1ap"
	"campanile.network/internal/sctp"
)

// sinkConn takes what is written and has nothing to read.
type sinkConn struct{ addr netip.Addr }

func (sinkConn) ReadFromUDPAddrPort([]byte) (int, netip.AddrPort, error) {
	return 0, netip.AddrPort{}, net.ErrClosed
}
func (sinkConn) WriteToUDPAddrPort(b []byte, _ netip.AddrPort) (int, error) { return len(b), nil }
func (c sinkConn) LocalAddr() net.Addr {
	return net.UDPAddrFromAddrPort(netip.AddrPortFrom(c.addr, gtpu.Port))
}
func (sinkConn) Close() error { return nil }

func userPlaneOf(tb testing.TB, tunnels int) (*userPlane, []*tunnel, end, end) {
	tb.Helper()
	u := &userPlane{table: newTable(), port: gtpu.Port, spent: make(chan struct{}, 1)}
	u.allowed.Store(^uint64(0))
	for i := range u.conn {
		u.addr[i] = netip.AddrFrom4([4]byte{127, 0, 0, byte(11 + i)})
		u.conn[i] = sinkConn{u.addr[i]}
	}
	enb, gw := end{netip.MustParseAddr("127.0.0.10"), 1}, end{netip.MustParseAddr("127.0.0.30"), 1}
	var list []*tunnel
	for i := range tunnels {
		enb.teid++
		gw.teid++
		n, err := u.table.open(ends{enb: enb, gateway: gw})
		if err != nil {
			tb.Fatal(i, err)
		}
		list = append(list, n)
	}
	return u, list, enb, gw
}

func benchmark(b *testing.B, side Side, tunnels int) {
	u, list, enb, gw := userPlaneOf(b, tunnels)
	from, scratch := netip.AddrPortFrom(enb.addr, gtpu.Port), make([]byte, 0, 128)
	if side == Core {
		from = netip.AddrPortFrom(gw.addr, gtpu.Port)
	}
	ip := make([]byte, 1400)
	ip[0], ip[2], ip[3] = 0x45, 1400>>8, 1400&0xff
	packets := make([][]byte, len(list))
	for i, n := range list {
		teid := n.radio
		if side == Core {
			teid = n.core
		}
		packets[i] = gtpu.AppendGPDU(nil, teid, ip)
	}
	d := make([]byte, len(packets[0]))
	b.SetBytes(1400)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		copy(d, packets[i%len(packets)])
		u.packet(side, d, from, scratch)
	}
	if u.packets.Load() == 0 || u.dropped[WrongSource].Load() != 0 {
		b.Fatal("packets were not relayed")
	}
}

func BenchmarkUplink1(b *testing.B)       { benchmark(b, Radio, 1) }
func BenchmarkUplink10000(b *testing.B)   { benchmark(b, Radio, 10000) }
func BenchmarkDownlink10000(b *testing.B) { benchmark(b, Core, 10000) }

// BenchmarkSocket is a packet in at one loopback UDP socket and out at another.
func BenchmarkSocket(b *testing.B) {
	listen := func() *net.UDPConn {
		c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { c.Close() })
		return c
	}
	u, _, _, _ := userPlaneOf(b, 0)
	radio, core, enb, gw := listen(), listen(), listen(), listen()
	u.conn = [2]PacketConn{radio, core}
	port := func(c *net.UDPConn) netip.AddrPort { return c.LocalAddr().(*net.UDPAddr).AddrPort() }
	u.port = port(gw).Port()
	local := netip.MustParseAddr("127.0.0.1")
	n, err := u.table.open(ends{enb: end{local, 1}, gateway: end{local, 2}})
	if err != nil {
		b.Fatal(err)
	}
	ip := make([]byte, 1400)
	ip[0], ip[2], ip[3] = 0x45, 1400>>8, 1400&0xff
	d := gtpu.AppendGPDU(nil, n.radio, ip)
	done := make(chan error, 1)
	go func() { done <- u.read(Radio) }()
	buf := make([]byte, 2048)
	b.SetBytes(1400)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := enb.WriteToUDPAddrPort(d, port(radio)); err != nil {
			b.Fatal(err)
		}
		if _, _, err := gw.ReadFromUDPAddrPort(buf); err != nil {
			b.Fatal(err)
		}
	}
	radio.Close()
	if err := <-done; err != nil {
		b.Error(err)
	}
}

// BenchmarkContextSetup is an Initial Context Setup Request decoded, rewritten
// and encoded, with its release.
func BenchmarkContextSetup(b *testing.B) {
	u, _, _, gw := userPlaneOf(b, 0)
	r := &Relay{Options: Options{Logger: slog.New(slog.DiscardHandler)}, table: u.table, conns: map[*conn]bool{}}
	r.user.table, r.user.addr = u.table, u.addr
	c := &conn{relay: r, ues: map[s1ap.MMEUES1APID]*ue{}}
	q := s1ap.ERABLevelQoSParameters{QCI: 9, AllocationRetentionPriority: s1ap.AllocationAndRetentionPriority{PriorityLevel: 15}}
	setup, err := s1ap.Append(nil, &s1ap.InitialContextSetupRequest{MMEUES1APID: 1, ENBUES1APID: 2, ERABToBeSetupListCtxtSUReq: s1ap.ERABToBeSetupListCtxtSUReq{
		{ERABID: 5, ERABLevelQoSParameters: q, TransportLayerAddress: s1ap.FromAddr(gw.addr), GTPTEID: s1ap.FromTEID(7), NASPDU: make([]byte, 100)}}})
	if err != nil {
		b.Fatal(err)
	}
	release, err := s1ap.Append(nil, &s1ap.UEContextReleaseComplete{MMEUES1APID: 1, ENBUES1APID: 2})
	if err != nil {
		b.Fatal(err)
	}
	var down, up s1ap.PDU
	var rd reading
	b.ReportAllocs()
	for b.Loop() {
		if out, _ := c.message(Core, sctp.Message{PPID: ppid, Data: setup}, &down, &rd); len(out) != len(setup) {
			b.Fatal("not rewritten")
		}
		c.message(Radio, sctp.Message{PPID: ppid, Data: release}, &up, &rd)
		u.table.sweep(time.Now().Add(time.Hour))
	}
	if len(c.ues) != 0 || len(u.table.radio) != 0 {
		b.Fatal("contexts are left")
	}
}

// The packet path allocates nothing, whatever the packet.
func TestNoAllocations(t *testing.T) {
	u, list, enb, _ := userPlaneOf(t, 1)
	from, scratch := netip.AddrPortFrom(enb.addr, gtpu.Port), make([]byte, 0, 128)
	ip := make([]byte, 100)
	ip[0], ip[3] = 0x45, 100
	for name, d := range map[string][]byte{
		"user packet":    gtpu.AppendGPDU(nil, list[0].radio, ip),
		"unknown tunnel": gtpu.AppendGPDU(nil, list[0].radio+1, ip),
		"echo":           gtpu.AppendEchoRequest(nil, 1),
		"end marker":     gtpu.AppendEndMarker(nil, list[0].radio),
		"malformed":      {0x30},
	} {
		c := make([]byte, len(d))
		if n := testing.AllocsPerRun(100, func() {
			copy(c, d)
			u.packet(Radio, c, from, scratch)
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// FuzzPacket throws datagrams at both sides: none may panic, and what is
// counted is what was spent.
func FuzzPacket(f *testing.F) {
	ip := make([]byte, 40)
	ip[0], ip[3] = 0x45, 40
	f.Add(true, gtpu.AppendGPDU(nil, 0, ip))
	f.Add(false, gtpu.AppendEchoRequest(nil, 1))
	f.Add(true, gtpu.AppendErrorIndication(nil, 2, netip.MustParseAddr("127.0.0.30")))
	f.Add(false, gtpu.AppendEndMarker(nil, 0))
	f.Fuzz(func(t *testing.T, known bool, d []byte) {
		u, list, enb, gw := userPlaneOf(t, 1)
		for side, a := range []end{enb, gw} {
			b := append([]byte(nil), d...)
			if known && len(b) >= 8 {
				teid := [...]uint32{uint32(list[0].radio), uint32(list[0].core)}[side]
				b[4], b[5], b[6], b[7] = byte(teid>>24), byte(teid>>16), byte(teid>>8), byte(teid)
			}
			u.packet(Side(side), b, netip.AddrPortFrom(a.addr, gtpu.Port), make([]byte, 0, 16))
		}
		c := list[0].ends.Load().count
		if got := c.ul.Load() + c.dl.Load(); got != u.octets.Load() {
			t.Errorf("counted %d, spent %d, %d packets", got, u.octets.Load(), u.packets.Load())
		}
	})
}
