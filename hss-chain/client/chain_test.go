package client_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/hss-chain/client"
	"campanile.network/hss-chain/ledger"
	"campanile.network/hss-chain/node"
	"campanile.network/wire/proof"
)

// world is a chain in a temporary home, with an operator and a tower owner.
type world struct {
	t               *testing.T
	home            string
	model           *ledger.Model
	node            *node.Node
	client          *client.Client
	operator, owner *client.Account
	operatorKey     proof.SigningKey
	towerKey        proof.SigningKey
	stop            func()
}

func bell(n uint64) proof.Amount {
	a, err := proof.AmountOf(n).MulDiv(1e18, 1)
	if err != nil {
		panic(err)
	}
	return a
}

func newWorld(t *testing.T, o node.GenesisOptions) *world {
	t.Helper()
	w := &world{t: t, home: t.TempDir(), operatorKey: proof.NewSigningKey(), towerKey: proof.NewSigningKey()}
	o.Accounts = []node.GenesisAccount{{Name: "operator", Balance: bell(1000)}, {Name: "owner"}}
	if _, err := node.Init(w.home, o); err != nil {
		t.Fatal(err)
	}
	w.operator, w.owner = w.account("operator"), w.account("owner")
	w.open()
	w.start()
	t.Cleanup(func() { w.stop(); w.model.Close() })
	return w
}

func (w *world) account(name string) *client.Account {
	w.t.Helper()
	a, err := client.LoadAccount(node.AccountFile(w.home, name))
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

// open makes model, node and client as a process does at its start.
func (w *world) open() {
	w.t.Helper()
	var err error
	if w.model, err = ledger.Open(ledger.Options{Path: filepath.Join(w.home, "ledger.db")}); err != nil {
		w.t.Fatal(err)
	}
	level := slog.LevelWarn
	if testing.Verbose() {
		level = slog.LevelInfo
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	w.node, err = node.New(node.Options{Home: w.home, Ledger: w.model, TimeoutCommit: 100 * time.Millisecond, GRPC: "127.0.0.1:0", Logger: log})
	if err != nil {
		w.t.Fatal(err)
	}
	w.client = client.New(client.Options{Node: w.node})
}

// start runs the node; w.stop ends it and checks that it ended well.
func (w *world) start() {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.node.Serve(ctx) }()
	done := false
	w.stop = func() {
		if done {
			return
		}
		done = true
		cancel()
		if err := <-ended; err != nil {
			w.t.Errorf("Serve: %v", err)
		}
	}
	if err := w.node.Ready(w.ctx()); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	w.t.Cleanup(cancel)
	return ctx
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) ostia() ledger.Operator {
	p, err := id.ParsePLMN("00101")
	w.must(err)
	return ledger.Operator{
		Name: "Ostia", PLMNs: []id.PLMN{p}, Ranges: []ledger.Range{"0010101"},
		Nodes:  []ledger.HSSNode{{Key: proof.NodeKey(proof.NewSigningKey().Public()), HPKE: make([]byte, 1216), IND: 0, Endpoint: "127.0.0.1:7100"}},
		Prices: []ledger.Price{{Class: proof.Proven, PerGB: bell(2)}},
	}
}

func (w *world) roof() ledger.Tower {
	p, err := id.ParsePLMN("00101")
	w.must(err)
	enb, err := id.MakeGlobalENBID(p, id.MacroENB, 0x19b)
	w.must(err)
	return ledger.Tower{Name: "roof", ENB: enb, Cells: []id.ECGI{{PLMN: p, ECI: 0x19b01}}, Prices: proof.Prices{PerGB: bell(1)}}
}

// register brings operator and tower onto the chain and opens their channel.
func (w *world) register(reserve proof.Amount) uint64 {
	w.t.Helper()
	_, err := w.client.RegisterOperator(w.ctx(), w.operator, w.operatorKey, w.ostia())
	w.must(err)
	_, err = w.client.RegisterTower(w.ctx(), w.owner, w.towerKey, w.roof())
	w.must(err)
	channel, _, err := w.client.OpenChannel(w.ctx(), w.operator, proof.TowerKey(w.towerKey.Public()), reserve)
	w.must(err)
	return channel
}

func (w *world) voucher(channel, seq uint64, amount proof.Amount) []byte {
	w.t.Helper()
	b, err := proof.Voucher{ChainID: w.node.ChainID(), Channel: channel, Seq: seq, Amount: amount, Carried: proof.Carried{Bytes: 1e6 * seq}}.Sign(w.operatorKey)
	w.must(err)
	return b
}

func (w *world) balance(a ledger.Account) proof.Amount {
	w.t.Helper()
	v, err := w.client.Balance(w.ctx(), a)
	w.must(err)
	return v
}

func TestMoneyFromOperatorToOwnerAcrossRestarts(t *testing.T) {
	w := newWorld(t, node.GenesisOptions{})
	channel := w.register(bell(10))
	if c, ok := w.model.ChannelBetween(proof.OperatorKey(w.operatorKey.Public()), proof.TowerKey(w.towerKey.Public())); !ok || c.ID != channel || c.Reserve != bell(10) {
		t.Fatalf("the ledger's channel is %+v, %v; want %d with 10 BELL", c, ok, channel)
	}
	settled, _, err := w.client.Settle(w.ctx(), w.owner, w.voucher(channel, 1, bell(3)))
	w.must(err)
	if len(settled) != 1 || settled[0].Paid != bell(3) || !settled[0].Owing.IsZero() {
		t.Errorf("settled %+v, want 3 BELL paid", settled)
	}
	if got := w.model.Claimable(w.owner.Address()); got != bell(3) {
		t.Errorf("claimable %v, want 3 BELL", got)
	}
	claimed, _, err := w.client.Claim(w.ctx(), w.owner)
	w.must(err)
	if claimed != bell(3) || w.balance(w.owner.Address()) != bell(3) || w.balance(w.operator.Address()) != bell(990) {
		t.Errorf("claimed %v; owner has %v, operator %v", claimed, w.balance(w.owner.Address()), w.balance(w.operator.Address()))
	}
	if _, _, err := w.client.Claim(w.ctx(), w.owner); !errors.Is(err, client.ErrNothingToClaim) {
		t.Errorf("second claim: %v, want ErrNothingToClaim", err)
	}

	w.stop() // consensus halted, the process goes on
	if _, _, err := w.client.Claim(w.ctx(), w.owner); !errors.Is(err, client.ErrHalted) {
		t.Errorf("claim while halted: %v, want ErrHalted", err)
	}
	if c, ok := w.model.Channel(channel); !ok || c.Paid != bell(3) {
		t.Errorf("while halted the ledger's channel is %+v, %v", c, ok)
	}
	w.start()
	if w.balance(w.owner.Address()) != bell(3) || w.balance(w.operator.Address()) != bell(990) {
		t.Error("other balances after a restart in the process")
	}

	w.stop()
	w.must(w.model.Close())
	w.open() // as a new process does
	if c, ok := w.model.Channel(channel); !ok || c.Paid != bell(3) {
		t.Errorf("before the first block of a new process the ledger's channel is %+v, %v", c, ok)
	}
	w.start()
	settled, _, err = w.client.Settle(w.ctx(), w.operator, w.voucher(channel, 2, bell(12)))
	w.must(err)
	if settled[0].Paid != bell(7) || settled[0].Owing != bell(2) {
		t.Errorf("beyond the reserve: %+v, want 7 paid and 2 owing", settled[0])
	}
	_, err = w.client.TopUp(w.ctx(), w.operator, channel, bell(5))
	w.must(err)
	if got := w.model.Claimable(w.owner.Address()); got != bell(9) {
		t.Errorf("claimable after top-up %v, want 9 BELL", got)
	}
}
