package mme

import (
	"math"
	"slices"
	"time"

	"campanile.network/3gpp/id"
)

// maxHistory is how many procedures of a phone are kept, of 24 octets each.
const maxHistory = 32

// maxWhy bounds what is kept of why a phone's last failure was, in octets.
const maxWhy = 200

// history is the last procedures of a phone, the oldest first, guarded by
// ue.infoMu. A phone that has done little takes little room.
type history struct {
	past []past
	why  string // of the newest failure
}

// past is a procedure that has ended.
type past struct {
	at   int64  // when, in ns since 1970
	took uint32 // in µs
	cell id.ECI
	what uint16 // of counters.names
	bad  bool   // the newest failure
}

// Past is a procedure of a phone that has ended.
type Past struct {
	Outcome
	At   time.Time // of its end
	Took time.Duration
	Cell id.ECI // where the phone was; 0: not known
	Why  string // of the newest failure, for people
}

// number gives the number of an outcome; of too many, that of others like it, and
// at last 0.
func (c *counters) number(o Outcome) uint16 {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, o := range []Outcome{o, {o.Procedure, "others"}} {
		if n, ok := c.numbers[o]; ok {
			return n
		}
		if len(c.names) < maxOutcomes {
			n := uint16(len(c.names))
			c.names, c.numbers[o] = append(c.names, o), n
			return n
		}
	}
	return 0
}

// done says that a procedure of a phone has ended: to who listens, to its history
// and to who counts how long it took.
func (m *MME) done(u *ue, d ProcedureDone) {
	if d.Err == "" {
		m.count.took(d.Procedure, d.Duration)
	}
	p := past{at: time.Now().UnixNano(), took: uint32(min(d.Duration.Microseconds(), math.MaxUint32)), cell: d.UE.Cell.ECI,
		what: m.count.number(Outcome{d.Procedure, d.Cause}), bad: d.Err != ""}
	u.infoMu.Lock()
	u.history.add(p, d.Err)
	u.infoMu.Unlock()
	m.tapDone(u, d)
	m.o.Events(d)
}

func (h *history) add(p past, why string) {
	if p.bad {
		for i := range h.past {
			h.past[i].bad = false
		}
		h.why = why[:min(len(why), maxWhy)]
	}
	if len(h.past) == maxHistory {
		copy(h.past, h.past[1:])
		h.past[maxHistory-1] = p
		return
	}
	h.past = append(h.past, p)
}

// inherit takes over what is known of the phone from before it attached anew. A
// phone's number and history are not its context's, but its own.
func (u *ue) inherit(former *ue) {
	former.infoMu.Lock()
	h, n := former.history, former.number
	former.infoMu.Unlock()
	u.infoMu.Lock()
	defer u.infoMu.Unlock()
	own := u.history
	u.history, u.number = history{past: slices.Clone(h.past), why: h.why}, n
	for _, p := range own.past {
		u.history.add(p, own.why)
	}
}

// historyOf gives the history of a phone, the newest first.
func (m *MME) historyOf(u *ue) []Past {
	u.infoMu.Lock()
	h := history{slices.Clone(u.history.past), u.history.why}
	u.infoMu.Unlock()
	out := make([]Past, 0, len(h.past))
	m.count.mu.Lock()
	defer m.count.mu.Unlock()
	for _, p := range slices.Backward(h.past) {
		v := Past{Outcome: m.count.names[p.what], At: time.Unix(0, p.at), Took: time.Duration(p.took) * time.Microsecond, Cell: p.cell}
		if p.bad {
			v.Why = h.why
		}
		out = append(out, v)
	}
	return out
}
