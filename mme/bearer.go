package mme

import (
	"campanile.network/3gpp/eps"
	"campanile.network/wire/gtpc"
)

// activation makes the message that activates the default bearer (TS 24.301
// §8.3.6).
func (p *pdn) activation(pti eps.PTI) *eps.ActivateDefaultEPSBearerContextRequest {
	s := p.session
	m := &eps.ActivateDefaultEPSBearerContextRequest{
		EBI: s.EBI, PTI: pti, QoS: eps.EPSQoS{QCI: s.QoS.QCI}, APN: s.APN, Address: eps.IPv4Address(s.Address),
		AMBR: eps.Some(eps.AMBR{DL: s.AMBR.DL, UL: s.AMBR.UL}),
	}
	if s.Cause == gtpc.NewPDNTypePreference { // TS 24.301 §6.2.2
		m.Cause = eps.Some(eps.ESMCausePDNTypeIPv4OnlyAllowed)
	}
	if len(s.PCO) > 0 {
		m.PCO = eps.Some(eps.PCO(s.PCO))
	}
	return m
}
