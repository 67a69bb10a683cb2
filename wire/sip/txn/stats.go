package txn

import (
	"errors"
	"maps"
	"sync"
	"sync/atomic"

	"campanile.network/wire/sip"
)

// Stats are counts since Listen, but for those of what is now.
type Stats struct {
	Received, Sent  uint64            // messages
	Unsent          uint64            // messages that the transport did not take
	Requests        uint64            // given to the handler
	Retransmissions uint64            // messages that came again
	Repeated        uint64            // messages sent again by a timer
	Stray           uint64            // responses that belong to nothing
	Forks           uint64            // 2xx to an INVITE that another has won: ended
	Merged          uint64            // RFC 3261 §8.2.2.2
	Shed            uint64            // requests refused with 503
	Dropped         uint64            // requests and errors without an answer
	Timeouts        uint64            // client transactions without a final response
	Unanswered      uint64            // requests that the handler left without an answer
	Unacknowledged  uint64            // final answers to an INVITE whose ACK never came
	Malformed       map[string]uint64 // by the header field or place
	Transactions    int               // now
	Connections     int               // now
	Waiting         int               // requests in the queue, now
	Kept            int               // octets of answers kept for retransmissions, now
	KeptEarly       uint64            // answers forgotten before their timer
	Known           int               // senders that Know knows, now
}

type counters struct {
	received, sent, unsent, requests, retransmissions, repeated, stray, forks, merged,
	shed, dropped, timeouts, unanswered, unacknowledged atomic.Uint64
}

// broken counts malformed messages by what is wrong.
type broken struct {
	mu sync.Mutex
	n  map[string]uint64
}

// maxReasons bounds what messages make us remember of them.
const maxReasons = 64

func (b *broken) add(err error) {
	where := "stream"
	var wrong *sip.Error
	if errors.As(err, &wrong) {
		where = wrong.Where
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.n == nil {
		b.n = make(map[string]uint64)
	}
	if _, ok := b.n[where]; !ok && len(b.n) >= maxReasons {
		where = "other"
	}
	b.n[where]++
}

// Stats are the counts since Listen.
func (e *Endpoint) Stats() Stats {
	c := &e.count
	s := Stats{Received: c.received.Load(), Sent: c.sent.Load(), Unsent: c.unsent.Load(), Requests: c.requests.Load(),
		Retransmissions: c.retransmissions.Load(), Repeated: c.repeated.Load(), Stray: c.stray.Load(), Forks: c.forks.Load(),
		Merged: c.merged.Load(), Shed: c.shed.Load(), Dropped: c.dropped.Load(), Timeouts: c.timeouts.Load(),
		Unanswered: c.unanswered.Load(), Unacknowledged: c.unacknowledged.Load()}
	e.shaken.mu.Lock()
	s.Malformed = maps.Clone(e.shaken.n)
	e.shaken.mu.Unlock()
	e.door.mu.Lock()
	s.Known = len(e.door.known)
	e.door.mu.Unlock()
	e.mu.Lock()
	defer e.mu.Unlock()
	s.Transactions, s.Connections, s.Waiting = len(e.servers)+len(e.clients), len(e.streams.all), e.queue.n
	s.Kept, s.KeptEarly = int(e.kept.head-e.kept.tail), e.kept.early
	return s
}
