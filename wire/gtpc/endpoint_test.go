package gtpc_test

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/internal/memnet"
	"campanile.network/wire/gtpc"
	"github.com/wmnsk/go-gtp/gtpv2/ie"
)

var (
	mmeAddr = netip.MustParseAddrPort("10.0.0.1:2123")
	gwAddr  = netip.MustParseAddrPort("10.0.0.2:2123")
)

// start runs an endpoint in the bubble and ends it with the test.
func start(t *testing.T, n *memnet.Network, at netip.AddrPort, o gtpc.Options) *gtpc.Endpoint {
	t.Helper()
	c, err := n.Listen(at)
	if err != nil {
		t.Fatal(err)
	}
	o.Conn = c
	o.Logger = slog.New(slog.DiscardHandler)
	if o.Handler == nil {
		o.Handler = gtpc.HandlerFunc(func(netip.AddrPort, *gtpc.Message) *gtpc.Message { return nil })
	}
	e, err := gtpc.NewEndpoint(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return e
}

// counting answers every request with cause 16 and counts calls.
func counting(calls *int) gtpc.Handler {
	return gtpc.HandlerFunc(func(_ netip.AddrPort, m *gtpc.Message) *gtpc.Message {
		*calls++
		return gtpc.New(m.Type.Answer(), 7, gtpc.CauseIE(nil))
	})
}

func TestLostRequestIsSentAgainEveryT3(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls, copies := 0, 0
		n := memnet.New(func(from, _ netip.AddrPort, _ []byte) int {
			if from == mmeAddr {
				if copies++; copies <= 3 {
					return 0
				}
			}
			return 1
		})
		start(t, n, gwAddr, gtpc.Options{Handler: counting(&calls)})
		mme := start(t, n, mmeAddr, gtpc.Options{})
		began := time.Now()
		res, err := mme.Request(t.Context(), gwAddr, gtpc.New(gtpc.ReleaseAccessBearersRequest, 1))
		if err != nil || res.Check() != nil || res.TEID != 7 {
			t.Fatalf("%+v, %v", res, err)
		}
		if d := time.Since(began); d != 9*time.Second {
			t.Errorf("answered after %v, want 9 s: the fourth copy at three times T3", d)
		}
		if calls != 1 || mme.Stats().Retransmitted != 3 {
			t.Errorf("%d calls, %d retransmissions", calls, mme.Stats().Retransmitted)
		}
	})
}

func TestSilentPeerIsGivenUpAfterN3(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mme := start(t, memnet.New(nil), mmeAddr, gtpc.Options{})
		began := time.Now()
		_, err := mme.Request(t.Context(), gwAddr, gtpc.New(gtpc.CreateSessionRequest, 0))
		if !errors.Is(err, gtpc.ErrNoAnswer) || time.Since(began) != 12*time.Second {
			t.Fatalf("%v after %v", err, time.Since(began))
		}
		if s := mme.Stats(); s.Sent != 4 {
			t.Errorf("%d datagrams sent, want 1+N3 = 4", s.Sent)
		}
	})
}

func TestRepeatedRequestGetsTheSameAnswerOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls, lost := 0, false
		n := memnet.New(func(from, _ netip.AddrPort, _ []byte) int {
			if from == gwAddr && !lost {
				lost = true
				return 0 // the first answer is lost
			}
			return 2 // everything else arrives twice
		})
		gw := start(t, n, gwAddr, gtpc.Options{Handler: counting(&calls)})
		mme := start(t, n, mmeAddr, gtpc.Options{})
		for range 5 {
			if _, err := mme.Request(t.Context(), gwAddr, gtpc.New(gtpc.CreateSessionRequest, 0)); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if calls != 5 {
			t.Errorf("handler called %d times for 5 requests", calls)
		}
		if d := gw.Stats().Dropped[gtpc.DropRepeated]; d < 5 {
			t.Errorf("%d copies counted as repeated, want at least 5", d)
		}
		if d := mme.Stats().Dropped[gtpc.DropUnasked]; d < 5 {
			t.Errorf("%d duplicate answers counted as unasked, want at least 5", d)
		}
	})
}

func TestAnswerFromAnotherAddressIsNotBelieved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New(nil)
		stranger, err := n.Listen(netip.MustParseAddrPort("10.0.0.66:2123"))
		if err != nil {
			t.Fatal(err)
		}
		gw, err := n.Listen(gwAddr)
		if err != nil {
			t.Fatal(err)
		}
		mme := start(t, n, mmeAddr, gtpc.Options{})
		go func() {
			buf := make([]byte, 100)
			k, _, err := gw.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			m, _ := gtpc.Parse(buf[:k])
			res := gtpc.New(gtpc.DeleteSessionResponse, 1, gtpc.CauseIE(nil))
			res.Seq = m.Seq
			b, _ := res.Marshal()
			stranger.WriteToUDPAddrPort(b, mmeAddr)
		}()
		if _, err := mme.Request(t.Context(), gwAddr, gtpc.New(gtpc.DeleteSessionRequest, 1)); !errors.Is(err, gtpc.ErrNoAnswer) {
			t.Fatalf("err = %v, want no answer", err)
		}
		if mme.Stats().Dropped[gtpc.DropUnasked] != 1 {
			t.Error("the stranger's answer was not counted")
		}
	})
}

func TestPeerRestartIsNoticedByEchoOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New(nil)
		var restarts []uint8
		mme := start(t, n, mmeAddr, gtpc.Options{OnPeerRestart: func(a netip.Addr, c uint8) {
			if a != gwAddr.Addr() {
				t.Errorf("restart of %v", a)
			}
			restarts = append(restarts, c)
		}})
		mme.Watch(gwAddr.Addr())
		run := func(counter uint8, d time.Duration) {
			c, err := n.Listen(gwAddr)
			if err != nil {
				t.Fatal(err)
			}
			gw, err := gtpc.NewEndpoint(gtpc.Options{Conn: c, Handler: counting(new(int)), RestartCounter: counter, Logger: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), d)
			defer cancel()
			if err := gw.Serve(ctx); err != nil {
				t.Error(err)
			}
		}
		run(5, 150*time.Second)
		if len(restarts) != 0 {
			t.Fatalf("restart seen on first contact: %v", restarts)
		}
		run(6, 150*time.Second)
		if len(restarts) != 1 || restarts[0] != 6 {
			t.Fatalf("restarts %v, want one, to 6", restarts)
		}
	})
}

func TestPathDownAndUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		on := true
		n := memnet.New(func(_, _ netip.AddrPort, _ []byte) int {
			if on {
				return 1
			}
			return 0
		})
		var seen []bool
		start(t, n, gwAddr, gtpc.Options{EchoEvery: -1})
		mme := start(t, n, mmeAddr, gtpc.Options{EchoEvery: -1, OnPath: func(_ netip.Addr, up bool) { seen = append(seen, up) }})
		echo := func() { mme.Echo(t.Context(), gwAddr) }
		echo()
		on = false
		echo()
		echo()
		on = true
		echo()
		if len(seen) != 2 || seen[0] || !seen[1] {
			t.Fatalf("path events %v, want down then up", seen)
		}
	})
}

func TestVersionThreeIsToldTheVersionSupported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New(nil)
		gw := start(t, n, gwAddr, gtpc.Options{})
		c, err := n.Listen(mmeAddr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.WriteToUDPAddrPort([]byte{0x68, 32, 0, 8, 0, 0, 0, 0, 0, 0, 1, 0}, gwAddr)
		buf := make([]byte, 100)
		k, _, err := c.ReadFromUDPAddrPort(buf)
		if err != nil {
			t.Fatal(err)
		}
		if m, err := gtpc.Parse(buf[:k]); err != nil || m.Type != gtpc.VersionNotSupported {
			t.Fatalf("%+v, %v", m, err)
		}
		for _, b := range [][]byte{{}, {0x48}, {0x40, 250, 0, 4, 0, 0, 0, 0}, {0x48, 32, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0},
			{0x40, 1, 0, 8, 0, 0, 0, 0, 3, 0, 9, 0}, {0x68, 3, 0, 4, 0, 0, 0, 0}} {
			c.WriteToUDPAddrPort(b, gwAddr)
		}
		synctest.Wait()
		want := map[gtpc.Drop]uint64{gtpc.DropVersion: 2, gtpc.DropShort: 2, gtpc.DropUnknownType: 1, gtpc.DropLength: 1, gtpc.DropMalformed: 1}
		got := gw.Stats().Dropped
		for d, n := range want {
			if got[d] != n {
				t.Errorf("dropped %v: %d, want %d", d, got[d], n)
			}
		}
		if gw.Stats().Sent != 1 {
			t.Errorf("%d datagrams sent in all, want the one indication", gw.Stats().Sent)
		}
	})
}

func TestServeEndsWaitingRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := memnet.New(nil).Listen(mmeAddr)
		if err != nil {
			t.Fatal(err)
		}
		e, err := gtpc.NewEndpoint(gtpc.Options{Conn: c, Handler: counting(new(int)), Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		got := make(chan error)
		go func() {
			_, err := e.Request(t.Context(), gwAddr, gtpc.New(gtpc.CreateSessionRequest, 0))
			got <- err
		}()
		go func() { got <- e.Serve(ctx) }()
		synctest.Wait()
		cancel()
		a, b := <-got, <-got
		if a == nil {
			a = b
		}
		if !errors.Is(a, gtpc.ErrClosed) {
			t.Fatalf("request ended with %v", a)
		}
	})
}

func TestPrivateExtensionComesBack(t *testing.T) {
	p := gtpc.Private{Ticket: []byte("ticket"), Segment: []byte("segment")}
	e, err := p.IE()
	if err != nil {
		t.Fatal(err)
	}
	b, err := gtpc.New(gtpc.ModifyBearerRequest, 9, ie.NewPrivateExtension(10415, []byte{1, 2}), e).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	m, err := gtpc.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	q, err := gtpc.ParsePrivate(m.IEs)
	if err != nil || string(q.Ticket) != "ticket" || string(q.Segment) != "segment" {
		t.Fatalf("%q, %v", q, err)
	}
	for name, raw := range map[string][]byte{
		"cut off": {0, 1, 0, 9, 1}, "left over": {0, 1, 0}, "twice": {0, 1, 0, 1, 5, 0, 1, 0, 1, 5},
	} {
		if _, err := gtpc.ParsePrivate([]*ie.IE{ie.NewPrivateExtension(gtpc.Enterprise, raw)}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := (gtpc.Private{Ticket: make([]byte, 1025)}).IE(); err == nil {
		t.Error("an oversized ticket was taken")
	}
}

func TestDeepNestingIsRefused(t *testing.T) {
	b := []byte{}
	for range 200 {
		b = append([]byte{ie.BearerContext, byte(len(b) >> 8), byte(len(b)), 0}, b...)
	}
	raw := append([]byte{0x48, 32, byte((len(b) + 8) >> 8), byte(len(b) + 8), 0, 0, 0, 0, 0, 0, 1, 0}, b...)
	if _, err := gtpc.Parse(raw); !errors.Is(err, gtpc.ErrIE) {
		t.Fatalf("err = %v", err)
	}
}

func FuzzParse(f *testing.F) {
	p, _ := gtpc.Private{Ticket: []byte("t"), Segment: []byte("s")}.IE()
	for _, m := range []*gtpc.Message{
		{Type: gtpc.EchoRequest, IEs: []*ie.IE{ie.NewRecovery(1)}},
		gtpc.New(gtpc.CreateSessionRequest, 0, ie.NewIMSI("001010123456789"), ie.NewAccessPointName("internet"), p,
			ie.NewBearerContext(ie.NewEPSBearerID(5), ie.NewBearerQoS(1, 8, 0, 9, 0, 0, 0, 0))),
		gtpc.New(gtpc.ModifyBearerResponse, 3, gtpc.CauseIE(gtpc.Refuse(gtpc.MandatoryIEMissing, 93, ""))),
	} {
		b, err := m.Marshal()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := gtpc.Parse(b)
		if err != nil {
			return
		}
		_ = m.Check()
		_, _ = gtpc.ParsePrivate(m.IEs)
		out, err := m.Marshal()
		if err != nil {
			t.Fatalf("parsed but not marshalled: %v", err)
		}
		again, err := gtpc.Parse(out)
		if err != nil || again.Type != m.Type || again.TEID != m.TEID || again.Seq != m.Seq || len(again.IEs) != len(m.IEs) {
			t.Fatalf("second parse differs: %+v, %v", again, err)
		}
	})
}
