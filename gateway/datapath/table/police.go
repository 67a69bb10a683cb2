package table

import (
	"sync/atomic"
	"time"
)

// Policer holds a rate by virtual scheduling (GCRA): one time, at which the
// packets let through so far would have passed at the rate. Nothing is
// truncated, so a rate is met exactly.
type Policer struct {
	tat  atomic.Uint64 // ticks
	cost atomic.Uint64 // ticks for an octet, times 1<<costShift; 0: no bound
}

const (
	// TicksPerNano is the resolution of virtual time: at 10 Gbit/s an octet is 51
	// ticks. The clock lasts nine years.
	TicksPerNano = 64
	costShift    = 16
	// MinRate, bit/s, is the smallest rate that is held; lower ones are held as it.
	MinRate = 1000
)

// Burst is how far a policed sender may be ahead: what it may send at once after
// a silence, besides one packet.
const Burst = 50 * time.Millisecond

// BurstTicks is Burst in the policer's time.
const BurstTicks = uint64(Burst) * TicksPerNano

// SetRate bounds octets to a rate in bit/s; 0 is no bound. Another rate begins
// anew.
func (p *Policer) SetRate(bits uint64) {
	var cost uint64
	if bits != 0 {
		cost = 8e9 * TicksPerNano << costShift / max(bits, MinRate)
	}
	if p.cost.Swap(cost) != cost {
		p.tat.Store(0)
	}
}

// Bounds says that there is a rate.
func (p *Policer) Bounds() bool { return p.cost.Load() != 0 }

// Pass lets n octets through if the rate allows at that time.
func (p *Policer) Pass(now, n uint64) bool {
	cost := p.cost.Load()
	if cost == 0 {
		return true
	}
	step := n * cost >> costShift
	for {
		tat := p.tat.Load()
		at := max(tat, now)
		if at-now > BurstTicks {
			return false
		}
		if p.tat.CompareAndSwap(tat, at+step) {
			return true
		}
	}
}

// Return takes back what Pass let through and was not sent.
func (p *Policer) Return(n uint64) {
	if cost := p.cost.Load(); cost != 0 {
		p.tat.Add(-(n * cost >> costShift))
	}
}

// Now is the policers' time: ticks of 1/64 ns of CLOCK_MONOTONIC.
func (t *Table) Now() uint64 {
	return (t.origin + uint64(time.Since(t.start))) * TicksPerNano
}
