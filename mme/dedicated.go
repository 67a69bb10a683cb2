package mme

import (
	"errors"
	"slices"

	"campanile.network/3gpp/eps"
	"campanile.network/mme/s11"
	"campanile.network/wire/gtpc"
)

// bearerOrder carries out what the gateway asks.
func (c *conn) bearerOrder(r bearerOrder) error {
	i := slices.IndexFunc(c.ue.pdns, func(p *pdn) bool { return p.session == r.Session })
	switch {
	case i < 0:
		r.refuse(noSuchBearer)
		return abandon("the phone has no such PDN connection any more")
	case r.Type == gtpc.CreateBearerRequest:
		return c.createBearers(r, c.ue.pdns[i])
	case r.Type == gtpc.UpdateBearerRequest:
		return c.updateBearers(r)
	}
	return c.deleteBearers(r)
}

// createBearers is the dedicated bearer activation procedure for each bearer of
// the order (TS 24.301 §6.4.2, TS 23.401 §5.4.1).
func (c *conn) createBearers(r bearerOrder, p *pdn) error {
	return c.eachBearer(r, func(o s11.BearerContext) (s11.BearerOutcome, error) {
		b, err := c.createBearer(p, r.PTI, o)
		if err != nil {
			return s11.BearerOutcome{}, err
		}
		return s11.BearerOutcome{EBI: b.ebi, ENB: b.enb}, nil
	})
}

// eachBearer carries out an order bearer by bearer and answers it. What ends the
// procedure from outside ends it for the bearers that are left, too.
func (c *conn) eachBearer(r bearerOrder, do func(s11.BearerContext) (s11.BearerOutcome, error)) (failed error) {
	var done []s11.BearerOutcome
	goOn := true
	for _, o := range r.Bearers {
		out := s11.BearerOutcome{EBI: o.EBI, Cause: busyMoving}
		if goOn {
			var err error
			if out, err = do(o); err != nil {
				failed, out.EBI = err, o.EBI
				_, goOn = err.(*esmFailure)
			}
			out.Cause = gtpCause(err)
		}
		done = append(done, out)
	}
	c.changed(c.ue.showBearers)
	if err := c.commit(); err != nil && goOn {
		failed = err
	}
	r.answer(done)
	return failed
}

// createBearer activates one dedicated bearer.
func (c *conn) createBearer(p *pdn, pti eps.PTI, o s11.BearerContext) (*bearer, error) {
	ebi, ok := c.ue.freeEBI()
	switch {
	case !ok:
		return nil, &esmFailure{cause: eps.ESMCauseMaximumNumberOfEPSBearersReached, quiet: true, why: errors.New("all bearer identities are in use")}
	case c.leg == nil:
		return nil, &lost{"no S1 connection"}
	case !o.SGW.Addr.IsValid() || o.SGW.TEID == 0:
		return nil, abandon("the gateway's bearer cannot be used: tunnel %v %v", o.SGW.Addr, o.SGW.TEID)
	}
	b := &bearer{ebi: ebi, qos: *o.QoS, tft: o.TFT, sgw: o.SGW}
	m := &eps.ActivateDedicatedEPSBearerContextRequest{EBI: ebi, PTI: pti, Linked: p.linked(), QoS: nasQoS(b.qos), TFT: *b.tft}
	if len(o.PCO) > 0 {
		m.PCO = eps.Some(eps.PCO(o.PCO))
	}
	if err := c.activate(p, b, m); err != nil {
		return nil, err
	}
	c.m.known.change(func() { p.bearers = append(p.bearers, b) })
	return b, nil
}

// updateBearers is the EPS bearer context modification procedure for each bearer
// of the order (TS 24.301 §6.4.3, TS 23.401 §5.4.2.1, §5.4.3).
func (c *conn) updateBearers(r bearerOrder) error {
	return c.eachBearer(r, func(o s11.BearerContext) (s11.BearerOutcome, error) {
		return s11.BearerOutcome{EBI: o.EBI}, c.updateBearer(r, o)
	})
}

// updateBearer changes one bearer. What fails leaves it as it was.
func (c *conn) updateBearer(r bearerOrder, o s11.BearerContext) error {
	p, b := c.ue.bearer(o.EBI)
	switch {
	case b == nil:
		return &esmFailure{cause: eps.ESMCauseInvalidEPSBearerIdentity, quiet: true, why: errors.New("the phone has no such bearer")}
	case c.leg == nil:
		return &lost{"no S1 connection"}
	}
	m := &eps.ModifyEPSBearerContextRequest{EBI: b.ebi, PTI: r.PTI}
	as := *b
	if o.QoS != nil && *o.QoS != b.qos {
		as.qos = *o.QoS
		m.NewQoS = eps.Some(nasQoS(as.qos))
	}
	if o.TFT != nil {
		changed, err := applyTFT(b.tft, *o.TFT)
		if err != nil {
			return err
		}
		as.tft, m.TFT = &changed, eps.Some(*o.TFT)
	}
	ambr := p.ambr
	if r.AMBR != nil && *r.AMBR != p.ambr && b == p.first() {
		p.ambr = *r.AMBR
		m.AMBR = eps.Some(eps.AMBR{DL: r.AMBR.DL, UL: r.AMBR.UL})
	}
	if len(o.PCO) > 0 {
		m.PCO = eps.Some(eps.PCO(o.PCO))
	}
	radio := b.enb != (s11.FTEID{}) && (as.qos != b.qos || p.ambr != ambr)
	if err := c.modify(p, b, radio, as, m); err != nil {
		p.ambr = ambr
		return err
	}
	c.m.known.change(func() { b.qos, b.tft = as.qos, as.tft })
	return nil
}

// deleteBearers is the EPS bearer context deactivation procedure, of a PDN
// connection or of dedicated bearers (TS 24.301 §6.4.4, TS 23.401 §5.4.4.1). The
// gateway has ended them, whatever the phone says.
func (c *conn) deleteBearers(r bearerOrder) error {
	cause := eps.ESMCauseRegularDeactivation
	if r.Cause == gtpc.ReactivationRequested {
		cause = eps.ESMCauseReactivationRequested
	}
	defer r.answer(allEnded(r.BearerRequest))
	if r.Linked != 0 {
		p := c.ue.linkedTo(r.Linked)
		if p == nil {
			return nil
		}
		if len(c.ue.pdns) == 1 {
			return c.sessionLost(p.session)
		}
		c.m.known.shut(c.ue, p)
		c.changed(c.ue.showBearers)
		return c.deactivate(p, p.bearers, &eps.DeactivateEPSBearerContextRequest{EBI: r.Linked, PTI: r.PTI, Cause: cause})
	}
	type ending struct {
		p *pdn
		b *bearer
	}
	var list []ending
	for _, o := range r.Bearers {
		if p, b := c.ue.bearer(o.EBI); b != nil && b != p.first() { // another went with the phone's knowledge
			c.m.known.change(func() { p.remove(b) })
			list = append(list, ending{p, b})
		}
	}
	c.changed(c.ue.showBearers)
	for _, e := range list {
		if err := c.deactivate(e.p, []*bearer{e.b}, &eps.DeactivateEPSBearerContextRequest{EBI: e.b.ebi, PTI: r.PTI, Cause: cause}); err != nil {
			return err
		}
	}
	return nil
}

// gtpCause is why a bearer was not set up or changed, for the gateway (TS 29.274
// annex C).
func gtpCause(err error) gtpc.Cause {
	f, ok := errors.AsType[*esmFailure](err)
	switch {
	case err == nil:
		return gtpc.Accepted
	case !ok:
		return busyMoving // another procedure came between
	case f.retry:
		return busyMoving
	case errors.Is(err, errNoAnswer):
		return gtpc.UENotResponding
	}
	switch f.cause {
	case eps.ESMCauseSemanticErrorInTheTFTOperation:
		return gtpc.TFTSemantic
	case eps.ESMCauseSyntacticalErrorInTheTFTOperation:
		return gtpc.TFTSyntax
	case eps.ESMCauseSemanticErrorsInPacketFilter:
		return gtpc.FilterSemantic
	case eps.ESMCauseSyntacticalErrorsInPacketFilter:
		return gtpc.FilterSyntax
	case eps.ESMCauseInvalidEPSBearerIdentity:
		return gtpc.ContextNotFound
	case eps.ESMCauseInsufficientResources, eps.ESMCauseMaximumNumberOfEPSBearersReached:
		return gtpc.NoResources
	case 0, eps.ESMCauseNetworkFailure:
		return gtpc.RequestRejected
	}
	return gtpc.UERefuses
}
