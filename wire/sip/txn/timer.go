package txn

import "time"

// timer is what a transaction waits for: to send again, and to end. Times are
// since the endpoint's start; 0 is never.
type timer struct {
	again time.Duration
	gap   time.Duration // until the next but one
	end   time.Duration
	at    time.Duration // the earlier of again and end, while in the heap
	index int           // in the heap, from 1; 0: not in it
	of    transaction
}

// transaction is what has a timer. Its methods are called with the endpoint locked.
type transaction interface {
	repeat(now time.Duration, fx *effects)
	expire(now time.Duration, fx *effects)
}

// schedule is a heap of timers, the earliest first.
type schedule []*timer

// set puts t where its times want it. It reports whether t is the first now.
func (h *schedule) set(t *timer) bool {
	t.at = t.end
	if t.again != 0 && (t.at == 0 || t.again < t.at) {
		t.at = t.again
	}
	switch {
	case t.at == 0:
		h.remove(t)
		return false
	case t.index == 0:
		*h = append(*h, t)
		t.index = len(*h)
	}
	h.down(h.up(t.index - 1))
	return t.index == 1
}

// stop is set without times.
func (h *schedule) stop(t *timer) {
	t.again, t.end = 0, 0
	h.remove(t)
}

func (h *schedule) remove(t *timer) {
	if t.index == 0 {
		return
	}
	i, last := t.index-1, len(*h)-1
	h.swap(i, last)
	(*h)[last] = nil
	*h = (*h)[:last]
	t.index = 0
	if i < last {
		h.down(h.up(i))
	}
}

func (h schedule) swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i+1, j+1
}

func (h schedule) up(i int) int {
	for i > 0 && h[i].at < h[(i-1)/2].at {
		h.swap(i, (i-1)/2)
		i = (i - 1) / 2
	}
	return i
}

func (h schedule) down(i int) {
	for {
		least := i
		for c := 2*i + 1; c <= 2*i+2 && c < len(h); c++ {
			if h[c].at < h[least].at {
				least = c
			}
		}
		if least == i {
			return
		}
		h.swap(i, least)
		i = least
	}
}

// keepTime fires timers until the endpoint closes.
func (e *Endpoint) keepTime() {
	alarm := time.NewTimer(0)
	defer alarm.Stop()
	var fx effects
	for {
		select {
		case <-e.closing:
			return
		case <-e.sooner:
		case <-alarm.C:
		}
		e.mu.Lock()
		now := e.now()
		for n := 0; len(e.timers) > 0 && e.timers[0].at <= now && n < 256; n++ {
			e.fire(e.timers[0], now, &fx)
		}
		next := time.Hour
		if len(e.timers) > 0 {
			next = max(e.timers[0].at-now, 0)
		}
		e.alarm = now + next
		e.mu.Unlock()
		alarm.Reset(next)
		e.perform(&fx)
	}
}

// fire does what t is due for, and puts it back with what is next.
func (e *Endpoint) fire(t *timer, now time.Duration, fx *effects) {
	if t.end != 0 && t.end <= now {
		t.again, t.end = 0, 0
		t.of.expire(now, fx)
	} else {
		t.again = 0
		t.of.repeat(now, fx)
	}
	e.timers.set(t)
}

// arm puts t into the schedule and wakes whoever waits for a later one.
func (e *Endpoint) arm(t *timer) {
	if !e.timers.set(t) || t.at >= e.alarm {
		return
	}
	e.alarm = t.at
	select {
	case e.sooner <- struct{}{}:
	default:
	}
}
