package gateway

import (
	"campanile.network/3gpp/id"
	"campanile.network/gateway/datapath"
	"campanile.network/wire/gtpc"
	"github.com/wmnsk/go-gtp/gtpv2/ie"
)

// Instances of F-TEIDs of indirect forwarding (TS 29.274 tables 7.2.18-2, 7.2.19-2).
const forwardDL, forwardUL = 0, 4

// forward answers a Create Indirect Data Forwarding Tunnel Request: what a handover's
// source brings goes to its target (TS 29.274 §7.2.18). What is forwarded for the phone
// already goes on until it is ended.
func (g *Gateway) forward(u *ue, m *gtpc.Message) (*gtpc.Message, error) {
	var contexts []*ie.IE
	done, asked := 0, 0
	var last error
	for _, e := range m.IEs {
		if e.Type != ie.BearerContext || e.Instance() != 0 {
			continue
		}
		asked++
		ebi, ends, err := g.forwardOne(u, e.ChildIEs)
		if err == nil {
			done++
		} else {
			last = err
		}
		if ebi != 0 {
			contexts = append(contexts, gtpc.BearerContext(0, append([]*ie.IE{gtpc.EBI(ebi), gtpc.CauseIE(err)}, ends...)...))
		}
	}
	if asked == 0 {
		last = gtpc.Refuse(gtpc.MandatoryIEMissing, ie.BearerContext, "no bearer context")
	}
	cause := gtpc.CauseIE(nil)
	switch {
	case done == 0:
		cause = gtpc.CauseIE(last)
	case done < asked:
		cause = ie.NewCause(uint8(gtpc.AcceptedPartially), 0, 0, 0, nil)
	}
	own := gtpc.FTEID{Interface: gtpc.IfS11SGW, TEID: u.ctrl, Addr: g.ep.LocalAddr().Addr()}.IE(0)
	return gtpc.New(m.Type.Answer(), u.peer.TEID, append([]*ie.IE{cause, own}, contexts...)...), last
}

func (g *Gateway) forwardOne(u *ue, ies []*ie.IE) (ebi id.EBI, ends []*ie.IE, err error) {
	if ebi, err = gtpc.ParseEBI(gtpc.Find(ies, ie.EPSBearerID, 0)); err != nil {
		return 0, nil, err
	}
	if u.bearer(ebi) == nil {
		return ebi, nil, gtpc.Refuse(gtpc.ContextNotFound, 0, "phone has no bearer %d", ebi)
	}
	for _, way := range []struct{ instance, kind uint8 }{{forwardDL, gtpc.IfSGWForwardDL}, {forwardUL, gtpc.IfSGWForwardUL}} {
		e := gtpc.Find(ies, ie.FullyQualifiedTEID, way.instance)
		if e == nil {
			continue
		}
		to, err := g.tunnelEnd(e)
		if err != nil {
			return ebi, ends, err
		}
		t, err := g.forwardTo(u, to)
		if err != nil {
			return ebi, ends, err
		}
		ends = append(ends, gtpc.FTEID{Interface: way.kind, TEID: t, Addr: g.o.S1U}.IE(way.instance))
	}
	if ends == nil {
		return ebi, nil, gtpc.Refuse(gtpc.ConditionalIEMissing, ie.FullyQualifiedTEID, "nowhere to forward bearer %d to", ebi)
	}
	return ebi, ends, nil
}

// maxForwards is how many tunnels a phone's handover may need: two for each of 11
// bearers.
const maxForwards = 22

func (g *Gateway) forwardTo(u *ue, to datapath.Tunnel) (id.TEID, error) {
	if len(u.forwards) >= maxForwards {
		return 0, gtpc.Refuse(gtpc.NoResources, 0, "%d tunnels are forwarded", len(u.forwards))
	}
	t, ok := g.teids.Alloc()
	if !ok {
		return 0, gtpc.Refuse(gtpc.NoResources, 0, "no TEID is left")
	}
	if err := g.path.PutForward(t, to); err != nil {
		g.teids.Free(t)
		return 0, gtpc.Refuse(gtpc.SystemFailure, 0, "data path: %v", err)
	}
	u.forwards = append(u.forwards, t)
	return t, nil
}

// endForwards ends a phone's forwarding.
func (g *Gateway) endForwards(u *ue) {
	for _, t := range u.forwards {
		g.path.RemoveForward(t)
		g.teids.Free(t)
	}
	u.forwards = nil
}
