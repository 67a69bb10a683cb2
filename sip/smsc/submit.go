package smsc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"campanile.network/3gpp/sms"
	"campanile.network/internal/vault"
)

// Submit takes what a phone sends: an *sms.RPData with an SMS-SUBMIT or
// SMS-COMMAND, or an *sms.RPSMMA. It answers with an *sms.RPAck, whose
// SMS-SUBMIT-REPORT has the time stamp, when the message is on disk, or with an
// *sms.RPError, downlink; the reference is for the caller to fill in. An error
// says that the centre cannot tell, and the phone is to be told cause #38, network
// out of order. When ctx ends first, what was begun goes on, and the phone's
// repetition gets its result.
func (c *Centre) Submit(ctx context.Context, from Sender, m sms.RP) (sms.RP, error) {
	switch m := m.(type) {
	case *sms.RPSMMA:
		c.Ready(from.IMSI)
		return &sms.RPAck{Direction: sms.Downlink}, nil
	case *sms.RPData:
		stamp, err := c.take(ctx, from, m)
		return c.answer(from, stamp, err)
	}
	return &sms.RPError{Direction: sms.Downlink, Cause: sms.RPCauseMessageTypeNonExistent}, nil
}

// answer makes a report of what became of a submission.
func (c *Centre) answer(from Sender, stamp int64, err error) (sms.RP, error) {
	no, refused := errors.AsType[*Refused](err)
	c.noteTaken(from, no, err)
	switch {
	case refused:
		e := &sms.RPError{Direction: sms.Downlink, Cause: no.Cause}
		if no.FCS.OK {
			e.User, err = sms.Append(nil, &sms.SubmitReport{Failure: no.FCS, Timestamp: c.stamp(time.Now().Unix())})
		} else {
			err = nil
		}
		return e, err
	case err != nil:
		return nil, err
	}
	report, err := sms.Append(nil, &sms.SubmitReport{Timestamp: c.stamp(stamp)})
	return &sms.RPAck{Direction: sms.Downlink, User: report}, err
}

func (c *Centre) stamp(unix int64) sms.Timestamp {
	return sms.NewTimestamp(time.Unix(unix, 0).In(c.o.Zone))
}

// take gives the time stamp of what was taken.
func (c *Centre) take(ctx context.Context, from Sender, m *sms.RPData) (int64, error) {
	tpdu, err := m.TPDU()
	if e, broken := errors.AsType[*sms.Error](err); broken {
		return 0, refuse(e.RP, e.FCS, e.Error())
	} else if err != nil {
		return 0, err
	}
	box := phoneBox(from.IMSI)
	k := &mark{Ref: m.Reference, Body: digest(m.User)}
	switch t := tpdu.(type) {
	case *sms.Submit:
		plain := *t // a repetition has TP-RD, TS 23.040 §9.2.3.25
		plain.RejectDuplicates = false
		if body, err := sms.Append(nil, &plain); err == nil {
			k.Body = digest(body)
		}
		k.Of = fmt.Sprintf("%s/%d", box, t.Reference)
		return c.once(ctx, k, t.RejectDuplicates, func(ctx context.Context) error { return c.submitted(ctx, from, t, k) })
	case *sms.Command:
		k.Of = fmt.Sprintf("%s/c%d", box, t.Reference)
		return c.once(ctx, k, false, func(ctx context.Context) error { return c.command(ctx, from, t, k) })
	}
	return 0, refuse(sms.RPCauseSemanticallyIncorrect, sms.FailureUnspecified, fmt.Sprintf("a phone does not send %v", tpdu.MessageType()))
}

// submitted is an SMS-SUBMIT on its way into the store.
func (c *Centre) submitted(ctx context.Context, from Sender, s *sms.Submit, k *mark) error {
	if err := c.admit(from, 1, s.PID); err != nil {
		return err
	}
	now := time.Now()
	expires, err := c.deadline(now, s.Validity)
	if err != nil {
		return err
	}
	if from, err = c.identify(ctx, from); err != nil {
		return err
	}
	r, err := c.route(ctx, from, s.Destination, func() (string, error) { return s.User.Text(s.DCS) })
	if err != nil {
		return err
	}
	if r.answered {
		return c.keep(k, r.answer...)
	}
	m := &message{Key: newKey(), Box: r.box, From: phoneBox(from.IMSI), Number: from.MSISDN.Digits(), MR: s.Reference, Dest: rawAddress(s.Destination), Report: s.StatusReport,
		Once: s.Validity.SingleShot(), Expires: expires}
	if h, ok := s.User.Header(); ok && s.StatusReport {
		m.Wants, _ = h.SMSCControl()
	}
	origin := sms.FromMSISDN(from.MSISDN)
	if n, ok := s.PID.Replaces(); ok {
		m.Replaces = fmt.Sprintf("%s/%d", origin.Number(), n)
	}
	content := func(m *message) sms.TPDU {
		return &sms.Deliver{StatusReport: s.StatusReport, ReplyPath: s.ReplyPath, Originator: origin, PID: s.PID, DCS: s.DCS, Timestamp: c.stamp(m.Stamp),
			User: s.User}
	}
	if _, ours := r.box.imsi(); !ours {
		content = func(*message) sms.TPDU { return s }
	}
	return c.keep(k, draft{m, content})
}

// admit says whether a sender may send n messages.
func (c *Centre) admit(from Sender, n int, p sms.PID) error {
	switch {
	case c.o.Barred != nil && c.o.Barred(from):
		return refuse(sms.RPCauseOperatorDeterminedBarring, sms.FailureBarred, "the sender is barred")
	case !forPhones(p):
		return refuse(sms.RPCauseFacilityRejected, sms.FailurePID, fmt.Sprintf("%v is not for phones to send", p))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.allow(phoneBox(from.IMSI), n) {
		return refuse(sms.RPCauseCongestion, sms.FailureBusy, "the sender sends too much")
	}
	return nil
}

// forPhones says whether a phone may send this to another. What a phone obeys
// without showing it, such as what is for its SIM card, is for the network alone.
func forPhones(p sms.PID) bool {
	return p != sms.PIDType0 && p != sms.PIDDeviceTrig && p < sms.PIDANSI136
}

// deadline is until when a message is tried to be delivered.
func (c *Centre) deadline(now time.Time, v sms.Validity) (int64, error) {
	l := c.o.Limits
	until, said := v.Deadline(now)
	if !said {
		until = now.Add(l.Validity)
	}
	if !until.After(now) {
		return 0, refuse(sms.RPCauseSemanticallyIncorrect, sms.FailureVP, "the validity is over already")
	}
	if latest := now.Add(l.MaxValidity); until.After(latest) {
		until = latest
	}
	return until.Unix() + 1, nil
}

// draft is a message that is to be kept, and how what is sent is made when its time
// stamp is known.
type draft struct {
	*message
	content func(*message) sms.TPDU
}

// keep puts messages and a sender's mark on disk, all or none, and in their boxes.
// It gives the mark the first message's time stamp.
func (c *Centre) keep(k *mark, drafts ...draft) error {
	now := time.Now()
	if err := c.reserve(now, drafts); err != nil {
		return err
	}
	kept := false
	defer func() {
		if !kept {
			c.release(drafts)
		}
	}()
	if k != nil {
		k.Stamp = now.Unix()
		if len(drafts) > 0 {
			k.Stamp = drafts[0].Stamp
		}
	}
	var writes []vault.Write
	for _, d := range drafts {
		var err error
		if d.TPDU, err = sms.Append(nil, d.content(d.message)); err != nil {
			return refuse(sms.RPCauseProtocolError, sms.FailureTPDU, err.Error())
		}
		writes = append(writes, d.write())
	}
	if k != nil {
		writes = append(writes, k.write())
	}
	if err := c.store.Apply(c.disk, writes); err != nil {
		return err
	}
	kept = true
	c.enter(drafts)
	return nil
}

// reserve takes places, time stamps and numbers for messages.
func (c *Centre) reserve(now time.Time, drafts []draft) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting+len(drafts) > c.o.Limits.Total {
		return refuse(sms.RPCauseCongestion, sms.FailureSystem, "the store is full")
	}
	places := map[boxID]int{}
	for _, d := range drafts {
		places[d.Box]++
	}
	for id, n := range places {
		if err := c.box(id).room(now, n, c.o.Limits.PerPhone); err != nil {
			return err
		}
	}
	for _, d := range drafts {
		b := c.box(d.Box)
		if !d.IsReport {
			d.Stamp = b.nextStamp(now)
			b.stamp = d.Stamp
		}
		c.seq++
		d.Seq = c.seq
		b.coming++
		c.waiting++
	}
	return nil
}

// release gives back the places of what was not kept.
func (c *Centre) release(drafts []draft) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, d := range drafts {
		c.box(d.Box).coming--
		c.waiting--
	}
}

// enter puts what is on disk in its boxes.
func (c *Centre) enter(drafts []draft) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, d := range drafts {
		b := c.box(d.Box)
		b.coming--
		if old := b.replaceable(d.message); old != nil {
			old.over = true
			c.spawn(func() { c.finish(old, sms.StatusReplaced) })
		}
		b.add(d.message)
		c.kick(b)
	}
	c.count.Kept += uint64(len(drafts))
}
