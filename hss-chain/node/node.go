// Package node runs the chain inside this process: the state machine of package
// app under an embedded CometBFT, its gRPC service, and the feed that keeps a
// ledger.Model at the last committed block. It can be stopped and started again
// without the process ending, which is also how "consensus halted" looks from
// outside. It signs blocks with the validator's key and no transaction.
package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/cometbft/cometbft/types"

	"campanile.network/hss-chain/ledger"
)

// ErrHalted says that no node is running, or that it stopped meanwhile. What
// was submitted may be tried again once it runs.
var ErrHalted = errors.New("chain halted: no node is running")

// ErrTwin says that another caller waits for a transaction that is the same to
// the last octet: only one of them can be carried out.
var ErrTwin = errors.New("another caller submits the same transaction")

// Options for New.
type Options struct {
	// Home is the directory that Init made.
	Home string
	// Ledger is fed with committed blocks; nil for none.
	Ledger *ledger.Model
	// TimeoutCommit is the time from one block to the next; 0 means 1 s.
	TimeoutCommit time.Duration
	// GRPC, RPC and P2P are loopback listening addresses "host:port"; port 0
	// takes a free one. Empty is off; for P2P, which the engine cannot go
	// without, it means a free loopback port that takes no peers.
	GRPC, RPC, P2P string
	// Logger takes everything; nil for none.
	Logger *slog.Logger
}

// Node is a chain node that runs while Serve does.
type Node struct {
	Options
	genesis *types.GenesisDoc

	serving sync.Mutex // held by Serve
	mu      sync.Mutex
	live    *Live
	changed chan struct{} // closed and replaced whenever live changes
}

// New checks the home; nothing runs yet.
func New(o Options) (*Node, error) {
	if o.TimeoutCommit == 0 {
		o.TimeoutCommit = time.Second
	}
	if o.TimeoutCommit < 0 {
		return nil, fmt.Errorf("chain node: timeout_commit %v", o.TimeoutCommit)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	for name, addr := range map[string]string{"grpc": o.GRPC, "rpc": o.RPC, "p2p": o.P2P} {
		if err := checkLoopback(addr); err != nil {
			return nil, fmt.Errorf("chain node: %s address: %w", name, err)
		}
	}
	doc, err := types.GenesisDocFromFile(genesisFile(o.Home))
	if errors.Is(err, os.ErrNotExist) || !Exists(o.Home) {
		return nil, fmt.Errorf("chain node: no chain in %s", o.Home)
	}
	if err != nil {
		return nil, fmt.Errorf("chain node: %w", err)
	}
	return &Node{Options: o, genesis: doc, changed: make(chan struct{})}, nil
}

// ChainID names the chain.
func (n *Node) ChainID() string { return n.genesis.ChainID }

// Serve runs the node until the context ends, and then leaves nothing of it
// running or open. Afterwards it may be called again.
func (n *Node) Serve(ctx context.Context) error {
	if !n.serving.TryLock() {
		return errors.New("chain node: already running")
	}
	defer n.serving.Unlock()
	began := time.Now()
	live, err := n.start(ctx)
	if err != nil {
		return fmt.Errorf("chain node: %w", err)
	}
	n.set(live)
	n.Logger.Info("chain running", "chain", n.ChainID(), "height", live.App.LastBlockHeight(), "took", time.Since(began))
	select {
	case <-ctx.Done():
	case <-live.comet.Quit():
		err = errors.New("chain node: the engine stopped by itself")
	case err = <-live.failed:
		err = fmt.Errorf("chain node: %w", err)
	}
	n.set(nil)
	err = errors.Join(err, live.stop())
	n.Logger.Info("chain stopped", "chain", n.ChainID(), "height", live.App.LastBlockHeight())
	return err
}

func (n *Node) set(l *Live) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.live = l
	close(n.changed)
	n.changed = make(chan struct{})
}

func (n *Node) get() (*Live, <-chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.live, n.changed
}

// Live gives what runs now, or ErrHalted.
func (n *Node) Live() (*Live, error) {
	if l, _ := n.get(); l != nil {
		return l, nil
	}
	return nil, ErrHalted
}

// Running says whether the node runs now.
func (n *Node) Running() bool { l, _ := n.get(); return l != nil }

// Ready waits until the node runs and has made or taken a block since its start:
// from then on it takes transactions.
func (n *Node) Ready(ctx context.Context) error {
	for {
		l, changed := n.get()
		var open <-chan struct{}
		if l != nil {
			open = l.open
		}
		select {
		case <-open:
			return nil
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("chain node is not ready: %w", ctx.Err())
		}
	}
}

// GRPCAddr is where gRPC listens now, or empty.
func (n *Node) GRPCAddr() string {
	if l, _ := n.get(); l != nil && l.grpcAddr != nil {
		return l.grpcAddr.String()
	}
	return ""
}

// Validators is how many validators sign blocks; 0 when nothing runs or before
// the first block.
func (n *Node) Validators() int {
	l, _ := n.get()
	if l == nil {
		return 0
	}
	ctx, err := l.App.Committed()
	if err != nil {
		return 0
	}
	bonded, err := l.App.Staking.GetBondedValidatorsByPower(ctx)
	if err != nil {
		return 0
	}
	return len(bonded)
}
