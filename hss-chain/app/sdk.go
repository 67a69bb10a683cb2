package app

import (
	"sync"

	"cosmossdk.io/core/address"
	"cosmossdk.io/math"

	addresscodec "github.com/cosmos/cosmos-sdk/codec/address"
	sdk "github.com/cosmos/cosmos-sdk/types"
)

// What cannot be changed once a chain has begun.
const (
	// Prefix begins every account address.
	Prefix = "camp"
	// CoinType is the SLIP-44 number account keys are derived under.
	CoinType = 118
	// BaseDenom counts in the smallest unit; 10^18 of it are one DisplayDenom.
	BaseDenom = "abell"
	// DisplayDenom is what people say.
	DisplayDenom = "BELL"
	// Decimals is the step from BaseDenom to DisplayDenom.
	Decimals = 18
)

// oneBell is 10^18.
func oneBell() math.Int { return math.NewIntWithDecimal(1, Decimals) }

var configure sync.Once

// Configure sets what the SDK keeps process-wide: address prefixes, coin type
// and the power reduction that 18 decimals ask for. New calls it; who handles
// addresses without an App calls it first.
func Configure() {
	configure.Do(func() {
		c := sdk.GetConfig()
		c.SetBech32PrefixForAccount(Prefix, Prefix+"pub")
		c.SetBech32PrefixForValidator(Prefix+"valoper", Prefix+"valoperpub")
		c.SetBech32PrefixForConsensusNode(Prefix+"valcons", Prefix+"valconspub")
		c.SetCoinType(CoinType)
		sdk.DefaultPowerReduction = oneBell()
	})
}

// Addresses spells account addresses: bech32, prefix "camp", 20 octets.
func Addresses() address.Codec { return addresscodec.NewBech32Codec(Prefix) }

func validatorAddresses() address.Codec { return addresscodec.NewBech32Codec(Prefix + "valoper") }

func consensusAddresses() address.Codec { return addresscodec.NewBech32Codec(Prefix + "valcons") }
