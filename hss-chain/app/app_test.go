package app

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/cometbft/cometbft/crypto/ed25519"

	"cosmossdk.io/math"

	sdk "github.com/cosmos/cosmos-sdk/types"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	stakingtypes "github.com/cosmos/cosmos-sdk/x/staking/types"

	"campanile.network/wire/proof"
)

func state(t *testing.T) (map[string]json.RawMessage, Codecs) {
	t.Helper()
	codecs, err := newCodecs()
	if err != nil {
		t.Fatal(err)
	}
	staker := sdk.AccAddress(make([]byte, 20)).String()
	raw, err := Genesis{
		Time: time.Unix(1_800_000_000, 0), Validator: ed25519.GenPrivKey().PubKey(), Staker: staker,
		Accounts: []GenesisAccount{{Address: staker, Balance: proof.AmountOf(7)}},
	}.State()
	if err != nil {
		t.Fatal(err)
	}
	var modules map[string]json.RawMessage
	if err := json.Unmarshal(raw, &modules); err != nil {
		t.Fatal(err)
	}
	return modules, codecs
}

// The choices that cannot be changed later without a migration.
func TestWhatIsFixedForGood(t *testing.T) {
	modules, codecs := state(t)
	var bank banktypes.GenesisState
	codecs.Codec.MustUnmarshalJSON(modules[banktypes.ModuleName], &bank)
	want := math.NewIntWithDecimal(stakeBells, 18).AddRaw(7)
	if len(bank.Supply) != 1 || bank.Supply[0].Denom != "abell" || !bank.Supply[0].Amount.Equal(want) {
		t.Errorf("supply %v, want %vabell: the stake and the balances", bank.Supply, want)
	}
	if err := bank.DenomMetadata[0].Validate(); err != nil || bank.DenomMetadata[0].Display != "BELL" {
		t.Errorf("metadata %v: %v", bank.DenomMetadata, err)
	}
	var staking stakingtypes.GenesisState
	codecs.Codec.MustUnmarshalJSON(modules[stakingtypes.ModuleName], &staking)
	if staking.Params.BondDenom != "abell" {
		t.Errorf("bonded are %s", staking.Params.BondDenom)
	}
	if p := staking.Validators[0].ConsensusPower(sdk.DefaultPowerReduction); p != stakeBells {
		t.Errorf("validator's power %d, want %d: one a BELL", p, stakeBells)
	}
	if sdk.GetConfig().GetCoinType() != 118 || sdk.GetConfig().GetBech32AccountAddrPrefix() != "camp" {
		t.Errorf("coin type %d, prefix %s", sdk.GetConfig().GetCoinType(), sdk.GetConfig().GetBech32AccountAddrPrefix())
	}
	if p := ConsensusParams(); p.Block.MaxGas <= 0 || p.ValidateBasic() != nil {
		t.Errorf("block gas %d, %v", p.Block.MaxGas, p.ValidateBasic())
	}
	for _, name := range storeNames() {
		if name == "evm" || name == "feemarket" || name == "erc20" {
			t.Errorf("store name %s is reserved", name)
		}
	}
}

func TestNobodyMints(t *testing.T) {
	for name, permissions := range moduleAccounts() {
		for _, p := range permissions {
			if p == authtypes.Minter {
				t.Errorf("module account %s may mint", name)
			}
		}
		if !blocked()[authtypes.NewModuleAddress(name).String()] {
			t.Errorf("anybody can send coins to module account %s", name)
		}
	}
}
