package calls

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"campanile.network/sip/media"
	"campanile.network/wire/sip"
	"campanile.network/wire/sip/txn"
)

// call is one call; all but inbox and shown is its goroutine's.
type call struct {
	w      *Switch
	key    string
	inbox  inbox
	shown  atomic.Pointer[Record]
	record Record

	invite   *txn.Server
	legs     [2]*leg // the called one's once somebody has answered
	branches []*sent // INVITEs that went out for this call
	dialled  Dialled
	holds    []func()

	media   Session
	events  <-chan media.Event
	timer   *time.Timer
	alarms  [alarms]time.Time
	stop    <-chan struct{}
	talking bool // the caller has the answer and has said so
	early   bool // the caller has been given a description before the answer
}

// alarm is what a time that comes is for.
type alarm uint8

const (
	alarmAnswer   alarm = iota // a phone has rung for long enough
	alarmPatience              // a way has not said a word
	alarmLength                // a call has been long enough
	alarmCount                 // voice is due to be counted
	alarmReoffer               // a re-INVITE of ours takes too long
	alarmRefresh0              // a session timer of leg 0 wants a refresh
	alarmRefresh1
	alarmExpire0 // the peer has not refreshed it
	alarmExpire1
	alarms
)

// ended is why a call ends: the error of every procedure here.
type ended struct {
	why     string // one of few, for counts and logs
	status  int    // for a caller who has no answer yet
	cause   Cause
	by      int // the leg that ended it, or nobody
	warning string
	retry   int          // seconds
	answer  *sip.Message // in place of one made of these
	told    bool         // the caller has been answered already
}

const nobody = -1

// gatewayStops is why the calls of a switch end that is told to end.
const gatewayStops = "gateway stops"

func (e *ended) Error() string { return e.why }

// refuse ends a call with a status by the gateway's own doing.
func refuse(status int, why string) *ended {
	return &ended{why: why, status: status, cause: CauseOf(status), by: nobody}
}

func newCall(w *Switch, s *txn.Server, key string) *call {
	m := s.Request
	c := &call{w: w, key: key, invite: s, stop: w.stop, inbox: inbox{wake: make(chan struct{}, 1)}}
	c.record = Record{ID: newTag()[:12], Start: time.Now()}
	a := &leg{call: c, callID: m.CallID, tag: newTag(), peerTag: m.From.Tag(), local: m.To, remote: m.From,
		way: txn.To(s.From), peerSeq: m.CSeq.Seq, route: m.RecordRoute, offers: true}
	a.local.Params.Set("tag", a.tag)
	a.adopt(m)
	c.legs[0] = a
	c.show()
	s.OnCancel(func() { c.inbox.put(event{kind: cancelled, leg: a}) })
	return c
}

// show lets others see how the call stands.
func (c *call) show() {
	r := c.record
	r.Caller.Stays, r.Called.Stays = slices.Clone(r.Caller.Stays), slices.Clone(r.Called.Stays)
	c.shown.Store(&r)
}

// run is the call from its INVITE to its end.
func (c *call) run() {
	c.timer = time.NewTimer(time.Hour)
	defer c.timer.Stop()
	c.end(c.carry())
}

// carry is a call, as it goes when nothing comes in between.
func (c *call) carry() error {
	if err := c.identify(); err != nil {
		return err
	}
	ways, err := c.route()
	if err != nil {
		return err
	}
	if err := c.open(ways); err != nil {
		return err
	}
	won, answer, err := c.ring(ways)
	if err != nil {
		return err
	}
	if err := c.answer(won, answer); err != nil {
		return err
	}
	return c.talk()
}

// next waits for whatever happens next.
func (c *call) next() event {
	for {
		if e, ok := c.inbox.take(); ok {
			return e
		}
		what, at := c.earliest()
		if at.IsZero() {
			c.timer.Stop()
		} else {
			c.timer.Reset(time.Until(at))
		}
		select {
		case <-c.inbox.wake:
		case <-c.timer.C:
			c.alarms[what] = time.Time{}
			return event{kind: ofAlarm, alarm: what}
		case e, ok := <-c.events:
			if !ok {
				c.events = nil
				return event{kind: stopped}
			}
			if e.Leg == 0 || c.legs[1] != nil {
				return event{kind: ofMedia, leg: c.legs[e.Leg], media: e}
			}
		case <-c.stop:
			c.stop = nil
			return event{kind: stopped}
		}
	}
}

// earliest is the alarm that comes first; the zero time: none.
func (c *call) earliest() (what alarm, at time.Time) {
	for i, t := range c.alarms {
		if !t.IsZero() && (at.IsZero() || t.Before(at)) {
			what, at = alarm(i), t
		}
	}
	return what, at
}

// alarmIn sets an alarm; 0 takes it away.
func (c *call) alarmIn(what alarm, d time.Duration) {
	c.alarms[what] = time.Time{}
	if d > 0 {
		c.alarms[what] = time.Now().Add(d)
	}
}

// interrupt is what every wait does with events that are not its own. Its
// errors end the call.
func (c *call) interrupt(e event) error {
	switch e.kind {
	case ofPeer:
		if e.server != nil {
			return c.asked(e.leg, e.server)
		}
		return c.answered(e)
	case ofMedia:
		return c.heard(e)
	case ofAlarm:
		return c.alarm(e.alarm)
	case cancelled:
		e := &ended{why: "cancelled", status: 487, cause: CauseNormal, by: 0}
		if c.legs[0].established { // it met the answer: he may wait for our BYE
			e.by = nobody
		}
		return e
	case acked:
		e.leg.serving = nil
	case unacked:
		e.leg.serving = nil
		return &ended{why: "no ACK", status: 500, cause: CauseTimer, by: nobody}
	case stopped:
		return refuse(503, gatewayStops)
	}
	return nil
}

// answered takes the answer to a request that no procedure waits for.
func (c *call) answered(e event) error {
	t := e.sent
	if e.answer != nil && e.answer.Status < 200 {
		return nil
	}
	if t.leg.inviting == t {
		t.leg.inviting = nil
	}
	if t.abandoned || t.leg != c.legs[0] && t.leg != c.legs[1] {
		t.late(t.client, e.answer)
		return nil
	}
	if t.again(e.answer) {
		return nil
	}
	if m := t.request.Method; m == sip.MethodInvite || m == sip.MethodUpdate {
		return c.refreshed(t, e.answer)
	}
	return nil
}

// end is the one exit: each side is told in its way, and the call is written down.
func (c *call) end(err error) {
	var e *ended
	if !errors.As(err, &e) {
		e = refuse(500, "internal error")
		c.w.o.Logger.Error("call failed", "call", c.record.ID, "err", err)
	}
	now := time.Now()
	c.unacknowledged(now)
	c.settle(now)
	for _, l := range c.legs {
		l.unmeter()
	}
	rest := c.inbox.close()
	if c.record.Answer.IsZero() {
		c.refuse(e)
	}
	for _, t := range c.branches {
		if !t.won && !t.abandoned {
			c.abandon(t, e.cause)
		}
	}
	for i, l := range c.legs {
		if l == nil {
			continue
		}
		switch {
		case !l.established || l.gone || e.by == i:
			c.w.forget(l)
		case l.serving == nil:
			l.bye(e.cause, e.why)
		default:
			l.byeAfterACK(e)
		}
	}
	for _, late := range rest {
		c.tooLate(late)
	}
	if c.media != nil {
		c.record.Media = [2]media.LegStats{c.media.Leg(0).Stats(), c.media.Leg(1).Stats()}
		c.media.Close()
	}
	for _, give := range c.holds {
		give()
	}
	c.w.leave(c, e.why)
	c.write(e, now)
}

// tooLate takes what had come and was not looked at.
func (c *call) tooLate(e event) {
	switch {
	case e.sent != nil:
		e.sent.late(e.sent.client, e.answer)
	case e.kind == acked || e.kind == unacked:
		e.leg.lastACK()
	case e.server == nil:
	case e.server.Request.Method == sip.MethodBye:
		c.w.reply(e.server, 200)
	default:
		c.w.reply(e.server, 481)
	}
}

// refuse gives the caller a final status.
func (c *call) refuse(e *ended) {
	if e.told {
		return
	}
	if e.answer != nil {
		c.w.answer(c.invite, e.answer)
		return
	}
	r := c.legs[0].respond(c.invite.Request, e.status)
	r.Add("Reason", e.cause.reason())
	if e.warning != "" {
		r.Add("Warning", fmt.Sprintf("399 %s %q", c.w.o.Realm, e.warning))
	}
	if e.retry > 0 {
		r.Add("Retry-After", strconv.Itoa(e.retry))
	}
	for _, h := range refusalHeaders[e.status] {
		r.Add(h.Name, h.Value)
	}
	c.w.answer(c.invite, r)
}

// refusalHeaders are what some statuses have to say beside themselves.
var refusalHeaders = map[int][]sip.Header{
	405: {{Name: "Allow", Value: allowed}},
	415: {{Name: "Accept", Value: sdpType}},
	422: {{Name: "Min-SE", Value: "90"}},
}

// abandon takes an INVITE back: what still comes of it is seen to by sent.late.
func (c *call) abandon(t *sent, cause Cause) {
	t.abandoned = true
	t.client.Cancel(sip.Header{Name: "Reason", Value: cause.reason()})
}

// context ends with the switch; what it is given to must not wait for phones.
func (c *call) context() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), 5*time.Second)
}
