package metrics

import (
	"strconv"

	"campanile.network/mme/pool"
)

// pool is the MME's end of its pool. Members are labelled by their MME code.
func (o out) pool(s pool.Stats) {
	for _, m := range s.Members {
		code := strconv.Itoa(int(m.Code))
		o.gauge("pool_member_up", "1: the other MME of the pool is there and says what becomes of its phones.", bit(m.Up), "code", code)
		o.gauge("pool_member_copies", "Phones of the other MME that are kept here.", float64(m.Replicas), "code", code)
		o.gauge("pool_member_clock_ahead_seconds", "How far its clock is seen to be ahead of this one's; 0: not seen to be.", m.Ahead.Seconds(), "code", code)
	}
	o.gauge("pool_copies", "Phones of other MMEs that are kept here.", float64(s.Replicas))
	o.gauge("pool_copies_octets", "Octets of their records.", float64(s.Octets))
	o.gauge("pool_kept_changes", "Changes that are kept for other MMEs that lag.", float64(s.Kept))
	o.gauge("pool_kept_octets", "Octets of their records.", float64(s.KeptSize))
	o.counter("pool_received_changes", "Changes that other MMEs have said.", s.Received)
	o.counter("pool_refused_changes", "Changes of them that could not be read, or were too large.", s.Refused)
	o.counter("pool_evicted_copies", "Copies that made room for others: more phones than are kept.", s.Evicted)
	o.counter("pool_swept_copies", "Copies of phones that their MME had no more when it said all it has.", s.Swept)
	o.counter("pool_snapshots", "Times that another MME was told of all phones: it was new, or had lagged too far.", s.Snapshots)
	o.counter("pool_fetches", "Phones of other MMEs that came here, by whether the pool knew them.", s.Fetched, "result", "found")
	o.counter("pool_fetches", "Phones of other MMEs that came here, by whether the pool knew them.", s.Missed, "result", "unknown")
}
