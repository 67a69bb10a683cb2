package calls

import (
	"errors"
	"fmt"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/sip/media"
	"campanile.network/wire/sip"
	"campanile.network/wire/sip/txn"
)

// asked does what a peer asks for within the dialog.
func (c *call) asked(l *leg, s *txn.Server) error {
	m := s.Request
	moved, ok := c.mayAsk(l, s)
	if !ok {
		c.w.count(&c.w.stats.strange)
		c.w.reply(s, 481)
		return nil
	}
	if m.Method == sip.MethodAck {
		return nil
	}
	if m.CSeq.Seq <= l.peerSeq && moved == nil {
		c.w.reply(s, 500)
		return nil
	}
	l.peerSeq = m.CSeq.Seq
	status := 200
	switch m.Method {
	case sip.MethodBye:
		return c.hungUp(l, s)
	case sip.MethodInvite:
		return c.reinvited(l, s, moved)
	case sip.MethodUpdate:
		return c.updated(l, s)
	case sip.MethodInfo:
		status = c.info(l, m)
	case sip.MethodOptions:
	default:
		status = 405
	}
	c.status(l, s, status)
	return nil
}

// status answers with a status and what belongs to it.
func (c *call) status(l *leg, s *txn.Server, status int) {
	r := l.respond(s.Request, status)
	for _, h := range refusalHeaders[status] {
		r.Add(h.Name, h.Value)
	}
	if s.Request.Method == sip.MethodInfo && status == 415 {
		r.Set("Accept", dtmfRelay+", "+dtmfPlain)
	}
	c.w.answer(s, r)
}

// mayAsk says whether a request is the leg's peer's: the tags must fit, and it
// must come the way that the leg has come, or one that its subscriber has
// registered. What a phone's leg asks must come from its station; only an INVITE
// may come from another one that is trusted and names the same IMSI: that is a
// handover, and moved says whereto.
func (c *call) mayAsk(l *leg, s *txn.Server) (moved *Party, ok bool) {
	m := s.Request
	if l.peerTag != "" && m.From.Tag() != l.peerTag {
		return nil, false
	}
	if l.party.Access == AccessGSM {
		p, trusted := c.w.o.Registry.Station(s)
		switch {
		case !trusted:
			return nil, false
		case m.Method == sip.MethodInvite && l.established && sameSubscriber(l, &p, m) &&
			(p.Station != l.party.Station || p.Cell != l.party.Cell):
			return &p, true
		}
		return nil, p.Station == l.party.Station
	}
	from := s.From
	switch {
	case from == l.way.Flow || from.Remote.Addr() == l.way.Flow.Remote.Addr() && from.Transport == l.way.Flow.Transport:
		return nil, true
	case l.party.Access == AccessTrunk:
		return nil, l.trunk != nil && c.w.trunkOf(from) == l.trunk
	}
	return nil, c.w.o.Registry.Owns(l.party.IMSI, from)
}

// sameSubscriber says whether a station's INVITE speaks of the leg's phone.
func sameSubscriber(l *leg, p *Party, m *sip.Message) bool {
	if l.party.IMSI.IsZero() {
		return false
	}
	if !p.IMSI.IsZero() {
		return p.IMSI == l.party.IMSI
	}
	rest, ok := cutFold(m.From.URI.User, "IMSI")
	imsi, err := id.ParseIMSI(rest)
	return ok && err == nil && imsi == l.party.IMSI
}

// hungUp is a BYE.
func (c *call) hungUp(l *leg, s *txn.Server) error {
	if !l.established && l.side == 1 {
		c.w.reply(s, 481)
		return nil
	}
	c.w.reply(s, 200)
	l.gone = true
	cause := reasonCause(s.Request.Values("Reason"))
	if cause == 0 {
		cause = CauseNormal
	}
	return &ended{why: "hung up", status: 487, cause: cause, by: l.side}
}

// reinvited is an INVITE within the dialog: a peer holds or resumes, changes its
// formats or address, refreshes its session timer, or has moved to another cell.
// It is answered from what the gateway has: the other side is asked only where
// its formats do not fit, and told afterwards when it is put on hold.
func (c *call) reinvited(l *leg, s *txn.Server, moved *Party) error {
	other := c.legs[1-l.side]
	switch {
	case !l.established || other == nil || !other.established || l.serving != nil:
		r := l.respond(s.Request, 500) // the one before has no ACK yet (RFC 3261 §14.2)
		r.Set("Retry-After", "2")
		c.w.answer(s, r)
		return nil
	case l.inviting != nil:
		c.w.reply(s, 491)
		return nil
	}
	if err := l.timer.asked(s.Request); err != nil {
		var e *ended
		errors.As(err, &e)
		c.status(l, s, e.status)
		return nil
	}
	if moved != nil {
		if err := c.move(l, *moved, s); err != nil {
			c.w.reply(s, 403)
			return nil
		}
	}
	held := l.speech.held
	body, err := c.redescribed(l, other, s.Request)
	if err != nil {
		return c.unchanged(l, s, err)
	}
	l.adopt(s.Request)
	r := l.respond(s.Request, 200)
	r.ContentType, r.Body = sdpType, body
	l.timer.agree(r)
	l.accepts(s, r)
	c.timers(l)
	if held != l.speech.held {
		c.hold(other, l.speech.held)
	}
	return nil
}

// unchanged answers an offer that cannot be agreed to: the call goes on as it was,
// unless it ended meanwhile.
func (c *call) unchanged(l *leg, s *txn.Server, err error) error {
	var over *ended
	if errors.As(err, &over) {
		c.status(l, s, 487)
		return over
	}
	r := l.respond(s.Request, 488)
	r.Add("Warning", fmt.Sprintf("304 %s %q", c.w.o.Realm, err.Error()))
	c.w.answer(s, r)
	return nil
}

// redescribed gives our description for a re-INVITE: the answer to its offer, or
// an offer where it has none.
func (c *call) redescribed(l, other *leg, m *sip.Message) ([]byte, error) {
	if len(m.Body) == 0 {
		return l.speech.said, nil
	}
	if !isSDP(m.ContentType) {
		return nil, errDescription
	}
	body, err := c.reply2(l, other, m.Body)
	if !errors.Is(err, media.ErrFormats) || !other.offers || other.inviting != nil || other.serving != nil {
		return body, err
	}
	if err := c.reoffer(l, other, m.Body); err != nil {
		return nil, err
	}
	return c.reply2(l, other, m.Body)
}

// move puts a leg to the station and cell where its phone is now. What was
// spoken until this instant belongs to the cell it has left.
func (c *call) move(l *leg, to Party, s *txn.Server) error {
	now := time.Now()
	c.count(l, now) // while it is still there
	l.unmeter()
	p, err := c.w.o.Registry.Moved(l.party.IMSI, to, s)
	if err != nil {
		c.meter(l)
		return err
	}
	p.IMSI, p.Number = l.party.IMSI, l.party.Number
	l.party, l.way = p, txn.To(s.From)
	c.meter(l)
	side := c.side(l.side)
	side.Station = p.Station
	side.Stays = append(side.Stays, Spoken{Cell: p.Cell, Since: now})
	c.w.count(&c.w.stats.handovers)
	c.w.o.Logger.Info("call handed over", "call", c.record.ID, "imsi", l.party.IMSI, "station", p.Station)
	c.show()
	return nil
}

// updated is an UPDATE (RFC 3311): a refresh, or an offer that is answered at once.
func (c *call) updated(l *leg, s *txn.Server) error {
	m := s.Request
	other := c.legs[1-l.side]
	if len(m.Body) > 0 && (!l.established || other == nil || !other.established || l.serving != nil) {
		r := l.respond(m, 500)
		r.Set("Retry-After", "2")
		c.w.answer(s, r)
		return nil
	}
	if len(m.Body) > 0 && l.inviting != nil {
		c.w.reply(s, 491)
		return nil
	}
	if err := l.timer.asked(m); err != nil {
		var e *ended
		errors.As(err, &e)
		c.status(l, s, e.status)
		return nil
	}
	held := l.speech.held
	r := l.respond(m, 200)
	if len(m.Body) > 0 {
		body, err := c.redescribed(l, other, m)
		if err != nil {
			return c.unchanged(l, s, err)
		}
		r.ContentType, r.Body = sdpType, body
	}
	l.adopt(m)
	l.timer.agree(r)
	c.w.answer(s, r)
	if l.established {
		c.timers(l)
	}
	if held != l.speech.held && other != nil {
		c.hold(other, l.speech.held)
	}
	return nil
}
