// Package app is the chain's state machine: the stock modules of the Cosmos SDK
// and our own three, wired by hand. It holds no network and no keys; package
// node runs it, package client talks to it.
package app

import (
	"encoding/json"
	"fmt"

	abci "github.com/cometbft/cometbft/abci/types"
	dbm "github.com/cosmos/cosmos-db"

	"cosmossdk.io/log/v2"

	"github.com/cosmos/cosmos-sdk/baseapp"
	"github.com/cosmos/cosmos-sdk/runtime"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/module"
	authkeeper "github.com/cosmos/cosmos-sdk/x/auth/keeper"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	authzkeeper "github.com/cosmos/cosmos-sdk/x/authz/keeper"
	bankkeeper "github.com/cosmos/cosmos-sdk/x/bank/keeper"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	consensuskeeper "github.com/cosmos/cosmos-sdk/x/consensus/keeper"
	distrkeeper "github.com/cosmos/cosmos-sdk/x/distribution/keeper"
	feegrantkeeper "github.com/cosmos/cosmos-sdk/x/feegrant/keeper"
	govkeeper "github.com/cosmos/cosmos-sdk/x/gov/keeper"
	slashingkeeper "github.com/cosmos/cosmos-sdk/x/slashing/keeper"
	stakingkeeper "github.com/cosmos/cosmos-sdk/x/staking/keeper"
	upgradekeeper "github.com/cosmos/cosmos-sdk/x/upgrade/keeper"
	upgradetypes "github.com/cosmos/cosmos-sdk/x/upgrade/types"

	"campanile.network/hss-chain/x/settlement"
	"campanile.network/hss-chain/x/subscriber"
	"campanile.network/hss-chain/x/tower"
)

// Name is what the app calls itself towards CometBFT.
const Name = "campanile"

type requestFinalizeBlock = abci.RequestFinalizeBlock

// Options for New.
type Options struct {
	// Home is the directory where an upgrade leaves its marker.
	Home string
	// DB holds the state; the app closes it.
	DB dbm.DB
	// Logger takes the SDK's log.
	Logger log.Logger
	// Base are options of the SDK's base app: chain-id, pruning, gas price.
	Base []func(*baseapp.BaseApp)
	// Follower, if set, is told of every change to our modules' stores.
	Follower storetypes.ABCIListener
}

// App is the state machine with its keepers.
type App struct {
	*baseapp.BaseApp
	Codecs

	Account      authkeeper.AccountKeeper
	Bank         bankkeeper.BaseKeeper
	Staking      *stakingkeeper.Keeper
	Slashing     slashingkeeper.Keeper
	Distribution distrkeeper.Keeper
	Gov          *govkeeper.Keeper
	Upgrade      *upgradekeeper.Keeper
	Consensus    consensuskeeper.Keeper
	Feegrant     feegrantkeeper.Keeper
	Authz        authzkeeper.Keeper
	Subscriber   subscriber.Keeper
	Tower        tower.Keeper
	Settlement   settlement.Keeper

	keys    map[string]*storetypes.KVStoreKey
	objects map[string]*storetypes.ObjectStoreKey
	modules *module.Manager
	basics  module.BasicManager
}

// storeNames are all stores of the app. Reserved for later, and not to be used
// for anything else: evm, feemarket, erc20.
func storeNames() []string {
	return []string{
		authtypes.StoreKey, banktypes.StoreKey, stakingName, slashingName, distrName, govName,
		upgradetypes.StoreKey, consensusName, feegrantName, authzName,
		subscriber.ModuleName, tower.ModuleName, settlement.ModuleName,
	}
}

// Followed are the stores whose changes a Follower is told.
func Followed() []string {
	return []string{settlement.ModuleName, subscriber.ModuleName, tower.ModuleName}
}

// New wires the app and loads its last committed state.
func New(o Options) (*App, error) {
	codecs, err := newCodecs()
	if err != nil {
		return nil, err
	}
	a := &App{
		Codecs:  codecs,
		BaseApp: baseapp.NewBaseApp(Name, o.Logger, o.DB, codecs.Tx.TxDecoder(), o.Base...),
		keys:    storetypes.NewKVStoreKeys(storeNames()...),
		objects: storetypes.NewObjectStoreKeys(banktypes.ObjectStoreKey),
	}
	a.SetInterfaceRegistry(a.Registry)
	a.SetTxEncoder(a.Tx.TxEncoder())
	if err := a.makeKeepers(o.Home); err != nil {
		return nil, fmt.Errorf("chain app: %w", err)
	}
	if err := a.makeModules(); err != nil {
		return nil, fmt.Errorf("chain app: %w", err)
	}
	a.MountKVStores(a.keys)
	a.MountObjectStores(a.objects)
	a.setBlocks()
	if err := a.setAnte(); err != nil {
		return nil, fmt.Errorf("chain app: %w", err)
	}
	if o.Follower != nil {
		a.follow(o.Follower)
	}
	if err := a.LoadLatestVersion(); err != nil {
		return nil, fmt.Errorf("chain state: %w", err)
	}
	return a, nil
}

func (a *App) follow(l storetypes.ABCIListener) {
	keys := make([]storetypes.StoreKey, 0, len(Followed()))
	for _, name := range Followed() {
		keys = append(keys, a.keys[name])
	}
	a.CommitMultiStore().AddListeners(keys)
	a.SetStreamingManager(storetypes.StreamingManager{ABCIListeners: []storetypes.ABCIListener{l}, StopNodeOnErr: true})
}

// store opens a module's store.
func (a *App) store(name string) storeService { return runtime.NewKVStoreService(a.keys[name]) }

// initChain enters the genesis state.
func (a *App) initChain(ctx sdk.Context, r *abci.RequestInitChain) (*abci.ResponseInitChain, error) {
	var genesis map[string]json.RawMessage
	if err := json.Unmarshal(r.AppStateBytes, &genesis); err != nil {
		return nil, fmt.Errorf("genesis: %w", err)
	}
	if err := a.Upgrade.SetModuleVersionMap(ctx, a.modules.GetVersionMap()); err != nil {
		return nil, err
	}
	return a.modules.InitGenesis(ctx, a.Codec, genesis)
}

// Committed gives a context to read the last committed state with, also right
// after a restart and before the first new block. Nothing written through it
// is kept. It fails before the first block of a chain.
func (a *App) Committed() (sdk.Context, error) {
	return a.CreateQueryContextWithCheckHeader(0, false, false)
}
