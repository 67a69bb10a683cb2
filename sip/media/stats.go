package media

import "time"

// Drop is why a packet was not carried.
type Drop uint8

// Reasons.
const (
	Garbage     Drop = iota // is not RTP or RTCP of version 2, or cut short
	Stranger                // comes from where nothing is expected
	Unformatted             // its payload type was not agreed
	Forged                  // SRTP: fails authentication
	Replayed                // SRTP: was here before
	Unwanted                // the other leg takes nothing now, or not this format
	Late                    // came after what follows it was played
	Unsent                  // the kernel would not take it
	drops
)

var dropNames = [drops]string{"garbage", "stranger", "unformatted", "forged", "replayed", "unwanted", "late", "unsent"}

func (d Drop) String() string { return dropNames[d] }

// Count is what went one way.
type Count struct {
	Packets, Octets uint64 // octets of RTP, headers included
}

// LegStats is what is known of one leg since its session was opened.
type LegStats struct {
	In, Out    Count // from the peer, and to it
	RTCPIn     uint64
	RTCPOut    uint64
	Lost       int64         // packets from the peer that have not come (RFC 3550 §6.4.1; doubled ones make it smaller)
	OutOfOrder uint64        // of the packets that came
	Jitter     time.Duration // between arrivals (RFC 3550 §6.4.1)
	Carried    time.Duration // for how long packets came; gaps of more than a second are not in it
	LastIn     time.Time     // of the last packet from the peer
	Source     string        // where packets come from, "" while none came
	Dropped    [drops]uint64 // indexed by Drop
	Digits     uint64        // from the peer
}

// Stats is what is known of a relay since it was made.
type Stats struct {
	Sessions  int // open now
	FreePorts int // pairs
	In, Out   Count
	Dropped   [drops]uint64
	Throttled uint64 // times a leg was not read for it had sent more than Options.Rate
}
