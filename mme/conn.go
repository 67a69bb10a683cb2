package mme

import (
	"context"
	"errors"
	"fmt"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/nassec"
	"campanile.network/3gpp/s1ap"
)

// conn is a phone in connected mode (ECM-CONNECTED): its fields belong to the
// goroutine of run.
type conn struct {
	m    *MME
	in   *mailbox
	done chan struct{} // closed when run has ended

	leg    *leg                // the S1 connection in use; nil once it is gone
	target *leg                // where a handover is to bring the phone; nil without one
	former *leg                // from which it has gone by X2 before its context was in use; NAS may come there still
	held   []inbound           // what waits for the end of a handover
	access accessKeys          // of the S1 connection, since its context setup
	radio  func() s1ap.Message // what an eNB that the phone leaves has to say to the E-RAB procedure under way; nil without one
	said   [4][]byte           // the last NAS PDUs that went by Downlink NAS Transport
	missed [][]byte            // of these, what the eNB gave back because of a handover
	ue     *ue                 // never nil; one that no registry has until the SIM has answered

	secured     bool           // secure exchange of NAS messages is established (TS 24.301 §4.4.2.3)
	spoke       bool           // a protected NAS message has been sent on the S1 connection
	start       nassec.Count   // uplink COUNT that K_eNB derives from (TS 33.401 §7.2.6.1)
	keys        *keys          // of the authentication under way, until Security Mode Complete
	byGUTI      bool           // the IMSI was found by GUTI and not said by the phone
	over        s1ap.Cause     // the procedure that ended was the last; with this cause the connection is released
	served      bool           // the gateway may have a tunnel end of some eNB
	bearers     *leg           // on which the bearers stand; nil if they do not
	setup       *contextSetup  // asked for, and its bearers not in use yet; see opening
	under       *lease         // the lease whose keys and ticket they have
	order       *NetworkDetach // that is to be carried out
	dataWaiting bool           // the gateway holds downlink data and no bearer stands yet
	sms         texting        // short messages
	later       []inbound      // what is to begin when the procedure under way has ended
	alert       bool           // the message centre is to learn that the phone is there
	saved       saved          // of the phone, in the store
	takenBy     uint64         // epoch of another member of the pool that has the phone; 0: none

	proc *procedure // under way; nil between procedures
}

// procedure is one run of a procedure of TS 24.301, from the message that
// began it.
type procedure struct {
	name  string
	began time.Time
	asked inbound // the message that began it
	pti   eps.PTI // of the PDN connectivity request in an attach

	yielding bool // the phone may begin whatever it likes meanwhile
}

// Reasons for which a wait ends without what it waited for.
var (
	errTimer    = errors.New("timer expired")
	errNoAnswer = errors.New("no answer from the phone")
	errEvicted  = errors.New("the phone has attached anew by another S1 connection")
	errGiven    = errors.New("the S1 connection went to the phone's owner")
)

// collision ends a procedure because the phone began another.
type collision struct {
	in    inbound
	shown bool // by which it shows that it has what the procedure gave it, see overtaken
}

func (e *collision) Error() string { return "interrupted by " + e.in.name() }

// released ends a procedure because the eNB asks to release the phone.
type released struct{ cause s1ap.Cause }

func (e *released) Error() string { return "released by the eNB, cause " + e.cause.String() }

// lost ends a procedure because the S1 connection is gone.
type lost struct{ why string }

func (e *lost) Error() string { return e.why }

// name is what the message is called, for people.
func (in *inbound) name() string {
	switch m := in.msg.(type) {
	case newLeg:
		inner := inbound{msg: m.msg, nas: in.nas}
		return inner.name() + " by a new S1 connection"
	case s1ap.Message:
		if in.nas != nil {
			return in.nas.MessageType().String()
		}
		return m.Header().Name
	}
	return fmt.Sprintf("%T", in.msg)
}

// connect starts the goroutine of a new S1 connection.
func (m *MME) connect(l *leg, in inbound) {
	c := &conn{m: m, in: newMailbox(m.o.Inbox), done: make(chan struct{}), leg: l, ue: &ue{}}
	l.own(c)
	if !m.spawn(func() { c.run(in); c.givenUp() }) {
		m.legs.close(l)
		close(c.done)
	}
}

// run begins what each message asks for until the phone is idle or gone.
func (c *conn) run(in inbound) {
	defer c.end()
	c.serve(&in)
}

// serve begins with next and goes on until the phone is idle or gone.
func (c *conn) serve(next *inbound) {
	for {
		err := c.begin(*next)
		var done bool
		if next, done = c.settle(err); done {
			return
		}
		for next == nil {
			if next, done = c.rest(); done {
				return
			}
		}
	}
}

// rest waits in connected mode for something to do. The SIM of a phone whose lease
// comes to its end is asked anew.
func (c *conn) rest() (*inbound, bool) {
	switch {
	case !c.standing():
	case c.under != c.ue.lease && c.ue.lease != nil:
		return c.settle(c.rekey())
	case c.m.aged(c.ue):
		return c.settle(c.reallocate())
	}
	c.messages()
	if in, ok := c.due(); ok {
		return &in, false
	}
	var ending <-chan time.Time
	if c.ue.registered && c.leg != nil {
		t := time.NewTimer(c.ue.lease.remaining(time.Now()))
		defer t.Stop()
		ending = t.C
	}
	in, err := c.next(ending, c.m.leaving)
	if err == errTimer && c.standing() {
		return c.settle(c.renewLive())
	}
	if err == errTimer {
		return ended(c.hangUp(s1ap.CauseNasNormalRelease.Cause(), "lease is to be renewed"))
	}
	if err == nil {
		err = c.interrupt(in)
	}
	if err == nil {
		return nil, false
	}
	return c.settle(err)
}

// end makes the phone idle or forgotten and sees to what nobody has read.
func (c *conn) end() {
	if c.leg != nil {
		c.m.legs.close(c.leg)
	}
	c.forgetFormer()
	c.ue.served = c.served
	c.keep()
	c.ue.fold()
	c.cutLines()
	c.ready()
	c.leaveGuest()
	c.m.known.park(c.ue, c)
	page, order, text, later := c.dataWaiting, c.order, c.sms.waiting, c.later
	for _, in := range append(c.held, c.in.close()...) {
		switch m := in.msg.(type) {
		case *s1ap.PathSwitchRequest:
			c.refuseSwitch(in.leg, m)
		case newLeg:
			if first, ok := m.msg.(*s1ap.InitialUEMessage); ok && in.leg != c.leg {
				c.m.connect(in.leg, inbound{leg: in.leg, msg: first})
			}
		case dataWaiting:
			page = true
		case disowned:
			c.takenBy = max(c.takenBy, m.epoch)
		case detachOrder:
			order = &m.NetworkDetach
		case bearerOrder:
			later = append(later, in)
		case smsWaiting:
			text = m.delivery
		}
	}
	close(c.done)
	for _, in := range later {
		if r, ok := in.msg.(bearerOrder); ok {
			c.m.BearerRequest(r.BearerRequest)
		} else {
			c.m.count.drop(dropStaleLeg)
		}
	}
	if order != nil {
		_ = c.m.Detach(c.ue.imsi, *order) // if the phone is registered still
	}
	if page {
		c.m.reach(c.ue, true)
	}
	if text != nil {
		c.m.announce(c.ue, text)
	}
}

// next gives what has reached the phone, in order and with NAS protection dealt
// with; or errTimer, or errStopping when stop ends.
func (c *conn) next(timer <-chan time.Time, stop context.Context) (inbound, error) {
	for {
		for in, ok := c.poll(); ok; in, ok = c.poll() {
			if c.admit(&in) {
				return in, nil
			}
		}
		select {
		case <-c.in.wake:
		case <-timer:
			return inbound{}, errTimer
		case <-stop.Done():
			return inbound{}, errStopping
		}
	}
}

// admit says whether a message concerns this connection and may be looked at.
func (c *conn) admit(in *inbound) bool {
	defer c.tapWho(in.leg)
	if m, ok := in.msg.(newLeg); ok {
		return c.admitLeg(in, m)
	}
	if in.nas != nil && c.leg != nil { // it has waited, and there is still somewhere to answer
		return true
	}
	if in.leg != nil && in.leg != c.leg && !c.isTarget(in) && !c.isFormer(in) {
		if _, word := in.msg.(legGone); !word {
			c.m.count.drop(dropStaleLeg)
		}
		return false
	}
	if m, ok := in.msg.(*s1ap.UplinkNASTransport); ok {
		in.leg.located(m)
		return c.open(in, m.NASPDU)
	}
	return true
}

// isTarget says that something comes by an S1 connection that is not yet the one
// in use.
func (c *conn) isTarget(in *inbound) bool {
	_, arrives := in.msg.(*s1ap.PathSwitchRequest)
	return arrives || in.leg == c.target
}

// isFormer says that a NAS message has been overtaken by the phone's X2 handover.
func (c *conn) isFormer(in *inbound) bool {
	_, nas := in.msg.(*s1ap.UplinkNASTransport)
	return nas && in.leg == c.former
}

// poll takes what has waited for the end of a handover, or else the next from the
// mailbox.
func (c *conn) poll() (inbound, bool) {
	if len(c.held) == 0 || c.target != nil {
		return c.in.take()
	}
	in := c.held[0]
	c.held = c.held[1:]
	return in, true
}

// admitLeg verifies the message that a new leg came with, which was verified
// off this goroutine, now that nothing can come between. A leg that fails is
// released; the phone goes on as it was.
func (c *conn) admitLeg(in *inbound, m newLeg) bool {
	first, ok := m.msg.(*s1ap.InitialUEMessage)
	if ok && c.open(in, first.NASPDU) && in.sec == verified {
		return true
	}
	c.command(in.leg, s1ap.CauseNasAuthenticationFailure.Cause())
	c.m.legs.close(in.leg)
	return false
}

// verdict is what a wait says of a message.
type verdict int

const (
	notMine  verdict = iota // let interrupt judge
	taken                   // dealt with, go on waiting
	finished                // this is what was waited for
)

// await waits at most d for the message that answer takes; what it does not
// take goes to interrupt.
func (c *conn) await(d time.Duration, answer func(inbound) (verdict, error)) error {
	t := time.NewTimer(d)
	defer t.Stop()
	for {
		in, err := c.next(t.C, c.m.ctx)
		if err != nil {
			return err
		}
		v := notMine
		if _, other := in.msg.(newLeg); !other { // which answers nothing, whatever it carries
			v, err = answer(in)
		}
		if v == finished || err != nil {
			return err
		}
		if v == taken {
			continue
		}
		if err := c.interrupt(in); err != nil {
			return err
		}
	}
}

// exchange sends a request and awaits its answer, sending again whenever the
// timer expires; errNoAnswer after the last time.
func (c *conn) exchange(t timer, send func() error, answer func(inbound) (verdict, error)) error {
	for range t.sends {
		if err := send(); err != nil {
			return err
		}
		if err := c.await(t.wait, answer); err != errTimer {
			return err
		}
	}
	return fmt.Errorf("%w: %s expired %d times", errNoAnswer, t.name, t.sends)
}

// call asks another role and waits for it as for a phone: what comes meanwhile
// goes to interrupt. When that ends the wait, f's context ends, f is waited
// for, and its value comes beside the error: what f opened is the caller's to
// close.
func call[T any](c *conn, limit time.Duration, f func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(c.m.ctx, limit)
	defer cancel()
	type result struct {
		v   T
		err error
	}
	ch := make(chan result, 1)
	go func() {
		v, err := f(ctx)
		ch <- result{v, err}
	}()
	for {
		select {
		case r := <-ch:
			if r.err != nil && c.m.ctx.Err() != nil {
				r.err = errStopping
			}
			return r.v, r.err
		case <-c.in.wake:
		}
		for in, ok := c.poll(); ok; in, ok = c.poll() {
			if !c.admit(&in) {
				continue
			}
			if err := c.interrupt(in); err != nil {
				cancel()
				r := <-ch
				return r.v, err
			}
		}
	}
}

// finish is call for what must not be left half done at the other end: an
// interruption does not end f's context, only the MME's stop does.
func finish[T any](c *conn, limit time.Duration, f func(context.Context) (T, error)) (T, error) {
	return call(c, limit, func(context.Context) (T, error) {
		ctx, cancel := context.WithTimeout(c.m.ctx, limit)
		defer cancel()
		return f(ctx)
	})
}
