package app

import (
	"errors"

	"cosmossdk.io/core/store"

	"github.com/cosmos/cosmos-sdk/runtime"
	sdk "github.com/cosmos/cosmos-sdk/types"
	authkeeper "github.com/cosmos/cosmos-sdk/x/auth/keeper"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	authzkeeper "github.com/cosmos/cosmos-sdk/x/authz/keeper"
	bankkeeper "github.com/cosmos/cosmos-sdk/x/bank/keeper"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	consensuskeeper "github.com/cosmos/cosmos-sdk/x/consensus/keeper"
	consensustypes "github.com/cosmos/cosmos-sdk/x/consensus/types"
	distrkeeper "github.com/cosmos/cosmos-sdk/x/distribution/keeper"
	distrtypes "github.com/cosmos/cosmos-sdk/x/distribution/types"
	"github.com/cosmos/cosmos-sdk/x/feegrant"
	feegrantkeeper "github.com/cosmos/cosmos-sdk/x/feegrant/keeper"
	govkeeper "github.com/cosmos/cosmos-sdk/x/gov/keeper"
	govtypes "github.com/cosmos/cosmos-sdk/x/gov/types"
	slashingkeeper "github.com/cosmos/cosmos-sdk/x/slashing/keeper"
	slashingtypes "github.com/cosmos/cosmos-sdk/x/slashing/types"
	stakingkeeper "github.com/cosmos/cosmos-sdk/x/staking/keeper"
	stakingtypes "github.com/cosmos/cosmos-sdk/x/staking/types"
	upgradekeeper "github.com/cosmos/cosmos-sdk/x/upgrade/keeper"
	upgradetypes "github.com/cosmos/cosmos-sdk/x/upgrade/types"

	"campanile.network/hss-chain/x/settlement"
	"campanile.network/hss-chain/x/subscriber"
	"campanile.network/hss-chain/x/tower"
)

// Stores of stock modules whose packages name them otherwise than we do.
const (
	stakingName   = stakingtypes.StoreKey
	slashingName  = slashingtypes.StoreKey
	distrName     = distrtypes.StoreKey
	govName       = govtypes.StoreKey
	consensusName = consensustypes.StoreKey
	feegrantName  = feegrant.StoreKey
	authzName     = authzkeeper.StoreKey
)

type storeService = store.KVStoreService

// moduleAccounts are the accounts no key controls, and what each may do beyond
// holding coins. Nobody may mint.
func moduleAccounts() map[string][]string {
	return map[string][]string{
		authtypes.FeeCollectorName:     nil,
		distrtypes.ModuleName:          nil,
		stakingtypes.BondedPoolName:    {authtypes.Burner, authtypes.Staking},
		stakingtypes.NotBondedPoolName: {authtypes.Burner, authtypes.Staking},
		govtypes.ModuleName:            {authtypes.Burner},
		settlement.ModuleName:          nil,
	}
}

// blocked are the module accounts: nobody can send coins to one but through its module.
func blocked() map[string]bool {
	b := map[string]bool{}
	for name := range moduleAccounts() {
		b[authtypes.NewModuleAddress(name).String()] = true
	}
	return b
}

func (a *App) makeKeepers(home string) error {
	cdc, addresses := a.Codec, Addresses()
	authority := authtypes.NewModuleAddress(govtypes.ModuleName).String()

	a.Consensus = consensuskeeper.NewKeeper(cdc, a.store(consensusName), authority, runtime.EventService{})
	a.SetParamStore(a.Consensus.ParamsStore)
	a.Account = authkeeper.NewAccountKeeper(cdc, a.store(authtypes.StoreKey), authtypes.ProtoBaseAccount,
		moduleAccounts(), addresses, Prefix, authority)
	a.Bank = bankkeeper.NewBaseKeeper(cdc, a.store(banktypes.StoreKey), a.Account, blocked(), authority, a.Logger())
	a.Bank = a.Bank.WithObjStoreKey(a.objects[banktypes.ObjectStoreKey])
	a.Staking = stakingkeeper.NewKeeper(cdc, a.store(stakingName), a.Account, a.Bank, authority,
		validatorAddresses(), consensusAddresses())
	a.Slashing = slashingkeeper.NewKeeper(cdc, a.Amino, a.store(slashingName), a.Staking, authority)
	a.Distribution = distrkeeper.NewKeeper(cdc, a.store(distrName), a.Account, a.Bank, a.Staking,
		authtypes.FeeCollectorName, authority)
	a.Staking.SetHooks(stakingtypes.NewMultiStakingHooks(a.Distribution.Hooks(), a.Slashing.Hooks()))
	a.Feegrant = feegrantkeeper.NewKeeper(cdc, a.store(feegrantName), a.Account)
	a.Authz = authzkeeper.NewKeeper(a.store(authzName), cdc, a.MsgServiceRouter(), a.Account)
	a.Upgrade = upgradekeeper.NewKeeper(map[int64]bool{}, a.store(upgradetypes.StoreKey), cdc, home, a.BaseApp, authority)
	a.Gov = govkeeper.NewKeeper(cdc, a.store(govName), a.Account, a.Bank, a.Distribution, a.MsgServiceRouter(),
		govtypes.DefaultConfig(), authority, govkeeper.NewDefaultCalculateVoteResultsAndVotingPower(a.Staking))
	return a.makeOwnKeepers(authority)
}

func (a *App) makeOwnKeepers(authority string) error {
	var errSubscriber, errTower, errSettlement error
	a.Subscriber, errSubscriber = subscriber.NewKeeper(a.Codec, a.store(subscriber.ModuleName), Addresses())
	a.Tower, errTower = tower.NewKeeper(a.Codec, a.store(tower.ModuleName), Addresses())
	a.Settlement, errSettlement = settlement.NewKeeper(settlement.Needs{
		Codec: a.Codec, Store: a.store(settlement.ModuleName), Addresses: Addresses(),
		Account: sdk.AccAddress(authtypes.NewModuleAddress(settlement.ModuleName)), Authority: authority,
		Bank: a.Bank, Operators: a.Subscriber, Towers: a.Tower,
	})
	return errors.Join(errSubscriber, errTower, errSettlement)
}
