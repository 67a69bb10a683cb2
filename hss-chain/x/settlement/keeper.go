package settlement

import (
	"context"
	"errors"

	"cosmossdk.io/collections"
	"cosmossdk.io/core/address"
	"cosmossdk.io/core/store"
	errorsmod "cosmossdk.io/errors"
	"cosmossdk.io/math"

	"github.com/cosmos/cosmos-sdk/codec"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"campanile.network/hss-chain/x/subscriber"
	"campanile.network/hss-chain/x/tower"
)

// Bank moves coins between accounts and the module's own.
type Bank interface {
	GetBalance(ctx context.Context, account sdk.AccAddress, denom string) sdk.Coin
	BlockedAddr(account sdk.AccAddress) bool
	SendCoinsFromAccountToModule(ctx context.Context, from sdk.AccAddress, module string, coins sdk.Coins) error
	SendCoinsFromModuleToAccount(ctx context.Context, module string, to sdk.AccAddress, coins sdk.Coins) error
}

// Operators knows who may pay.
type Operators interface {
	Operator(ctx context.Context, account sdk.AccAddress) (subscriber.Operator, error)
}

// Towers knows who may be paid, and on what terms.
type Towers interface {
	Tower(ctx context.Context, key []byte) (tower.Tower, error)
}

// Needs is what the keeper is made of.
type Needs struct {
	Codec     codec.BinaryCodec
	Store     store.KVStoreService
	Addresses address.Codec
	// Account is the address of the module's own account.
	Account sdk.AccAddress
	// Authority is the only account that may change the parameters.
	Authority string
	Bank      Bank
	Operators Operators
	Towers    Towers
}

// Keeper owns the module's state.
type Keeper struct {
	Needs
	schema collections.Schema

	// Params are the module's parameters.
	Params collections.Item[Params]
	// Next is the id of the next channel; the first is 1.
	Next collections.Sequence
	// Channels is by id. Of each pair only the last channel is kept.
	Channels collections.Map[uint64, Channel]
	// ByPair is the last channel of payer and tower key.
	ByPair collections.Map[collections.Pair[sdk.AccAddress, []byte], uint64]
	// Closing is the queue of channels in their challenge time: when it is over,
	// in ms since 1970, and the channel.
	Closing collections.KeySet[collections.Pair[uint64, uint64]]
	// Claimables is by account; nobody is in it with nothing.
	Claimables collections.Map[sdk.AccAddress, Claimable]
	// Reserved is the sum over channels of what they hold: reserve - paid - returned.
	Reserved collections.Item[math.Int]
	// Owed is the sum of all claimables.
	Owed collections.Item[math.Int]
}

// NewKeeper opens the module's state.
func NewKeeper(n Needs) (Keeper, error) {
	b := collections.NewSchemaBuilder(n.Store)
	k := Keeper{
		Needs:      n,
		Params:     collections.NewItem(b, paramsPrefix, "params", codec.CollValue[Params](n.Codec)),
		Next:       collections.NewSequence(b, nextPrefix, "next_channel"),
		Channels:   collections.NewMap(b, ChannelPrefix, "channels", collections.Uint64Key, codec.CollValue[Channel](n.Codec)),
		ByPair:     collections.NewMap(b, pairPrefix, "channel_by_pair", collections.PairKeyCodec(sdk.AccAddressKey, collections.BytesKey), collections.Uint64Value),
		Closing:    collections.NewKeySet(b, closingPrefix, "closing", collections.PairKeyCodec(collections.Uint64Key, collections.Uint64Key)),
		Claimables: collections.NewMap(b, ClaimablePrefix, "claimables", sdk.AccAddressKey, codec.CollValue[Claimable](n.Codec)),
		Reserved:   collections.NewItem(b, reservedPrefix, "reserved", sdk.IntValue),
		Owed:       collections.NewItem(b, owedPrefix, "owed", sdk.IntValue),
	}
	var err error
	k.schema, err = b.Build()
	return k, err
}

func (k Keeper) account(text string) (sdk.AccAddress, string, error) {
	a, err := k.Addresses.StringToBytes(text)
	if err != nil {
		return nil, "", invalid("account %q: %v", text, err)
	}
	canonical, err := k.Addresses.BytesToString(a)
	return a, canonical, err
}

func (k Keeper) channel(ctx context.Context, id uint64) (Channel, error) {
	c, err := k.Channels.Get(ctx, id)
	if errors.Is(err, collections.ErrNotFound) {
		return c, errorsmod.Wrapf(ErrUnknown, "%d", id)
	}
	return c, err
}

// add changes one of the two running sums.
func add(ctx context.Context, sum collections.Item[math.Int], by math.Int) error {
	v, err := sum.Get(ctx)
	if errors.Is(err, collections.ErrNotFound) {
		v, err = math.ZeroInt(), nil
	}
	if err != nil {
		return err
	}
	return sum.Set(ctx, v.Add(by))
}

// EndBlock closes the channels whose challenge time is over, oldest first, and
// checks that the module's account covers what it owes.
func (k Keeper) EndBlock(ctx context.Context) error {
	due, err := k.due(ctx)
	if err != nil {
		return err
	}
	for _, id := range due {
		c, err := k.channel(ctx, id)
		if err != nil {
			return err
		}
		if err := k.finish(ctx, &c); err != nil {
			return err
		}
	}
	return k.CheckCovered(ctx)
}

// turn is a closing channel's place in the queue.
func (c *Channel) turn() collections.Pair[uint64, uint64] {
	return collections.Join(uint64(c.ClosesAt.UnixMilli()), c.ID)
}

func (k Keeper) due(ctx context.Context) (ids []uint64, err error) {
	now := uint64(sdk.UnwrapSDKContext(ctx).BlockTime().UnixMilli())
	err = k.Closing.Walk(ctx, nil, func(key collections.Pair[uint64, uint64]) (bool, error) {
		if key.K1() > now || len(ids) == closedAtOnce {
			return true, nil
		}
		ids = append(ids, key.K2())
		return false, nil
	})
	return ids, err
}

// CheckCovered fails with ErrInsolvent when the module's account holds less
// than the channels' rests and all claims together. It costs three reads.
func (k Keeper) CheckCovered(ctx context.Context) error {
	sum := math.ZeroInt()
	for _, item := range []collections.Item[math.Int]{k.Reserved, k.Owed} {
		v, err := item.Get(ctx)
		if errors.Is(err, collections.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if v.IsNegative() {
			return errorsmod.Wrapf(ErrInsolvent, "a sum is negative: %v", v)
		}
		sum = sum.Add(v)
	}
	if held := k.Bank.GetBalance(ctx, k.Account, Denom).Amount; held.LT(sum) {
		return errorsmod.Wrapf(ErrInsolvent, "%v held, %v owed", held, sum)
	}
	return nil
}

// Recount compares the running sums with the records one by one. It walks the
// whole state: for tests and for looking into an exported one.
func (k Keeper) Recount(ctx context.Context) error {
	reserved, owed := math.ZeroInt(), math.ZeroInt()
	err := errors.Join(
		k.Channels.Walk(ctx, nil, func(id uint64, c Channel) (bool, error) {
			rest := c.Reserve.Sub(c.Paid).Sub(c.Returned)
			if rest.IsNegative() || c.Paid.GT(c.Promised) || c.State == ChannelClosed && !rest.IsZero() {
				return true, errorsmod.Wrapf(ErrInsolvent, "channel %d: %v of %v left", id, rest, c.Reserve)
			}
			reserved = reserved.Add(rest)
			return false, nil
		}),
		k.Claimables.Walk(ctx, nil, func(_ sdk.AccAddress, c Claimable) (bool, error) {
			owed = owed.Add(c.Amount)
			return false, nil
		}),
	)
	if err != nil {
		return err
	}
	for _, s := range []struct {
		item collections.Item[math.Int]
		want math.Int
	}{{k.Reserved, reserved}, {k.Owed, owed}} {
		got, err := s.item.Get(ctx)
		if err != nil && !errors.Is(err, collections.ErrNotFound) {
			return err
		}
		if err != nil {
			got = math.ZeroInt()
		}
		if !got.Equal(s.want) {
			return errorsmod.Wrapf(ErrInsolvent, "sum says %v, records say %v", got, s.want)
		}
	}
	return k.CheckCovered(ctx)
}
