// Package client is the rest of the program's only door to the chain: it signs
// and submits transactions, waits until a block has them, and reads balances.
// What the chain knows of operators, subscribers, towers and channels is read
// from the ledger.Model that the node feeds, not from here. The package decides
// nothing about money; it hands on what the chain answers.
//
// Whatever submits waits for a block: give it a context with a deadline of a few
// block times.
package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"

	"campanile.network/hss-chain/ledger"
	"campanile.network/hss-chain/node"
	"campanile.network/hss-chain/x/settlement"
	"campanile.network/hss-chain/x/subscriber"
	"campanile.network/hss-chain/x/tower"
)

// Options for New.
type Options struct {
	// Node is the chain node in this process.
	Node *node.Node
	// Logger takes a line for each transaction at level Debug; nil for none.
	Logger *slog.Logger
}

// Client submits and reads. Its methods may be called from any goroutine;
// transactions of one account go one after the other.
type Client struct {
	node *node.Node
	log  *slog.Logger

	mu    sync.Mutex
	turns map[ledger.Account]chan struct{} // one token each: who holds it has a transaction in flight
}

// New makes a client of a node, whether or not it runs yet.
func New(o Options) *Client {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Client{node: o.Node, log: o.Logger, turns: map[ledger.Account]chan struct{}{}}
}

// Receipt says where a transaction ended.
type Receipt struct {
	Height int64    // of the block that has it
	Tx     [32]byte // SHA-256 of the transaction
}

// ErrHalted says that the chain does not run, or stopped while the transaction
// was under way. Try again when it runs: what did get in is then refused with
// ErrExists, ErrNothingNew or ErrNothingToClaim, which do no harm.
var ErrHalted = node.ErrHalted

// Refusals worth telling apart; see also Rejected.
var (
	ErrExists         = errors.New("exists already")
	ErrUnknown        = errors.New("unknown to the chain")
	ErrNothingNew     = errors.New("the chain has seen it, or a newer one")
	ErrNothingToClaim = errors.New("nothing to claim")
	ErrClosed         = errors.New("channel is closed")
	ErrFunds          = errors.New("not enough funds")
)

// Rejected is the chain's answer to a transaction it did not carry out.
type Rejected struct {
	What   string // the action, such as "register operator"
	Space  string // module that refused
	Code   uint32 // its code
	Reason string // its words
}

func (r *Rejected) Error() string {
	return fmt.Sprintf("%s: refused by the chain (%s %d): %s", r.What, r.Space, r.Code, r.Reason)
}

// Is makes errors.Is know the refusals above.
func (r *Rejected) Is(target error) bool {
	for _, c := range []struct {
		space string
		code  uint32
		err   error
	}{
		{subscriber.ModuleName, subscriber.ErrExists.ABCICode(), ErrExists},
		{subscriber.ModuleName, subscriber.ErrUnknown.ABCICode(), ErrUnknown},
		{tower.ModuleName, tower.ErrExists.ABCICode(), ErrExists},
		{tower.ModuleName, tower.ErrUnknown.ABCICode(), ErrUnknown},
		{tower.ModuleName, tower.ErrStale.ABCICode(), ErrNothingNew},
		{settlement.ModuleName, settlement.ErrExists.ABCICode(), ErrExists},
		{settlement.ModuleName, settlement.ErrUnknown.ABCICode(), ErrUnknown},
		{settlement.ModuleName, settlement.ErrNothingNew.ABCICode(), ErrNothingNew},
		{settlement.ModuleName, settlement.ErrNothingToClaim.ABCICode(), ErrNothingToClaim},
		{settlement.ModuleName, settlement.ErrClosed.ABCICode(), ErrClosed},
		{sdkerrors.RootCodespace, sdkerrors.ErrInsufficientFunds.ABCICode(), ErrFunds},
	} {
		if c.err == target && r.Space == c.space && r.Code == c.code {
			return true
		}
	}
	return false
}

// Status is the chain as seen from here.
type Status struct {
	ChainID    string
	Running    bool
	Height     int64     // of the last committed block the ledger has
	Time       time.Time // of that block
	Validators int       // 0 while nothing runs
	// Private says that one validator writes this ledger: it proves nothing to
	// others.
	Private bool
}

// Status does not wait and cannot fail.
func (c *Client) Status() Status {
	s := Status{ChainID: c.node.ChainID(), Running: c.node.Running(), Validators: c.node.Validators()}
	s.Private = s.Validators <= 1
	if c.node.Ledger != nil {
		_, s.Height, s.Time = c.node.Ledger.Head()
	}
	return s
}

// take waits for an account's turn; the caller gives it back.
func (c *Client) take(ctx context.Context, a ledger.Account) (giveBack func(), err error) {
	c.mu.Lock()
	turn, ok := c.turns[a]
	if !ok {
		turn = make(chan struct{}, 1)
		c.turns[a] = turn
	}
	c.mu.Unlock()
	select {
	case turn <- struct{}{}:
		return func() { <-turn }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
