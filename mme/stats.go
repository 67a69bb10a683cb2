package mme

import (
	"fmt"
	"sync"
	"sync/atomic"
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
}

func (d drop) String() string { return dropNames[d] }

// Stats are the counters of an MME since it was made.
type Stats struct {
	ENBs       int // with S1 Setup done, now
	UEs        int // known, in any state, now
	Registered int // of these EMM-REGISTERED, idle or connected
	Connected  int // with an S1 connection, now

	Store StoreStats // zero without Options.Store

	// Procedures counts finished procedures by name and outcome, such as
	// "attach ok" and "attach EMM cause #8".
	Procedures map[string]uint64
	// Dropped counts what was not acted on, by reason; reasons that never
	// happened are absent.
	Dropped map[string]uint64
}

type counters struct {
	drops [dropCount]atomic.Uint64

	mu         sync.Mutex
	procedures map[outcome]uint64
}

// outcome is a procedure and how it ended; an empty result is success.
type outcome struct{ procedure, result string }

func (c *counters) drop(d drop) { c.drops[d].Add(1) }

// maxOutcomes bounds the counters of outcomes: peers choose some of the results.
const maxOutcomes = 1024

func (c *counters) procedure(name, result string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	o := outcome{name, result}
	if c.procedures[o] == 0 && len(c.procedures) >= maxOutcomes {
		o.result = "others"
	}
	c.procedures[o]++
}

// Stats returns a copy of the counters.
func (m *MME) Stats() Stats {
	s := Stats{Procedures: map[string]uint64{}, Dropped: map[string]uint64{}}
	for i := range m.count.drops {
		if n := m.count.drops[i].Load(); n > 0 {
			s.Dropped[dropNames[i]] = n
		}
	}
	m.count.mu.Lock()
	for k, n := range m.count.procedures {
		if k.result == "" {
			k.result = "ok"
		}
		s.Procedures[fmt.Sprintf("%s %s", k.procedure, k.result)] += n
	}
	m.count.mu.Unlock()
	s.UEs, s.Registered = m.known.size()
	s.ENBs, s.Connected = m.legs.size()
	if m.keeper != nil {
		s.Store = m.keeper.stats()
	}
	return s
}
