package mme

import (
	"context"
	"errors"
	"fmt"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/sms"
)

// Messages is a message centre, which takes the short messages of phones (SMS
// over NAS, TS 24.301 §5.6.3; SMS in MME, TS 23.272 §C). What it has for phones it
// gives to MME.DeliverSMS. Its methods are called by several goroutines.
type Messages interface {
	// Submit takes what a phone sends, an *sms.RPData with a TPDU or an
	// *sms.RPSMMA: the phone has memory again. Its answer is an *sms.RPAck or
	// *sms.RPError, whose direction and reference the MME fills in; nil acknowledges
	// without a report. An error tells the phone cause #38, network out of order,
	// and does not reach it. ctx ends when the phone waits no more.
	Submit(ctx context.Context, from Sender, m sms.RP) (sms.RP, error)
	// Ready says that a phone takes short messages: after each attach for them, and
	// when one comes that a DeliverSMS did not find (TS 23.040 §3.2.8). It does not
	// block.
	Ready(imsi id.IMSI)
}

// Sender is the phone that a short message comes from.
type Sender struct {
	IMSI   id.IMSI
	MSISDN id.MSISDN // as its home says; zero: none
}

// Reasons for which DeliverSMS did not bring a short message to its phone. All
// but ErrNoSMS may be gone by the next time; a phone that was absent, or not
// registered but known, is announced by Messages.Ready.
var (
	ErrAbsent = errors.New("mme: the phone does not answer")
	ErrNoSMS  = errors.New("mme: the phone has not asked for short messages (TS 24.301 §5.5.1.3)")
)

// delivery is a short message for a phone, until the phone's connection can take
// it.
type delivery struct {
	line chan *smsLine // gets one when it can
	fail chan error    // or why it cannot
}

func (d *delivery) failed(why error) {
	select {
	case d.fail <- why:
	default: // told already
	}
}

// waitIn puts d in a place where a message waits; one whose turn is over leaves it.
func (d *delivery) waitIn(place **delivery) {
	if *place != nil {
		(*place).failed(ErrAbsent)
	}
	*place = d
}

// smsWaiting says that there is a short message for the phone.
type smsWaiting struct{ *delivery }

// deliveries is how often a short message is sent to a phone whose connection
// ended before it was acknowledged.
const deliveries = 2

// DeliverSMS brings a short message to a phone, which is paged if it is idle, and
// gives the phone's answer, an *sms.RPAck or *sms.RPError. An error says that
// there is none: ErrNotRegistered, ErrAbsent, ErrNoSMS, ctx's, or that the phone
// did not answer as TS 24.011 wants it, when it may have the message all the same.
// m.Reference is the MME's. Several messages for a phone wait for each other.
func (m *MME) DeliverSMS(ctx context.Context, imsi id.IMSI, data sms.RPData) (answer sms.RP, err error) {
	if m.o.Messages == nil {
		return nil, errors.New("mme: Options.Messages is nil: phones are told that there are no short messages")
	}
	u, turn := m.known.texting(imsi)
	if u == nil {
		return nil, ErrNotRegistered
	}
	began := time.Now()
	select {
	case turn <- struct{}{}:
		defer func() { <-turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-m.leaving.Done():
		return nil, errStopping
	}
	data.Direction = sms.Downlink
	for range deliveries {
		var l *smsLine
		if l, err = m.contact(ctx, u); err != nil {
			break
		}
		answer, err = l.terminate(ctx, data)
		l.end()
		if !errors.Is(err, errLineCut) {
			break
		}
	}
	m.reportSMS("short message to phone", u, began, answer, err)
	return answer, err
}

// texting finds a phone, and whose turn it is to send it a short message.
func (r *registry) texting(imsi id.IMSI) (*ue, chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	u := r.byIMSI[imsi]
	if u == nil {
		return nil, nil
	}
	if u.smsTurn == nil {
		u.smsTurn = make(chan struct{}, 1)
	}
	return u, u.smsTurn
}

// setTexts notes whether a phone takes short messages.
func (r *registry) setTexts(u *ue, v bool) {
	r.mu.Lock()
	u.texts = v
	r.mu.Unlock()
}

// contact gives a connection with the phone by which it can be sent a short
// message.
func (m *MME) contact(ctx context.Context, u *ue) (*smsLine, error) {
	d := &delivery{line: make(chan *smsLine, 1), fail: make(chan error, 1)}
	m.announce(u, d)
	select {
	case l := <-d.line:
		return l, nil
	case err := <-d.fail:
		return nil, err
	case <-ctx.Done():
		m.known.mu.Lock()
		if u.sms == d {
			u.sms = nil
		}
		m.known.mu.Unlock()
		return nil, ctx.Err()
	case <-m.leaving.Done():
		return nil, errStopping
	}
}

// announce tells the phone's owner of a short message, or pages for it.
func (m *MME) announce(u *ue, d *delivery) {
	m.known.mu.Lock()
	if now := m.known.byIMSI[u.imsi]; now != nil {
		u = now // it has attached anew
	}
	owner, reason := u.owner, error(nil)
	switch {
	case !u.registered && owner == nil:
		u.alert, reason = true, ErrNotRegistered
	case u.registered && !u.texts:
		reason = ErrNoSMS
	case owner == nil:
		d.waitIn(&u.sms)
	}
	m.known.mu.Unlock()
	switch {
	case reason != nil:
		d.failed(reason)
	case owner != nil:
		if owner.in.put(inbound{msg: smsWaiting{d}}, true) == putClosed {
			<-owner.done // it has parked the phone by now or is about to
			m.announce(u, d)
		}
	case !m.reach(u, false):
		m.absent(u)
	}
}

// absent ends the delivery to an idle phone that has not come.
func (m *MME) absent(u *ue) {
	m.known.mu.Lock()
	d := u.sms
	u.sms = nil
	if d != nil {
		u.alert = true
	}
	m.known.mu.Unlock()
	if d != nil {
		d.failed(ErrAbsent)
	}
}

// ready tells the message centre that the phone is there, if it is to know.
func (c *conn) ready() {
	if centre := c.m.o.Messages; c.alert && c.ue.registered && c.ue.texts && centre != nil {
		c.alert = false
		centre.Ready(c.ue.imsi)
	}
}

// messages sends what waits for a phone that is at rest.
func (c *conn) messages() {
	c.ready()
	if d := c.sms.waiting; d != nil && (c.standing() || !c.ue.registered) {
		c.sms.waiting = nil
		switch {
		case !c.ue.registered:
			d.failed(ErrNotRegistered)
		case !c.ue.texts:
			d.failed(ErrNoSMS)
		default:
			d.line <- c.terminating()
		}
	}
}

// nonEPS answers the wish for services besides EPS in a combined attach or
// update. With a message centre the phone is told "SMS only" and a location area
// that no cell has, and no TMSI: it sends short messages over NAS and looks for
// calls elsewhere, if anywhere (TS 24.301 §5.5.1.3.4.2, §5.5.3.3.4.2, TS 23.272
// §C.4). Without one, or for nobody's wish, it has EPS services only.
func (c *conn) nonEPS(combined bool) (lai eps.Opt[eps.LAI], result eps.Opt[eps.AdditionalUpdateResult], cause eps.Opt[eps.EMMCause]) {
	texts := combined && c.m.o.Messages != nil
	c.alert = c.alert || texts && !c.ue.texts
	c.m.known.setTexts(c.ue, texts)
	switch {
	case texts:
		return eps.Some(eps.LAI{PLMN: c.gummei().PLMN, LAC: c.m.o.LAC}), eps.Some(eps.AdditionalUpdateResultSMSOnly), cause
	case combined: // TS 24.301 §5.5.1.3.4.3, §5.5.3.3.4.3
		cause = eps.Some(eps.EMMCauseCSDomainNotAvailable)
	}
	return lai, result, cause
}

// reportSMS is the line, count and event of a short message's end.
func (m *MME) reportSMS(name string, u *ue, began time.Time, answer sms.RP, err error) {
	cause := ""
	if e, ok := answer.(*sms.RPError); ok && err == nil {
		cause, err = fmt.Sprintf("RP cause #%d", uint8(e.Cause)), fmt.Errorf("refused: %v", e.Cause)
	} else if err != nil {
		cause = "not delivered"
	}
	done := ProcedureDone{Procedure: name, Duration: time.Since(began), UE: u.show(nil), Cause: cause}
	log := m.log.With("procedure", name, "imsi", done.UE.IMSI, "took", done.Duration)
	if err == nil {
		log.Info("procedure done")
	} else {
		done.Err = err.Error()
		log.Info("procedure failed", "cause", cause, "err", err)
	}
	m.count.begins(name)
	m.count.procedure(name, cause)
	m.done(u, done)
}
