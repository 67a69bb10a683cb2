package tower

import (
	"encoding/json"
	"fmt"

	"github.com/grpc-ecosystem/grpc-gateway/runtime"
	"google.golang.org/grpc"

	"cosmossdk.io/core/appmodule"

	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/codec"
	"github.com/cosmos/cosmos-sdk/codec/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/module"
	"github.com/cosmos/cosmos-sdk/types/msgservice"
)

var (
	_ appmodule.AppModule   = Module{}
	_ appmodule.HasServices = Module{}
	_ module.AppModuleBasic = Module{}
	_ module.HasGenesis     = Module{}
)

// Module plugs the keeper into the app.
type Module struct{ keeper Keeper }

// NewModule makes the module of a keeper.
func NewModule(k Keeper) Module { return Module{k} }

// IsAppModule marks the type.
func (Module) IsAppModule() {}

// IsOnePerModuleType marks the type.
func (Module) IsOnePerModuleType() {}

// Name is ModuleName.
func (Module) Name() string { return ModuleName }

// ConsensusVersion counts incompatible changes of the state.
func (Module) ConsensusVersion() uint64 { return 1 }

// RegisterLegacyAminoCodec has nothing to register: messages are signed as protobuf.
func (Module) RegisterLegacyAminoCodec(*codec.LegacyAmino) {}

// RegisterGRPCGatewayRoutes has no routes: the module speaks gRPC.
func (Module) RegisterGRPCGatewayRoutes(client.Context, *runtime.ServeMux) {}

// RegisterInterfaces makes the messages known to the transaction codec.
func (Module) RegisterInterfaces(r types.InterfaceRegistry) {
	r.RegisterImplementations((*sdk.Msg)(nil),
		&MsgRegisterTower{}, &MsgUpdateTower{}, &MsgReportHealth{})
	msgservice.RegisterMsgServiceDesc(r, &_Msg_serviceDesc)
}

// RegisterServices offers messages and queries.
func (m Module) RegisterServices(r grpc.ServiceRegistrar) error {
	RegisterMsgServer(r, NewMsgServer(m.keeper))
	RegisterQueryServer(r, NewQueryServer(m.keeper))
	return nil
}

// DefaultGenesis is an empty registry.
func (Module) DefaultGenesis(cdc codec.JSONCodec) json.RawMessage {
	return cdc.MustMarshalJSON(DefaultGenesis())
}

// ValidateGenesis checks that the registry can be read; InitGenesis checks the rest.
func (Module) ValidateGenesis(cdc codec.JSONCodec, _ client.TxEncodingConfig, raw json.RawMessage) error {
	return cdc.UnmarshalJSON(raw, &GenesisState{})
}

// InitGenesis enters the registry; a chain with a bad genesis does not start.
func (m Module) InitGenesis(ctx sdk.Context, cdc codec.JSONCodec, raw json.RawMessage) {
	var gs GenesisState
	cdc.MustUnmarshalJSON(raw, &gs)
	if err := m.keeper.InitGenesis(ctx, gs); err != nil {
		panic(fmt.Errorf("genesis of %s: %w", ModuleName, err))
	}
}

// ExportGenesis reads the registry.
func (m Module) ExportGenesis(ctx sdk.Context, cdc codec.JSONCodec) json.RawMessage {
	gs, err := m.keeper.ExportGenesis(ctx)
	if err != nil {
		panic(fmt.Errorf("export of %s: %w", ModuleName, err))
	}
	return cdc.MustMarshalJSON(gs)
}
