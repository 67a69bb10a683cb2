package ledger

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/wire/proof"
)

// ErrGap is what Apply says to an update that does not follow the last one:
// the caller must resync from the chain's state.
var ErrGap = errors.New("update does not follow the last block known")

// Options for Open.
type Options struct {
	// Path is the bbolt file; empty keeps the model in memory only.
	Path string
}

// Model is the ledger as last committed. All methods may be called from any
// goroutine. Records it returns share memory with the model and must not be
// changed.
type Model struct {
	disk *disk // nil: memory only

	apply sync.Mutex // one Apply at a time, also while it writes to disk
	mu    sync.RWMutex
	state
	watchers map[*Watch]struct{}
}

type state struct {
	chainID     string
	height      int64
	time        time.Time
	operators   map[Account]Operator
	byKey       map[proof.OperatorKey]Account
	byRange     map[Range]Account
	subscribers map[id.SubscriberID]Subscriber
	towers      map[proof.TowerKey]Tower
	byENB       map[id.GlobalENBID]proof.TowerKey
	channels    map[uint64]Channel
	byPair      map[pair]uint64 // channels that are not closed
	claimables  map[Account]proof.Amount
}

type pair struct {
	payer Account
	tower proof.TowerKey
}

func newState() state {
	return state{
		operators:   map[Account]Operator{},
		byKey:       map[proof.OperatorKey]Account{},
		byRange:     map[Range]Account{},
		subscribers: map[id.SubscriberID]Subscriber{},
		towers:      map[proof.TowerKey]Tower{},
		byENB:       map[id.GlobalENBID]proof.TowerKey{},
		channels:    map[uint64]Channel{},
		byPair:      map[pair]uint64{},
		claimables:  map[Account]proof.Amount{},
	}
}

// Open reads the model from its file, or starts an empty one.
func Open(o Options) (*Model, error) {
	m := &Model{state: newState(), watchers: map[*Watch]struct{}{}}
	if o.Path == "" {
		return m, nil
	}
	d, err := openDisk(o.Path)
	if err != nil {
		return nil, err
	}
	u, err := d.load()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("ledger %s: %w", o.Path, err), d.close())
	}
	m.disk = d
	m.merge(u)
	return m, nil
}

// Close ends the watchers and closes the file.
func (m *Model) Close() error {
	m.apply.Lock()
	defer m.apply.Unlock()
	m.mu.Lock()
	for w := range m.watchers {
		w.end()
	}
	clear(m.watchers)
	m.mu.Unlock()
	if m.disk == nil {
		return nil
	}
	return m.disk.close()
}

// Apply takes the next block's update, or a resync. ErrGap leaves the model as
// it was. Any other error is the disk's: the model in memory is up to date, the
// file is left at an older block until the next resync.
func (m *Model) Apply(u Update) error {
	m.apply.Lock()
	defer m.apply.Unlock()
	if !u.Resync && (u.ChainID != m.chainID || u.Height != m.height+1) {
		return fmt.Errorf("%w: block %d of %q after block %d of %q", ErrGap, u.Height, u.ChainID, m.height, m.chainID)
	}
	m.mu.Lock()
	m.merge(u)
	for w := range m.watchers {
		w.add(u)
	}
	m.mu.Unlock()
	if m.disk == nil {
		return nil
	}
	return m.disk.save(u)
}

func (s *state) merge(u Update) {
	if u.Resync {
		*s = newState()
	}
	s.chainID, s.height, s.time = u.ChainID, u.Height, u.Time
	// Whoever gives up a key, range or cell does so before another takes it,
	// even inside one block.
	for _, o := range u.Operators {
		s.dropOperator(o.Account)
	}
	for _, o := range u.Operators {
		s.addOperator(o)
	}
	for _, v := range u.Subscribers {
		s.subscribers[v.ID] = v
	}
	for _, t := range u.Towers {
		delete(s.byENB, s.towers[t.Key].ENB)
	}
	for _, t := range u.Towers {
		s.towers[t.Key] = t
		s.byENB[t.ENB] = t.Key
	}
	for _, n := range u.GoneChannels {
		s.dropChannel(n)
	}
	for _, c := range u.Channels {
		s.dropChannel(c.ID)
		s.channels[c.ID] = c
		if c.State != ChannelClosed {
			s.byPair[pair{c.Payer, c.Tower}] = c.ID
		}
	}
	for _, c := range u.Claimables {
		s.claimables[c.Account] = c.Amount
		if c.Amount.IsZero() {
			delete(s.claimables, c.Account)
		}
	}
}

func (s *state) dropOperator(a Account) {
	old := s.operators[a]
	delete(s.byKey, old.Key)
	for _, r := range old.Ranges {
		delete(s.byRange, r)
	}
}

func (s *state) addOperator(o Operator) {
	s.operators[o.Account] = o
	s.byKey[o.Key] = o.Account
	for _, r := range o.Ranges {
		s.byRange[r] = o.Account
	}
}

func (s *state) dropChannel(n uint64) {
	old, ok := s.channels[n]
	if !ok {
		return
	}
	delete(s.channels, n)
	if p := (pair{old.Payer, old.Tower}); s.byPair[p] == n {
		delete(s.byPair, p)
	}
}

// Head is the last committed block known; height 0 is before the first.
func (m *Model) Head() (chainID string, height int64, at time.Time) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.chainID, m.height, m.time
}

// Operator finds an operator by account.
func (m *Model) Operator(a Account) (Operator, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	o, ok := m.operators[a]
	return o, ok
}

// OperatorByKey finds an operator by its present key.
func (m *Model) OperatorByKey(k proof.OperatorKey) (Operator, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	a, ok := m.byKey[k]
	return m.operators[a], ok
}

// Home finds the operator in whose ranges the IMSI lies.
func (m *Model) Home(imsi id.IMSI) (Operator, bool) {
	digits := imsi.Digits()
	m.mu.RLock()
	defer m.mu.RUnlock()
	for n := len(digits); n > 0; n-- {
		if a, ok := m.byRange[Range(digits[:n])]; ok {
			return m.operators[a], true
		}
	}
	return Operator{}, false
}

// Subscriber finds a subscriber by id.
func (m *Model) Subscriber(v id.SubscriberID) (Subscriber, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	s, ok := m.subscribers[v]
	return s, ok
}

// Tower finds a tower by key.
func (m *Model) Tower(k proof.TowerKey) (Tower, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	t, ok := m.towers[k]
	return t, ok
}

// TowerByENB finds a tower by its global eNB identity.
func (m *Model) TowerByENB(g id.GlobalENBID) (Tower, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	k, ok := m.byENB[g]
	return m.towers[k], ok
}

// Channel finds a channel by id.
func (m *Model) Channel(n uint64) (Channel, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	c, ok := m.channels[n]
	return c, ok
}

// ChannelBetween finds the channel, open or closing, in which the operator
// known by this key pays the tower.
func (m *Model) ChannelBetween(payer proof.OperatorKey, tower proof.TowerKey) (Channel, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	n, ok := m.byPair[pair{m.byKey[payer], tower}]
	return m.channels[n], ok
}

// Claimable is what the account has earned and not yet claimed.
func (m *Model) Claimable(a Account) proof.Amount {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.claimables[a]
}

// Operators lists all operators by account.
func (m *Model) Operators() []Operator {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return sorted(m.operators, func(a, b Operator) bool { return a.Account < b.Account })
}

// Towers lists all towers by key.
func (m *Model) Towers() []Tower {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return sorted(m.towers, func(a, b Tower) bool { return string(a.Key[:]) < string(b.Key[:]) })
}

// Channels lists all channels by id.
func (m *Model) Channels() []Channel {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return sorted(m.channels, func(a, b Channel) bool { return a.ID < b.ID })
}

// Subscribers lists one operator's subscribers by id. It walks all subscribers
// of the chain: for start-up and for people, not for each attach.
func (m *Model) Subscribers(of Account) []Subscriber {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var list []Subscriber
	for _, s := range m.subscribers {
		if s.Operator == of {
			list = append(list, s)
		}
	}
	slices.SortFunc(list, func(a, b Subscriber) int { return slices.Compare(a.ID[:], b.ID[:]) })
	return list
}

func sorted[K comparable, V any](m map[K]V, less func(a, b V) bool) []V {
	list := make([]V, 0, len(m))
	for _, v := range m {
		list = append(list, v)
	}
	slices.SortFunc(list, func(a, b V) int {
		if less(a, b) {
			return -1
		}
		return 1
	})
	return list
}
