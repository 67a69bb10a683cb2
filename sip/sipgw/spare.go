package sipgw

import (
	"errors"
	"hash/maphash"
	"sync"
	"time"

	"campanile.network/wire/sip/txn"
)

// What strangers may ask of SIMs: a subscriber's home answers for few challenges of
// a card in a time, and so many of all cards, however they are asked for (package
// home). Anybody can ask for them in the name of an IMS phone. So that nobody keeps
// phones from the cells that way, strangers get less than what the home has.
const (
	spareEvery = 10 * time.Second // of one name, after
	spareFirst = 4                // at once; and
	spareAll   = 100              // a second of all names, after
	spareBurst = 400              // at once
)

// spare has the tokens: a fixed number of buckets under a keyed hash, so that
// made-up names cost no memory.
type spare struct {
	mu   sync.Mutex
	seed maphash.Seed
	by   [4096]spareBucket
	all  spareBucket
}

type spareBucket struct {
	spent float64
	at    time.Time
}

func newSpare() *spare { return &spare{seed: maphash.MakeSeed()} }

// take spends a token, of which there are so many a second and at once.
func (b *spareBucket) take(now time.Time, rate, burst float64) bool {
	b.spent, b.at = max(0, b.spent-now.Sub(b.at).Seconds()*rate), now
	if b.spent+1 > burst {
		return false
	}
	b.spent++
	return true
}

// take says whether a stranger may ask in this name once more. Nobody learns from
// it whether there is such a name.
func (s *spare) take(name string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.by[maphash.String(s.seed, name)%uint64(len(s.by))].take(now, 1/spareEvery.Seconds(), spareFirst) && s.all.take(now, spareAll, spareBurst)
}

var tooOften = &refusal{status: 504, reason: "Too Many Attempts", cause: Congestion, retry: spareEvery, why: errors.New("strangers ask for this SIM too often")}

// spared says whether a challenge of a SIM may be asked for: by a phone from where
// it is registered always, by others within bounds.
func (g *Gateway) spared(s *txn.Server, w who) bool {
	name := s.Request.From.URI.User
	if !w.decoy {
		name = w.imsi.Digits()
		for _, b := range g.Bindings(w.imsi) {
			if b.Kind == IMS && b.Flow.Remote == s.From.Remote {
				return true
			}
		}
	}
	return g.spare.take(name, g.o.Now())
}
