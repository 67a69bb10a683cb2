package txn

import (
	"context"
	"errors"
	"fmt"
	"time"

	"campanile.network/wire/sip"
)

// Client is a client transaction (RFC 3261 §17.1, RFC 6026 §7.2), or several,
// one after the other, when a request has several targets.
type Client struct {
	e       *Endpoint
	request *sip.Message // without this end's Via
	to      []Target
	invite  bool
	told    func(*Client, *sip.Message, error)
	channel chan *sip.Message // of Responses; nil with a callback

	// Guarded by the endpoint:
	target  Target // under way
	sent    *sip.Message
	out     []byte
	way     way
	flow    Flow
	branch  string
	id      key
	timer   timer
	state   clientState
	cancels bool // CANCEL is to be sent, or was
	cancel  []sip.Header
	gone    bool // CANCEL was sent
	retried bool // went by a stream because of its size
	events  []event
	telling bool
	final   *sip.Message
	err     error
	done    chan struct{} // closed with the first final response or error
	stop    func() bool   // ends the watch on the caller's context
}

// event is a response for the callback, or the end.
type event struct {
	m   *sip.Message
	err error
	end bool
}

// clientState is a state of the client machines; Completed is an entry of
// Endpoint.kept.
type clientState uint8

const (
	calling  clientState = iota // and Trying
	pending                     // Proceeding: a provisional response has come
	answered                    // INVITE: Accepted, a 2xx has come
	ended
)

// maxEvents bounds the responses that wait for a callback.
const maxEvents = 16

// Request sends a request and gives its transaction. Via with a branch is put
// in front, and Max-Forwards where there is none. Of several targets the next
// one is tried when one is silent, gone or answers 503 (RFC 3263 §4.3). It does
// not wait; when ctx ends, an INVITE is cancelled and others are given up.
// m must not be changed afterwards.
func (e *Endpoint) Request(ctx context.Context, m *sip.Message, to ...Target) *Client {
	ch := make(chan *sip.Message, maxEvents)
	c := e.newClient(m, to, func(_ *Client, r *sip.Message, _ error) {
		switch {
		case r == nil:
			close(ch)
		case r.Status >= 200 || len(ch) < cap(ch)/2:
			select {
			case ch <- r:
			default:
			}
		}
	})
	c.channel = ch
	return e.begins(ctx, c)
}

// RequestFunc is Request with a callback in place of a channel: f is called in
// order, never twice at a time, in a goroutine of the endpoint, for each response
// but 100; last with no response, and an error if there was no final one.
func (e *Endpoint) RequestFunc(ctx context.Context, m *sip.Message, f func(c *Client, r *sip.Message, err error), to ...Target) *Client {
	return e.begins(ctx, e.newClient(m, to, f))
}

func (e *Endpoint) newClient(m *sip.Message, to []Target, told func(*Client, *sip.Message, error)) *Client {
	c := &Client{e: e, request: m, to: to, told: told, invite: m.Method == sip.MethodInvite, done: make(chan struct{})}
	c.timer.of = c
	return c
}

func (e *Endpoint) begins(ctx context.Context, c *Client) *Client {
	var fx effects
	e.mu.Lock()
	defer func() { e.mu.Unlock(); e.perform(&fx) }()
	switch {
	case e.closed:
		c.finish(ErrClosed)
		return c
	case len(e.servers)+len(e.clients) >= e.o.Admission.Transactions:
		c.finish(ErrFull)
		return c
	}
	if ctx.Done() != nil && ctx != e.ctx {
		c.stop = context.AfterFunc(ctx, func() { c.abandon(ctx) })
	}
	c.next(ErrNoTarget, e.now(), &fx)
	return c
}

// abandon ends what its caller wants no more.
func (c *Client) abandon(ctx context.Context) {
	if c.invite {
		c.Cancel()
		return
	}
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	c.finish(context.Cause(ctx))
}

// next tries the targets that are left; why is the error when none is.
func (c *Client) next(why error, now time.Duration, fx *effects) {
	e := c.e
	e.timers.stop(&c.timer)
	delete(e.clients, c.id)
	for len(c.to) > 0 && !c.cancels {
		c.target, c.to = c.to[0], c.to[1:]
		c.retried = false
		if err := c.attempt(now, fx); err == nil {
			return
		} else {
			why = err
		}
	}
	if errors.Is(why, ErrTimeout) {
		e.count.timeouts.Add(1)
	}
	c.finish(why)
}

// attempt sends the request to the target under way, with a branch of its own.
func (c *Client) attempt(now time.Duration, fx *effects) error {
	e, t := c.e, &c.e.o.Timers
	c.branch = cookie + random(10)
	m := *c.request
	if m.MaxForwards < 0 {
		m.MaxForwards = 70
	}
	c.sent = &m
	if err := c.route(&m); err != nil {
		return err
	}
	c.id = e.keys.client(c.branch, m.Method)
	c.state = calling
	e.clients[c.id] = c
	fx.send(c.way, c.out)
	c.timer.end = now + 64*t.T1 // timers B and F
	if c.timer.again = 0; !c.way.reliable() {
		c.timer.gap, c.timer.again = t.T1, now+t.T1 // timers A and E
	}
	e.arm(&c.timer)
	return nil
}

// maxDatagram is how long a request may be for UDP (RFC 3261 §18.1.1: the MTU is
// not known, 1300 octets).
const maxDatagram = 1300

// route finds the way to the target and writes the request for it; a long one
// goes by TCP where the peer has it.
func (c *Client) route(m *sip.Message) error {
	e := c.e
	write := func() (err error) {
		if c.way, c.flow, err = e.wayTo(c.target); err != nil {
			return err
		}
		via := sip.Via{Transport: c.flow.Transport}
		via.Host, via.Port = e.sentBy(&c.way, c.flow)
		via.Params.Set("branch", c.branch)
		if c.flow.Transport == UDP {
			via.Params.SetFlag("rport")
		}
		m.Via = append([]sip.Via{via}, c.request.Via...)
		if c.out, err = m.Append(make([]byte, 0, 768)); err != nil {
			err = fmt.Errorf("sip: %s: %w", m.Method, err)
		}
		return err
	}
	if err := write(); err != nil || len(c.out) <= maxDatagram || c.way.reliable() || c.retried {
		return err
	}
	datagram := c.target
	stream := Target{Transport: TCP, Addr: c.way.to}
	if e.streams.without(stream.Addr, e.now()) {
		return nil
	}
	c.retried, c.target = true, stream
	if err := write(); err == nil {
		c.target = datagram // to come back to
		return nil
	}
	c.target = datagram
	return write()
}

// lost is told when the connection of the request ends.
func (c *Client) lost(why error, now time.Duration, fx *effects) {
	if c.state == answered || c.state == ended {
		return
	}
	if c.retried && c.state == calling { // the peer has no TCP
		c.e.streams.remember(c.way.to, now)
		c.e.timers.stop(&c.timer)
		delete(c.e.clients, c.id)
		if err := c.attempt(now, fx); err == nil {
			return
		}
	}
	c.next(fmt.Errorf("%w: %w", ErrTransport, why), now, fx)
}

// response is what a response does to the state.
func (c *Client) response(a *arrival, fx *effects) {
	e, t, m := c.e, &c.e.o.Timers, a.m
	switch {
	case c.state == answered:
		if m.Status/100 == 2 {
			c.tell(event{m: m})
		}
	case m.Status < 200:
		c.state = pending
		c.timer.again = 0
		if c.invite {
			if !c.gone {
				c.timer.end = a.now + t.Proceeding // timer C
			}
			c.sendCancel(a.now, fx)
		} else if !c.way.reliable() {
			c.timer.again, c.timer.gap = a.now+t.T2, t.T2
		}
		e.arm(&c.timer)
		if m.Status > 100 {
			c.tell(event{m: m})
		}
	case m.Status < 300 && c.invite:
		c.state = answered
		c.timer.again, c.timer.end = 0, a.now+64*t.T1 // timer M
		e.arm(&c.timer)
		c.settle(m)
		c.tell(event{m: m})
	default:
		if c.invite {
			c.acknowledge(a, fx)
		} else {
			e.keep(c.id, a.now, t.T4, &c.way, nil) // timer K
		}
		if m.Status == 503 && len(c.to) > 0 && !c.cancels {
			c.next(nil, a.now, fx)
			return
		}
		c.settle(m)
		c.tell(event{m: m})
		c.finish(nil)
	}
}

// settle is the first final response.
func (c *Client) settle(m *sip.Message) {
	if c.final == nil {
		c.final = m
		close(c.done)
	}
}

// repeat implements transaction: timers A and E.
func (c *Client) repeat(now time.Duration, fx *effects) {
	c.e.count.repeated.Add(1)
	fx.send(c.way, c.out)
	switch {
	case c.invite:
		c.timer.gap *= 2
	case c.state == pending:
		c.timer.gap = c.e.o.Timers.T2
	default:
		c.timer.gap = min(2*c.timer.gap, c.e.o.Timers.T2)
	}
	c.timer.again = now + c.timer.gap
}

// expire implements transaction: timers B, F, C and M.
func (c *Client) expire(now time.Duration, fx *effects) {
	switch {
	case c.state == answered:
		c.finish(nil)
	case c.state == pending && c.invite && !c.gone:
		c.cancels = true
		c.sendCancel(now, fx)
	default:
		c.next(ErrTimeout, now, fx)
	}
}

// finish ends the transaction and tells so last.
func (c *Client) finish(err error) {
	if c.state == ended {
		return
	}
	c.state = ended
	c.e.timers.stop(&c.timer)
	if c.e.clients[c.id] == c {
		delete(c.e.clients, c.id)
	}
	c.err, c.out = err, nil
	if c.final == nil {
		close(c.done)
	}
	if c.stop != nil {
		c.stop()
	}
	c.tell(event{err: err, end: true})
}

// tell queues an event for the callback, which has a goroutine while there are any.
func (c *Client) tell(v event) {
	if !v.end && v.m.Status < 200 && len(c.events) >= maxEvents/2 || !v.end && len(c.events) >= maxEvents {
		c.e.count.dropped.Add(1)
		return
	}
	c.events = append(c.events, v)
	if !c.telling {
		c.telling = true
		c.e.wg.Go(c.tellAll)
	}
}

func (c *Client) tellAll() {
	for {
		c.e.mu.Lock()
		if len(c.events) == 0 {
			c.telling, c.events = false, nil
			c.e.mu.Unlock()
			return
		}
		v := c.events[0]
		c.events = c.events[1:]
		c.e.mu.Unlock()
		c.told(c, v.m, v.err)
	}
}
