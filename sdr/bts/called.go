package bts

import (
	"errors"
	"time"

	"campanile.network/wire/sip"
	"campanile.network/wire/sip/sdp"
	"campanile.network/wire/sip/txn"
)

// invited is a call to a phone.
func (c *Cell) invited(s *txn.Server) {
	m := s.Request
	p := c.phone(m.URI.User)
	switch {
	case p == nil:
		s.Reply(404, "Not Found")
		return
	case len(m.Contact) == 0:
		s.Reply(400, "Bad Request")
		return
	}
	call, err := p.begin(c, callerOf(m))
	switch {
	case errors.Is(err, ErrBusy):
		s.Reply(486, "Busy Here")
		return
	case err != nil:
		s.Reply(503, "")
		return
	}
	agreed, body, err := call.describe(m)
	if err != nil {
		s.Reply(488, "Not Acceptable Here")
		call.end(err)
		return
	}
	local := m.To
	local.SetTag(draw(4))
	call.dialog = dialog{callID: m.CallID, local: local, remote: m.From, target: m.Contact[0].URI, route: m.RecordRoute, seq: c.nextSeq()}
	c.enter(call)
	ring := m.Response(180, "")
	ring.To, ring.Contact = local, []sip.Address{{URI: at(p.user(), c.at)}}
	s.Respond(ring)
	p.tell(c, "ringing", call.peer, "")
	if !call.wait(s) {
		return
	}
	if agreed != nil {
		call.mu.Lock()
		err = call.agree(agreed)
		call.mu.Unlock()
		if err != nil {
			s.Reply(488, "Not Acceptable Here")
			call.end(err)
			return
		}
	}
	call.pickUp(s, local, body, agreed == nil)
}

// callerOf is the number a phone shows: that of P-Associated-URI, of
// P-Asserted-Identity, or of From, as GSM.CallerID.Source has it.
func callerOf(m *sip.Message) string {
	for _, h := range []string{"P-Associated-URI", "P-Asserted-Identity"} {
		if n := number(m.Get(h)); n != "" {
			return n
		}
	}
	return m.From.URI.User
}

// describe answers the description in an INVITE, or makes one where there is none.
func (c *Call) describe(m *sip.Message) (agreed []sdp.Agreed, body []byte, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(m.Body) == 0 {
		body, err = sdp.Offer(c.origin(), c.lines()).Bytes()
		return nil, body, err
	}
	offer, err := sdp.Parse(m.Body)
	if err != nil {
		return nil, nil, err
	}
	answer, agreed := sdp.Answer(offer, c.origin(), c.lines())
	ok := false
	for _, a := range agreed {
		if _, is := a.Speech(); is && !a.Refused {
			ok = true
		}
	}
	if !ok {
		return nil, nil, errors.New("bts: no speech of GSM full rate is offered")
	}
	body, err = answer.Bytes()
	return agreed, body, err
}

// wait lets the phone ring; it is false when the call has ended before somebody
// has taken it.
func (c *Call) wait(s *txn.Server) bool {
	cancelled := func() bool {
		s.Reply(487, "Request Terminated")
		c.end(errors.New("the caller has given up"))
		return false
	}
	var taken <-chan time.Time
	if c.p.o.Ring >= 0 {
		t := time.NewTimer(c.p.o.Ring)
		defer t.Stop()
		taken = t.C
	}
	select {
	case <-s.Cancelled():
		return cancelled()
	case <-c.done:
		s.Reply(480, "Temporarily Unavailable")
		return false
	case <-taken:
	}
	select {
	case <-s.Cancelled(): // both at once
		return cancelled()
	default:
		return true
	}
}

// pickUp takes the call; it stands when the ACK has come, with an answer in it
// where the offer is ours.
func (c *Call) pickUp(s *txn.Server, local sip.Address, body []byte, ours bool) {
	cell := c.cell
	m := s.Request.Response(200, "")
	m.To, m.Contact = local, []sip.Address{{URI: at(c.p.user(), cell.at)}}
	m.ContentType, m.Body = "application/sdp", body
	acked := make(chan error, 1)
	s.OnAck(func(ack *sip.Message, err error) {
		if err == nil && ours {
			err = c.accept(ack)
		}
		acked <- err
	})
	if err := s.Respond(m); err != nil {
		c.end(err)
		return
	}
	c.talk()
	close(c.up)
	c.p.tell(cell, "answered", c.peer, "")
	select {
	case err := <-acked:
		if err != nil {
			c.Hangup(cell.ctx)
			c.end(err)
		}
	case <-c.done:
	case <-cell.ctx.Done():
	}
}

// within answers a request in a dialog.
func (c *Cell) within(s *txn.Server) {
	m := s.Request
	c.mu.Lock()
	call := c.calls[m.CallID+" "+m.To.Tag()]
	ussd := c.dialled[m.CallID]
	c.mu.Unlock()
	switch {
	case m.Method == sip.MethodBye && call != nil:
		s.Reply(200, "")
		call.end(nil)
	case m.Method == sip.MethodBye && ussd != nil:
		s.Reply(200, "")
		select {
		case ussd <- m:
		default: // the second BYE of one exchange
		}
	case call == nil:
		s.Reply(481, "Call/Transaction Does Not Exist")
	case m.Method == sip.MethodInvite: // no cell changes a call that stands
		s.Reply(488, "Not Acceptable Here")
	case m.Method == sip.MethodInfo, m.Method == sip.MethodOptions:
		s.Reply(200, "")
	default:
		s.Reply(501, "Not Implemented")
	}
}
