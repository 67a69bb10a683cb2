package sipgw

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/sms"
	"campanile.network/sip/smsc"
	"campanile.network/wire/sip"
	"campanile.network/wire/sip/txn"
)

var _ smsc.Path = (*Gateway)(nil)

// Registered implements smsc.Path.
func (g *Gateway) Registered(imsi id.IMSI) (time.Time, bool) {
	var newest time.Time
	for _, b := range g.Bindings(imsi) {
		if b.Registered.After(newest) {
			newest = b.Registered
		}
	}
	return newest, !newest.IsZero()
}

// Deliver implements smsc.Path: a GSM phone gets the message as its cell reads it,
// an IMS phone as an RPDU, an app as text. Where the subscriber is at several
// places, the next is tried when one does not answer.
func (g *Gateway) Deliver(ctx context.Context, d smsc.Delivery) (answer sms.RP, err error) {
	err = smsc.ErrNotRegistered
	for _, b := range g.Bindings(d.IMSI) {
		answer, err = g.deliver(ctx, d, b)
		if _, taken := answer.(*sms.RPAck); taken && err == nil {
			g.carried.note(d.Key, b.Stay)
		}
		if !errors.Is(err, smsc.ErrNotRegistered) && !errors.Is(err, smsc.ErrAbsent) {
			break
		}
	}
	_, refused := answer.(*sms.RPError)
	switch {
	case errors.Is(err, smsc.ErrNotRegistered):
		g.count.add(&g.count.messages, "to phone: it is not registered")
	case errors.Is(err, smsc.ErrBusy):
		g.count.add(&g.count.messages, "to phone: it is busy")
	case err != nil:
		g.count.add(&g.count.messages, "to phone: no answer")
	case refused:
		g.count.add(&g.count.messages, "to phone: it refused")
	}
	return answer, err
}

// Delivered implements smsc.Path: it counts the message at the cell that has
// carried it, if one has.
func (g *Gateway) Delivered(d smsc.Delivery) {
	g.count.out.Add(1)
	g.tally(d.IMSI, g.carried.take(d.Key))
}

// carried remembers at which cell a message has reached its phone until the message
// centre has that on disk. Of too many, and over a restart, it forgets: then a
// message goes uncounted, and none is paid to a cell that a phone is registered at
// and an app has got the message.
type carried struct {
	mu sync.Mutex
	at map[smsc.Key]Stay
}

// mostCarried bounds them: so many deliveries are not under way at once.
const mostCarried = 4096

func (c *carried) note(k smsc.Key, s Stay) {
	if s == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.at == nil || len(c.at) >= mostCarried {
		c.at = map[smsc.Key]Stay{}
	}
	c.at[k] = s
}

func (c *carried) take(k smsc.Key) Stay {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.at[k]
	delete(c.at, k)
	return s
}

// deliver sends a message to one place.
func (g *Gateway) deliver(ctx context.Context, d smsc.Delivery, b *Binding) (sms.RP, error) {
	m, err := g.outgoing(d, b)
	if err != nil {
		g.log.Warn("a message has no form that its phone reads", "imsi", b.IMSI, "kind", b.Kind, "err", err)
		return &sms.RPError{Cause: sms.RPCauseSemanticallyIncorrect}, nil
	}
	if m == nil { // nothing an app would show
		return &sms.RPAck{}, nil
	}
	var report *awaited
	if b.Kind == IMS {
		report = g.reports.expect(b.IMSI, d.Data.Reference)
		defer g.reports.forget(report)
	}
	answer, err := g.o.Endpoint.Request(ctx, m, txn.To(b.Flow)).Final(ctx)
	if err != nil {
		return nil, unanswered(err)
	}
	if b.Kind == IMS && answer.Status/100 == 2 {
		return report.wait(ctx)
	}
	rp, err := outcome(answer)
	if answer.Status == 400 && b.Kind == OpenBTS && err == nil {
		// All that OpenBTS has for an RP-ERROR, and phones refuse for lack of memory
		// rather than for anything else: this is tried again when there is room.
		rp = &sms.RPError{Cause: sms.RPCauseMemoryCapacityExceeded}
	}
	return rp, err
}

// outgoing makes the MESSAGE. A repetition has the same Call-ID, CSeq and From tag:
// whoever has answered the first answers it the same (RFC 3261 §8.2.2.2;
// OpenBTS looks at nothing else).
func (g *Gateway) outgoing(d smsc.Delivery, b *Binding) (*sip.Message, error) {
	uri := b.RequestURI()
	m := sip.NewRequest(sip.MethodMessage, uri)
	m.CallID, m.CSeq.Seq = d.Key.String()+"@"+g.o.Realm, 1
	m.To.URI = uri
	m.From.URI = sip.URI{Scheme: "sip", User: "smsc", Host: g.o.Realm}
	m.From.SetTag(d.Key.String()[:8])
	octets, err := sms.Append(nil, &d.Data)
	if err != nil {
		return nil, err
	}
	m.ContentType, m.Body = rpduType, octets
	switch b.Kind {
	case OpenBTS:
		m.Body = []byte(hex.EncodeToString(octets))
	case YateBTS:
		m.Add("Supported", "sms-response")
		m.Add("P-Called-Party-ID", "<tel:+"+b.MSISDN.Digits()+`>;imsi="`+b.IMSI.Digits()+`"`)
	case App:
		return g.asText(m, d)
	}
	return m, nil
}

// asText makes a short message a text; nil without an error for what there is to
// be nothing shown of.
func (g *Gateway) asText(m *sip.Message, d smsc.Delivery) (*sip.Message, error) {
	from, text, ok := smsc.TextOf(d)
	if !ok {
		if tpdu, err := d.Data.TPDU(); err == nil && tpdu.MessageType() == sms.TypeDeliver {
			return nil, errors.New("a message without text")
		}
		return nil, nil // a status report
	}
	if n := from.Number(); n != "" {
		m.From.URI.User = n
	}
	m.ContentType, m.Body = textType+";charset=UTF-8", []byte(text)
	return m, nil
}

// unanswered is what it means that no answer came: only a way that is gone is
// proof that the phone has nothing.
func unanswered(err error) error {
	if errors.Is(err, txn.ErrTransport) || errors.Is(err, txn.ErrNoTarget) {
		return fmt.Errorf("%w: %w", smsc.ErrAbsent, err)
	}
	return fmt.Errorf("sipgw: no answer to a short message: %w", err)
}

// outcome is what an answer to a message means. A cell answers 200 when the phone
// has acknowledged, and 400 when it has refused.
func outcome(m *sip.Message) (sms.RP, error) {
	if m.MediaType() == rpduType {
		if octets, err := ReadRPDU(m.Body); err == nil {
			if rp, err := sms.ParseRP(sms.Uplink, octets); err == nil {
				switch rp.(type) {
				case *sms.RPAck, *sms.RPError:
					return rp, nil
				}
			}
		}
	}
	switch s := m.Status; {
	case s/100 == 2:
		return &sms.RPAck{}, nil
	case s == 404, s == 410, s == 604:
		return nil, smsc.ErrNotRegistered
	case s == 408, s == 480, s == 503:
		return nil, smsc.ErrAbsent
	case s == 486, s == 600:
		return nil, smsc.ErrBusy
	case s == 413, s == 415, s == 488, s == 606:
		return &sms.RPError{Cause: sms.RPCauseSemanticallyIncorrect}, nil
	case s == 403, s == 603:
		return &sms.RPError{Cause: sms.RPCauseTransferRejected}, nil
	case s/100 == 5:
		return nil, fmt.Errorf("sipgw: the cell or app says %d %s", s, m.Reason)
	}
	return &sms.RPError{Cause: sms.RPCauseProtocolError}, nil
}
