package bts

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"campanile.network/3gpp/sms"
	"campanile.network/wire/sip"
	"campanile.network/wire/sip/txn"
)

const (
	rpduType = "application/vnd.3gpp.sms"
	textType = "text/plain"
)

// taken is a message from the gateway that a phone is asked to store or has
// stored, by what OpenBTS tells messages apart with; done is closed when it is
// answered.
type taken struct {
	callID, tag string
	seq         uint32
	until       time.Time
	done        chan struct{}
	status      int
	rpdu        []byte // YateBTS: what the phone said
}

const (
	maxTaken  = 4096
	takenLife = 32 * time.Second // 64*T1
)

// message has a phone store what the gateway delivers. It is confirmed when the
// phone has confirmed it, not before.
func (c *Cell) message(ctx context.Context, s *txn.Server) {
	m := s.Request
	p := c.phone(m.URI.User)
	if p == nil {
		s.Reply(404, "Not Found")
		return
	}
	t, again := c.take(m)
	if again {
		c.count(func(s *Stats) { s.Repeated++ })
	} else {
		var stored bool
		if t.status, t.rpdu, stored = c.deliver(p, m); !stored {
			c.forget(t)
		}
		close(t.done)
	}
	select {
	case <-t.done:
	case <-ctx.Done():
		return
	}
	r := m.Response(t.status, "")
	if len(t.rpdu) > 0 {
		r.ContentType, r.Body = rpduType, t.rpdu
	}
	s.Respond(r)
}

// take enters a message among those taken; again is true when it is there.
func (c *Cell) take(m *sip.Message) (t *taken, again bool) {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.taken) > 0 && (len(c.taken) >= maxTaken || now.After(c.taken[0].until)) {
		c.taken = c.taken[1:]
	}
	for _, t := range c.taken {
		if t.callID == m.CallID && t.seq == m.CSeq.Seq && t.tag == m.From.Tag() {
			return t, true
		}
	}
	t = &taken{callID: m.CallID, tag: m.From.Tag(), seq: m.CSeq.Seq, until: now.Add(c.o.Memory), done: make(chan struct{})}
	c.taken = append(c.taken, t)
	return t, false
}

// forget lets a message that was not stored come again.
func (c *Cell) forget(t *taken) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.taken = slices.DeleteFunc(c.taken, func(o *taken) bool { return o == t })
}

// deliver gives a message to a phone and says the status of its answer. OpenBTS
// makes 400 of whatever the phone refuses for; YateBTS says what the phone said.
func (c *Cell) deliver(p *Phone, m *sip.Message) (status int, rpdu []byte, stored bool) {
	data, status := c.read(m)
	if data == nil {
		return status, nil, false
	}
	answer := p.store(c, data)
	_, stored = answer.(*sms.RPAck)
	if c.o.Dialect == YateBTS {
		if b, err := sms.Append(nil, answer); err == nil {
			return 200, b, stored
		}
	}
	if !stored {
		return 400, nil, false
	}
	return 200, nil, true
}

// read takes the RP-DATA out of a message, or says the status that refuses it.
func (c *Cell) read(m *sip.Message) (*sms.RPData, int) {
	switch m.MediaType() {
	case rpduType:
		b := m.Body
		if c.o.Dialect != YateBTS {
			var err error
			if b, err = hex.DecodeString(string(m.Body)); err != nil {
				return nil, 400
			}
		}
		rp, err := sms.ParseRP(sms.Downlink, b)
		if d, ok := rp.(*sms.RPData); err == nil && ok {
			return d, 0
		}
		return nil, 400
	case textType: // the cell makes the rest of a message itself
		if d, err := fromText(m); err == nil {
			return d, 0
		}
		return nil, 400
	}
	return nil, 415
}

// fromText makes the RP-DATA of a text, as OpenBTS does.
func fromText(m *sip.Message) (*sms.RPData, error) {
	parts, err := sms.Split(string(m.Body), sms.SplitOptions{})
	if err != nil || len(parts) != 1 {
		return nil, errors.Join(err, errors.New("a text of one message is wanted"))
	}
	d := &sms.Deliver{DCS: parts[0].DCS, User: parts[0].User, Timestamp: sms.NewTimestamp(time.Now())}
	if d.Originator, err = sms.NewAddress(m.From.URI.User); err != nil {
		return nil, err
	}
	sc, err := sms.NewAddress("0000")
	if err != nil {
		return nil, err
	}
	user, err := sms.Append(nil, d)
	return &sms.RPData{Direction: sms.Downlink, Originator: sc, User: user}, err
}

// store is what a handset does with an RP-DATA: it stores the message, and then
// says so. It does not look whether it has the same already.
func (p *Phone) store(c *Cell, data *sms.RPData) sms.RP {
	refuse := func(cause sms.RPCause, fcs sms.FailureCause) sms.RP {
		e := &sms.RPError{Direction: sms.Uplink, Reference: data.Reference, Cause: cause}
		e.User, _ = sms.Append(nil, &sms.DeliverReport{Failure: sms.Some(fcs)})
		return e
	}
	tp, err := data.TPDU()
	if err != nil {
		return refuse(sms.RPCauseProtocolError, sms.FailureUnspecified)
	}
	s := Stored{At: time.Now()}
	text := ""
	switch m := tp.(type) {
	case *sms.Deliver:
		s.From, s.Part, s.Deliver = m.Originator.Number(), m.Part(), m
		text, _ = m.User.Text(m.DCS)
	case *sms.StatusReport:
		s.From, s.Report = m.Recipient.Number(), m
	default:
		return refuse(sms.RPCauseProtocolError, sms.FailureUnspecified)
	}
	p.mu.Lock()
	full := p.o.Capacity > 0 && len(p.inbox) >= p.o.Capacity
	if !full {
		p.inbox = append(p.inbox, s)
	}
	p.mu.Unlock()
	if full {
		p.tell(c, "full", s.From, "")
		return refuse(sms.RPCauseMemoryCapacityExceeded, sms.FailureMemoryExceeded)
	}
	p.tell(c, "stored", s.From, text)
	c.count(func(s *Stats) { s.Stored++ })
	return &sms.RPAck{Direction: sms.Uplink, Reference: data.Reference}
}

// Empty forgets what the phone has stored and tells the message centre that there
// is room again (RP-SMMA, TS 24.011 §7.3.2).
func (p *Phone) Empty(ctx context.Context) error {
	p.mu.Lock()
	p.inbox = nil
	p.reference++
	rp := &sms.RPSMMA{Reference: p.reference}
	p.mu.Unlock()
	c, err := p.on()
	if err != nil {
		return err
	}
	return c.submit(ctx, p, rp, "")
}

// Send sends a text, in as many messages as it needs, and returns when the message
// centre has taken them.
func (p *Phone) Send(ctx context.Context, to, text string) error {
	c, err := p.on()
	if err != nil {
		return err
	}
	if c.o.Text {
		return c.submitText(ctx, p, to, text)
	}
	p.mu.Lock()
	p.reference++
	ref := p.reference
	p.mu.Unlock()
	parts, err := sms.Split(text, sms.SplitOptions{Reference: uint16(ref)})
	if err != nil {
		return err
	}
	for _, part := range parts {
		d := &sms.Submit{DCS: part.DCS, User: part.User}
		if d.Destination, err = sms.NewAddress(to); err != nil {
			return err
		}
		if err := p.Submit(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

// Submit sends one message, with what its user wants of reports and validity. The
// reference is the phone's to choose.
func (p *Phone) Submit(ctx context.Context, d *sms.Submit) error {
	c, err := p.on()
	if err != nil {
		return err
	}
	sc, err := sms.NewAddress("+19995550000")
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.reference++
	d.Reference = p.reference
	rp := &sms.RPData{Direction: sms.Uplink, Reference: p.reference, Destination: sc}
	p.mu.Unlock()
	if rp.User, err = sms.Append(nil, d); err != nil {
		return err
	}
	return c.submit(ctx, p, rp, d.Destination.Number())
}

// submit brings an RPDU to the gateway. A refusal is a *Rejected with the cause that
// the phone is given.
func (c *Cell) submit(ctx context.Context, p *Phone, rp sms.RP, to string) error {
	octets, err := sms.Append(nil, rp)
	if err != nil {
		return err
	}
	m, _, err := c.proven(ctx, p, func() *sip.Message {
		m := c.mo(p, "smsc", to)
		m.ContentType, m.Body = rpduType, octets
		if c.o.Dialect != YateBTS {
			m.Body = []byte(hex.EncodeToString(octets))
		}
		return m
	})
	switch {
	case err != nil:
		return err
	case m.Status/100 != 2:
		return &Rejected{Status: m.Status, Reason: m.Reason, Cause: int(sms.RPCauseInterworking)}
	case c.o.Dialect == YateBTS && len(m.Body) > 0:
		answer, err := sms.ParseRP(sms.Downlink, m.Body)
		if err != nil {
			return fmt.Errorf("bts: the answer to a message: %w", err)
		}
		if e, ok := answer.(*sms.RPError); ok {
			return &Rejected{Status: m.Status, Reason: e.Cause.String(), Cause: int(e.Cause)}
		}
	}
	c.count(func(s *Stats) { s.Sent++ })
	return nil
}

func (c *Cell) submitText(ctx context.Context, p *Phone, to, text string) error {
	m, _, err := c.proven(ctx, p, func() *sip.Message {
		m := c.mo(p, to, to)
		m.ContentType, m.Body = textType, []byte(text)
		return m
	})
	switch {
	case err != nil:
		return err
	case m.Status/100 != 2:
		return &Rejected{Status: m.Status, Reason: m.Reason, Cause: int(sms.RPCauseInterworking)}
	}
	c.count(func(s *Stats) { s.Sent++ })
	return nil
}

// mo begins the MESSAGE of a phone to a user at the gateway.
func (c *Cell) mo(p *Phone, user, called string) *sip.Message {
	uri := at(user, c.o.Gateway)
	m := c.request(p, sip.MethodMessage, uri, c.named(at(c.caller(p), c.at)), sip.Address{URI: uri}, c.newCallID())
	if c.o.Dialect == YateBTS {
		m.Add("Supported", "sms-response")
		if called != "" {
			m.Add("P-Called-Party-ID", "<tel:"+strings.ReplaceAll(called, ">", "")+">")
		}
	}
	return m
}

// caller is the user that a phone has in From: YateBTS says its number.
func (c *Cell) caller(p *Phone) string {
	if n := p.Number(); c.o.Dialect == YateBTS && n != "" {
		return "+" + n
	}
	return p.user()
}
