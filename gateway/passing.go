package gateway

import (
	"context"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/wire/gtpc"
	"github.com/wmnsk/go-gtp/gtpv2/ie"
)

// passed asks the MME what a PGW has asked, and gives the answer to the PGW.
type passed func(context.Context, order) (*gtpc.Message, error)

// tally gathers what became of the bearers of a PGW's request, for the answer.
type tally struct {
	contexts []*ie.IE
	good     int
	bad      gtpc.Cause // of one that failed
}

// add notes a bearer's outcome; more is what its context says else.
func (t *tally) add(ebi id.EBI, cause gtpc.Cause, more ...*ie.IE) {
	if cause.OK() {
		t.good++
	} else {
		t.bad = cause
	}
	head := []*ie.IE{ie.New(ie.EPSBearerID, 0, []byte{byte(ebi)}), ie.NewCause(uint8(cause), 0, 0, 0, nil)}
	t.contexts = append(t.contexts, gtpc.BearerContext(0, append(head, more...)...))
}

// answer is the response to the request of that type.
func (t *tally) answer(g *Gateway, s *session, request gtpc.Type, pco []byte) *gtpc.Message {
	cause := gtpc.Accepted
	switch {
	case t.good == 0 && len(t.contexts) > 0:
		cause = t.bad
	case t.good < len(t.contexts):
		cause = gtpc.AcceptedPartially
	}
	ies := append([]*ie.IE{ie.NewCause(uint8(cause), 0, 0, 0, nil)}, t.contexts...)
	if len(pco) > 0 {
		ies = append(ies, ie.New(ie.ProtocolConfigurationOptions, 0, pco))
	}
	return gtpc.New(request.Answer(), s.up.pgw.TEID, append(ies, g.ep.Recovery())...)
}

// passCreate passes a Create Bearer Request on.
func (g *Gateway) passCreate(m *gtpc.Message) (passed, error) {
	var offers []offer
	for _, ies := range bearerContexts(m) {
		f, err := g.parseOffer(ies)
		if err != nil {
			return nil, err
		}
		offers = append(offers, f)
	}
	if len(offers) == 0 {
		return nil, gtpc.Refuse(gtpc.MandatoryIEMissing, ie.BearerContext, "no bearer context")
	}
	return func(ctx context.Context, o order) (*gtpc.Message, error) {
		out, pco, err := g.makeBearers(ctx, o, offers)
		if err != nil {
			return nil, err
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		var t tally
		for _, x := range out {
			if x.cause.OK() {
				t.add(x.b.ebi, x.cause, gtpc.FTEID{Interface: gtpc.IfS5SGWU, TEID: x.b.up, Addr: g.o.S1U}.IE(agreedSGW), x.b.pgw.IE(agreedPGW))
			} else {
				t.add(x.b.ebi, x.cause, x.b.pgw.IE(agreedPGW))
			}
		}
		return t.answer(g, o.s, m.Type, pco), nil
	}, nil
}

// parseOffer reads a bearer context of a PGW's Create Bearer Request.
func (g *Gateway) parseOffer(ies []*ie.IE) (f offer, err error) {
	e := gtpc.Find(ies, ie.BearerTFT, 0)
	if e == nil {
		return f, gtpc.Refuse(gtpc.MandatoryIEMissing, ie.BearerTFT, "no TFT")
	}
	if f.tft, err = eps.ParseTFT(e.Payload); err != nil {
		return f, gtpc.Refuse(gtpc.TFTSyntax, ie.BearerTFT, "%v", err)
	}
	if f.qos, err = gtpc.ParseQoS(gtpc.Find(ies, ie.BearerQoS, 0)); err != nil {
		return f, err
	}
	end := gtpc.Find(ies, ie.FullyQualifiedTEID, offeredPGW)
	if f.pgw, err = gtpc.ParseFTEID(end); err == nil {
		_, err = g.tunnelEnd(end)
	}
	if err != nil {
		return f, err
	}
	f.charge = gtpc.ParseChargingID(gtpc.Find(ies, ie.ChargingID, 0))
	return f, nil
}

// passUpdate passes an Update Bearer Request on.
func (g *Gateway) passUpdate(m *gtpc.Message) (passed, error) {
	var ambr *gtpc.AMBR
	if e := m.IE(ie.AggregateMaximumBitRate, 0); e != nil {
		a, err := gtpc.ParseAMBR(e)
		if err != nil {
			return nil, err
		}
		ambr = &a
	}
	var changes []change
	for _, ies := range bearerContexts(m) {
		c, err := parseChange(ies)
		if err != nil {
			return nil, err
		}
		changes = append(changes, c)
	}
	if len(changes) == 0 {
		return nil, gtpc.Refuse(gtpc.MandatoryIEMissing, ie.BearerContext, "no bearer context")
	}
	return func(ctx context.Context, o order) (*gtpc.Message, error) {
		out, pco, err := g.changeBearers(ctx, o, changes, ambr)
		if err != nil {
			return nil, err
		}
		var t tally
		for i, cause := range out {
			t.add(changes[i].ebi, cause)
		}
		return t.answer(g, o.s, m.Type, pco), nil
	}, nil
}

func parseChange(ies []*ie.IE) (c change, err error) {
	if c.ebi, err = gtpc.ParseEBI(gtpc.Find(ies, ie.EPSBearerID, 0)); err != nil {
		return c, err
	}
	if e := gtpc.Find(ies, ie.BearerQoS, 0); e != nil {
		q, err := gtpc.ParseQoS(e)
		if err != nil {
			return c, err
		}
		c.qos = &q
	}
	if e := gtpc.Find(ies, ie.BearerTFT, 0); e != nil {
		t, err := eps.ParseTFT(e.Payload)
		if err != nil {
			return c, gtpc.Refuse(gtpc.TFTSyntax, ie.BearerTFT, "%v", err)
		}
		c.tft = &t
	}
	return c, nil
}

// passDelete passes a Delete Bearer Request on.
func (g *Gateway) passDelete(s *session, m *gtpc.Message) (passed, error) {
	var why gtpc.Cause
	if e := m.IE(ie.Cause, 0); e != nil && len(e.Payload) > 0 {
		why = gtpc.Cause(e.Payload[0])
	}
	var ebis []id.EBI
	whole := false
	if e := m.IE(ie.EPSBearerID, 0); e != nil {
		linked, err := gtpc.ParseEBI(e)
		if err == nil && linked != s.ebi {
			err = gtpc.Refuse(gtpc.ContextNotFound, ie.EPSBearerID, "the session's default bearer is %d", s.ebi)
		}
		if err != nil {
			return nil, err
		}
		ebis, whole = []id.EBI{linked}, true
	} else {
		var err error
		if ebis, err = gtpc.LinkedEBI(m.IEs, 1); err != nil {
			return nil, err
		}
	}
	if len(ebis) == 0 {
		return nil, gtpc.Refuse(gtpc.ConditionalIEMissing, ie.EPSBearerID, "no bearer is named")
	}
	return func(ctx context.Context, o order) (*gtpc.Message, error) {
		out, err := g.dropBearers(ctx, o, ebis, why)
		if err != nil {
			return nil, err
		}
		var t tally
		for i, cause := range out {
			t.add(ebis[i], cause)
		}
		if whole { // one cause, and no bearer contexts (TS 29.274 table 7.2.10-1)
			t.contexts[0] = gtpc.EBI(o.s.ebi)
		}
		return t.answer(g, o.s, m.Type, nil), nil
	}, nil
}
