package app

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/cometbft/cometbft/crypto"
	cmttypes "github.com/cometbft/cometbft/types"
	dbm "github.com/cosmos/cosmos-db"

	"cosmossdk.io/log/v2"
	"cosmossdk.io/math"

	"github.com/cosmos/cosmos-sdk/codec"
	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	cryptocodec "github.com/cosmos/cosmos-sdk/crypto/codec"
	cryptotypes "github.com/cosmos/cosmos-sdk/crypto/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	govtypes "github.com/cosmos/cosmos-sdk/x/gov/types"
	govv1 "github.com/cosmos/cosmos-sdk/x/gov/types/v1"
	slashingtypes "github.com/cosmos/cosmos-sdk/x/slashing/types"
	stakingtypes "github.com/cosmos/cosmos-sdk/x/staking/types"

	"campanile.network/hss-chain/x/settlement"
	"campanile.network/wire/proof"
)

// Limits of a block, fixed at the beginning.
const (
	// MaxBlockGas is finite, so that no block executes for seconds.
	MaxBlockGas = 100_000_000
	maxBlock    = 4 << 20 // octets
	// evidenceBlocks bounds how long blocks must be kept.
	evidenceBlocks = 20_000
	evidenceTime   = 48 * time.Hour
	maxEvidence    = 1 << 20 // octets
	// stakeBells is what the first validator has bonded.
	stakeBells = 100
)

// GenesisAccount is an account that exists from the beginning.
type GenesisAccount struct {
	Address string
	Balance proof.Amount
}

// Genesis is a chain with one validator, before its first block. All coins
// there ever are are these balances and the validator's stake.
type Genesis struct {
	Time          time.Time
	Validator     crypto.PubKey // signs blocks
	Staker        string        // address of the account that holds the stake
	Accounts      []GenesisAccount
	ChallengeTime time.Duration // 0: the default
}

// ConsensusParams are the engine's parameters of a new chain.
func ConsensusParams() *cmttypes.ConsensusParams {
	p := cmttypes.DefaultConsensusParams()
	p.Block.MaxBytes, p.Block.MaxGas = maxBlock, MaxBlockGas
	p.Evidence.MaxAgeNumBlocks, p.Evidence.MaxAgeDuration, p.Evidence.MaxBytes = evidenceBlocks, evidenceTime, maxEvidence
	return p
}

// Address is the address of an account's key.
func Address(key cryptotypes.PrivKey) string {
	Configure()
	return sdk.AccAddress(key.PubKey().Address()).String()
}

// State writes every module's genesis state as JSON.
func (g Genesis) State() (json.RawMessage, error) {
	a, err := New(Options{DB: dbm.NewMemDB(), Logger: log.NewNopLogger()})
	if err != nil {
		return nil, err
	}
	defer a.Close()
	state := a.defaultGenesis()
	stake := oneBell().MulRaw(stakeBells)
	for _, write := range []func(codec.JSONCodec, map[string]json.RawMessage, math.Int) error{
		g.accounts, g.bank, g.staking, g.slashing, g.gov, g.settlement,
	} {
		if err := write(a.Codec, state, stake); err != nil {
			return nil, fmt.Errorf("genesis: %w", err)
		}
	}
	if err := a.basics.ValidateGenesis(a.Codec, a.Tx, state); err != nil {
		return nil, fmt.Errorf("genesis: %w", err)
	}
	return json.MarshalIndent(state, "", " ")
}

func (g Genesis) accounts(cdc codec.JSONCodec, state map[string]json.RawMessage, _ math.Int) error {
	list := make(authtypes.GenesisAccounts, 0, len(g.Accounts))
	for i, acc := range g.Accounts {
		address, err := Addresses().StringToBytes(acc.Address)
		if err != nil {
			return fmt.Errorf("account %d: %w", i, err)
		}
		list = append(list, authtypes.NewBaseAccount(address, nil, uint64(i), 0))
	}
	gs := authtypes.NewGenesisState(authtypes.DefaultParams(), list)
	state[authtypes.ModuleName] = cdc.MustMarshalJSON(gs)
	return nil
}

func (g Genesis) bank(cdc codec.JSONCodec, state map[string]json.RawMessage, stake math.Int) error {
	gs := banktypes.DefaultGenesisState()
	gs.DenomMetadata = []banktypes.Metadata{{
		Description: "what towers are paid in",
		DenomUnits:  []*banktypes.DenomUnit{{Denom: BaseDenom, Exponent: 0}, {Denom: DisplayDenom, Exponent: Decimals}},
		Base:        BaseDenom, Display: DisplayDenom, Name: "Bell", Symbol: DisplayDenom,
	}}
	supply := stake
	for _, acc := range g.Accounts {
		amount := settlement.IntOf(acc.Balance)
		if amount.IsZero() {
			continue
		}
		supply = supply.Add(amount)
		gs.Balances = append(gs.Balances, banktypes.Balance{Address: acc.Address, Coins: sdk.NewCoins(sdk.NewCoin(BaseDenom, amount))})
	}
	gs.Balances = append(gs.Balances, banktypes.Balance{
		Address: authtypes.NewModuleAddress(stakingtypes.BondedPoolName).String(),
		Coins:   sdk.NewCoins(sdk.NewCoin(BaseDenom, stake)),
	})
	gs.Supply = sdk.NewCoins(sdk.NewCoin(BaseDenom, supply))
	state[banktypes.ModuleName] = cdc.MustMarshalJSON(gs)
	return nil
}

// staking enters the validator as bonded already, with its own delegation.
func (g Genesis) staking(cdc codec.JSONCodec, state map[string]json.RawMessage, stake math.Int) error {
	key, err := cryptocodec.FromCmtPubKeyInterface(g.Validator)
	if err != nil {
		return err
	}
	packed, err := codectypes.NewAnyWithValue(key)
	if err != nil {
		return err
	}
	staker, err := Addresses().StringToBytes(g.Staker)
	if err != nil {
		return fmt.Errorf("validator's account: %w", err)
	}
	operator := sdk.ValAddress(staker).String()
	gs := stakingtypes.DefaultGenesisState()
	gs.Params.BondDenom = BaseDenom
	gs.Validators = []stakingtypes.Validator{{
		OperatorAddress: operator, ConsensusPubkey: packed, Status: stakingtypes.Bonded,
		Tokens: stake, DelegatorShares: math.LegacyNewDecFromInt(stake),
		Description: stakingtypes.Description{Moniker: Name},
		Commission:  stakingtypes.NewCommission(math.LegacyZeroDec(), math.LegacyOneDec(), math.LegacyZeroDec()),
		// the zero time as protobuf can write it
		UnbondingTime: time.Unix(0, 0).UTC(), MinSelfDelegation: math.OneInt(),
	}}
	gs.Delegations = []stakingtypes.Delegation{stakingtypes.NewDelegation(g.Staker, operator, math.LegacyNewDecFromInt(stake))}
	state[stakingtypes.ModuleName] = cdc.MustMarshalJSON(gs)
	return nil
}

func (g Genesis) slashing(cdc codec.JSONCodec, state map[string]json.RawMessage, _ math.Int) error {
	gs := slashingtypes.DefaultGenesisState()
	address := sdk.ConsAddress(g.Validator.Address())
	gs.Params.SignedBlocksWindow = 10_000
	gs.Params.MinSignedPerWindow = math.LegacyNewDecWithPrec(5, 2)
	gs.SigningInfos = []slashingtypes.SigningInfo{{
		Address:              address.String(),
		ValidatorSigningInfo: slashingtypes.NewValidatorSigningInfo(address, 0, 0, time.Unix(0, 0).UTC(), false, 0),
	}}
	state[slashingtypes.ModuleName] = cdc.MustMarshalJSON(gs)
	return nil
}

func (g Genesis) gov(cdc codec.JSONCodec, state map[string]json.RawMessage, _ math.Int) error {
	gs := govv1.DefaultGenesisState()
	gs.Params.MinDeposit = sdk.NewCoins(sdk.NewCoin(BaseDenom, oneBell().MulRaw(10)))
	gs.Params.ExpeditedMinDeposit = sdk.NewCoins(sdk.NewCoin(BaseDenom, oneBell().MulRaw(50)))
	state[govtypes.ModuleName] = cdc.MustMarshalJSON(gs)
	return nil
}

func (g Genesis) settlement(cdc codec.JSONCodec, state map[string]json.RawMessage, _ math.Int) error {
	gs := settlement.DefaultGenesis()
	if g.ChallengeTime != 0 {
		gs.Params.ChallengeTime = g.ChallengeTime
	}
	state[settlement.ModuleName] = cdc.MustMarshalJSON(gs)
	return nil
}
