package gateway

import (
	"context"
	"errors"
	"net/netip"
	"slices"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/wire/gtpc"
	"github.com/wmnsk/go-gtp/gtpv2/ie"
)

// commanded begins what a phone asks of its bearers, or its MME says of them
// (TS 29.274 §7.2.5, §7.2.14, §7.2.17.1): one at a time in a session. The answer is the
// request that it leads to, or a failure indication.
func (g *Gateway) commanded(peer netip.AddrPort, u *ue, m *gtpc.Message) (*gtpc.Message, error) {
	s, err := commandOf(u, m)
	if err == nil && s.command {
		err = gtpc.Refuse(gtpc.TemporarilyRejected, 0, "another command is being carried out")
	}
	var do func(context.Context) error
	if err == nil {
		cmd := &command{peer, m}
		if s.up != nil {
			do = g.passCommand(s, cmd)
		} else {
			do, err = g.decide(s, cmd)
		}
	}
	if err != nil {
		return g.commandFailed(u, m, err), err
	}
	s.command = true
	g.work.Go(func() {
		err := do(g.ctx)
		g.mu.Lock()
		s.command = false
		g.mu.Unlock()
		if err == nil || g.ctx.Err() != nil {
			return
		}
		g.refusal(peer, m, err)
		if _, ok := errors.AsType[unasked](err); ok { // else the peer knows what came of it
			g.ep.Answer(peer, m, g.commandFailed(u, m, err))
		}
	})
	return heldAnswer, nil
}

// commandFailed is a failure indication (TS 29.274 §7.2.6, §7.2.15, §7.2.17.2).
func (g *Gateway) commandFailed(u *ue, m *gtpc.Message, err error) *gtpc.Message {
	return gtpc.New(m.Type.Answer(), u.peer.TEID, gtpc.CauseIE(err), m.IE(ie.EPSBearerID, 0), gtpc.PTI(gtpc.ParsePTI(m.IE(ie.ProcedureTransactionID, 0))))
}

// commandOf finds the session that a command is of.
func commandOf(u *ue, m *gtpc.Message) (*session, error) {
	if m.Type == gtpc.BearerResourceCommand {
		linked, err := gtpc.ParseEBI(m.IE(ie.EPSBearerID, 0))
		if err != nil {
			return nil, err
		}
		if s := u.sessions[linked]; s != nil {
			return s, nil
		}
		return nil, gtpc.Refuse(gtpc.ContextNotFound, ie.EPSBearerID, "phone has no session of bearer %d", linked)
	}
	list := bearerContexts(m)
	if len(list) == 0 {
		return nil, gtpc.Refuse(gtpc.MandatoryIEMissing, ie.BearerContext, "no bearer context")
	}
	ebi, err := gtpc.ParseEBI(gtpc.Find(list[0], ie.EPSBearerID, 0))
	if err != nil {
		return nil, err
	}
	if b := u.bearer(ebi); b != nil {
		return b.s, nil
	}
	return nil, gtpc.Refuse(gtpc.ContextNotFound, ie.EPSBearerID, "phone has no bearer %d", ebi)
}

// decide is what this PGW makes of a command.
func (g *Gateway) decide(s *session, cmd *command) (func(context.Context) error, error) {
	o := order{s: s, cmd: cmd, pti: gtpc.ParsePTI(cmd.m.IE(ie.ProcedureTransactionID, 0))}
	switch cmd.m.Type {
	case gtpc.DeleteBearerCommand:
		return g.decideDrop(o)
	case gtpc.ModifyBearerCommand:
		return g.decideQoS(o)
	}
	return g.decideResources(o)
}

// decideDrop ends dedicated bearers that an eNB has given up.
func (g *Gateway) decideDrop(o order) (func(context.Context) error, error) {
	var ebis []id.EBI
	for _, ies := range bearerContexts(o.cmd.m) {
		ebi, err := gtpc.ParseEBI(gtpc.Find(ies, ie.EPSBearerID, 0))
		if err != nil {
			return nil, err
		}
		if ebi == o.s.ebi || o.s.bearers[ebi] == nil {
			return nil, gtpc.Refuse(gtpc.ContextNotFound, ie.EPSBearerID, "the session has no dedicated bearer %d", ebi)
		}
		ebis = append(ebis, ebi)
	}
	return func(ctx context.Context) error {
		_, err := g.dropBearers(ctx, o, ebis, 0)
		return err
	}, nil
}

// decideQoS takes the subscribed quality that the home has changed.
func (g *Gateway) decideQoS(o order) (func(context.Context) error, error) {
	ambr, err := gtpc.ParseAMBR(o.cmd.m.IE(ie.AggregateMaximumBitRate, 0))
	if err != nil {
		return nil, err
	}
	c := change{ebi: o.s.ebi}
	if e := gtpc.Find(bearerContexts(o.cmd.m)[0], ie.BearerQoS, 0); e != nil {
		q, err := gtpc.ParseQoS(e)
		if err != nil {
			return nil, err
		}
		c.qos = &q
	}
	if _, err := g.checkChange(o.s, c); err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		_, _, err := g.changeBearers(ctx, o, []change{c}, &ambr)
		return err
	}, nil
}

// decideResources is what a phone gets of what it asks for: what Policy allows.
func (g *Gateway) decideResources(o order) (func(context.Context) error, error) {
	m := o.cmd.m
	e := m.IE(ie.TrafficAggregateDescription, 0)
	if e == nil {
		return nil, gtpc.Refuse(gtpc.MandatoryIEMissing, ie.TrafficAggregateDescription, "no traffic aggregate description")
	}
	tad, err := eps.ParseTFT(e.Payload)
	if err != nil {
		return nil, gtpc.Refuse(gtpc.TFTSyntax, ie.TrafficAggregateDescription, "%v", err)
	}
	var qos *gtpc.QoS
	if e := m.IE(ie.FlowQoS, 0); e != nil {
		q, err := gtpc.ParseQoS(ie.New(ie.BearerQoS, 0, append([]byte{0}, e.Payload...)))
		if err != nil {
			return nil, err
		}
		q.ARP = o.s.first().qos.ARP
		qos = &q
	}
	if m.IE(ie.EPSBearerID, 1) == nil {
		return g.decideNew(o, qos, tad)
	}
	ebi, err := gtpc.ParseEBI(m.IE(ie.EPSBearerID, 1))
	if err != nil {
		return nil, err
	}
	return g.decideChange(o, ebi, qos, tad)
}

// decideNew makes another bearer.
func (g *Gateway) decideNew(o order, qos *gtpc.QoS, tad eps.TFT) (func(context.Context) error, error) {
	if qos == nil {
		return nil, gtpc.Refuse(gtpc.ConditionalIEMissing, ie.FlowQoS, "no quality for another bearer")
	}
	if tad.Operation != eps.TFTCreate {
		return nil, gtpc.Refuse(gtpc.TFTSemantic, ie.TrafficAggregateDescription, "operation %v for another bearer", tad.Operation)
	}
	if err := g.mayHave(o.s, nil, *qos); err != nil {
		return nil, err
	}
	tft := eps.TFT{Operation: eps.TFTCreate, Filters: renumber(o.s, tad.Filters)}
	if _, err := applyTFT(nil, tft); err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		_, _, err := g.makeBearers(ctx, o, []offer{{qos: *qos, tft: tft}})
		g.commit()
		return err
	}, nil
}

// decideChange changes a bearer, or ends it with its last filter.
func (g *Gateway) decideChange(o order, ebi id.EBI, qos *gtpc.QoS, tad eps.TFT) (func(context.Context) error, error) {
	b := o.s.bearers[ebi]
	if b == nil || ebi == o.s.ebi {
		return nil, gtpc.Refuse(gtpc.ContextNotFound, ie.EPSBearerID, "the session has no dedicated bearer %d", ebi)
	}
	left, err := applyTFT(b.tft, tad)
	if err != nil {
		return nil, err
	}
	if len(left) == 0 {
		return func(ctx context.Context) error {
			_, err := g.dropBearers(ctx, o, []id.EBI{ebi}, 0)
			return err
		}, nil
	}
	c := change{ebi: ebi, qos: qos}
	if tad.Operation != eps.TFTNone {
		c.tft = &tad
	}
	if qos != nil {
		if err := g.mayHave(o.s, b, *qos); err != nil {
			return nil, err
		}
	}
	if _, err := g.checkChange(o.s, c); err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		_, _, err := g.changeBearers(ctx, o, []change{c}, nil)
		return err
	}, nil
}

// mayHave says that a phone may have a quality by asking, for a bearer that it has, or
// another.
func (g *Gateway) mayHave(s *session, b *bearer, q gtpc.QoS) error {
	if err := checkQoS(q); err != nil {
		return err
	}
	if !slices.Contains(g.o.Policy.Asked, q.QCI) {
		return gtpc.Refuse(gtpc.ServiceDenied, ie.FlowQoS, "phones may not ask for QCI %d here", q.QCI)
	}
	up, down := q.GBRUL, q.GBRDL
	for _, o := range s.bearers {
		if o != b {
			up, down = up+o.qos.GBRUL, down+o.qos.GBRDL
		}
	}
	if up > g.o.Policy.Guaranteed || down > g.o.Policy.Guaranteed {
		return gtpc.Refuse(gtpc.NoResources, ie.FlowQoS, "%v up and %v down would be guaranteed, at most %v may be", up, down, g.o.Policy.Guaranteed)
	}
	return nil
}

// renumber gives filters identities of their own, and precedences that no other of the
// session has.
func renumber(s *session, list []eps.PacketFilter) []eps.PacketFilter {
	var taken [256]bool
	for _, b := range s.all() {
		for _, f := range b.tft {
			taken[f.Precedence] = true
		}
	}
	out := slices.Clone(list)
	for i := range out {
		out[i].ID = uint8(i)
		for n := 0; taken[out[i].Precedence] && n < 256; n++ {
			out[i].Precedence++
		}
		taken[out[i].Precedence] = true
	}
	return out
}
