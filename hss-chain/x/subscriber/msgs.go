package subscriber

import (
	"context"
	"errors"

	"cosmossdk.io/collections"
	errorsmod "cosmossdk.io/errors"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"campanile.network/hss-chain/x/keyproof"
)

type msgServer struct{ Keeper }

// NewMsgServer serves the module's messages.
func NewMsgServer(k Keeper) MsgServer { return msgServer{k} }

// RegisterOperator makes an account an operator. Errors: ErrInvalid, ErrExists, ErrRange.
func (k msgServer) RegisterOperator(ctx context.Context, m *MsgRegisterOperator) (*MsgRegisterOperatorResponse, error) {
	account, text, err := k.account(m.Account)
	if err != nil {
		return nil, err
	}
	o := Operator{
		Account: text, Key: m.Key, Name: m.Name, PLMNs: m.PLMNs, Ranges: m.Ranges,
		HSSNodes: m.HSSNodes, Prices: m.Prices, Version: 1,
	}
	if err := o.validate(); err != nil {
		return nil, err
	}
	if err := checkProof(ctx, o, m.KeyProof); err != nil {
		return nil, err
	}
	known, err := k.Operators.Has(ctx, account)
	if err != nil {
		return nil, err
	}
	if known {
		return nil, errorsmod.Wrapf(ErrExists, "operator %s", text)
	}
	if err := k.setOperator(ctx, account, nil, o); err != nil {
		return nil, err
	}
	return &MsgRegisterOperatorResponse{}, emit(ctx, &EventOperator{Account: text, Name: o.Name, Version: o.Version})
}

func checkProof(ctx context.Context, o Operator, proof []byte) error {
	chain := sdk.UnwrapSDKContext(ctx).ChainID()
	if err := keyproof.Check(o.Key, proof, keyproof.Operator, chain, o.Account); err != nil {
		return invalid("%v", err)
	}
	return nil
}

func emit(ctx context.Context, event interface {
	Reset()
	String() string
	ProtoMessage()
}) error {
	return sdk.UnwrapSDKContext(ctx).EventManager().EmitTypedEvent(event)
}

// UpdateOperator replaces what an operator has said about itself. Errors: ErrInvalid, ErrUnknown, ErrExists, ErrRange.
func (k msgServer) UpdateOperator(ctx context.Context, m *MsgUpdateOperator) (*MsgUpdateOperatorResponse, error) {
	account, text, err := k.account(m.Account)
	if err != nil {
		return nil, err
	}
	old, err := k.Operator(ctx, account)
	if err != nil {
		return nil, err
	}
	o := Operator{
		Account: text, Key: m.Key, Name: m.Name, PLMNs: m.PLMNs, Ranges: m.Ranges,
		HSSNodes: m.HSSNodes, Prices: m.Prices, Version: old.Version + 1,
	}
	if err := o.validate(); err != nil {
		return nil, err
	}
	if string(o.Key) != string(old.Key) {
		if err := checkProof(ctx, o, m.KeyProof); err != nil {
			return nil, err
		}
	}
	if err := k.setOperator(ctx, account, &old, o); err != nil {
		return nil, err
	}
	return &MsgUpdateOperatorResponse{Version: o.Version}, emit(ctx, &EventOperator{Account: text, Name: o.Name, Version: o.Version})
}

func checkBatch(n int) error {
	if n == 0 || n > MaxBatch {
		return invalid("%d subscribers in a message, want 1 to %d", n, MaxBatch)
	}
	return nil
}

// AddSubscribers enters a batch, all or none. Errors: ErrInvalid, ErrUnknown (no operator), ErrExists.
func (k msgServer) AddSubscribers(ctx context.Context, m *MsgAddSubscribers) (*MsgAddSubscribersResponse, error) {
	account, text, err := k.account(m.Operator)
	if err != nil {
		return nil, err
	}
	if _, err := k.Operator(ctx, account); err != nil {
		return nil, err
	}
	if err := checkBatch(len(m.Subscribers)); err != nil {
		return nil, err
	}
	for _, n := range m.Subscribers {
		s := Subscriber{ID: n.ID, Operator: text, State: n.State, Plan: n.Plan, Version: 1, BlobHash: n.BlobHash, Epoch: m.Epoch}
		if err := s.validate(); err != nil {
			return nil, err
		}
		if s.State == StateErased {
			return nil, invalid("subscriber %x: new and erased", s.ID)
		}
		known, err := k.Subscribers.Has(ctx, s.ID)
		if err != nil {
			return nil, err
		}
		if known {
			return nil, errorsmod.Wrapf(ErrExists, "subscriber %x", s.ID)
		}
		if err := k.Subscribers.Set(ctx, s.ID, s); err != nil {
			return nil, err
		}
	}
	return &MsgAddSubscribersResponse{}, emit(ctx, &EventSubscribers{Operator: text, Added: uint64(len(m.Subscribers))})
}

// UpdateSubscribers changes a batch, all or none. Errors: ErrInvalid, ErrUnknown, ErrNotYours, ErrErased, ErrVersion.
func (k msgServer) UpdateSubscribers(ctx context.Context, m *MsgUpdateSubscribers) (*MsgUpdateSubscribersResponse, error) {
	_, text, err := k.account(m.Operator)
	if err != nil {
		return nil, err
	}
	if err := checkBatch(len(m.Changes)); err != nil {
		return nil, err
	}
	event := &EventSubscribers{Operator: text}
	for _, c := range m.Changes {
		if err := k.change(ctx, text, c); err != nil {
			return nil, err
		}
		if c.State == StateErased {
			event.Erased++
		} else {
			event.Changed++
		}
	}
	return &MsgUpdateSubscribersResponse{}, emit(ctx, event)
}

func (k msgServer) change(ctx context.Context, operator string, c SubscriberChange) error {
	old, err := k.Subscribers.Get(ctx, c.ID)
	switch {
	case errors.Is(err, collections.ErrNotFound):
		return errorsmod.Wrapf(ErrUnknown, "subscriber %x", c.ID)
	case err != nil:
		return err
	case old.Operator != operator:
		return errorsmod.Wrapf(ErrNotYours, "subscriber %x", c.ID)
	case old.State == StateErased:
		return errorsmod.Wrapf(ErrErased, "subscriber %x", c.ID)
	case c.Version != old.Version+1:
		return errorsmod.Wrapf(ErrVersion, "subscriber %x: %d after %d", c.ID, c.Version, old.Version)
	}
	s := Subscriber{ID: c.ID, Operator: operator, State: c.State, Plan: c.Plan, Version: c.Version, BlobHash: c.BlobHash, Epoch: c.Epoch}
	if err := s.validate(); err != nil {
		return err
	}
	return k.Subscribers.Set(ctx, s.ID, s)
}
