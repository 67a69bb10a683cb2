package ledger

import (
	"context"
	"errors"
	"slices"
	"sync"

	"campanile.network/3gpp/id"
	"campanile.network/wire/proof"
)

// ErrClosed is what Next says once the watch or its model is closed.
var ErrClosed = errors.New("ledger watch closed")

// Watch collects what has changed since it was last asked. A slow reader loses
// nothing: updates it has not fetched are merged, the newest record winning.
type Watch struct {
	model *Model
	ready chan struct{} // holds one token while pending is set
	done  chan struct{}
	once  sync.Once

	mu      sync.Mutex
	pending *Update
}

// Watch starts collecting now: the first Next gives what comes after.
func (m *Model) Watch() *Watch {
	w := &Watch{model: m, ready: make(chan struct{}, 1), done: make(chan struct{})}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.watchers[w] = struct{}{}
	return w
}

// Next waits for the next change, empty blocks included, and returns all since
// the last call as one Update. It fails with the context's error or ErrClosed.
func (w *Watch) Next(ctx context.Context) (Update, error) {
	select {
	case <-w.ready:
		w.mu.Lock()
		defer w.mu.Unlock()
		u := *w.pending
		w.pending = nil
		return u, nil
	case <-ctx.Done():
		return Update{}, ctx.Err()
	case <-w.done:
		return Update{}, ErrClosed
	}
}

// Close ends the watch.
func (w *Watch) Close() {
	w.model.mu.Lock()
	delete(w.model.watchers, w)
	w.model.mu.Unlock()
	w.end()
}

func (w *Watch) end() { w.once.Do(func() { close(w.done) }) }

func (w *Watch) add(u Update) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.pending == nil || u.Resync {
		w.pending = &u
	} else {
		join(w.pending, u)
	}
	select {
	case w.ready <- struct{}{}:
	default:
	}
}

// join adds a later update to an earlier one.
func join(p *Update, u Update) {
	p.ChainID, p.Height, p.Time = u.ChainID, u.Height, u.Time
	p.Operators = upsert(p.Operators, u.Operators, func(o Operator) Account { return o.Account })
	p.Subscribers = upsert(p.Subscribers, u.Subscribers, func(s Subscriber) id.SubscriberID { return s.ID })
	p.Towers = upsert(p.Towers, u.Towers, func(t Tower) proof.TowerKey { return t.Key })
	p.Channels = slices.DeleteFunc(slices.Clone(p.Channels), func(c Channel) bool { return slices.Contains(u.GoneChannels, c.ID) })
	p.Channels = upsert(p.Channels, u.Channels, func(c Channel) uint64 { return c.ID })
	p.Claimables = upsert(p.Claimables, u.Claimables, func(c Claimable) Account { return c.Account })
	p.GoneChannels = upsert(p.GoneChannels, u.GoneChannels, func(n uint64) uint64 { return n })
}

// upsert returns old with the records of next put in place of those with the
// same key, or behind them. It never writes into old's memory, which other
// watchers share.
func upsert[K comparable, V any](old, next []V, key func(V) K) []V {
	if len(next) == 0 {
		return old
	}
	at := make(map[K]int, len(old)+len(next))
	list := make([]V, len(old), len(old)+len(next))
	copy(list, old)
	for i, v := range list {
		at[key(v)] = i
	}
	for _, v := range next {
		if i, ok := at[key(v)]; ok {
			list[i] = v
			continue
		}
		at[key(v)] = len(list)
		list = append(list, v)
	}
	return list
}
