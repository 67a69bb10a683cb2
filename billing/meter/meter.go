// Package meter turns counts into promises: it takes what the gateway counted
// and what the towers counted, lets count what arrived at the far end under a
// valid ticket, and signs cumulative vouchers for each tower.
//
// It stores before it sends, so a voucher's number never goes back and nothing
// is counted twice whenever the process dies. It reads the ledger in memory
// and waits for no block. It moves no money (billing/settle does) and it does
// not judge between two counts: the tower that does not believe a voucher
// stops serving.
package meter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"campanile.network/wire/proof"
	"campanile.network/wire/usage"
)

// Channel is what the ledger has about the channel this operator pays a tower
// from.
type Channel struct {
	ID       uint64
	Prices   proof.Prices  // fixed for the channel's life
	Reserve  proof.Amount  // everything ever paid into it
	Seq      uint64        // of the highest voucher the ledger has seen
	Carried  proof.Carried // of that voucher
	Promised proof.Amount  // of that voucher
}

// Ledger is what a meter has to know. It answers from memory, at once.
type Ledger interface {
	// Channel gives the channel that is open from payer to tower.
	Channel(payer proof.OperatorKey, tower proof.TowerKey) (Channel, bool)
	// Tower says whether a tower is registered.
	Tower(tower proof.TowerKey) bool
	// HomeNode says whether node is an HSS node of the operator home.
	HomeNode(home proof.OperatorKey, node proof.NodeKey) bool
}

// Options make a Meter. Operator, ChainID, Ledger and Path are required.
type Options struct {
	Operator       proof.SigningKey // signs vouchers; its public half is the serving operator in tickets
	ChainID        string
	Ledger         Ledger
	Path           string        // of the store, made when absent
	Step           uint64        // octets after which a voucher is signed at once; 0 means 10^6
	Every          time.Duration // a voucher is signed this often while the count rises; 0 means 10 s
	Linger         time.Duration // how long after a segment's end the tower's last count is awaited; 0 means 5 s
	WindowOctets   uint64        // told to towers; 0 means 4*10^6
	WindowPermille uint32        // told to towers; 0 means 10
	Logger         *slog.Logger  // nil discards
}

func (o Options) complete() (Options, error) {
	if o.Step == 0 {
		o.Step = 1_000_000
	}
	if o.Every == 0 {
		o.Every = 10 * time.Second
	}
	if o.Linger == 0 {
		o.Linger = 5 * time.Second
	}
	if o.WindowOctets == 0 {
		o.WindowOctets = 4_000_000
	}
	if o.WindowPermille == 0 {
		o.WindowPermille = 10
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	switch {
	case o.Operator.Ed25519() == nil:
		return o, errors.New("meter: no operator key")
	case o.ChainID == "":
		return o, errors.New("meter: no chain-id")
	case o.Ledger == nil:
		return o, errors.New("meter: no ledger")
	case o.Path == "":
		return o, errors.New("meter: no path for its store")
	case o.Every < 0 || o.Linger < 0:
		return o, fmt.Errorf("meter: negative time: every %v, linger %v", o.Every, o.Linger)
	case o.Step >= o.WindowOctets:
		return o, fmt.Errorf("meter: a voucher every %d octets does not keep a window of %d", o.Step, o.WindowOctets)
	}
	return o, nil
}

// Meter is a usage.Sink for the gateway and a link.Core for the towers.
type Meter struct {
	Options
	self  proof.OperatorKey
	store *store

	mu       sync.Mutex
	accounts map[proof.TowerKey]*account
	segments map[segmentKey]*segment  // not yet final
	done     map[segmentKey]time.Time // final, and until when that is remembered
	tickets  map[proof.TicketID]*ticket
	loose    map[segmentKey]*loose // records nobody can be charged for
	excused  map[Reason]Counts     // loose records that have closed, summed up
	links    map[proof.TowerKey]*joined
	services map[usage.Terms]Counts // what counts, by service
	changed  dirt
	stop     chan struct{} // closed when Serve ends
	joins    sync.WaitGroup
	stopped  bool
}

// New opens the store and takes up what is in it. The caller ends with Close,
// after Serve has returned.
func New(o Options) (*Meter, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	m := &Meter{
		Options: o, self: o.Operator.Public(), accounts: map[proof.TowerKey]*account{}, segments: map[segmentKey]*segment{}, done: map[segmentKey]time.Time{},
		tickets: map[proof.TicketID]*ticket{}, loose: map[segmentKey]*loose{}, excused: map[Reason]Counts{},
		services: map[usage.Terms]Counts{}, links: map[proof.TowerKey]*joined{}, changed: newDirt(), stop: make(chan struct{}),
	}
	if m.store, err = openStore(o.Path, o.ChainID, m.self); err != nil {
		return nil, err
	}
	if err := m.store.load(m); err != nil {
		m.store.close()
		return nil, err
	}
	return m, nil
}

// Serve signs vouchers in time until ctx ends, then ends the towers' links,
// waits for them and stores what is not stored. It is called once.
func (m *Meter) Serve(ctx context.Context) error {
	tick := time.NewTicker(m.Every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := m.round(time.Now()); err != nil {
				m.Logger.Error("meter", "err", err)
			}
		case <-ctx.Done():
			m.mu.Lock()
			m.stopped = true
			close(m.stop)
			m.mu.Unlock()
			m.joins.Wait()
			return m.round(time.Now())
		}
	}
}

// Sign signs now what is due, before the time of the next voucher: towers that
// are joined get it.
func (m *Meter) Sign() error { return m.round(time.Now()) }

// Close stores what is not stored and closes the store.
func (m *Meter) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return errors.Join(m.flush(), m.store.close())
}

// round finishes segments whose time has come and signs what has risen.
func (m *Meter) round(now time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, a := range m.accounts {
		m.finish(a, now)
		m.sign(a, now)
		m.prunePools(a, now, silence)
		a.atOnce = 0
	}
	m.prune(now)
	err := m.flush()
	for _, j := range m.links { // the ledger may have changed a channel
		j.poke()
	}
	return err
}
