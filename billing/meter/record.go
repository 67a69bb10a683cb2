package meter

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"time"

	"campanile.network/wire/proof"
	"campanile.network/wire/usage"
)

// Reason says why something is not charged to anybody.
type Reason string

// The reasons.
const (
	NoTicket      Reason = "no ticket"
	BadTicket     Reason = "ticket is not believed"
	UnknownNode   Reason = "ticket's signer is no node of its home"
	OtherOperator Reason = "ticket is another operator's"
	NoSegment     Reason = "no segment"
	BadSegment    Reason = "segment is not believed"
	OtherTicket   Reason = "segment is of another ticket"
	UnknownTower  Reason = "segment's tower is not registered"
	OutOfTime     Reason = "segment began outside its ticket's time"
	Expired       Reason = "ticket has expired"
	OverCap       Reason = "ticket is used up"
)

// segmentKey names one segment in one session: a hash over all of it.
type segmentKey [16]byte

func keyOf(r *usage.Record) segmentKey {
	h := sha256.New()
	var b [12]byte
	binary.BigEndian.PutUint64(b[:], r.Session)
	binary.BigEndian.PutUint32(b[8:], uint32(len(r.Ticket)))
	h.Write(b[:])
	h.Write(r.Ticket)
	h.Write(r.Segment)
	return segmentKey(h.Sum(nil))
}

// loose is a record that nobody can be charged for.
type loose struct {
	Count  Counts
	Reason Reason
	At     time.Time
}

// skew is by how much the clocks of home, MME and gateway may differ.
const skew = 30 * time.Second

// Report implements usage.Sink: when it returns nil the records are stored.
func (m *Meter) Report(_ context.Context, records []usage.Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stopped {
		return errors.New("meter: stopped")
	}
	now := time.Now()
	touched := map[*account]bool{} // true when a segment has closed
	for i := range records {
		if a, closed := m.record(&records[i]); a != nil {
			touched[a] = touched[a] || closed
		}
	}
	for a, closed := range touched {
		m.finish(a, now)
		if closed || a.lag().Bytes >= m.Step {
			m.sign(a, now)
		}
	}
	return m.flush()
}

// record takes one record. It gives the account whose count may have risen,
// and whether the segment has just closed.
func (m *Meter) record(r *usage.Record) (a *account, closed bool) {
	k := keyOf(r)
	if _, final := m.done[k]; final {
		return nil, false
	}
	s := m.segments[k]
	if s == nil {
		t, sg, reason := m.judge(r)
		if reason != "" {
			m.loosen(k, r, reason)
			return nil, false
		}
		m.settleLoose(k)
		if m.tickets[t.ID] == nil {
			m.tickets[t.ID] = &ticket{Cap: t.Cap, NotAfter: t.NotAfter}
			m.changed.tickets[t.ID] = true
		}
		s = &segment{k, m.account(sg.Tower), segmentState{Session: r.Session, Ticket: t.ID, No: sg.No, TEID: r.TEID, Start: sg.Start}}
		m.add(s)
	}
	a = s.account
	grown := counted(r).less(s.Gateway)
	s.Gateway = s.Gateway.plus(grown)
	a.Gateway = a.Gateway.plus(grown)
	m.changed.segments[s] = true
	m.changed.accounts[a] = true
	if r.Closed && s.Closed.IsZero() {
		s.Closed, closed = time.Now(), true
	}
	expired := r.At.After(m.tickets[s.Ticket].NotAfter.Add(skew))
	s.serve(r, grown, !expired)
	if expired {
		if grown != (Counts{}) {
			m.excuse(Expired, grown)
		}
		return a, closed
	}
	s.Valid = s.Valid.plus(grown)
	m.count(s, Counts{UL: grown.UL, VoiceMs: grown.VoiceMs, Messages: grown.Messages})
	m.share(a, s.TEID)
	return a, closed
}

// counted is what a record says.
func counted(r *usage.Record) Counts {
	return Counts{UL: r.UL, DL: r.DL, VoiceMs: uint64(max(0, r.Voice.Milliseconds())), Messages: r.Messages}
}

// judge says whether what a record says may be charged, and if not, why.
func (m *Meter) judge(r *usage.Record) (t proof.Ticket, s proof.Segment, _ Reason) {
	if len(r.Ticket) == 0 {
		return t, s, NoTicket
	}
	t, err := proof.OpenTicket(m.ChainID, r.Ticket)
	switch {
	case err != nil:
		m.Logger.Debug("ticket refused", "session", r.Session, "err", err)
		return t, s, BadTicket
	case !m.Ledger.HomeNode(t.Home, t.Node):
		return t, s, UnknownNode
	case t.Serving != m.self:
		return t, s, OtherOperator
	case len(r.Segment) == 0:
		return t, s, NoSegment
	}
	s, err = proof.OpenSegment(m.ChainID, m.self, r.Segment)
	switch {
	case err != nil:
		m.Logger.Debug("segment refused", "session", r.Session, "err", err)
		return t, s, BadSegment
	case s.Ticket != t.ID:
		return t, s, OtherTicket
	case !m.Ledger.Tower(s.Tower):
		return t, s, UnknownTower
	case s.Start.Before(t.NotBefore.Add(-skew)) || !s.Start.Before(t.NotAfter.Add(skew)):
		return t, s, OutOfTime
	}
	return t, s, ""
}

// maxLoose bounds the records kept one by one that nobody is charged for.
const maxLoose = 65536

// loosen puts a record on the record.
func (m *Meter) loosen(k segmentKey, r *usage.Record, why Reason) {
	l := m.loose[k]
	if l == nil {
		if counted(r) == (Counts{}) || len(m.loose) >= maxLoose {
			return
		}
		l = &loose{}
		m.loose[k] = l
		m.Logger.Warn("not charged", "session", r.Session, "teid", r.TEID, "reason", string(why))
	}
	l.Count, l.Reason, l.At = l.Count.plus(counted(r).less(l.Count)), why, r.At
	m.changed.loose[k] = true
	if r.Closed {
		m.excuse(why, l.Count)
		delete(m.loose, k)
		m.bury(k, r.At)
	}
}

// settleLoose forgets that a record could not be charged: now it can.
func (m *Meter) settleLoose(k segmentKey) {
	if m.loose[k] != nil {
		delete(m.loose, k)
		m.changed.loose[k] = true
	}
}

func (m *Meter) excuse(why Reason, o Counts) {
	m.excused[why] = m.excused[why].plus(o)
	m.changed.excused[why] = true
}
