package gateway

import (
	"errors"
	"net/netip"

	"campanile.network/3gpp/id"
	"campanile.network/gateway/datapath"
	"campanile.network/internal/logs"
	"campanile.network/wire/gtpc"
	"github.com/wmnsk/go-gtp/gtpv2/ie"
)

// handle answers S11; it runs on the endpoint's receiving goroutine.
func (g *Gateway) handle(peer netip.AddrPort, m *gtpc.Message) *gtpc.Message {
	g.mu.Lock()
	defer g.mu.Unlock()
	if m.Type == gtpc.CreateSessionRequest {
		res, err := g.create(m)
		g.refusal(peer, m, err)
		return res
	}
	u := g.ues[m.TEID]
	err := gtpc.Refuse(gtpc.ContextNotFound, 0, "no phone has control TEID %v", m.TEID)
	if u != nil {
		err = u.isWith(peer.Addr().Unmap(), m)
	}
	if err != nil {
		g.refusal(peer, m, err)
		if m.Type.Answer() == 0 {
			return nil
		}
		return gtpc.New(m.Type.Answer(), 0, gtpc.CauseIE(err), g.ep.Recovery()) // a restart may be why (TS 23.007 §16.1A.2)
	}
	var res *gtpc.Message
	switch m.Type {
	case gtpc.ModifyBearerRequest:
		res, err = g.modify(u, m)
	case gtpc.ReleaseAccessBearersRequest:
		res = g.release(u)
	case gtpc.DeleteSessionRequest:
		res, err = g.remove(u, m)
	case gtpc.DownlinkDataNotFailure:
		g.notPaged(u)
	case gtpc.BearerResourceCommand, gtpc.ModifyBearerCommand, gtpc.DeleteBearerCommand:
		err = gtpc.Refuse(gtpc.ServiceNotSupported, 0, "%v: default bearers only", m.Type)
		res = gtpc.New(m.Type.Answer(), u.mme.TEID, gtpc.CauseIE(err))
	case gtpc.CreateForwardingRequest, gtpc.DeleteForwardingRequest:
		err = gtpc.Refuse(gtpc.ServiceNotSupported, 0, "%v: eNBs forward to each other or not at all", m.Type)
		res = gtpc.New(m.Type.Answer(), u.mme.TEID, gtpc.CauseIE(err))
	}
	g.refusal(peer, m, err)
	return res
}

// refusal counts and logs what was refused.
func (g *Gateway) refusal(peer netip.AddrPort, m *gtpc.Message, err error) {
	if err == nil {
		return
	}
	cause := gtpc.SystemFailure
	if ce, ok := errors.AsType[*gtpc.CauseError](err); ok {
		cause = ce.Cause
	}
	g.refused[cause].Add(1)
	g.log.Info("gateway: refused", logs.Procedure, m.Type, logs.Peer, peer, logs.Cause, cause, logs.Error, err)
}

// modify answers a Modify Bearer Request (TS 29.274 §7.2.7): eNB tunnels, and
// the segment they open.
func (g *Gateway) modify(u *ue, m *gtpc.Message) (*gtpc.Message, error) {
	fail := func(err error) (*gtpc.Message, error) {
		return gtpc.New(gtpc.ModifyBearerResponse, u.mme.TEID, gtpc.CauseIE(err)), err
	}
	private, err := gtpc.ParsePrivate(m.IEs)
	if err != nil {
		return fail(gtpc.Refuse(gtpc.InvalidLength, ie.PrivateExtension, "%v", err))
	}
	if e := m.IE(ie.FullyQualifiedTEID, 0); e != nil {
		mme, err := gtpc.ParseFTEID(e)
		if err != nil {
			return fail(err)
		}
		u.movesTo(mme)
	}
	var contexts []*ie.IE
	done, asked := 0, 0
	var last error
	for _, e := range m.IEs {
		if e.Type != ie.BearerContext || e.Instance() != 0 {
			continue
		}
		asked++
		ebi, s, err := g.modifyOne(u, e.ChildIEs, private)
		parts := []*ie.IE{gtpc.EBI(ebi), gtpc.CauseIE(err)}
		if err == nil {
			done++
			parts = append(parts, gtpc.FTEID{Interface: gtpc.IfS1USGW, TEID: s.teid, Addr: g.o.S1U}.IE(0))
		} else {
			last = err
		}
		if ebi != 0 {
			contexts = append(contexts, gtpc.BearerContext(0, parts...))
		}
	}
	if asked > 0 && done == 0 {
		return fail(last)
	}
	cause := gtpc.Accepted
	if done < asked {
		cause = gtpc.AcceptedPartially
	}
	ies := append([]*ie.IE{ie.NewCause(uint8(cause), 0, 0, 0, nil)}, contexts...)
	return gtpc.New(gtpc.ModifyBearerResponse, u.mme.TEID, ies...), last
}

func (g *Gateway) modifyOne(u *ue, ies []*ie.IE, private gtpc.Private) (id.EBI, *session, error) {
	ebi, err := gtpc.ParseEBI(gtpc.Find(ies, ie.EPSBearerID, 0))
	if err != nil {
		return 0, nil, err
	}
	s := u.sessions[ebi]
	if s == nil {
		return ebi, nil, gtpc.Refuse(gtpc.ContextNotFound, 0, "phone has no bearer %d", ebi)
	}
	t := s.tunnel // kept when the request names none
	if e := gtpc.Find(ies, ie.FullyQualifiedTEID, 0); e != nil {
		enb, err := gtpc.ParseFTEID(e)
		if err != nil {
			return ebi, s, err
		}
		t = datapath.Tunnel{Peer: enb.Addr.Unmap(), TEID: enb.TEID}
		if t.TEID == 0 || t.Peer.IsUnspecified() || t.Peer.IsMulticast() || t.Peer == g.o.S1U.Unmap() { // its packets would come back as uplink
			return ebi, s, gtpc.Refuse(gtpc.MandatoryIEIncorrect, ie.FullyQualifiedTEID, "no eNB has the tunnel end %v@%v", t.TEID, t.Peer)
		}
	}
	if len(private.Ticket) > 0 {
		l, err := g.newLease(private.Ticket)
		if err != nil {
			return ebi, s, err
		}
		g.take(s, l)
	}
	segment, err := g.checkSegment(s, private.Segment)
	if err != nil {
		return ebi, s, err
	}
	c, err := g.path.UpdateBearer(s.teid, t)
	if err != nil {
		return ebi, s, gtpc.Refuse(gtpc.SystemFailure, 0, "data path: %v", err)
	}
	s.tunnel, s.reached, s.errored = t, s.reached || t.Active(), false
	if t.Active() {
		g.beginSegment(s, segment, c.Count)
	}
	g.log.Debug("gateway: bearer modified", logs.IMSI, u.imsi, logs.TEID, s.teid, logs.Peer, t.Peer)
	return ebi, s, nil
}

// release answers a Release Access Bearers Request: the phone is idle
// (TS 29.274 §7.2.21).
func (g *Gateway) release(u *ue) *gtpc.Message {
	for _, s := range u.sessions {
		g.idle(s)
	}
	return gtpc.New(gtpc.ReleaseAccessBearersResp, u.mme.TEID, gtpc.CauseIE(nil))
}

// remove answers a Delete Session Request (TS 29.274 §7.2.9): the session of
// the linked bearer, or all when it names none.
func (g *Gateway) remove(u *ue, m *gtpc.Message) (*gtpc.Message, error) {
	var err error
	if e := m.IE(ie.EPSBearerID, 0); e != nil {
		var ebi id.EBI
		if ebi, err = gtpc.ParseEBI(e); err == nil {
			if s := u.sessions[ebi]; s != nil {
				g.end(s)
			} else {
				err = gtpc.Refuse(gtpc.ContextNotFound, 0, "phone has no bearer %d", ebi)
			}
		}
	} else {
		for _, s := range u.sessions {
			g.end(s)
		}
	}
	return gtpc.New(gtpc.DeleteSessionResponse, u.mme.TEID, gtpc.CauseIE(err)), err
}

// notPaged hears that the phone did not answer (TS 29.274 §7.2.11.3).
func (g *Gateway) notPaged(u *ue) {
	for _, s := range u.sessions {
		g.path.DropBuffered(s.teid)
	}
}
