package agent_test

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"campanile.network/3gpp/id"
	"campanile.network/billing/meter"
	"campanile.network/enb-agent/agent"
	"campanile.network/internal/peertls"
	"campanile.network/wire/link"
	"campanile.network/wire/proof"
	"campanile.network/wire/usage"
)

// books is the ledger as the meter sees it.
type books struct {
	w    *tower
	node proof.NodeKey
}

func (b books) Channel(payer proof.OperatorKey, tower proof.TowerKey) (meter.Channel, bool) {
	b.w.ledger.mu.Lock()
	defer b.w.ledger.mu.Unlock()
	for _, c := range b.w.ledger.channels {
		if c.Payer == payer && c.Tower == tower && c.Open {
			return meter.Channel{ID: c.ID, Prices: c.Prices, Reserve: c.Reserve}, true
		}
	}
	return meter.Channel{}, false
}
func (b books) Tower(t proof.TowerKey) bool { return t == b.w.key }
func (b books) HomeNode(_ proof.OperatorKey, n proof.NodeKey) bool {
	return n == b.node
}

// together is a tower whose core is a real meter, and a gateway at its other
// side that counts what the mast carries.
type together struct {
	*tower
	meter   *meter.Meter
	live    atomic.Pointer[meter.Meter] // the same, for the tower
	options meter.Options
	record  usage.Record
	before  meter.Counts // carried by masts that are gone
	hold    atomic.Bool  // vouchers are withheld on the way
	end     func()
}

// dike is a link that can hold vouchers back.
type dike struct {
	link.TowerConn
	g *together
}

func (d dike) Recv() (link.ToTower, error) {
	for {
		m, err := d.TowerConn.Recv()
		if err != nil || m.Voucher == nil || !d.g.hold.Load() {
			return m, err
		}
	}
}

func newTogether(t *testing.T) *together {
	g := &together{tower: newTower(t)}
	g.stop()
	node := proof.NewSigningKey()
	g.options = meter.Options{Operator: g.operator, ChainID: chainID, Ledger: books{g.tower, node.Public()}, Path: filepath.Join(t.TempDir(), "meter.db"), Every: time.Second}
	g.run()
	t.Cleanup(func() { g.end() })
	g.tower.options.Dial = func(ctx context.Context) (link.TowerConn, func(), error) {
		ctx, cancel := context.WithCancel(ctx)
		c, done := link.Local(ctx, g.live.Load(), g.key)
		return dike{c, g}, func() { cancel(); <-done }, nil
	}
	g.start()
	t.Cleanup(func() { g.stop() })

	plmn, err := id.ParsePLMN("001/01")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	tk := proof.Ticket{ChainID: chainID, ID: proof.TicketID{1}, Home: g.operator.Public(), Node: node.Public(), Serving: g.operator.Public(), Class: proof.Proven,
		NotBefore: now, NotAfter: now.Add(24 * time.Hour), Cap: proof.Carried{Bytes: 1 << 40}}
	sg := proof.Segment{ChainID: chainID, Ticket: tk.ID, No: 1, Tower: g.key, Cell: proof.EUTRAN(id.ECGI{PLMN: plmn, ECI: 1}), Start: now}
	g.record = usage.Record{Session: 1, TEID: 1}
	if g.record.Ticket, err = tk.Sign(node); err != nil {
		t.Fatal(err)
	}
	if g.record.Segment, err = sg.Sign(g.operator); err != nil {
		t.Fatal(err)
	}
	return g
}

func (g *together) run() {
	m, err := meter.New(g.options)
	if err != nil {
		g.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.Serve(ctx) }()
	g.meter = m
	g.live.Store(m)
	g.end = func() {
		cancel()
		if err := errors.Join(<-done, m.Close()); err != nil {
			g.t.Error(err)
		}
		g.end = func() {}
	}
}

// flow carries octets through tower and gateway, in steps with reports between
// as they are in life.
func (g *together) flow(octets uint64) (through uint64) {
	for octets > 0 {
		n := g.mast.carry(1, min(octets, 256_000))
		through, octets = through+n, octets-min(octets, 256_000)
		c := g.mast.count(1)
		g.record.UL, g.record.DL, g.record.At = g.before.UL+c.UL, g.before.DL+c.DL, time.Now()
		if err := g.meter.Report(g.t.Context(), []usage.Record{g.record}); err != nil {
			g.t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return through
}

// A tower and its core with 30 MB between them: service never pauses, and when
// all is said both have counted the same, all of it is promised, and the tower
// holds the promise.
func TestTowerAndMeter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newTogether(t)
		if n := g.flow(30_000_000); n != 30_000_000 {
			t.Fatalf("%d octets went through: %+v", n, g.agent.Snapshot().Notice)
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		a, m := g.agent.Snapshot(), g.meter.Snapshot().Towers[0]
		if m.Gateway != m.Measured || m.Gateway.UL != a.UL || m.Gateway.DL != a.DL || m.Gateway.Sum() != 30_000_000 {
			t.Errorf("counts differ: gateway %+v, tower %+v, agent %d/%d", m.Gateway, m.Measured, a.UL, a.DL)
		}
		if m.Billed.Bytes != 30_000_000 || a.Paid != 30_000_000 || a.Unpaid != 0 || m.Seen != m.Seq || a.Seq != m.Seq || a.Amount != m.Amount || a.Amount != proof.AmountOf(30_000_000) {
			t.Errorf("%+v\n%+v", m, a)
		}
	})
}

// Either side dies in the middle, and the link with it: nothing is lost and
// nothing is counted twice.
func TestDeathsInTheMiddle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newTogether(t)
		for i := range 8 {
			g.flow(1_500_000)
			switch i % 4 {
			case 0:
				g.end()
				g.run()
			case 1: // the agent's process ends with its relay: counting begins anew
				g.stop()
				c := g.mast.count(1)
				g.before = meter.Counts{UL: g.before.UL + c.UL, DL: g.before.DL + c.DL}
				g.mast = newMast()
				g.tower.options.Relay = g.mast
				g.start()
			case 2: // the agent alone ends: its relay counts on
				g.stop()
				g.start()
			case 3: // the core is away while phones go on
				g.end()
				g.mast.carry(1, 200_000)
				time.Sleep(3 * time.Second)
				g.run()
			}
			time.Sleep(3 * time.Second)
		}
		g.flow(1000)
		time.Sleep(time.Minute)
		synctest.Wait()
		a, m := g.agent.Snapshot(), g.meter.Snapshot().Towers[0]
		_, octets, _ := g.mast.state()
		octets += g.before.Sum()
		if m.Gateway.Sum() != octets || m.Measured != m.Gateway || m.Billed.Bytes != octets || a.Paid != octets || a.Unpaid != 0 {
			t.Errorf("%d octets:\n%+v\n%+v", octets, m, a)
		}
	})
}

// Vouchers are held back on the way: the tower stops within its window, the
// core learns why, and both go on when the way is free.
func TestHeldBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newTogether(t)
		g.flow(2_000_000)
		g.hold.Store(true)
		through := g.agent.Snapshot().Unpaid + g.flow(20_000_000)
		if v := g.agent.Snapshot(); through > v.Window || through < v.Window-1500 || v.Serving {
			t.Errorf("%d octets went through unpaid: %+v", through, v)
		}
		synctest.Wait()
		if n := g.meter.Snapshot().Towers[0].Notice; n.Code != link.VouchersLag || !strings.HasPrefix(n.Text, "vouchers lag 4.0 MB behind") {
			t.Errorf("the core knows %+v", n)
		}
		g.hold.Store(false)
		g.end() // its end of the link goes, and with the next one the voucher comes
		g.run()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if n := g.meter.Snapshot().Towers[0].Notice; n.Code != link.Serving {
			t.Errorf("the core knows %+v", n)
		}
		if n := g.flow(3_000_000); n != 3_000_000 {
			t.Errorf("%d octets went through afterwards", n)
		}
	})
}

// Over real sockets: only the operator's key is talked to, only a tower the
// core knows is heard.
func TestDialer(t *testing.T) {
	operator, key := proof.NewSigningKey(), proof.NewSigningKey()
	serve := func(k proof.SigningKey, c link.Core) string {
		config, err := peertls.Server(k.Ed25519(), func(k [32]byte) error {
			if k != key.Public() {
				return errors.New("not a tower of mine")
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s := grpc.NewServer(grpc.Creds(credentials.NewTLS(config)))
		link.Register(s, c)
		done := make(chan error, 1)
		go func() { done <- s.Serve(l) }()
		t.Cleanup(func() { s.Stop(); <-done })
		return l.Addr().String()
	}
	greeting := &core{greet: []link.ToTower{{Voucher: []byte("hello")}}}
	try := func(server, tower proof.SigningKey) error {
		dial, err := agent.Dialer(serve(server, greeting), tower, operator.Public())
		if err != nil {
			t.Fatal(err)
		}
		c, hangUp, err := dial(t.Context())
		if err != nil {
			return err
		}
		defer hangUp()
		_, err = c.Recv()
		return err
	}
	if err := try(operator, key); err != nil {
		t.Error(err)
	}
	if err := try(proof.NewSigningKey(), key); err == nil || !strings.Contains(err.Error(), "peer shows key") {
		t.Errorf("another core: %v", err)
	}
	if err := try(operator, proof.NewSigningKey()); err == nil {
		t.Error("another tower was heard")
	}
}
