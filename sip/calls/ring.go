package calls

import (
	"slices"
	"time"

	"campanile.network/wire/sip"
	"campanile.network/wire/sip/txn"
)

// patience is how long a way may say nothing at all before the next is tried.
const patience = 6 * time.Second

// ring tries the ways one after the other until somebody answers. It gives the
// INVITE that was answered and the answer; the others have been taken back.
func (c *call) ring(ways []way) (won *sent, answer *sip.Message, err error) {
	for i, w := range ways {
		if w.trunk != nil && !w.trunk.take(c.record.Emergency) {
			if err == nil {
				err = refuse(503, "trunk is full")
			}
			continue
		}
		won, answer, err = c.attempt(w, i+1 < len(ways))
		if w.trunk != nil {
			if err != nil {
				w.trunk.give()
			} else {
				c.record.Called.Trunk = w.trunk.o.Name
				c.holds = append(c.holds, w.trunk.give)
			}
			w.trunk.told(err)
		}
		if err == nil || w.trunk == nil || !passing(err) {
			return won, answer, err
		}
	}
	return nil, nil, err
}

// passing says that another trunk may do better: this one was silent, or failed
// by itself (RFC 3261 §21.5). What a person has said is an answer.
func passing(err error) bool {
	e, ok := err.(*ended)
	return ok && e.by != 0 && (e.status == 408 || e.status >= 500 && e.status < 600) && e.why != gatewayStops
}

// attempt rings at all places of a way together. more says that there is another
// way, so that this one is not waited for when it says nothing.
func (c *call) attempt(w way, more bool) (*sent, *sip.Message, error) {
	out := c.inviteAll(w)
	c.alarmIn(alarmAnswer, c.w.o.Policy.NoAnswer)
	if more {
		c.alarmIn(alarmPatience, patience)
	}
	defer c.alarmIn(alarmAnswer, 0)
	defer c.alarmIn(alarmPatience, 0)
	var best *ended
	for {
		e := c.next()
		t := e.sent
		switch {
		case e.kind == ofAlarm && (e.alarm == alarmAnswer || e.alarm == alarmPatience):
			if err := c.waited(e.alarm, out); err != nil {
				return nil, nil, err
			}
		case t == nil || !slices.Contains(out, t) || t.abandoned || t.request.Method != sip.MethodInvite:
			if err := c.interrupt(e); err != nil {
				return nil, nil, err
			}
		case e.answer != nil && e.answer.Status < 200:
			c.progress(t, e.answer, len(w.to) == 1)
		case e.answer != nil && e.answer.Status < 300:
			t.leg.inviting, t.won = nil, true
			c.abandonAll(out, 26) // answered elsewhere
			return t, e.answer, nil
		case c.again(t, e.answer):
		default:
			t.abandoned = true // it has ended by itself
			c.w.forget(t.leg)
			best = better(best, failure(t, e.answer))
			if best.status >= 600 || !slices.ContainsFunc(out, func(t *sent) bool { return !t.abandoned }) {
				c.abandonAll(out, best.cause)
				return nil, nil, best
			}
		}
	}
}

// inviteAll sends the INVITEs of a way.
func (c *call) inviteAll(w way) (out []*sent) {
	for _, p := range w.to {
		l := c.place(w, p)
		c.offerTo(l)
		c.w.enter(l)
		t := &sent{leg: l, request: c.invitation(l)}
		out = append(out, t)
		c.branches = append(c.branches, t)
		t.start(targets(w.trunk, p)...)
	}
	return out
}

// waited is what becomes of a way that has rung for long, or said nothing.
func (c *call) waited(what alarm, out []*sent) error {
	switch {
	case what == alarmAnswer:
		c.abandonAll(out, CauseNoAnswer)
		return &ended{why: "no answer", status: 480, cause: CauseNoAnswer, by: nobody}
	case !slices.ContainsFunc(out, func(t *sent) bool { return t.client.Heard() }):
		c.abandonAll(out, CauseNoAnswer)
		return refuse(408, "way is silent")
	}
	return nil
}

// targets are where an INVITE goes: a trunk may have several.
func targets(t *trunk, p Party) []txn.Target {
	if t != nil {
		return t.where()
	}
	return []txn.Target{p.Target}
}

func (c *call) abandonAll(out []*sent, cause Cause) {
	for _, t := range out {
		if !t.abandoned && !t.won {
			c.abandon(t, cause)
		}
	}
}

// again sends an INVITE once more where its refusal says how it would be taken:
// with credentials, a longer session timer, or without SRTP.
func (c *call) again(t *sent, r *sip.Message) bool {
	if r == nil {
		return false
	}
	l := t.leg
	var more *sip.Header
	switch {
	case (r.Status == 401 || r.Status == 407) && l.trunk != nil && !t.tried:
		t.tried = true
		if more = l.trunk.credentials(r, t.request); more == nil {
			return false
		}
	case r.Status == 422 && l.timer.refused(r):
	case (r.Status == 488 || r.Status == 606 || r.Status == 415) && l.speech.plain(c.w.o.Policy.InsistSRTP):
	default:
		return false
	}
	m := c.invitation(l)
	if more != nil {
		m.Add(more.Name, more.Value)
	}
	t.request = m
	t.start(targets(l.trunk, l.party)...)
	return true
}

// progress passes on that it rings. What is spoken before the answer (RFC 3960
// §3.1) is passed on where one place rings, and not where several do.
func (c *call) progress(t *sent, m *sip.Message, alone bool) {
	if m.Status == 100 {
		return
	}
	r := c.legs[0].respond(c.invite.Request, m.Status)
	if alone && len(m.Body) > 0 && isSDP(m.ContentType) && len(c.invite.Request.Body) > 0 && !c.early {
		_, err := c.join(t.leg, m.Body)
		c.early = err == nil
	}
	if c.early {
		r.ContentType, r.Body = sdpType, c.legs[0].speech.said
	}
	c.w.answer(c.invite, r)
}

// failure is what the refusal of a place means for the caller.
func failure(t *sent, r *sip.Message) *ended {
	if r == nil {
		if t.leg.party.Access == AccessGSM {
			return &ended{why: "station is silent", status: 480, cause: CauseOutOfOrder, by: nobody}
		}
		return refuse(408, "way is silent")
	}
	e := &ended{why: "refused", status: r.Status, cause: reasonCause(r.Values("Reason")), by: 1}
	if e.cause == 0 {
		e.cause = CauseOf(r.Status)
	}
	switch {
	case r.Status == 486 || r.Status == 600:
		e.why = "busy"
	case r.Status == 603:
		e.why = "declined"
	case r.Status >= 300 && r.Status < 400: // nobody is sent elsewhere at the caller's cost
		e.status, e.cause = 480, CauseMoved
	case r.Status == 401 || r.Status == 407: // a trunk does not know us: that is ours to mend
		e.why, e.status, e.cause = "trunk refuses our name", 500, CauseFailure
	case r.Status == 408:
		e.status = 480
	case r.Status == 503: // means this place, not this gateway (RFC 3261 §16.7)
		e.status = 500
	}
	return e
}

// better chooses what the caller is told when several places refuse (RFC 3261
// §16.7): what a person decided before what a machine could not.
func better(a, b *ended) *ended {
	rank := func(e *ended) int {
		switch {
		case e.status >= 600:
			return 5
		case e.status == 486:
			return 4
		case e.status == 480 || e.status == 408:
			return 2
		case e.status < 500:
			return 3
		}
		return 1
	}
	if a == nil || rank(b) > rank(a) {
		return b
	}
	return a
}
