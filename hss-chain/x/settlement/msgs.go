package settlement

import (
	"context"
	"errors"
	"time"

	"cosmossdk.io/collections"
	errorsmod "cosmossdk.io/errors"
	"cosmossdk.io/math"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"campanile.network/wire/proof"
)

type msgServer struct{ Keeper }

// NewMsgServer serves the module's messages.
func NewMsgServer(k Keeper) MsgServer { return msgServer{k} }

func checkCoin(c sdk.Coin) error {
	if c.Denom != Denom || c.Amount.IsNil() || c.Amount.IsNegative() || c.Amount.BigInt().BitLen() > maxAmountBits {
		return invalid("%q: want abell, 0 or more, below 2^%d", c, maxAmountBits)
	}
	return nil
}

// deposit moves a payer's coins into the channel, which the caller stores.
func (k Keeper) deposit(ctx context.Context, payer sdk.AccAddress, c *Channel, amount math.Int) error {
	c.Reserve = c.Reserve.Add(amount)
	if c.Reserve.BigInt().BitLen() > maxAmountBits {
		return invalid("reserve %v: want below 2^%d", c.Reserve, maxAmountBits)
	}
	if amount.IsZero() {
		return nil
	}
	if err := k.Bank.SendCoinsFromAccountToModule(ctx, payer, ModuleName, coins(amount)); err != nil {
		return err
	}
	return add(ctx, k.Reserved, amount)
}

// OpenChannel opens the one channel of an operator to a tower. Errors:
// ErrInvalid, ErrExists, subscriber.ErrUnknown, tower.ErrUnknown, the bank's.
func (k msgServer) OpenChannel(ctx context.Context, m *MsgOpenChannel) (*MsgOpenChannelResponse, error) {
	payer, text, err := k.account(m.Payer)
	if err != nil {
		return nil, err
	}
	if err := checkCoin(m.Reserve); err != nil {
		return nil, err
	}
	if k.Bank.BlockedAddr(payer) {
		return nil, invalid("payer %s cannot be given his rest", text)
	}
	o, err := k.Operators.Operator(ctx, payer)
	if err != nil {
		return nil, err
	}
	t, err := k.Towers.Tower(ctx, m.TowerKey)
	if err != nil {
		return nil, err
	}
	id, err := k.newID(ctx, collections.Join(payer, t.Key))
	if err != nil {
		return nil, err
	}
	c := Channel{
		ID: id, Payer: text, OperatorKey: o.Key, TowerKey: t.Key, Owner: t.Owner,
		Prices: t.Prices, Shares: t.Shares,
		Reserve: math.ZeroInt(), Paid: math.ZeroInt(), Promised: math.ZeroInt(), Returned: math.ZeroInt(),
		State: ChannelOpen, Root: make([]byte, 32),
	}
	if err := k.deposit(ctx, payer, &c, m.Reserve.Amount); err != nil {
		return nil, err
	}
	if err := k.Channels.Set(ctx, id, c); err != nil {
		return nil, err
	}
	return &MsgOpenChannelResponse{ID: id}, sdk.UnwrapSDKContext(ctx).EventManager().EmitTypedEvent(
		&EventOpened{Channel: id, Payer: text, TowerKey: t.Key, Reserve: c.Reserve.String()})
}

// newID gives a pair's next channel its id, dropping the record of a closed one.
func (k Keeper) newID(ctx context.Context, pair collections.Pair[sdk.AccAddress, []byte]) (uint64, error) {
	old, err := k.ByPair.Get(ctx, pair)
	switch {
	case err == nil:
		c, err := k.channel(ctx, old)
		if err != nil {
			return 0, err
		}
		if c.State != ChannelClosed {
			return 0, errorsmod.Wrapf(ErrExists, "channel %d to this tower", old)
		}
		if err := k.Channels.Remove(ctx, old); err != nil {
			return 0, err
		}
	case !errors.Is(err, collections.ErrNotFound):
		return 0, err
	}
	id, err := k.Next.Next(ctx)
	if err != nil {
		return 0, err
	}
	id++ // the first channel is 1: 0 is nobody's
	return id, k.ByPair.Set(ctx, pair, id)
}

// TopUp adds to a reserve and pays what was promised beyond the old one.
// Errors: ErrInvalid, ErrUnknown, ErrNotYours, ErrClosed, the bank's.
func (k msgServer) TopUp(ctx context.Context, m *MsgTopUp) (*MsgTopUpResponse, error) {
	payer, text, err := k.account(m.Payer)
	if err != nil {
		return nil, err
	}
	if err := checkCoin(m.Amount); err != nil {
		return nil, err
	}
	c, err := k.channel(ctx, m.Channel)
	if err != nil {
		return nil, err
	}
	if c.Payer != text {
		return nil, errorsmod.Wrapf(ErrNotYours, "%d", c.ID)
	}
	if c.State != ChannelOpen {
		return nil, errorsmod.Wrapf(ErrClosed, "%d", c.ID)
	}
	if err := k.deposit(ctx, payer, &c, m.Amount.Amount); err != nil {
		return nil, err
	}
	paid, err := k.pay(ctx, &c)
	if err != nil {
		return nil, err
	}
	return &MsgTopUpResponse{Paid: paid}, sdk.UnwrapSDKContext(ctx).EventManager().EmitTypedEvent(
		&EventToppedUp{Channel: c.ID, Amount: m.Amount.Amount.String(), Reserve: c.Reserve.String()})
}

// Settle takes vouchers of any channels, all or none. Errors: ErrInvalid,
// ErrVoucher, ErrUnknown, ErrClosed, ErrNothingNew.
func (k msgServer) Settle(ctx context.Context, m *MsgSettle) (*MsgSettleResponse, error) {
	if len(m.Vouchers) == 0 || len(m.Vouchers) > MaxVouchers {
		return nil, invalid("%d vouchers, want 1 to %d", len(m.Vouchers), MaxVouchers)
	}
	r := &MsgSettleResponse{}
	for i, signed := range m.Vouchers {
		v, err := proof.PeekVoucher(signed)
		if err != nil {
			return nil, errorsmod.Wrapf(ErrVoucher, "%d: %v", i, err)
		}
		c, err := k.channel(ctx, v.Channel)
		if err != nil {
			return nil, err
		}
		paid, err := k.accept(ctx, &c, signed)
		if err != nil {
			return nil, err
		}
		r.Settled = append(r.Settled, Settled{Channel: c.ID, Paid: paid, Owing: c.Promised.Sub(c.Paid)})
	}
	return r, nil
}

// Claim moves all that is claimable to the claimer's balance. Errors: ErrNothingToClaim.
func (k msgServer) Claim(ctx context.Context, m *MsgClaim) (*MsgClaimResponse, error) {
	account, text, err := k.account(m.Claimer)
	if err != nil {
		return nil, err
	}
	c, err := k.Claimables.Get(ctx, account)
	if errors.Is(err, collections.ErrNotFound) {
		return nil, errorsmod.Wrapf(ErrNothingToClaim, "account %s", text)
	}
	if err != nil {
		return nil, err
	}
	if err := k.Claimables.Remove(ctx, account); err != nil {
		return nil, err
	}
	if err := add(ctx, k.Owed, c.Amount.Neg()); err != nil {
		return nil, err
	}
	if err := k.Bank.SendCoinsFromModuleToAccount(ctx, ModuleName, account, coins(c.Amount)); err != nil {
		return nil, err
	}
	return &MsgClaimResponse{Amount: sdk.NewCoin(Denom, c.Amount)}, sdk.UnwrapSDKContext(ctx).EventManager().EmitTypedEvent(
		&EventClaimed{Account: text, Amount: c.Amount.String()})
}

// Close ends a channel. Errors: ErrUnknown, ErrNotYours, ErrClosed, ErrVoucher.
// A last voucher that adds nothing is no error.
func (k msgServer) Close(ctx context.Context, m *MsgClose) (*MsgCloseResponse, error) {
	_, sender, err := k.account(m.Sender)
	if err != nil {
		return nil, err
	}
	c, err := k.channel(ctx, m.Channel)
	if err != nil {
		return nil, err
	}
	if sender != c.Payer && sender != c.Owner {
		return nil, errorsmod.Wrapf(ErrNotYours, "%d", c.ID)
	}
	if c.State == ChannelClosed || c.State == ChannelClosing && sender != c.Owner {
		return nil, errorsmod.Wrapf(ErrClosed, "%d is %s", c.ID, c.State)
	}
	if len(m.Voucher) > 0 {
		if _, err := k.accept(ctx, &c, m.Voucher); err != nil && !errors.Is(err, ErrNothingNew) {
			return nil, err
		}
	}
	if sender == c.Owner {
		err = k.finish(ctx, &c)
	} else {
		err = k.beginClose(ctx, &c)
	}
	if err != nil {
		return nil, err
	}
	return &MsgCloseResponse{State: c.State, ClosesAt: c.ClosesAt, Returned: c.Returned}, nil
}

// beginClose starts the challenge time.
func (k Keeper) beginClose(ctx context.Context, c *Channel) error {
	p, err := k.Params.Get(ctx)
	if err != nil {
		return err
	}
	now := sdk.UnwrapSDKContext(ctx).BlockTime()
	c.State, c.ClosesAt = ChannelClosing, now.Add(p.ChallengeTime).Truncate(time.Millisecond)
	if err := errors.Join(k.Closing.Set(ctx, c.turn()), k.Channels.Set(ctx, c.ID, *c)); err != nil {
		return err
	}
	return sdk.UnwrapSDKContext(ctx).EventManager().EmitTypedEvent(&EventClosing{Channel: c.ID, ClosesAt: c.ClosesAt})
}

// UpdateParams changes the parameters, for governance. It cannot shorten the
// wait of a channel that is closing already.
func (k msgServer) UpdateParams(ctx context.Context, m *MsgUpdateParams) (*MsgUpdateParamsResponse, error) {
	if m.Authority != k.Authority {
		return nil, errorsmod.Wrapf(ErrNotYours, "parameters are changed by %s", k.Authority)
	}
	if err := m.Params.validate(); err != nil {
		return nil, err
	}
	return &MsgUpdateParamsResponse{}, k.Keeper.Params.Set(ctx, m.Params)
}

func (p Params) validate() error {
	if p.ChallengeTime < minChallenge || p.ChallengeTime > maxChallenge {
		return invalid("challenge time %v: want %v to %v", p.ChallengeTime, minChallenge, maxChallenge)
	}
	return nil
}
