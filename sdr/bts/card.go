package bts

import (
	"campanile.network/3gpp/aka"
	"campanile.network/3gpp/comp128"
	"campanile.network/3gpp/secret"
)

// Card is a SIM, or a USIM in a GSM cell; an *aka.USIM is one. A phone asks its
// card one thing at a time.
type Card interface {
	AuthenticateGSM(rand aka.RAND) (aka.SRES, secret.Key64)
}

// usim is a card that checks the network where a cell takes AUTN.
type usim interface {
	Authenticate(rand aka.RAND, autn aka.AUTN) (aka.Answer, error)
}

type sim struct {
	ki      secret.Key128
	compute func(secret.Key128, [16]byte) ([4]byte, secret.Key64)
}

func (s sim) AuthenticateGSM(rand aka.RAND) (aka.SRES, secret.Key64) {
	sres, kc := s.compute(s.ki, rand)
	return sres, kc
}

// COMP128 is a SIM of version 1, 2 or 3; other versions are 3.
func COMP128(version int, ki secret.Key128) Card {
	switch version {
	case 1:
		return sim{ki, comp128.V1}
	case 2:
		return sim{ki, comp128.V2}
	}
	return sim{ki, comp128.V3}
}
