package mme

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/enb-agent/relay"
	"campanile.network/gateway"
	"campanile.network/gateway/datapath/userspace"
	"campanile.network/internal/ipstack"
	"campanile.network/internal/loopback"
	"campanile.network/internal/sctp"
	"campanile.network/mme/s11"
	"campanile.network/sdr/sim"
	"campanile.network/wire/proof"
	"campanile.network/wire/usage"
)

// ledgerOf is what the gateway has told of segments, the newest of each.
type ledgerOf struct {
	mu      sync.Mutex
	records map[string]usage.Record
}

func (l *ledgerOf) Report(_ context.Context, rs []usage.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range rs {
		l.records[fmt.Sprint(r.Session, string(r.Segment))] = r
	}
	return nil
}

// site is a tower: an eNB behind a relay of its own.
type site struct {
	enb   *sim.ENB
	relay *relay.Relay
}

// wires are a relay's ends of S1AP: eNBs call, the MME is called.
type wires struct {
	*listener
	mme *listener
}

func (x *wires) Listen(uint16) (sctp.Listener, error) { return x, nil }
func (x *wires) Shutdown(context.Context) error       { return nil }
func (x *wires) Dial(ctx context.Context, to netip.AddrPort, _ sctp.DialOptions) (sctp.Association, error) {
	return x.mme.dial(ctx, sctp.PipeOptions{A: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.12"), 50000), B: to})
}

// run serves until the test ends.
func run(t *testing.T, all *sync.WaitGroup, ctx context.Context, f func(context.Context) error) {
	all.Go(func() {
		if err := f(ctx); err != nil && ctx.Err() == nil {
			t.Errorf("Serve: %v", err)
		}
	})
}

func (w *world) site(t *testing.T, all *sync.WaitGroup, ctx context.Context, n uint32, tac id.TAC, mme *listener) site {
	radio, core, enb := loopback.Addr(t), loopback.Addr(t), loopback.Addr(t)
	user := func(a netip.Addr) relay.PacketConn {
		return must(net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, 2152))))
	}
	x := &wires{&listener{ch: make(chan sctp.Association), closed: make(chan struct{})}, mme}
	s := site{relay: must(relay.New(relay.Options{Radio: x, Core: x, MME: mme.Addr(), RadioUser: user(radio), CoreUser: user(core)}))}
	run(t, all, ctx, s.relay.Serve)
	s.enb = must(sim.NewENB(sim.ENBOptions{ID: id.GlobalENBID{PLMN: testPLMN, Type: id.MacroENB, ID: n}, TAI: id.TAI{PLMN: testPLMN, TAC: tac}, Cell: id.ECI(n<<8 | 1),
		GTPU: netip.AddrPortFrom(enb, 2152)}))
	run(t, all, ctx, func(ctx context.Context) error {
		return s.enb.Serve(ctx, func(ctx context.Context) (sctp.Association, error) {
			return x.dial(ctx, sctp.PipeOptions{A: netip.AddrPortFrom(enb, 36412), B: x.Addr()})
		})
	})
	return s
}

// A phone that downloads is handed over again and again between two towers with a
// relay each, through the MME and over X2: nothing breaks, and the gateway's
// segments, the relays and the phone count the same octets, each at its tower.
func TestHandoversUnderLoad(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	defer all.Wait()
	defer stop()
	quiet := slog.New(slog.DiscardHandler)
	sgw := loopback.Addr(t)
	chunk := make([]byte, 256<<10)
	fwd := must(ipstack.NewForwarder(ipstack.ForwarderOptions{Router: netip.MustParseAddr("10.45.0.1"), Logger: quiet, HTTP: map[uint16]http.Handler{80: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(chunk) })}}))
	path := must(userspace.New(userspace.Options{Local: netip.AddrPortFrom(sgw, 0), Port: fwd, Logger: quiet}))
	told := &ledgerOf{records: map[string]usage.Record{}}
	gw := must(gateway.New(gateway.Options{S11: netip.AddrPortFrom(sgw, 0), S1U: sgw, Path: path, Sink: told, Logger: quiet,
		OpenTicket: func(b []byte) (proof.Ticket, error) { return proof.OpenTicket(testChain, b) }}))
	client := must(s11.New(s11.Options{Local: netip.AddrPortFrom(loopback.Addr(t), 0), Gateway: netip.AddrPortFrom(sgw, 0), Logger: quiet}))
	for _, f := range []func(context.Context) error{fwd.Serve, path.Serve, gw.Serve, client.Serve} {
		run(t, &all, ctx, f)
	}
	l := &listener{ch: make(chan sctp.Association), closed: make(chan struct{})}
	w := serveWorld(t, func(o *Options) { o.Gateway = client }, l)
	defer w.end()
	sites := []site{w.site(t, &all, ctx, 0x19b, 7, l), w.site(t, &all, ctx, 0x19c, 8, l)}
	for _, s := range sites {
		if err := s.enb.WaitReady(ctx); err != nil {
			t.Fatal(err)
		}
	}
	p := w.simPhone(sites[0].enb, sim.PhoneOptions{IP: true})
	defer p.SwitchOff()
	if _, err := p.Attach(ctx); err != nil {
		t.Fatal(err)
	}
	loads := make(chan int)
	done := make(chan struct{})
	go func() {
		web := &http.Client{Transport: &http.Transport{DialContext: p.Host().DialContext, DisableKeepAlives: true}, Timeout: 30 * time.Second}
		n := 0
		for {
			res, err := web.Get("http://10.45.0.1/")
			if err == nil {
				var got []byte
				got, err = io.ReadAll(res.Body)
				res.Body.Close()
				if len(got) != len(chunk) {
					err = fmt.Errorf("%d octets, %w", len(got), err)
				}
			}
			if err != nil {
				t.Errorf("download %d: %v", n, err)
				loads <- n
				return
			}
			n++
			select {
			case <-done:
				loads <- n
				return
			default:
			}
		}
	}()
	moves := 0
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for ; moves < 20; moves++ {
		<-tick.C
		to := sites[(moves+1)%2].enb
		hand := p.HandOver
		if moves%4 < 2 {
			hand = p.HandOverX2
		}
		if err := hand(ctx, to, 0); err != nil {
			t.Fatalf("move %d: %v", moves, err)
		}
	}
	close(done)
	n := <-loads
	total := func() (c relay.Count) {
		for _, s := range sites {
			for _, x := range s.relay.Counts() {
				c.UL, c.DL = c.UL+x.UL, c.DL+x.DL
			}
		}
		return c
	}
	for last := (relay.Count{}); ; { // the last acknowledgements
		<-tick.C
		now := total()
		if ul, dl := p.Counted(); now == last && now.UL == ul && now.DL == dl || ctx.Err() != nil {
			break
		}
		last = now
		if moves++; moves > 200 {
			break // the counts never agree: said below
		}
	}
	if err := p.Detach(ctx, false); err != nil {
		t.Error(err)
	}
	for range 100 {
		<-tick.C
		if gw.Stats().Sessions == 0 && gw.Stats().Unreported == 0 {
			break
		}
	}
	ul, dl := p.Counted()
	c := total()
	byTower := map[proof.TowerKey]relay.Count{}
	var all2 relay.Count
	told.mu.Lock()
	defer told.mu.Unlock()
	for _, r := range told.records {
		s, err := proof.OpenSegment(testChain, w.home.serving, r.Segment)
		if err != nil || !r.Closed {
			t.Errorf("%+v: %v", r, err)
		}
		x := byTower[s.Tower]
		x.UL, x.DL = x.UL+r.UL, x.DL+r.DL
		byTower[s.Tower] = x
		all2.UL, all2.DL = all2.UL+r.UL, all2.DL+r.DL
	}
	t.Logf("%d downloads of %d octets, %d segments; phone up %d down %d, relays %d %d, gateway %d %d, by tower %v", n, len(chunk), len(told.records), ul, dl, c.UL, c.DL, all2.UL, all2.DL, slices.Collect(func(y func(relay.Count) bool) {
		for _, v := range byTower {
			y(v)
		}
	}))
	inTheAir := uint64(20 * 1400) // one packet a handover that the phone sent as it left
	if n == 0 || len(told.records) < 21 || c.UL > ul || ul-c.UL > inTheAir || c.DL != dl || all2.UL != c.UL || all2.DL != c.DL {
		t.Errorf("counts differ, or %d segments and %d downloads", len(told.records), n)
	}
	for i, s := range sites {
		var at relay.Count
		for _, x := range s.relay.Counts() {
			at.UL, at.DL = at.UL+x.UL, at.DL+x.DL
		}
		if g := byTower[w.towers[uint32(0x19b+i)]]; g.DL != at.DL {
			t.Errorf("tower %d: its relay counts %d down, the gateway's segments there %d", i, at.DL, g.DL)
		}
		if st := s.enb.Stats(); st.KeyMismatch.Load()+st.SyntaxErrors.Load() != 0 {
			t.Errorf("tower %d: %d keys differ", i, st.KeyMismatch.Load())
		}
	}
}
