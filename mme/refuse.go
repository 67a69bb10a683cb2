package mme

import (
	"errors"
	"fmt"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/s1ap"
)

// failure is why a procedure ends, and what the phone is told of it.
type failure struct {
	cause eps.EMMCause  // 0: nothing is said
	esm   eps.ESMCause  // beside cause #19: in a PDN CONNECTIVITY REJECT
	sim   bool          // AUTHENTICATION REJECT instead
	wait  time.Duration // T3346 beside cause #22; 0: the phone draws one
	why   error
}

func (f *failure) Error() string { return f.why.Error() }
func (f *failure) Unwrap() error { return f.why }

// refuse ends a procedure with an EMM cause.
func refuse(cause eps.EMMCause, why error) error { return &failure{cause: cause, why: why} }

// refusePDN ends an attach with #19 and an ESM cause.
func refusePDN(cause eps.ESMCause, why error) error {
	return &failure{cause: eps.EMMCauseESMFailure, esm: cause, why: why}
}

// refuseSIM ends a procedure with Authentication Reject: the phone gives up the
// SIM until it is switched off (TS 24.301 §5.4.2.5).
func refuseSIM(why error) error { return &failure{sim: true, why: why} }

// silent ends a procedure by releasing the connection.
func silent(why error) error { return &failure{why: why} }

// told is the cause as the phone hears it, for logs and counters.
func (f *failure) told() string {
	switch {
	case f.sim:
		return "authentication reject"
	case f.esm != 0:
		return fmt.Sprintf("EMM cause #%d, ESM cause #%d", uint8(f.cause), uint8(f.esm))
	case f.cause != 0:
		return fmt.Sprintf("EMM cause #%d", uint8(f.cause))
	}
	return "released"
}

// interrupted says that an error ended a wait from outside: it is not what the
// procedure asked somebody else.
func interrupted(err error) bool {
	for _, e := range []error{errEvicted, errStopping, errGiven, errDisowned} {
		if errors.Is(err, e) {
			return true
		}
	}
	switch err.(type) {
	case *collision, *released, *lost, *failure, *networkDetach, *esmFailure:
		return true
	}
	return false
}

// settle is where every procedure ends: it reports, tells the phone, and leaves
// the phone connected, idle or gone. It gives the message to go on with, if one
// interrupted, or done.
func (c *conn) settle(err error) (next *inbound, done bool) {
	if errors.Is(err, errGiven) {
		return nil, true
	}
	switch err.(type) {
	case *failure, *esmFailure:
	default:
		switch {
		case errors.Is(err, errNoAnswer):
			err = silent(err) // TS 24.301 §5.4.2.7 b, §5.4.3.7 b, §5.4.4.6 b, §5.5.1.2.7 c
		case err != nil && !interrupted(err):
			err = refuse(eps.EMMCauseNetworkFailure, err)
		}
	}
	if shown(err) {
		c.report(nil)
	} else {
		c.report(err)
	}
	p := c.proc
	c.proc = nil
	switch e := err.(type) {
	case nil:
		if c.over == (s1ap.Cause{}) {
			return nil, false
		}
		return ended(c.hangUp(c.over, ""))
	case *collision:
		return &e.in, false
	case *released:
		return ended(c.hangUp(e.cause, e.Error()))
	case *lost:
		if c.leg != nil {
			c.m.legs.close(c.leg)
			c.leg = nil
		}
		return ended(c.hangUp(s1ap.Cause{}, e.why))
	case *esmFailure:
		return c.rejected(p, e)
	case *networkDetach:
		return c.settle(c.detachPhone(e))
	case *failure:
		return c.refused(p, e)
	}
	switch {
	case errors.Is(err, errStopping):
		return nil, true
	case errors.Is(err, errDisowned):
		c.disown()
		return nil, true
	}
	c.leave() // errEvicted
	return nil, true
}

func ended(next *inbound) (*inbound, bool) { return next, next == nil }

// refused sends the reject message that fits the procedure and releases the
// connection at once: a phone told #9, #10 or #40 waits for that before it
// attaches (TS 24.301 §5.3.1.2), and srsRAN's never comes back if it is released
// after it has begun to look for a cell.
func (c *conn) refused(p *procedure, f *failure) (*inbound, bool) {
	cause := s1ap.CauseNasNormalRelease.Cause()
	if f.sim {
		cause = s1ap.CauseNasAuthenticationFailure.Cause()
	}
	m := f.message(p)
	if errors.Is(f, errStorage) { // a protected message cannot be sent; others the phone hears at first only (TS 24.301 §4.4.4.2)
		if c.spoke || c.standing() {
			m = nil
		}
		c.secured = false
	}
	if m != nil && c.leg != nil {
		if err := c.send(m); err != nil {
			c.m.log.Debug("reject not sent", "err", err)
		}
	}
	return ended(c.hangUp(cause, f.Error()))
}

// message is the reject message for the procedure, or nil.
func (f *failure) message(p *procedure) eps.Message {
	if f.sim {
		return &eps.AuthenticationReject{}
	}
	if f.cause == 0 || p == nil {
		return nil
	}
	switch p.asked.nas.(type) {
	case *eps.AttachRequest:
		m := &eps.AttachReject{Cause: f.cause, T3346: f.backoff()}
		if f.esm != 0 {
			inner, err := eps.Append(nil, &eps.PDNConnectivityReject{PTI: p.pti, Cause: f.esm})
			if err == nil {
				m.ESM = eps.Some(eps.ESMContainer(inner))
			}
		}
		return m
	case *eps.DetachRequest: // it is done, whatever did not work
		if d := p.asked.nas.(*eps.DetachRequest); !d.Type.SwitchOff() {
			return &eps.DetachAccept{}
		}
	case *eps.ServiceRequest, *eps.ExtendedServiceRequest, *eps.ControlPlaneServiceRequest:
		return &eps.ServiceReject{Cause: f.cause, T3346: f.backoff()}
	case *eps.TrackingAreaUpdateRequest:
		return &eps.TrackingAreaUpdateReject{Cause: f.cause, T3346: f.backoff()}
	}
	return nil
}

func (f *failure) backoff() (t eps.Opt[eps.GPRSTimer]) {
	if f.wait > 0 {
		t = eps.Some(eps.NewGPRSTimer(f.wait))
	}
	return t
}

// report is the one Info line, count and event of a finished procedure.
func (c *conn) report(err error) {
	p := c.proc
	if p == nil {
		return
	}
	c.tapWho(c.leg)
	done := ProcedureDone{Procedure: p.name, Duration: time.Since(p.began), UE: c.ue.show(nil)}
	if done.UE.IMSI.IsZero() {
		done.UE.IMSI = c.ue.imsi
	}
	if p.asked.leg == nil { // the network's own
		c.m.count.begins(p.name)
	}
	line := []any{"procedure", p.name, "imsi", done.UE.IMSI, "took", done.Duration}
	if c.leg != nil {
		_, cell := c.leg.place()
		line = append(line, "enb", c.leg.enb.show().ID.String(), "cell", cell.String())
	}
	if err == nil {
		c.m.count.procedure(p.name, "")
		c.m.log.Info("procedure done", append(line, "address", done.UE.Address, "security", done.UE.Security)...)
	} else {
		done.Err, done.Cause = err.Error(), "interrupted"
		if f, ok := errors.AsType[interface {
			error
			told() string
		}](err); ok {
			done.Cause = f.told()
		} else if f, ok := errors.AsType[*esmFailure](err); ok {
			done.Cause = f.told()
		}
		c.m.count.procedure(p.name, done.Cause)
		c.m.log.Info("procedure failed", append(line, "cause", done.Cause, "err", err)...)
	}
	c.m.done(c.ue, done)
}
