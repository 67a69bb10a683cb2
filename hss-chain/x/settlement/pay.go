package settlement

import (
	"context"
	"errors"
	"math/big"

	"cosmossdk.io/collections"
	errorsmod "cosmossdk.io/errors"
	"cosmossdk.io/math"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"campanile.network/hss-chain/x/tower"
	"campanile.network/wire/proof"
)

// accept takes a signed voucher for its channel and pays what it adds.
//
// The amount alone decides whether a voucher is higher. Were it the sequence
// number, a payer could sign himself a voucher with the highest number and no
// money, and void all those the tower still holds.
func (k Keeper) accept(ctx context.Context, c *Channel, signed []byte) (paid math.Int, err error) {
	sdkCtx := sdk.UnwrapSDKContext(ctx)
	sdkCtx.GasMeter().ConsumeGas(voucherGas, "voucher signature")
	v, err := proof.OpenVoucher(sdkCtx.ChainID(), proof.OperatorKey(c.OperatorKey), signed)
	if err != nil {
		return paid, errorsmod.Wrap(ErrVoucher, err.Error())
	}
	if v.Channel != c.ID {
		return paid, errorsmod.Wrapf(ErrVoucher, "of channel %d, not %d", v.Channel, c.ID)
	}
	if c.State == ChannelClosed || c.State == ChannelClosing && !sdkCtx.BlockTime().Before(c.ClosesAt) {
		return paid, errorsmod.Wrapf(ErrClosed, "%d", c.ID)
	}
	amount := IntOf(v.Amount)
	if !amount.GT(c.Promised) {
		return paid, errorsmod.Wrapf(ErrNothingNew, "%v after %v in channel %d", amount, c.Promised, c.ID)
	}
	c.Promised, c.Seq, c.Root = amount, v.Seq, v.Root[:]
	c.Carried = Carried{Bytes: v.Bytes, VoiceMs: v.VoiceMs, Messages: v.Messages}
	if paid, err = k.pay(ctx, c); err != nil {
		return paid, err
	}
	return paid, sdkCtx.EventManager().EmitTypedEvent(&EventSettled{
		Channel: c.ID, Seq: c.Seq, Carried: c.Carried, Promised: c.Promised.String(), Paid: paid.String(),
	})
}

// pay moves what is promised, as far as the reserve goes, from the channel to
// its shares, and stores the channel.
func (k Keeper) pay(ctx context.Context, c *Channel) (math.Int, error) {
	due := math.MinInt(c.Promised, c.Reserve).Sub(c.Paid)
	if due.IsPositive() {
		for i, part := range split(due, c.Shares) {
			if err := k.credit(ctx, c.Shares[i].Address, part); err != nil {
				return due, err
			}
		}
		c.Paid = c.Paid.Add(due)
		if err := errors.Join(add(ctx, k.Reserved, due.Neg()), add(ctx, k.Owed, due)); err != nil {
			return due, err
		}
	}
	return due, k.Channels.Set(ctx, c.ID, *c)
}

// split divides an amount by weights, each part rounded down; what is left,
// less than one unit a share, goes to the first. The parts add up to amount.
func split(amount math.Int, shares []tower.Share) []math.Int {
	total := uint64(0)
	for _, s := range shares {
		total += uint64(s.Weight)
	}
	parts := make([]math.Int, len(shares))
	left := amount
	for i, s := range shares {
		parts[i] = amount.Mul(math.NewIntFromUint64(uint64(s.Weight))).Quo(math.NewIntFromUint64(total))
		left = left.Sub(parts[i])
	}
	parts[0] = parts[0].Add(left)
	return parts
}

func (k Keeper) credit(ctx context.Context, text string, amount math.Int) error {
	if amount.IsZero() {
		return nil
	}
	account, text, err := k.account(text)
	if err != nil {
		return err
	}
	c, err := k.Claimables.Get(ctx, account)
	if errors.Is(err, collections.ErrNotFound) {
		c, err = Claimable{Account: text, Amount: math.ZeroInt()}, nil
	}
	if err != nil {
		return err
	}
	c.Amount = c.Amount.Add(amount)
	return k.Claimables.Set(ctx, account, c)
}

// finish closes a channel and returns its rest to the payer.
func (k Keeper) finish(ctx context.Context, c *Channel) error {
	if c.State == ChannelClosing {
		if err := k.Closing.Remove(ctx, c.turn()); err != nil {
			return err
		}
	}
	rest := c.Reserve.Sub(c.Paid)
	payer, _, err := k.account(c.Payer)
	if err != nil {
		return err
	}
	if rest.IsPositive() {
		if err := k.Bank.SendCoinsFromModuleToAccount(ctx, ModuleName, payer, coins(rest)); err != nil {
			return err
		}
	}
	c.State, c.Returned = ChannelClosed, rest
	if err := errors.Join(add(ctx, k.Reserved, rest.Neg()), k.Channels.Set(ctx, c.ID, *c)); err != nil {
		return err
	}
	return sdk.UnwrapSDKContext(ctx).EventManager().EmitTypedEvent(&EventClosed{
		Channel: c.ID, Paid: c.Paid.String(), Returned: rest.String(),
	})
}

func coins(amount math.Int) sdk.Coins { return sdk.NewCoins(sdk.NewCoin(Denom, amount)) }

// IntOf is an off-chain amount as the chain counts.
func IntOf(a proof.Amount) math.Int {
	b := a.Octets()
	return math.NewIntFromBigInt(new(big.Int).SetBytes(b[:]))
}
