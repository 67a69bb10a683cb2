package userspace

import (
	"errors"
	"log/slog"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"campanile.network/3gpp/gtpu"
	"campanile.network/3gpp/id"
	"campanile.network/gateway/datapath"
	"campanile.network/gateway/datapath/dptest"
	"campanile.network/gateway/datapath/table"
)

// full is a socket that takes nothing.
type full struct{ collected }

func (*full) WriteToUDPAddrPort([]byte, netip.AddrPort) (int, error) {
	return 0, errors.New("no buffer space")
}

// What the socket did not take is neither counted nor charged, on the quota or the
// rate.
func TestFailedSendIsGivenBack(t *testing.T) {
	p, err := New(Options{Conn: &full{}, Port: newWire(), MaxBearers: 8, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ue := netip.MustParseAddr("10.45.0.2")
	put(t, p, 1, ue, datapath.Tunnel{Peer: dptest.TowerA, TEID: 9})
	if err := errors.Join(p.SetQuota(1, datapath.Quota{Octets: 1000}), p.UpdateSession(datapath.Session{ID: 1, AMBR: datapath.Rates{DL: 8_000_000}, Open: true})); err != nil {
		t.Fatal(err)
	}
	const n = 1000 // far more than quota and burst have room for
	for range n {
		p.downlink(append(make([]byte, gtpu.HeaderLen), dptest.Packet(dptest.Router, ue, 500)...), false)
	}
	u, err := p.RemoveBearer(1)
	used, qerr := p.Charged(1)
	if s := p.Stats(); err != nil || qerr != nil || u.Count != (datapath.Count{}) || used != 0 || s.Dropped[datapath.DLSend] != n || s.DLPackets != 0 {
		t.Errorf("%+v, %d charged, %+v", u.Count, used, s)
	}
}

// BenchmarkLoad puts a million sessions with a bearer each and says what one costs.
func BenchmarkLoad(b *testing.B) {
	const n = 1 << 20
	for b.Loop() {
		p, err := New(Options{Conn: &full{}, Port: newWire(), MaxBearers: n, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			b.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		start := time.Now()
		for i := range uint32(n) {
			ue := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
			s := datapath.SessionID(i + 1)
			if err := p.PutSession(datapath.Session{ID: s, IPv4: ue, Beside: id.TEID(1<<datapath.SlotBits | i), AMBR: datapath.Rates{UL: 1e6, DL: 1e6}}); err != nil {
				b.Fatal(err)
			}
			if err := p.PutBearer(datapath.Bearer{TEID: id.TEID(1<<datapath.SlotBits | i), Session: s, Default: true, Tunnel: datapath.Tunnel{Peer: dptest.TowerA, TEID: id.TEID(i)}}); err != nil {
				b.Fatal(err)
			}
		}
		took := time.Since(start)
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "heap-B/bearer")
		b.ReportMetric(table.SessionSize+table.BearerSize, "table-B/bearer")
		b.ReportMetric(float64(after.Mallocs-before.Mallocs)/n, "allocs/bearer")
		b.ReportMetric(float64(took.Nanoseconds())/n, "ns/bearer")
		runtime.KeepAlive(p)
	}
}

// A packet costs no allocation, whatever is asked of it.
func TestNoAllocationForAPacket(t *testing.T) {
	p, err := New(Options{Conn: &none{}, Port: &null{}, MaxBearers: 8, Services: []datapath.Service{{Class: 1, Remotes: []netip.Prefix{netip.MustParsePrefix("93.184.216.0/24")}}}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	voice := datapath.Policy{Filters: []datapath.Filter{{Down: true, HasProtocol: true, Protocol: 6}}, DSCP: 46}
	tunnel := datapath.Tunnel{Peer: dptest.TowerA, TEID: 9}
	if err := errors.Join(
		p.PutSession(datapath.Session{ID: 1, IPv4: netip.MustParseAddr("10.45.0.2"), IPv6: netip.MustParsePrefix("2001:db8:45:2::/64"), AMBR: datapath.Rates{UL: 1e12, DL: 1e12}}),
		p.PutBearer(datapath.Bearer{TEID: 1, Session: 1, Default: true, Tunnel: tunnel}),
		p.PutBearer(datapath.Bearer{TEID: 2, Session: 1, Tunnel: tunnel, Policy: voice}),
	); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ ue, web string }{{"10.45.0.2:4000", "93.184.216.34:443"}, {"[2001:db8:45:2::5]:4000", "[2001:500:88:200::8]:443"}} {
		ue, web := netip.MustParseAddrPort(c.ue), netip.MustParseAddrPort(c.web)
		up := gtpu.AppendGPDU(nil, 1, dptest.Datagram(ue, web, 500))
		down := append(make([]byte, gtpu.HeaderLen), dptest.Datagram(web, ue, 500)...)
		from, w := netip.AddrPortFrom(dptest.TowerA, gtpu.Port), p.lane(0)
		if n := testing.AllocsPerRun(500, func() { w.datagram(up, from); w.flush() }); n != 0 {
			t.Errorf("%v up: %v allocations", ue, n)
		}
		if n := testing.AllocsPerRun(500, func() { w.downlink(down, false); w.flush() }); n != 0 {
			t.Errorf("%v down: %v allocations", ue, n)
		}
	}
	if s := p.Stats(); s.ULPackets < 1000 || s.DLPackets < 1000 {
		t.Errorf("%+v", s)
	}
}

// none is a socket that takes everything and keeps nothing.
type none struct{ collected }

func (*none) WriteToUDPAddrPort(b []byte, _ netip.AddrPort) (int, error) { return len(b), nil }
