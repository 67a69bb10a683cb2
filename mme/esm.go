package mme

import (
	"fmt"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
)

// esmFailure ends a procedure of session management alone: the phone stays as it
// was, and is told the cause by the message that rejects what it asked.
type esmFailure struct {
	cause eps.ESMCause
	quiet bool // the phone is told nothing: it has answered, or does not
	retry bool // the gateway may ask again soon
	why   error
}

func (e *esmFailure) Error() string { return e.why.Error() }
func (e *esmFailure) Unwrap() error { return e.why }

func (e *esmFailure) told() string {
	if e.quiet {
		return "not told"
	}
	return fmt.Sprintf("ESM cause #%d", uint8(e.cause))
}

// refuseESM ends a procedure of session management with a cause.
func refuseESM(cause eps.ESMCause, format string, args ...any) error {
	return &esmFailure{cause: cause, why: fmt.Errorf(format, args...)}
}

// abandon ends one of which the phone hears nothing more.
func abandon(format string, args ...any) error {
	return &esmFailure{quiet: true, why: fmt.Errorf(format, args...)}
}

// reject makes the message that rejects what a phone asks of session management;
// nil if m is no such request.
func reject(m eps.Message, cause eps.ESMCause) eps.Message {
	switch m := m.(type) {
	case *eps.PDNConnectivityRequest:
		return &eps.PDNConnectivityReject{PTI: m.PTI, Cause: cause}
	case *eps.PDNDisconnectRequest:
		return &eps.PDNDisconnectReject{PTI: m.PTI, Cause: cause}
	case *eps.BearerResourceAllocationRequest:
		return &eps.BearerResourceAllocationReject{PTI: m.PTI, Cause: cause}
	case *eps.BearerResourceModificationRequest:
		return &eps.BearerResourceModificationReject{PTI: m.PTI, Cause: cause}
	}
	return nil
}

// rejected is where procedures of session management end that fail alone: the
// phone is told and stays as it was.
func (c *conn) rejected(p *procedure, f *esmFailure) (*inbound, bool) {
	if p == nil || f.quiet {
		return nil, false
	}
	if m := reject(p.asked.nas, f.cause); m != nil {
		if err := c.send(m); err != nil {
			return c.settle(err)
		}
	}
	return nil, false
}

// noPTI and reservedPTI name no transaction of a phone (TS 24.007 §11.2.3.1a).
const (
	noPTI       eps.PTI = 0
	reservedPTI eps.PTI = 255
)

// beginESM runs the procedure that a phone or the gateway asks for of session
// management; false if in asks for none.
func (c *conn) beginESM(in inbound) (bool, error) {
	var name string
	var run func() error
	if r, ok := in.msg.(bearerOrder); ok {
		name, run = "bearer "+r.verb(), func() error { return c.bearerOrder(r) }
	} else {
		switch m := in.nas.(type) {
		case *eps.PDNConnectivityRequest:
			name, run = "PDN connectivity", func() error { return c.connectPDN(m) }
		case *eps.PDNDisconnectRequest:
			name, run = "PDN disconnect", func() error { return c.disconnectPDN(m) }
		case *eps.BearerResourceAllocationRequest:
			name, run = "bearer resource allocation", func() error { return c.allocateResource(m) }
		case *eps.BearerResourceModificationRequest:
			name, run = "bearer resource modification", func() error { return c.modifyResource(m) }
		default:
			return false, nil
		}
	}
	c.proc = begun(name, in)
	c.proc.yielding = true
	return true, run()
}

// maxLater bounds what waits for the procedure under way.
const maxLater = 16

// askedESM judges a request of session management that came while the connection
// was busy or at rest: erroneous ones are rejected, the same again is dropped, and
// others wait their turn (TS 24.301 §7.3.1, §7.3.2).
func (c *conn) askedESM(in inbound) error {
	ebi, pti := in.nas.(eps.ESM).Header()
	switch {
	case pti == noPTI || pti == reservedPTI: // TS 24.301 §7.3.1 a to d
		return c.rejectESM(in.nas, eps.ESMCauseInvalidPTIValue)
	case ebi != 0: // TS 24.301 §7.3.2 a to d
		return c.rejectESM(in.nas, eps.ESMCauseInvalidEPSBearerIdentity)
	case c.proc == nil && !c.standing(): // a connection for signalling alone
		return c.rejectESM(in.nas, eps.ESMCauseServiceOptionTemporarilyOutOfOrder)
	}
	if c.proc == nil && len(c.later) == 0 {
		return &collision{in: in}
	}
	for _, other := range append(c.later, c.underWay()...) {
		switch {
		case !samePTI(other, pti):
		case other.nas == nil || sameRequest(in, other): // what the gateway made of it is under way
			c.m.count.drop(dropNASUnexpected)
			return nil
		default:
			return c.rejectESM(in.nas, eps.ESMCausePTIAlreadyInUse)
		}
	}
	return c.postpone(in)
}

// underWay is the message that began the procedure under way.
func (c *conn) underWay() []inbound {
	if c.proc == nil {
		return nil
	}
	return []inbound{c.proc.asked}
}

func samePTI(in inbound, pti eps.PTI) bool {
	if r, ok := in.msg.(bearerOrder); ok {
		return r.PTI == pti
	}
	if reject(in.nas, 0) == nil {
		return false
	}
	_, p := in.nas.(eps.ESM).Header()
	return p == pti
}

func (c *conn) rejectESM(m eps.Message, cause eps.ESMCause) error {
	c.m.count.procedure("session management", fmt.Sprintf("ESM cause #%d", uint8(cause)))
	return c.send(reject(m, cause))
}

// postpone keeps what is to begin when the procedure under way has ended.
func (c *conn) postpone(in inbound) error {
	if len(c.later) >= maxLater {
		c.m.count.drop(dropInboxFull)
		if r, ok := in.msg.(bearerOrder); ok {
			r.refuse(noRoom)
		}
		return nil
	}
	c.later = append(c.later, in)
	return nil
}

// due gives what was postponed, once the bearers stand.
func (c *conn) due() (in inbound, ok bool) {
	if len(c.later) == 0 || !c.standing() {
		return in, false
	}
	in, c.later = c.later[0], c.later[1:]
	return in, true
}

// esmStatus is ESM STATUS by the phone while no procedure waits for it (TS 24.301
// §6.7): after #43 the bearer is no more, other causes change nothing.
func (c *conn) esmStatus(m *eps.ESMStatus) error {
	c.m.count.procedure("ESM status", m.Cause.String())
	if m.Cause == eps.ESMCauseInvalidEPSBearerIdentity {
		c.gone("the phone does not know the bearer", m.EBI)
	}
	return nil
}

// aborts says that an ESM STATUS ends the procedure of a bearer and a transaction
// (TS 24.301 §6.7).
func aborts(m *eps.ESMStatus, ebi id.EBI, pti eps.PTI) bool {
	switch m.Cause {
	case eps.ESMCauseInvalidEPSBearerIdentity:
		return m.EBI == ebi
	case eps.ESMCauseInvalidPTIValue:
		return pti != noPTI && m.PTI == pti
	case eps.ESMCauseMessageTypeNonExistentOrNotImplemented:
		return m.EBI == ebi || pti != noPTI && m.PTI == pti
	}
	return false
}

// lateESM judges a message of session management that nobody waits for: an answer
// with a transaction that is not under way is told so, others are dropped (TS
// 24.301 §7.3.1 e, f, §7.3.2 e, f).
func (c *conn) lateESM(m eps.ESM) error {
	c.m.count.drop(dropNASUnexpected)
	ebi, pti := m.Header()
	switch m.(type) {
	case *eps.ESMInformationResponse:
		if pti == noPTI || pti == reservedPTI {
			return c.send(&eps.ESMStatus{PTI: pti, Cause: eps.ESMCauseInvalidPTIValue})
		}
		return nil
	case *eps.ActivateDefaultEPSBearerContextAccept, *eps.ActivateDefaultEPSBearerContextReject,
		*eps.ActivateDedicatedEPSBearerContextAccept, *eps.ActivateDedicatedEPSBearerContextReject,
		*eps.ModifyEPSBearerContextAccept, *eps.ModifyEPSBearerContextReject, *eps.DeactivateEPSBearerContextAccept:
		return nil
	}
	return c.send(&eps.ESMStatus{EBI: ebi, PTI: pti, Cause: eps.ESMCauseMessageTypeNotCompatibleWithTheProtocolState})
}
