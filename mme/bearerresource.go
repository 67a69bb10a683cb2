package mme

import (
	"context"
	"errors"

	"campanile.network/3gpp/eps"
	"campanile.network/mme/s11"
	"campanile.network/wire/gtpc"
)

// allocateResource is the bearer resource allocation procedure (TS 24.301 §6.5.3,
// TS 23.401 §5.4.5): the gateway decides, and what it makes of it is a procedure
// of its own with the phone's PTI.
func (c *conn) allocateResource(m *eps.BearerResourceAllocationRequest) error {
	p := c.ue.linkedTo(m.Linked)
	if p == nil { // TS 24.301 §6.5.3.6 a
		return refuseESM(eps.ESMCauseInvalidEPSBearerIdentity, "the phone has no default bearer %d", m.Linked)
	}
	if m.Aggregate.Operation != eps.TFTCreate {
		return refuseESM(eps.ESMCauseSemanticErrorInTheTFTOperation, "traffic flow aggregate with operation %v", m.Aggregate.Operation)
	}
	if err := checkTFT(m.Aggregate); err != nil {
		return err
	}
	if _, ok := c.ue.freeEBI(); !ok {
		return refuseESM(eps.ESMCauseMaximumNumberOfEPSBearersReached, "all bearer identities are in use")
	}
	q := gtpQoS(m.QoS)
	if err := checkQoS(q); err != nil {
		return err
	}
	return c.askResources(p, s11.ResourceRequest{PTI: m.PTI, QoS: &q, TAD: m.Aggregate})
}

// modifyResource is the bearer resource modification procedure (TS 24.301 §6.5.4).
func (c *conn) modifyResource(m *eps.BearerResourceModificationRequest) error {
	p, b := c.ue.bearer(m.FilterEBI)
	if b == nil { // TS 24.301 §6.5.4.6 a
		return refuseESM(eps.ESMCauseInvalidEPSBearerIdentity, "the phone has no bearer %d", m.FilterEBI)
	}
	if m.Aggregate.Operation != eps.TFTNone || m.QoS.OK {
		if _, err := applyTFT(b.tft, m.Aggregate); err != nil && b != p.first() {
			return err
		}
	}
	if err := checkTFT(m.Aggregate); err != nil {
		return err
	}
	r := s11.ResourceRequest{PTI: m.PTI, EBI: b.ebi, TAD: m.Aggregate}
	if m.QoS.OK {
		q := gtpQoS(m.QoS.V)
		if err := checkQoS(q); err != nil {
			return err
		}
		r.QoS = &q
	}
	return c.askResources(p, r)
}

// checkQoS refuses a quality that contradicts itself (TS 24.301 §6.5.3.4).
func checkQoS(q gtpc.QoS) error {
	if q.QCI != 0 && guaranteed(q.QCI) != (q.GBRUL != 0 || q.GBRDL != 0) || q.GBRUL > q.MBRUL || q.GBRDL > q.MBRDL {
		return refuseESM(eps.ESMCauseEPSQoSNotAccepted, "QCI %d with %v up and %v down guaranteed, at most %v and %v", q.QCI, q.GBRUL, q.GBRDL, q.MBRUL, q.MBRDL)
	}
	return nil
}

// askResources passes a phone's request on to the gateway and rejects it if the
// gateway does.
func (c *conn) askResources(p *pdn, r s11.ResourceRequest) error {
	_, err := call(c, c.m.o.GatewayTimeout, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, c.m.o.Gateway.Resources(ctx, p.session, r)
	})
	if err == nil || interrupted(err) {
		return err
	}
	refusal, ok := errors.AsType[*gtpc.CauseError](err)
	if !ok {
		return refuseESM(eps.ESMCauseNetworkFailure, "%w", err)
	}
	return refuseESM(esmCause(refusal.Cause), "%w", err)
}

// esmCause is a gateway's refusal in a phone's words (TS 29.274 annex C).
func esmCause(c gtpc.Cause) eps.ESMCause {
	switch c {
	case gtpc.NoResources, gtpc.NoMemory, gtpc.AllAddressesOccupied:
		return eps.ESMCauseInsufficientResources
	case gtpc.UnknownAPN:
		return eps.ESMCauseMissingOrUnknownAPN
	case gtpc.PDNTypeNotSupported:
		return eps.ESMCauseUnknownPDNType
	case gtpc.UserAuthFailed, gtpc.APNAccessDenied:
		return eps.ESMCauseUserAuthenticationFailed
	case gtpc.ServiceNotSupported:
		return eps.ESMCauseServiceOptionNotSupported
	case gtpc.ServiceDenied:
		return eps.ESMCauseRequestedServiceOptionNotSubscribed
	case gtpc.TFTSemantic:
		return eps.ESMCauseSemanticErrorInTheTFTOperation
	case gtpc.TFTSyntax:
		return eps.ESMCauseSyntacticalErrorInTheTFTOperation
	case gtpc.FilterSemantic:
		return eps.ESMCauseSemanticErrorsInPacketFilter
	case gtpc.FilterSyntax:
		return eps.ESMCauseSyntacticalErrorsInPacketFilter
	case gtpc.ContextNotFound:
		return eps.ESMCauseInvalidEPSBearerIdentity
	case gtpc.MultiplePDNNotAllowed:
		return eps.ESMCauseMultiplePDNConnectionsForAGivenAPNNotAllowed
	}
	return eps.ESMCauseRequestRejectedByServingGWOrPDNGW
}
