// Package settlement holds payment channels from operators to towers. An
// operator pays a reserve into a channel and signs cumulative vouchers to the
// tower off chain; whoever shows the chain a higher voucher makes it pay the
// difference out of that channel's own reserve, split by the tower's shares
// into claimable balances. The package counts no byte and judges no dispute:
// only a voucher's amount and signature matter. Nothing is minted here; what
// goes in equals what comes out.
package settlement

import (
	"time"

	"cosmossdk.io/collections"
	errorsmod "cosmossdk.io/errors"
)

// ModuleName is also the name of the module's store and of the account that
// holds all reserves and claims.
const ModuleName = "settlement"

// Denom is the only coin channels hold.
const Denom = "abell"

// DefaultChallengeTime is how long a payer waits for his rest.
const DefaultChallengeTime = 7 * 24 * time.Hour

// Bounds on what a message may hold and a block may do.
const (
	// MaxVouchers is the most vouchers one message shows.
	MaxVouchers = 200
	// voucherGas is what checking one voucher's signature costs.
	voucherGas    = 1000
	closedAtOnce  = 100 // channels whose rest goes back in one block
	maxAmountBits = 127 // of a reserve, so that every sum fits an Amount
	minChallenge  = time.Second
	maxChallenge  = 365 * 24 * time.Hour
)

// Prefixes of the store, in the order of Keeper's fields. Those of the two
// records that others read are exported for those who follow committed changes.
var (
	paramsPrefix    = collections.NewPrefix(0)
	nextPrefix      = collections.NewPrefix(1)
	ChannelPrefix   = collections.NewPrefix(2)
	pairPrefix      = collections.NewPrefix(3)
	closingPrefix   = collections.NewPrefix(4)
	ClaimablePrefix = collections.NewPrefix(5)
	reservedPrefix  = collections.NewPrefix(6)
	owedPrefix      = collections.NewPrefix(7)
)

// Reasons for refusing a message.
var (
	ErrInvalid        = errorsmod.Register(ModuleName, 2, "invalid")
	ErrUnknown        = errorsmod.Register(ModuleName, 3, "unknown channel")
	ErrExists         = errorsmod.Register(ModuleName, 4, "exists already")
	ErrClosed         = errorsmod.Register(ModuleName, 5, "channel is closed")
	ErrVoucher        = errorsmod.Register(ModuleName, 6, "voucher")
	ErrNothingNew     = errorsmod.Register(ModuleName, 7, "voucher is not higher than the highest seen")
	ErrNotYours       = errorsmod.Register(ModuleName, 8, "not a party of this channel")
	ErrNothingToClaim = errorsmod.Register(ModuleName, 9, "nothing to claim")
	ErrInsolvent      = errorsmod.Register(ModuleName, 10, "module account holds less than it owes")
)

func invalid(format string, args ...any) error { return errorsmod.Wrapf(ErrInvalid, format, args...) }
