package gateway

import (
	"context"
	"errors"
	"net/netip"

	"campanile.network/3gpp/id"
	"campanile.network/internal/logs"
	"campanile.network/wire/gtpc"
	"github.com/wmnsk/go-gtp/gtpv2/ie"
)

// choosePGW gives the PGW of a session that is elsewhere; zero: it is here.
func (g *Gateway) choosePGW(s *session, r createRequest) (netip.Addr, error) {
	here := g.ep.LocalAddr().Addr()
	named := r.pgw.Addr
	switch {
	case s.ue.s5() && s.net.PGW.IsValid():
		return named, gtpc.Refuse(gtpc.UnknownAPN, ie.AccessPointName, "sessions of APN %v are another gateway's", r.apn)
	case s.ue.s5():
		return netip.Addr{}, nil
	case s.net.PGW.IsValid():
		return s.net.PGW, nil
	case named.IsValid() && named != here && within(g.o.Gateways, named):
		return named, nil
	}
	return netip.Addr{}, nil
}

// maxOpening bounds the sessions that PGWs are being asked for.
const maxOpening = 4096

// askPGW asks another gateway for a session that an MME wants (TS 23.401 §5.3.2.1 steps
// 12 to 16), and answers the MME later.
func (g *Gateway) askPGW(peer netip.AddrPort, m *gtpc.Message, r createRequest, s *session) (*gtpc.Message, error) {
	if g.opening >= maxOpening {
		g.discard(s)
		err := gtpc.Refuse(gtpc.NoResources, 0, "%d sessions are being opened", g.opening)
		return g.refuseCreate(r, err), err
	}
	g.opening++
	ask, to := g.forPGW(m, r, s), netip.AddrPortFrom(s.up.pgw.Addr, gtpc.Port)
	g.work.Go(func() {
		got, err := g.ep.Request(g.ctx, to, ask)
		if errors.Is(err, gtpc.ErrNoAnswer) {
			err = gtpc.Refuse(gtpc.RemotePeerNotResponding, 0, "%v", err)
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		g.opening--
		var res *gtpc.Message
		if err == nil {
			res, err = g.granted(r, m.TEID, s, got)
		} else {
			g.discard(s)
		}
		if err != nil {
			g.refusal(peer, m, err)
			res = g.refuseCreate(r, err)
		}
		if !g.flush(func() { g.ep.Answer(peer, m, res) }) {
			g.ep.Answer(peer, m, res)
		}
	})
	return heldAnswer, nil
}

// forPGW is an MME's Create Session Request as it goes on to the PGW: with this
// gateway's ends, and without what is between MME and SGW alone.
func (g *Gateway) forPGW(m *gtpc.Message, r createRequest, s *session) *gtpc.Message {
	b := s.first()
	ies := []*ie.IE{gtpc.FTEID{Interface: gtpc.IfS5SGWC, TEID: s.up.ctrl, Addr: g.ep.LocalAddr().Addr()}.IE(0)}
	for _, e := range m.IEs {
		switch e.Type {
		case ie.FullyQualifiedTEID, ie.BearerContext, ie.Recovery, ie.PrivateExtension:
		default:
			ies = append(ies, e)
		}
	}
	ies = append(ies, gtpc.BearerContext(0, gtpc.EBI(s.ebi), gtpc.FTEID{Interface: gtpc.IfS5SGWU, TEID: b.up, Addr: g.o.S1U}.IE(sgwUser), r.qos.IE()), g.ep.Recovery())
	return gtpc.New(gtpc.CreateSessionRequest, 0, ies...)
}

// granted opens a session as a PGW has granted it, and gives the answer to the MME.
func (g *Gateway) granted(r createRequest, ctrl id.TEID, s *session, m *gtpc.Message) (res *gtpc.Message, err error) {
	b := s.first()
	if err := m.Check(); err != nil {
		g.discard(s)
		return nil, err
	}
	bearer, err := m.FindBearer(0, s.ebi)
	if err == nil {
		err = gtpc.CheckCause(bearer, "bearer context")
	}
	control, err1 := gtpc.ParseFTEID(m.IE(ie.FullyQualifiedTEID, 1))
	user, err2 := gtpc.ParseFTEID(gtpc.Find(bearer, ie.FullyQualifiedTEID, pgwUser))
	if err2 == nil {
		_, err2 = g.tunnelEnd(user.IE(pgwUser))
	}
	addr, err3 := gtpc.ParseAddress(m.IE(ie.PDNAddressAllocation, 0))
	if err := errors.Join(err, err1, err2, err3); err != nil {
		g.discard(s)
		return nil, gtpc.Refuse(gtpc.InvalidMessageFormat, 0, "the PGW's answer: %v", err)
	}
	if control.Addr != s.up.pgw.Addr && !g.o.gateway(control.Addr) {
		g.discard(s)
		return nil, gtpc.Refuse(gtpc.InvalidMessageFormat, 0, "the PGW names %v as its control plane, which is no gateway of ours", control.Addr)
	}
	s.up.pgw, b.pgw, s.addr = control, user, addr
	b.charge = max(gtpc.ParseChargingID(gtpc.Find(bearer, ie.ChargingID, 0)), 1)
	if q, err := gtpc.ParseQoS(gtpc.Find(bearer, ie.BearerQoS, 0)); err == nil {
		b.qos = q
	}
	if a, err := gtpc.ParseAMBR(m.IE(ie.AggregateMaximumBitRate, 0)); err == nil {
		s.ambr = a
	}
	var pco []byte
	if e := m.IE(ie.ProtocolConfigurationOptions, 0); e != nil {
		pco = e.Payload
	}
	if ctrl != 0 && g.ues[s.ue.ctrl] != s.ue || ctrl == 0 && !r.imsi.IsZero() && g.byIMSI[r.imsi] != nil || s.ue.bearer(s.ebi) != nil {
		g.tellPGW(s)
		g.discard(s)
		return nil, gtpc.Refuse(gtpc.ContextNotFound, 0, "the phone has gone, or attached anew")
	}
	if err := g.open(s); err != nil {
		g.tellPGW(s)
		return nil, err
	}
	if s.ue.place == nil {
		s.ue.place = place{}
	}
	s.ue.place.news(r.place)
	return g.created(s, r, gtpc.Cause(m.IE(ie.Cause, 0).Payload[0]), pco), nil
}

// operation says that a Delete Session Request is the PGW's affair (TS 29.274 §8.12, OI).
func operation() *ie.IE { return ie.New(ie.Indication, 0, []byte{0x08, 0}) }

// operated says that a Delete Session Request is so. Without it another SGW has the
// session now, and the PGW knows (TS 23.401 §5.3.3.1 step 18).
func operated(m *gtpc.Message) bool {
	e := m.IE(ie.Indication, 0)
	return e != nil && len(e.Payload) > 0 && e.Payload[0]&0x08 != 0
}

// tellPGW has a PGW elsewhere told that a session has ended. It does not wait.
func (g *Gateway) tellPGW(s *session) {
	if s.up == nil || s.up.pgw.TEID == 0 || g.ctx.Err() != nil {
		return
	}
	to, m := netip.AddrPortFrom(s.up.pgw.Addr, gtpc.Port), gtpc.New(gtpc.DeleteSessionRequest, s.up.pgw.TEID, gtpc.EBI(s.ebi), operation())
	g.work.Go(func() { g.tell(to, m) })
}

// tell sends a request whose outcome changes nothing.
func (g *Gateway) tell(to netip.AddrPort, m *gtpc.Message) {
	res, err := g.ep.Request(g.ctx, to, m)
	if err == nil {
		err = res.Check()
	}
	if err != nil && g.ctx.Err() == nil {
		g.log.Warn("gateway: the other gateway was not told", logs.Peer, to, logs.Procedure, m.Type, logs.Error, err)
	}
}

// passOn tells the PGW elsewhere of a session what the MME has told this gateway.
func (g *Gateway) passOn(s *session, m *gtpc.Message) {
	if s.up == nil {
		return
	}
	m.TEID = s.up.pgw.TEID
	to := netip.AddrPortFrom(s.up.pgw.Addr, gtpc.Port)
	g.work.Go(func() { g.tell(to, m) })
}

// removeElsewhere tells PGWs of sessions that an MME has deleted, and then answers it.
func (g *Gateway) removeElsewhere(peer netip.AddrPort, m, res *gtpc.Message, list []*session) {
	type end struct {
		to netip.AddrPort
		m  *gtpc.Message
	}
	var ends []end
	for _, s := range list {
		ends = append(ends, end{netip.AddrPortFrom(s.up.pgw.Addr, gtpc.Port), gtpc.New(gtpc.DeleteSessionRequest, s.up.pgw.TEID, gtpc.EBI(s.ebi), operation())})
	}
	g.work.Go(func() {
		for _, e := range ends {
			g.tell(e.to, e.m)
		}
		g.commit()
		g.ep.Answer(peer, m, res)
	})
}

// passCommand passes a command on to the PGW, whose request comes back through
// fromPGW; its refusal is the error.
func (g *Gateway) passCommand(s *session, cmd *command) func(context.Context) error {
	s.up.cmd = cmd
	to, m := netip.AddrPortFrom(s.up.pgw.Addr, gtpc.Port), gtpc.New(cmd.m.Type, s.up.pgw.TEID, cmd.m.IEs...)
	return func(ctx context.Context) error {
		res, err := g.ep.Command(ctx, to, m)
		if err == nil && res.Type == m.Type.Answer() {
			if err = res.Check(); err == nil {
				err = gtpc.Refuse(gtpc.RequestRejected, 0, "%v without a cause", res.Type)
			}
		}
		if errors.Is(err, gtpc.ErrNoAnswer) {
			err = gtpc.Refuse(gtpc.RemotePeerNotResponding, 0, "%v", err)
		}
		if err != nil {
			g.mu.Lock()
			s.up.cmd = nil
			g.mu.Unlock()
			err = unasked{err}
		}
		return err
	}
}

// fromPGW answers what a PGW asks of a session's bearers, when the MME has answered it.
func (g *Gateway) fromPGW(peer netip.AddrPort, s *session, m *gtpc.Message) *gtpc.Message {
	fail := func(err error) *gtpc.Message {
		g.refusal(peer, m, err)
		if m.Type.Answer() == 0 {
			return nil
		}
		return gtpc.New(m.Type.Answer(), s.up.pgw.TEID, gtpc.CauseIE(err))
	}
	if peer.Addr() != s.up.pgw.Addr {
		return fail(gtpc.Refuse(gtpc.ContextNotFound, 0, "the session is of another gateway"))
	}
	o := order{s: s, pti: gtpc.ParsePTI(m.IE(ie.ProcedureTransactionID, 0))}
	if e := m.IE(ie.ProtocolConfigurationOptions, 0); e != nil {
		o.pco = e.Payload
	}
	var do passed
	var err error
	switch m.Type {
	case gtpc.CreateBearerRequest:
		do, err = g.passCreate(m)
	case gtpc.UpdateBearerRequest:
		do, err = g.passUpdate(m)
	case gtpc.DeleteBearerRequest:
		do, err = g.passDelete(s, m)
	default:
		err = gtpc.Refuse(gtpc.ServiceNotSupported, 0, "%v of a PGW", m.Type)
	}
	if err != nil {
		return fail(err)
	}
	if m.Triggered() {
		o.cmd, s.up.cmd = s.up.cmd, nil
	}
	g.work.Go(func() {
		res, err := do(g.ctx, o)
		if err != nil {
			g.mu.Lock()
			res = fail(err)
			g.mu.Unlock()
		}
		g.commit()
		g.ep.Answer(peer, m, res)
	})
	return heldAnswer
}
