package mme

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/internal/sctp"
	"campanile.network/internal/verify"
	"campanile.network/wire/proof"
)

// errFull says that one of the bounds in Options is reached.
var errFull = errors.New("mme: too many phones")

// errStopping says that the MME ends.
var errStopping = errors.New("mme: stopping")

// MME is one mobility management entity. Make it with New, run it with Serve.
type MME struct {
	o        Options
	operator proof.OperatorKey
	log      *slog.Logger
	known    *registry
	keeper   *keeper // nil without Options.Store
	untidy   []*ue   // what an earlier run has left undone
	legs     *legTable
	count    counters
	busy     *load
	misses   misses        // path switches that named what they must not
	numbers  atomic.Uint64 // of phones given
	homes    verify.Keys   // that sign tickets

	// The three ends of the MME: nothing new is begun, phones' goroutines end,
	// all of them have ended.
	leaving, ctx, quiet context.Context
	leave, cancel, hush context.CancelFunc
	phones              sync.WaitGroup // goroutines of phones and paging

	port         uint16        // that eNBs come to
	slots        chan struct{} // one token for each association
	taking       sync.Mutex    // held by who takes an association in
	associations sync.WaitGroup
	unable       sync.Once // says that eNBs cannot be called back

	mu        sync.Mutex
	conf      Configuration
	enbs      map[*enb]bool // all associations
	newest    uint64        // of their numbers
	recalls   map[id.GlobalENBID]*recall
	notices   map[proof.TowerKey]string
	summoned  []summons // in the order in which they are due
	summoning bool      // summonAll runs
	serving   bool
	stopping  bool // no phone's goroutine starts any more
}

// New checks the options and makes an MME; nothing runs before Serve.
func New(o Options) (*MME, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	m := &MME{
		o: o, operator: proof.OperatorKey(o.Operator.Public()), log: o.Logger,
		known: newRegistry(o.MaxUEs, o.Rand), legs: newLegTable(o.MaxUEs), enbs: map[*enb]bool{}, notices: map[proof.TowerKey]string{},
		slots: make(chan struct{}, o.MaxENBs), recalls: map[id.GlobalENBID]*recall{},
	}
	m.count.procedures, m.count.begun, m.count.durations = map[Outcome]uint64{}, map[string]uint64{}, map[string]*Durations{}
	m.busy, m.conf = newLoad(o), Configuration{o.Name, o.Capacity, slices.Clone(o.Shared)}
	m.o.Home = timedHome{o.Home, m.busy}
	m.count.numbers = map[Outcome]uint16{}
	if o.Store != nil {
		m.keeper = newKeeper(m, timedStore{o.Store, m.busy})
		if err := m.load(); err != nil {
			return nil, err
		}
	}
	m.leaving, m.leave = context.WithCancel(context.Background())
	m.ctx, m.cancel = context.WithCancel(context.Background())
	m.quiet, m.hush = context.WithCancel(context.Background())
	if l, ok := o.Messages.(*LocalMessages); ok {
		return m, l.serve(m)
	}
	return m, nil
}

// Serve takes associations from l until ctx ends or l fails. Then procedures
// under way have two seconds to end, no other begins, and Serve shuts down every
// association with SCTP SHUTDOWN, so that eNBs set up S1 anew with whoever
// follows, and waits for everything it started. It closes l. An MME serves
// once. The error is nil after an end by ctx.
//
// An eNB whose association ends without its knowing is called back by the
// Dialer, from the port of l, for ten minutes at most: one that does not answer
// any more, and each that the Memory has when Serve begins, for then the MME
// before this one was killed.
func (m *MME) Serve(ctx context.Context, l sctp.Listener) error {
	m.mu.Lock()
	if m.serving {
		m.mu.Unlock()
		return errors.New("mme: Serve called twice")
	}
	m.serving = true
	m.mu.Unlock()

	kept := make(chan struct{})
	keep, stopKeeping := context.WithCancel(context.Background())
	go func() { defer close(kept); m.keeper.run(keep) }()
	defer func() { stopKeeping(); <-kept }()
	m.port = l.Addr().Port()
	m.spawn(m.sweep)
	m.spawn(m.watchLoad)
	m.spawn(m.tidy)
	m.recallAll()
	err := m.accept(ctx, l)
	l.Close()
	m.mu.Lock()
	m.stopping = true
	m.mu.Unlock()
	m.leave()
	late := time.AfterFunc(drainWait, m.cancel)
	m.phones.Wait()
	late.Stop()
	m.cancel()
	m.hush()
	m.associations.Wait()
	return err
}

// spawn starts a goroutine of a phone, which Serve waits for; false if the MME
// is stopping.
func (m *MME) spawn(f func()) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stopping {
		return false
	}
	m.phones.Go(f)
	return true
}

func (m *MME) accept(ctx context.Context, l sctp.Listener) error {
	for {
		a, err := l.Accept(ctx)
		if ctx.Err() != nil {
			if err == nil {
				a.Abort("MME is stopping")
			}
			return nil
		}
		if err != nil {
			return fmt.Errorf("mme: accepting an association: %w", err)
		}
		m.take(a, nil)
	}
}

// take serves an association in a goroutine, if there is room. called is the eNB
// that was called back by it, nil if the eNB has come.
func (m *MME) take(a sctp.Association, called *Peer) {
	m.taking.Lock()
	defer m.taking.Unlock()
	if len(m.slots) == cap(m.slots) && !m.makeRoom() {
		m.log.Warn("association refused", "remote", a.RemoteAddr(), "reason", "too many eNBs", "limit", m.o.MaxENBs)
		a.Abort("too many eNBs")
		return
	}
	m.slots <- struct{}{}
	m.mu.Lock()
	m.newest++
	e := newENB(m, a, m.newest, called)
	m.enbs[e] = true
	m.mu.Unlock()
	m.associations.Go(func() {
		e.serve()
		m.mu.Lock()
		delete(m.enbs, e)
		m.mu.Unlock()
		<-m.slots
	})
}

// makeRoom ends the association that has been without S1 Setup for longest; false
// if there is none.
func (m *MME) makeRoom() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	var oldest *enb
	for e := range m.enbs {
		if !e.up() && (oldest == nil || e.no < oldest.no) {
			oldest = e
		}
	}
	if oldest == nil {
		return false
	}
	oldest.log.Warn("association ended", "reason", "no S1 Setup, and another eNB needs the room")
	oldest.a.Abort("no S1 Setup")
	return true
}

// UEs gives every phone the MME knows, in no order.
func (m *MME) UEs() []UEInfo {
	all := m.known.all()
	out := make([]UEInfo, 0, len(all))
	for _, u := range all {
		i := u.show(nil)
		i.Number = m.numberOf(u)
		out = append(out, i)
	}
	return out
}

// ENBs gives every eNB with S1 Setup done, in no order.
func (m *MME) ENBs() []ENBInfo {
	all := m.legs.all()
	out := make([]ENBInfo, 0, len(all))
	for _, e := range all {
		out = append(out, e.show())
	}
	return out
}

// Notice takes what a tower says of its service, such as "vouchers lag 4.2 MB
// behind the tower's own count; window 4.0 MB". It stands in the ENBInfo of the
// tower and in the UEInfo of phones connected there, and stays with a phone
// until its next context setup. An empty text says that the tower serves.
func (m *MME) Notice(tower proof.TowerKey, text string) {
	m.mu.Lock()
	was := m.notices[tower]
	if text == "" {
		delete(m.notices, tower)
	} else {
		m.notices[tower] = text
	}
	m.mu.Unlock()
	if was == text {
		return
	}
	m.log.Info("tower notice", "tower", tower.Short(), "notice", text)
	for _, e := range m.legs.all() {
		if i := e.show(); i.Tower == tower {
			m.o.Events(ENBChanged{ENB: i, Up: true})
		}
	}
	for _, u := range m.known.all() {
		changed := false
		i := u.show(func(i *UEInfo) {
			if i.State == Connected && i.Tower == tower && i.Notice != text {
				i.Notice, changed = text, true
			}
		})
		if changed {
			m.o.Events(UEChanged{i})
		}
	}
}

// notice gives what a tower last said.
func (m *MME) notice(tower proof.TowerKey) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.notices[tower]
}
