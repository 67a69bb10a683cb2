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
	known   map[acquaintance]*friend
	swept   int // how many were known after the last sweep
}

const buckets = 1 << 16

// friend is who is known, until when, and a bucket of his own: what he brings beyond
// its rate is a stranger's, so that none who has registered crowds out the others.
type friend struct {
	until time.Time
	bucket
}

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
		buckets: make([]bucket, buckets), limit: float64(a.Replies), known: make(map[acquaintance]*friend)}
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

// familiar reports whether a sender is trusted, or known and within his rate.
func (d *door) familiar(remote netip.AddrPort, conn uint64, now time.Duration) bool {
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
	f := d.known[a]
	switch {
	case f == nil:
		return false
	case time.Now().After(f.until):
		delete(d.known, a)
		return false
	}
	return f.take(now, d.rate, d.burst)
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
	if f := d.known[a]; f != nil {
		f.until = until
		return
	}
	d.known[a] = &friend{until: until}
	if len(d.known) > 2*d.swept+1024 {
		for a, f := range d.known {
			if now.After(f.until) {
				delete(d.known, a)
			}
		}
		d.swept = len(d.known)
	}
}
