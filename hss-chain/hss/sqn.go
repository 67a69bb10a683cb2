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
// refused. So after a restart it is enough to begin above the highest tick that
// can have been used, and that is the mark: it is on disk before any tick up to
// it is used.
const (
	markAhead = 600 // ticks: one write a minute at most
	lead      = 64  // ticks that a burst may run ahead of the clock
)

// maxBehind is how far the clock may lie behind the last block, or behind
// itself before a restart, and vectors still be issued: the clocks of
// validators differ a little, a box without a battery wakes in 1970.
const maxBehind = 10 * time.Second

// clock guards the tick. The HSS's mutex guards it.
type clock struct {
	mark  aka.Tick  // on disk: no tick above it was used
	seen  time.Time // on disk: a moment that was, to the second
	floor aka.Tick  // no tick below it is used: it is above all before the start
	used  aka.Tick  // the highest used since
}

func newClock(mark aka.Tick, seen time.Time) clock {
	c := clock{mark: mark, seen: seen}
	if mark > 0 {
		c.floor = mark + lead + 1
	}
	return c
}

// tick gives the moment when it may be trusted, and moves the mark on disk
// ahead of it.
func (h *HSS) tick() (aka.Tick, error) {
	const dateTime = time.DateTime + " MST"
	c, now := &h.clock, time.Now()
	if _, _, block := h.o.Registry.Head(); now.Before(block.Add(-maxBehind)) {
		return 0, refusal(home.Unavailable, "clock says %s, the last block was at %s", now.UTC().Format(dateTime), block.UTC().Format(dateTime))
	}
	if now.Before(c.seen.Add(-maxBehind)) {
		return 0, refusal(home.Unavailable, "clock says %s, but it was %s already", now.UTC().Format(dateTime), c.seen.UTC().Format(dateTime))
	}
	t := max(aka.TickAt(now), c.floor)
	if t > c.mark {
		if err := h.store.setMark(t+markAhead, now); err != nil {
			return 0, refusal(home.Unavailable, "store: %v", err)
		}
		c.mark, c.seen = t+markAhead, now
	}
	c.used = max(c.used, t)
	return t, nil
}

// nextSQN draws the subscriber's next number under one of this node's indices.
func (h *HSS) nextSQN(s *subscriber, ind uint8) (aka.SQN, error) {
	t, err := h.tick()
	if err != nil {
		return 0, err
	}
	seq, err := aka.NextSEQ(s.last, t, s.dif)
	if err != nil {
		return 0, refusal(home.Unavailable, "%v", err)
	}
	if int64(seq) > int64(t)+s.dif+lead {
		return 0, refusal(home.RateLimited, "sequence numbers run ahead of the clock")
	}
	sqn, err := aka.MakeSQN(seq, ind)
	if err != nil {
		return 0, refusal(home.Unavailable, "%v", err)
	}
	s.last = seq
	return sqn, nil
}

func refusal(c home.Code, format string, args ...any) *home.Error {
	return &home.Error{Code: c, Detail: fmt.Sprintf(format, args...)}
}
