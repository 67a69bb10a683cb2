package gateway

import (
	"bytes"
	"log/slog"
	"net/netip"
	"testing"

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
	g, err := New(Options{S11Conn: listen("127.0.0.30:2123"), S1U: netip.MustParseAddr("127.0.0.30"), Path: p, AllowUnsettled: true, MaxSessions: 8, Logger: quiet})
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

// FuzzS11 gives the handler any message: it answers requests it knows with a
// cause, keeps its tables in step, and never panics.
func FuzzS11(f *testing.F) {
	t, _ := gtpc.Private{Ticket: []byte("t"), Segment: []byte("s")}.IE()
	for _, m := range []*gtpc.Message{
		createMessage(f, "001010123456789"),
		gtpc.New(gtpc.ModifyBearerRequest, 0x100000, gtpc.BearerContext(0, gtpc.EBI(5), gtpc.FTEID{TEID: 5, Addr: netip.MustParseAddr("127.0.0.12")}.IE(0)), t),
		gtpc.New(gtpc.ReleaseAccessBearersRequest, 0x100000),
		gtpc.New(gtpc.DownlinkDataNotFailure, 0x100000),
		gtpc.New(gtpc.DeleteSessionRequest, 0x100000, gtpc.EBI(5)),
	} {
		b, err := m.Marshal()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		g := idleGateway(t)
		peer := netip.MustParseAddrPort("127.0.0.20:2123")
		g.handle(peer, createMessage(t, "001010000000001"))
		m, err := gtpc.Parse(b)
		if err != nil || m.Type.Answer() == 0 && m.Type != gtpc.DownlinkDataNotFailure {
			return
		}
		if m.HasTEID && m.TEID == 0x100000 {
			for t := range g.ues {
				m.TEID = t // the phone that is there
			}
		}
		res := g.handle(peer, m)
		if res != nil {
			if _, err := res.Marshal(); err != nil {
				t.Fatalf("answer cannot be sent: %v", err)
			}
		}
		n := 0
		for _, u := range g.ues {
			n += len(u.sessions)
			if len(u.sessions) == 0 {
				t.Error("a phone without sessions is kept")
			}
		}
		live := 0
		for _, s := range g.sessions {
			if !s.ended {
				live++
			}
		}
		if n != live || g.networks[0].v4.inUse() != len(g.sessions) || g.teids.InUse() != len(g.sessions) || g.ctrl.InUse() != len(g.ues) {
			t.Errorf("%d by phone, %d live, %d leases, %d TEIDs, %d control TEIDs of %d phones", n, live, g.networks[0].v4.inUse(), g.teids.InUse(), g.ctrl.InUse(), len(g.ues))
		}
	})
}

func FuzzPCO(f *testing.F) {
	f.Add([]byte{0x80, 0, 0x0d, 0, 0x80, 0x21, 16, 1, 7, 0, 16, 129, 6, 0, 0, 0, 0, 131, 6, 0, 0, 0, 0, 0, 0x10, 0})
	dns := []netip.Addr{netip.MustParseAddr("10.45.0.1"), netip.MustParseAddr("9.9.9.9")}
	f.Fuzz(func(t *testing.T, b []byte) {
		if out := answerPCO(b, dns, 1400); len(out) > 251 {
			t.Errorf("%d octets", len(out))
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
