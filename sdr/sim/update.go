package sim

import (
	"context"
	"errors"
	"fmt"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/nassec"
	"campanile.network/3gpp/s1ap"
	"campanile.network/internal/logs"
)

// ErrForbidden says that the network has told the phone to keep away from a
// tracking area (TS 24.301 §5.3.2).
var ErrForbidden = errors.New("sim: the tracking area is forbidden")

// MoveTo camps in another cell, or in one of another eNB. A registered phone
// that has a connection loses it on the way, as in bad coverage. When the
// tracking area is not in the phone's list, MoveTo updates it there and returns
// when that is done; if it fails, the phone tries again by itself.
func (p *Phone) MoveTo(ctx context.Context, e *ENB, cell int) error {
	if cell < 0 || cell >= len(e.cells) {
		return fmt.Errorf("sim: eNB %v has no cell %d", e.o.ID, cell)
	}
	if err := p.begin(ctx); err != nil {
		return err
	}
	defer p.end()
	p.mu.Lock()
	old, name := p.at.enb, p.tmsi()
	p.at = place{e, e.cells[cell]}
	c, kind := p.conn, eps.UpdateTA
	if p.state == Connected {
		kind |= eps.UpdateActive
	}
	p.mu.Unlock()
	if name != nil {
		old.camp(p, name, nil)
		e.camp(p, nil, name)
	}
	if c != nil {
		p.released(c, errors.New("sim: out of coverage"))
		c.requestRelease(s1ap.CauseRadioNetworkRadioConnectionWithUeLost.Cause())
	}
	if p.State() != Idle || !p.elsewhere() {
		return nil
	}
	return p.update(ctx, kind)
}

// tmsi names the phone in paging. Called with mu held.
func (p *Phone) tmsi() *id.STMSI {
	if p.guti == nil {
		return nil
	}
	t := p.guti.STMSI()
	return &t
}

// elsewhere says that the phone is in a tracking area for which it has to
// update (TS 24.301 §5.5.3.2.2).
func (p *Phone) elsewhere() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.o.SRSUE && !p.tais.Contains(p.at.cell.TAI)
}

// Update is a tracking area update of a registered phone (TS 24.301 §5.5.3.2),
// from idle mode or over its connection. With eps.UpdateActive in kind it returns
// with the user plane up.
func (p *Phone) Update(ctx context.Context, kind eps.UpdateType) error {
	if err := p.begin(ctx); err != nil {
		return err
	}
	defer p.end()
	return p.update(ctx, kind)
}

// update is Update; the phone's turn is the caller's. What fails for no final
// reason is tried again later (TS 24.301 §5.5.3.2.6).
func (p *Phone) update(ctx context.Context, kind eps.UpdateType) error {
	p.mu.Lock()
	connected, forbidden := p.state == Connected, p.forbidden[p.at.cell.TAI]
	p.mu.Unlock()
	if forbidden {
		return ErrForbidden
	}
	if !connected {
		if err := p.free(ctx); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, t3430)
	defer cancel()
	p.mu.Lock()
	before, c := p.state, p.conn
	if before != Idle && before != Connected || p.sec == nil || p.guti == nil {
		defer p.mu.Unlock()
		return fmt.Errorf("sim: tracking area update while %v", before)
	}
	p.calm()
	nas, err := p.updateRequest(kind, c != nil)
	p.state, p.sent, p.active = Updating, false, kind.Active()
	p.mu.Unlock()
	switch {
	case err != nil:
	case c != nil:
		err = p.over(ctx, c, nas)
	default:
		err = p.run(ctx, s1ap.RRCEstablishmentCauseMoSignalling, nas)
	}
	if err == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state == Updating {
		if p.state = Idle; p.up {
			p.state = Connected
		}
		if again(err) {
			p.later(func(ctx context.Context) { p.updateAgain(ctx, kind) })
		}
	}
	return err
}

// updateRequest builds TRACKING AREA UPDATE REQUEST. Called with mu held.
func (p *Phone) updateRequest(kind eps.UpdateType, connected bool) ([]byte, error) {
	if p.o.SMS && kind.Kind() == eps.UpdateTA {
		kind = kind&eps.UpdateActive | eps.UpdateCombined
	}
	m := &eps.TrackingAreaUpdateRequest{Type: kind, KSI: eps.KSI(p.sec.KSI()), OldGUTI: eps.FromGUTI(*p.guti),
		Bearers: eps.Some(p.esm.status())}
	if kind.Kind() != eps.UpdatePeriodic {
		m.Capability = eps.Some(capability())
		if last := p.tais.All(); len(last) > 0 {
			m.LastTAI = eps.Some(last[0])
		}
	}
	if connected {
		return p.protect(nassec.IntegrityCiphered, m)
	}
	p.kenb = p.sec.UL()
	return p.protect(nassec.IntegrityProtected, m)
}

// updateAgain updates in the background.
func (p *Phone) updateAgain(ctx context.Context, kind eps.UpdateType) {
	if p.begin(ctx) != nil {
		return
	}
	defer p.end()
	if p.State() != Idle {
		return // what has happened meanwhile stands for it
	}
	if err := p.update(ctx, kind); err != nil {
		p.log.Info("tracking area update", logs.Error, err)
	}
}

// updatePeriodically: T3412 has expired (TS 24.301 §5.3.5).
func (p *Phone) updatePeriodically() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.spawn(func(ctx context.Context) { p.updateAgain(ctx, eps.UpdatePeriodic) })
}

// updateAccept is TS 24.301 §5.5.3.2.4 in the phone.
func (p *Phone) updateAccept(c *conn, m *eps.TrackingAreaUpdateAccept) error {
	if p.state != Updating {
		return nil
	}
	if m.T3412.OK {
		p.t3412 = length(m.T3412.V)
	}
	if m.T3402.OK {
		p.t3402 = length(m.T3402.V)
	}
	if m.TAIs.OK {
		p.tais = m.TAIs.V
	}
	if m.Result == eps.UpdateResultCombined {
		p.sms.granted = true
	}
	if g, ok := m.GUTI.V.GUTI(); ok && m.GUTI.OK {
		p.renumber(g)
		if err := p.answer(c, &eps.TrackingAreaUpdateComplete{}); err != nil {
			return err
		}
	}
	for ebi := range p.esm.bearers {
		if m.Bearers.OK && !m.Bearers.V.Active(ebi) {
			p.esm.drop(ebi)
		}
	}
	if len(p.esm.bearers) == 0 {
		p.attachAgain(nil) // without its last bearer (TS 24.301 §5.5.3.2.4)
		return errors.New("sim: TRACKING AREA UPDATE ACCEPT without a bearer of the phone")
	}
	p.sent = true
	p.settled()
	return nil
}

// reallocate is GUTI REALLOCATION COMMAND (TS 24.301 §5.4.1.3).
func (p *Phone) reallocate(c *conn, m *eps.GUTIReallocationCommand) error {
	g, ok := m.GUTI.GUTI()
	if !ok {
		return p.answer(c, &eps.EMMStatus{Cause: eps.EMMCauseInvalidMandatoryInformation})
	}
	p.renumber(g)
	if m.TAIs.OK {
		p.tais = m.TAIs.V
	}
	return p.answer(c, &eps.GUTIReallocationComplete{})
}
