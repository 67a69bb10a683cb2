package gateway

import (
	"context"
	"errors"
	"net/netip"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/internal/logs"
	"campanile.network/wire/gtpc"
	"github.com/wmnsk/go-gtp/gtpv2/ie"
)

// command is a peer's command that a request answers (TS 29.274 §7.6).
type command struct {
	peer netip.AddrPort
	m    *gtpc.Message
}

// order is what a procedure on bearers has in common.
type order struct {
	s   *session
	pti uint8    // of the phone's request that led to it; 0: none
	cmd *command // that led to it; nil: none
	pco []byte   // for the phone
}

// offer is a bearer that is to be made.
type offer struct {
	qos    gtpc.QoS
	tft    eps.TFT
	pgw    gtpc.FTEID // where the PGW is elsewhere
	charge uint32     // likewise
}

// outcome is what became of one bearer.
type outcome struct {
	b     *bearer
	cause gtpc.Cause
}

// unasked is an error for which a peer was not asked.
type unasked struct{ error }

func (e unasked) Unwrap() error { return e.error }

// Instances of F-TEIDs in bearer contexts of Create Bearer (TS 29.274 tables 7.2.3-2,
// 7.2.4-2).
const (
	offeredS1U, offeredPGW                           = 0, 1
	agreedENB, agreedS1U, agreedSGW, agreedPGW uint8 = 0, 1, 2, 3
)

// request sends what a procedure asks of the phone's MME, or SGW, and gives its
// answer; its cause is the caller's to check.
func (g *Gateway) request(ctx context.Context, o order, t gtpc.Type, ies ...*ie.IE) (*gtpc.Message, error) {
	g.mu.Lock()
	to, teid := netip.AddrPortFrom(o.s.ue.peer.Addr, gtpc.Port), o.s.ue.peer.TEID
	g.mu.Unlock()
	var pco *ie.IE
	if len(o.pco) > 0 {
		pco = ie.New(ie.ProtocolConfigurationOptions, 0, o.pco)
	}
	m := gtpc.New(t, teid, append([]*ie.IE{gtpc.PTI(o.pti), pco}, ies...)...)
	if o.cmd != nil {
		return g.ep.Trigger(ctx, o.cmd.peer, o.cmd.m, m)
	}
	return g.ep.Request(ctx, to, m)
}

// makeBearers is the dedicated bearer activation procedure (TS 23.401 §5.4.1). The
// error is that nothing was made; else there is an outcome for each offer.
func (g *Gateway) makeBearers(ctx context.Context, o order, offers []offer) (out []outcome, pco []byte, err error) {
	g.mu.Lock()
	list, err := g.prepare(o.s, offers)
	ies := []*ie.IE{gtpc.EBI(o.s.ebi)}
	for i, b := range list {
		ies = append(ies, g.offered(b, offers[i].tft))
	}
	g.flush(nil)
	g.mu.Unlock()
	if err != nil {
		return nil, nil, unasked{err}
	}
	res, err := g.request(ctx, o, gtpc.CreateBearerRequest, ies...)
	if err == nil {
		err = res.Check()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if err != nil {
		for _, b := range list {
			g.undo(b)
		}
		g.flush(nil)
		return nil, nil, err
	}
	contexts := bearerContexts(res)
	for i, b := range list {
		var ies []*ie.IE
		if i < len(contexts) {
			ies = contexts[i]
		}
		out = append(out, outcome{b, g.agreed(b, ies)})
	}
	if e := res.IE(ie.ProtocolConfigurationOptions, 0); e != nil {
		pco = e.Payload
	}
	return out, pco, nil
}

// bearerContexts are those of a message, in its order.
func bearerContexts(m *gtpc.Message) (list [][]*ie.IE) {
	for _, e := range m.IEs {
		if e.Type == ie.BearerContext && e.Instance() == 0 {
			list = append(list, e.ChildIEs)
		}
	}
	return list
}

// prepare puts bearers on the data path that nobody has agreed to: uplink may come
// before the answer does. The caller holds mu.
func (g *Gateway) prepare(s *session, offers []offer) (list []*bearer, err error) {
	defer func() {
		if err != nil {
			for _, b := range list {
				g.undo(b)
			}
		}
	}()
	if s.ended {
		return nil, gtpc.Refuse(gtpc.ContextNotFound, 0, "the session has ended")
	}
	if len(s.bearers)+len(s.making)+len(offers) > 11 {
		return nil, gtpc.Refuse(gtpc.NoResources, 0, "the session has %d bearers", len(s.bearers)+len(s.making))
	}
	for _, f := range offers {
		if err := checkQoS(f.qos); err != nil {
			return list, err
		}
		tft, err := applyTFT(nil, f.tft)
		if err != nil {
			return list, err
		}
		g.lastID++
		g.charging++
		b := &bearer{s: s, qos: f.qos, tft: tft, number: g.lastID, charge: g.charging, pgw: f.pgw}
		if f.charge != 0 {
			b.charge = f.charge
		}
		if err := g.place(b); err != nil {
			return list, err
		}
		s.making[b] = struct{}{}
		list = append(list, b)
	}
	return list, nil
}

// place gives a bearer its ends and puts it on the data path.
func (g *Gateway) place(b *bearer) (err error) {
	var ok bool
	if b.teid, ok = g.teids.Alloc(); ok && b.pgw.TEID != 0 {
		if b.up, ok = g.teids.Alloc(); !ok {
			g.teids.Free(b.teid)
		}
	}
	if !ok {
		return gtpc.Refuse(gtpc.NoResources, 0, "no TEID is left")
	}
	if err := g.putBearer(b, false); err != nil {
		g.teids.Free(b.teid)
		g.teids.Free(b.up)
		return gtpc.Refuse(gtpc.SystemFailure, 0, "data path: %v", err)
	}
	return nil
}

// undo ends a bearer that nobody has agreed to; what came on it all the same counts.
func (g *Gateway) undo(b *bearer) {
	if _, ok := b.s.making[b]; ok {
		g.finishBearer(b)
	}
}

// offered is a bearer as the MME, or the SGW, is asked for it.
func (g *Gateway) offered(b *bearer, tft eps.TFT) *ie.IE {
	pgw := gtpc.FTEID{Interface: gtpc.IfS5PGWU, TEID: b.teid, Addr: g.o.S1U}
	if b.pgw.TEID != 0 {
		pgw = b.pgw
	}
	s1u := gtpc.FTEID{Interface: gtpc.IfS1USGW, TEID: b.teid, Addr: g.o.S1U}.IE(offeredS1U)
	if b.s.ue.s5() {
		s1u = nil
	}
	return gtpc.BearerContext(0, ie.New(ie.EPSBearerID, 0, []byte{0}), ie.New(ie.BearerTFT, 0, tft.AppendTo(nil)), s1u, pgw.IE(offeredPGW),
		b.qos.IE(), gtpc.ChargingID(b.charge))
}

// agreed makes a bearer live that the peer has agreed to, and undoes it otherwise.
func (g *Gateway) agreed(b *bearer, ies []*ie.IE) gtpc.Cause {
	s := b.s
	refuse := func(err error) gtpc.Cause {
		g.log.Info("gateway: bearer not made", logs.IMSI, s.ue.imsi, logs.Error, err)
		g.undo(b)
		if ce, ok := errors.AsType[*gtpc.CauseError](err); ok {
			return ce.Cause
		}
		return gtpc.SystemFailure
	}
	if err := gtpc.CheckCause(ies, "bearer context"); err != nil {
		return refuse(err)
	}
	ebi, err := gtpc.ParseEBI(gtpc.Find(ies, ie.EPSBearerID, 0))
	if err != nil {
		return refuse(err)
	}
	instance := agreedENB
	if s.ue.s5() {
		instance = agreedSGW
	}
	end, err := g.tunnelEnd(gtpc.Find(ies, ie.FullyQualifiedTEID, instance))
	if err != nil {
		return refuse(err)
	}
	if s.ended || s.ue.bearer(ebi) != nil {
		return refuse(gtpc.Refuse(gtpc.ContextNotFound, 0, "bearer %d is in use, or its session has ended", ebi))
	}
	delete(s.making, b)
	b.ebi, b.tunnel = ebi, end
	s.bearers[ebi] = b
	u, err := g.path.UpdateBearer(b.teid, b.tunnel)
	if err == nil {
		err = g.repolicy(b)
	}
	if err != nil {
		g.log.Error("gateway: bearer is not as it was agreed", logs.IMSI, s.ue.imsi, logs.TEID, b.teid, logs.Error, err)
	}
	var stay []byte
	if first := s.first().open; first != nil {
		stay = first.bytes
	}
	g.beginSegment(b, stay, u)
	g.touch(s)
	g.log.Info("gateway: bearer created", logs.IMSI, s.ue.imsi, "bearer", uint8(ebi), "qci", uint8(b.qos.QCI), logs.TEID, b.teid)
	return gtpc.Accepted
}

// change is what is to become of a bearer; what is nil stays.
type change struct {
	ebi id.EBI
	qos *gtpc.QoS
	tft *eps.TFT
}

// changeBearers is the bearer modification procedure (TS 23.401 §5.4.2, §5.4.3), of a
// session's AMBR as well if that is not nil. There is a cause for each change.
func (g *Gateway) changeBearers(ctx context.Context, o order, changes []change, ambr *gtpc.AMBR) (out []gtpc.Cause, pco []byte, err error) {
	g.mu.Lock()
	var ies []*ie.IE
	if ambr != nil {
		ies = append(ies, ambr.IE())
	} else {
		ies = append(ies, o.s.ambr.IE()) // mandatory (TS 29.274 table 7.2.15-1)
	}
	for _, c := range changes {
		var one *ie.IE
		if one, err = g.checkChange(o.s, c); err != nil {
			break
		}
		ies = append(ies, one)
	}
	g.mu.Unlock()
	if err != nil {
		return nil, nil, unasked{err}
	}
	res, err := g.request(ctx, o, gtpc.UpdateBearerRequest, ies...)
	if err == nil {
		err = res.Check()
	}
	if err != nil {
		return nil, nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	defer g.flush(nil)
	if ambr != nil && o.s.ambr != *ambr {
		o.s.ambr = *ambr
		if err := g.path.UpdateSession(g.pathSession(o.s, false)); err != nil {
			g.log.Error("gateway: AMBR not set", logs.IMSI, o.s.ue.imsi, logs.Error, err)
		}
	}
	for _, c := range changes {
		cause := gtpc.Accepted
		if ies, err := res.FindBearer(0, c.ebi); err != nil {
			cause = gtpc.MandatoryIEMissing
		} else if err := gtpc.CheckCause(ies, "bearer context"); err != nil {
			ce, _ := errors.AsType[*gtpc.CauseError](err)
			cause = ce.Cause
		} else {
			g.applyChange(o.s, c)
		}
		out = append(out, cause)
	}
	g.touch(o.s)
	if e := res.IE(ie.ProtocolConfigurationOptions, 0); e != nil {
		pco = e.Payload
	}
	return out, pco, nil
}

func (g *Gateway) checkChange(s *session, c change) (*ie.IE, error) {
	b := s.bearers[c.ebi]
	if s.ended || b == nil {
		return nil, gtpc.Refuse(gtpc.ContextNotFound, 0, "the session has no bearer %d", c.ebi)
	}
	parts := []*ie.IE{gtpc.EBI(c.ebi)}
	if c.tft != nil {
		if _, err := applyTFT(b.tft, *c.tft); err != nil {
			return nil, err
		}
		parts = append(parts, ie.New(ie.BearerTFT, 0, c.tft.AppendTo(nil)))
	}
	if c.qos != nil {
		if err := checkQoS(*c.qos); err != nil {
			return nil, err
		}
		parts = append(parts, c.qos.IE())
	}
	return gtpc.BearerContext(0, parts...), nil
}

func (g *Gateway) applyChange(s *session, c change) {
	b := s.bearers[c.ebi]
	if b == nil {
		return
	}
	if c.tft != nil {
		if tft, err := applyTFT(b.tft, *c.tft); err == nil {
			b.tft = tft
		}
	}
	if c.qos != nil {
		b.qos = *c.qos
	}
	if err := g.repolicy(b); err != nil {
		g.log.Error("gateway: bearer is not as it was agreed", logs.IMSI, s.ue.imsi, logs.TEID, b.teid, logs.Error, err)
	}
	g.log.Info("gateway: bearer changed", logs.IMSI, s.ue.imsi, "bearer", uint8(c.ebi), "qci", uint8(b.qos.QCI), logs.TEID, b.teid)
}
