package mme

import (
	"slices"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/wire/gtpc"
)

// accept sends Attach Accept in an Initial Context Setup Request and waits for
// the eNB's response and the phone's Attach Complete, in either order
// (TS 24.301 §5.5.1.2.4, TS 23.401 §5.3.2.1 steps 17 to 24).
func (c *conn) accept(req *eps.AttachRequest, pdn *eps.PDNConnectivityRequest) error {
	u := c.ue
	if err := c.m.known.assign(u, c.m.trackingAreas(c.leg, req.LastTAI)); err != nil {
		return refuse(eps.EMMCauseNetworkFailure, err)
	}
	nas, err := c.attachAccept(req, pdn)
	if err != nil {
		return refuse(eps.EMMCauseNetworkFailure, err)
	}
	s, err := c.openContext(nas)
	if err != nil {
		return err
	}
	complete := false
	send := func() error { // once more, after T3450 or a repeated request
		again, err := c.attachAccept(req, pdn)
		if err != nil {
			return err
		}
		return c.transport(again)
	}
	first := true
	err = c.exchange(t3450,
		func() error {
			if first {
				first = false
				return nil // it went with the Initial Context Setup Request
			}
			return send()
		},
		func(in inbound) (verdict, error) {
			switch in.nas.(type) {
			case *eps.AttachComplete:
				complete = true
				return both(complete, s.done), nil
			case *eps.AttachRequest:
				if sameRequest(in, c.proc.asked) { // TS 24.301 §5.5.1.2.7 d
					return taken, send()
				}
			}
			v, err := s.answer(in)
			if v == finished {
				v = both(complete, s.done)
			}
			return v, err
		})
	if err != nil {
		return err
	}
	c.m.known.confirmed(u)
	c.m.known.setRegistered(u, true)
	return c.useContext(s)
}

// both says whether two answers are there.
func both(a, b bool) verdict {
	if a && b {
		return finished
	}
	return taken
}

func sameRequest(a, b inbound) bool { return slices.Equal(a.plain, b.plain) }

// attachAccept makes the message, with the default bearer inside (TS 24.301
// §8.2.1, §8.3.6).
func (c *conn) attachAccept(req *eps.AttachRequest, pdn *eps.PDNConnectivityRequest) ([]byte, error) {
	u, s := c.ue, c.ue.session
	bearer := &eps.ActivateDefaultEPSBearerContextRequest{
		EBI: s.EBI, PTI: pdn.PTI, QoS: eps.EPSQoS{QCI: s.QoS.QCI}, APN: s.APN, Address: eps.IPv4Address(s.Address),
		AMBR: eps.Some(eps.AMBR{DL: s.AMBR.DL, UL: s.AMBR.UL}),
	}
	if s.Cause == gtpc.NewPDNTypePreference { // TS 24.301 §6.2.2
		bearer.Cause = eps.Some(eps.ESMCausePDNTypeIPv4OnlyAllowed)
	}
	if len(s.PCO) > 0 {
		bearer.PCO = eps.Some(eps.PCO(s.PCO))
	}
	inner, err := eps.Append(nil, bearer)
	if err != nil {
		return nil, err
	}
	m := &eps.AttachAccept{
		Result: eps.AttachResultEPSOnly, T3412: c.m.periodic(), TAIs: eps.NewTAIList(u.tais...), ESM: inner,
		GUTI: eps.Some(eps.FromGUTI(id.GUTI{GUMMEI: c.m.o.GUMMEI, TMSI: u.tmsi})),
	}
	if req.Type == eps.AttachTypeCombined { // TS 24.301 §5.5.1.3.4.3
		m.Cause = eps.Some(eps.EMMCauseCSDomainNotAvailable)
	}
	return c.encode(m)
}
