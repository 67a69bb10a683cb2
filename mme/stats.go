package mme

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// drop is a reason for which something received is not acted on.
type drop int

const (
	dropPPID drop = iota
	dropSyntax
	dropBeforeSetup
	dropUnexpectedPDU
	dropUnknownUE
	dropForeignUE
	dropPairUE
	dropPathSwitch
	dropTooManyUEs
	dropInboxFull
	dropStaleLeg
	dropReset
	dropNASSyntax
	dropNASUnprotected
	dropNASMAC
	dropNASReplay
	dropNASNoContext
	dropNASHeader
	dropNASUnexpected
	dropDownlinkData
	dropSMS
	dropErrors
	dropCount
)

var dropNames = [dropCount]string{
	dropPPID:           "payload protocol is not S1AP",
	dropSyntax:         "S1AP syntax",
	dropBeforeSetup:    "before S1 Setup",
	dropUnexpectedPDU:  "S1AP message not expected",
	dropUnknownUE:      "unknown MME UE S1AP ID",
	dropForeignUE:      "UE of another eNB",
	dropPairUE:         "UE ids do not belong together",
	dropPathSwitch:     "path switch refused",
	dropTooManyUEs:     "too many phones",
	dropInboxFull:      "inbox of the phone full",
	dropStaleLeg:       "S1 connection already left",
	dropReset:          "S1 is being reset",
	dropNASSyntax:      "NAS syntax",
	dropNASUnprotected: "NAS message needs protection",
	dropNASMAC:         "NAS message authentication code",
	dropNASReplay:      "NAS replay",
	dropNASNoContext:   "NAS security context unknown",
	dropNASHeader:      "NAS security header",
	dropNASUnexpected:  "NAS message not expected",
	dropDownlinkData:   "downlink data for nobody",
	dropSMS:            "short message protocol",
	dropErrors:         "error indications to one eNB",
}

func (d drop) String() string { return dropNames[d] }

// Stats are the counters of an MME since it was made.
type Stats struct {
	ENBs       int // with S1 Setup done, now
	UEs        int // known, in any state, now
	Registered int // of these EMM-REGISTERED, idle or connected
	Connected  int // with an S1 connection, now

	Load  LoadStats
	Store StoreStats // zero without Options.Store

	// Procedures counts finished procedures by name and outcome, such as
	// "attach ok" and "attach EMM cause #8"; Outcomes has the two apart.
	Procedures map[string]uint64
	Outcomes   map[Outcome]uint64
	// Begun counts procedures from their beginning; some have not ended yet.
	Begun map[string]uint64
	// Took is how long procedures took that ended well, by name.
	Took map[string]Durations
	// Dropped counts what was not acted on, by reason; reasons that never
	// happened are absent.
	Dropped map[string]uint64
}

type counters struct {
	drops [dropCount]atomic.Uint64

	mu         sync.Mutex
	procedures map[Outcome]uint64
	begun      map[string]uint64
	durations  map[string]*Durations
	names      []Outcome // those in phones' histories, by number
	numbers    map[Outcome]uint16
}

// Outcome is a procedure and how it ended: Cause is what the phone was told, such
// as "EMM cause #15", or why it ended otherwise; empty is success.
type Outcome struct{ Procedure, Cause string }

func (c *counters) drop(d drop) { c.drops[d].Add(1) }

// maxOutcomes bounds the counters of outcomes: peers choose some of the results.
const maxOutcomes = 1024

func (c *counters) procedure(name, result string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	o := Outcome{name, result}
	if c.procedures[o] == 0 && len(c.procedures) >= maxOutcomes {
		o.Cause = "others"
	}
	c.procedures[o]++
}

// begins counts a procedure that begins.
func (c *counters) begins(name string) {
	c.mu.Lock()
	c.begun[name]++
	c.mu.Unlock()
}

// took notes how long a procedure took that ended well.
func (c *counters) took(name string, d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.durations[name]
	if h == nil {
		h = &Durations{Buckets: make([]uint64, len(DurationBounds))}
		c.durations[name] = h
	}
	h.Add(d)
}

// DurationBounds are the upper bounds of Durations' buckets.
var DurationBounds = []time.Duration{
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second, 30 * time.Second,
}

// Durations is a histogram: Buckets[i] of Count lasted at most DurationBounds[i]
// and longer than the bound before.
type Durations struct {
	Count   uint64
	Sum     time.Duration
	Buckets []uint64
}

// Add notes one duration.
func (h *Durations) Add(d time.Duration) {
	h.Count++
	h.Sum += d
	if i, _ := slices.BinarySearch(DurationBounds, d); i < len(h.Buckets) {
		h.Buckets[i]++
	}
}

// Stats returns a copy of the counters.
func (m *MME) Stats() Stats {
	s := Stats{Procedures: map[string]uint64{}, Dropped: map[string]uint64{}, Took: map[string]Durations{}}
	for i := range m.count.drops {
		if n := m.count.drops[i].Load(); n > 0 {
			s.Dropped[dropNames[i]] = n
		}
	}
	m.count.mu.Lock()
	for k, n := range m.count.procedures {
		if k.Cause == "" {
			k.Cause = "ok"
		}
		s.Procedures[fmt.Sprintf("%s %s", k.Procedure, k.Cause)] += n
	}
	s.Outcomes, s.Begun = maps.Clone(m.count.procedures), maps.Clone(m.count.begun)
	for name, h := range m.count.durations {
		s.Took[name] = Durations{h.Count, h.Sum, slices.Clone(h.Buckets)}
	}
	m.count.mu.Unlock()
	s.UEs, s.Registered = m.known.size()
	s.ENBs, s.Connected = m.legs.size()
	s.Load = m.busy.stats()
	for _, e := range m.legs.all() {
		if e.restrained() {
			s.Load.ENBs++
		}
	}
	if m.keeper != nil {
		s.Store = m.keeper.stats()
	}
	return s
}
