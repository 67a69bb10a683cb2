package town

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"campanile.network/billing/settle"
	"campanile.network/hss-chain/ledger"
	"campanile.network/internal/logs"
	"campanile.network/internal/peertls"
	"campanile.network/wire/home"
	"campanile.network/wire/proof"
	"campanile.network/wire/usage"
)

// What follows is for roles in a process of their own: the ways to the others.

// identity is what this process shows to the holder of want: the operator's
// key where it has it, otherwise its own with what admits it.
func (t *Town) identity(want [32]byte) (*tls.Config, error) {
	switch {
	case t.keys.held["operator"]:
		return peertls.Client(t.keys.operator.Ed25519(), want)
	case t.keys.held["gateway"]:
		pass, err := t.cfg.pass()
		if err != nil {
			return nil, err
		}
		return peertls.ClientWith(t.keys.gateway.Ed25519(), pass, want)
	}
	return peertls.Client(t.keys.tower.Ed25519(), want)
}

// dial opens a connection to the holder of want. A peer that went without a
// word is noticed within half a minute, and pauses between attempts are short:
// who comes back is wanted back.
func (t *Town) dial(to string, want [32]byte) (*grpc.ClientConn, error) {
	tls, err := t.identity(want)
	if err != nil {
		return nil, err
	}
	c, err := grpc.NewClient("dns:///"+to, grpc.WithTransportCredentials(credentials.NewTLS(tls)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 20 * time.Second, Timeout: 10 * time.Second}),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.Config{BaseDelay: 500 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 5 * time.Second}, MinConnectTimeout: 5 * time.Second}))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", to, err)
	}
	t.onEnd("connection to "+to, c.Close)
	return c, nil
}

// followLedger keeps a copy of the ledger that hss-chain serves. A copy on
// disk is enough to begin: nobody waits for the chain.
func (t *Town) followLedger(ctx context.Context) error {
	if err := t.checkPass(); err != nil {
		return err
	}
	if err := os.MkdirAll(t.cfg.path("follow"), 0o700); err != nil {
		return err
	}
	m, err := ledger.Open(ledger.Options{Path: t.cfg.path("follow", t.name+".db")})
	if err != nil {
		return inUse(t.cfg.HomePath, err)
	}
	t.model = m
	far := &away{model: m, at: t.cfg.Peers.HSS}
	t.away.Store(far)
	t.onEnd("ledger", m.Close)
	c, err := t.dial(t.cfg.Peers.HSS, t.hssKey)
	if err != nil {
		return err
	}
	t.cash = distant{c, m}
	w := m.Watch()
	defer w.Close()
	log := t.role("ledger")
	t.serve("ledger follower", func(ctx context.Context) error {
		for ctx.Err() == nil {
			err := ledger.Follow(ctx, c, m)
			if ctx.Err() != nil {
				break
			}
			why := peertls.InWords(err)
			if peertls.Refused(err) {
				why = t.refused("hss-chain")
			}
			if far.set(why) {
				log.Warn("hss-chain is away", logs.Peer, t.cfg.Peers.HSS, logs.Error, why)
			}
			rest(ctx, 2*time.Second)
		}
		return nil
	})
	for waiting := false; ; waiting = true {
		id, height, _ := m.Head()
		if _, ok := m.OperatorByKey(t.operatorKey); ok {
			t.chainID = id
			return nil
		}
		if !waiting || height > 0 {
			log.Info("waiting for the ledger to know this operator", logs.Height, height)
		}
		if _, err := w.Next(ctx); err != nil {
			return err
		}
	}
}

// distant is the chain behind another process.
type distant struct {
	conn  *grpc.ClientConn
	model *ledger.Model
}

func (d distant) Settle(ctx context.Context, voucher []byte) (settle.Settled, error) {
	n, paid, owing, err := ledger.SettleOver(ctx, d.conn, voucher)
	return settle.Settled{Channel: n, Paid: paid, Owing: owing}, err
}

// Claim is refused: the owner's account key is with hss-chain.
func (d distant) Claim(context.Context) (proof.Amount, error) {
	return proof.Amount{}, errors.New("claim where the owner's key is: campanile claim asks the hss-chain process")
}

func (d distant) Report(ctx context.Context, statement []byte) error {
	return ledger.ReportOver(ctx, d.conn, statement)
}

func (d distant) Promised(channel uint64) (proof.Amount, bool) { return promised(d.model, channel) }

// dialHome finds the home server.
func (t *Town) dialHome(context.Context) error {
	c, err := t.dial(t.cfg.Peers.HSS, t.hssKey)
	if err == nil {
		t.home, t.directory = home.NewClient(c), home.NewDirectoryClient(c)
	}
	return err
}

// dialMeter finds the meter.
func (t *Town) dialMeter(context.Context) error {
	c, err := t.dial(t.cfg.Peers.Billing, t.operatorKey)
	if err != nil {
		return err
	}
	far := &farMeter{Client: usage.NewClient(c), conn: c, at: t.cfg.Peers.Billing, since: time.Now()}
	t.sink = far
	t.serve("way to billing", far.follow)
	return nil
}

// farMeter is the meter in another process, and whether it is there.
type farMeter struct {
	*usage.Client
	conn *grpc.ClientConn
	at   string

	mu    sync.Mutex
	there bool
	since time.Time // that it is not
	why   string    // the last report failed; may be empty
}

// Report implements usage.Sink.
func (m *farMeter) Report(ctx context.Context, records []usage.Record) error {
	err := m.Client.Report(ctx, records)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.why = ""; err != nil {
		m.why = peertls.InWords(err)
	}
	return err
}

// follow keeps the connection open, also when there is nothing to report.
func (m *farMeter) follow(ctx context.Context) error {
	for {
		s := m.conn.GetState()
		m.mu.Lock()
		if up := s == connectivity.Ready; up != m.there {
			m.there, m.since, m.why = up, time.Now(), ""
		}
		m.mu.Unlock()
		if s == connectivity.Idle {
			m.conn.Connect()
		}
		if !m.conn.WaitForStateChange(ctx, s) {
			return nil
		}
	}
}

func (m *farMeter) text() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case !m.there && m.why == "":
		return fmt.Sprintf("at %s is away since %s: is campanile billing running there?", m.at, m.since.Format(time.TimeOnly))
	case !m.there:
		return fmt.Sprintf("at %s is away since %s: %s", m.at, m.since.Format(time.TimeOnly), m.why)
	case m.why != "":
		return fmt.Sprintf("at %s does not take reports: %s", m.at, m.why)
	}
	return "at " + m.at + " is there"
}

// only admits unary calls of the operator's key and of its gateway: streams
// check their callers themselves.
func only(key [32]byte) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, q any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		p, err := peertls.PeerOf(ctx)
		if err != nil || p.Key != key && p.Role(key) != "gateway" {
			return nil, status.Error(codes.PermissionDenied, "not this operator's gateway")
		}
		return next(ctx, q)
	}
}

// away remembers why the ledger's follower is without hss-chain, and since when.
type away struct {
	model *ledger.Model
	at    string // where hss-chain should be

	mu          sync.Mutex
	why         string
	head        int64
	since, told time.Time
}

// set says whether it is worth a line: the same again is not, for a minute.
func (a *away) set(why string) bool {
	_, head, _ := a.model.Head()
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	same := a.why != "" && a.head == head
	if !same {
		a.since = now
	}
	if same && a.why == why && now.Sub(a.told) < time.Minute {
		return false
	}
	a.why, a.head, a.told = why, head, now
	return true
}

// text says so, unless a block has come since.
func (a *away) text() string {
	_, head, _ := a.model.Head()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.why == "" || head > a.head {
		return ", from hss-chain at " + a.at
	}
	return fmt.Sprintf("; hss-chain at %s is away since %s: %s", a.at, a.since.Format(time.TimeOnly), a.why)
}
