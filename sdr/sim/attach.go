package sim

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/nassec"
	"campanile.network/3gpp/s1ap"
	"campanile.network/internal/logs"
)

// Attach registers with the network: with a GUTI where the phone has one and a
// security context, otherwise with the IMSI. If the phone has attached by itself
// meanwhile, that is the session.
func (p *Phone) Attach(ctx context.Context) (Session, error) {
	p.mu.Lock()
	before := p.state
	p.mu.Unlock()
	if err := p.begin(ctx); err != nil {
		return Session{}, err
	}
	defer p.end()
	p.mu.Lock()
	state, s := p.state, p.session
	p.mu.Unlock()
	switch registered := state == Idle || state == Connected; {
	case registered && (before == Attaching || before == Deregistered):
		return s, nil
	case registered:
		return Session{}, fmt.Errorf("sim: attach while %v", state)
	}
	return p.attach(ctx, nil)
}

// attach is TS 24.301 §5.5.1.2, on a connection that is there already if c is
// not nil. The phone's turn is the caller's.
func (p *Phone) attach(ctx context.Context, c *conn) (Session, error) {
	start := time.Now()
	if c == nil {
		if err := p.free(ctx); err != nil {
			return Session{}, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, t3410)
	defer cancel()
	p.mu.Lock()
	p.calm()
	nas, err := p.attachRequest()
	p.state, p.sent, p.up = Attaching, false, false
	p.mu.Unlock()
	switch {
	case err != nil:
	case c != nil:
		err = p.over(ctx, c, nas)
	case p.o.SRSUE:
		err = p.run(ctx, s1ap.RRCEstablishmentCauseMoData, nas)
	default:
		err = p.run(ctx, s1ap.RRCEstablishmentCauseMoSignalling, nas)
	}
	p.mu.Lock()
	if err != nil {
		p.state = Deregistered
		p.mu.Unlock()
		return Session{}, err
	}
	p.session.Took = time.Since(start)
	s := p.session
	p.mu.Unlock()
	return s, p.startHost(s)
}

// attachAgain makes the phone attach by itself, c as for attach. Called with mu
// held.
func (p *Phone) attachAgain(c *conn) {
	if p.off {
		return
	}
	p.state = Attaching // nobody else need try
	p.attempts = 0
	p.spawn(func(ctx context.Context) { p.reattach(ctx, c) })
}

// reattach attaches, and sees to the next attempt if that fails for no final
// reason (TS 24.301 §5.5.1.2.6).
func (p *Phone) reattach(ctx context.Context, c *conn) {
	if p.begin(ctx) != nil {
		return
	}
	defer p.end()
	if s := p.State(); s != Attaching && s != Deregistered {
		return
	}
	_, err := p.attach(ctx, c)
	if err == nil {
		return
	}
	p.log.Info("attach again", logs.Error, err)
	if again(err) {
		p.mu.Lock()
		p.later(func(ctx context.Context) { p.reattach(ctx, nil) })
		p.mu.Unlock()
	}
}

// again says whether a procedure that failed is tried again where the phone is.
func again(err error) bool {
	var r *Rejected
	if errors.As(err, &r) {
		return consequenceOf(r.Cause) == consequence{}
	}
	return !errors.Is(err, ErrAuthenticationReject) && !errors.Is(err, errDetached) && !errors.Is(err, ErrForbidden)
}

// attachRequest builds the initial message (TS 24.301 §5.5.1.2.2). Called with
// mu held.
func (p *Phone) attachRequest() ([]byte, error) {
	connectivity := &eps.PDNConnectivityRequest{PTI: 1, Request: eps.RequestTypeInitial, PDNType: p.o.PDN,
		InformationTransfer: eps.Some(eps.InformationTransferFlagYes)}
	if p.o.Emergency { // TS 24.301 §6.5.1.2: it names no APN
		connectivity = &eps.PDNConnectivityRequest{PTI: 1, Request: eps.RequestTypeEmergency, PDNType: p.o.PDN}
	}
	pdn, err := eps.Append(nil, connectivity)
	if err != nil {
		return nil, fmt.Errorf("sim: %w", err)
	}
	m := &eps.AttachRequest{Type: eps.AttachTypeEPS, KSI: eps.NoKSI, Capability: capability(), ESM: pdn}
	if p.o.SMS {
		m.Type = eps.AttachTypeCombined
	}
	if p.o.Emergency {
		m.Type = eps.AttachTypeEmergency
	}
	if p.sec != nil && p.guti != nil {
		m.KSI, m.Identity = eps.KSI(p.sec.KSI()), eps.FromGUTI(*p.guti)
		p.kenb = p.sec.UL()
		if p.asked, err = eps.Append(nil, m); err != nil {
			return nil, fmt.Errorf("sim: %w", err)
		}
		return p.protect(nassec.IntegrityProtected, m)
	}
	p.sec = nil // without a GUTI no network knows which keys these are
	m.Identity = eps.FromIMSI(p.o.SIM.IMSI)
	p.asked, err = eps.Append(nil, m)
	return p.asked, err
}

// attachAccept is TS 24.301 §5.5.1.2.4 in the phone.
func (p *Phone) attachAccept(c *conn, m *eps.AttachAccept) error {
	if p.state != Attaching {
		return nil
	}
	inner, err := eps.Parse(eps.Downlink, m.ESM)
	if err != nil {
		return fmt.Errorf("sim: ATTACH ACCEPT: %w", err)
	}
	act, ok := inner.(*eps.ActivateDefaultEPSBearerContextRequest)
	if !ok {
		return fmt.Errorf("sim: ATTACH ACCEPT with %v", inner.MessageType())
	}
	p.esm.bearers = nil
	p.esm.keep(defaultBearer(act))
	p.session = Session{Address: act.Address.IPv4, IID: act.Address.IID, APN: act.APN, EBI: act.EBI}
	if act.PCO.OK {
		p.session.DNS = act.PCO.V.DNS()
		if v, ok := act.PCO.V.Get(eps.Downlink, eps.ContainerIPv4LinkMTU); ok && len(v) == 2 {
			p.session.MTU = binary.BigEndian.Uint16(v)
		}
	}
	if g, ok := m.GUTI.V.GUTI(); ok && m.GUTI.OK {
		p.renumber(g)
	}
	if p.guti != nil {
		p.session.GUTI = *p.guti
	}
	p.sms.granted = m.Result == eps.AttachResultCombined
	p.tais, p.t3412 = m.TAIs, length(m.T3412)
	p.t3402 = 0
	if m.T3402.OK {
		p.t3402 = length(m.T3402.V)
	}
	acc, err := eps.Append(nil, &eps.ActivateDefaultEPSBearerContextAccept{EBI: act.EBI})
	if err != nil {
		return err
	}
	if err := p.answer(c, &eps.AttachComplete{ESM: acc}); err != nil {
		return err
	}
	p.sent = true
	p.settled()
	return nil
}

// length of a timer; zero if it is deactivated.
func length(t eps.GPRSTimer) time.Duration {
	d, runs := t.Duration()
	if !runs {
		return 0
	}
	return d
}
