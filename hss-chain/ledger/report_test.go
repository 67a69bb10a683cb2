package ledger_test

import (
	"context"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"campanile.network/3gpp/id"
	"campanile.network/hss-chain/ledger"
	"campanile.network/wire/proof"
)

// Only what the chain would take of a tower's talk reaches it, one at a time.
func TestReportHealth(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	m := open(t)
	key, now := proof.NewSigningKey(), time.Unix(1_000_000, 0).UTC()
	g, err := id.ParseGlobalENBID("999/70-0x19b")
	if err != nil {
		t.Fatal(err)
	}
	block := func(height int64, h ledger.Health) {
		t.Helper()
		if err := m.Apply(ledger.Update{ChainID: "c", Height: height, Time: now, Resync: height == 1, Towers: []ledger.Tower{{Key: key.Public(), ENB: g, Health: h}}}); err != nil {
			t.Fatal(err)
		}
	}
	block(1, ledger.Health{})
	shown := make(chan []byte, 8)
	answer := make(chan error, 8)
	c := serve(t, m, func(_ context.Context, b []byte) error { shown <- b; return <-answer })
	sign := func(k proof.SigningKey, h proof.Health) []byte {
		t.Helper()
		h.Tower, h.Since = k.Public(), h.At
		b, err := h.Sign(k)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	good := sign(key, proof.Health{ChainID: "c", State: proof.RadioRunning, At: now})
	for what, b := range map[string][]byte{
		"no statement":            []byte("fine"),
		"another chain's":         sign(key, proof.Health{ChainID: "d", State: proof.RadioRunning, At: now}),
		"a tower nobody knows":    sign(proof.NewSigningKey(), proof.Health{ChainID: "c", State: proof.RadioRunning, At: now}),
		"from the future":         sign(key, proof.Health{ChainID: "c", State: proof.RadioRunning, At: now.Add(time.Hour)}),
		"without its own purpose": good[:len(good)-1],
	} {
		if err := ledger.ReportOver(ctx, c, b); err == nil || len(shown) > 0 {
			t.Errorf("%s: %v; %d shown to the chain", what, err, len(shown))
		}
	}
	done := make(chan error)
	go func() { done <- ledger.ReportOver(ctx, c, good) }()
	if b := <-shown; string(b) != string(good) {
		t.Errorf("shown: %x", b)
	}
	if err := ledger.ReportOver(ctx, c, good); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("a second while the first is under way: %v", err)
	}
	answer <- nil
	if err := <-done; err != nil {
		t.Error(err)
	}
	block(2, ledger.Health{State: proof.RadioRunning, Since: now, Said: now, Heard: now})
	if err := ledger.ReportOver(ctx, c, sign(key, proof.Health{ChainID: "c", State: proof.RadioFailing, At: now.Add(time.Second)})); status.Code(err) != codes.FailedPrecondition || len(shown) > 0 {
		t.Errorf("too soon: %v", err)
	}
}

// serve offers a model's ledger and gives a connection to it.
func serve(t *testing.T, m *ledger.Model, report ledger.Reporter) *grpc.ClientConn {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	ledger.Register(s, m, nil, report)
	go s.Serve(l)
	t.Cleanup(s.Stop)
	c, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}
