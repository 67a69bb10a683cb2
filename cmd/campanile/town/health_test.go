package town

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/hss-chain/ledger"
	"campanile.network/wire/link"
	"campanile.network/wire/proof"
)

// mast is a tower with a radio, and a ledger that makes a block each second and
// takes what it must.
type mast struct {
	t     *testing.T
	key   proof.SigningKey
	model *ledger.Model

	mu     sync.Mutex
	radio  link.Radio
	none   bool
	away   bool
	tried  int
	health ledger.Health
}

func (m *mast) set(state string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.radio.State, m.radio.Since = state, time.Now()
}

func (m *mast) look() (link.Radio, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.radio, !m.none
}

func (m *mast) post(_ context.Context, b []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tried++
	if m.away {
		return errors.New("away")
	}
	h, err := proof.OpenHealth("c", b)
	if err != nil {
		return err
	}
	last, heard := m.health.Statement()
	now := time.Now() // of the block that will have it
	if err := h.After(last, heard, now); err != nil {
		m.t.Errorf("at %v: %v", time.Now(), err)
		return err
	}
	m.health = ledger.Health{State: h.State, Since: h.Since, Restarts: h.Restarts, Said: h.At, Heard: now}
	return nil
}

func (m *mast) blocks(ctx context.Context, g id.GlobalENBID) {
	for n := int64(1); ctx.Err() == nil; n++ {
		m.mu.Lock()
		u := ledger.Update{ChainID: "c", Height: n, Time: time.Now(), Resync: true, Towers: []ledger.Tower{{Key: m.key.Public(), ENB: g, Health: m.health}}}
		stop := m.away && n > 1
		m.mu.Unlock()
		if !stop {
			if err := m.model.Apply(u); err != nil {
				m.t.Error(err)
			}
		}
		rest(ctx, time.Second)
	}
}

// on is what the ledger has, and how often it was asked since last time.
func (m *mast) on() (state proof.RadioState, tried int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	tried, m.tried = m.tried, 0
	return m.health.State, tried
}

func (m *mast) want(what string, state proof.RadioState, tried int) {
	m.t.Helper()
	if s, n := m.on(); s != state || n != tried {
		m.t.Errorf("%s: the ledger has %v after %d statements, want %v after %d", what, s, n, state, tried)
	}
}

// A change is told at once, a quiet radio every hour, a restless one no more
// often than the ledger takes it; a ledger that was away hears the newest.
func TestHerald(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, err := id.ParseGlobalENBID("999/70-0x19b")
		if err != nil {
			t.Fatal(err)
		}
		model, err := ledger.Open(ledger.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer model.Close()
		m := &mast{t: t, key: proof.NewSigningKey(), model: model, none: true}
		ctx, stop := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() { m.blocks(ctx, g) })
		h := &herald{key: m.key, chainID: "c", radio: m.look, model: model, post: m.post, log: slog.New(slog.DiscardHandler)}
		all.Go(func() { h.serve(ctx) })
		pass := func(d time.Duration) { rest(ctx, d); synctest.Wait() }

		pass(time.Hour)
		m.want("no radio", 0, 0)
		m.mu.Lock()
		m.none = false
		m.mu.Unlock()
		m.set("what is this")
		pass(time.Hour)
		m.want("a state the ledger does not know", 0, 0)
		m.set("starting")
		pass(3 * time.Second)
		m.want("at first", proof.RadioStarting, 1)
		m.set("running")
		pass(30 * time.Second)
		m.want("sooner than a minute", proof.RadioStarting, 0)
		pass(35 * time.Second)
		m.want("a minute later", proof.RadioRunning, 1)
		pass(50 * time.Minute)
		m.want("nothing new", proof.RadioRunning, 0)
		pass(12 * time.Minute)
		m.want("an hour later", proof.RadioRunning, 1)
		m.set("restarting")
		pass(3 * time.Second)
		m.want("after a long silence", proof.RadioRestarting, 1)
		for n := range 60 { // it comes and goes for ten minutes
			m.set([]string{"running", "restarting"}[n%2])
			pass(10 * time.Second)
		}
		if _, n := m.on(); n > 10 {
			t.Errorf("a restless radio: %d statements in ten minutes", n)
		}
		pass(15 * time.Minute)
		m.on()

		m.mu.Lock()
		m.away = true
		m.mu.Unlock()
		m.set("failing")
		pass(10 * time.Minute)
		if s, n := m.on(); s == proof.RadioFailing || n == 0 || n > 62 {
			t.Errorf("ledger away: %v after %d statements", s, n)
		}
		m.set("no core")
		pass(10 * time.Minute)
		m.mu.Lock()
		m.away, m.tried = false, 0
		m.mu.Unlock()
		pass(15 * time.Second)
		m.want("ledger back", proof.RadioNoCore, 1)
		stop()
		all.Wait()
	})
}

// Every word that comes over the link is one the ledger knows, but "unknown".
func TestRadioStatesAreTheLedgers(t *testing.T) {
	for _, word := range link.RadioStates() {
		if s, ok := proof.ParseRadioState(word); !ok || s.String() != word {
			t.Errorf("%q is %v", word, s)
		}
	}
}

// What a tower says gets onto the ledger through the chain, and back into what
// people are shown; a tower without a radio of its own says nothing.
func TestHealthOnTheLedger(t *testing.T) {
	ctx := deadline(t)
	w := start(t, ctx, newHome(t, nil), core())
	a := &admin{t: w}
	r, err := a.ListTowers(ctx, nil)
	if err != nil || len(r.Towers) != 1 || r.Towers[0].Health != nil {
		t.Fatalf("%+v %v", r, err)
	}
	since := time.Now().Add(-time.Minute)
	h := &herald{key: w.keys.tower, chainID: w.chainID, radio: func() (link.Radio, bool) {
		return link.Radio{State: "no core", Since: since, Restarts: 4}, true
	}, model: w.model, post: w.cash.Report, log: w.role("tower")}
	bounded, stop := context.WithCancel(ctx)
	done := make(chan error)
	go func() { done <- h.serve(bounded) }()
	eventually(t, ctx, "the ledger to have it", func() bool {
		v, _ := w.model.Tower(w.keys.tower.Public())
		return v.Health.State == proof.RadioNoCore
	})
	stop()
	<-done
	r, err = a.ListTowers(ctx, nil)
	if err != nil || r.Towers[0].Health.GetState() != "no core" || r.Towers[0].Health.Restarts != 4 || r.Towers[0].Health.SinceUnixMs != since.UnixMilli() {
		t.Errorf("%+v %v", r, err)
	}
	found := false
	for _, p := range w.status().Parts {
		found = found || p.Name == "radio"
	}
	if !found {
		t.Errorf("status does not say it: %v", w.status().Parts)
	}
	if err := w.cash.Report(ctx, []byte("fine")); err == nil {
		t.Error("the chain took a word nobody signed")
	}
}
