package ledger

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"campanile.network/3gpp/id"
	"campanile.network/wire/proof"
)

var byValue = cmp.Options{
	cmp.Comparer(func(a, b id.PLMN) bool { return a == b }),
	cmp.Comparer(func(a, b proof.Amount) bool { return a == b }),
}

func plmn(t *testing.T, s string) id.PLMN {
	t.Helper()
	p, err := id.ParsePLMN(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// world is a first block with one of everything.
func world(t *testing.T) Update {
	p := plmn(t, "00101")
	return Update{
		ChainID: "campanile-0", Height: 1, Time: time.Unix(1000, 0).UTC(), Resync: true,
		Operators: []Operator{{
			Account: "camp1op", Key: proof.OperatorKey{1}, Name: "Ostia", PLMNs: []id.PLMN{p}, Ranges: []Range{"0010101"},
			Nodes:  []HSSNode{{Key: proof.NodeKey{2}, HPKE: []byte{3}, IND: 1, Endpoint: "10.0.0.1:7100"}},
			Prices: []Price{{proof.Proven, proof.AmountOf(7)}}, Version: 1,
		}},
		Subscribers: []Subscriber{{ID: id.SubscriberID{9}, Operator: "camp1op", State: Active, Plan: "day", Version: 1, BlobHash: [32]byte{8}, Epoch: 1}},
		Towers: []Tower{{
			Key: proof.TowerKey{4}, Owner: "camp1own", Name: "roof", ENB: id.GlobalENBID{PLMN: p, Type: id.MacroENB, ID: 0x19b},
			Cells: []id.ECGI{{PLMN: p, ECI: 0x19b01}}, Shares: []Share{{"camp1own", 3}, {"camp1it", 1}},
			Prices: proof.Prices{PerGB: proof.AmountOf(1e18)}, Version: 1,
			Health: Health{proof.RadioRunning, time.Unix(900, 0).UTC(), 2, time.Unix(999, 5).UTC(), time.Unix(1000, 0).UTC()},
		}},
		Channels: []Channel{{
			ID: 5, Payer: "camp1op", Operator: proof.OperatorKey{1}, Tower: proof.TowerKey{4}, Owner: "camp1own",
			Prices: proof.Prices{PerGB: proof.AmountOf(1e18)}, Shares: []Share{{"camp1own", 1}},
			Reserve: proof.AmountOf(100), Promised: proof.AmountOf(30), Paid: proof.AmountOf(30), Seq: 2, Carried: proof.Carried{Bytes: 77}, Root: [32]byte{6},
			State: ChannelClosing, ClosesAt: time.Unix(2000, 0).UTC(),
		}},
		Claimables: []Claimable{{"camp1own", proof.AmountOf(30)}},
	}
}

func open(t *testing.T, path string) *Model {
	t.Helper()
	m, err := Open(Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func TestReopenedFileHoldsTheSame(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	m := open(t, path)
	first := world(t)
	if err := m.Apply(first); err != nil {
		t.Fatal(err)
	}
	second := Update{ChainID: "campanile-0", Height: 2, Time: time.Unix(1001, 0).UTC(),
		Subscribers: []Subscriber{{ID: id.SubscriberID{10}, Operator: "camp1op", State: Barred, Version: 1}},
		Claimables:  []Claimable{{"camp1own", proof.Amount{}}, {"camp1it", proof.AmountOf(1)}},
	}
	if err := m.Apply(second); err != nil {
		t.Fatal(err)
	}
	before := m.state
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	after := open(t, path).state
	if d := cmp.Diff(before, after, byValue, cmp.AllowUnexported(state{}, pair{})); d != "" {
		t.Errorf("model after reopening (-before +after):\n%s", d)
	}
	if after.height != 2 || len(after.subscribers) != 2 || after.claimables["camp1it"] != proof.AmountOf(1) || len(after.claimables) != 1 {
		t.Errorf("second block is missing: %+v", after)
	}
}

func TestLookups(t *testing.T) {
	m := open(t, "")
	if err := m.Apply(world(t)); err != nil {
		t.Fatal(err)
	}
	inside, _ := id.ParseIMSI("001010123456789")
	outside, _ := id.ParseIMSI("001010223456789")
	if o, ok := m.Home(inside); !ok || o.Name != "Ostia" {
		t.Errorf("Home(%v) = %v, %v", inside, o, ok)
	}
	if o, ok := m.Home(outside); ok {
		t.Errorf("Home(%v) = %v, want none", outside, o)
	}
	if tw, ok := m.TowerByENB(id.GlobalENBID{PLMN: plmn(t, "00101"), Type: id.MacroENB, ID: 0x19b}); !ok || tw.Name != "roof" {
		t.Errorf("TowerByENB = %v, %v", tw, ok)
	}
	if _, ok := m.TowerByENB(id.GlobalENBID{}); ok {
		t.Error("the zero eNB id found a tower")
	}
	if c, ok := m.ChannelBetween(proof.OperatorKey{1}, proof.TowerKey{4}); !ok || c.ID != 5 {
		t.Errorf("ChannelBetween = %v, %v", c, ok)
	}
	if _, ok := m.OperatorByKey(proof.OperatorKey{}); ok {
		t.Error("the zero key found an operator")
	}
}

func TestKeysRangesAndChannelsChangeHands(t *testing.T) {
	m := open(t, "")
	w := world(t)
	if err := m.Apply(w); err != nil {
		t.Fatal(err)
	}
	a, b := w.Operators[0], w.Operators[0]
	a.Key, a.Ranges = proof.OperatorKey{11}, []Range{"00102"}
	b.Account, b.Name = "camp1new", "Veii" // takes over key and range in the same block, listed first
	ch := w.Channels[0]
	ch.State = ChannelClosed
	if err := m.Apply(Update{ChainID: w.ChainID, Height: 2, Operators: []Operator{b, a}, Channels: []Channel{ch}}); err != nil {
		t.Fatal(err)
	}
	imsi, _ := id.ParseIMSI("001010123456789")
	if o, _ := m.Home(imsi); o.Name != "Veii" {
		t.Errorf("range is %q's, want Veii's", o.Name)
	}
	if o, _ := m.OperatorByKey(proof.OperatorKey{1}); o.Name != "Veii" {
		t.Errorf("key is %q's, want Veii's", o.Name)
	}
	if c, ok := m.ChannelBetween(proof.OperatorKey{11}, proof.TowerKey{4}); ok {
		t.Errorf("a closed channel is found as the pair's: %v", c)
	}
	if err := m.Apply(Update{ChainID: w.ChainID, Height: 3, GoneChannels: []uint64{5}}); err != nil {
		t.Fatal(err)
	}
	if _, ok := m.Channel(5); ok {
		t.Error("a dropped channel is still there")
	}
}

func TestGapIsRefused(t *testing.T) {
	m := open(t, "")
	if err := m.Apply(world(t)); err != nil {
		t.Fatal(err)
	}
	for _, u := range []Update{{ChainID: "campanile-0", Height: 3}, {ChainID: "campanile-0", Height: 1}, {ChainID: "other", Height: 2}} {
		if err := m.Apply(u); !errors.Is(err, ErrGap) {
			t.Errorf("Apply(block %d of %s) = %v, want ErrGap", u.Height, u.ChainID, err)
		}
	}
	if _, h, _ := m.Head(); h != 1 {
		t.Errorf("height %d after refused updates, want 1", h)
	}
}

func TestSlowWatcherLosesNothing(t *testing.T) {
	m := open(t, "")
	if err := m.Apply(world(t)); err != nil {
		t.Fatal(err)
	}
	slow := m.Watch()
	sub := func(n byte, s SubscriberState) Subscriber { return Subscriber{ID: id.SubscriberID{n}, State: s} }
	for i, s := range []Subscriber{sub(1, Active), sub(2, Active), sub(1, Barred)} {
		if err := m.Apply(Update{ChainID: "campanile-0", Height: int64(i) + 2, Subscribers: []Subscriber{s}}); err != nil {
			t.Fatal(err)
		}
	}
	got, err := slow.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := Update{ChainID: "campanile-0", Height: 4, Subscribers: []Subscriber{sub(1, Barred), sub(2, Active)}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("three blocks fetched as one (-want +got):\n%s", d)
	}
}

func TestWatchEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := open(t, "")
		w := m.Watch()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := w.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Next without blocks = %v", err)
		}
		go func() { m.Close() }()
		if _, err := w.Next(t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("Next on a closed model = %v", err)
		}
	})
}

func TestFileOfTwoProcessesIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	open(t, path)
	if _, err := Open(Options{Path: path}); err == nil {
		t.Error("a second opening of the same file succeeded")
	}
}

func BenchmarkHome(b *testing.B) {
	m, _ := Open(Options{})
	u := Update{Resync: true}
	for i := range 1000 {
		r := Range([]byte{'0', '0', '1', '0', '1', '0' + byte(i/100), '0' + byte(i/10%10), '0' + byte(i%10)})
		u.Operators = append(u.Operators, Operator{Account: Account(r), Ranges: []Range{r}})
	}
	if err := m.Apply(u); err != nil {
		b.Fatal(err)
	}
	imsi, _ := id.ParseIMSI("001015551234567")
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := m.Home(imsi); !ok {
			b.Fatal("not found")
		}
	}
}
