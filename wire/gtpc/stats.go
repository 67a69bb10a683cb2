package gtpc

import (
	"context"
	"log/slog"
	"net/netip"
	"sync/atomic"
)

type counter = atomic.Uint64

// Drop is a reason for which a datagram had no effect.
type Drop uint8

// The reasons.
const (
	DropShort             Drop = iota // shorter than its header
	DropVersion                       // not GTPv2
	DropLength                        // length field does not fit
	DropMalformed                     // information elements do not parse
	DropUnknownType                   // no message type of S11
	DropVersionIndication             // a peer does not know GTPv2
	DropRepeated                      // a copy of a request already answered
	DropUnanswered                    // the handler had no answer for a request
	DropUnasked                       // a response nobody waits for
	DropPeers                         // too many peers to supervise one more
	DropStranger                      // Options.Accept does not know the sender
	DropSend                          // the socket refused to send
	dropReasons
)

func (d Drop) String() string {
	return [...]string{"short", "version", "length", "malformed", "unknown-type", "version-indication",
		"repeated", "unanswered", "unasked", "peers", "stranger", "send"}[d]
}

// Stats are counts since the endpoint was made.
type Stats struct {
	Received, Sent, Retransmitted uint64 // datagrams
	Dropped                       map[Drop]uint64
}

// Stats reads the counters.
func (e *Endpoint) Stats() Stats {
	s := Stats{e.got.Load(), e.sent.Load(), e.again.Load(), make(map[Drop]uint64)}
	for i := range e.drops {
		if n := e.drops[i].Load(); n > 0 {
			s.Dropped[Drop(i)] = n
		}
	}
	return s
}

func (e *Endpoint) drop(d Drop, peer netip.AddrPort, err error) {
	e.drops[d].Add(1)
	e.log.LogAttrs(context.Background(), slog.LevelDebug, "gtpc: dropped", slog.String("reason", d.String()), slog.Any("peer", peer), slog.Any("error", err))
}
