package smsc

import (
	"slices"
	"time"

	"campanile.network/internal/vault"
)

const (
	sweepEvery = time.Minute
	graveFor   = 10 * time.Minute // longer than a time stamp is ahead of the time
)

// sweep forgets what serves no purpose any more.
func (c *Centre) sweep() {
	now := time.Now()
	var writes []vault.Write
	c.mu.Lock()
	c.graves = slices.DeleteFunc(c.graves, func(g grave) bool {
		old := now.Sub(time.Unix(g.at, 0)).Abs() > graveFor
		if old {
			writes = append(writes, forget(kindMessage, string(g.key[:])))
		}
		return old
	})
	for of, k := range c.marks {
		if k.settled() && now.Sub(time.Unix(k.At, 0)).Abs() > c.o.Limits.RepeatWindow {
			delete(c.marks, of)
			writes = append(writes, forget(kindMark, of))
		}
	}
	for of, r := range c.rates {
		if r.full(now, c.o.Limits) {
			delete(c.rates, of)
		}
	}
	for name, b := range c.boxes {
		if len(b.queue) == 0 && b.coming == 0 && !b.running && time.Unix(b.stamp, 0).Add(graveFor).Before(now) {
			delete(c.boxes, name)
		}
	}
	c.mu.Unlock()
	if len(writes) == 0 {
		return
	}
	if err := c.store.Apply(c.disk, writes); err != nil {
		c.log.Error("old marks are not forgotten", "error", err)
	}
}

// bucket bounds what a sender sends.
type bucket struct {
	tokens float64
	at     time.Time
}

func (r *bucket) refill(now time.Time, l Limits) {
	r.tokens = min(float64(l.Burst), r.tokens+now.Sub(r.at).Minutes()*float64(l.PerSender))
	r.at = now
}

func (r *bucket) full(now time.Time, l Limits) bool {
	r.refill(now, l)
	return r.tokens >= float64(l.Burst)
}

// allow says whether a sender may send n messages more. The caller holds the lock.
func (c *Centre) allow(from boxID, n int) bool {
	now := time.Now()
	r := c.rates[from]
	if r == nil {
		r = &bucket{tokens: float64(c.o.Limits.Burst), at: now}
		c.rates[from] = r
	}
	r.refill(now, c.o.Limits)
	if r.tokens < float64(n) {
		return false
	}
	r.tokens -= float64(n)
	return true
}
