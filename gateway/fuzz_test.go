package gateway

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"log/slog"
	"net/netip"
	"slices"
	"testing"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/gateway/datapath/userspace"
	"campanile.network/internal/memnet"
	"campanile.network/wire/gtpc"
	"github.com/wmnsk/go-gtp/gtpv2/ie"
)

type nothing struct{}

func (nothing) ReadPacket([]byte) (int, error) { select {} }
func (nothing) WritePacket([]byte) error       { return nil }
func (nothing) MTU() int                       { return 1400 }
func (nothing) Close() error                   { return nil }

// idleGateway is a gateway nobody serves: its handler can be called directly.
func idleGateway(t testing.TB) *Gateway {
	n := memnet.New(nil)
	listen := func(s string) *memnet.Conn {
		c, err := n.Listen(netip.MustParseAddrPort(s))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	quiet := slog.New(slog.DiscardHandler)
	p, err := userspace.New(userspace.Options{Conn: listen("127.0.0.30:2152"), Port: nothing{}, MaxBearers: 8, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	g, err := New(Options{S11Conn: listen("127.0.0.30:2123"), S1U: netip.MustParseAddr("127.0.0.30"), Path: p, AllowUnsettled: true, MaxSessions: 8, Gateways: []netip.Prefix{netip.MustParsePrefix("127.0.0.40/32")},
		Policy: Policy{Asked: []id.QCI{8}}, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func createMessage(t testing.TB, imsi string) *gtpc.Message {
	i, err := id.ParseIMSI(imsi)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := id.ParseAPN("internet")
	return gtpc.New(gtpc.CreateSessionRequest, 0, gtpc.IMSIIE(i), gtpc.APNIE(a), ie.NewRATType(gtpc.RATEUTRAN),
		gtpc.FTEID{Interface: gtpc.IfS11MME, TEID: 1, Addr: netip.MustParseAddr("127.0.0.20")}.IE(0),
		gtpc.BearerContext(0, gtpc.EBI(5), gtpc.QoS{QCI: 9}.IE()))
}

// seeds are messages of every kind that a gateway hears.
func seeds(t testing.TB) (list []*gtpc.Message) {
	const u = 0x100000
	private, _ := gtpc.Private{Ticket: []byte("t"), Segment: []byte("s")}.IE()
	enb := netip.MustParseAddr("127.0.0.12")
	tft := eps.TFT{Operation: eps.TFTCreate, Filters: []eps.PacketFilter{{Direction: eps.FilterBidirectional, ID: 1, Precedence: 7,
		Components: eps.FilterComponents{}.With(eps.FilterProtocol, 17)}}}
	q := gtpc.QoS{QCI: 8}
	s5 := createMessage(t, "001010123456788")
	s5.IEs[3] = gtpc.FTEID{Interface: gtpc.IfS5SGWC, TEID: 9, Addr: netip.MustParseAddr("127.0.0.40")}.IE(0)
	s5.IEs[4] = gtpc.BearerContext(0, gtpc.EBI(5), gtpc.FTEID{Interface: gtpc.IfS5SGWU, TEID: 10, Addr: netip.MustParseAddr("127.0.0.40")}.IE(2), gtpc.QoS{QCI: 9}.IE())
	away := createMessage(t, "001010123456787")
	away.IEs = append(away.IEs, gtpc.FTEID{Interface: gtpc.IfS5PGWC, Addr: netip.MustParseAddr("127.0.0.40")}.IE(1))
	return []*gtpc.Message{
		createMessage(t, "001010123456789"), s5, away,
		gtpc.New(gtpc.ModifyBearerRequest, u, gtpc.BearerContext(0, gtpc.EBI(5), gtpc.FTEID{TEID: 5, Addr: enb}.IE(0)), private),
		gtpc.New(gtpc.ModifyBearerRequest, u, gtpc.FTEID{Interface: gtpc.IfS11MME, TEID: 5, Addr: enb}.IE(0), gtpc.BearerContext(1, gtpc.EBI(5))),
		gtpc.New(gtpc.ReleaseAccessBearersRequest, u), gtpc.New(gtpc.DownlinkDataNotFailure, u), gtpc.New(gtpc.DeleteSessionRequest, u, gtpc.EBI(5)),
		gtpc.New(gtpc.SuspendNotification, u), gtpc.New(gtpc.ResumeNotification, u), gtpc.New(gtpc.ChangeNotificationRequest, u),
		gtpc.New(gtpc.CreateForwardingRequest, u, gtpc.BearerContext(0, gtpc.EBI(5), gtpc.FTEID{Interface: gtpc.IfENBForwardDL, TEID: 7, Addr: enb}.IE(0))),
		gtpc.New(gtpc.DeleteForwardingRequest, u),
		gtpc.New(gtpc.BearerResourceCommand, u, gtpc.EBI(5), gtpc.PTI(3), q.FlowQoS(), ie.New(ie.TrafficAggregateDescription, 0, tft.AppendTo(nil))),
		gtpc.New(gtpc.BearerResourceCommand, u, gtpc.EBI(5), gtpc.PTI(3), ie.New(ie.EPSBearerID, 1, []byte{6}), ie.New(ie.TrafficAggregateDescription, 0, tft.AppendTo(nil))),
		gtpc.New(gtpc.ModifyBearerCommand, u, gtpc.AMBR{UL: 1000, DL: 1000}.IE(), gtpc.BearerContext(0, gtpc.EBI(5), q.IE())),
		gtpc.New(gtpc.DeleteBearerCommand, u, gtpc.BearerContext(0, gtpc.EBI(6))),
		gtpc.New(gtpc.CreateBearerRequest, u, gtpc.EBI(5), gtpc.BearerContext(0, ie.New(ie.EPSBearerID, 0, []byte{0}), ie.New(ie.BearerTFT, 0, tft.AppendTo(nil)),
			gtpc.FTEID{Interface: gtpc.IfS5PGWU, TEID: 7, Addr: enb}.IE(1), q.IE())),
		gtpc.New(gtpc.UpdateBearerRequest, u, gtpc.AMBR{UL: 1000, DL: 1000}.IE(), gtpc.BearerContext(0, gtpc.EBI(5), q.IE())),
		gtpc.New(gtpc.DeleteBearerRequest, u, gtpc.EBI(5)), gtpc.New(gtpc.DeleteBearerRequest, u, ie.New(ie.EPSBearerID, 1, []byte{6})),
		gtpc.New(gtpc.StopPagingIndication, u),
	}
}

// FuzzS11 gives the handler any message, of an MME, an SGW or a PGW: it answers requests
// it knows with a cause, keeps its tables in step, and never panics.
func FuzzS11(f *testing.F) {
	for _, m := range seeds(f) {
		b, err := m.Marshal()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, byte(0))
		f.Add(b, byte(1))
		f.Add(b, byte(2))
	}
	f.Fuzz(func(t *testing.T, b []byte, who byte) {
		g := idleGateway(t)
		defer g.Close()
		peer := netip.MustParseAddrPort("127.0.0.20:2123")
		g.handle(peer, createMessage(t, "001010000000001"))
		sgw := netip.MustParseAddrPort("127.0.0.40:2123")
		for _, m := range seeds(t)[1:2] {
			g.handle(sgw, m)
		}
		m, err := gtpc.Parse(b)
		if err != nil || m.Type.Answer() == 0 && m.Type != gtpc.DownlinkDataNotFailure && m.Type != gtpc.StopPagingIndication {
			return
		}
		if m.HasTEID && m.TEID == 0x100000 { // one of the phones that are there
			for teid, u := range g.ues {
				if u.s5() == (who == 1) {
					m.TEID = teid
				}
			}
		}
		if who != 0 {
			peer = sgw
		}
		res := g.handle(peer, m)
		g.stop()
		g.work.Wait()
		if res != nil {
			if _, err := res.Marshal(); err != nil {
				t.Fatalf("answer cannot be sent: %v", err)
			}
		}
		inStep(t, g)
	})
}

// inStep checks that what is taken is what somebody has.
func inStep(t *testing.T, g *Gateway) {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	n, teids, ctrls, leases := 0, 0, len(g.ues)+len(g.uplinks), 0
	for _, u := range g.ues {
		n += len(u.sessions)
		teids += len(u.forwards)
		if len(u.sessions) == 0 {
			t.Error("a phone without sessions is kept")
		}
	}
	live := 0
	for _, s := range g.sessions {
		if !s.ended {
			live++
		}
		if s.up == nil {
			leases++
		}
		for _, b := range s.all() {
			teids++
			if b.up != 0 {
				teids++
			}
		}
	}
	used := g.networks[0].v4.inUse()
	if n != live || used != leases || g.teids.InUse() != teids || g.ctrl.InUse() != ctrls || len(g.captures) != 0 || g.opening != 0 {
		t.Errorf("%d by phone, %d live; %d leases, want %d; %d TEIDs, want %d; %d control TEIDs, want %d; %d are being opened", n, live, used, leases,
			g.teids.InUse(), teids, g.ctrl.InUse(), ctrls, g.opening)
	}
}

// FuzzRestore gives a gateway any session of an earlier run: it takes it up whole or not
// at all.
func FuzzRestore(f *testing.F) {
	g := idleGateway(f)
	g.handle(netip.MustParseAddrPort("127.0.0.20:2123"), createMessage(f, "001010000000001"))
	for _, s := range g.sessions {
		b, err := json.Marshal(g.record(s))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var r stored
		if json.Unmarshal(b, &r) != nil {
			return
		}
		g := idleGateway(t)
		defer g.Close()
		g.mu.Lock()
		if err := g.restoreSession(r); err != nil {
			g.salvage(r)
		}
		again := g.restoreSession(r)
		g.mu.Unlock()
		if len(g.sessions) > 1 || len(g.sessions) == 1 && again == nil {
			t.Errorf("one record made %d sessions; the second time: %v", len(g.sessions), again)
		}
		inStep(t, g)
	})
}

// FuzzPCO: whatever a phone asks, the answer is whole units, within the size of the
// element, of what was asked for and ours to tell, and the same the second time.
func FuzzPCO(f *testing.F) {
	f.Add([]byte{0x80, 0, 0x0d, 0, 0x80, 0x21, 16, 1, 7, 0, 16, 129, 6, 0, 0, 0, 0, 131, 6, 0, 0, 0, 0, 0, 0x10, 0})
	f.Add([]byte{0x80, 0, 0x03, 0, 0, 0x0d, 0, 0, 0x0d, 0, 0, 0x05, 0, 0, 0x10, 1, 7})
	f.Add(append([]byte{0x80, 0x80, 0x21, 200, 1, 7, 0, 200}, bytes.Repeat([]byte{129, 2}, 98)...))
	f.Add([]byte{0x80, 0, 0x41, 0, 2, 0x80, 0x21, 0, 0x0d, 0}) // a container whose length has two octets
	f.Add([]byte{0x80, 0xc0, 0x23, 6, 1, 0, 0, 6, 0, 0, 0, 0x0d, 9})
	dns := []netip.Addr{netip.MustParseAddr("10.45.0.1"), netip.MustParseAddr("2001:db8::53"), netip.MustParseAddr("9.9.9.9")}
	for i := range byte(6) {
		dns = append(dns, netip.AddrFrom4([4]byte{192, 0, 2, i}), netip.AddrFrom16([16]byte{0x20, 1, 15: i}))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		was := bytes.Clone(b)
		out := answerPCO(b, dns, 1400)
		if !bytes.Equal(b, was) || !bytes.Equal(out, answerPCO(b, dns, 1400)) {
			t.Fatal("what was asked is changed, or the answer is another the second time")
		}
		if out == nil {
			return
		}
		asked := map[eps.ContainerID]bool{}
		for c := range eps.PCO(b).Units(eps.Uplink) {
			asked[c] = true
		}
		n := 1
		for c, v := range eps.PCO(out).Units(eps.Downlink) {
			n += 3 + len(v)
			if !asked[c] {
				t.Fatalf("container %v was not asked for in %x", c, b)
			}
			if c == pcoMTU4 && !bytes.Equal(v, []byte{0x05, 0x78}) || c == pcoDNS4 && len(v) != 4 || c == pcoDNS6 && len(v) != 16 || c == pcoIPCP && (v[0] != ipcpNak || int(binary.BigEndian.Uint16(v[2:])) != len(v)) {
				t.Fatalf("container %v: %x", c, v)
			}
		}
		if n != len(out) || n > 251 || out[0] != 0x80 {
			t.Fatalf("%x: %d octets of %d are units", out, n, len(out))
		}
		for _, a := range eps.PCO(out).DNS() {
			if !slices.Contains(dns, a) {
				t.Fatalf("%v is no name server of ours", a)
			}
		}
	})
}

// TestPCOAnswersIPCP: what Android and iOS ask is answered by both containers.
func TestPCOAnswersIPCP(t *testing.T) {
	asked := []byte{0x80, 0x80, 0x21, 16, 1, 7, 0, 16, 129, 6, 0, 0, 0, 0, 131, 6, 0, 0, 0, 0, 0, 0x0d, 0, 0, 0x0a, 0}
	dns := []netip.Addr{netip.MustParseAddr("10.45.0.1"), netip.MustParseAddr("9.9.9.9")}
	want := []byte{0x80, 0x80, 0x21, 16, 3, 7, 0, 16, 129, 6, 10, 45, 0, 1, 131, 6, 9, 9, 9, 9, 0, 0x0d, 4, 10, 45, 0, 1, 0, 0x0d, 4, 9, 9, 9, 9}
	if got := answerPCO(asked, dns, 1400); !bytes.Equal(got, want) {
		t.Errorf("%x\nwant %x", got, want)
	}
	for _, b := range [][]byte{nil, {0x80}, {0x00, 0, 0x0d, 0}, {0x80, 0, 0x0d, 9}} {
		if got := answerPCO(b, dns, 1400); got != nil {
			t.Errorf("%x is answered %x", b, got)
		}
	}
}

func TestPoolLeasesFreshThenOldest(t *testing.T) {
	p := newPool([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/29")}, netip.MustParseAddr("10.0.0.1"))
	var got []netip.Addr
	for {
		a, ok := p.lease(holder{})
		if !ok {
			break
		}
		got = append(got, a)
	}
	if len(got) != 5 || got[0] != netip.MustParseAddr("10.0.0.2") || got[4] != netip.MustParseAddr("10.0.0.6") {
		t.Fatalf("leased %v", got)
	}
	p.release(got[3])
	p.release(got[1])
	p.release(got[1])
	p.release(netip.MustParseAddr("10.0.0.7"))
	if a, _ := p.lease(holder{}); a != got[3] {
		t.Errorf("got %v, want %v, given back longest ago", a, got[3])
	}
	if p.inUse() != 4 {
		t.Errorf("%d in use", p.inUse())
	}
}
