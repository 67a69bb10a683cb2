package mme

import (
	"campanile.network/3gpp/eps"
)

// activation makes the message that activates the default bearer (TS 24.301
// §8.3.6).
func (p *pdn) activation(pti eps.PTI) *eps.ActivateDefaultEPSBearerContextRequest {
	s := p.session
	m := &eps.ActivateDefaultEPSBearerContextRequest{
		EBI: s.EBI, PTI: pti, QoS: nasQoS(p.first().qos), APN: s.APN, Address: p.nasAddress(),
		AMBR: eps.Some(eps.AMBR{DL: p.ambr.DL, UL: p.ambr.UL}),
	}
	if p.less != 0 {
		m.Cause = eps.Some(p.less)
	}
	if len(s.PCO) > 0 {
		m.PCO = eps.Some(eps.PCO(s.PCO))
	}
	return m
}
