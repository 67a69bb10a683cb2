package client

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"campanile.network/3gpp/id"
	"campanile.network/hss-chain/app"
	"campanile.network/hss-chain/ledger"
	"campanile.network/hss-chain/node"
	"campanile.network/wire/proof"
)

// running is a chain with two accounts that have coins.
type running struct {
	*Client
	node            *node.Node
	model           *ledger.Model
	operator, owner *Account
	key, tower      proof.SigningKey
}

func run(t testing.TB, timeoutCommit time.Duration) *running {
	t.Helper()
	home := t.TempDir()
	rich, err := proof.ParseAmount("1000000000000000000000")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := node.Init(home, node.GenesisOptions{Accounts: []node.GenesisAccount{{Name: "operator", Balance: rich}, {Name: "owner", Balance: rich}}}); err != nil {
		t.Fatal(err)
	}
	r := &running{key: proof.NewSigningKey(), tower: proof.NewSigningKey()}
	if r.model, err = ledger.Open(ledger.Options{Path: filepath.Join(home, "ledger.db")}); err != nil {
		t.Fatal(err)
	}
	if r.node, err = node.New(node.Options{Home: home, Ledger: r.model, TimeoutCommit: timeoutCommit, GRPC: "127.0.0.1:0"}); err != nil {
		t.Fatal(err)
	}
	if r.operator, err = LoadAccount(node.AccountFile(home, "operator")); err != nil {
		t.Fatal(err)
	}
	if r.owner, err = LoadAccount(node.AccountFile(home, "owner")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.node.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		r.model.Close()
	})
	if err := r.node.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.Client = New(Options{Node: r.node})
	return r
}

func plmn(t testing.TB) id.PLMN {
	t.Helper()
	p, err := id.ParsePLMN("00101")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func big(t testing.TB) (ledger.Operator, ledger.Tower) {
	p := plmn(t)
	o := ledger.Operator{Name: "Ostia", PLMNs: []id.PLMN{p}}
	for i := range 64 {
		o.Ranges = append(o.Ranges, ledger.Range([]byte{'0', '0', '1', '0', '1', '0' + byte(i/10), '0' + byte(i%10)}))
	}
	for i := range uint8(4) {
		o.Nodes = append(o.Nodes, ledger.HSSNode{Key: proof.NodeKey{i + 1}, HPKE: make([]byte, 1216), IND: i, Endpoint: "127.0.0.1:7100"})
	}
	for c := proof.Proven; c <= proof.Grace; c++ {
		o.Prices = append(o.Prices, ledger.Price{Class: c, PerGB: proof.AmountOf(1e18)})
	}
	enb, err := id.MakeGlobalENBID(p, id.MacroENB, 0x19b)
	if err != nil {
		t.Fatal(err)
	}
	tw := ledger.Tower{Name: "roof", ENB: enb, Prices: proof.Prices{PerGB: proof.AmountOf(1e18)}}
	for i := range 64 {
		tw.Cells = append(tw.Cells, id.ECGI{PLMN: p, ECI: id.ECI(0x19b00 + i)})
	}
	return o, tw
}

// The gas each kind of transaction is given is enough for a big one, and not so
// much that a block takes few of them.
func TestGas(t *testing.T) {
	r := run(t, 20*time.Millisecond)
	ctx := t.Context()
	live, err := r.node.Live()
	if err != nil {
		t.Fatal(err)
	}
	measure := func(what string, given uint64, do func() (Receipt, error)) {
		t.Helper()
		used := live.GasUsed()
		if _, err := do(); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		took := live.GasUsed() - used
		t.Logf("%-24s %9d of %9d", what, took, given)
		if took > given*9/10 {
			t.Errorf("%s takes %d gas of %d: too little room", what, took, given)
		}
	}
	o, tw := big(t)
	measure("register operator", operatorGas(o), func() (Receipt, error) { return r.RegisterOperator(ctx, r.operator, r.key, o) })
	measure("update operator", operatorGas(o), func() (Receipt, error) { return r.UpdateOperator(ctx, r.operator, r.key, o) })
	measure("register tower", towerGas(tw), func() (Receipt, error) { return r.RegisterTower(ctx, r.owner, r.tower, tw) })
	tw.Key = r.tower.Public()
	for i := range byte(16) {
		a := sdk.AccAddress(append(make([]byte, 19), i)).String()
		tw.Shares = append(tw.Shares, ledger.Share{Account: ledger.Account(a), Weight: 1})
	}
	measure("update tower", towerGas(tw), func() (Receipt, error) { return r.UpdateTower(ctx, r.owner, tw) })
	statement, err := proof.Health{ChainID: r.node.ChainID(), Tower: tw.Key, State: proof.RadioRunning, Since: time.Now(), Restarts: 1 << 20, At: time.Now()}.Sign(r.tower)
	if err != nil {
		t.Fatal(err)
	}
	measure("report health", towerGas(tw), func() (Receipt, error) { return r.ReportHealth(ctx, r.operator, statement) })
	if got, ok := r.model.Tower(tw.Key); !ok || got.Health.State != proof.RadioRunning || got.Health.Restarts != 1<<20 || got.Health.Heard.IsZero() {
		t.Errorf("the ledger has %+v", got.Health)
	}
	if _, err := r.ReportHealth(ctx, r.operator, statement); !errors.Is(err, ErrNothingNew) {
		t.Errorf("the same again: %v", err)
	}
	var channel uint64
	measure("open channel, 16 shares", gasChannel, func() (rc Receipt, err error) {
		channel, rc, err = r.OpenChannel(ctx, r.operator, tw.Key, proof.AmountOf(1e18))
		return rc, err
	})
	for seq := range uint64(3) { // the first one makes the claims' records
		v, err := proof.Voucher{ChainID: r.node.ChainID(), Channel: channel, Seq: seq, Amount: proof.AmountOf(1e17 * (seq + 1))}.Sign(r.key)
		if err != nil {
			t.Fatal(err)
		}
		measure("settle, 16 shares", r.voucherGas(v), func() (Receipt, error) {
			_, rc, err := r.Settle(ctx, r.owner, v)
			return rc, err
		})
	}
	subs := make([]ledger.Subscriber, batch)
	for i := range subs {
		subs[i] = ledger.Subscriber{ID: id.SubscriberID{byte(i), byte(i >> 8)}, State: ledger.Active, Plan: "twelve octets", BlobHash: [32]byte{1}}
	}
	measure("add a batch", batchGas(batch), func() (Receipt, error) { return r.AddSubscribers(ctx, r.operator, 1, subs) })
	for i := range subs {
		subs[i].Version = 2
	}
	measure("update a batch", batchGas(batch), func() (Receipt, error) { return r.UpdateSubscriber(ctx, r.operator, subs...) })
	if g := batchGas(batch); g > app.MaxBlockGas/4 {
		t.Errorf("a batch is given %d gas, a block has %d", g, app.MaxBlockGas)
	}
}
