package ledger_test

import (
	"context"
	"net"
	"reflect"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"campanile.network/3gpp/id"
	"campanile.network/hss-chain/ledger"
	pb "campanile.network/wire/corepb"
	"campanile.network/wire/proof"
)

// A follower in another process has what the leader has: all there was, and
// every block since.
func TestFollow(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	leader, follower := open(t), open(t)
	p, _ := id.ParsePLMN("99970")
	g, _ := id.ParseGlobalENBID("999/70-0x19b")
	at := time.Unix(1_000_000, 0).UTC()
	apply := func(u ledger.Update) {
		t.Helper()
		u.ChainID, u.Time = "c", at
		if err := leader.Apply(u); err != nil {
			t.Fatal(err)
		}
	}
	apply(ledger.Update{Height: 5, Resync: true,
		Operators:   []ledger.Operator{{Account: "camp1a", Key: proof.OperatorKey{1}, Name: "town", PLMNs: []id.PLMN{p}, Ranges: []ledger.Range{"99970"}, Version: 1, Nodes: []ledger.HSSNode{{Key: proof.NodeKey{2}, HPKE: []byte{3}, IND: 1, Endpoint: "e:1"}}}},
		Subscribers: []ledger.Subscriber{{ID: id.SubscriberID{4}, Operator: "camp1a", State: ledger.Active, Plan: "open", Version: 1, BlobHash: [32]byte{5}, Epoch: 1}},
		Towers: []ledger.Tower{{Key: proof.TowerKey{6}, Owner: "camp1b", Name: "t", ENB: g, Cells: []id.ECGI{{PLMN: p, ECI: 0x19b01}}, Prices: proof.Prices{PerGB: proof.AmountOf(7)}, Version: 1,
			Health: ledger.Health{State: proof.RadioNoCore, Since: at, Restarts: 3, Said: at.Add(1), Heard: at.Add(2)}}},
		Claimables: []ledger.Claimable{{Account: "camp1b", Amount: proof.AmountOf(8)}}})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	var shown []byte
	ledger.Register(s, leader, func(_ context.Context, v []byte) (uint64, proof.Amount, proof.Amount, error) {
		shown = v
		return 9, proof.AmountOf(10), proof.AmountOf(11), nil
	}, nil)
	go s.Serve(l)
	defer s.Stop()
	c, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	w := follower.Watch()
	defer w.Close()
	followCtx, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- ledger.Follow(followCtx, c, follower) }()
	for n := int64(5); n <= 8; n++ {
		if n > 5 {
			apply(ledger.Update{Height: n, Channels: []ledger.Channel{{ID: uint64(n), Payer: "camp1a", Tower: proof.TowerKey{6}, State: ledger.ChannelOpen, Reserve: proof.AmountOf(uint64(n)), ClosesAt: at}}})
		}
		for h := int64(0); h < n; {
			u, err := w.Next(ctx)
			if err != nil {
				t.Fatal(err)
			}
			h = u.Height
		}
		if a, b := leader.Snapshot(), follower.Snapshot(); !reflect.DeepEqual(a.Operators, b.Operators) || !reflect.DeepEqual(a.Subscribers, b.Subscribers) ||
			!reflect.DeepEqual(a.Towers, b.Towers) || !reflect.DeepEqual(a.Claimables, b.Claimables) || len(a.Channels) != len(b.Channels) || a.Height != b.Height || !a.Time.Equal(b.Time) {
			t.Fatalf("block %d\nleader   %+v\nfollower %+v", n, a, b)
		}
	}
	if ch, ok := follower.Channel(8); !ok || ch.Reserve != proof.AmountOf(8) {
		t.Errorf("channel 8: %+v %t", ch, ok)
	}
	payer := proof.NewSigningKey()
	apply(ledger.Update{Height: 9, Channels: []ledger.Channel{{ID: 9, Payer: "camp1a", Operator: payer.Public(), Tower: proof.TowerKey{6}, State: ledger.ChannelOpen, Promised: proof.AmountOf(20), ClosesAt: at}}})
	sign := func(v proof.Voucher, k proof.SigningKey) []byte {
		b, err := v.Sign(k)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	good := proof.Voucher{ChainID: "c", Channel: 9, Seq: 1, Amount: proof.AmountOf(21)}
	for name, b := range map[string][]byte{
		"no voucher":      []byte("voucher"),
		"unknown channel": sign(proof.Voucher{ChainID: "c", Channel: 10, Amount: proof.AmountOf(21)}, payer),
		"another's key":   sign(good, proof.NewSigningKey()),
		"another chain":   sign(proof.Voucher{ChainID: "d", Channel: 9, Amount: proof.AmountOf(21)}, payer),
	} {
		if _, _, _, err := ledger.SettleOver(ctx, c, b); err == nil || shown != nil {
			t.Errorf("%s: %v; it was shown to the chain: %t", name, err, shown != nil)
		}
	}
	again := sign(proof.Voucher{ChainID: "c", Channel: 9, Amount: proof.AmountOf(20)}, payer)
	if n, paid, owing, err := ledger.SettleOver(ctx, c, again); err != nil || n != 9 || !paid.IsZero() || owing != proof.AmountOf(20) || shown != nil {
		t.Errorf("a voucher that the chain has: %d %v %v %v %q", n, paid, owing, err, shown)
	}
	if n, paid, owing, err := ledger.SettleOver(ctx, c, sign(good, payer)); err != nil || n != 9 || paid != proof.AmountOf(10) || owing != proof.AmountOf(11) || shown == nil {
		t.Errorf("settle: %d %v %v %v %q", n, paid, owing, err, shown)
	}
	stop()
	if err := <-done; err == nil {
		t.Error("Follow ended without a reason")
	}
}

// A party cannot have the ledger sent to it any number of times at once.
func TestFollowersAreBounded(t *testing.T) {
	leader := open(t)
	if err := leader.Apply(ledger.Update{ChainID: "c", Height: 1, Time: time.Unix(1, 0), Resync: true}); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	ledger.Register(s, leader, nil, nil)
	go s.Serve(l)
	defer s.Stop()
	c, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	follow := func(ctx context.Context) error {
		st, err := pb.NewLedgerClient(c).Follow(ctx, &pb.FollowRequest{})
		if err == nil {
			_, err = st.Recv()
		}
		return err
	}
	one, leave := context.WithCancel(ctx)
	for n := range 8 {
		of := ctx
		if n == 0 {
			of = one
		}
		if err := follow(of); err != nil {
			t.Fatalf("follower %d: %v", n, err)
		}
	}
	if err := follow(ctx); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("a ninth follower: %v", err)
	}
	leave()
	for err = follow(ctx); status.Code(err) == codes.ResourceExhausted && ctx.Err() == nil; err = follow(ctx) {
	}
	if err != nil {
		t.Errorf("after one has left: %v", err)
	}
}

func open(t *testing.T) *ledger.Model {
	t.Helper()
	m, err := ledger.Open(ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}
