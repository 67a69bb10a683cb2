package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"

	dbm "github.com/cometbft/cometbft-db"
	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cometbft/cometbft/config"
	"github.com/cometbft/cometbft/mempool"
	comet "github.com/cometbft/cometbft/node"
	"github.com/cometbft/cometbft/p2p"
	"github.com/cometbft/cometbft/privval"
	"github.com/cometbft/cometbft/proxy"
	"github.com/cometbft/cometbft/types"
	cosmosdb "github.com/cosmos/cosmos-db"
	"google.golang.org/grpc"

	"github.com/cosmos/cosmos-sdk/baseapp"
	"github.com/cosmos/cosmos-sdk/server"
	servercmtlog "github.com/cosmos/cosmos-sdk/server/log"
	pruningtypes "github.com/cosmos/cosmos-sdk/store/v2/pruning/types"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"campanile.network/hss-chain/app"
)

// What is kept on disk. Blocks older than evidence can be are dropped; states
// are kept for queries a little way back.
const (
	keepBlocks     = 20_000
	keepStates     = 100
	pruneEvery     = 10
	iavlCacheNodes = 100_000
)

// Live is a running node. It is over when Done is closed.
type Live struct {
	// App is read through App.Committed; only the engine writes to it.
	App *app.App

	comet    *comet.Node
	started  bool
	waiting  *waiting
	dbs      *databases
	grpc     *grpc.Server
	grpcAddr net.Addr
	failed   chan error // of the gRPC server or of consensus
	serving  sync.WaitGroup
	empty    bool          // the chain had no block when this run began
	open     chan struct{} // closed by the first block of this run
	stopping *atomic.Bool  // what the engine calls errors now is its stopping
	done     chan struct{}
}

// Done is closed when the node begins to stop.
func (l *Live) Done() <-chan struct{} { return l.done }

// Committed gives the last committed state to read from; before a chain's first
// block it waits for that. Errors: ErrHalted, the context's.
func (l *Live) Committed(ctx context.Context) (sdk.Context, error) {
	if l.empty {
		select {
		case <-l.open:
		case <-l.done:
			return sdk.Context{}, ErrHalted
		case <-ctx.Done():
			return sdk.Context{}, ctx.Err()
		}
	}
	return l.App.Committed()
}

// NextBlock gives a channel that is closed when the next block is committed.
func (l *Live) NextBlock() <-chan struct{} { return l.waiting.nextBlock() }

// GasUsed is what all transactions since the start have used together.
func (l *Live) GasUsed() uint64 { return l.waiting.gasUsed() }

// start opens and starts everything; on an error it closes what it had opened.
func (n *Node) start(ctx context.Context) (_ *Live, err error) {
	l := &Live{
		waiting: &waiting{txs: map[types.TxKey]chan Included{}, next: make(chan struct{})}, dbs: &databases{},
		failed: make(chan error, 2), open: make(chan struct{}), stopping: &atomic.Bool{}, done: make(chan struct{}),
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.stop())
		}
	}()
	cfg := n.config()
	follower := &feed{model: n.Ledger, chainID: n.ChainID(), log: n.Logger, waiting: l.waiting, open: l.open}
	if l.App, err = n.openApp(cfg, follower, logger{n.Logger, l.stopping, l.failed}); err != nil {
		return nil, err
	}
	if err := follower.resync(l.App); err != nil {
		return nil, err
	}
	l.empty = l.App.LastBlockHeight() == 0
	if err := l.startComet(ctx, n, cfg); err != nil {
		return nil, err
	}
	if n.GRPC != "" {
		if err := l.startGRPC(n); err != nil {
			return nil, err
		}
	}
	return l, nil
}

func (n *Node) openApp(cfg *config.Config, f *feed, log logger) (*app.App, error) {
	db, err := cosmosdb.NewGoLevelDB("application", cfg.DBDir(), nil)
	if err != nil {
		return nil, fmt.Errorf("state database in %s: %w", cfg.DBDir(), err)
	}
	a, err := app.New(app.Options{
		Home: n.Home, DB: db, Logger: log, Follower: f,
		Base: []func(*baseapp.BaseApp){
			baseapp.SetChainID(n.ChainID()),
			baseapp.SetPruning(pruningtypes.NewCustomPruningOptions(keepStates, pruneEvery)),
			baseapp.SetMinGasPrices("0" + app.BaseDenom),
			baseapp.SetMinRetainBlocks(keepBlocks),
			baseapp.SetIAVLCacheSize(iavlCacheNodes),
			baseapp.SetIAVLSyncPruning(true), // the other way leaves goroutines behind
		},
	})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return a, nil
}

func (n *Node) config() *config.Config {
	c := config.DefaultConfig()
	c.SetRoot(n.Home)
	c.Moniker = app.Name
	c.DBBackend = "goleveldb"
	c.RPC.ListenAddress, c.RPC.GRPCListenAddress, c.RPC.PprofListenAddress = "", "", ""
	if n.RPC != "" {
		c.RPC.ListenAddress = "tcp://" + n.RPC
	}
	c.P2P.AddrBookStrict, c.P2P.AllowDuplicateIP = false, true
	c.P2P.ListenAddress = "tcp://" + n.P2P
	if n.P2P == "" {
		c.P2P.ListenAddress = "tcp://127.0.0.1:0"
		c.P2P.MaxNumInboundPeers, c.P2P.MaxNumOutboundPeers, c.P2P.PexReactor = 0, 0, false
	}
	c.Consensus.TimeoutCommit = n.TimeoutCommit
	c.TxIndex.Indexer = "null" // it is never pruned; whoever submits is told by the feed
	c.Instrumentation.Prometheus = false
	return c
}

func (l *Live) startComet(ctx context.Context, n *Node, cfg *config.Config) error {
	nodeKey, err := p2p.LoadNodeKey(cfg.NodeKeyFile())
	if err != nil {
		return fmt.Errorf("node key: %w", err)
	}
	// New has checked that both files exist: this function would end the process.
	validator := privval.LoadFilePV(cfg.PrivValidatorKeyFile(), cfg.PrivValidatorStateFile())
	l.comet, err = comet.NewNodeWithContext(ctx, cfg, validator, nodeKey,
		proxy.NewLocalClientCreator(server.NewCometABCIWrapper(l.App)),
		func() (*types.GenesisDoc, error) { return n.genesis, nil },
		l.dbs.open, comet.DefaultMetricsProvider(cfg.Instrumentation),
		servercmtlog.CometLoggerWrapper{Logger: logger{n.Logger, l.stopping, l.failed}})
	if err != nil {
		return fmt.Errorf("engine: %w", err)
	}
	if err := l.comet.Start(); err != nil {
		return fmt.Errorf("engine: %w", err)
	}
	l.started = true
	return nil
}

// stop ends what runs and closes what is open, in the reverse order.
func (l *Live) stop() error {
	close(l.done)
	l.stopping.Store(true)
	if l.grpc != nil {
		l.grpc.Stop()
		l.serving.Wait()
	}
	var errs []error
	switch {
	case l.comet == nil:
	case l.comet.IsRunning():
		errs = append(errs, l.comet.Stop())
		l.comet.Wait()
	case !l.started: // what making it has started must still be stopped
		l.comet.OnStop()
	}
	if l.comet != nil { // the engine leaves its connections to the app running
		errs = append(errs, l.comet.ProxyApp().Stop())
	}
	// and some of its databases open, while it closes others itself
	l.dbs.close()
	if l.App != nil {
		errs = append(errs, l.App.Close())
	}
	return errors.Join(errs...)
}

// Submit brings a transaction into the mempool and waits until a block has it.
// What the chain refuses comes back as a result with a code, at height 0 when
// it was not even let into the mempool. Errors: ErrHalted, ErrTwin, the
// context's.
//
// The same transaction may be in the mempool already, left by a caller who did
// not wait for its end: then Submit waits for that one.
//
// It waits for the first block since the node was started: until then the state
// machine checks transactions as if the chain had not begun.
func (l *Live) Submit(ctx context.Context, tx []byte) (Included, error) {
	select {
	case <-l.open:
	case <-l.done:
		return Included{}, ErrHalted
	case <-ctx.Done():
		return Included{}, ctx.Err()
	}
	key := types.Tx(tx).Key()
	included, ok := l.waiting.add(key)
	if !ok {
		return Included{}, ErrTwin
	}
	defer l.waiting.remove(key)
	checked := make(chan *abci.ResponseCheckTx, 1)
	err := l.comet.Mempool().CheckTx(tx, func(r *abci.ResponseCheckTx) { checked <- r }, mempool.TxInfo{})
	if err != nil && !errors.Is(err, mempool.ErrTxInCache) {
		select {
		case <-l.done:
			return Included{}, ErrHalted
		default:
			return Included{}, fmt.Errorf("mempool: %w", err)
		}
	}
	for {
		select {
		case r := <-checked:
			if r.Code != abci.CodeTypeOK {
				return Included{Result: &abci.ExecTxResult{Code: r.Code, Codespace: r.Codespace, Log: r.Log}}, nil
			}
			checked = nil
		case in := <-included:
			return in, nil
		case <-l.done:
			return Included{}, ErrHalted
		case <-ctx.Done():
			return Included{}, ctx.Err()
		}
	}
}

// databases remembers what the engine opened: it does not close all of it.
type databases struct {
	mu   sync.Mutex
	list []dbm.DB
}

func (d *databases) open(c *config.DBContext) (dbm.DB, error) {
	db, err := config.DefaultDBProvider(c)
	if err != nil {
		return nil, fmt.Errorf("database %s in %s: %w", c.ID, c.Config.DBDir(), err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.list = append(d.list, db)
	return db, nil
}

// close closes all; closing one that the engine has closed does nothing.
func (d *databases) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, db := range d.list {
		_ = db.Close()
	}
	d.list = nil
}
