package tower

import (
	"context"
	"errors"

	"cosmossdk.io/collections"
	"cosmossdk.io/core/address"
	"cosmossdk.io/core/store"
	errorsmod "cosmossdk.io/errors"

	"github.com/cosmos/cosmos-sdk/codec"
)

// Keeper owns the module's state.
type Keeper struct {
	addresses address.Codec
	schema    collections.Schema

	// Towers is by key.
	Towers collections.Map[[]byte, Tower]
	// TowerByENB is the key of the tower that has a global eNB identity.
	TowerByENB collections.Map[string, []byte]
}

// NewKeeper opens the module's state in the given store.
func NewKeeper(cdc codec.BinaryCodec, service store.KVStoreService, addresses address.Codec) (Keeper, error) {
	b := collections.NewSchemaBuilder(service)
	k := Keeper{
		addresses:  addresses,
		Towers:     collections.NewMap(b, TowerPrefix, "towers", collections.BytesKey, codec.CollValue[Tower](cdc)),
		TowerByENB: collections.NewMap(b, enbPrefix, "tower_by_enb", collections.StringKey, collections.BytesValue),
	}
	var err error
	k.schema, err = b.Build()
	return k, err
}

// Tower gives the tower of a key; ErrUnknown when there is none.
func (k Keeper) Tower(ctx context.Context, key []byte) (Tower, error) {
	t, err := k.Towers.Get(ctx, key)
	if errors.Is(err, collections.ErrNotFound) {
		return t, errorsmod.Wrapf(ErrUnknown, "tower %x", key)
	}
	return t, err
}

// setTower puts a checked tower in the place of old (nil: none), moving its
// eNB identity.
func (k Keeper) setTower(ctx context.Context, old *Tower, t Tower) error {
	if old != nil {
		g, err := old.ENB.identity()
		if err != nil {
			return err
		}
		if err := k.TowerByENB.Remove(ctx, g.String()); err != nil {
			return err
		}
	}
	g, err := t.ENB.identity()
	if err != nil {
		return err
	}
	holder, err := k.TowerByENB.Get(ctx, g.String())
	if err == nil {
		return errorsmod.Wrapf(ErrENB, "%v: tower %x", g, holder)
	}
	if !errors.Is(err, collections.ErrNotFound) {
		return err
	}
	if err := k.TowerByENB.Set(ctx, g.String(), t.Key); err != nil {
		return err
	}
	return k.Towers.Set(ctx, t.Key, t)
}

// DefaultGenesis is an empty registry.
func DefaultGenesis() *GenesisState { return &GenesisState{} }

// InitGenesis enters a registry into an empty store.
func (k Keeper) InitGenesis(ctx context.Context, gs GenesisState) error {
	for _, t := range gs.Towers {
		if err := t.validate(k.addresses); err != nil {
			return err
		}
		if err := k.setTower(ctx, nil, t); err != nil {
			return err
		}
	}
	return nil
}

// ExportGenesis reads the whole registry.
func (k Keeper) ExportGenesis(ctx context.Context) (*GenesisState, error) {
	gs := DefaultGenesis()
	err := k.Towers.Walk(ctx, nil, func(_ []byte, t Tower) (bool, error) {
		gs.Towers = append(gs.Towers, t)
		return false, nil
	})
	return gs, err
}
