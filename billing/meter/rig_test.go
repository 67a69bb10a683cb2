package meter_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/billing/meter"
	"campanile.network/wire/link"
	"campanile.network/wire/proof"
	"campanile.network/wire/usage"
)

const chainID = "campanile-test"

// ledger is a ledger in memory.
type ledger struct {
	mu       sync.Mutex
	towers   map[proof.TowerKey]bool
	nodes    map[proof.NodeKey]proof.OperatorKey
	channels map[proof.TowerKey]meter.Channel
}

func (l *ledger) Tower(k proof.TowerKey) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.towers[k]
}

func (l *ledger) HomeNode(h proof.OperatorKey, n proof.NodeKey) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.nodes[n] == h
}
func (l *ledger) Channel(_ proof.OperatorKey, t proof.TowerKey) (meter.Channel, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c, ok := l.channels[t]
	return c, ok
}

// edit changes the channel to a tower, or makes it; a change that leaves id 0
// removes it.
func (l *ledger) edit(t proof.TowerKey, f func(*meter.Channel)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.channels[t]
	f(&c)
	delete(l.channels, t)
	if c.ID != 0 {
		l.channels[t] = c
	}
}

// world is one operator that is home and serving network at once, and a tower.
type world struct {
	t        *testing.T
	ledger   *ledger
	operator proof.SigningKey
	node     proof.SigningKey
	tower    proof.TowerKey
	path     string
	meter    *meter.Meter
	stop     func()
	options  meter.Options
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, operator: proof.NewSigningKey(), node: proof.NewSigningKey(), tower: proof.NewSigningKey().Public(), path: filepath.Join(t.TempDir(), "meter.db")}
	prices := proof.Prices{PerGB: proof.AmountOf(1_000_000_000_000_000_000), PerMinute: proof.AmountOf(60_000), PerMessage: proof.AmountOf(5)}
	reserve, err := prices.Charge(proof.Carried{Bytes: 50_000_000})
	if err != nil {
		t.Fatal(err)
	}
	w.ledger = &ledger{towers: map[proof.TowerKey]bool{w.tower: true}, nodes: map[proof.NodeKey]proof.OperatorKey{w.node.Public(): w.operator.Public()},
		channels: map[proof.TowerKey]meter.Channel{w.tower: {ID: 7, Prices: prices, Reserve: reserve}}}
	w.options = meter.Options{Operator: w.operator, ChainID: chainID, Ledger: w.ledger, Path: w.path}
	w.start()
	t.Cleanup(func() { w.stop() })
	return w
}

func (w *world) start() {
	w.t.Helper()
	m, err := meter.New(w.options)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.Serve(ctx) }()
	w.meter = m
	w.stop = func() {
		cancel()
		if err := errors.Join(<-done, m.Close()); err != nil {
			w.t.Error(err)
		}
		w.stop = func() {}
	}
}

// restart ends the meter and starts it on the same store.
func (w *world) restart() { w.stop(); w.start() }

func (w *world) ticket(n byte, octets uint64) proof.Ticket {
	now := time.Now().Truncate(time.Second)
	return proof.Ticket{ChainID: chainID, ID: proof.TicketID{n}, Home: w.operator.Public(), Node: w.node.Public(), Serving: w.operator.Public(),
		Class: proof.Proven, NotBefore: now.Add(-time.Second), NotAfter: now.Add(6 * time.Hour), Cap: proof.Carried{Bytes: octets, VoiceMs: 3_600_000, Messages: 100}}
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// record makes a gateway's record of one segment at the world's tower.
func (w *world) record(tk proof.Ticket, no uint32, teid id.TEID) *usage.Record {
	plmn := must[id.PLMN](w.t)(id.ParsePLMN("00101"))
	s := proof.Segment{ChainID: chainID, Ticket: tk.ID, No: no, Tower: w.tower, Cell: proof.EUTRAN(id.ECGI{PLMN: plmn, ECI: 0x19b01}), Start: time.Now()}
	return &usage.Record{Session: uint64(tk.ID[0]), TEID: teid, Ticket: must[[]byte](w.t)(tk.Sign(w.node)), Segment: must[[]byte](w.t)(s.Sign(w.operator))}
}

func (w *world) report(r *usage.Record, ul, dl uint64) {
	w.t.Helper()
	r.UL, r.DL, r.At = ul, dl, time.Now()
	if err := w.meter.Report(w.t.Context(), []usage.Record{*r}); err != nil {
		w.t.Fatal(err)
	}
}

// mast is the tower's end of a link, with what it was told.
type mast struct {
	w        *world
	conn     link.TowerConn
	leave    func()
	mu       sync.Mutex
	terms    []link.Terms
	vouchers []proof.Voucher
	err      error

	confirmed []link.Heard
}

func (w *world) join() *mast {
	ctx, cancel := context.WithCancel(context.Background())
	conn, done := link.Local(ctx, w.meter, w.tower)
	m := &mast{w: w, conn: conn}
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		for {
			msg, err := conn.Recv()
			m.keep(msg, err)
			if err != nil {
				return
			}
		}
	}()
	m.leave = func() { cancel(); <-done; <-heard }
	w.t.Cleanup(m.leave)
	return m
}

func (m *mast) keep(msg link.ToTower, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case err != nil:
		m.err = err
	case msg.Terms != nil:
		m.terms = append(m.terms, *msg.Terms)
	case msg.Heard != nil:
		m.confirmed = append(m.confirmed, *msg.Heard)
	default:
		v, err := proof.OpenVoucher(chainID, m.w.operator.Public(), msg.Voucher)
		if err != nil {
			m.w.t.Error(err)
		}
		m.vouchers = append(m.vouchers, v)
	}
}

// heard is what the tower has been told so far, and why the link ended.
func (m *mast) heard() (terms []link.Terms, vouchers []proof.Voucher, err error) {
	synctest.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.terms), slices.Clone(m.vouchers), m.err
}

func (m *mast) says(epoch uint64, counts ...link.Count) {
	m.w.t.Helper()
	if err := m.conn.Send(link.FromTower{Report: &link.Report{Epoch: epoch, Counts: counts}}); err != nil {
		m.w.t.Fatal(err)
	}
	synctest.Wait()
}

func (m *mast) last() proof.Voucher {
	m.w.t.Helper()
	_, vouchers, _ := m.heard()
	if len(vouchers) == 0 {
		m.w.t.Fatal("no voucher has come")
	}
	return vouchers[len(vouchers)-1]
}

func (w *world) view() meter.TowerView {
	w.t.Helper()
	v := w.meter.Snapshot()
	if len(v.Towers) != 1 {
		w.t.Fatalf("%d towers in the view", len(v.Towers))
	}
	return v.Towers[0]
}
