package town

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"campanile.network/billing/meter"
	"campanile.network/billing/settle"
	"campanile.network/cmd/campanile/metrics"
	"campanile.network/enb-agent/agent"
	"campanile.network/enb-agent/relay"
	"campanile.network/gateway"
	"campanile.network/hss-chain/client"
	"campanile.network/hss-chain/hss"
	"campanile.network/hss-chain/ledger"
	"campanile.network/hss-chain/node"
	"campanile.network/internal/config"
	"campanile.network/internal/logs"
	"campanile.network/mme"
	"campanile.network/mme/trace"
	"campanile.network/sdr/radio"
	"campanile.network/sdr/sim"
	"campanile.network/wire/home"
	"campanile.network/wire/proof"
	"campanile.network/wire/usage"
)

// Ports of the roles on their own addresses. GTP-U's and GTP-C's are not
// signalled, so they are the same everywhere.
const (
	s1apPort = 36412
	gtpcPort = 2123
	gtpuPort = 2152
)

// Town is all roles of one home in one process. Open starts them, Close ends
// them.
type Town struct {
	*stack
	eventLog
	cfg  *Config
	name string // of the role
	set  settings
	keys keys

	operatorKey proof.OperatorKey
	hssKey      proof.NodeKey

	model           *ledger.Model
	chainID         string
	node            *node.Node // nil where the chain is in another process, as is all up to hss
	chain           *client.Client
	operator, owner *client.Account
	halted          chan struct{} // closed when consensus fails by itself
	haltCause       error

	hss       *hss.HSS
	home      home.Home      // hss, or the way to it
	directory home.Directory // of its numbers
	meter     *meter.Meter
	sink      usage.Sink // meter, or the way to it
	cash      bank       // the chain, or the way to it
	gateway   *gateway.Gateway
	path      pathKind // which data path moves packets, and why
	outside   outside
	mme       *mme.MME
	poolEnd
	sipEnd
	agent   *agent.Agent
	relay   *relay.Relay
	settler *settle.Settler

	enb   *sim.ENB
	radio atomic.Pointer[radio.Supervisor] // nil: no real one here
	cards []sim.SIM
	gsmEnd
	phones []*sim.Phone

	wakeMu  sync.Mutex
	wakers  map[chan struct{}]struct{}
	console string // where it listens, once it does
	metrics string // likewise, or why it does not
	sources metrics.Sources
	traces  *trace.Tracer // of the MME
	bound   []string      // what listens where
	doors   []namedDoor

	transports []transport          // of S1AP's ends
	away       atomic.Pointer[away] // of the ledger's follower, where there is one
	opened     atomic.Bool          // what is above does not change any more
}

// readyTimeout is how long the chain may take to its first block.
const readyTimeout = 30 * time.Second

// A step opens one part of a process.
type step func(*Town, context.Context) error

// Roles are the processes there can be, and the steps of each. "up" is all.
func roles() map[string][]step {
	return map[string][]step{
		"up": {(*Town).preflightRadio, (*Town).preflight, (*Town).openAccounts, (*Town).openLedger, (*Town).startChain, (*Town).openHSS, (*Town).register, (*Town).startMeter, (*Town).startLinks,
			(*Town).startGateway, (*Town).startHomeServer, (*Town).startCentre, (*Town).startMME, (*Town).startSIP, (*Town).startAgent, (*Town).startRadio, (*Town).startGSM, (*Town).startSrsran, (*Town).startConsole, (*Town).startMetrics, (*Town).startAdmin, (*Town).startPhones},
		"hss-chain": {(*Town).openAccounts, (*Town).openLedger, (*Town).startChain, (*Town).openHSS, (*Town).register, (*Town).startHomeServer, (*Town).startMetrics, (*Town).startAdmin},
		"billing":   {(*Town).startAdmin, (*Town).followLedger, (*Town).startMeter, (*Town).startLinks, (*Town).startMetrics},
		"gateway":   {(*Town).startAdmin, (*Town).followLedger, (*Town).dialMeter, (*Town).startGateway, (*Town).startMetrics},
		"mme":       {(*Town).startAdmin, (*Town).followLedger, (*Town).dialHome, (*Town).dialCentre, (*Town).startMME, (*Town).startMetrics},
		"sip":       {(*Town).preflightSIP, (*Town).startAdmin, (*Town).followLedger, (*Town).dialHome, (*Town).dialMeter, (*Town).startCentre, (*Town).startSIP, (*Town).startMetrics},
		"enb-agent": {(*Town).preflightRadio, (*Town).startAdmin, (*Town).followLedger, (*Town).startAgent, (*Town).startSrsran, (*Town).startMetrics},
	}
}

// Open starts a role of the home, or with "up" all of them, and registers what
// is not registered yet. The caller ends with Close, also after an error.
func Open(ctx context.Context, cfg *Config, role string, log *slog.Logger) (*Town, error) {
	return open(ctx, cfg, role, log, roles()[role])
}

func open(ctx context.Context, cfg *Config, name string, log *slog.Logger, steps []step) (*Town, error) {
	t, err := newTown(cfg, name, log)
	if err != nil {
		return t, err
	}
	for _, do := range steps {
		if err := do(t, ctx); err != nil {
			return t, err
		}
	}
	t.opened.Store(true)
	return t, nil
}

func newTown(cfg *Config, name string, log *slog.Logger) (*Town, error) {
	t := &Town{stack: newStack(log), cfg: cfg, name: name, wakers: map[chan struct{}]struct{}{}}
	var err error
	if t.set, err = cfg.resolve(); err != nil {
		return t, err
	}
	if err = cfg.mayRun(name); err != nil {
		return t, err
	}
	if t.keys, err = cfg.loadKeys(); err != nil {
		return t, err
	}
	operator, node, err := cfg.publicKeys(t.set, t.keys)
	t.operatorKey, t.hssKey = operator, node
	return t, err
}

// openAccounts reads the keys of the accounts that pay and earn.
func (t *Town) openAccounts(context.Context) (err error) {
	for _, a := range []struct {
		name string
		into **client.Account
	}{{"operator", &t.operator}, {"owner", &t.owner}} {
		file := t.cfg.path("chain", "accounts", a.name+".key")
		if *a.into, err = client.LoadAccount(file); err != nil {
			return &config.Error{File: file, What: err.Error(), Remedy: "restore it from your backup"}
		}
	}
	return nil
}

// Close ends every role, last first.
func (t *Town) Close() error { return t.end() }

// Wait returns when ctx ends or a role has failed.
func (t *Town) Wait(ctx context.Context) error { return t.wait(ctx) }

// Console is where the console listens, or "".
func (t *Town) Console() string { return t.console }

// Listening says what listens where.
func (t *Town) Listening() string { return strings.Join(t.bound, ", ") }

func (t *Town) role(name string) *slog.Logger { return t.log.With(logs.Role, name) }

// openLedger brings the model of the ledger up from its own file: everything
// but the chain itself needs no more.
func (t *Town) openLedger(context.Context) error {
	m, err := ledger.Open(ledger.Options{Path: t.cfg.path("ledger.db")})
	if err != nil {
		return inUse(t.cfg.HomePath, err)
	}
	t.model = m
	t.onEnd("ledger", m.Close)
	n, err := node.New(node.Options{Home: t.cfg.path("chain"), Ledger: m, TimeoutCommit: time.Duration(t.cfg.Chain.BlockInterval),
		RPC: t.cfg.Chain.RPC, P2P: t.cfg.Chain.P2P, GRPC: t.cfg.Chain.GRPC, Logger: t.role("chain")})
	if err != nil {
		return fmt.Errorf("chain: %w", err)
	}
	t.node, t.chain, t.chainID = n, client.New(client.Options{Node: n, Logger: t.role("chain")}), n.ChainID()
	t.cash = cashier{t.chain, t.owner, m}
	return nil
}

func inUse(home string, err error) error {
	return &config.Error{File: home, What: err.Error(), Remedy: "is another campanile running in this home, or was one of its keys exchanged?"}
}

// startChain runs consensus. Only a home whose ledger is new waits for its
// first block; otherwise what the ledger's file says is enough to go on air.
func (t *Town) startChain(ctx context.Context) error {
	t.halted = make(chan struct{})
	t.serve("chain", t.consensus)
	if _, ok := t.model.OperatorByKey(t.operatorKey); ok {
		return nil
	}
	return t.chainReady(ctx)
}

// consensus runs until ctx ends. When it fails by itself, everything else goes
// on: phones stay, octets count, vouchers are posted after a restart.
func (t *Town) consensus(ctx context.Context) error {
	err := t.node.Serve(ctx)
	if ctx.Err() != nil {
		return err
	}
	t.haltCause = err
	close(t.halted)
	t.logEvent("trouble", fmt.Sprintf("consensus has halted: %v", err))
	<-ctx.Done()
	return nil
}

// chainReady waits until the chain takes transactions.
func (t *Town) chainReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	ready := make(chan error, 1)
	go func() { ready <- t.node.Ready(ctx) }()
	select {
	case err := <-ready:
		return t.portTaken(err, "chain.grpc")
	case <-t.halted:
		cancel()
		<-ready
		return t.portTaken(fmt.Errorf("chain: %w", t.haltCause), "chain.grpc")
	}
}

func (t *Town) openHSS(context.Context) error {
	priv, err := hss.NewNodeKey(t.keys.hpke)
	if err != nil {
		return err
	}
	t.hss, err = hss.New(hss.Options{ChainID: t.chainID, Operator: t.operatorKey, Node: t.keys.hss, HPKE: priv, Registry: t.model,
		Store: t.cfg.path("hss.db"), Terms: hss.Terms{Validity: time.Duration(t.cfg.HSS.TicketValidity), Cap: t.ticketCap()}, Log: t.role("hss"),
		Realm: t.cfg.realm(t.set.plmn), AllowCOMP128v1: t.cfg.HSS.AllowCOMP128v1})
	if err != nil {
		return inUse(t.cfg.HomePath, err)
	}
	t.onEnd("hss", t.hss.Close)
	t.home, t.directory = homes{t.model, t.operatorKey, t.hss}, directory{t}
	return nil
}

// portTaken turns "address already in use" into a mistake with a remedy.
func (t *Town) portTaken(err error, key string) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return &config.Error{File: t.cfg.file, Line: config.Line(t.cfg.file, key), What: err.Error(), Remedy: "another program has this port, perhaps a campanile that runs already: stop it, or change " + key}
	}
	if errors.Is(err, syscall.EADDRNOTAVAIL) {
		return &config.Error{File: t.cfg.file, Line: config.Line(t.cfg.file, key), What: err.Error(), Remedy: "this machine does not have that address: change " + key}
	}
	return err
}

// logEvent tells the log and the console what a person wants to know.
func (t *Town) logEvent(kind, text string) {
	t.log.Info(text, "of", kind)
	t.add(kind, text)
	t.wake()
}

// wake tells everybody who watches that something has changed.
func (t *Town) wake() {
	t.wakeMu.Lock()
	defer t.wakeMu.Unlock()
	for c := range t.wakers {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// watch gives a channel that holds a token after a change, until ended.
func (t *Town) watch() (c chan struct{}, end func()) {
	c = make(chan struct{}, 1)
	t.wakeMu.Lock()
	defer t.wakeMu.Unlock()
	t.wakers[c] = struct{}{}
	return c, func() {
		t.wakeMu.Lock()
		defer t.wakeMu.Unlock()
		delete(t.wakers, c)
	}
}
