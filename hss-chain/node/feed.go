package node

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	abci "github.com/cometbft/cometbft/abci/types"

	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"campanile.network/hss-chain/app"
	"campanile.network/hss-chain/ledger"
	"campanile.network/hss-chain/x/settlement"
	"campanile.network/hss-chain/x/subscriber"
	"campanile.network/hss-chain/x/tower"
)

// feed brings committed blocks to the ledger model, and transactions' results
// to those who wait for them. It is called by the state machine, in order, and
// reads exactly what the block wrote into our modules' stores, so that no
// change can be missed for want of an event.
type feed struct {
	model   *ledger.Model
	chainID string
	log     *slog.Logger
	waiting *waiting
	open    chan struct{} // closed by the first block
	once    sync.Once

	txs     [][]byte // of the block that is being executed
	results []*abci.ExecTxResult
}

var _ storetypes.ABCIListener = (*feed)(nil)

// ListenFinalizeBlock keeps the block's results until they are committed.
func (f *feed) ListenFinalizeBlock(_ context.Context, req abci.RequestFinalizeBlock, res abci.ResponseFinalizeBlock) error {
	f.txs, f.results = req.Txs, res.TxResults
	return nil
}

// ListenCommit applies what the block changed. Its errors are logged: a model
// that cannot follow is read anew from the state at the next start.
func (f *feed) ListenCommit(ctx context.Context, _ abci.ResponseCommit, changes []*storetypes.StoreKVPair) error {
	header := sdk.UnwrapSDKContext(ctx).BlockHeader()
	u := ledger.Update{ChainID: f.chainID, Height: header.Height, Time: header.Time}
	if err := decode(changes, &u); err != nil {
		f.log.Error("committed records cannot be read", "height", header.Height, "err", err)
	}
	if f.model != nil {
		if err := f.model.Apply(u); err != nil {
			f.log.Error("ledger model", "height", header.Height, "err", err)
		}
	}
	f.waiting.committed(header.Height, f.txs, f.results)
	f.txs, f.results = nil, nil
	f.once.Do(func() { close(f.open) })
	return nil
}

// resync brings the model to the state's last block if it is at another.
func (f *feed) resync(a *app.App) error {
	if f.model == nil {
		return nil
	}
	height := a.LastBlockHeight()
	if chainID, known, _ := f.model.Head(); chainID == f.chainID && known == height {
		return nil
	}
	u := ledger.Update{ChainID: f.chainID, Height: height, Resync: true}
	if height > 0 {
		ctx, err := a.Committed()
		if err != nil {
			return fmt.Errorf("ledger resync at block %d: %w", height, err)
		}
		if err := readAll(ctx, a, &u); err != nil {
			return fmt.Errorf("ledger resync at block %d: %w", height, err)
		}
	}
	f.log.Info("ledger read from the chain's state", "height", height,
		"operators", len(u.Operators), "subscribers", len(u.Subscribers), "towers", len(u.Towers), "channels", len(u.Channels))
	return f.model.Apply(u)
}

func readAll(ctx sdk.Context, a *app.App, u *ledger.Update) error {
	var c converter
	u.Time = ctx.BlockTime()
	err := errors.Join(
		a.Subscriber.Operators.Walk(ctx, nil, func(_ sdk.AccAddress, v subscriber.Operator) (bool, error) {
			u.Operators = append(u.Operators, c.operator(v))
			return false, nil
		}),
		a.Subscriber.Subscribers.Walk(ctx, nil, func(_ []byte, v subscriber.Subscriber) (bool, error) {
			u.Subscribers = append(u.Subscribers, c.subscriber(v))
			return false, nil
		}),
		a.Tower.Towers.Walk(ctx, nil, func(_ []byte, v tower.Tower) (bool, error) {
			u.Towers = append(u.Towers, c.tower(v))
			return false, nil
		}),
		a.Settlement.Channels.Walk(ctx, nil, func(_ uint64, v settlement.Channel) (bool, error) {
			u.Channels = append(u.Channels, c.channel(v))
			return false, nil
		}),
		a.Settlement.Claimables.Walk(ctx, nil, func(_ sdk.AccAddress, v settlement.Claimable) (bool, error) {
			u.Claimables = append(u.Claimables, ledger.Claimable{Account: ledger.Account(v.Account), Amount: c.amount(v.Amount)})
			return false, nil
		}),
	)
	return errors.Join(err, c.err)
}

// decode reads the primary records among a block's writes; secondary indexes
// follow from them. A record that cannot be read is left out and reported.
func decode(changes []*storetypes.StoreKVPair, u *ledger.Update) error {
	var c converter
	for _, p := range changes {
		var err error
		switch {
		case at(p, subscriber.ModuleName, subscriber.OperatorPrefix):
			err = decodeOne(p, &subscriber.Operator{}, func(v *subscriber.Operator) { u.Operators = append(u.Operators, c.operator(*v)) })
		case at(p, subscriber.ModuleName, subscriber.SubscriberPrefix):
			err = decodeOne(p, &subscriber.Subscriber{}, func(v *subscriber.Subscriber) { u.Subscribers = append(u.Subscribers, c.subscriber(*v)) })
		case at(p, tower.ModuleName, tower.TowerPrefix):
			err = decodeOne(p, &tower.Tower{}, func(v *tower.Tower) { u.Towers = append(u.Towers, c.tower(*v)) })
		case at(p, settlement.ModuleName, settlement.ChannelPrefix) && p.Delete:
			u.GoneChannels = append(u.GoneChannels, binary.BigEndian.Uint64(p.Key[1:]))
		case at(p, settlement.ModuleName, settlement.ChannelPrefix):
			err = decodeOne(p, &settlement.Channel{}, func(v *settlement.Channel) { u.Channels = append(u.Channels, c.channel(*v)) })
		case at(p, settlement.ModuleName, settlement.ClaimablePrefix) && p.Delete:
			u.Claimables = append(u.Claimables, ledger.Claimable{Account: ledger.Account(sdk.AccAddress(p.Key[1:]).String())})
		case at(p, settlement.ModuleName, settlement.ClaimablePrefix):
			err = decodeOne(p, &settlement.Claimable{}, func(v *settlement.Claimable) {
				u.Claimables = append(u.Claimables, ledger.Claimable{Account: ledger.Account(v.Account), Amount: c.amount(v.Amount)})
			})
		}
		c.fail(err)
	}
	return c.err
}

// at says whether a write is to the map that begins with this one-octet prefix.
func at(p *storetypes.StoreKVPair, store string, prefix []byte) bool {
	return p.StoreKey == store && len(p.Key) > 1 && bytes.HasPrefix(p.Key, prefix)
}

func decodeOne[T interface{ Unmarshal([]byte) error }](p *storetypes.StoreKVPair, v T, use func(T)) error {
	if p.Delete {
		return fmt.Errorf("store %s: key %x was deleted, and nothing may", p.StoreKey, p.Key)
	}
	if err := v.Unmarshal(p.Value); err != nil {
		return fmt.Errorf("store %s: key %x: %w", p.StoreKey, p.Key, err)
	}
	use(v)
	return nil
}
