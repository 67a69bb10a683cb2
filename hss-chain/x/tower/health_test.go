package tower

import (
	"context"
	"strings"
	"testing"
	"time"

	"campanile.network/hss-chain/x/internal/xtest"
	"campanile.network/wire/proof"
)

func (w *world) statement(t *testing.T, n byte, state proof.RadioState, at time.Time) []byte {
	t.Helper()
	b, err := proof.Health{ChainID: xtest.ChainID, Tower: key(n).Public(), State: state, Since: at.Add(-time.Second), Restarts: 3, At: at}.Sign(key(n))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (w *world) report(statement []byte) error {
	return w.Do(func(ctx context.Context) error {
		_, err := w.msgs.ReportHealth(ctx, &MsgReportHealth{Submitter: name(99), Statement: statement})
		return err
	})
}

func (w *world) pass(t *testing.T, d time.Duration) {
	t.Helper()
	check(t, "block", w.Block(d, func(context.Context) error { return nil }), nil)
}

func (w *world) health(t *testing.T, n byte) *Health {
	t.Helper()
	k := key(n).Public()
	r, err := w.queries.Tower(w.Read(), &QueryTowerRequest{Key: k[:]})
	check(t, "query", err, nil)
	return r.Tower.Health
}

// The newest word of a tower stands on the chain, whoever brought it, and is not
// lost when the owner changes something.
func TestHealthIsTheTowersNewestWord(t *testing.T) {
	w := newWorld(t)
	at := w.Now()
	check(t, "of a tower nobody has registered", w.report(w.statement(t, 1, proof.RadioRunning, at)), ErrUnknown)
	check(t, "tower", w.register(1), nil)
	if h := w.health(t, 1); h != nil {
		t.Errorf("said before anything was said: %v", h)
	}
	first := w.statement(t, 1, proof.RadioRunning, at)
	check(t, "first", w.report(first), nil)
	check(t, "the same again", w.report(first), ErrStale)
	check(t, "another state, too soon", w.report(w.statement(t, 1, proof.RadioFailing, at.Add(time.Second))), ErrTooSoon)
	w.pass(t, proof.HealthChange)
	check(t, "the same state, too soon", w.report(w.statement(t, 1, proof.RadioRunning, at.Add(time.Second))), ErrTooSoon)
	check(t, "another state, a minute later", w.report(w.statement(t, 1, proof.RadioFailing, at.Add(time.Second))), nil)
	w.pass(t, proof.HealthEvery)
	check(t, "the first again, much later", w.report(first), ErrStale)
	check(t, "the same state, ten minutes later", w.report(w.statement(t, 1, proof.RadioFailing, w.Now())), nil)
	w.pass(t, time.Hour)
	check(t, "from the future", w.report(w.statement(t, 1, proof.RadioRunning, w.Now().Add(proof.HealthAhead+time.Second))), ErrInvalid)
	check(t, "owner's change", w.update(1, 1, 7), nil)
	if h := w.health(t, 1); h == nil || h.State != RadioFailing || h.Restarts != 3 || !h.Heard.Equal(w.Now().Add(-time.Hour)) || !h.Said.Equal(h.Heard) || h.Said.Sub(h.Since) != time.Second {
		t.Errorf("on the chain: %v", h)
	}
	found := false
	for _, e := range w.Read().EventManager().Events() {
		found = found || strings.HasSuffix(e.Type, "EventTowerHealth")
	}
	if !found {
		t.Error("no event says so")
	}
}

func TestRefusedHealth(t *testing.T) {
	w := newWorld(t)
	check(t, "tower", w.register(1), nil)
	check(t, "tower", w.register(2), nil)
	good := w.statement(t, 1, proof.RadioRunning, w.Now())
	elsewhere, err := proof.Health{ChainID: "campanile-elsewhere", Tower: key(1).Public(), State: proof.RadioRunning, At: w.Now()}.Sign(key(1))
	check(t, "sign", err, nil)
	for what, b := range map[string][]byte{
		"nothing":                   nil,
		"a signature cut short":     good[:len(good)-1],
		"another tower's signature": append(good[:len(good)-64:len(good)-64], w.statement(t, 2, proof.RadioRunning, w.Now())[len(good)-64:]...),
		"said on another chain":     elsewhere,
	} {
		check(t, what, w.report(b), ErrInvalid)
	}
	if h := w.health(t, 1); h != nil {
		t.Errorf("believed: %v", h)
	}
	check(t, "the good one", w.report(good), nil)
}

// Health survives export and import; a genesis that invents it is refused.
func TestHealthInGenesis(t *testing.T) {
	w := newWorld(t)
	check(t, "tower", w.register(1), nil)
	check(t, "health", w.report(w.statement(t, 1, proof.RadioNoCore, w.Now())), nil)
	gs, err := w.keeper.ExportGenesis(w.Read())
	check(t, "export", err, nil)
	again := newWorld(t)
	check(t, "import", again.Do(func(ctx context.Context) error { return again.keeper.InitGenesis(ctx, *gs) }), nil)
	if h := again.health(t, 1); h == nil || h.String() != w.health(t, 1).String() {
		t.Errorf("after import: %v", h)
	}
	check(t, "one that was said before", again.report(w.statement(t, 1, proof.RadioRunning, w.Now())), ErrStale)
	gs.Towers[0].Health.Said = gs.Towers[0].Health.Heard.Add(time.Hour)
	third := newWorld(t)
	check(t, "import of a word from the future", third.Do(func(ctx context.Context) error { return third.keeper.InitGenesis(ctx, *gs) }), ErrInvalid)
}
