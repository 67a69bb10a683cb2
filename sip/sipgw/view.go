package sipgw

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"campanile.network/3gpp/id"
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

// Registrations gives at most max of all that is registered, in no order.
func (g *Gateway) Registrations(max int) (all []Registration) {
	now := g.o.Now()
	g.table.each(func(b *Binding) bool {
		if !b.Expires.After(now) {
			return true
		}
		r := Registration{IMSI: b.IMSI, MSISDN: b.MSISDN, Kind: b.Kind.String(), Transport: b.Flow.Transport, Remote: b.Flow.Remote.String(),
			TA: b.Phy.TA, RSSI: b.Phy.RSSI, Registered: b.Registered, Expires: b.Expires}
		if b.Station != nil {
			r.Station, r.Cell = b.Station.Name, b.Cell.String()
		}
		all = append(all, r)
		return len(all) < max
	})
	return all
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
		Unread: c.unread.Load(), Unsent: c.unsent.Load(), MessagesIn: c.in.Load(), MessagesOut: c.out.Load(), USSD: c.ussd.Load()}
	for k, n := range g.table.kinds() {
		s.Registered[Kind(k).String()] = n
	}
	delete(s.Registered, Kind(0).String())
	c.mu.Lock()
	defer c.mu.Unlock()
	s.Requests, s.Answers, s.Refusals, s.Refused = maps.Clone(c.methods), maps.Clone(c.statuses), maps.Clone(c.refusals), maps.Clone(c.messages)
	return s
}
