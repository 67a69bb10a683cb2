package app

import (
	"fmt"

	"github.com/cosmos/gogoproto/proto"

	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/codec"
	"github.com/cosmos/cosmos-sdk/codec/types"
	"github.com/cosmos/cosmos-sdk/std"
	signingtypes "github.com/cosmos/cosmos-sdk/types/tx/signing"
	authtx "github.com/cosmos/cosmos-sdk/x/auth/tx"
	"github.com/cosmos/cosmos-sdk/x/tx/signing"
)

// Codecs turn messages, transactions and state into octets and back.
type Codecs struct {
	Registry types.InterfaceRegistry
	Codec    codec.Codec
	Amino    *codec.LegacyAmino
	Tx       client.TxConfig
}

// newCodecs makes codecs that know no module yet. Transactions are signed as
// protobuf (SIGN_MODE_DIRECT) only.
func newCodecs() (Codecs, error) {
	Configure()
	registry, err := types.NewInterfaceRegistryWithOptions(types.InterfaceRegistryOptions{
		ProtoFiles: proto.HybridResolver,
		SigningOptions: signing.Options{
			AddressCodec:          Addresses(),
			ValidatorAddressCodec: validatorAddresses(),
		},
	})
	if err != nil {
		return Codecs{}, fmt.Errorf("chain codecs: %w", err)
	}
	c := Codecs{Registry: registry, Codec: codec.NewProtoCodec(registry), Amino: codec.NewLegacyAmino()}
	c.Tx = authtx.NewTxConfig(c.Codec, []signingtypes.SignMode{signingtypes.SignMode_SIGN_MODE_DIRECT})
	std.RegisterLegacyAminoCodec(c.Amino)
	std.RegisterInterfaces(registry)
	return c, nil
}
