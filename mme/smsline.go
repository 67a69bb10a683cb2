package mme

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/sms"
)

// texting is the short messages of a connection, of which a phone and the network
// each have one under way at most (TS 24.011 §2.2). It is the connection's
// goroutine's.
type texting struct {
	waiting *delivery // for the phone, until the connection is at rest
	mo, mt  *smsLine
	lastMT  uint8 // the value of the last transaction identifier of the network's
}

// smsLine is a CP connection (TS 24.011 §5): the goroutine of its transaction says
// what is to be sent, the phone's sends it.
type smsLine struct {
	c   *conn
	ti  sms.TI      // of what this side sends
	in  chan sms.CP // what the phone sends under it
	cut context.Context
	end context.CancelFunc

	u      *ue
	sender Sender

	// Of the connection's goroutine.
	dead     bool        // nothing more is sent
	first    *sms.CPData // the phone's, which began it
	answered bool        // by a CP-DATA
}

// smsOut is a CP message to be sent on a connection.
type smsOut struct {
	line *smsLine
	m    sms.CP
}

// Reasons for which a CP connection ends without the phone's answer.
var (
	errLineCut   = errors.New("the connection with the phone ended before the short message was acknowledged")
	errLineEnded = errors.New("the connection with the phone ended before it answered")
)

func (c *conn) newLine(ti sms.TI) *smsLine {
	l := &smsLine{c: c, ti: ti, in: make(chan sms.CP, 8), u: c.ue, sender: Sender{IMSI: c.ue.imsi}}
	if lease := c.ue.lease; lease != nil {
		l.sender.MSISDN = lease.profile.MSISDN
	}
	l.cut, l.end = context.WithCancel(c.m.ctx)
	return l
}

// terminating is a line for a short message to the phone.
func (c *conn) terminating() *smsLine {
	if former := c.sms.mt; former != nil { // whom it was for may have given up before it came
		former.end()
	}
	c.sms.lastMT = (c.sms.lastMT + 1) % 7
	c.sms.mt = c.newLine(sms.TI{Value: c.sms.lastMT})
	return c.sms.mt
}

// cutLines ends the transactions under way: their NAS signalling connection is no
// more (TS 24.011 §5.3.2.2, lower layer failure).
func (c *conn) cutLines() {
	for _, l := range []*smsLine{c.sms.mo, c.sms.mt} {
		if l != nil {
			l.dead = true
			l.end()
		}
	}
	c.sms.mo, c.sms.mt = nil, nil
}

// uplinkSMS takes an Uplink NAS Transport: a CP message goes to its transaction,
// or begins one (TS 24.011 §5.3, §9.2).
func (c *conn) uplinkSMS(m *eps.UplinkNASTransport) error {
	if c.m.o.Messages == nil || !c.ue.registered || c.ue.guest { // nobody knows who a guest is
		return c.status(inbound{nas: m})
	}
	cp, err := sms.ParseCP(m.Container)
	if err != nil {
		c.m.count.drop(dropSMS)
		if e, ok := errors.AsType[*sms.Error](err); ok {
			if answer, ok := e.Answer().(sms.CP); ok {
				return c.sendCP(answer)
			}
		}
		return nil
	}
	ti := tiOf(cp)
	data, isData := cp.(*sms.CPData)
	switch l := c.lineOf(ti); {
	case ti.Value == 7: // reserved
	case l != nil && l.answered && isData && !bytes.Equal(data.User, l.first.User):
		c.originating(data) // under the same identifier: its CP-ACK was lost
		return nil
	case l != nil:
		if l.answered && !isData {
			c.sms.mo = nil // its identifier is free
		}
		select {
		case l.in <- cp:
			return nil
		default: // a transaction reads faster than any phone sends
		}
	case isData && !ti.Flag:
		c.originating(data)
		return nil
	case isData && ti.Value == c.sms.lastMT: // our last CP-ACK is lost (TS 24.011 §5.3.2.1)
		return c.sendCP(&sms.CPAck{TI: ti.Reply()})
	case isData: // TS 24.011 §9.2.2
		c.m.count.drop(dropSMS)
		return c.sendCP(&sms.CPError{TI: ti.Reply(), Cause: sms.CPCauseInvalidTI})
	}
	c.m.count.drop(dropSMS)
	return nil
}

// originating begins a transaction of the phone's. Another one of it is done with:
// it has got its answer, and this says so (TS 24.011 §5.4), or is given up.
func (c *conn) originating(first *sms.CPData) {
	if c.sms.mo != nil {
		select {
		case c.sms.mo.in <- &sms.CPAck{TI: first.TI}:
		default:
		}
	}
	l := c.newLine(first.TI.Reply())
	c.sms.mo, l.first = l, first
	if !c.m.spawn(func() { defer l.end(); l.originate() }) {
		l.end()
	}
}

func tiOf(m sms.CP) sms.TI {
	switch m := m.(type) {
	case *sms.CPData:
		return m.TI
	case *sms.CPAck:
		return m.TI
	case *sms.CPError:
		return m.TI
	}
	return sms.TI{}
}

// lineOf gives the transaction that a phone's message belongs to.
func (c *conn) lineOf(ti sms.TI) *smsLine {
	for _, l := range []*smsLine{c.sms.mo, c.sms.mt} {
		if l != nil && l.ti == ti.Reply() && l.cut.Err() == nil {
			return l
		}
	}
	return nil
}

// sendCP sends a CP message in a Downlink NAS Transport (TS 24.301 §5.6.3.3).
func (c *conn) sendCP(m sms.CP) error {
	b, err := sms.Append(nil, m)
	if err != nil {
		c.m.log.Error("short message not encoded", "err", err)
		return nil
	}
	return c.send(&eps.DownlinkNASTransport{Container: b})
}

// sendLine sends what a transaction wants sent, if it is one of this connection's.
func (c *conn) sendLine(o smsOut) error {
	if o.line.dead || !c.secured {
		return nil
	}
	_, isData := o.m.(*sms.CPData)
	o.line.answered = o.line.answered || isData && o.line.first != nil
	return c.sendCP(o.m)
}

func (l *smsLine) send(m sms.CP) { l.c.in.put(inbound{msg: smsOut{l, m}}, true) }

// next gives the phone's next message; errTimer, errLineEnded.
func (l *smsLine) next(ctx context.Context, timer <-chan time.Time) (sms.CP, error) {
	select {
	case m := <-l.in:
		return m, nil
	case <-timer:
		return nil, errTimer
	case <-l.cut.Done():
		return nil, errLineEnded
	case <-l.c.done:
		return nil, errLineEnded
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// deliver sends a CP-DATA until it is acknowledged (TS 24.011 §5.3.2.1, TC1*). A
// CP-DATA of the phone acknowledges, too, and is given.
func (l *smsLine) deliver(ctx context.Context, user []byte) (*sms.CPData, error) {
	for range tc1.sends {
		l.send(&sms.CPData{TI: l.ti, User: user})
		t := time.NewTimer(tc1.wait)
		m, err := l.acknowledged(ctx, t.C)
		t.Stop()
		if err != errTimer {
			return m, err
		}
	}
	return nil, fmt.Errorf("%w: %s expired %d times", errNoAnswer, tc1.name, tc1.sends)
}

func (l *smsLine) acknowledged(ctx context.Context, timer <-chan time.Time) (*sms.CPData, error) {
	m, err := l.next(ctx, timer)
	switch m := m.(type) {
	case *sms.CPData:
		return m, nil
	case *sms.CPError:
		return nil, fmt.Errorf("CP-ERROR: %v", m.Cause)
	}
	return nil, err
}

// terminate is a short message to the phone (TS 24.011 §5.3.1, §6.3.1): CP-DATA
// with RP-DATA, CP-ACK, CP-DATA with RP-ACK or RP-ERROR, CP-ACK.
func (l *smsLine) terminate(ctx context.Context, data sms.RPData) (sms.RP, error) {
	data.Reference = l.reference()
	user, err := sms.Append(nil, &data)
	if err != nil {
		return nil, err
	}
	tr1n := time.NewTimer(tr1nWait)
	defer tr1n.Stop()
	m, err := l.deliver(ctx, user)
	if errors.Is(err, errLineEnded) {
		return nil, errLineCut
	}
	for err == nil {
		if m != nil {
			l.send(&sms.CPAck{TI: l.ti})
			if answer, is := l.answers(m, data.Reference); is {
				return answer, nil
			}
		}
		m, err = l.acknowledged(ctx, tr1n.C)
	}
	if errors.Is(err, errTimer) { // TS 24.011 §6.3.3.1.2
		err = fmt.Errorf("%w: TR1N expired", errNoAnswer)
		l.send(&sms.CPError{TI: l.ti, Cause: sms.CPCauseProtocolError})
	}
	return nil, err
}

// reference is the RP message reference of a message to the phone: one of a few
// that differ between messages that follow each other.
func (l *smsLine) reference() uint8 { return l.ti.Value }

// answers gives the RP-ACK or RP-ERROR to a message of ours; false: the CP-DATA
// holds none, and is ignored or answered (TS 24.011 §9.3).
func (l *smsLine) answers(m *sms.CPData, ref uint8) (sms.RP, bool) {
	rp, err := m.RP()
	if e, ok := errors.AsType[*sms.Error](err); ok {
		l.c.m.count.drop(dropSMS)
		if e.Reference == ref { // the phone has said something of our message
			return &sms.RPError{Direction: sms.Uplink, Reference: ref, Cause: sms.RPCauseProtocolError}, true
		}
		return nil, false
	}
	switch rp := rp.(type) {
	case *sms.RPAck:
		if rp.Reference == ref {
			return rp, true
		}
	case *sms.RPError:
		if rp.Reference == ref {
			return rp, true
		}
	}
	l.c.m.count.drop(dropSMS)
	return nil, false
}

// originate is a short message, or word of memory, from the phone (TS 24.011
// §5.3.1, §6.3.2, §6.3.3): CP-ACK, the centre's answer in a CP-DATA, CP-ACK.
func (l *smsLine) originate() {
	l.send(&sms.CPAck{TI: l.ti})
	m := l.c.m
	rp, err := l.first.RP()
	if err != nil {
		m.count.drop(dropSMS)
		if e, ok := errors.AsType[*sms.Error](err); ok {
			if answer, ok := e.Answer().(*sms.RPError); ok {
				_ = l.reply(answer)
			}
		}
		return
	}
	var ref uint8
	switch rp := rp.(type) {
	case *sms.RPData:
		ref = rp.Reference
	case *sms.RPSMMA:
		ref = rp.Reference
	case *sms.RPAck: // of nothing this network sent (TS 24.011 §9.3.2)
		m.count.drop(dropSMS)
		_ = l.reply(&sms.RPError{Reference: rp.Reference, Cause: sms.RPCauseInvalidReference})
		return
	default:
		m.count.drop(dropSMS)
		return
	}
	began := time.Now()
	answer, err := l.submit(rp)
	switch a := answer.(type) {
	case *sms.RPError:
		a.Reference = ref
	case *sms.RPAck:
		a.Reference = ref
	}
	if err == nil {
		err = l.reply(answer)
	}
	m.reportSMS("short message from phone", l.u, began, answer, err)
}

func (l *smsLine) reply(rp sms.RP) error {
	switch a := rp.(type) {
	case *sms.RPError:
		a.Direction = sms.Downlink
	case *sms.RPAck:
		a.Direction = sms.Downlink
	}
	user, err := sms.Append(nil, rp)
	if err != nil {
		return err
	}
	_, err = l.deliver(l.cut, user)
	return err
}

// submit asks the centre, for as long as the phone waits; a phone that repeats
// itself has not got the CP-ACK.
func (l *smsLine) submit(rp sms.RP) (sms.RP, error) {
	m := l.c.m
	ctx, cancel := context.WithTimeout(l.cut, tr2nWait)
	defer cancel()
	type result struct {
		rp  sms.RP
		err error
	}
	ch := make(chan result, 1)
	go func() {
		answer, err := m.o.Messages.Submit(ctx, l.sender, rp)
		ch <- result{answer, err}
	}()
	var r result
	givenUp := false
	for waiting := true; waiting; {
		select {
		case r = <-ch:
			waiting = false
		case again := <-l.in:
			if d, ok := again.(*sms.CPData); ok && bytes.Equal(d.User, l.first.User) {
				l.send(&sms.CPAck{TI: l.ti})
			} else {
				givenUp = true
				cancel()
			}
		}
	}
	if givenUp || l.cut.Err() != nil {
		return nil, errLineEnded
	}
	switch a := r.rp.(type) {
	case nil:
		if r.err == nil {
			return &sms.RPAck{}, nil
		}
	case *sms.RPAck, *sms.RPError:
		if r.err == nil {
			return a, nil
		}
	default:
		r.err = fmt.Errorf("the centre answers with %T", a)
	}
	m.log.Warn("message centre failed", "err", r.err)
	return &sms.RPError{Cause: sms.RPCauseNetworkOutOfOrder}, nil
}
