package app

import (
	"encoding/json"

	"github.com/cosmos/cosmos-sdk/types/module"
	"github.com/cosmos/cosmos-sdk/x/auth"
	authsims "github.com/cosmos/cosmos-sdk/x/auth/simulation"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	"github.com/cosmos/cosmos-sdk/x/authz"
	authzmodule "github.com/cosmos/cosmos-sdk/x/authz/module"
	"github.com/cosmos/cosmos-sdk/x/bank"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	"github.com/cosmos/cosmos-sdk/x/consensus"
	consensustypes "github.com/cosmos/cosmos-sdk/x/consensus/types"
	"github.com/cosmos/cosmos-sdk/x/distribution"
	distrtypes "github.com/cosmos/cosmos-sdk/x/distribution/types"
	"github.com/cosmos/cosmos-sdk/x/feegrant"
	feegrantmodule "github.com/cosmos/cosmos-sdk/x/feegrant/module"
	"github.com/cosmos/cosmos-sdk/x/gov"
	govtypes "github.com/cosmos/cosmos-sdk/x/gov/types"
	"github.com/cosmos/cosmos-sdk/x/slashing"
	slashingtypes "github.com/cosmos/cosmos-sdk/x/slashing/types"
	"github.com/cosmos/cosmos-sdk/x/staking"
	stakingtypes "github.com/cosmos/cosmos-sdk/x/staking/types"
	"github.com/cosmos/cosmos-sdk/x/upgrade"
	upgradetypes "github.com/cosmos/cosmos-sdk/x/upgrade/types"

	"campanile.network/hss-chain/x/settlement"
	"campanile.network/hss-chain/x/subscriber"
	"campanile.network/hss-chain/x/tower"
)

func (a *App) makeModules() error {
	a.modules = module.NewManager(
		auth.NewAppModule(a.Codec, a.Account, authsims.RandomGenesisAccounts, nil),
		bank.NewAppModule(a.Codec, a.Bank, a.Account, nil),
		staking.NewAppModule(a.Codec, a.Staking, a.Account, a.Bank, nil),
		slashing.NewAppModule(a.Codec, a.Slashing, a.Account, a.Bank, a.Staking, nil, a.Registry),
		distribution.NewAppModule(a.Codec, a.Distribution, a.Account, a.Bank, a.Staking, nil),
		gov.NewAppModule(a.Codec, a.Gov, a.Account, a.Bank, nil),
		upgrade.NewAppModule(a.Upgrade, Addresses()),
		consensus.NewAppModule(a.Codec, a.Consensus),
		feegrantmodule.NewAppModule(a.Codec, a.Account, a.Bank, a.Feegrant, a.Registry),
		authzmodule.NewAppModule(a.Codec, a.Authz, a.Account, a.Bank, a.Registry),
		subscriber.NewModule(a.Subscriber),
		tower.NewModule(a.Tower),
		settlement.NewModule(a.Settlement),
	)
	a.modules.SetOrderPreBlockers(upgradetypes.ModuleName, authtypes.ModuleName)
	a.modules.SetOrderBeginBlockers(distrtypes.ModuleName, slashingtypes.ModuleName, stakingtypes.ModuleName, authz.ModuleName)
	// bank first: it pays in the fees its object store has gathered
	a.modules.SetOrderEndBlockers(banktypes.ModuleName, govtypes.ModuleName, stakingtypes.ModuleName, feegrant.ModuleName, settlement.ModuleName)
	a.modules.SetOrderInitGenesis(genesisOrder()...)
	a.modules.SetOrderExportGenesis(genesisOrder()...)
	a.basics = module.NewBasicManagerFromManager(a.modules, nil)
	a.basics.RegisterInterfaces(a.Registry)
	a.basics.RegisterLegacyAminoCodec(a.Amino)
	return a.modules.RegisterServices(module.NewConfigurator(a.Codec, a.MsgServiceRouter(), a.GRPCQueryRouter()))
}

func genesisOrder() []string {
	return []string{
		authtypes.ModuleName, banktypes.ModuleName, distrtypes.ModuleName, stakingtypes.ModuleName, slashingtypes.ModuleName,
		govtypes.ModuleName, authz.ModuleName, feegrant.ModuleName, upgradetypes.ModuleName, consensustypes.ModuleName,
		subscriber.ModuleName, tower.ModuleName, settlement.ModuleName,
	}
}

// defaultGenesis is every module's empty state.
func (a *App) defaultGenesis() map[string]json.RawMessage { return a.basics.DefaultGenesis(a.Codec) }
