package txn

import (
	"context"
	"fmt"
	"slices"

	"campanile.network/wire/sip"
)

// Responses brings provisional and final responses without 100; it is closed
// after the final one, of an INVITE after Ack, or 64*T1 after the 2xx
// (RFC 6026 §7.2). Provisional ones are dropped when nobody reads. It is nil of
// a request with a callback.
func (c *Client) Responses() <-chan *sip.Message { return c.channel }

// Final waits for the first final response.
func (c *Client) Final(ctx context.Context) (*sip.Message, error) {
	select {
	case <-c.done:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	if c.final != nil {
		return c.final, nil
	}
	return nil, c.err
}

// Err is why there was no final response, after Responses was closed.
func (c *Client) Err() error {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	return c.err
}

// Flow is the way the request went.
func (c *Client) Flow() Flow {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	return c.flow
}

// Ack sends the ACK of a 2xx and sends it again whenever the 2xx comes again
// (RFC 3261 §13.2.2.4). It ends the transaction: 2xx of other ends that come
// later are acknowledged and hung up on by the endpoint.
func (c *Client) Ack(ack *sip.Message, to Target) error {
	e := c.e
	e.mu.Lock()
	w, b, err := e.outside(ack, to)
	if err == nil {
		now := e.now()
		e.keep(e.keys.fork(c.branch, ack.To.Tag()), now, 64*e.o.Timers.T1, &w, b)
		if c.state == answered {
			e.keep(c.id, now, 64*e.o.Timers.T1, &c.way, nil)
			c.finish(nil)
		}
	}
	e.mu.Unlock()
	if err != nil {
		return err
	}
	return e.send(&w, b)
}

// Send sends a message outside of transactions: the ACK of a 2xx.
func (e *Endpoint) Send(m *sip.Message, to Target) error {
	e.mu.Lock()
	w, b, err := e.outside(m, to)
	e.mu.Unlock()
	if err != nil {
		return err
	}
	return e.send(&w, b)
}

// outside writes a request that has no transaction.
func (e *Endpoint) outside(m *sip.Message, to Target) (way, []byte, error) {
	if e.closed {
		return way{}, nil, ErrClosed
	}
	w, flow, err := e.wayTo(to)
	if err != nil {
		return way{}, nil, err
	}
	out := *m
	if m.IsRequest() {
		via := sip.Via{Transport: flow.Transport}
		via.Host, via.Port = e.sentBy(&w, flow)
		via.Params.Set("branch", cookie+random(10))
		if flow.Transport == UDP {
			via.Params.SetFlag("rport")
		}
		out.Via = append([]sip.Via{via}, m.Via...)
		if out.MaxForwards < 0 {
			out.MaxForwards = 70
		}
	}
	b, err := out.Append(make([]byte, 0, 512))
	if err != nil {
		return way{}, nil, fmt.Errorf("sip: %s: %w", m.Method, err)
	}
	return w, b, nil
}

// fork acknowledges and ends what another end has made of an INVITE that has
// its answer (RFC 3261 §13.2.2.4).
func (e *Endpoint) fork(a *arrival, fx *effects) {
	m := a.m
	e.count.forks.Add(1)
	if len(m.Contact) == 0 {
		return
	}
	request := func(method sip.Method, seq uint32) *sip.Message {
		r := sip.NewRequest(method, m.Contact[0].URI)
		r.From, r.To, r.CallID, r.CSeq.Seq = m.From, m.To, m.CallID, seq
		r.Route = slices.Clone(m.RecordRoute)
		slices.Reverse(r.Route)
		return r
	}
	to := To(a.flow)
	w, b, err := e.outside(request(sip.MethodAck, m.CSeq.Seq), to)
	if err != nil {
		return
	}
	fx.send(w, b)
	e.keep(e.keys.fork(m.Via[0].Branch(), m.To.Tag()), a.now, 64*e.o.Timers.T1, &w, b)
	bye := e.newClient(request(sip.MethodBye, m.CSeq.Seq+1), []Target{to}, func(*Client, *sip.Message, error) {})
	bye.next(ErrNoTarget, a.now, fx)
}

// Heard reports whether any response has come from the target under way, 100
// included: one that is slow is not one that is gone.
func (c *Client) Heard() bool {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	return c.state == pending || c.final != nil
}
