package town

import (
	"context"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"campanile.network/billing/meter"
	"campanile.network/hss-chain/ledger"
	"campanile.network/wire/link"
	"campanile.network/wire/proof"
	"campanile.network/wire/usage"
)

// Who is away is told with his address and since when, and once a minute.
func TestAwaySinceWhen(t *testing.T) {
	m, err := ledger.Open(ledger.Options{Path: filepath.Join(t.TempDir(), "l.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	synctest.Test(t, func(t *testing.T) {
		a := &away{model: m, at: "192.0.2.1:7100"}
		if got := a.text(); got != ", from hss-chain at 192.0.2.1:7100" {
			t.Errorf("%q", got)
		}
		begin := time.Now()
		told := 0
		for range 100 {
			if a.set("nothing listens there") {
				told++
			}
			time.Sleep(2 * time.Second)
		}
		want := "; hss-chain at 192.0.2.1:7100 is away since " + begin.Format(time.TimeOnly) + ": nothing listens there"
		if got := a.text(); got != want || told != 4 {
			t.Errorf("%q, want %q; told %d times in 200 s", got, want, told)
		}
		if !a.set("no answer") || !strings.Contains(a.text(), begin.Format(time.TimeOnly)+": no answer") {
			t.Error(a.text())
		}
	})
}

// Ends that have their transport in common have a line in common.
func TestTransportLines(t *testing.T) {
	got := transportLines([]transport{{"MME", "SCTP in UDP"}, {"agent towards eNBs", "this kernel's SCTP"}, {"virtual eNB", "SCTP in UDP"}})
	if want := []string{"MME, virtual eNB: SCTP in UDP", "agent towards eNBs: this kernel's SCTP"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// The newest word about a radio counts, wherever it was said.
func TestNewestWord(t *testing.T) {
	at := time.Now()
	onLedger := ledger.Health{State: proof.RadioStarting, Since: at.Add(-time.Minute), Said: at.Add(-48 * time.Second), Heard: at.Add(-47 * time.Second)}
	overLink := meter.TowerView{Radio: &link.Radio{State: "running", Since: at.Add(-20 * time.Second), Restarts: 2}, RadioAt: at.Add(-20 * time.Second)}
	if h := newest(overLink, onLedger); h.State != "running" || h.Restarts != 2 || h.SaidUnixMs != at.Add(-20*time.Second).UnixMilli() {
		t.Errorf("said over the link later: %v", h)
	}
	overLink.RadioAt = at.Add(-time.Hour)
	if h := newest(overLink, onLedger); h.State != "starting" {
		t.Errorf("said on the ledger later: %v", h)
	}
	if h := newest(meter.TowerView{}, onLedger); h.State != "starting" {
		t.Errorf("said on the ledger alone: %v", h)
	}
	if h := newest(meter.TowerView{}, ledger.Health{}); h != nil {
		t.Errorf("nothing said: %v", h)
	}
}

type heap struct{}

func (heap) Report(context.Context, []usage.Record) error { return nil }

// A gateway says whether billing is there, since when not, and why.
func TestBillingAway(t *testing.T) {
	ctx := deadline(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	usage.Register(s, heap{})
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	c, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	m := &farMeter{Client: usage.NewClient(c), conn: c, at: "billing.example:7101"}
	bounded, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- m.follow(bounded) }()
	eventually(t, ctx, "billing to be there", func() bool { return m.text() == "at billing.example:7101 is there" })
	before := time.Now().Truncate(time.Second)
	s.Stop()
	<-served
	eventually(t, ctx, "billing to be away", func() bool { return strings.Contains(m.text(), "away since") })
	m.mu.Lock()
	since := m.since
	m.mu.Unlock()
	if since.Before(before) {
		t.Errorf("away since %v, before its end at %v", since, before)
	}
	eventually(t, ctx, "the reason", func() bool {
		return m.Report(ctx, []usage.Record{{}}) != nil && strings.HasSuffix(m.text(), ": nothing listens there: is it running?")
	})
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
