package txn

import (
	"time"

	"campanile.network/wire/sip"
)

// acknowledge answers a final response that is not 2xx, and goes on to do so
// (RFC 3261 §17.1.1.3).
func (c *Client) acknowledge(a *arrival, fx *effects) {
	ack := c.like(sip.MethodAck)
	ack.To = a.m.To
	b, err := ack.Append(nil)
	if err != nil {
		return
	}
	fx.send(c.way, b)
	c.e.keep(c.id, a.now, 64*c.e.o.Timers.T1, &c.way, b) // timer D
}

// like begins the ACK or CANCEL of an INVITE, which differ in little
// (RFC 3261 §9.1, §17.1.1.3).
func (c *Client) like(method sip.Method) *sip.Message {
	m := c.sent
	return &sip.Message{Method: method, URI: m.URI, Via: m.Via[:1], From: m.From, To: m.To, CallID: m.CallID,
		CSeq: sip.CSeq{Seq: m.CSeq.Seq, Method: method}, MaxForwards: 70, Expires: -1, Route: m.Route}
}

// Cancel asks the peer to end an INVITE (RFC 3261 §9.1); the final response,
// 487 as a rule, comes as any other. It waits for a provisional response first.
func (c *Client) Cancel(extra ...sip.Header) {
	var fx effects
	c.e.mu.Lock()
	if c.invite && !c.cancels && c.state <= pending {
		c.cancels, c.cancel = true, extra
		if c.state == pending {
			c.sendCancel(c.e.now(), &fx)
			c.e.arm(&c.timer)
		}
	}
	c.e.mu.Unlock()
	c.e.perform(&fx)
}

// sendCancel sends the CANCEL that is wanted, as a transaction of its own with
// the INVITE's branch, and gives the INVITE 64*T1 from now.
func (c *Client) sendCancel(now time.Duration, fx *effects) {
	if !c.cancels || c.gone {
		return
	}
	c.gone = true
	e, t := c.e, &c.e.o.Timers
	c.timer.end = now + 64*t.T1
	m := c.like(sip.MethodCancel)
	m.Header = c.cancel
	b, err := m.Append(nil)
	if err != nil {
		return
	}
	x := e.newClient(m, nil, func(*Client, *sip.Message, error) {})
	x.sent, x.out, x.way, x.flow, x.branch, x.id = m, b, c.way, c.flow, c.branch, e.keys.client(c.branch, sip.MethodCancel)
	e.clients[x.id] = x
	fx.send(x.way, b)
	x.timer.end = now + 64*t.T1
	if !x.way.reliable() {
		x.timer.gap, x.timer.again = t.T1, now+t.T1
	}
	e.arm(&x.timer)
}
