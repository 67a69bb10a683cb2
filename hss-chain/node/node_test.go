package node

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	govv1 "github.com/cosmos/cosmos-sdk/x/gov/types/v1"
	stakingtypes "github.com/cosmos/cosmos-sdk/x/staking/types"

	"campanile.network/hss-chain/app"
	"campanile.network/hss-chain/ledger"
	"campanile.network/hss-chain/x/settlement"
	"campanile.network/wire/proof"
)

func initChain(t *testing.T) (string, Genesis) {
	t.Helper()
	home, err := os.MkdirTemp(t.TempDir(), "home")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// CometBFT's address book is written once more after its node has stopped.
		for n := 0; os.RemoveAll(home) != nil && n < 100; n++ {
		}
	})
	g, err := Init(home, GenesisOptions{Accounts: []GenesisAccount{{Name: "operator", Balance: proof.AmountOf(5)}, {Name: "owner"}}, ChallengeTime: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	return home, g
}

// serve runs a node until the test ends or the returned function is called.
func serve(t *testing.T, o Options) (*Node, func()) {
	t.Helper()
	if o.TimeoutCommit == 0 {
		o.TimeoutCommit = 20 * time.Millisecond
	}
	n, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.Serve(ctx) }()
	stopped := false
	stop := func() {
		if cancel(); !stopped {
			stopped = true
			if err := <-ended; err != nil {
				t.Errorf("Serve: %v", err)
			}
		}
	}
	t.Cleanup(stop)
	ready, done := context.WithTimeout(context.Background(), 30*time.Second)
	defer done()
	if err := n.Ready(ready); err != nil {
		t.Fatal(err)
	}
	return n, stop
}

func TestInitMakesAChainOfItsOwn(t *testing.T) {
	home, g := initChain(t)
	_, other := initChain(t)
	if !strings.HasPrefix(g.ChainID, "campanile-") || len(g.ChainID) != len("campanile-")+8 || g.ChainID == other.ChainID {
		t.Errorf("chain-ids %q and %q", g.ChainID, other.ChainID)
	}
	if g.Accounts["operator"] == other.Accounts["operator"] || !strings.HasPrefix(string(g.Accounts["operator"]), "camp1") {
		t.Errorf("operators' accounts %q and %q", g.Accounts["operator"], other.Accounts["operator"])
	}
	for name := range g.Accounts {
		if info, err := os.Stat(AccountFile(home, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("key of %s: %v, %v", name, info, err)
		}
	}
	read, err := ReadGenesis(home)
	if err != nil || read.ChainID != g.ChainID || len(read.Accounts) != 3 || read.Accounts["owner"] != g.Accounts["owner"] {
		t.Errorf("read back %+v, %v; want %+v", read, err, g)
	}
	if _, err := Init(home, GenesisOptions{}); err == nil {
		t.Error("a second Init in the same home succeeded")
	}
}

func TestInitCanBeRepeatedAfterAnAccident(t *testing.T) {
	home, g := initChain(t)
	if err := os.Remove(genesisFile(home)); err != nil {
		t.Fatal(err)
	}
	if Exists(home) {
		t.Error("a home without genesis is taken for a chain")
	}
	again, err := Init(home, GenesisOptions{Accounts: []GenesisAccount{{Name: "operator"}}})
	if err != nil || again.Accounts["operator"] != g.Accounts["operator"] {
		t.Errorf("again: %+v, %v", again, err)
	}
	for _, name := range []string{"", "../out", "validator"} {
		if _, err := Init(t.TempDir(), GenesisOptions{Accounts: []GenesisAccount{{Name: name}}}); err == nil {
			t.Errorf("account name %q is accepted", name)
		}
	}
}

func TestKeyFileOthersMayReadIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.key")
	if _, err := NewAccountKey(path); err != nil {
		t.Fatal(err)
	}
	if _, err := NewAccountKey(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("overwrite: %v", err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadAccountKey(path); err == nil || !strings.Contains(err.Error(), "0640") {
		t.Errorf("mode 0640: %v", err)
	}
	for _, text := range []string{"", "zz", strings.Repeat("0", 62)} {
		bad := filepath.Join(t.TempDir(), "b.key")
		if err := os.WriteFile(bad, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadAccountKey(bad); err == nil {
			t.Errorf("key file %q is accepted", text)
		}
	}
}

func TestRefusedOptions(t *testing.T) {
	home, _ := initChain(t)
	for what, o := range map[string]Options{
		"no chain":       {Home: t.TempDir()},
		"open to others": {Home: home, GRPC: "0.0.0.0:9090"},
		"name":           {Home: home, RPC: "localhost:26657"},
		"no port":        {Home: home, P2P: "127.0.0.1"},
		"negative time":  {Home: home, TimeoutCommit: -1},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
}

func TestTakenPortLeavesNothingOpen(t *testing.T) {
	home, _ := initChain(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, o := range []Options{{GRPC: taken.Addr().String()}, {RPC: taken.Addr().String()}, {P2P: taken.Addr().String()}} {
		o.Home, o.TimeoutCommit = home, 20*time.Millisecond
		n, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		if err := n.Serve(context.Background()); err == nil || !strings.Contains(err.Error(), "in use") {
			t.Errorf("%+v: %v", o, err)
		}
	}
	n, _ := serve(t, Options{Home: home, GRPC: "127.0.0.1:0", RPC: "127.0.0.1:0", P2P: "127.0.0.1:0"})
	if err := n.Serve(context.Background()); err == nil {
		t.Error("a second Serve at the same time succeeded")
	}
}

// What a stranger sees over gRPC, also right after a restart and before the
// first block of the new run.
func TestQueriesOverGRPC(t *testing.T) {
	home, g := initChain(t)
	n, stop := serve(t, Options{Home: home, GRPC: "127.0.0.1:0"})
	ask := func(n *Node) {
		t.Helper()
		conn, err := grpc.NewClient(n.GRPCAddr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		ctx := t.Context()
		balance, err := banktypes.NewQueryClient(conn).Balance(ctx, &banktypes.QueryBalanceRequest{Address: string(g.Accounts["operator"]), Denom: app.BaseDenom})
		if err != nil || balance.Balance.Amount.Int64() != 5 {
			t.Errorf("balance %v, %v", balance, err)
		}
		meta, err := banktypes.NewQueryClient(conn).DenomMetadata(ctx, &banktypes.QueryDenomMetadataRequest{Denom: app.BaseDenom})
		if err != nil || meta.Metadata.Display != "BELL" || meta.Metadata.DenomUnits[1].Exponent != 18 {
			t.Errorf("metadata %v, %v", meta, err)
		}
		params, err := settlement.NewQueryClient(conn).Params(ctx, &settlement.QueryParamsRequest{})
		if err != nil || params.Params.ChallengeTime != time.Hour {
			t.Errorf("params %v, %v", params, err)
		}
		validators, err := stakingtypes.NewQueryClient(conn).Validators(ctx, &stakingtypes.QueryValidatorsRequest{Status: "BOND_STATUS_BONDED"})
		if err != nil || len(validators.Validators) != 1 || validators.Validators[0].Jailed {
			t.Errorf("validators %v, %v", validators, err)
		}
		gov, err := govv1.NewQueryClient(conn).Params(ctx, &govv1.QueryParamsRequest{ParamsType: "deposit"})
		if err != nil || gov.Params.MinDeposit[0].Denom != app.BaseDenom {
			t.Errorf("deposits %v, %v", gov, err)
		}
	}
	ask(n)
	stop()
	slow, err := New(Options{Home: home, GRPC: "127.0.0.1:0", TimeoutCommit: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- slow.Serve(ctx) }()
	for l, changed := slow.get(); l == nil; l, changed = slow.get() {
		<-changed
	}
	ask(slow)
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestLedgerHasEveryBlock(t *testing.T) {
	home, g := initChain(t)
	model, err := ledger.Open(ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer model.Close()
	watch := model.Watch()
	n, _ := serve(t, Options{Home: home, Ledger: model})
	last := int64(-1)
	for last < 10 {
		u, err := watch.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if u.ChainID != g.ChainID || u.Height <= last {
			t.Fatalf("block %d of %s after %d", u.Height, u.ChainID, last)
		}
		last = u.Height
	}
	if _, _, at := model.Head(); time.Since(at) > time.Minute {
		t.Errorf("block time %v", at)
	}
	if n.Validators() != 1 {
		t.Errorf("%d validators", n.Validators())
	}
}
