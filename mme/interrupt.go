package mme

import (
	"bytes"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/s1ap"
)

// interrupt judges what came while the phone's goroutine waited for something
// else: every wait passes it here. nil means that it is dealt with and the wait
// goes on; an error ends what is under way.
func (c *conn) interrupt(in inbound) error {
	switch m := in.msg.(type) {
	case newLeg:
		return &collision{in: in}
	case legGone:
		c.m.legs.close(c.leg)
		c.leg = nil
		return &lost{m.why}
	case evicted:
		return errEvicted
	case disowned:
		if c.ue.entered && c.ue.epoch < m.epoch {
			c.takenBy = max(c.takenBy, m.epoch) // also when what this ends does not look at why
			return errDisowned
		}
		return nil
	case replicate:
		c.again()
		return nil
	case dataWaiting:
		c.dataWaiting = true // until the bearers stand
		return nil
	case detachOrder:
		return c.ordered(m)
	case smsWaiting:
		m.waitIn(&c.sms.waiting) // until the connection is at rest
		return nil
	case smsOut:
		return c.sendLine(m)
	case bearerOrder, renewOrder:
		if c.proc == nil && c.standing() {
			return &collision{in: in}
		}
		return c.postpone(in)
	case sessionLost:
		return c.sessionLost(m.session)
	case *s1ap.UEContextReleaseRequest:
		return &released{m.Cause}
	case *s1ap.UEContextReleaseComplete:
		c.m.legs.close(c.leg)
		c.leg = nil
		return &lost{"the eNB says that the UE context is released"}
	case *s1ap.InitialContextSetupResponse, *s1ap.InitialContextSetupFailure:
		return c.setupAnswered(in)
	case *s1ap.UECapabilityInfoIndication:
		c.ue.learnRadio(m)
		return nil
	case *s1ap.LocationReport:
		c.reported(m)
		return nil
	case *s1ap.LocationReportingFailureIndication:
		c.notReported(m)
		return nil
	case locate:
		return c.askLocation(m.mode)
	case *s1ap.NASNonDeliveryIndication:
		return c.undelivered(m)
	case *s1ap.PathSwitchRequest:
		return c.switchPath(in.leg, m)
	case *s1ap.ERABReleaseResponse: // of bearers that nobody waits for
		return nil
	case *s1ap.ERABReleaseIndication:
		return c.erabsReleased(m)
	case *s1ap.HandoverRequired:
		return c.handOver(m)
	case *s1ap.HandoverCancel: // TS 36.413 §8.4.5.2: it crossed the end
		return c.toENB(&s1ap.HandoverCancelAcknowledge{MMEUES1APID: m.MMEUES1APID, ENBUES1APID: m.ENBUES1APID})
	case *s1ap.UplinkNASTransport:
		return c.interruptNAS(in)
	case s1ap.Message:
		c.leg.enb.unsupported(m)
	}
	return nil
}

// setupAnswered keeps the outcome of a context setup for the procedure that goes on
// with it.
func (c *conn) setupAnswered(in inbound) error {
	s := c.opening()
	if s == nil || s.done {
		c.leg.enb.unsupported(in.msg.(s1ap.Message))
		return nil
	}
	_, err := c.setupAnswer(s, in)
	return err
}

// interruptNAS judges a NAS message that nobody waits for.
func (c *conn) interruptNAS(in inbound) error {
	switch m := in.nas.(type) {
	case *eps.AttachRequest:
		if c.proc != nil && bytes.Equal(in.plain, c.proc.asked.plain) {
			return nil // TS 24.301 §5.5.1.2.7 e: the same again, go on with the first
		}
		return &collision{in: in}
	case *eps.DetachRequest:
		return &collision{in: in} // TS 24.301 §5.5.1.2.7 h, §5.5.3.2.7 g
	case *eps.TrackingAreaUpdateRequest, *eps.ServiceRequest, *eps.ExtendedServiceRequest, *eps.ControlPlaneServiceRequest:
		if c.proc.yields(in) {
			return &collision{in: in}
		}
	case *eps.UplinkNASTransport:
		return c.uplinkSMS(m)
	case *eps.EMMStatus:
		c.m.count.procedure("EMM status", m.Cause.String())
		return nil
	case *eps.ESMStatus:
		return c.esmStatus(m)
	case *eps.PDNConnectivityRequest, *eps.PDNDisconnectRequest, *eps.BearerResourceAllocationRequest, *eps.BearerResourceModificationRequest:
		return c.askedESM(in)
	case *eps.AuthenticationResponse, *eps.AuthenticationFailure, *eps.SecurityModeComplete, *eps.SecurityModeReject,
		*eps.IdentityResponse, *eps.AttachComplete, *eps.DetachAccept,
		*eps.TrackingAreaUpdateComplete, *eps.GUTIReallocationComplete:
		// An answer that was sent twice, or too late.
	case eps.ESM:
		return c.lateESM(m)
	default:
		return c.status(in)
	}
	c.m.count.drop(dropNASUnexpected)
	return nil
}

// yields says that a message that asks for service or an update ends what is
// under way. The same again does not, nor does anything end a detach by the network
// (TS 24.301 §5.4.3.7 c, §5.5.1.2.7 g, §5.5.2.3.5, §5.5.3.2.7 d, e, §5.6.1.7 c).
func (p *procedure) yields(in inbound) bool {
	switch {
	case p == nil || p.yielding:
		return true
	case sameRequest(in, p.asked):
		return false
	}
	_, update := in.nas.(*eps.TrackingAreaUpdateRequest)
	switch p.asked.nas.(type) {
	case *eps.ServiceRequest, *eps.ExtendedServiceRequest:
		return true
	case *eps.AttachRequest, *eps.TrackingAreaUpdateRequest:
		return update
	}
	return false
}

// status answers a message of a procedure this MME does not have, or of a
// moment when it makes no sense (TS 24.301 §7.4).
func (c *conn) status(inbound) error {
	c.m.count.drop(dropNASUnexpected)
	return c.send(&eps.EMMStatus{Cause: eps.EMMCauseMessageTypeNotCompatibleWithTheProtocolState})
}
