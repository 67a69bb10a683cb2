package smsc

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"campanile.network/3gpp/sms"
)

// maxText is how long a text may be, in octets of UTF-8.
const maxText = 8192

// SubmitText takes a text of a phone or app that speaks no RP; to is what was
// dialled. It returns when the text is on disk; an error is a *Refused, or says that
// the centre cannot tell. A repetition with the same key is not kept twice. A long
// text becomes several messages.
func (c *Centre) SubmitText(ctx context.Context, from Sender, to, text string, key Key) error {
	dest, err := sms.NewAddress(to)
	if err != nil {
		err = refuse(sms.RPCauseUnassignedNumber, sms.FailureInvalidAddress, "the destination is no number")
	} else {
		box := phoneBox(from.IMSI)
		k := &mark{Of: fmt.Sprintf("%s/k%v", box, key), Body: digest([]byte(to + " " + text)), Lasts: true}
		_, err = c.once(ctx, k, false, func(ctx context.Context) error { return c.submittedText(ctx, from, dest, text, k) })
	}
	no, _ := errors.AsType[*Refused](err)
	c.noteTaken(from, no, err)
	return err
}

func (c *Centre) submittedText(ctx context.Context, from Sender, to sms.Address, text string, k *mark) error {
	err := c.admit(from, 1+len(text)/sms.MaxUser, 0)
	if err != nil {
		return err
	}
	if from, err = c.identify(ctx, from); err != nil {
		return err
	}
	r, err := c.route(ctx, from, to, func() (string, error) { return text, nil })
	if err != nil {
		return err
	}
	if r.answered {
		return c.keep(k, r.answer...)
	}
	drafts, err := c.split(r.box, Text{From: sms.FromMSISDN(from.MSISDN), Text: text, Key: newKey()})
	if err != nil {
		return err
	}
	for i := range drafts {
		d := &drafts[i]
		d.From, d.Number, d.Dest = phoneBox(from.IMSI), from.MSISDN.Digits(), rawAddress(to)
		if _, ours := r.box.imsi(); !ours {
			d.forTrunk(to)
		}
	}
	return c.keep(k, drafts...)
}

// Send takes a text of the network itself; it returns when that is on disk.
func (c *Centre) Send(ctx context.Context, t Text) error {
	box := phoneBox(t.To.IMSI)
	if t.To.IMSI.IsZero() {
		r, err := c.find(ctx, sms.FromMSISDN(t.To.MSISDN))
		if err != nil {
			return err
		}
		box = r.box
	}
	if t.Key == (Key{}) {
		t.Key = newKey()
	}
	k := &mark{Of: fmt.Sprintf("/k%v", t.Key), Body: digest([]byte(t.Text)), Lasts: true}
	_, err := c.once(ctx, k, false, func(context.Context) error {
		drafts, err := c.split(box, t)
		if err != nil {
			return err
		}
		return c.keep(k, drafts...)
	})
	return err
}

// reply makes the answer of a short code. The code is the sender that is shown.
func (c *Centre) reply(to Sender, code sms.Address, text string) ([]draft, error) {
	if text == "" {
		return nil, nil
	}
	return c.split(phoneBox(to.IMSI), Text{From: code, Text: text, Key: newKey()})
}

// split makes the messages of a text.
func (c *Centre) split(box boxID, t Text) ([]draft, error) {
	if len(t.Text) > maxText {
		return nil, refuse(sms.RPCauseSemanticallyIncorrect, sms.FailureTPDU, fmt.Sprintf("the text has %d octets, more than %d", len(t.Text), maxText))
	}
	c.mu.Lock()
	b := c.box(box)
	b.parts++
	ref := b.parts
	c.mu.Unlock()
	parts, err := sms.Split(t.Text, sms.SplitOptions{Reference: uint16(ref), National: c.o.National, Class: t.Class})
	if err != nil {
		return nil, refuse(sms.RPCauseSemanticallyIncorrect, sms.FailureTPDU, err.Error())
	}
	validity := c.o.Limits.Validity
	if t.Validity > 0 {
		validity = min(t.Validity, c.o.Limits.MaxValidity)
	}
	begins := time.Now()
	if t.NotBefore.After(begins) {
		begins = t.NotBefore
	}
	var drafts []draft
	for i, p := range parts {
		m := &message{Key: partKey(t.Key, i), Box: box, Priority: t.Priority, Expires: begins.Add(validity).Unix() + 1}
		if begins == t.NotBefore {
			m.NotBefore = begins.Unix()
		}
		drafts = append(drafts, draft{m, func(m *message) sms.TPDU {
			return &sms.Deliver{Originator: t.From, DCS: p.DCS, Timestamp: c.stamp(m.Stamp), User: p.User}
		}})
	}
	return drafts, nil
}

// forTrunk makes an SMS-SUBMIT of what was to be an SMS-DELIVER.
func (d *draft) forTrunk(to sms.Address) {
	deliver := d.content
	d.content = func(m *message) sms.TPDU {
		p := deliver(m).(*sms.Deliver).Part()
		return &sms.Submit{Destination: to, DCS: p.DCS, User: p.User}
	}
}

// partKey is the key of a part of a text.
func partKey(k Key, part int) Key {
	if part == 0 {
		return k
	}
	d := sha256.Sum256(append(k[:], byte(part)))
	return Key(d[:16])
}

// TextOf gives who sent a message and what it says, for an app that is sent texts;
// false: there is no text in it, such as in a status report.
func TextOf(d Delivery) (from sms.Address, text string, ok bool) {
	t, err := d.Data.TPDU()
	if err != nil {
		return sms.Address{}, "", false
	}
	m, ok := t.(*sms.Deliver)
	if !ok {
		return sms.Address{}, "", false
	}
	text, err = m.User.Text(m.DCS)
	return m.Originator, text, err == nil
}
