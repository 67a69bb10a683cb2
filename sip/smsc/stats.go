package smsc

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/sms"
)

// counts is what the centre counts, under its lock.
type counts struct {
	Submitted      map[string]uint64 // by what became of it: taken, a cause, or failed
	Repeated       uint64            // submissions that were repetitions
	Kept           uint64            // messages put on disk
	Attempts       map[string]uint64 // to deliver, by what came of it
	Finished       map[string]uint64 // messages, by outcome
	Alerts         uint64            // phones that announced themselves and for which something waited
	ReportsDropped uint64            // status reports for whom too much waits
}

func newCounts() counts {
	return counts{Submitted: map[string]uint64{}, Attempts: map[string]uint64{}, Finished: map[string]uint64{}}
}

// Stats is what the centre did since it was opened and what it holds.
type Stats struct {
	Submitted      map[string]uint64 // submissions: "taken", the RP cause they were refused with, or "failed"
	Repeated       uint64            // of them, repetitions of a sender that had got no answer
	Kept           uint64            // messages put on disk, parts and reports each for itself
	Attempts       map[string]uint64 // to deliver: "delivered by" a path, or why not
	Finished       map[string]uint64 // messages that are over, "delivered", "failed", or "given up" for a time
	Alerts         uint64            // phones that announced themselves when something waited for them
	ReportsDropped uint64            // status reports for senders for whom too much waits
	Waiting        int               // messages
	Boxes          int               // phones and numbers for which something waits
	Oldest         time.Duration     // how long the oldest message has waited
	Lost           int               // records of an earlier run that could not be read
	Failing        string            // why nothing can be written at present, or nothing
}

// Stats gives a copy.
func (c *Centre) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.count
	s := Stats{Submitted: maps.Clone(n.Submitted), Repeated: n.Repeated, Kept: n.Kept, Attempts: maps.Clone(n.Attempts), Finished: maps.Clone(n.Finished), Alerts: n.Alerts,
		ReportsDropped: n.ReportsDropped, Waiting: c.waiting, Lost: c.lost, Failing: c.store.Failing()}
	now := time.Now()
	for _, b := range c.boxes {
		if len(b.queue) > 0 {
			s.Boxes++
		}
		for _, m := range b.queue {
			s.Oldest = max(s.Oldest, now.Sub(time.Unix(m.Stamp, 0)))
		}
	}
	return s
}

// Waiting is a message that waits, without what it says. Numbers are masked.
type Waiting struct {
	From     string    `json:"from"`             // masked; "the network"
	To       string    `json:"to"`               // masked
	Report   bool      `json:"report,omitempty"` // it is a status report
	Accepted time.Time `json:"accepted"`
	Expires  time.Time `json:"expires"`
	Next     time.Time `json:"next,omitzero"`    // when its phone is tried, unless it announces itself before
	Failures int       `json:"failures"`         // attempts for this phone that failed, one after the other
	Memory   bool      `json:"memory,omitempty"` // the phone has said that it has no room

	seq uint64
}

// List gives up to limit messages that wait, oldest first.
func (c *Centre) List(limit int) []Waiting {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []Waiting
	for _, b := range c.boxes {
		for _, m := range b.queue {
			w := Waiting{From: "the network", To: masked(b.id), Report: m.IsReport, Accepted: time.Unix(m.Stamp, 0), Expires: time.Unix(m.Expires, 0),
				Next: b.retryAt, Failures: b.failures, Memory: b.memory, seq: m.Seq}
			if m.From != "" {
				w.From = masked(m.From)
			}
			if due := time.Unix(m.NotBefore, 0); due.After(w.Next) && m.NotBefore != 0 {
				w.Next = due
			}
			all = append(all, w)
		}
	}
	slices.SortFunc(all, func(a, b Waiting) int { return cmp.Compare(a.seq, b.seq) })
	return all[:min(limit, len(all))]
}

// masked is whose box it is, for people.
func masked(b boxID) string {
	if imsi, ours := b.imsi(); ours {
		return imsi.String()
	}
	if b == "" {
		return ""
	}
	if n, err := id.ParseMSISDN(string(b[1:])); err == nil {
		return n.String()
	}
	return ""
}

// noteTaken counts a submission, and says that it was refused.
func (c *Centre) noteTaken(from Sender, no *Refused, err error) {
	word := "taken"
	switch {
	case no != nil:
		word = no.Cause.String()
		c.log.Info("short message refused", "from", from.IMSI, "cause", word, "why", no.Why)
	case err != nil:
		word = "failed"
		if !errors.Is(err, errClosed) {
			c.log.Warn("short message not taken", "from", from.IMSI, "error", err)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count.Submitted[word]++
}

func (c *Centre) noteRepeat() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count.Repeated++
}

// finishedAs is a status in statistics: what a group of TP-Status means for the
// message (TS 23.040 §9.2.3.15).
func finishedAs(s sms.Status) string {
	switch s.Outcome() {
	case sms.Completed:
		return "delivered"
	case sms.Failed:
		return "failed"
	}
	return "given up"
}
