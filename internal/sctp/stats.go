package sctp

import "sync/atomic"

// drop is a reason for which something received is not acted on.
type drop int

const (
	dropMalformed drop = iota
	dropChecksum
	dropSource
	dropTag
	dropOutOfTheBlue
	dropNoListener
	dropBacklog
	dropCookieMAC
	dropCookieStale
	dropCookieTag
	dropInit
	dropState
	dropUnknownChunk
	dropSack
	dropSackOld
	dropDuplicate
	dropBeyondWindow
	dropNoBuffer
	dropMemory
	dropFragment
	dropSendError
	dropReadError
	dropNotice
	dropCount
)

var dropNames = [dropCount]string{
	dropMalformed:    "malformed packet",
	dropChecksum:     "wrong checksum",
	dropSource:       "source address not unicast",
	dropTag:          "wrong verification tag",
	dropOutOfTheBlue: "out of the blue",
	dropNoListener:   "no listener on port",
	dropBacklog:      "too many associations waiting or open",
	dropCookieMAC:    "cookie not ours",
	dropCookieStale:  "cookie stale",
	dropCookieTag:    "cookie does not fit packet or association",
	dropInit:         "bad INIT or INIT ACK",
	dropState:        "chunk not expected in this state",
	dropUnknownChunk: "unknown chunk type",
	dropSack:         "SACK out of range",
	dropSackOld:      "SACK overtaken by a later one",
	dropDuplicate:    "duplicate TSN",
	dropBeyondWindow: "TSN beyond window",
	dropNoBuffer:     "receive buffer full",
	dropMemory:       "endpoint's memory used up",
	dropFragment:     "inconsistent fragment or stream",
	dropSendError:    "socket refused a packet to send",
	dropReadError:    "socket error on reading",
	dropNotice:       "kernel notification not understood",
}

// Stats are an endpoint's counters since it was made. Packets, chunks and what became of them are the kernel's own business over the kernel's
// SCTP, where they stay 0. Every endpoint that Open makes has them: e.(interface{ Stats() Stats }).
type Stats struct {
	PacketsIn, PacketsOut         uint64
	ChunksRetransmitted           uint64 // DATA chunks sent again, T3 and fast
	FastRetransmits, T3Expiries   uint64
	BlackHoles                    uint64            // paths that stopped carrying large packets
	Notifications                 uint64            // of the kernel about its associations
	Associations                  int               // present now
	Established, Restarted, Ended uint64            // associations, since the start
	Dropped                       map[string]uint64 // by reason; reasons that never happened are absent
}

type counters struct {
	in, out, rtx, fast, t3      atomic.Uint64
	established, restart, ended atomic.Uint64
	blackHoles, notices         atomic.Uint64
	drops                       [dropCount]atomic.Uint64
}

func (c *counters) drop(d drop) { c.drops[d].Add(1) }

// Stats returns a copy of the counters.
func (e *Userspace) Stats() Stats {
	e.mu.RLock()
	n := len(e.assocs)
	e.mu.RUnlock()
	return e.count.stats(n)
}

func (c *counters) stats(associations int) Stats {
	s := Stats{Associations: associations, PacketsIn: c.in.Load(), PacketsOut: c.out.Load(), ChunksRetransmitted: c.rtx.Load(), FastRetransmits: c.fast.Load(),
		T3Expiries: c.t3.Load(), BlackHoles: c.blackHoles.Load(), Notifications: c.notices.Load(), Established: c.established.Load(), Restarted: c.restart.Load(), Ended: c.ended.Load(),
		Dropped: map[string]uint64{}}
	for i := range c.drops {
		if n := c.drops[i].Load(); n > 0 {
			s.Dropped[dropNames[i]] = n
		}
	}
	return s
}
