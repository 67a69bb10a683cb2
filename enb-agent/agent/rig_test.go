package agent_test

import (
	"context"
	"errors"
	"maps"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"

	"campanile.network/3gpp/id"
	"campanile.network/enb-agent/agent"
	"campanile.network/enb-agent/relay"
	"campanile.network/wire/link"
	"campanile.network/wire/proof"
)

const chainID = "campanile-test"

// mast is a relay without a user plane: it carries what it is told to, as far
// as its allowance goes.
type mast struct {
	mu       sync.Mutex
	counts   map[id.TEID]relay.Count
	octets   uint64
	allowed  uint64
	spent    chan struct{}
	refusing bool
	released int
}

func newMast() *mast {
	return &mast{counts: map[id.TEID]relay.Count{}, allowed: ^uint64(0), spent: make(chan struct{}, 1)}
}

func (m *mast) Counts() (list []relay.Count) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range m.counts {
		list = append(list, c)
	}
	return list
}
func (m *mast) Forget(t id.TEID)       { m.mu.Lock(); delete(m.counts, t); m.mu.Unlock() }
func (m *mast) Octets() uint64         { m.mu.Lock(); defer m.mu.Unlock(); return m.octets }
func (m *mast) Allow(n uint64)         { m.mu.Lock(); m.allowed = n; m.mu.Unlock() }
func (m *mast) Spent() <-chan struct{} { return m.spent }
func (m *mast) Refuse(yes bool)        { m.mu.Lock(); m.refusing = yes; m.mu.Unlock() }
func (m *mast) ReleaseAll(ctx context.Context) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.released++
	return 1
}
func (m *mast) state() (refusing bool, octets uint64, released int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.refusing, m.octets, m.released
}

func (m *mast) count(teid id.TEID) relay.Count {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.counts[teid]
}

// carry relays packets of 1000 octets, uplink and downlink by turns, and says
// how many octets went through.
func (m *mast) carry(teid id.TEID, octets uint64) (through uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.counts[teid]
	c.TEID, c.InUse = teid, true
	for n := uint64(0); n < octets; n += 1000 {
		if m.octets+1000 > m.allowed {
			select {
			case m.spent <- struct{}{}:
			default:
			}
			break
		}
		if n/1000%2 == 0 {
			c.UL += 1000
		} else {
			c.DL += 1000
		}
		m.octets += 1000
		through += 1000
	}
	m.counts[teid] = c
	return through
}

// ledger is a ledger in memory.
type ledger struct {
	mu       sync.Mutex
	channels map[uint64]agent.Channel
}

func (l *ledger) Channel(id uint64) (agent.Channel, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c, ok := l.channels[id]
	return c, ok
}

// edit changes a channel, or makes it; a change that leaves id 0 removes it.
func (l *ledger) edit(id uint64, f func(*agent.Channel)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.channels[id]
	f(&c)
	delete(l.channels, id)
	if c.ID != 0 {
		l.channels[c.ID] = c
	}
}

// core is the other end of the link, under the test's hand.
type core struct {
	mu      sync.Mutex
	conn    link.Conn[link.FromTower, link.ToTower]
	down    bool
	joins   int
	greet   []link.ToTower // said to whoever joins
	counts  map[id.TEID]link.Count
	epoch   uint64
	notices []link.Notice
	seen    []link.Seen
}

func (c *core) Join(_ proof.TowerKey, conn link.Conn[link.FromTower, link.ToTower]) error {
	c.mu.Lock()
	if c.down {
		c.mu.Unlock()
		return errors.New("core is down")
	}
	c.conn, c.counts = conn, map[id.TEID]link.Count{}
	c.joins++
	greet := c.greet
	c.mu.Unlock()
	for _, m := range greet {
		if err := conn.Send(m); err != nil {
			return err
		}
	}
	for {
		m, err := conn.Recv()
		if err != nil {
			return err
		}
		c.mu.Lock()
		switch {
		case m.Report != nil:
			c.epoch = m.Report.Epoch
			for _, n := range m.Report.Counts {
				c.counts[n.TEID] = n
			}
		case m.Notice != nil:
			c.notices = append(c.notices, *m.Notice)
		case m.Seen != nil:
			c.seen = append(c.seen, *m.Seen)
		}
		c.mu.Unlock()
	}
}

// now is what the core knows now.
func (c *core) now() (counts map[id.TEID]link.Count, epoch uint64, joins int, seen link.Seen) {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.seen) > 0 {
		seen = c.seen[len(c.seen)-1]
	}
	return maps.Clone(c.counts), c.epoch, c.joins, seen
}

// fall ends the core, or lets it come back.
func (c *core) fall(down bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down = down
}

func (c *core) notice() link.Notice {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.notices) == 0 {
		return link.Notice{}
	}
	return c.notices[len(c.notices)-1]
}

// tower is an agent with everything around it.
type tower struct {
	t        *testing.T
	key      proof.TowerKey
	operator proof.SigningKey
	price    proof.Amount
	ledger   *ledger
	core     *core
	mast     *mast
	agent    *agent.Agent
	options  agent.Options
	cut      context.CancelFunc // ends the link at hand
	stop     func()
}

func newTower(t *testing.T) *tower {
	w := &tower{t: t, key: proof.NewSigningKey().Public(), operator: proof.NewSigningKey(), price: proof.AmountOf(1_000_000_000), core: &core{}, mast: newMast()}
	// One abell an octet, for readable figures.
	w.ledger = &ledger{channels: map[uint64]agent.Channel{7: {ID: 7, Payer: w.operator.Public(), Tower: w.key, Prices: proof.Prices{PerGB: w.price}, Reserve: proof.AmountOf(100_000_000), Open: true}}}
	w.core.greet = []link.ToTower{{Terms: w.terms(7)}}
	w.options = agent.Options{Tower: w.key, Operator: w.operator.Public(), ChainID: chainID, Ledger: w.ledger, Relay: w.mast,
		Path: filepath.Join(t.TempDir(), "agent.db"), Dial: w.dial}
	w.start()
	t.Cleanup(func() { w.stop() })
	return w
}

func (w *tower) dial(ctx context.Context) (link.TowerConn, func(), error) {
	ctx, cancel := context.WithCancel(ctx)
	c, done := link.Local(ctx, w.core, w.key)
	w.cut = cancel
	return c, func() { cancel(); <-done }, nil
}

func (w *tower) start() {
	w.t.Helper()
	a, err := agent.New(w.options)
	if err != nil {
		w.t.Fatal(err)
	}
	w.agent = a
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Serve(ctx) }()
	w.stop = func() {
		cancel()
		if err := errors.Join(<-done, a.Close()); err != nil {
			w.t.Error(err)
		}
		w.stop = func() {}
	}
	synctest.Wait()
}

func (w *tower) terms(channel uint64) *link.Terms {
	return &link.Terms{ChainID: chainID, Channel: channel, Payer: w.operator.Public(), Prices: proof.Prices{PerGB: w.price}, WindowOctets: 4_000_000, WindowPermille: 10}
}

func (w *tower) tell(m link.ToTower) {
	w.t.Helper()
	synctest.Wait()
	w.core.mu.Lock()
	conn := w.core.conn
	w.core.mu.Unlock()
	if err := conn.Send(m); err != nil {
		w.t.Fatal(err)
	}
	synctest.Wait()
}

// voucher signs for octets at the right price.
func (w *tower) voucher(seq, octets uint64) []byte {
	return w.signed(proof.Voucher{ChainID: chainID, Channel: 7, Seq: seq, Amount: proof.AmountOf(octets), Carried: proof.Carried{Bytes: octets}}, w.operator)
}

func (w *tower) signed(v proof.Voucher, k proof.SigningKey) []byte {
	w.t.Helper()
	b, err := v.Sign(k)
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

func inBubble(t *testing.T, f func(t *testing.T, w *tower)) {
	synctest.Test(t, func(t *testing.T) { f(t, newTower(t)) })
}

// count is what the core has heard of one bearer.
func (w *tower) count(teid id.TEID) link.Count {
	counts, _, _, _ := w.core.now()
	return counts[teid]
}
