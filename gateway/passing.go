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

// answerIEs are the elements that all such answers begin and end with.
func answerIEs(good, all int, first gtpc.Cause, contexts []*ie.IE, pco []byte, recovery *ie.IE) []*ie.IE {
	cause := gtpc.Accepted
	switch {
	case good == 0 && all > 0:
		cause = first
	case good < all:
		cause = gtpc.AcceptedPartially
	}
	out := append([]*ie.IE{ie.NewCause(uint8(cause), 0, 0, 0, nil)}, contexts...)
	if len(pco) > 0 {
		out = append(out, ie.New(ie.ProtocolConfigurationOptions, 0, pco))
	}
	return append(out, recovery)
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
		good, first := 0, gtpc.Accepted
		var contexts []*ie.IE
		for _, x := range out {
			parts := []*ie.IE{ie.New(ie.EPSBearerID, 0, []byte{byte(x.b.ebi)}), ie.NewCause(uint8(x.cause), 0, 0, 0, nil)}
			if x.cause.OK() {
				good++
				parts = append(parts, gtpc.FTEID{Interface: gtpc.IfS5SGWU, TEID: x.b.up, Addr: g.o.S1U}.IE(agreedSGW))
			} else {
				first = x.cause
			}
			contexts = append(contexts, gtpc.BearerContext(0, append(parts, x.b.pgw.IE(agreedPGW))...))
		}
		return gtpc.New(gtpc.CreateBearerResponse, o.s.up.pgw.TEID, answerIEs(good, len(out), first, contexts, pco, g.ep.Recovery())...), nil
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
		good, first := 0, gtpc.Accepted
		var contexts []*ie.IE
		for i, cause := range out {
			if cause.OK() {
				good++
			} else {
				first = cause
			}
			contexts = append(contexts, gtpc.BearerContext(0, gtpc.EBI(changes[i].ebi), ie.NewCause(uint8(cause), 0, 0, 0, nil)))
		}
		return gtpc.New(gtpc.UpdateBearerResponse, o.s.up.pgw.TEID, answerIEs(good, len(out), first, contexts, pco, g.ep.Recovery())...), nil
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
		good, first := 0, gtpc.Accepted
		var contexts []*ie.IE
		for i, cause := range out {
			if cause.OK() {
				good++
			} else {
				first = cause
			}
			if !whole {
				contexts = append(contexts, gtpc.BearerContext(0, gtpc.EBI(ebis[i]), ie.NewCause(uint8(cause), 0, 0, 0, nil)))
			}
		}
		if whole {
			contexts = []*ie.IE{gtpc.EBI(o.s.ebi)}
		}
		return gtpc.New(gtpc.DeleteBearerResponse, o.s.up.pgw.TEID, answerIEs(good, len(out), first, contexts, nil, g.ep.Recovery())...), nil
	}, nil
}
