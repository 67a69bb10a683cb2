package sipgw

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/wire/proof"
	"campanile.network/wire/sip"
)

// Registration is a Binding as people see it: identities print masked.
type Registration struct {
	IMSI       id.IMSI
	MSISDN     id.MSISDN
	Kind       string
	Station    string // of a GSM phone
	Cell       string
	Transport  string
	Remote     string
	TA         int
	RSSI       float64
	Registered time.Time
	Expires    time.Time
}

// Registrations gives at most max of all that is registered, the newest first.
func (g *Gateway) Registrations(max int) (all []Registration) {
	now := g.o.Now()
	var live []*Binding
	g.table.each(func(b *Binding) bool {
		if b.Expires.After(now) {
			live = append(live, b)
		}
		return true
	})
	slices.SortFunc(live, func(a, b *Binding) int { return b.Registered.Compare(a.Registered) })
	for _, b := range live[:min(max, len(live))] {
		r := Registration{IMSI: b.IMSI, MSISDN: b.MSISDN, Kind: b.Kind.String(), Transport: b.Flow.Transport, Remote: b.Flow.Remote.String(),
			TA: b.Phy.TA, RSSI: b.Phy.RSSI, Registered: b.Registered, Expires: b.Expires}
		if b.Station != nil {
			r.Station, r.Cell = b.Station.Name, b.Cell.String()
		}
		all = append(all, r)
	}
	return all
}

// StationStatus is a station as people see it.
type StationStatus struct {
	Name   string
	Says   string // the program it is, as it says; "": it has not been heard
	Tower  proof.TowerKey
	Cells  []id.CGI
	Phones int       // registered there now
	Heard  time.Time // last; zero: never
}

// Stations tells of all stations, in their order.
func (g *Gateway) Stations() []StationStatus {
	phones := map[*Station]int{}
	now := g.o.Now()
	g.table.each(func(b *Binding) bool {
		if b.Station != nil && b.Expires.After(now) {
			phones[b.Station]++
		}
		return true
	})
	var all []StationStatus
	for i := range g.o.Stations {
		s := &g.o.Stations[i]
		st := StationStatus{Name: s.Name, Tower: s.Tower, Cells: s.Cells, Phones: phones[s]}
		if h := g.heard[i].Load(); h != nil {
			st.Says, st.Heard = h.says, h.at
		}
		all = append(all, st)
	}
	return all
}

// heard is when and as what a station was heard.
type heard struct {
	says string
	at   time.Time
}

// hear notes that a station has said something.
func (g *Gateway) hear(s *Station, m *sip.Message) {
	for i := range g.o.Stations {
		if &g.o.Stations[i] != s {
			continue
		}
		h := &heard{says: m.Get("User-Agent"), at: g.o.Now()}
		if last := g.heard[i].Load(); last != nil && h.says == "" {
			h.says = last.says
		}
		if len(h.says) > 60 {
			h.says = h.says[:60]
		}
		h.says = strings.Clone(h.says)
		g.heard[i].Store(h)
	}
}

// Stats are counts since New, but for what is now.
type Stats struct {
	Registered    map[string]int    // now, by kind
	Challenges    int               // open now
	Requests      map[string]uint64 // by method; "other" for those nobody knows
	Answers       map[int]uint64    // by status
	Refusals      map[string]uint64 // of registrations, by status and cause
	Registrations uint64            // that succeeded
	Ended         uint64            // that expired or were taken back
	Challenged    uint64
	Repeated      uint64            // answers to a challenge that came again
	Distrusted    uint64            // requests of strangers whose private header fields were taken away
	OtherCell     uint64            // requests of a station that named a cell of others
	Unread        uint64            // records of the store
	Unsent        uint64            // answers
	Uncounted     uint64            // messages that were counted at their cell and are not on disk yet
	Strangers     uint64            // phones that a station spoke for and that are not registered there
	MessagesIn    uint64            // short messages of phones that were taken
	MessagesOut   uint64            // that phones have taken
	Refused       map[string]uint64 // short messages, by direction and why
	USSD          uint64
}

type counters struct {
	registered, ended, challenges, repeated, distrusted, otherCell, unread, unsent atomic.Uint64
	in, out, ussd, strangers, uncounted                                            atomic.Uint64

	mu       sync.Mutex
	methods  map[string]uint64
	statuses map[int]uint64
	refusals map[string]uint64
	messages map[string]uint64
}

func (c *counters) request(m sip.Method) {
	name := string(m)
	if !m.Known() {
		name = "other"
	}
	c.add(&c.methods, name)
}

func (c *counters) add(m *map[string]uint64, name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if *m == nil {
		*m = map[string]uint64{}
	}
	(*m)[name]++
}

func (c *counters) status(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.statuses == nil {
		c.statuses = map[int]uint64{}
	}
	c.statuses[n]++
}

func (c *counters) refused(r *refusal) { c.add(&c.refusals, r.label()) }

// Stats gives the counts.
func (g *Gateway) Stats() Stats {
	c := &g.count
	s := Stats{Registered: map[string]int{}, Challenges: g.questions.open(), Registrations: c.registered.Load(), Ended: c.ended.Load(),
		Challenged: c.challenges.Load(), Repeated: c.repeated.Load(), Distrusted: c.distrusted.Load(), OtherCell: c.otherCell.Load(),
		Unread: c.unread.Load(), Unsent: c.unsent.Load(), MessagesIn: c.in.Load(), MessagesOut: c.out.Load(), USSD: c.ussd.Load(), Uncounted: c.uncounted.Load(), Strangers: c.strangers.Load()}
	for k, n := range g.table.kinds() {
		s.Registered[Kind(k).String()] = n
	}
	delete(s.Registered, Kind(0).String())
	c.mu.Lock()
	defer c.mu.Unlock()
	s.Requests, s.Answers, s.Refusals, s.Refused = maps.Clone(c.methods), maps.Clone(c.statuses), maps.Clone(c.refusals), maps.Clone(c.messages)
	return s
}
