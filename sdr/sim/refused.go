package sim

import (
	"context"
	"time"

	"campanile.network/3gpp/eps"
)

// consequence is what a phone does for an EMM cause it is refused or detached
// with, if that is not the zero value: an abnormal case, to be tried again.
type consequence struct {
	forgets   bool // GUTI, tracking areas and keys
	leaves    bool // deregistered
	forbidden bool // the tracking area
	attaches  bool // by itself, again
}

// consequenceOf follows TS 24.301 §5.5.3.2.5. Attach (TS 24.301 §5.5.1.2.5),
// service request (TS 24.301 §5.6.1.5) and detach (TS 24.301 §5.5.2.3.2) say the
// same but for what a phone that is not registered has to lose.
func consequenceOf(c eps.EMMCause) consequence {
	switch c {
	case eps.EMMCauseIMSIUnknownInHSS, eps.EMMCauseIllegalUE, eps.EMMCauseIMEINotAccepted, eps.EMMCauseIllegalME, eps.EMMCauseEPSServicesNotAllowed,
		eps.EMMCauseEPSServicesAndNonEPSServicesNotAllowed, eps.EMMCausePLMNNotAllowed, eps.EMMCauseEPSServicesNotAllowedInThisPLMN,
		eps.EMMCauseRequestedServiceOptionNotAuthorizedInThisPLMN:
		return consequence{forgets: true, leaves: true}
	case eps.EMMCauseTrackingAreaNotAllowed:
		return consequence{forgets: true, leaves: true, forbidden: true}
	case eps.EMMCauseRoamingNotAllowedInThisTrackingArea, eps.EMMCauseNoSuitableCellsInTrackingArea:
		return consequence{forbidden: true}
	case eps.EMMCauseUEIdentityCannotBeDerivedByTheNetwork:
		return consequence{forgets: true, leaves: true, attaches: true}
	case eps.EMMCauseImplicitlyDetached, eps.EMMCauseNoEPSBearerContextActivated:
		return consequence{leaves: true, attaches: true}
	}
	return consequence{}
}

// suffer does what a cause asks of a registered phone. Called with mu held.
func (p *Phone) suffer(what consequence) {
	if what.forbidden {
		p.forbidden[p.at.cell.TAI] = true
		p.tais = nil
	}
	if what.forgets {
		p.forget()
	}
	if what.leaves {
		p.deregister()
	}
	if what.attaches {
		p.attachAgain(nil)
	}
}

// attachReject is TS 24.301 §5.5.1.2.5: who is not registered has nothing to
// keep where it is not wanted.
func (p *Phone) attachReject(m *eps.AttachReject) error {
	if m.T3402.OK {
		p.t3402 = length(m.T3402.V)
	}
	what := consequenceOf(m.Cause)
	what.attaches = false
	if what != (consequence{}) {
		what.forgets = true
	}
	p.suffer(what)
	if p.state == Attaching {
		p.state = Deregistered
	}
	return &Rejected{"ATTACH REJECT", m.Cause}
}

// serviceReject is TS 24.301 §5.6.1.5.
func (p *Phone) serviceReject(c *conn, m *eps.ServiceReject) error {
	if p.o.SRSUE {
		p.forget()
		p.attachAgain(c)
	} else {
		p.suffer(consequenceOf(m.Cause))
	}
	return &Rejected{"SERVICE REJECT", m.Cause}
}

// updateReject is TS 24.301 §5.5.3.2.5.
func (p *Phone) updateReject(c *conn, m *eps.TrackingAreaUpdateReject) error {
	if p.state != Updating {
		return p.answer(c, &eps.EMMStatus{Cause: eps.EMMCauseMessageTypeNotCompatibleWithTheProtocolState})
	}
	p.suffer(consequenceOf(m.Cause))
	return &Rejected{"TRACKING AREA UPDATE REJECT", m.Cause}
}

// networkDetach is TS 24.301 §5.5.2.3.2: the phone accepts, and attaches again
// once the connection is released if it is asked to.
func (p *Phone) networkDetach(c *conn, m *eps.NetworkDetachRequest) error {
	err := p.answer(c, &eps.DetachAccept{})
	switch {
	case err != nil || m.Type == eps.NetworkDetachTypeIMSI: // of non-EPS services, which the phone does not use
		return err
	case m.Type == eps.NetworkDetachTypeReattach && p.o.SRSUE:
		p.state = Deregistered
		p.retry = time.AfterFunc(srsueReattach, func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.spawn(func(ctx context.Context) { p.reattach(ctx, nil) })
		})
	case m.Type == eps.NetworkDetachTypeReattach:
		p.attachAgain(nil)
	default:
		what := consequence{forgets: true}
		if m.Cause.OK {
			what.forbidden = consequenceOf(m.Cause.V).forbidden
		}
		p.suffer(what)
		p.state = Deregistered
	}
	return errDetached
}

// srsueReattach is how long srsue waits with it.
const srsueReattach = 2 * time.Second
