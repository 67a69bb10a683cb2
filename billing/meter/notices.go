package meter

import (
	"slices"
	"time"

	"campanile.network/wire/link"
)

// notices are what one tower has said, as it is stored: heard once each, in
// the tower's order.
type notices struct {
	Epoch  uint64
	Number uint64        // of the newest
	Total  uint64        // how many there have been
	Missed uint64        // how many did not fit into the tower's store while it was away
	Word   link.Notice   // whether it serves
	WordAt time.Time     // when that was heard
	Last   []link.Notice // the newest, oldest first
}

const (
	maxNotices      = 16 // are kept of a tower
	noticesPerRound = 32 // are stored at once; a tower that says more waits for the round
)

// hearNotice takes a notice that is not known yet. It is told and confirmed
// when it is stored.
func (m *Meter) hearNotice(a *account, n link.Notice, now time.Time) error {
	h := &a.hearing
	switch {
	case n.Number == 0 || n.Epoch == h.Epoch && n.Number <= h.Number:
		return nil
	case n.Epoch == h.Epoch:
		h.Missed += n.Number - h.Number - 1
	}
	h.Epoch, h.Number, h.Total = n.Epoch, n.Number, h.Total+1
	if n.Code != link.RadioChanged {
		h.Word, h.WordAt = n, now
	}
	h.Last = append(slices.Clone(h.Last[max(0, len(h.Last)-maxNotices+1):]), n)
	m.changed.notices[a] = true
	if a.atOnce >= noticesPerRound {
		return nil
	}
	a.atOnce++
	return m.flush()
}

// told says what was stored just now.
func (m *Meter) told(a *account) {
	was := a.notices
	a.notices = a.hearing
	for _, n := range a.notices.news(was.Total) {
		m.Logger.Info("tower says", "tower", a.tower.Short(), "code", n.Code, "text", n.Text, "at", n.At)
	}
	if missed := a.notices.Missed - was.Missed; missed > 0 {
		m.Logger.Warn("tower had more to say than it could keep", "tower", a.tower.Short(), "notices", missed)
	}
}

// news are those of the newest that came after so many.
func (n *notices) news(known uint64) []link.Notice {
	return n.Last[len(n.Last)-int(min(n.Total-min(n.Total, known), uint64(len(n.Last)))):]
}
