package calls

import (
	"errors"
	"time"

	"campanile.network/sip/media"
	"campanile.network/wire/sip"
	"campanile.network/wire/sip/txn"
)

// answer gives the caller what was answered, and begins the time that is counted.
func (c *call) answer(won *sent, m *sip.Message) error {
	b := won.leg
	b.adopt(m)
	if f := won.client.Flow(); f != (txn.Flow{}) {
		b.way = txn.To(f)
	}
	b.established = true
	b.acknowledge(won.client, m, nil)
	c.legs[1] = b
	c.record.Called = merge(c.record.Called, b.party.side())
	if len(m.Body) == 0 || !isSDP(m.ContentType) {
		return c.unjoined(errDescription)
	}
	body, err := c.join(b, m.Body)
	if err != nil {
		return c.unjoined(err)
	}
	b.timer.agreed(m)
	c.timers(b)
	a := c.legs[0]
	r := a.respond(c.invite.Request, 200)
	r.ContentType, r.Body = sdpType, body
	a.timer.agree(r)
	r.Add("Supported", "timer")
	c.record.Answer = time.Now()
	a.established = true
	a.accepts(c.invite, r)
	c.w.count(&c.w.stats.answered)
	c.alarmIn(alarmLength, c.w.o.Policy.MaxLength)
	c.timers(a)
	c.show()
	return nil
}

// accepts answers a peer's INVITE 2xx: its ACK comes as an event, or that none came.
func (l *leg) accepts(s *txn.Server, r *sip.Message) {
	l.serving = s
	s.OnAck(func(ack *sip.Message, err error) {
		e := event{kind: acked, leg: l, answer: ack}
		if err != nil || ack == nil {
			e = event{kind: unacked, leg: l}
		}
		if !l.call.inbox.put(e) {
			l.lastACK()
		}
	})
	l.call.w.answer(s, r)
}

// unjoined ends a call whose speech cannot be joined.
func (c *call) unjoined(err error) error {
	e := unheard(err.Error())
	if !errors.Is(err, media.ErrFormats) && !errors.Is(err, errDescription) {
		e = refuse(500, "no way for speech")
	}
	return e
}

// merge keeps what is known of who was called beside where he was found.
func merge(known, found Side) Side {
	if found.IMSI.IsZero() {
		found.IMSI = known.IMSI
	}
	if found.Number.IsZero() {
		found.Number = known.Number
	}
	found.Trunk = known.Trunk
	return found
}

// talk is a call between its answer and its end.
func (c *call) talk() error {
	for {
		e := c.next()
		if e.kind == acked && !c.talking && e.leg.side == 0 {
			if err := c.begins(e.answer); err != nil {
				return err
			}
			continue
		}
		if err := c.interrupt(e); err != nil {
			return err
		}
	}
}

// begins takes the caller's ACK: from now on voice is counted, from the answer on.
func (c *call) begins(ack *sip.Message) error {
	c.legs[0].serving = nil
	if len(c.invite.Request.Body) == 0 {
		if err := c.accept(c.legs[0], ack.Body); err != nil {
			return c.unjoined(err)
		}
	}
	c.talking = true
	if c.countFrom(c.record.Answer) {
		c.alarmIn(alarmCount, countEvery)
	}
	c.show()
	return nil
}

// countFrom begins to count what is spoken at cells, from then on.
func (c *call) countFrom(then time.Time) (any bool) {
	for _, l := range c.legs {
		if l.party.Access == AccessGSM {
			l.counted, any = then, true
			c.side(l.side).Stays[0].Since = then
			c.meter(l)
		}
	}
	return any
}

// unacknowledged counts what was spoken in an answered call whose caller has never
// sent an ACK: the way for speech is open, and he could speak half a minute for
// nothing, again and again. What is counted is what the relay has carried.
func (c *call) unacknowledged(now time.Time) {
	if c.talking || c.record.Answer.IsZero() {
		return
	}
	spoken := min(max(c.media.Leg(0).Stats().Carried, c.media.Leg(1).Stats().Carried), now.Sub(c.record.Answer))
	if spoken > 0 {
		c.countFrom(now.Add(-spoken))
	}
}

// alarm is what a time that has come does to a call.
func (c *call) alarm(what alarm) error {
	switch what {
	case alarmCount:
		c.settle(time.Now())
		c.alarmIn(alarmCount, countEvery)
		c.show()
	case alarmLength:
		return &ended{why: "call has been long enough", status: 500, cause: CauseTimer, by: nobody}
	case alarmRefresh0, alarmRefresh1:
		c.refresh(c.legs[what-alarmRefresh0])
	case alarmExpire0, alarmExpire1:
		return &ended{why: "session timer ran out", status: 408, cause: CauseTimer, by: nobody}
	}
	return nil
}

// heard is what the relay says of the speech.
func (c *call) heard(e event) error {
	switch e.media.Kind {
	case media.Silent:
		if c.talking && !e.leg.speech.held { // who holds may be still
			return &ended{why: "silence", status: 408, cause: CauseOutOfOrder, by: nobody}
		}
	case media.Digit:
		if other := c.legs[1-e.leg.side]; other != nil && !other.takesDigits() {
			c.tell(other, e.media.Digit, e.media.Duration)
		}
	}
	return nil
}

// tell sends a key to a peer by INFO: a phone in a cell has no use for it.
func (c *call) tell(l *leg, digit byte, d time.Duration) {
	if l.party.Access == AccessGSM || !l.established {
		return
	}
	m := l.request(sip.MethodInfo)
	m.ContentType, m.Body = dtmfRelay, toneBody(digit, d)
	l.send(m)
	c.w.count(&c.w.stats.digits)
}

// info takes a key that a peer has sent by INFO, and passes it on as the other
// side takes it.
func (c *call) info(l *leg, m *sip.Message) int {
	if len(m.Body) == 0 {
		return 200
	}
	digit, d, ok := readTone(m.ContentType, m.Body)
	other := c.legs[1-l.side]
	switch {
	case !ok:
		return 415
	case other == nil || !other.established:
	case other.takesDigits():
		if c.media.Leg(other.side).SendDigit(digit, d) == nil {
			c.w.count(&c.w.stats.digits)
		}
	default:
		c.tell(other, digit, d)
	}
	return 200
}
