package mme

import (
	"slices"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/wire/gtpc"
)

// maxTAIList is how many tracking areas a list has room for (TS 24.301
// §9.9.3.33).
const maxTAIList = 16

// accept sends Attach Accept in an Initial Context Setup Request and waits for
// the eNB's response and the phone's Attach Complete, in either order
// (TS 24.301 §5.5.1.2.4, TS 23.401 §5.3.2.1 steps 17 to 24).
func (c *conn) accept(req *eps.AttachRequest, pdn *eps.PDNConnectivityRequest) error {
	u := c.ue
	if err := c.m.known.newTMSI(u); err != nil {
		return refuse(eps.EMMCauseNetworkFailure, err)
	}
	u.tais = c.m.trackingAreas(c.leg)
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
	c.m.known.dropTMSI(u)
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
		Result: eps.AttachResultEPSOnly, T3412: eps.GPRSTimer(eps.TimerDeactivated), TAIs: eps.NewTAIList(u.tais...), ESM: inner,
		GUTI: eps.Some(eps.FromGUTI(id.GUTI{GUMMEI: c.m.o.GUMMEI, TMSI: u.tmsi})),
	}
	if c.m.o.T3412 > 0 {
		m.T3412 = eps.NewGPRSTimer(c.m.o.T3412)
	}
	if req.Type == eps.AttachTypeCombined { // TS 24.301 §5.5.1.3.4.3
		m.Cause = eps.Some(eps.EMMCauseCSDomainNotAvailable)
	}
	return c.encode(m)
}

// trackingAreas gives the list for a phone: where it is and the other areas of
// this PLMN, in which it may move without telling.
func (m *MME) trackingAreas(l *leg) []id.TAI {
	here, _ := l.place()
	out := []id.TAI{here}
	var rest []id.TAI
	for _, e := range m.legs.all() {
		for _, t := range e.show().TAIs {
			if t.PLMN == here.PLMN && t != here && !slices.Contains(rest, t) {
				rest = append(rest, t)
			}
		}
	}
	slices.SortFunc(rest, func(a, b id.TAI) int { return int(a.TAC) - int(b.TAC) })
	return append(out, rest[:min(len(rest), maxTAIList-1)]...)
}

// inform tells the phone the network's name (TS 24.301 §5.4.5).
func (c *conn) inform() error {
	if c.m.o.NetworkName == "" {
		return nil
	}
	now := time.Now()
	return c.send(&eps.EMMInformation{
		FullName: eps.Some(eps.NewNetworkName(c.m.o.NetworkName)), TimeZone: eps.Some(eps.ZoneOf(now)),
		Time: eps.Some(eps.NewTimeAndZone(now)),
	})
}
