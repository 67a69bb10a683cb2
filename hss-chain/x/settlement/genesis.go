package settlement

import (
	"context"
	"errors"

	"cosmossdk.io/collections"
	"cosmossdk.io/math"

	sdk "github.com/cosmos/cosmos-sdk/types"
)

// DefaultGenesis is no channel and the default parameters.
func DefaultGenesis() *GenesisState {
	return &GenesisState{Params: Params{ChallengeTime: DefaultChallengeTime}}
}

// InitGenesis enters channels and claims into an empty store and checks that
// the module's account covers them.
func (k Keeper) InitGenesis(ctx context.Context, gs GenesisState) error {
	if err := gs.Params.validate(); err != nil {
		return err
	}
	if err := errors.Join(k.Params.Set(ctx, gs.Params), k.Next.Set(ctx, gs.NextChannel)); err != nil {
		return err
	}
	reserved, owed := math.ZeroInt(), math.ZeroInt()
	for _, c := range gs.Channels {
		payer, _, err := k.account(c.Payer)
		if err != nil {
			return err
		}
		if c.ID == 0 || c.ID > gs.NextChannel {
			return invalid("channel %d: the last one given was %d", c.ID, gs.NextChannel)
		}
		if err := errors.Join(k.Channels.Set(ctx, c.ID, c), k.ByPair.Set(ctx, collections.Join(payer, c.TowerKey), c.ID)); err != nil {
			return err
		}
		if c.State == ChannelClosing {
			if err := k.Closing.Set(ctx, c.turn()); err != nil {
				return err
			}
		}
		reserved = reserved.Add(c.Reserve).Sub(c.Paid).Sub(c.Returned)
	}
	for _, c := range gs.Claimables {
		account, _, err := k.account(c.Account)
		if err != nil {
			return err
		}
		if err := k.Claimables.Set(ctx, account, c); err != nil {
			return err
		}
		owed = owed.Add(c.Amount)
	}
	if err := errors.Join(k.Reserved.Set(ctx, reserved), k.Owed.Set(ctx, owed)); err != nil {
		return err
	}
	return k.Recount(ctx)
}

// ExportGenesis reads everything.
func (k Keeper) ExportGenesis(ctx context.Context) (*GenesisState, error) {
	gs := &GenesisState{}
	var errParams, errNext error
	gs.Params, errParams = k.Params.Get(ctx)
	gs.NextChannel, errNext = k.Next.Peek(ctx)
	err := errors.Join(errParams, errNext,
		k.Channels.Walk(ctx, nil, func(_ uint64, c Channel) (bool, error) {
			gs.Channels = append(gs.Channels, c)
			return false, nil
		}),
		k.Claimables.Walk(ctx, nil, func(_ sdk.AccAddress, c Claimable) (bool, error) {
			gs.Claimables = append(gs.Claimables, c)
			return false, nil
		}),
	)
	return gs, err
}
