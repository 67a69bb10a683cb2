package console

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"
)

// Bounds of a snapshot and of how often one is made.
const (
	maxPhones     = 100
	maxTowers     = 100
	maxEvents     = 100
	maxVouchers   = 40 // of the events
	looksPerPoint = 2  // a second, at most
	heartbeat     = 15 * time.Second
)

// Snapshot is what /api/state answers and /api/events streams: the State, cut
// to what a page can show, and the plots.
type Snapshot struct {
	At time.Time `json:"at"`
	State
	Phones     []PhoneView `json:"phones"`      // at most 100, connected ones first to stay
	PhonesAll  int         `json:"phones_all"`  // before the cut
	PhonesHere int         `json:"phones_here"` // of all, connected
	TowersAll  int         `json:"towers_all"`
	Rates      Rates       `json:"rates"` // of all phones together
	CanClaim   bool        `json:"can_claim"`
	HasCalls   bool        `json:"has_calls"` // there is a page of calls
}

// PhoneView is a Phone with its plot. ID tells it from others with the same
// masked IMSI for as long as the server runs.
type PhoneView struct {
	ID uint64 `json:"id"`
	Phone
	Rates Rates `json:"rates"`
}

// hub looks at the State and hands snapshots to whoever listens.
type hub struct {
	state    func() State
	changed  <-chan struct{}
	canClaim bool
	hasCalls bool
	history  *history

	mu      sync.Mutex
	frame   []byte // newest snapshot as JSON
	clients map[*client]bool
	ready   chan struct{} // closed when there is a frame
}

// client is a listener's mailbox: it holds the newest frame it has not taken,
// never more.
type client struct{ mail chan []byte }

func newHub(state func() State, changed <-chan struct{}, canClaim bool) *hub {
	return &hub{state: state, changed: changed, canClaim: canClaim, history: newHistory(), clients: map[*client]bool{}, ready: make(chan struct{})}
}

// run looks once a second, and between seconds when told of a change.
func (h *hub) run(ctx context.Context) error {
	tick := time.NewTicker(everyPoint / looksPerPoint)
	defer tick.Stop()
	h.look(time.Now(), true)
	changed, told := h.changed, false
	for n := 1; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			point := n%looksPerPoint == 0
			n++
			if !point && !told {
				continue
			}
			h.look(time.Now(), point)
			changed, told = h.changed, false
		case _, ok := <-changed:
			changed, told = nil, true
			if !ok {
				h.changed = nil
			}
		}
	}
}

// look makes a snapshot and passes it on; a point of the plots when point.
func (h *hub) look(now time.Time, point bool) {
	st := h.state()
	if point {
		h.history.put(now, st.Phones)
	}
	frame, err := json.Marshal(h.snapshot(now, st))
	if err != nil {
		return // no type in State can fail to become JSON
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.frame == nil {
		close(h.ready)
	}
	h.frame = frame
	for c := range h.clients {
		select {
		case <-c.mail: // not taken: outdated now
		default:
		}
		c.mail <- frame
	}
}

func (h *hub) snapshot(now time.Time, st State) Snapshot {
	s := Snapshot{At: now.UTC(), State: st, PhonesAll: len(st.Phones), TowersAll: len(st.Towers), Rates: h.history.total.rates(), CanClaim: h.canClaim, HasCalls: h.hasCalls}
	s.State.Phones = nil
	s.Towers = orEmpty(st.Towers[:min(len(st.Towers), maxTowers)])
	s.Accounts, s.Unsettled, s.Network.S1AP, s.Network.Pool = orEmpty(st.Accounts), orEmpty(st.Unsettled), orEmpty(st.Network.S1AP), orEmpty(st.Network.Pool)
	s.Events = newest(st.Events)
	for i := range st.Phones {
		if st.Phones[i].State == "connected" {
			s.PhonesHere++
		}
	}
	s.Phones = make([]PhoneView, 0, min(len(st.Phones), maxPhones))
	for _, p := range cut(st.Phones) {
		p.Bearers = orEmpty(p.Bearers)
		s.Phones = append(s.Phones, PhoneView{h.history.id(&p), p, h.history.rates(&p)})
	}
	return s
}

// cut keeps the order and, of too many, the connected ones first.
func cut(all []Phone) []Phone {
	if len(all) <= maxPhones {
		return all
	}
	order := make([]int, len(all))
	for i := range order {
		order[i] = i
	}
	rank := map[string]int{"connected": 0, "attaching": 1, "idle": 2}
	of := func(i int) int {
		if r, ok := rank[all[i].State]; ok {
			return r
		}
		return len(rank)
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(of(a), of(b)) })
	order = order[:maxPhones]
	slices.Sort(order)
	out := make([]Phone, maxPhones)
	for i, j := range order {
		out[i] = all[j]
	}
	return out
}

// newest keeps the last events; of too many, vouchers go first, which come
// every few seconds and stand for all before them.
func newest(all []Event) []Event {
	out := make([]Event, 0, min(len(all), maxEvents))
	vouchers := 0
	for i := len(all) - 1; i >= 0 && len(out) < maxEvents; i-- {
		if all[i].Kind == "voucher" {
			if vouchers++; vouchers > maxVouchers {
				continue
			}
		}
		out = append(out, all[i])
	}
	slices.Reverse(out)
	return out
}

func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// latest waits for the first frame and returns the newest.
func (h *hub) latest(ctx context.Context) ([]byte, error) {
	select {
	case <-h.ready:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.frame, nil
}

// join adds a listener, whose mailbox has the newest frame at once; nil when
// there are too many.
func (h *hub) join() *client {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.clients) >= maxClients {
		return nil
	}
	c := &client{mail: make(chan []byte, 1)}
	if h.frame != nil {
		c.mail <- h.frame
	}
	h.clients[c] = true
	return c
}

func (h *hub) leave(c *client) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.clients, c)
}
