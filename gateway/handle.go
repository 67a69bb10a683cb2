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

// handle answers S11 and S5/S8; it runs on the endpoint's receiving goroutine. What an
// answer rests on is stored before it leaves.
func (g *Gateway) handle(peer netip.AddrPort, m *gtpc.Message) *gtpc.Message {
	g.mu.Lock()
	defer g.mu.Unlock()
	res := g.dispatch(peer, m)
	if res == nil || res == heldAnswer {
		g.flush(nil)
		return held(res)
	}
	if g.flush(func() { g.ep.Answer(peer, m, res) }) {
		return gtpc.Held()
	}
	return res
}

// heldAnswer stands for an answer that a procedure gives later.
var heldAnswer = gtpc.Held()

func held(m *gtpc.Message) *gtpc.Message {
	if m == heldAnswer {
		return gtpc.Held()
	}
	return m
}

func (g *Gateway) dispatch(peer netip.AddrPort, m *gtpc.Message) *gtpc.Message {
	if m.Type == gtpc.CreateSessionRequest {
		res, err := g.create(peer, m)
		g.refusal(peer, m, err)
		return res
	}
	if s := g.uplinks[m.TEID]; s != nil && m.HasTEID {
		return g.fromPGW(peer, s, m)
	}
	u := g.ues[m.TEID]
	err := gtpc.Refuse(gtpc.ContextNotFound, 0, "no phone has control TEID %v", m.TEID)
	if u != nil && g.mayAsk(u, peer.Addr()) {
		err = u.isWith(peer.Addr(), m)
	}
	if err != nil {
		g.refusal(peer, m, err)
		if m.Type.Answer() == 0 {
			return nil
		}
		return gtpc.New(m.Type.Answer(), 0, gtpc.CauseIE(err), g.ep.Recovery()) // a restart may be why (TS 23.007 §16.1A.2)
	}
	res, err := g.procedure(peer, u, m)
	g.refusal(peer, m, err)
	return res
}

// mayAsk says that a peer may speak of a phone: an SGW of its own phones only, for it
// is another operator's.
func (g *Gateway) mayAsk(u *ue, a netip.Addr) bool {
	return !u.s5() || a == u.peer.Addr || within(g.o.Gateways, a)
}

// procedure carries out what is asked of a phone's sessions.
func (g *Gateway) procedure(peer netip.AddrPort, u *ue, m *gtpc.Message) (res *gtpc.Message, err error) {
	switch m.Type {
	case gtpc.ModifyBearerRequest:
		return g.modify(u, m)
	case gtpc.ReleaseAccessBearersRequest:
		return g.release(u)
	case gtpc.DeleteSessionRequest:
		return g.remove(peer, u, m)
	case gtpc.DownlinkDataNotFailure:
		g.notPaged(u)
		return nil, nil
	case gtpc.StopPagingIndication:
		return nil, nil
	case gtpc.BearerResourceCommand, gtpc.ModifyBearerCommand, gtpc.DeleteBearerCommand:
		return g.commanded(peer, u, m)
	case gtpc.CreateForwardingRequest:
		return g.forward(u, m)
	case gtpc.DeleteForwardingRequest:
		g.endForwards(u)
		return gtpc.New(m.Type.Answer(), u.peer.TEID, gtpc.CauseIE(nil)), nil
	case gtpc.SuspendNotification, gtpc.ResumeNotification:
		return g.suspend(u, m), nil
	case gtpc.ChangeNotificationRequest:
		return g.changed(u, m), nil
	}
	if m.Type.Answer() != 0 {
		err = gtpc.Refuse(gtpc.ServiceNotSupported, 0, "%v", m.Type)
		res = gtpc.New(m.Type.Answer(), u.peer.TEID, gtpc.CauseIE(err))
	}
	return res, err
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
		return gtpc.New(gtpc.ModifyBearerResponse, u.peer.TEID, gtpc.CauseIE(err)), err
	}
	private, err := gtpc.ParsePrivate(m.IEs)
	if err != nil {
		return fail(gtpc.Refuse(gtpc.InvalidLength, ie.PrivateExtension, "%v", err))
	}
	if e := m.IE(ie.FullyQualifiedTEID, 0); e != nil {
		if err := g.moved(u, e); err != nil {
			return fail(err)
		}
	}
	g.tellPlace(u, m.Type, m)
	if e := m.IE(ie.DelayValue, 0); e != nil && !u.s5() { // Delay Downlink Packet Notification Request
		t := g.throttles[u.peer.Addr]
		t.delay = gtpc.ParseWaiting(m.IEs).Delay
		g.throttle(u.peer.Addr, t)
	}
	var contexts []*ie.IE
	done, asked := 0, 0
	var last error
	for _, e := range m.IEs {
		if e.Type != ie.BearerContext {
			continue
		}
		if e.Instance() != 0 {
			g.unmodify(u, e.ChildIEs)
			continue
		}
		asked++
		ebi, b, err := g.modifyOne(u, e.ChildIEs, private)
		parts := []*ie.IE{gtpc.EBI(ebi), gtpc.CauseIE(err)}
		switch {
		case err != nil:
			last = err
		case u.s5():
			done++
			parts = append(parts, gtpc.ChargingID(b.charge))
		default:
			done++
			parts = append(parts, gtpc.FTEID{Interface: gtpc.IfS1USGW, TEID: b.teid, Addr: g.o.S1U}.IE(0))
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
	return gtpc.New(gtpc.ModifyBearerResponse, u.peer.TEID, ies...), last
}

// moved takes the control plane end of another MME, or SGW. It does not make one of
// the other.
func (g *Gateway) moved(u *ue, e *ie.IE) error {
	peer, err := gtpc.ParseFTEID(e)
	if err != nil {
		return err
	}
	if peer.Interface != u.peer.Interface {
		return gtpc.Refuse(gtpc.MandatoryIEIncorrect, ie.FullyQualifiedTEID, "sender's F-TEID is of interface type %d, the phone's was of %d", peer.Interface, u.peer.Interface)
	}
	if u.s5() && !within(g.o.Gateways, peer.Addr) {
		return gtpc.Refuse(gtpc.RequestRejected, ie.FullyQualifiedTEID, "%v is no gateway that may use this one", peer.Addr)
	}
	u.movesTo(peer)
	for _, s := range u.sessions {
		g.touch(s)
	}
	return nil
}

// unmodify takes the tunnel of a bearer context to be removed (TS 29.274 table
// 7.2.7-3).
func (g *Gateway) unmodify(u *ue, ies []*ie.IE) {
	ebi, err := gtpc.ParseEBI(gtpc.Find(ies, ie.EPSBearerID, 0))
	if b := u.bearer(ebi); err == nil && b != nil {
		g.idle(b)
	}
}

// Instance of the SGW's user plane in bearer contexts to be modified on S5/S8
// (TS 29.274 table 7.2.7-2).
const modifiedSGW = 1

func (g *Gateway) modifyOne(u *ue, ies []*ie.IE, private gtpc.Private) (id.EBI, *bearer, error) {
	ebi, err := gtpc.ParseEBI(gtpc.Find(ies, ie.EPSBearerID, 0))
	if err != nil {
		return 0, nil, err
	}
	b := u.bearer(ebi)
	if b == nil {
		return ebi, nil, gtpc.Refuse(gtpc.ContextNotFound, 0, "phone has no bearer %d", ebi)
	}
	s, t := b.s, b.tunnel // kept when the request names none
	instance := uint8(0)
	if u.s5() {
		instance = modifiedSGW
	}
	if e := gtpc.Find(ies, ie.FullyQualifiedTEID, instance); e != nil {
		if t, err = g.tunnelEnd(e); err != nil {
			return ebi, b, err
		}
	}
	if len(private.Ticket) > 0 && !u.s5() && (s.lease == nil || string(s.lease.raw) != string(private.Ticket)) {
		l, err := g.newLease(private.Ticket)
		if err != nil {
			return ebi, b, err
		}
		g.take(s, l)
		s.out = false
	}
	segment, err := g.checkSegment(s, private.Segment)
	if err != nil {
		return ebi, b, err
	}
	c, err := g.path.UpdateBearer(b.teid, t)
	if err != nil {
		return ebi, b, gtpc.Refuse(gtpc.SystemFailure, 0, "data path: %v", err)
	}
	b.tunnel, s.reached, b.errored = t, s.reached || t.Active(), false
	if t.Active() {
		u.suspended = false // the phone is back (TS 23.401 §5.10)
		g.wake(u)
		g.beginSegment(b, segment, plus(c, b.carry))
	}
	g.touch(s)
	g.log.Debug("gateway: bearer modified", logs.IMSI, u.imsi, logs.TEID, b.teid, logs.Peer, t.Peer)
	return ebi, b, nil
}

// tunnelEnd reads a peer's end of a tunnel. One at this gateway itself would have its
// packets come back, for ever.
func (g *Gateway) tunnelEnd(e *ie.IE) (datapath.Tunnel, error) {
	f, err := gtpc.ParseFTEID(e)
	if err != nil {
		return datapath.Tunnel{}, err
	}
	t := datapath.Tunnel{Peer: f.Addr.Unmap(), TEID: f.TEID}
	if t.TEID == 0 || t.Peer.IsUnspecified() || t.Peer.IsMulticast() || t.Peer == g.o.S1U.Unmap() {
		return t, gtpc.Refuse(gtpc.MandatoryIEIncorrect, ie.FullyQualifiedTEID, "nobody has the tunnel end %v@%v", t.TEID, t.Peer)
	}
	return t, nil
}

// release answers a Release Access Bearers Request: the phone is idle
// (TS 29.274 §7.2.21).
func (g *Gateway) release(u *ue) (*gtpc.Message, error) {
	if u.s5() {
		err := gtpc.Refuse(gtpc.ServiceNotSupported, 0, "access bearers are the SGW's")
		return gtpc.New(gtpc.ReleaseAccessBearersResp, u.peer.TEID, gtpc.CauseIE(err)), err
	}
	for _, s := range u.sessions {
		for _, b := range s.bearers {
			g.idle(b)
		}
	}
	return gtpc.New(gtpc.ReleaseAccessBearersResp, u.peer.TEID, gtpc.CauseIE(nil)), nil
}

// remove answers a Delete Session Request (TS 29.274 §7.2.9): the session of
// the linked bearer, or all when it names none.
func (g *Gateway) remove(peer netip.AddrPort, u *ue, m *gtpc.Message) (*gtpc.Message, error) {
	var list []*session
	if e := m.IE(ie.EPSBearerID, 0); e != nil {
		ebi, err := gtpc.ParseEBI(e)
		s := u.sessions[ebi]
		if err == nil && s == nil {
			err = gtpc.Refuse(gtpc.ContextNotFound, 0, "phone has no session of bearer %d", ebi)
		}
		if err != nil {
			return gtpc.New(gtpc.DeleteSessionResponse, u.peer.TEID, gtpc.CauseIE(err)), err
		}
		list = append(list, s)
	} else {
		for _, s := range u.sessions {
			list = append(list, s)
		}
	}
	res := gtpc.New(gtpc.DeleteSessionResponse, u.peer.TEID, gtpc.CauseIE(nil))
	var elsewhere []*session
	for _, s := range list {
		if s.up != nil && operated(m) {
			elsewhere = append(elsewhere, s)
		}
	}
	if len(elsewhere) > 0 {
		g.removeElsewhere(peer, m, res, elsewhere)
		res = heldAnswer
	}
	for _, s := range list {
		g.end(s)
	}
	return res, nil
}

// notPaged hears that the phone did not answer (TS 29.274 §7.2.11.3).
func (g *Gateway) notPaged(u *ue) {
	for _, s := range u.sessions {
		for _, b := range s.bearers {
			g.path.DropBuffered(b.teid)
		}
	}
}

// suspend answers a Suspend or Resume Notification (TS 29.274 §7.4.1, §7.4.3): while a
// phone is at another radio for a call, what comes for it is thrown away and nobody
// is told.
func (g *Gateway) suspend(u *ue, m *gtpc.Message) *gtpc.Message {
	u.suspended = m.Type == gtpc.SuspendNotification
	for _, s := range u.sessions {
		g.touch(s)
		if u.suspended {
			for _, b := range s.bearers {
				g.idle(b)
				g.path.DropBuffered(b.teid)
			}
		}
		g.passOn(s, gtpc.New(m.Type, 0))
	}
	return gtpc.New(m.Type.Answer(), u.peer.TEID, gtpc.CauseIE(nil))
}

// peerRestarted ends what a peer has forgotten (TS 23.007 §14.1A.1, §16.1A.2): the
// sessions of an MME, of an SGW, or those whose PGW it was; an MME is told of the last.
func (g *Gateway) peerRestarted(peer netip.Addr, _ uint8) {
	g.mu.Lock()
	defer g.mu.Unlock()
	defer g.flush(nil)
	n := 0
	for _, s := range g.sessions {
		switch {
		case s.ended:
		case s.ue.peer.Addr == peer:
			g.tellPGW(s)
			g.end(s)
			n++
		case s.up != nil && s.up.pgw.Addr == peer:
			g.tellEnded(s)
			g.end(s)
			n++
		}
	}
	g.log.Warn("gateway: a peer has restarted", logs.Peer, peer, "sessions", n)
}

// pathChanged hears that a peer does not answer any more, or does again. Sessions stay
// (TS 23.007 §20.2.1): a peer that has lost them says so by its restart counter.
func (g *Gateway) pathChanged(peer netip.Addr, up bool) {
	if up {
		g.log.Info("gateway: peer answers again", logs.Peer, peer)
		return
	}
	g.log.Warn("gateway: peer does not answer, its sessions stay", logs.Peer, peer)
}
