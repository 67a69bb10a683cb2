package hss

import (
	"fmt"
	"time"

	"campanile.network/3gpp/aka"
	"campanile.network/wire/home"
)

// Sequence numbers need no consensus and no write per vector: they follow the
// clock. SEQ = max(last+1, tick + DIF) (TS 33.102 §C.1.1.3), and last never
// runs more than lead ahead of tick + DIF, because a burst beyond that is
// refused. So after a restart it is enough to begin lead above the highest tick
// that can have been used, and that is the mark: it is on disk before any tick
// up to it is used.
const (
	markAhead = 600 // ticks: one write a minute at most
	lead      = 64  // ticks that a burst may run ahead of the clock
)

// maxBehind is how far the clock may lie behind the last block or the mark
// before no vector is issued: the clocks of validators differ a little, a box
// without a battery wakes in 1970.
const maxBehind = 10 * time.Second

// clock guards the tick. The HSS's mutex guards it.
type clock struct {
	mark    aka.Tick // on disk: no tick above it was used
	started aka.Tick // the mark found at start: everything up to it may have been used
}

func newClock(mark aka.Tick) clock { return clock{mark: mark, started: mark} }

// floor is the highest SEQ that may have been issued for a subscriber before
// this start.
func (c clock) floor(dif int64) uint64 {
	if v := int64(c.started) + dif + lead; c.started > 0 && v > 0 {
		return uint64(v)
	}
	return 0
}

// tick gives the moment when it may be trusted, and moves the mark on disk
// ahead of it.
func (h *HSS) tick() (aka.Tick, error) {
	now := time.Now()
	t := aka.TickAt(now)
	if _, _, block := h.o.Registry.Head(); now.Before(block.Add(-maxBehind)) {
		return 0, refusal(home.Unavailable, "clock says %s, the last block was at %s", now.UTC().Format(time.DateTime), block.UTC().Format(time.DateTime))
	}
	if last := h.clock.mark - markAhead; t < last-aka.Tick(maxBehind/(100*time.Millisecond)) {
		return 0, refusal(home.Unavailable, "clock says %s, but vectors were issued later than that", now.UTC().Format(time.DateTime))
	}
	if t > h.clock.mark {
		if err := h.store.setMark(t + markAhead); err != nil {
			return 0, refusal(home.Unavailable, "store: %v", err)
		}
		h.clock.mark = t + markAhead
	}
	return max(t, h.clock.started), nil
}

// nextSQN draws the subscriber's next number under this node's EPS index.
func (h *HSS) nextSQN(s *subscriber) (aka.SQN, error) {
	t, err := h.tick()
	if err != nil {
		return 0, err
	}
	seq, err := aka.NextSEQ(s.last, t, s.dif)
	if err != nil {
		return 0, refusal(home.Unavailable, "%v", err)
	}
	if limit := max(int64(t), int64(h.clock.started)+lead+1) + s.dif + lead; int64(seq) > limit {
		return 0, refusal(home.RateLimited, "sequence numbers run ahead of the clock")
	}
	sqn, err := aka.MakeSQN(seq, h.o.Slot)
	if err != nil {
		return 0, refusal(home.Unavailable, "%v", err)
	}
	s.last = seq
	return sqn, nil
}

func refusal(c home.Code, format string, args ...any) *home.Error {
	return &home.Error{Code: c, Detail: fmt.Sprintf(format, args...)}
}
