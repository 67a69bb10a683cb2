// Package agent is the tower's own mind: it holds the tower's key, counts for
// itself what its relay carried, takes vouchers from the core it has joined,
// believes none it has not checked, and stops serving when they lag by more
// than its window.
//
// It does not relay (enb-agent/relay does), posts nothing on chain
// (billing/settle does) and waits for no block: it reads the ledger in memory.
package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"sync"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/enb-agent/relay"
	"campanile.network/wire/link"
	"campanile.network/wire/proof"
)

// Channel is what the ledger has about a channel to this tower.
type Channel struct {
	ID      uint64
	Payer   proof.OperatorKey
	Tower   proof.TowerKey
	Prices  proof.Prices
	Reserve proof.Amount
	Bytes   uint64 // of the highest voucher the ledger has seen
	Open    bool   // vouchers are paid from it
}

// Ledger is what an agent has to know. It answers from memory, at once.
type Ledger interface {
	Channel(id uint64) (Channel, bool)
}

// Relay is what an agent counts and commands; *relay.Relay is one.
type Relay interface {
	Counts() []relay.Count
	Forget(id.TEID)
	Octets() uint64
	Allow(octets uint64)
	Spent() <-chan struct{}
	Refuse(bool)
	ReleaseAll(context.Context) int
}

// Dial joins the core. The link lives as long as ctx; hangUp is called once,
// when it is over.
type Dial func(ctx context.Context) (c link.TowerConn, hangUp func(), err error)

// Options make an Agent. The first seven are required.
type Options struct {
	Tower    proof.TowerKey
	Operator proof.OperatorKey // of the core this tower has joined, and who pays it
	ChainID  string
	Dial     Dial
	Ledger   Ledger
	Relay    Relay
	Path     string // of the store, made when absent

	WindowOctets   uint64                    // how far vouchers may lag ...; 0 means 4*10^6
	WindowPermille uint32                    // ... plus this share of what was counted; 0 means 10
	ReportEvery    time.Duration             // while counts change; 0 means 1 s
	ReportStep     uint64                    // octets after which counts are reported at once; 0 means 256 KiB
	ReleaseAfter   time.Duration             // how long after stopping contexts are released; 0 means 2 s
	SeenAs         func(netip.Addr)          // told whence the core sees this tower come, on each link; nil: nobody asks
	Radio          func() (link.Radio, bool) // how the radio is, false while there is none; nil: the agent supervises none
	Retry          time.Duration             // longest pause between attempts to join; 0 means 30 s
	Logger         *slog.Logger              // nil discards
}

func (o Options) complete() (Options, error) {
	for _, d := range []struct {
		p *time.Duration
		v time.Duration
	}{{&o.ReportEvery, time.Second}, {&o.ReleaseAfter, 2 * time.Second}, {&o.Retry, 30 * time.Second}} {
		if *d.p == 0 {
			*d.p = d.v
		}
		if *d.p < 0 {
			return o, fmt.Errorf("agent: negative time %v", *d.p)
		}
	}
	if o.WindowOctets == 0 {
		o.WindowOctets = 4_000_000
	}
	if o.WindowPermille == 0 {
		o.WindowPermille = 10
	}
	if o.ReportStep == 0 {
		o.ReportStep = 256 << 10
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	switch {
	case o.Tower == proof.TowerKey{} || o.Operator == proof.OperatorKey{}:
		return o, errors.New("agent: the tower's key and the operator's are needed")
	case o.ChainID == "":
		return o, errors.New("agent: no chain-id")
	case o.Dial == nil || o.Ledger == nil || o.Relay == nil:
		return o, errors.New("agent: no way to join the core, no ledger or no relay")
	case o.Path == "":
		return o, errors.New("agent: no path for its store")
	case o.WindowPermille >= 1000:
		return o, fmt.Errorf("agent: a window of %d permille never closes", o.WindowPermille)
	}
	return o, nil
}

// Agent is one tower's.
type Agent struct {
	Options
	epoch uint64
	store *store
	wake  chan struct{} // the writer has something to say
	heard chan link.ToTower

	mu        sync.Mutex
	state     state // what is to be stored ...
	stored    state // ... and what is
	held      map[uint64]held
	octets    uint64 // of the relay, that are in state
	counts    map[id.TEID]tally
	zero      map[id.TEID]tally // what is to be added to the relay's counts; wraps around
	terms     *link.Terms
	channel   *Channel // of state.Channel, as the ledger has it; nil: none to be paid from
	why       string   // why there is none
	connected bool
	awaySince time.Time // when not connected
	awayWhy   string
	serving   bool
	stoppedAt time.Time
	released  bool
	notice    link.Notice   // whether the tower serves, as said last
	spool     []link.Notice // that the core has not stored, as far as is known, and the last of each kind
	number    uint64        // of the newest notice
	radio     *link.Radio   // as last seen
	pending   []byte        // a voucher the ledger does not cover yet
	refused   uint64
	refusal   string
}

// tally is a bearer's count since the store was made, and when it last changed.
type tally struct {
	ul, dl uint64
	at     time.Time
}

// held is the highest voucher of one channel.
type held struct {
	proof.Voucher
	signed []byte
}

// New opens the store and takes up what is in it. The caller ends with Close,
// after Serve has returned.
func New(o Options) (*Agent, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	a := &Agent{Options: o, wake: make(chan struct{}, 1), heard: make(chan link.ToTower), held: map[uint64]held{},
		counts: map[id.TEID]tally{}, zero: map[id.TEID]tally{}, serving: true, awaySince: time.Now()}
	if a.store, err = openStore(o.Path, o.ChainID, o.Tower); err != nil {
		return nil, err
	}
	if err := a.store.load(a); err != nil {
		a.store.close()
		return nil, err
	}
	for _, c := range a.Relay.Counts() {
		a.zero[c.TEID] = tally{ul: a.counts[c.TEID].ul - c.UL, dl: a.counts[c.TEID].dl - c.DL}
	}
	for teid, t := range a.counts {
		if _, ok := a.zero[teid]; !ok {
			a.zero[teid] = t
		}
	}
	a.stored, a.octets = a.state, a.Relay.Octets()
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	a.consider(now, true)
	if a.serving && a.notice.Code != link.Serving {
		a.say(now, link.Notice{Code: link.Serving, Text: "serving"})
	}
	return a, nil
}

// Close closes the store.
func (a *Agent) Close() error { return a.store.close() }

// poll is how often the relay's count is looked at.
const poll = 25 * time.Millisecond

// Serve counts, reports and decides until ctx ends. It then reports once more
// and stores its count. It is called once.
func (a *Agent) Serve(ctx context.Context) error {
	links, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	last := make(chan struct{})
	joined := make(chan struct{})
	go func() { defer close(joined); a.keepJoined(links, last) }()

	tick := time.NewTicker(poll)
	defer tick.Stop()
	reported := time.Now()
	var err error
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case m := <-a.heard:
			a.hear(m)
		case <-a.Relay.Spent():
			a.mu.Lock()
			a.take()
			a.consider(time.Now(), true)
			a.mu.Unlock()
		case now := <-tick.C:
			due := now.Sub(reported) >= a.ReportEvery
			if due {
				reported = now
				a.lookAtRadio(now)
			}
			if err := a.look(ctx, now, due); err != nil {
				a.Logger.Error("agent", "err", err)
			}
		}
	}
	err = a.look(ctx, time.Now(), true)
	close(last) // the writer says what is left and hangs up
	patience := time.AfterFunc(time.Second, cancel)
	defer patience.Stop()
	for {
		select {
		case m := <-a.heard: // a voucher may come to the very end
			a.hear(m)
			continue
		case <-joined:
		}
		return err
	}
}

// look takes in what the relay has counted, reports and stores it when that is
// due or much has come together, and decides.
func (a *Agent) look(ctx context.Context, now time.Time, due bool) error {
	a.mu.Lock()
	var err error
	if a.Relay.Octets()-a.octets >= a.ReportStep || due {
		a.take()
		err = a.tally(now)
		if a.pending != nil {
			b := a.pending
			a.pending = nil
			err = errors.Join(err, a.voucher(b))
		}
		a.consider(now, false)
	}
	release := !a.serving && !a.released && now.Sub(a.stoppedAt) >= a.ReleaseAfter
	a.released = a.released || release
	a.mu.Unlock()
	if release {
		if n := a.Relay.ReleaseAll(ctx); n > 0 {
			a.Logger.Info("contexts released", "contexts", n, "reason", a.Snapshot().Notice.Text)
		}
	}
	return err
}

// take adds what the relay has carried since to what is unpaid.
func (a *Agent) take() {
	now := a.Relay.Octets()
	a.state.Unpaid += now - a.octets
	a.octets = now
}

// remember is how long a bearer's count is said again on a new link after its
// last change. A core that forgets silent bearers must wait longer.
const remember = 12 * time.Hour

// tally takes the relay's counts and stores them with what is unpaid. Only
// then may they be said: a count that fell after a crash would be taken for a
// new one.
func (a *Agent) tally(now time.Time) error {
	changed, gone, present := map[id.TEID]tally{}, []id.TEID(nil), map[id.TEID]bool{}
	for _, c := range a.Relay.Counts() {
		present[c.TEID] = true
		t, z := a.counts[c.TEID], a.zero[c.TEID]
		switch {
		case t.ul != z.ul+c.UL || t.dl != z.dl+c.DL:
			changed[c.TEID] = tally{z.ul + c.UL, z.dl + c.DL, now}
		case !c.InUse && now.Sub(t.at) > remember:
			a.Relay.Forget(c.TEID)
			gone = append(gone, c.TEID)
		}
	}
	for teid, t := range a.counts { // of relays before this one
		if !present[teid] && now.Sub(t.at) > remember {
			gone = append(gone, teid)
		}
	}
	if len(changed) == 0 && len(gone) == 0 && a.state == a.stored {
		return nil
	}
	if err := a.store.save(a.state, changed, gone); err != nil {
		return err
	}
	a.stored = a.state
	for _, teid := range gone {
		delete(a.counts, teid)
		delete(a.zero, teid)
	}
	maps.Copy(a.counts, changed)
	if len(changed) > 0 {
		a.poke()
	}
	return nil
}

func (a *Agent) poke() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}
