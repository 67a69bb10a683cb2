package bts

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"campanile.network/wire/sip"
	"campanile.network/wire/sip/sdp"
	"campanile.network/wire/sip/txn"
)

// Call is a phone's call. Methods may be called from any goroutine.
type Call struct {
	p    *Phone
	peer string // number, as far as it is known
	done chan struct{}
	up   chan struct{} // closed when it is answered

	mu      sync.Mutex
	cell    *Cell
	dialog  dialog
	speech  *speech
	version int // of the description of this end
	silent  chan struct{}
	ended   bool
	why     error
}

// dialog is what RFC 3261 §12 keeps.
type dialog struct {
	callID        string
	local, remote sip.Address
	target        sip.URI
	route         []sip.Address
	seq           uint32
}

func (d dialog) key() string { return d.callID + " " + d.local.Tag() }

// request begins a request in the dialog.
func (d *dialog) request(method sip.Method) *sip.Message {
	d.seq++
	m := sip.NewRequest(method, d.target)
	m.From, m.To, m.CallID, m.CSeq.Seq, m.Route = d.local, d.remote, d.callID, d.seq, d.route
	return m
}

// begin makes the call its phone's only one.
func (p *Phone) begin(c *Cell, peer string) (*Call, error) {
	s, err := c.openSpeech()
	if err != nil {
		return nil, fmt.Errorf("bts: RTP: %w", err)
	}
	call := &Call{p: p, peer: peer, cell: c, speech: s, done: make(chan struct{}), up: make(chan struct{}), silent: make(chan struct{})}
	p.mu.Lock()
	busy := p.call != nil
	if !busy {
		p.call = call
	}
	p.mu.Unlock()
	if busy || !c.spawn(s.receive) {
		s.conn.Close()
		if busy {
			return nil, ErrBusy
		}
		return nil, ErrOff
	}
	c.count(func(s *Stats) { s.Calls++ })
	return call, nil
}

// enter puts a call among those that the gateway can ask about.
func (c *Cell) enter(call *Call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls[call.dialog.key()] = call
}

// Done is closed when the call has ended.
func (c *Call) Done() <-chan struct{} { return c.done }

// Answered is closed when the call has been answered.
func (c *Call) Answered() <-chan struct{} { return c.up }

// Err says why the call has ended: nil when one of the two has hung up.
func (c *Call) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.why
}

// Heard is what came over RTP at the cell where the call is now.
func (c *Call) Heard() Heard {
	c.mu.Lock()
	s := c.speech
	c.mu.Unlock()
	return s.stats()
}

// Peer is the other's number.
func (c *Call) Peer() string { return c.peer }

// end ends the call at this end.
func (c *Call) end(why error) {
	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		return
	}
	c.ended, c.why = true, why
	cell, key, s, silent := c.cell, c.dialog.key(), c.speech, c.silent
	c.mu.Unlock()
	cell.mu.Lock()
	if cell.calls[key] == c {
		delete(cell.calls, key)
	}
	cell.mu.Unlock()
	close(silent)
	s.conn.Close()
	c.p.mu.Lock()
	if c.p.call == c {
		c.p.call = nil
	}
	c.p.mu.Unlock()
	text := ""
	if why != nil {
		text = why.Error()
	}
	c.p.tell(cell, "ended", c.peer, text)
	close(c.done)
}

// lines is what this end does. c.mu is held, here and in origin and agree.
func (c *Call) lines() []sdp.Line {
	return []sdp.Line{{Addr: c.speech.local(), Codecs: []sdp.Codec{{PT: gsmType, Name: "GSM", Clock: 8000, Channels: 1}}, PTime: 20}}
}

func (c *Call) origin() sdp.Origin {
	c.version++
	return sdp.Origin{User: c.p.user(), ID: "0", Version: strconv.Itoa(c.version), Address: c.speech.local().Addr().String()}
}

// offer writes our description into a message.
func (c *Call) offer(m *sip.Message) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	b, err := sdp.Offer(c.origin(), c.lines()).Bytes()
	m.ContentType, m.Body = "application/sdp", b
	return err
}

// accept reads the other end's answer to our description, and sends speech there.
func (c *Call) accept(m *sip.Message) error {
	if m.MediaType() != "application/sdp" {
		return nil
	}
	s, err := sdp.Parse(m.Body)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	agreed, err := sdp.Accept(s, c.lines())
	if err != nil {
		return err
	}
	return c.agree(agreed)
}

func (c *Call) agree(agreed []sdp.Agreed) error {
	for _, a := range agreed {
		if _, ok := a.Speech(); ok && !a.Refused {
			c.speech.to(a.Remote)
			return nil
		}
	}
	return errors.New("bts: no speech of GSM full rate is agreed on")
}

// talk begins to send.
func (c *Call) talk() {
	c.mu.Lock()
	cell, s, silent := c.cell, c.speech, c.silent
	c.mu.Unlock()
	cell.spawn(func() { s.send(silent) })
}

// Dial calls a number and returns when the call is answered; a refusal is a
// *Rejected. When ctx ends before, the call is cancelled.
func (p *Phone) Dial(ctx context.Context, number string) (*Call, error) {
	c, err := p.on()
	if err != nil {
		return nil, err
	}
	call, err := p.begin(c, number)
	if err != nil {
		return nil, err
	}
	if err := call.invite(ctx, number); err != nil {
		call.end(err)
		return nil, err
	}
	p.tell(c, "answered", number, "")
	return call, nil
}

// invite sends the INVITE, and again when it is challenged.
func (c *Call) invite(ctx context.Context, number string) error {
	authorization := ""
	cell := c.cell
	for range maxAsked {
		uri := at(number, cell.o.Gateway)
		m := cell.request(c.p, sip.MethodInvite, uri, cell.named(at(cell.caller(c.p), cell.at)), sip.Address{URI: uri}, cell.newCallID())
		m.Contact = []sip.Address{{URI: at(c.p.user(), cell.at)}}
		if authorization != "" {
			m.Add("Authorization", authorization)
		}
		if err := c.offer(m); err != nil {
			return err
		}
		c.mu.Lock()
		c.dialog = dialog{callID: m.CallID, local: m.From, seq: m.CSeq.Seq}
		c.mu.Unlock()
		r, t, err := c.outcome(ctx, m)
		switch {
		case err != nil:
			return fmt.Errorf("bts: call: %w", err)
		case r.Status/100 == 2:
			return c.answered(r, t)
		case r.Status == 401 && r.Get("WWW-Authenticate") != "":
			if authorization, _, err = cell.answer(c.p, m, r.Get("WWW-Authenticate")); err != nil {
				return err
			}
		default:
			return &Rejected{Status: r.Status, Reason: r.Reason}
		}
	}
	return &Rejected{Status: 401, Reason: "challenged again and again"}
}

// outcome waits for the final answer to an INVITE, and takes early media.
func (c *Call) outcome(ctx context.Context, m *sip.Message) (*sip.Message, *txn.Client, error) {
	t := c.cell.e.Request(ctx, m, c.cell.gateway())
	for r := range t.Responses() {
		if r.Status >= 200 {
			return r, t, nil
		}
		if r.Status == 180 {
			c.p.tell(c.cell, "ringing", c.peer, "")
		}
		if err := c.accept(r); err != nil {
			c.cell.o.Log.Warn("early media are not taken", "err", err)
		}
	}
	return nil, nil, errors.Join(t.Err(), ctx.Err())
}

// answered ends the INVITE's part of a call that was taken.
func (c *Call) answered(r *sip.Message, t *txn.Client) error {
	c.mu.Lock()
	d := &c.dialog
	d.remote, d.route = r.To, reversed(r.RecordRoute)
	if len(r.Contact) > 0 {
		d.target = r.Contact[0].URI
	}
	ack := c.dialog.ack(r)
	c.mu.Unlock()
	if err := t.Ack(ack, c.cell.gateway()); err != nil {
		return err
	}
	if err := c.accept(r); err != nil {
		return errors.Join(err, c.Hangup(context.WithoutCancel(c.cell.ctx)))
	}
	c.cell.enter(c)
	c.talk()
	close(c.up)
	return nil
}

// ack is the ACK of a 2xx (RFC 3261 §13.2.2.4).
func (d *dialog) ack(r *sip.Message) *sip.Message {
	m := sip.NewRequest(sip.MethodAck, d.target)
	m.From, m.To, m.CallID, m.CSeq.Seq, m.Route = d.local, d.remote, d.callID, r.CSeq.Seq, d.route
	return m
}

func reversed(list []sip.Address) []sip.Address {
	out := make([]sip.Address, 0, len(list))
	for i := range list {
		out = append(out, list[len(list)-1-i])
	}
	return out
}

// within sends a request in the call's dialog.
func (c *Call) within(ctx context.Context, method sip.Method, contentType, body string) error {
	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		return ErrNoCall
	}
	cell := c.cell
	m := c.dialog.request(method)
	m.ContentType, m.Body = contentType, []byte(body)
	c.mu.Unlock()
	cell.dress(c.p, m)
	r, err := cell.ask(ctx, m)
	switch {
	case err != nil:
		return fmt.Errorf("bts: %s: %w", method, err)
	case r.Status/100 != 2:
		return &Rejected{Status: r.Status, Reason: r.Reason}
	}
	return nil
}

// Hangup ends the call and tells the other end.
func (c *Call) Hangup(ctx context.Context) error {
	err := c.within(ctx, sip.MethodBye, "", "")
	if errors.Is(err, ErrNoCall) {
		return nil
	}
	c.end(nil)
	return err
}

// Press sends a digit by INFO, as cells do (0 to 9, *, #, A to D).
func (c *Call) Press(ctx context.Context, digit byte) error {
	return c.within(ctx, sip.MethodInfo, "application/dtmf-relay", fmt.Sprintf("Signal=%c\nDuration=200", digit))
}
