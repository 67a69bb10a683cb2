package mme

import (
	"context"
	"errors"
	"slices"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
	"campanile.network/mme/s11"
	"campanile.network/wire/gtpc"
)

// bearerOrder is what the gateway asks of a phone's bearers. It is answered once.
type bearerOrder struct{ *s11.BearerRequest }

// Causes for which an order is not carried out (TS 29.274 §7.2.4).
const (
	noRoom       = gtpc.NoResources
	notReached   = gtpc.UnableToPageUE
	busyMoving   = gtpc.TemporarilyRejected
	noSuchBearer = gtpc.ContextNotFound
)

func (r bearerOrder) verb() string {
	switch r.Type {
	case gtpc.CreateBearerRequest:
		return "activation"
	case gtpc.UpdateBearerRequest:
		return "modification"
	}
	return "deactivation"
}

// refuse answers that nothing of the order was done.
func (r bearerOrder) refuse(cause gtpc.Cause) {
	a := s11.BearerAnswer{Cause: cause}
	for _, b := range r.Bearers {
		a.Bearers = append(a.Bearers, s11.BearerOutcome{EBI: b.EBI, Cause: cause})
	}
	r.Reply(a)
}

// answer answers what was done: all, some or nothing of it.
func (r bearerOrder) answer(done []s11.BearerOutcome) {
	a := s11.BearerAnswer{Cause: gtpc.Accepted, Bearers: done}
	good := 0
	for _, b := range done {
		if b.Cause.OK() {
			good++
		}
	}
	switch {
	case len(done) == 0 || good == len(done):
	case good > 0:
		a.Cause = gtpc.AcceptedPartially
	default:
		a.Cause = done[0].Cause
	}
	r.Reply(a)
}

// BearerRequest says what the gateway asks about a phone's bearers, as
// s11.Options.OnBearers does; it does not block. An idle phone is paged, but for
// bearers that end: those it finds gone when it next comes (TS 23.401 §5.4.4.1).
func (m *MME) BearerRequest(r *s11.BearerRequest) {
	order := bearerOrder{r}
	m.known.mu.Lock()
	u := m.known.bySession[r.Session]
	if u == nil {
		m.known.mu.Unlock()
		order.refuse(noSuchBearer)
		return
	}
	if owner := u.owner; owner != nil {
		m.known.mu.Unlock()
		switch owner.in.put(inbound{msg: order}, false) {
		case putFull:
			order.refuse(noRoom)
		case putClosed:
			if !m.spawn(func() { <-owner.done; m.BearerRequest(r) }) {
				order.refuse(notReached)
			}
		}
		return
	}
	if r.Type == gtpc.DeleteBearerRequest {
		last := m.known.endIdle(u, r)
		m.known.mu.Unlock()
		order.answer(allEnded(r))
		if last {
			m.lostIdle(u, []*s11.Session{r.Session})
		} else {
			u.show(u.showBearers)
		}
		return
	}
	full := len(u.orders) >= maxLater
	if !full {
		u.orders = append(u.orders, inbound{msg: order})
	}
	m.known.mu.Unlock()
	switch {
	case full:
		order.refuse(noRoom)
	case !m.reach(u, true):
		m.unreached(u)
	}
}

// unreached answers what waits for an idle phone that cannot be paged, or did not
// answer.
func (m *MME) unreached(u *ue) {
	m.known.mu.Lock()
	var orders []inbound
	if u.owner == nil {
		orders, u.orders = u.orders, nil
	}
	m.known.mu.Unlock()
	for _, in := range orders {
		in.msg.(bearerOrder).refuse(notReached)
	}
}

// allEnded is the outcome of bearers that end.
func allEnded(r *s11.BearerRequest) (out []s11.BearerOutcome) {
	for _, b := range r.Bearers {
		out = append(out, s11.BearerOutcome{EBI: b.EBI, Cause: gtpc.Accepted})
	}
	return out
}

// endIdle takes bearers from a phone that nobody owns; true if its last PDN
// connection is to end, which is left. Called under mu.
func (r *registry) endIdle(u *ue, order *s11.BearerRequest) (last bool) {
	if p := u.linkedTo(order.Linked); p != nil {
		if len(u.pdns) == 1 {
			return true
		}
		u.pdns = slices.DeleteFunc(slices.Clone(u.pdns), func(x *pdn) bool { return x == p })
		delete(r.bySession, p.session)
	}
	for _, o := range order.Bearers {
		if p, b := u.bearer(o.EBI); b != nil && b != p.first() {
			p.remove(b)
		}
	}
	return false
}

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
	var done []s11.BearerOutcome
	var failed error
	for _, o := range r.Bearers {
		b, err := c.createBearer(p, r.PTI, o)
		done = append(done, s11.BearerOutcome{Cause: gtpCause(err)})
		if b != nil {
			last := &done[len(done)-1]
			last.EBI, last.ENB = b.ebi, b.enb
		}
		if err != nil {
			failed = err
		}
	}
	c.changed(c.ue.showBearers)
	if err := c.commit(); err != nil {
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
	var done []s11.BearerOutcome
	var failed error
	for _, o := range r.Bearers {
		err := c.updateBearer(r, o)
		done = append(done, s11.BearerOutcome{EBI: o.EBI, Cause: gtpCause(err)})
		if err != nil {
			failed = err
		}
	}
	c.changed(c.ue.showBearers)
	if err := c.commit(); err != nil {
		failed = err
	}
	r.answer(done)
	return failed
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
	for _, o := range r.Bearers {
		p, b := c.ue.bearer(o.EBI)
		if b == nil || b == p.first() { // it went with the phone's knowledge
			continue
		}
		c.m.known.change(func() { p.remove(b) })
		c.changed(c.ue.showBearers)
		if err := c.deactivate(p, []*bearer{b}, &eps.DeactivateEPSBearerContextRequest{EBI: b.ebi, PTI: r.PTI, Cause: cause}); err != nil {
			return err
		}
	}
	return nil
}

// gone takes bearers from the phone without telling it: it has, or will have, none
// (TS 24.301 §6.4.4.6). With a default bearer goes its PDN connection; that of the
// last one the caller sees to.
func (c *conn) gone(why string, ebis ...id.EBI) {
	var closed []*pdn
	dropped := map[*s11.Session][]id.EBI{}
	for _, ebi := range ebis {
		p, b := c.ue.bearer(ebi)
		switch {
		case b == nil:
		case b != p.first():
			c.m.known.change(func() { p.remove(b) })
			dropped[p.session] = append(dropped[p.session], ebi)
		case len(c.ue.pdns) > 1:
			c.m.known.shut(c.ue, p)
			closed = append(closed, p)
		}
	}
	if len(closed) == 0 && len(dropped) == 0 {
		return
	}
	c.m.log.Info("bearers gone", "imsi", c.ue.imsi, "bearers", ebis, "reason", why)
	c.changed(c.ue.showBearers)
	l := c.ue.closes(closed)
	c.m.spawn(func() {
		ctx, cancel := context.WithTimeout(c.m.ctx, c.m.o.GatewayTimeout)
		defer cancel()
		c.m.deleteAt(ctx, l)
		for s, ebis := range dropped {
			if err := c.m.o.Gateway.Drop(ctx, s, ebis); err != nil {
				c.m.log.Warn("gateway not told of bearers that are gone", "imsi", s.IMSI, "bearers", ebis, "err", err)
			}
		}
	})
}

// erabsReleased is E-RAB Release Indication by the eNB (TS 36.413 §8.2.3.2.3). The
// phone loses these bearers with their radio bearers; without any default bearer
// it is released.
func (c *conn) erabsReleased(m *s1ap.ERABReleaseIndication) error {
	var ebis []id.EBI
	cause := s1ap.CauseRadioNetworkUnspecified.Cause()
	for i := range m.ERABReleasedList {
		ebis = append(ebis, id.EBI(m.ERABReleasedList[i].ERABID))
		cause = m.ERABReleasedList[i].Cause
	}
	if !slices.ContainsFunc(c.ue.pdns, func(p *pdn) bool { return !slices.Contains(ebis, p.linked()) }) {
		return &released{cause}
	}
	c.gone("released by the eNB, cause "+cause.String(), ebis...)
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
