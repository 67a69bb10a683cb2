package mme

import (
	"cmp"
	"slices"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
)

// accept sends Attach Accept in an Initial Context Setup Request and waits for
// the eNB's response and the phone's Attach Complete, in either order
// (TS 24.301 §5.5.1.2.4, TS 23.401 §5.3.2.1 steps 17 to 24).
func (c *conn) accept(req *eps.AttachRequest, pti eps.PTI, p *pdn) error {
	u := c.ue
	if err := c.m.known.assign(u, c.m.trackingAreas(c.leg, req.LastTAI)); err != nil {
		return refuse(eps.EMMCauseNetworkFailure, err)
	}
	s, err := c.openContext(func() ([]byte, error) {
		u.accepted = true
		nas, err := c.attachAccept(req, pti, p)
		if err != nil {
			err = refuse(eps.EMMCauseNetworkFailure, err)
		}
		return nas, err
	})
	if err != nil {
		return err
	}
	complete := false
	send := func() error { // once more, after T3450 or a repeated request
		again, err := c.attachAccept(req, pti, p)
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
			v, err := c.setupAnswer(s, in)
			if v == finished {
				v = both(complete, s.done)
			}
			return v, err
		})
	if err != nil && !c.overtaken(err, s.leg) {
		return err
	}
	if err == nil {
		c.m.known.confirmed(u)
	}
	c.m.known.setRegistered(u, true)
	c.alert = true
	u.accepted = false
	if err != nil && !c.standing() {
		return err
	}
	return cmp.Or(c.useContext(s), err)
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
// §8.2.1).
func (c *conn) attachAccept(req *eps.AttachRequest, pti eps.PTI, p *pdn) ([]byte, error) {
	u := c.ue
	inner, err := eps.Append(nil, p.activation(pti))
	if err != nil {
		return nil, err
	}
	m := &eps.AttachAccept{
		Result: eps.AttachResultEPSOnly, T3412: c.m.periodic(), TAIs: eps.NewTAIList(u.tais...), ESM: inner,
		GUTI: eps.Some(eps.FromGUTI(id.GUTI{GUMMEI: c.gummei(), TMSI: u.tmsi})),
	}
	m.Features = c.m.features()
	granted := c.grant(saving{req.T3324, req.T3412Extended, req.ExtendedDRX})
	m.T3324, m.T3412Extended, m.ExtendedDRX = granted.active, granted.periodic, granted.edrx
	if m.LAI, m.AdditionalUpdateResult, m.Cause = c.nonEPS(req.Type == eps.AttachTypeCombined); m.LAI.OK {
		m.Result = eps.AttachResultCombined
	}
	return c.encode(m)
}
