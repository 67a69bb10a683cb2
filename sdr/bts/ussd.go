package bts

import (
	"context"
	"encoding/xml"
	"fmt"

	"campanile.network/wire/sip"
	"campanile.network/wire/sip/txn"
)

const ussdType = "application/vnd.3gpp.ussd+xml"

type ussdData struct {
	XMLName  xml.Name `xml:"ussd-data"`
	Language string   `xml:"language,omitempty"`
	String   string   `xml:"ussd-string,omitempty"`
	Error    string   `xml:"error-code,omitempty"`
}

// USSD dials a string such as *100# and gives what the phone shows: what stands in
// the BYE that ends the one exchange that OpenBTS knows. A refusal is a *Rejected.
func (p *Phone) USSD(ctx context.Context, dialled string) (string, error) {
	c, err := p.on()
	if err != nil {
		return "", err
	}
	uri := at(dialled+";phone-context=irrelevant.net", c.o.Gateway)
	uri.Params.Set("user", "dialstring")
	m := c.request(p, sip.MethodInvite, uri, c.named(at(c.caller(p), c.at)), sip.Address{URI: at(dialled, c.o.Gateway)}, c.newCallID())
	m.Contact = []sip.Address{{URI: at(p.user(), c.at)}}
	m.Add("Recv-Info", "g.3gpp.ussd")
	body, err := xml.Marshal(ussdData{Language: "en", String: dialled})
	if err != nil {
		return "", err
	}
	m.ContentType, m.Body = ussdType, append([]byte(`<?xml version="1.0" encoding="UTF-8"?>`), body...)
	bye := make(chan *sip.Message, 1)
	c.mu.Lock()
	c.dialled[m.CallID] = bye
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.dialled, m.CallID)
		c.mu.Unlock()
	}()
	t := c.e.Request(ctx, m, c.gateway())
	r, err := t.Final(ctx)
	switch {
	case err != nil:
		return "", fmt.Errorf("bts: USSD: %w", err)
	case r.Status/100 != 2:
		return "", &Rejected{Status: r.Status, Reason: r.Reason}
	}
	if err := c.confirm(t, m, r); err != nil {
		return "", err
	}
	select {
	case b := <-bye:
		var d ussdData
		if err := xml.Unmarshal(b.Body, &d); err != nil {
			return "", fmt.Errorf("bts: USSD: %w", err)
		}
		if d.Error != "" {
			return "", &Rejected{Status: 200, Reason: "USSD error " + d.Error}
		}
		p.tell(c, "shown", "", d.String)
		return d.String, nil
	case <-ctx.Done():
		return "", ctx.Err()
	case <-c.ctx.Done():
		return "", ErrOff
	}
}

// confirm sends the ACK of a 2xx to an INVITE.
func (c *Cell) confirm(t *txn.Client, m, r *sip.Message) error {
	d := dialog{callID: m.CallID, local: m.From, remote: r.To, target: m.URI, route: reversed(r.RecordRoute)}
	if len(r.Contact) > 0 {
		d.target = r.Contact[0].URI
	}
	return t.Ack(d.ack(r), c.gateway())
}
