package client_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/hss-chain/client"
	"campanile.network/hss-chain/ledger"
	"campanile.network/hss-chain/node"
	"campanile.network/wire/proof"
)

// TestMain lets the test binary be the process that is killed.
func TestMain(m *testing.M) {
	if home := os.Getenv("CAMPANILE_TEST_VICTIM"); home != "" {
		fmt.Fprintln(os.Stderr, victim(home))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// victim runs the chain in home, adds subscribers one by one, and says on
// standard output how many are in, until it is killed.
func victim(home string) error {
	model, err := ledger.Open(ledger.Options{Path: filepath.Join(home, "ledger.db")})
	if err != nil {
		return err
	}
	n, err := node.New(node.Options{Home: home, Ledger: model, TimeoutCommit: 50 * time.Millisecond})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	go func() { fmt.Fprintln(os.Stderr, n.Serve(ctx)) }()
	operator, err := client.LoadAccount(node.AccountFile(home, "operator"))
	if err != nil {
		return err
	}
	c := client.New(client.Options{Node: n})
	if err := n.Ready(ctx); err != nil {
		return err
	}
	for i := byte(1); ; i++ {
		s := ledger.Subscriber{ID: id.SubscriberID{i}, State: ledger.Active, BlobHash: [32]byte{i}}
		if _, err := c.AddSubscribers(ctx, operator, 1, []ledger.Subscriber{s}); err != nil {
			return err
		}
		fmt.Println(i)
	}
}

func TestKilledProcessLosesNothingConfirmed(t *testing.T) {
	w := newWorld(t, node.GenesisOptions{})
	channel := w.register(bell(10))
	w.stop()
	w.must(w.model.Close())
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "CAMPANILE_TEST_VICTIM="+w.home)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	w.must(err)
	w.must(cmd.Start())
	confirmed := 0
	for lines := bufio.NewScanner(out); confirmed < 5 && lines.Scan(); confirmed++ {
	}
	w.must(cmd.Process.Kill())
	_ = cmd.Wait()
	if confirmed < 5 {
		t.Fatal("the process did not get to five subscribers")
	}
	w.open()
	if _, ok := w.model.Subscriber(id.SubscriberID{5}); !ok {
		t.Error("confirmed subscriber 5 is not in the ledger file after a kill")
	}
	w.start()
	w.sameAsState()
	if c, ok := w.model.Channel(channel); !ok || c.Reserve != bell(10) {
		t.Errorf("channel is %+v, %v", c, ok)
	}
	_, _, err = w.client.Settle(w.ctx(), w.owner, w.voucher(channel, 1, bell(1)))
	w.must(err)
}

// sameAsState checks the model against one read anew from the chain's state.
func (w *world) sameAsState() {
	w.t.Helper()
	w.stop()
	fresh, err := ledger.Open(ledger.Options{})
	w.must(err)
	defer fresh.Close()
	n, err := node.New(node.Options{Home: w.home, Ledger: fresh, TimeoutCommit: time.Hour})
	w.must(err)
	ctx, cancel := context.WithCancel(w.ctx())
	ended := make(chan error, 1)
	watch := fresh.Watch()
	go func() { ended <- n.Serve(ctx) }()
	_, err = watch.Next(ctx)
	w.must(err)
	cancel()
	w.must(<-ended)
	// w.model may be behind by the block that the fresh run made
	want, got := fresh.Snapshot(), w.model.Snapshot()
	if len(want.Subscribers) != len(got.Subscribers) || len(want.Operators) != len(got.Operators) ||
		len(want.Towers) != len(got.Towers) || len(want.Channels) != len(got.Channels) || len(want.Claimables) != len(got.Claimables) {
		w.t.Errorf("model has %d subscribers, %d operators, %d towers, %d channels, %d claims; the state has %d, %d, %d, %d, %d",
			len(got.Subscribers), len(got.Operators), len(got.Towers), len(got.Channels), len(got.Claimables),
			len(want.Subscribers), len(want.Operators), len(want.Towers), len(want.Channels), len(want.Claimables))
	}
	w.start()
}

func TestModelThatFellBehindIsReadAnew(t *testing.T) {
	w := newWorld(t, node.GenesisOptions{})
	channel := w.register(bell(10))
	if _, _, err := w.client.Settle(w.ctx(), w.owner, w.voucher(channel, 1, bell(4))); err != nil {
		t.Fatal(err)
	}
	subs := make([]ledger.Subscriber, 4200) // three batches
	for i := range subs {
		subs[i] = ledger.Subscriber{ID: id.SubscriberID{byte(i), byte(i >> 8), 1}, State: ledger.Active, Plan: "day", BlobHash: [32]byte{1}}
	}
	_, err := w.client.AddSubscribers(w.ctx(), w.operator, 3, subs)
	w.must(err)
	w.stop()
	before := w.model.Snapshot()
	w.must(w.model.Close())
	w.must(os.Remove(filepath.Join(w.home, "ledger.db")))
	w.open()
	w.start()
	after := w.model.Snapshot()
	if len(after.Subscribers) != 4200 || len(after.Subscribers) != len(before.Subscribers) {
		t.Errorf("%d subscribers read anew, %d before", len(after.Subscribers), len(before.Subscribers))
	}
	if s, _ := w.model.Subscriber(subs[700].ID); s.Operator != w.operator.Address() || s.Epoch != 3 || s.Version != 1 || s.Plan != "day" {
		t.Errorf("a subscriber read anew is %+v", s)
	}
	if c, ok := w.model.Channel(channel); !ok || c.Paid != bell(4) || c.Owner != w.owner.Address() {
		t.Errorf("the channel read anew is %+v, %v", c, ok)
	}
	if tw, ok := w.model.TowerByENB(w.roof().ENB); !ok || tw.Name != "roof" {
		t.Errorf("the tower read anew is %+v, %v", tw, ok)
	}
	if got := w.model.Claimable(w.owner.Address()); got != bell(4) {
		t.Errorf("claimable read anew %v, want 4 BELL", got)
	}
}

// A model of another chain must not be mistaken for this one's.
func TestModelOfAnotherChainIsReplaced(t *testing.T) {
	w := newWorld(t, node.GenesisOptions{})
	w.stop()
	_, height, _ := w.model.Head()
	w.must(w.model.Apply(ledger.Update{ChainID: "campanile-ffffffff", Height: height, Resync: true,
		Operators: []ledger.Operator{{Account: "camp1stranger", Key: proof.OperatorKey{1}}}}))
	w.start()
	if _, ok := w.model.Operator("camp1stranger"); ok {
		t.Error("another chain's operator is still known")
	}
	if chainID, _, _ := w.model.Head(); chainID != w.node.ChainID() {
		t.Errorf("model is of chain %s", chainID)
	}
}

func TestManyCallersOfOneAccount(t *testing.T) {
	w := newWorld(t, node.GenesisOptions{})
	other := client.New(client.Options{Node: w.node}) // knows nothing of the first one's turns
	var all sync.WaitGroup
	errs := make(chan error, 12)
	for i := range 12 {
		all.Go(func() {
			c := w.client
			if i%2 == 1 {
				c = other
			}
			_, err := c.Send(w.ctx(), w.operator, w.owner.Address(), bell(1))
			errs <- err
		})
	}
	all.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
	if got := w.balance(w.owner.Address()); got != bell(12) {
		t.Errorf("owner has %v, want 12 BELL", got)
	}
}

func TestHaltedWhileWaiting(t *testing.T) {
	w := newWorld(t, node.GenesisOptions{})
	w.stop()
	slow, err := node.New(node.Options{Home: w.home, TimeoutCommit: time.Hour}) // no block before that
	w.must(err)
	ctx, cancel := context.WithCancel(w.ctx())
	ended := make(chan error, 1)
	go func() { ended <- slow.Serve(ctx) }()
	c := client.New(client.Options{Node: slow})
	for !slow.Running() {
		runtime.Gosched()
	}
	if v, err := c.Balance(w.ctx(), w.operator.Address()); err != nil || v != bell(1000) {
		t.Errorf("balance without blocks: %v, %v", v, err)
	}
	short, stop := context.WithTimeout(w.ctx(), 200*time.Millisecond)
	defer stop()
	if _, err := c.Send(short, w.operator, w.owner.Address(), bell(1)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("without blocks: %v, want the deadline", err)
	}
	answer := make(chan error, 1)
	go func() {
		_, err := c.Send(context.Background(), w.operator, w.owner.Address(), bell(1))
		answer <- err
	}()
	cancel()
	w.must(<-ended)
	if err := <-answer; !errors.Is(err, client.ErrHalted) {
		t.Errorf("stopped while waiting: %v, want ErrHalted", err)
	}
}

// A caller whose context ends leaves his transaction in the mempool: asking
// again joins it and does not pay twice.
func TestAskingAgainAfterADeadlineJoins(t *testing.T) {
	w := newWorld(t, node.GenesisOptions{})
	w.stop()
	slow, err := node.New(node.Options{Home: w.home, TimeoutCommit: 2 * time.Second})
	w.must(err)
	ctx, cancel := context.WithCancel(w.ctx())
	ended := make(chan error, 1)
	go func() { ended <- slow.Serve(ctx) }()
	w.must(slow.Ready(ctx))
	c := client.New(client.Options{Node: slow})
	short, stop := context.WithTimeout(w.ctx(), 500*time.Millisecond)
	defer stop()
	if _, err := c.Send(short, w.operator, w.owner.Address(), bell(1)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("between two blocks: %v, want the deadline", err)
	}
	if _, err := c.Send(w.ctx(), w.operator, w.owner.Address(), bell(1)); err != nil {
		t.Errorf("asked again: %v", err)
	}
	if v, err := c.Balance(w.ctx(), w.owner.Address()); err != nil || v != bell(1) {
		t.Errorf("owner has %v, %v; want 1 BELL", v, err)
	}
	cancel()
	w.must(<-ended)
}
