package sctp

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"campanile.network/internal/sctp/sctptest"
)

// weather is a random network that changes, the same one for the same seed: loss, reordering, duplication, corruption and path MTU.
func weather(seed uint64) (sctptest.Conditions, Options) {
	r := rand.New(rand.NewPCG(seed, 9260))
	c := sctptest.Conditions{Delay: time.Duration(r.IntN(100)) * time.Millisecond}
	if r.IntN(2) == 0 {
		c.Jitter = time.Duration(1+r.IntN(100)) * time.Millisecond
	}
	c.Loss, c.Duplicate, c.Corrupt = r.Float64()*0.2, r.Float64()*0.2, r.Float64()*0.1
	if r.IntN(2) == 0 {
		c.MTU = 500 + r.IntN(1000)
	}
	o := Options{MTU: 1472, BaseMTU: 1200, ReceiveBuffer: 1 << (15 + r.IntN(4)), MaxMessage: 30000,
		Timers: Timers{RTOMax: 5 * time.Second, MaxRetrans: 60, MaxInitRetr: 60}}
	return c, o
}

// Whatever the network does, every message arrives once, whole, in the order of its stream, both ways at once; and all ends in peace with no byte
// left over. Every seed is another network, another window and another schedule.
func TestChaos(t *testing.T) {
	seeds := uint64(60)
	if testing.Short() {
		seeds = 10
	}
	for seed := range seeds {
		c, o := weather(seed)
		inBubble(fmt.Sprintf("seed=%d", seed), t, func(t *testing.T) {
			k := newLink(t, seed, o)
			k.net.SetConditions(c)
			done := make(chan error)
			go func() { done <- pump(k.x, k.y, 150, sizes(seed)) }()
			go func() { done <- pump(k.y, k.x, 150, sizes(seed+1)) }()
			for range 2 {
				if err := <-done; err != nil {
					t.Errorf("%+v: %v", c, err)
				}
			}
			checkInvariants(t, k.x)
			checkInvariants(t, k.y)
			k.net.SetConditions(sctptest.Conditions{Delay: c.Delay})
			k.close()
			if k.x.used != 0 || k.y.used != 0 || len(k.x.frags)+len(k.x.held)+len(k.y.frags)+len(k.y.held) != 0 {
				t.Errorf("left over: %d and %d bytes", k.x.used, k.y.used)
			}
			for _, e := range []*Userspace{k.a, k.b} {
				for _, why := range []drop{dropMalformed, dropTag, dropUnknownChunk, dropSack, dropFragment, dropBeyondWindow, dropCookieMAC} {
					if n := e.Stats().Dropped[dropNames[why]]; n != 0 && !(why == dropMalformed && c.Corrupt > 0) {
						t.Errorf("%d times %s between honest ends", n, dropNames[why])
					}
				}
			}
		})
	}
}
