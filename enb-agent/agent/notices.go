package agent

import (
	"fmt"
	"slices"
	"time"

	"campanile.network/wire/link"
)

// maxNotices bounds what is kept for a core that is away; the oldest go first.
const maxNotices = 256

// say changes the tower's word; a line that differs in figures only is not
// said again.
func (a *Agent) say(now time.Time, n link.Notice) {
	if n.Code == a.notice.Code && (n.Code != link.Serving || n.Text == a.notice.Text) {
		return
	}
	if n.Code == link.Serving {
		a.Logger.Info(n.Text, "tower", a.Tower.Short())
	} else {
		a.Logger.Warn("not serving: "+n.Text, "tower", a.Tower.Short())
	}
	a.keep(now, n)
}

// lookAtRadio has it said when the radio is otherwise than before.
func (a *Agent) lookAtRadio(now time.Time) {
	if a.Radio == nil {
		return
	}
	r, ok := a.Radio()
	if !ok {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.radio != nil && *a.radio == r {
		return
	}
	if a.radio == nil || a.radio.State != r.State || a.radio.LastError != r.LastError {
		n := link.Notice{Code: link.RadioChanged, Text: "radio: " + r.State}
		if r.LastError != "" && r.State != "running" {
			n.Text += ": " + r.LastError
		}
		if last := a.last(link.RadioChanged); last == nil || last.Text != n.Text {
			a.keep(now, n)
		}
	}
	a.radio = &r
	a.poke()
}

// keep numbers a notice and stores it until the core has. One that cannot be
// stored is said all the same.
func (a *Agent) keep(now time.Time, n link.Notice) {
	a.number++
	n.Epoch, n.Number, n.At = a.epoch, a.number, now.Truncate(time.Millisecond)
	if n.Code != link.RadioChanged {
		a.notice = n
	}
	a.spool = append(a.spool, n)
	var gone []uint64
	if len(a.spool) > maxNotices {
		gone = a.forget(1, func(link.Notice) bool { return true })
	}
	if err := a.store.notices([]link.Notice{n}, gone, a.number); err != nil {
		a.Logger.Error("agent", "err", err)
	}
	a.poke()
}

// forget takes at most so many notices out of the spool, oldest first, but
// never the last of a kind: it is said on every link, for a core that has lost
// its store.
func (a *Agent) forget(most int, which func(link.Notice) bool) (gone []uint64) {
	word, radio := a.last(link.Serving), a.last(link.RadioChanged)
	for _, n := range a.spool {
		if len(gone) < most && which(n) && (word == nil || n.Number != word.Number) && (radio == nil || n.Number != radio.Number) {
			gone = append(gone, n.Number)
		}
	}
	a.spool = slices.DeleteFunc(a.spool, func(n link.Notice) bool { return slices.Contains(gone, n.Number) })
	return gone
}

// last is the newest notice on the radio, or the newest on anything else.
func (a *Agent) last(kind link.NoticeCode) *link.Notice {
	for i := len(a.spool) - 1; i >= 0; i-- {
		if (a.spool[i].Code == link.RadioChanged) == (kind == link.RadioChanged) {
			return &a.spool[i]
		}
	}
	return nil
}

// heardTo forgets what the core has stored. A core that has stored more than
// was said knows a tower whose store was put back since: numbers go on after
// what it knows.
func (a *Agent) heardTo(h link.Heard) {
	if h.Epoch != a.epoch || h.Number >= 1<<63 {
		return
	}
	if h.Number > a.number {
		a.Logger.Warn("the core has heard notices this tower has not said: has an old store been put back?", "heard", h.Number, "said", a.number)
		a.number = h.Number
	}
	gone := a.forget(len(a.spool), func(n link.Notice) bool { return n.Number <= h.Number })
	if len(gone) == 0 {
		return
	}
	if err := a.store.notices(nil, gone, a.number); err != nil {
		a.Logger.Error("agent", "err", err)
	}
}

// recall takes up the notices of the run before.
func (a *Agent) recall(list []link.Notice) error {
	for _, n := range list {
		if n.Epoch != a.epoch {
			return fmt.Errorf("agent: store: notice %d of another epoch", n.Number)
		}
		a.number = max(a.number, n.Number)
		a.spool = append(a.spool, n)
		if n.Code != link.RadioChanged {
			a.notice = n
		}
	}
	return nil
}
