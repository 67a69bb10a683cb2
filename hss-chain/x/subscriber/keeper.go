package subscriber

import (
	"context"
	"errors"

	"cosmossdk.io/collections"
	collcodec "cosmossdk.io/collections/codec"
	"cosmossdk.io/core/address"
	"cosmossdk.io/core/store"
	errorsmod "cosmossdk.io/errors"

	"github.com/cosmos/cosmos-sdk/codec"
	sdk "github.com/cosmos/cosmos-sdk/types"
)

// Keeper owns the module's state.
type Keeper struct {
	addresses address.Codec
	schema    collections.Schema

	// Operators is by account.
	Operators collections.Map[sdk.AccAddress, Operator]
	// OperatorByKey is the account of an operator's present key.
	OperatorByKey collections.Map[[]byte, sdk.AccAddress]
	// OperatorByRange is the account that owns an IMSI prefix.
	OperatorByRange collections.Map[string, sdk.AccAddress]
	// Subscribers is by id.
	Subscribers collections.Map[[]byte, Subscriber]
}

// NewKeeper opens the module's state in the given store.
func NewKeeper(cdc codec.BinaryCodec, service store.KVStoreService, addresses address.Codec) (Keeper, error) {
	b := collections.NewSchemaBuilder(service)
	account := codec.CollValue[Operator](cdc)
	k := Keeper{
		addresses:       addresses,
		Operators:       collections.NewMap(b, OperatorPrefix, "operators", sdk.AccAddressKey, account),
		OperatorByKey:   collections.NewMap(b, keyPrefix, "operator_by_key", collections.BytesKey, collcodec.KeyToValueCodec(sdk.AccAddressKey)),
		OperatorByRange: collections.NewMap(b, rangePrefix, "operator_by_range", collections.StringKey, collcodec.KeyToValueCodec(sdk.AccAddressKey)),
		Subscribers:     collections.NewMap(b, SubscriberPrefix, "subscribers", collections.BytesKey, codec.CollValue[Subscriber](cdc)),
	}
	var err error
	k.schema, err = b.Build()
	return k, err
}

// account reads an address and gives it in its one canonical spelling too.
func (k Keeper) account(text string) (sdk.AccAddress, string, error) {
	a, err := k.addresses.StringToBytes(text)
	if err != nil {
		return nil, "", invalid("account %q: %v", text, err)
	}
	canonical, err := k.addresses.BytesToString(a)
	return a, canonical, err
}

// Operator gives the operator of an account; ErrUnknown when it is none.
func (k Keeper) Operator(ctx context.Context, account sdk.AccAddress) (Operator, error) {
	o, err := k.Operators.Get(ctx, account)
	if errors.Is(err, collections.ErrNotFound) {
		return o, errorsmod.Wrapf(ErrUnknown, "operator %s", account)
	}
	return o, err
}

// setOperator puts a checked operator in the place of old (nil: none), moving
// its key and ranges.
func (k Keeper) setOperator(ctx context.Context, account sdk.AccAddress, old *Operator, o Operator) error {
	if old != nil {
		if err := k.OperatorByKey.Remove(ctx, old.Key); err != nil {
			return err
		}
		for _, r := range old.Ranges {
			if err := k.OperatorByRange.Remove(ctx, r); err != nil {
				return err
			}
		}
	}
	taken, err := k.OperatorByKey.Has(ctx, o.Key)
	if err != nil {
		return err
	}
	if taken {
		return errorsmod.Wrapf(ErrExists, "an operator with key %x", o.Key)
	}
	if err := k.OperatorByKey.Set(ctx, o.Key, account); err != nil {
		return err
	}
	for _, r := range o.Ranges {
		if err := k.takeRange(ctx, account, r); err != nil {
			return err
		}
	}
	return k.Operators.Set(ctx, account, o)
}

// takeRange enters a range after looking for any that holds it or lies in it.
func (k Keeper) takeRange(ctx context.Context, account sdk.AccAddress, r string) error {
	if _, holder, err := k.home(ctx, r); err == nil {
		return errorsmod.Wrapf(ErrRange, "%q lies in %q", r, holder)
	} else if !errors.Is(err, collections.ErrNotFound) {
		return err
	}
	// ':' follows '9': this walks exactly what begins with r.
	it, err := k.OperatorByRange.Iterate(ctx, new(collections.Range[string]).StartInclusive(r).EndExclusive(r+":"))
	if err != nil {
		return err
	}
	defer it.Close()
	if it.Valid() {
		inner, err := it.Key()
		if err != nil {
			return err
		}
		return errorsmod.Wrapf(ErrRange, "%q holds %q", r, inner)
	}
	return k.OperatorByRange.Set(ctx, r, account)
}

// home finds the range that a number, or the beginning of one, lies in.
func (k Keeper) home(ctx context.Context, digits string) (sdk.AccAddress, string, error) {
	for n := min(len(digits), maxRange); n >= minRange; n-- {
		a, err := k.OperatorByRange.Get(ctx, digits[:n])
		if !errors.Is(err, collections.ErrNotFound) {
			return a, digits[:n], err
		}
	}
	return nil, "", collections.ErrNotFound
}

// DefaultGenesis is an empty registry.
func DefaultGenesis() *GenesisState { return &GenesisState{} }

// InitGenesis enters a registry into an empty store.
func (k Keeper) InitGenesis(ctx context.Context, gs GenesisState) error {
	for _, o := range gs.Operators {
		account, _, err := k.account(o.Account)
		if err != nil {
			return err
		}
		if err := errors.Join(o.validate(), k.setOperator(ctx, account, nil, o)); err != nil {
			return err
		}
	}
	for _, s := range gs.Subscribers {
		if err := errors.Join(s.validate(), k.Subscribers.Set(ctx, s.ID, s)); err != nil {
			return err
		}
	}
	return nil
}

// ExportGenesis reads the whole registry.
func (k Keeper) ExportGenesis(ctx context.Context) (*GenesisState, error) {
	gs := DefaultGenesis()
	err := errors.Join(
		k.Operators.Walk(ctx, nil, func(_ sdk.AccAddress, o Operator) (bool, error) {
			gs.Operators = append(gs.Operators, o)
			return false, nil
		}),
		k.Subscribers.Walk(ctx, nil, func(_ []byte, s Subscriber) (bool, error) {
			gs.Subscribers = append(gs.Subscribers, s)
			return false, nil
		}),
	)
	return gs, err
}
