package relay

import (
	"time"

	"campanile.network/internal/sctp"
)

// Timers are SCTP's for S1AP. Heartbeats come often enough for the mapping of any NAT between
// (RFC 4787 §4.3 has two minutes, many homes' routers 30 s), and a neighbour that is silent for
// a minute is gone: a way to the core that breaks for less costs no phone its connection.
func Timers() sctp.Timers {
	return sctp.Timers{HBInterval: 5 * time.Second, MaxRetrans: 5}
}

// PoolTimers are SCTP's towards the core for a relay that has other MMEs to go to: one that is
// silent is given up in some 15 s: a heartbeat is due within 3 s, then there are 8 times 1.3 s
// at most, and once more if something is sent meanwhile. For a false alarm eight answers in a row
// have to be lost: where each way loses 5 % of its packets at random, about once in eight years.
func PoolTimers() sctp.Timers {
	return sctp.Timers{HBInterval: time.Second, RTOMax: 1300 * time.Millisecond, MaxRetrans: 7}
}
