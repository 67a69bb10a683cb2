package node

import (
	"fmt"
	"net"

	"github.com/cometbft/cometbft/rpc/client/local"
	"google.golang.org/grpc"

	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/client/grpc/cmtservice"
	"github.com/cosmos/cosmos-sdk/codec"
	"github.com/cosmos/cosmos-sdk/server/grpc/gogoreflection"
	authtx "github.com/cosmos/cosmos-sdk/x/auth/tx"
)

// startGRPC serves the modules' queries, transactions and the engine's status.
func (l *Live) startGRPC(n *Node) error {
	ln, err := net.Listen("tcp", n.GRPC)
	if err != nil {
		return fmt.Errorf("grpc: %w", err)
	}
	c := client.Context{
		Client: local.New(l.comet), ChainID: n.ChainID(),
		Codec: l.App.Codec, InterfaceRegistry: l.App.Registry, LegacyAmino: l.App.Amino, TxConfig: l.App.Tx,
	}
	router := l.App.GRPCQueryRouter()
	authtx.RegisterTxService(router, c, l.App.Simulate, l.App.Registry)
	cmtservice.RegisterTendermintService(c, router, l.App.Registry, l.App.Query)
	l.grpc = grpc.NewServer(grpc.ForceServerCodec(codec.NewProtoCodec(l.App.Registry).GRPCCodec()))
	// without the header check queries are answered from the first moment after
	// a restart, not only after the next block
	l.App.RegisterGRPCServerWithSkipCheckHeader(l.grpc, true)
	gogoreflection.Register(l.grpc)
	l.grpcAddr = ln.Addr()
	l.serving.Go(func() {
		if err := l.grpc.Serve(ln); err != nil {
			l.failed <- fmt.Errorf("grpc: %w", err)
		}
	})
	return nil
}

func checkLoopback(addr string) error {
	if addr == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return fmt.Errorf("%q is not a loopback address", host)
	}
	return nil
}
