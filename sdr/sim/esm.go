package sim

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
)

// Timers of session management in a phone (TS 24.301 §10.3 table 10.3.1); T3480,
// T3481 and T3482 are alike.
const (
	t3482    = 8 * time.Second // PDN CONNECTIVITY REQUEST, BEARER RESOURCE requests
	t3492    = 6 * time.Second // PDN DISCONNECT REQUEST
	esmSends = 5
)

// Bearer is an EPS bearer context of a phone.
type Bearer struct {
	EBI     id.EBI
	Linked  id.EBI     // of the default bearer of its PDN connection
	APN     id.APN     // of a default bearer
	Address netip.Addr // likewise; of IPv4
	IID     [8]byte    // likewise; of IPv6
	Cause   eps.ESMCause
	QoS     eps.EPSQoS
	TFT     eps.TFT // of a dedicated bearer, as it was given
}

// ESMRejected says that the network refused a request of session management, and
// its cause.
type ESMRejected struct {
	Procedure string
	Cause     eps.ESMCause
}

func (r *ESMRejected) Error() string { return fmt.Sprintf("sim: %s: %v", r.Procedure, r.Cause) }

// esm is the session management of a phone.
type esm struct {
	bearers map[id.EBI]Bearer
	lastPTI eps.PTI
	asked   map[eps.PTI]chan esmEnd // transactions under way
	over    map[eps.PTI]id.EBI      // the last ones, with their bearers: their messages may come again
}

// esmEnd is how a transaction ended.
type esmEnd struct {
	bearer Bearer
	err    error
}

// Bearers gives the phone's bearers by their identity, lowest first.
func (p *Phone) Bearers() []Bearer {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []Bearer
	for _, e := range slices.Sorted(maps.Keys(p.esm.bearers)) {
		out = append(out, p.esm.bearers[e])
	}
	return out
}

// Connect opens a further PDN connection (TS 24.301 §6.5.1), after a service
// request if the phone is idle, and gives its default bearer. A refusal is
// *ESMRejected.
func (p *Phone) Connect(ctx context.Context, apn id.APN, t eps.PDNType) (Bearer, error) {
	return p.ask(ctx, t3482, func(pti eps.PTI) eps.Message {
		m := &eps.PDNConnectivityRequest{PTI: pti, Request: eps.RequestTypeInitial, PDNType: t}
		if !apn.IsZero() {
			m.APN = eps.Some(apn)
		}
		return m
	})
}

// Disconnect closes the PDN connection of a default bearer (TS 24.301 §6.5.2).
func (p *Phone) Disconnect(ctx context.Context, linked id.EBI) error {
	_, err := p.ask(ctx, t3492, func(pti eps.PTI) eps.Message { return &eps.PDNDisconnectRequest{PTI: pti, Linked: linked} })
	return err
}

// Allocate asks for resources for flows (TS 24.301 §6.5.3) and gives the bearer
// that the network made or changed for them.
func (p *Phone) Allocate(ctx context.Context, linked id.EBI, flows eps.TFT, q eps.EPSQoS) (Bearer, error) {
	return p.ask(ctx, t3482, func(pti eps.PTI) eps.Message {
		return &eps.BearerResourceAllocationRequest{PTI: pti, Linked: linked, Aggregate: flows, QoS: q}
	})
}

// Reallocate asks to change the flows of a bearer, or to end them (TS 24.301
// §6.5.4).
func (p *Phone) Reallocate(ctx context.Context, ebi id.EBI, flows eps.TFT, q eps.Opt[eps.EPSQoS]) (Bearer, error) {
	return p.ask(ctx, t3482, func(pti eps.PTI) eps.Message {
		return &eps.BearerResourceModificationRequest{PTI: pti, FilterEBI: ebi, Aggregate: flows, QoS: q}
	})
}

// ask is a transaction of session management: the request, again when its timer
// expires, until what the network makes of it has come.
func (p *Phone) ask(ctx context.Context, wait time.Duration, make func(eps.PTI) eps.Message) (Bearer, error) {
	if err := p.begin(ctx); err != nil {
		return Bearer{}, err
	}
	defer p.end()
	if p.State() == Idle {
		if err := p.service(ctx, s1ap.RRCEstablishmentCauseMoData); err != nil {
			return Bearer{}, err
		}
	}
	p.mu.Lock()
	c := p.conn
	if c == nil || p.state != Connected {
		defer p.mu.Unlock()
		return Bearer{}, fmt.Errorf("sim: session management while %v", p.state)
	}
	pti, done := p.esm.open()
	p.mu.Unlock()
	defer p.esmClose(pti)
	m := make(pti)
	for range esmSends {
		p.mu.Lock()
		err := p.answer(c, m)
		p.mu.Unlock()
		if err != nil {
			return Bearer{}, err
		}
		t := time.NewTimer(wait)
		select {
		case end := <-done:
			t.Stop()
			return end.bearer, end.err
		case <-ctx.Done():
			t.Stop()
			return Bearer{}, fmt.Errorf("sim: no answer from the network: %w", ctx.Err())
		case <-t.C:
		}
	}
	return Bearer{}, fmt.Errorf("sim: %v: no answer from the network", m.MessageType())
}

// open begins a transaction with the next PTI.
func (e *esm) open() (eps.PTI, chan esmEnd) {
	for {
		e.lastPTI = e.lastPTI%254 + 1
		if e.asked[e.lastPTI] == nil {
			break
		}
	}
	if e.asked == nil {
		e.asked = map[eps.PTI]chan esmEnd{}
	}
	ch := make(chan esmEnd, 1)
	e.asked[e.lastPTI] = ch
	delete(e.over, e.lastPTI)
	return e.lastPTI, ch
}

func (p *Phone) esmClose(pti eps.PTI) {
	p.mu.Lock()
	delete(p.esm.asked, pti)
	p.mu.Unlock()
}

// settle ends a transaction; false if none of that PTI is or was under way.
func (e *esm) settle(pti eps.PTI, end esmEnd) bool {
	if pti == 0 {
		return true
	}
	if ch := e.asked[pti]; ch != nil {
		select {
		case ch <- end:
		default:
		}
		if e.over == nil {
			e.over = map[eps.PTI]id.EBI{}
		}
		e.over[pti] = end.bearer.EBI
		return true
	}
	_, ok := e.over[pti]
	return ok
}

// keep notes a bearer.
func (e *esm) keep(b Bearer) {
	if e.bearers == nil {
		e.bearers = map[id.EBI]Bearer{}
	}
	e.bearers[b.EBI] = b
}

// drop forgets a bearer, with a default one those linked to it.
func (e *esm) drop(ebi id.EBI) {
	for k, b := range e.bearers {
		if k == ebi || b.Linked == ebi {
			delete(e.bearers, k)
		}
	}
}

// abort ends all transactions.
func (e *esm) abort(why error) {
	for _, ch := range e.asked {
		select {
		case ch <- esmEnd{err: why}:
		default:
		}
	}
}

// radio gives up bearers whose radio bearers are gone (TS 24.301 §6.4.4.6).
func (p *Phone) radio(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conn != c {
		return
	}
	for ebi := range p.esm.bearers {
		if c.bearer(ebi) == nil {
			p.esm.drop(ebi)
		}
	}
}

// status is the EPS bearer context status of what the phone has.
func (e *esm) status() (s eps.BearerStatus) {
	for ebi := range e.bearers {
		s = s.With(ebi)
	}
	return s
}

// handleESM answers a message of session management. Called with mu held.
func (p *Phone) handleESM(c *conn, m eps.ESM) error {
	ebi, pti := m.Header()
	mismatch := func() error { return p.answer(c, &eps.ESMStatus{EBI: ebi, PTI: pti, Cause: eps.ESMCausePTIMismatch}) }
	switch m := m.(type) {
	case *eps.ActivateDefaultEPSBearerContextRequest:
		b := defaultBearer(m)
		if !p.esm.settle(pti, esmEnd{bearer: b}) {
			return mismatch()
		}
		p.esm.keep(b)
		return p.answer(c, &eps.ActivateDefaultEPSBearerContextAccept{EBI: ebi})
	case *eps.ActivateDedicatedEPSBearerContextRequest:
		return p.activateDedicated(c, m)
	case *eps.ModifyEPSBearerContextRequest:
		return p.modifyBearer(c, m)
	case *eps.DeactivateEPSBearerContextRequest:
		b, has := p.esm.bearers[ebi]
		p.esm.settle(pti, esmEnd{bearer: b})
		if has {
			p.esm.drop(ebi)
		}
		return p.answer(c, &eps.DeactivateEPSBearerContextAccept{EBI: ebi})
	case *eps.PDNConnectivityReject:
		p.esm.settle(pti, esmEnd{err: &ESMRejected{"PDN connectivity", m.Cause}})
	case *eps.PDNDisconnectReject:
		p.esm.settle(pti, esmEnd{err: &ESMRejected{"PDN disconnect", m.Cause}})
	case *eps.BearerResourceAllocationReject:
		p.esm.settle(pti, esmEnd{err: &ESMRejected{"bearer resource allocation", m.Cause}})
	case *eps.BearerResourceModificationReject:
		p.esm.settle(pti, esmEnd{err: &ESMRejected{"bearer resource modification", m.Cause}})
	case *eps.ESMStatus:
		p.log.Debug("information", "cause", m.Cause)
	default:
		return p.answer(c, &eps.ESMStatus{EBI: ebi, PTI: pti, Cause: eps.ESMCauseMessageTypeNotCompatibleWithTheProtocolState})
	}
	return nil
}

func defaultBearer(m *eps.ActivateDefaultEPSBearerContextRequest) Bearer {
	return Bearer{EBI: m.EBI, Linked: m.EBI, APN: m.APN, Address: m.Address.IPv4, IID: m.Address.IID, QoS: m.QoS, Cause: m.Cause.V}
}

// activateDedicated is TS 24.301 §6.4.2.3 and §6.4.2.4 in the phone.
func (p *Phone) activateDedicated(c *conn, m *eps.ActivateDedicatedEPSBearerContextRequest) error {
	if b, ok := p.esm.bearers[m.Linked]; !ok || b.Linked != b.EBI {
		return p.answer(c, &eps.ActivateDedicatedEPSBearerContextReject{EBI: m.EBI, Cause: eps.ESMCauseInvalidEPSBearerIdentity})
	}
	if p.o.NoBearers != 0 {
		return p.answer(c, &eps.ActivateDedicatedEPSBearerContextReject{EBI: m.EBI, Cause: p.o.NoBearers})
	}
	b := Bearer{EBI: m.EBI, Linked: m.Linked, QoS: m.QoS, TFT: m.TFT}
	if !p.esm.settle(m.PTI, esmEnd{bearer: b}) {
		return p.answer(c, &eps.ActivateDedicatedEPSBearerContextReject{EBI: m.EBI, Cause: eps.ESMCausePTIMismatch})
	}
	p.esm.keep(b)
	return p.answer(c, &eps.ActivateDedicatedEPSBearerContextAccept{EBI: m.EBI})
}

// modifyBearer is TS 24.301 §6.4.3.3 and §6.4.3.4 in the phone.
func (p *Phone) modifyBearer(c *conn, m *eps.ModifyEPSBearerContextRequest) error {
	b, ok := p.esm.bearers[m.EBI]
	if !ok {
		return p.answer(c, &eps.ModifyEPSBearerContextReject{EBI: m.EBI, Cause: eps.ESMCauseInvalidEPSBearerIdentity})
	}
	if m.NewQoS.OK {
		b.QoS = m.NewQoS.V
	}
	if m.TFT.OK {
		b.TFT = m.TFT.V
	}
	if !p.esm.settle(m.PTI, esmEnd{bearer: b}) {
		return p.answer(c, &eps.ModifyEPSBearerContextReject{EBI: m.EBI, Cause: eps.ESMCausePTIMismatch})
	}
	p.esm.keep(b)
	return p.answer(c, &eps.ModifyEPSBearerContextAccept{EBI: m.EBI})
}
