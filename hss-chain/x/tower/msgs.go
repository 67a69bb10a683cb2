package tower

import (
	"context"

	errorsmod "cosmossdk.io/errors"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"campanile.network/hss-chain/x/keyproof"
)

type msgServer struct{ Keeper }

// NewMsgServer serves the module's messages.
func NewMsgServer(k Keeper) MsgServer { return msgServer{k} }

func (k msgServer) owner(text string) (string, error) {
	a, err := k.addresses.StringToBytes(text)
	if err != nil {
		return "", invalid("owner %q: %v", text, err)
	}
	return k.addresses.BytesToString(a)
}

// RegisterTower enters a tower under its key. Errors: ErrInvalid, ErrExists, ErrENB.
func (k msgServer) RegisterTower(ctx context.Context, m *MsgRegisterTower) (*MsgRegisterTowerResponse, error) {
	owner, err := k.owner(m.Owner)
	if err != nil {
		return nil, err
	}
	t := Tower{
		Key: m.Key, Owner: owner, Name: m.Name, ENB: m.ENB, Cells: m.Cells, Shares: m.Shares,
		Prices: m.Prices, Version: 1,
	}
	if err := t.validate(k.addresses); err != nil {
		return nil, err
	}
	chain := sdk.UnwrapSDKContext(ctx).ChainID()
	if err := keyproof.Check(t.Key, m.KeyProof, keyproof.Tower, chain, owner); err != nil {
		return nil, invalid("%v", err)
	}
	known, err := k.Towers.Has(ctx, t.Key)
	if err != nil {
		return nil, err
	}
	if known {
		return nil, errorsmod.Wrapf(ErrExists, "tower %x", t.Key)
	}
	if err := k.setTower(ctx, nil, t); err != nil {
		return nil, err
	}
	return &MsgRegisterTowerResponse{}, emit(ctx, t)
}

// UpdateTower replaces what the owner has said about a tower. Errors: ErrInvalid, ErrUnknown, ErrNotYours, ErrENB.
func (k msgServer) UpdateTower(ctx context.Context, m *MsgUpdateTower) (*MsgUpdateTowerResponse, error) {
	owner, err := k.owner(m.Owner)
	if err != nil {
		return nil, err
	}
	old, err := k.Tower(ctx, m.Key)
	if err != nil {
		return nil, err
	}
	if old.Owner != owner {
		return nil, errorsmod.Wrapf(ErrNotYours, "tower %x", m.Key)
	}
	t := Tower{
		Key: old.Key, Owner: owner, Name: m.Name, ENB: m.ENB, Cells: m.Cells, Shares: m.Shares,
		Prices: m.Prices, Version: old.Version + 1, Health: old.Health,
	}
	if err := t.validate(k.addresses); err != nil {
		return nil, err
	}
	if err := k.setTower(ctx, &old, t); err != nil {
		return nil, err
	}
	return &MsgUpdateTowerResponse{Version: t.Version}, emit(ctx, t)
}

func emit(ctx context.Context, t Tower) error {
	event := &EventTower{Key: t.Key, Owner: t.Owner, Name: t.Name, Version: t.Version}
	return sdk.UnwrapSDKContext(ctx).EventManager().EmitTypedEvent(event)
}
