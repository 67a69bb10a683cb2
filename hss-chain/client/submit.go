package client

import (
	"context"
	"errors"
	"fmt"

	"github.com/cometbft/cometbft/types"
	"github.com/cosmos/gogoproto/proto"

	"cosmossdk.io/math"

	clienttx "github.com/cosmos/cosmos-sdk/client/tx"
	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
	"github.com/cosmos/cosmos-sdk/types/tx/signing"
	authsigning "github.com/cosmos/cosmos-sdk/x/auth/signing"

	"campanile.network/hss-chain/app"
	"campanile.network/hss-chain/node"
)

// job is one transaction to be: what it is called, who signs, what it says, how
// much gas it may take, and where the answer goes (nil: nobody asks).
type job struct {
	what   string
	by     *Account
	msg    sdk.Msg
	gas    uint64
	answer proto.Message
}

// submit signs and sends a job and waits until a block has it. When another
// program uses the same account, the sequence number may be taken: then it
// tries again after the next block, until the context ends.
func (c *Client) submit(ctx context.Context, j job) (Receipt, error) {
	giveBack, err := c.take(ctx, j.by.address)
	if err != nil {
		return Receipt{}, fmt.Errorf("%s: %w", j.what, err)
	}
	defer giveBack()
	for {
		r, err := c.try(ctx, j)
		var rejected *Rejected
		taken := errors.As(err, &rejected) && rejected.Space == sdkerrors.RootCodespace && rejected.Code == sdkerrors.ErrWrongSequence.ABCICode()
		if taken || errors.Is(err, node.ErrTwin) {
			c.log.Debug("sequence is taken, trying again", "what", j.what, "account", j.by)
			if err = c.nextBlock(ctx); err == nil {
				continue
			}
		}
		if err != nil && !errors.As(err, &rejected) {
			err = fmt.Errorf("%s: %w", j.what, err)
		}
		c.log.Debug("transaction", "what", j.what, "account", j.by, "height", r.Height, "err", err)
		return r, err
	}
}

func (c *Client) try(ctx context.Context, j job) (Receipt, error) {
	live, err := c.node.Live()
	if err != nil {
		return Receipt{}, err
	}
	tx, err := sign(ctx, live, c.node.ChainID(), j)
	if err != nil {
		return Receipt{}, err
	}
	in, err := live.Submit(ctx, tx)
	if err != nil {
		return Receipt{}, err
	}
	if in.Result.Code != 0 {
		return Receipt{Height: in.Height}, &Rejected{What: j.what, Space: in.Result.Codespace, Code: in.Result.Code, Reason: in.Result.Log}
	}
	r := Receipt{Height: in.Height, Tx: types.Tx(tx).Key()}
	if j.answer == nil {
		return r, nil
	}
	return r, readAnswer(in.Result.Data, j.answer)
}

func (c *Client) nextBlock(ctx context.Context) error {
	live, err := c.node.Live()
	if err != nil {
		return err
	}
	select {
	case <-live.NextBlock():
		return nil
	case <-live.Done():
		return ErrHalted
	case <-ctx.Done():
		return ctx.Err()
	}
}

// sign makes the signed transaction, with number and sequence of the last
// committed state and a fee of zero.
func sign(ctx context.Context, live *node.Live, chainID string, j job) ([]byte, error) {
	a := live.App
	state, err := live.Committed(ctx)
	if err != nil {
		return nil, err
	}
	address := sdk.AccAddress(j.by.key.PubKey().Address())
	acc := a.Account.GetAccount(state, address)
	if acc == nil {
		return nil, &Rejected{What: j.what, Space: sdkerrors.RootCodespace, Code: sdkerrors.ErrUnknownAddress.ABCICode(),
			Reason: fmt.Sprintf("account %s does not exist: nobody has sent it anything yet", address)}
	}
	b := a.Tx.NewTxBuilder()
	if err := b.SetMsgs(j.msg); err != nil {
		return nil, err
	}
	b.SetGasLimit(j.gas)
	b.SetFeeAmount(sdk.NewCoins(sdk.NewCoin(app.BaseDenom, math.ZeroInt())))
	const mode = signing.SignMode_SIGN_MODE_DIRECT
	// the signature covers the signer's key and sequence: they are set first
	blank := signing.SignatureV2{PubKey: j.by.key.PubKey(), Data: &signing.SingleSignatureData{SignMode: mode}, Sequence: acc.GetSequence()}
	if err := b.SetSignatures(blank); err != nil {
		return nil, err
	}
	signed, err := clienttx.SignWithPrivKey(ctx, mode, authsigning.SignerData{
		Address: address.String(), ChainID: chainID, AccountNumber: acc.GetAccountNumber(),
		Sequence: acc.GetSequence(), PubKey: j.by.key.PubKey(),
	}, b, j.by.key, a.Tx, acc.GetSequence())
	if err != nil {
		return nil, err
	}
	if err := b.SetSignatures(signed); err != nil {
		return nil, err
	}
	return a.Tx.TxEncoder()(b.GetTx())
}

// readAnswer finds the message's response in a transaction's result.
func readAnswer(data []byte, answer proto.Message) error {
	var all sdk.TxMsgData
	if err := proto.Unmarshal(data, &all); err != nil {
		return fmt.Errorf("chain's answer: %w", err)
	}
	if len(all.MsgResponses) != 1 || all.MsgResponses[0].TypeUrl != codectypes.MsgTypeURL(answer) {
		return fmt.Errorf("chain's answer: want one %s", codectypes.MsgTypeURL(answer))
	}
	if err := proto.Unmarshal(all.MsgResponses[0].Value, answer); err != nil {
		return fmt.Errorf("chain's answer: %w", err)
	}
	return nil
}
