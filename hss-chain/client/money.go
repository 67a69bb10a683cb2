package client

import (
	"context"
	"fmt"
	"time"

	"cosmossdk.io/math"

	sdk "github.com/cosmos/cosmos-sdk/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"

	"campanile.network/hss-chain/app"
	"campanile.network/hss-chain/ledger"
	"campanile.network/hss-chain/x/settlement"
	"campanile.network/wire/proof"
)

// OpenChannel opens the one channel from the operator `payer` to the tower and
// pays in its reserve. Refusals: ErrExists (open already), ErrUnknown (operator
// or tower), ErrFunds.
func (c *Client) OpenChannel(ctx context.Context, payer *Account, tower proof.TowerKey, reserve proof.Amount) (uint64, Receipt, error) {
	var a settlement.MsgOpenChannelResponse
	r, err := c.submit(ctx, job{what: "open channel", by: payer, gas: gasChannel, answer: &a,
		msg: &settlement.MsgOpenChannel{Payer: string(payer.address), TowerKey: tower[:], Reserve: coin(reserve)}})
	return a.ID, r, err
}

// TopUp adds to a channel's reserve; what was promised beyond the old one is
// paid at once. Refusals: ErrUnknown, ErrClosed, ErrFunds.
func (c *Client) TopUp(ctx context.Context, payer *Account, channel uint64, amount proof.Amount) (Receipt, error) {
	return c.submit(ctx, job{what: "top up channel", by: payer, gas: gasChannel,
		msg: &settlement.MsgTopUp{Payer: string(payer.address), Channel: channel, Amount: coin(amount)}})
}

// Settled is what one voucher did.
type Settled struct {
	Channel uint64
	Paid    proof.Amount // to the shares, by this voucher
	Owing   proof.Amount // promised beyond the reserve; paid when it is topped up
}

// Settle shows the chain vouchers, as proof.Voucher.Sign made them, of any
// channels: at most 200, all or none. Anybody may. Refusals: ErrNothingNew,
// ErrUnknown, ErrClosed; a signature that does not fit.
func (c *Client) Settle(ctx context.Context, by *Account, vouchers ...[]byte) ([]Settled, Receipt, error) {
	var a settlement.MsgSettleResponse
	r, err := c.submit(ctx, job{what: "settle", by: by, gas: c.voucherGas(vouchers...), answer: &a,
		msg: &settlement.MsgSettle{Submitter: string(by.address), Vouchers: vouchers}})
	if err != nil {
		return nil, r, err
	}
	list := make([]Settled, len(a.Settled))
	for i, s := range a.Settled {
		list[i].Channel = s.Channel
		if list[i].Paid, err = fromInt(s.Paid); err != nil {
			return nil, r, err
		}
		if list[i].Owing, err = fromInt(s.Owing); err != nil {
			return nil, r, err
		}
	}
	return list, r, nil
}

// Claim moves all the account has earned to its balance and says how much.
// Refusals: ErrNothingToClaim.
func (c *Client) Claim(ctx context.Context, by *Account) (proof.Amount, Receipt, error) {
	var a settlement.MsgClaimResponse
	r, err := c.submit(ctx, job{what: "claim", by: by, gas: gasChannel, answer: &a,
		msg: &settlement.MsgClaim{Claimer: string(by.address)}})
	if err != nil {
		return proof.Amount{}, r, err
	}
	claimed, err := fromInt(a.Amount.Amount)
	return claimed, r, err
}

// Closed is a channel after Close.
type Closed struct {
	State    ledger.ChannelState
	ClosesAt time.Time    // while closing
	Returned proof.Amount // to the payer, when closed
}

// Close ends a channel: at once when `by` is the tower's owner, after the
// challenge time when it is the payer. A last voucher (nil: none) is paid
// first. Refusals: ErrUnknown, ErrClosed; not a party.
func (c *Client) Close(ctx context.Context, by *Account, channel uint64, voucher []byte) (Closed, Receipt, error) {
	var a settlement.MsgCloseResponse
	r, err := c.submit(ctx, job{what: "close channel", by: by, gas: gasChannel + c.voucherGas(voucher), answer: &a,
		msg: &settlement.MsgClose{Sender: string(by.address), Channel: channel, Voucher: voucher}})
	if err != nil {
		return Closed{}, r, err
	}
	returned, err := fromInt(a.Returned)
	return Closed{State: ledger.ChannelState(a.State), ClosesAt: a.ClosesAt, Returned: returned}, r, err
}

// Send moves coins to another account. Refusals: ErrFunds.
func (c *Client) Send(ctx context.Context, from *Account, to ledger.Account, amount proof.Amount) (Receipt, error) {
	return c.submit(ctx, job{what: "send", by: from, gas: gasChannel, msg: &banktypes.MsgSend{
		FromAddress: string(from.address), ToAddress: string(to), Amount: sdk.NewCoins(coin(amount))}})
}

// Balance is what the account holds as of the last block; claims not yet made
// are not in it. It fails with ErrHalted when no node runs.
func (c *Client) Balance(ctx context.Context, of ledger.Account) (proof.Amount, error) {
	address, err := app.Addresses().StringToBytes(string(of))
	if err != nil {
		return proof.Amount{}, fmt.Errorf("balance of %q: %w", of, err)
	}
	live, err := c.node.Live()
	if err != nil {
		return proof.Amount{}, fmt.Errorf("balance: %w", err)
	}
	state, err := live.Committed(ctx)
	if err != nil {
		return proof.Amount{}, fmt.Errorf("balance: %w", err)
	}
	return fromInt(live.App.Bank.GetBalance(state, address, app.BaseDenom).Amount)
}

func coin(a proof.Amount) sdk.Coin {
	return sdk.Coin{Denom: app.BaseDenom, Amount: settlement.IntOf(a)}
}

func fromInt(v math.Int) (proof.Amount, error) {
	a, err := proof.ParseAmount(v.String())
	if err != nil {
		return a, fmt.Errorf("amount from the chain: %w", err)
	}
	return a, nil
}
