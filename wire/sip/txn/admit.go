package txn

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

// door decides who may bring a request at all: those that are trusted or known
// always, strangers by a bucket of tokens each. The buckets are a fixed number
// under a keyed hash, so that forged senders cost no memory; two strangers share
// one with little probability.
type door struct {
	trusted []netip.Prefix
	rate    float64 // tokens a second
	burst   float64
	seed    maphash.Seed

	mu      sync.Mutex
	buckets []bucket
	replies bucket
	limit   float64 // of replies to strangers, a second
	known   map[acquaintance]time.Time
	swept   int // how many were known after the last sweep
}

const buckets = 1 << 16

type bucket struct {
	tokens float64
	at     time.Duration
}

// acquaintance is an address for UDP, a connection for others.
type acquaintance struct {
	remote netip.AddrPort
	conn   uint64
}

func newDoor(a Admission) door {
	return door{trusted: a.Trusted, rate: float64(a.Rate), burst: float64(a.Burst), seed: maphash.MakeSeed(),
		buckets: make([]bucket, buckets), limit: float64(a.Replies), known: make(map[acquaintance]time.Time)}
}

// take takes a token, of those that came since the last time with the rest.
func (b *bucket) take(now time.Duration, rate, burst float64) bool {
	if b.at == 0 {
		b.tokens = burst
	} else {
		b.tokens = min(burst, b.tokens+(now-b.at).Seconds()*rate)
	}
	b.at = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// familiar reports whether a sender is trusted or known.
func (d *door) familiar(remote netip.AddrPort, conn uint64) bool {
	for _, p := range d.trusted {
		if p.Contains(remote.Addr()) {
			return true
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.known) == 0 {
		return false
	}
	a := acquaintance{remote, conn}
	until, ok := d.known[a]
	if ok && time.Now().After(until) {
		delete(d.known, a)
		return false
	}
	return ok
}

// admit takes a stranger's token. Of IPv6, a /64 is one stranger.
func (d *door) admit(from netip.Addr, now time.Duration) bool {
	b := from.As16()
	n := 16
	if from.Is6() {
		n = 8
	}
	i := maphash.Bytes(d.seed, b[:n]) % buckets
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.buckets[i].take(now, d.rate, d.burst)
}

// reply takes a token of the answers that strangers together may cause.
func (d *door) reply(now time.Duration) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.replies.take(now, d.limit, d.limit)
}

func (d *door) know(f Flow, until time.Time) {
	a := acquaintance{f.Remote, f.Conn}
	now := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	if !until.After(now) {
		delete(d.known, a)
		return
	}
	d.known[a] = until
	if len(d.known) > 2*d.swept+1024 {
		for a, until := range d.known {
			if now.After(until) {
				delete(d.known, a)
			}
		}
		d.swept = len(d.known)
	}
}
