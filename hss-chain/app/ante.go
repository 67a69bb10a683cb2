package app

import (
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/x/auth/ante"
)

// setAnte builds what every transaction passes before its messages run. A fee
// taken out of a settlement's payout, and transactions of another kind of
// account, are to come in here: one decorator each, no change elsewhere.
func (a *App) setAnte() error {
	h, err := ante.NewAnteHandler(ante.HandlerOptions{
		AccountKeeper:   a.Account,
		BankKeeper:      a.Bank,
		FeegrantKeeper:  a.Feegrant,
		SignModeHandler: a.Tx.SignModeHandler(),
		SigGasConsumer:  ante.DefaultSigVerificationGasConsumer,
	})
	if err != nil {
		return err
	}
	a.SetAnteHandler(h)
	return nil
}

// setBlocks tells the app what to run when a chain and each of its blocks begin
// and end.
func (a *App) setBlocks() {
	a.SetInitChainer(a.initChain)
	a.SetPreBlocker(func(ctx sdk.Context, _ *requestFinalizeBlock) (*sdk.ResponsePreBlock, error) {
		return a.modules.PreBlock(ctx)
	})
	a.SetBeginBlocker(a.modules.BeginBlock)
	a.SetEndBlocker(a.modules.EndBlock)
}
