package sim

import (
	"context"
	"errors"
	"fmt"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/nassec"
	"campanile.network/3gpp/s1ap"
	"campanile.network/3gpp/secret"
	"campanile.network/internal/logs"
)

// Timers of the phone (TS 24.301 §10.2 table 10.2.1).
const (
	t3402 = 12 * time.Minute // after the fifth attempt, where the network says nothing else
	t3410 = 15 * time.Second // attach
	t3411 = 10 * time.Second // until the next attempt
	t3417 = 5 * time.Second  // service request
	t3430 = 15 * time.Second // tracking area update
	t3440 = 10 * time.Second // until the network releases a connection that is of no use
)

// maxAttempts is how often a procedure is tried before T3402.
const maxAttempts = 5

// begin waits for the phone's turn; end gives it back.
func (p *Phone) begin(ctx context.Context) error {
	select {
	case p.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("sim: the phone is busy: %w", ctx.Err())
	}
}

func (p *Phone) end() { <-p.turn }

// spawn runs f in the background, unless the phone is off. Called with mu held.
func (p *Phone) spawn(f func(context.Context)) {
	if !p.off {
		p.wake.Go(func() { f(p.ctx) })
	}
}

// later runs f after T3411, and after T3402 when it has been tried often
// enough (TS 24.301 §5.5.1.2.6, §5.5.3.2.6). Called with mu held.
func (p *Phone) later(f func(context.Context)) {
	d := t3411
	if p.attempts++; p.attempts >= maxAttempts {
		p.attempts = 0
		if d = p.t3402; d == 0 {
			d = t3402
		}
	}
	p.calm()
	p.retry = time.AfterFunc(d, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.spawn(f)
	})
}

// calm stops T3411 and T3402. Called with mu held.
func (p *Phone) calm() {
	if p.retry != nil {
		p.retry.Stop()
		p.retry = nil
	}
}

// run opens a connection with an initial NAS message and waits until the
// procedure it began is over. Without an answer it lets the connection go.
func (p *Phone) run(ctx context.Context, cause s1ap.RRCEstablishmentCause, nas []byte) error {
	done := p.await()
	var tmsi *id.STMSI
	p.mu.Lock()
	if p.guti != nil {
		t := p.guti.STMSI()
		tmsi = &t
	}
	at := p.at
	p.mu.Unlock()
	if err := at.enb.connect(p, at.cell, cause, tmsi, nas); err != nil {
		return err
	}
	return p.answered(ctx, done)
}

// over continues a procedure on a connection that is there already.
func (p *Phone) over(ctx context.Context, c *conn, nas []byte) error {
	done := p.await()
	if err := c.uplinkNAS(nas); err != nil {
		return err
	}
	return p.answered(ctx, done)
}

// answered waits for the end of a procedure; without one in time it lets the
// connection go.
func (p *Phone) answered(ctx context.Context, done chan error) error {
	err := p.wait(ctx, done)
	if err != nil && ctx.Err() != nil {
		p.hangUp()
	}
	return err
}

// hangUp lets the connection go without the network.
func (p *Phone) hangUp() {
	p.mu.Lock()
	c := p.conn
	p.mu.Unlock()
	if c != nil {
		c.e.drop(c)
	}
}

// free waits until the network has released the last procedure's connection,
// or releases it after T3440 (TS 24.301 §5.3.1.2.1).
func (p *Phone) free(ctx context.Context) error {
	p.mu.Lock()
	c, freed := p.conn, p.freed
	p.mu.Unlock()
	if c == nil {
		return nil
	}
	t := time.NewTimer(t3440)
	defer t.Stop()
	select {
	case <-freed:
	case <-t.C:
		c.e.drop(c)
	case <-ctx.Done():
		return fmt.Errorf("sim: the network keeps an old connection: %w", ctx.Err())
	}
	return nil
}

// adopt takes the connection over which the phone now speaks; T3412 stops.
func (p *Phone) adopt(c *conn) {
	p.mu.Lock()
	p.conn, p.secured, p.freed = c, false, make(chan struct{})
	if p.periodic != nil {
		p.periodic.Stop()
		p.periodic = nil
	}
	p.mu.Unlock()
}

func (p *Phone) await() chan error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting = make(chan error, 1)
	return p.waiting
}

func (p *Phone) wait(ctx context.Context, done chan error) error {
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("sim: no answer from the network: %w", ctx.Err())
	}
}

// finish ends the procedure that somebody waits for. Called with mu held.
func (p *Phone) finish(err error) {
	if p.waiting != nil {
		p.waiting <- err
		p.waiting = nil
	}
}

// kenbIs compares the eNB's key with the phone's own derivation, and takes it into
// use: AS security mode would fail where they differ (TS 33.401 §7.2.4.5).
func (p *Phone) kenbIs(k secret.Key256) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sec == nil {
		return false
	}
	_, eia := p.sec.Algorithms()
	if eia != nassec.EIA0 && !p.sec.KeNB(p.kenb).Equal(k) { // without security each has a K_ASME of its own (TS 33.401 §15.2.2)
		return false
	}
	p.access = accessKeys{key: k, hop: nassec.NextHop{Key: k}, under: p.sec}
	return true
}

// bearersUp: the radio bearers are there; for a service request that is the
// accept (TS 24.301 §5.6.1.4).
func (p *Phone) bearersUp(c *conn) {
	p.mu.Lock()
	if p.conn != c {
		p.mu.Unlock()
		return
	}
	p.up = true
	queue := p.queue
	p.queue = nil
	switch p.state {
	case Idle:
		p.state = Connected
		p.finish(nil)
	case Attaching, Updating:
		p.settled()
	}
	p.mu.Unlock()
	for _, b := range queue {
		p.uplink(b)
	}
}

// settled ends an attach or an update once its accept is answered and the
// bearers asked for are up. Called with mu held.
func (p *Phone) settled() {
	switch {
	case !p.sent:
		return
	case p.up:
		p.state = Connected
	case p.state == Updating && !p.active:
		p.state = Idle
	default:
		return
	}
	p.attempts = 0
	p.finish(nil)
}

// released: the network or the radio ended the connection. A registered phone
// starts T3412 (TS 24.301 §5.3.5).
func (p *Phone) released(c *conn, why error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conn != c {
		return
	}
	defer close(p.freed)
	p.conn, p.up = nil, false
	if p.state == Connected {
		p.state = Idle
		p.log.Debug("released", logs.Cause, why)
	}
	if p.state == Idle && p.t3412 > 0 && !p.o.SRSUE {
		p.periodic = time.AfterFunc(p.t3412, p.updatePeriodically)
	}
	if p.state == Detaching {
		why = nil
	}
	p.finish(why)
	if why == nil {
		why = errDetached
	}
	p.esm.abort(why)
}

// Rest lets an idle phone's connection go, as its eNB does when nothing moves:
// it asks the MME for the release and returns in idle mode.
func (p *Phone) Rest(ctx context.Context) error {
	p.mu.Lock()
	c, freed := p.conn, p.freed
	p.mu.Unlock()
	if c == nil {
		return nil
	}
	c.requestRelease(s1ap.CauseRadioNetworkUserInactivity.Cause())
	select {
	case <-freed:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("sim: the connection is not released: %w", ctx.Err())
	}
}

// Detach leaves the network and returns on DETACH ACCEPT; with switchOff there
// is none, and it returns when the connection is released.
func (p *Phone) Detach(ctx context.Context, switchOff bool) error {
	if err := p.begin(ctx); err != nil {
		return err
	}
	defer p.end()
	p.mu.Lock()
	if p.sec == nil || p.state == Deregistered {
		defer p.mu.Unlock()
		return fmt.Errorf("sim: detach while %v", p.state)
	}
	p.calm()
	kind := eps.DetachEPS
	if switchOff {
		kind |= eps.DetachSwitchOff
	}
	header := nassec.IntegrityCiphered
	if p.conn == nil {
		header = nassec.IntegrityProtected // an initial message is never ciphered (TS 24.301 §4.4.5)
	}
	who := eps.FromIMSI(p.o.SIM.IMSI)
	if p.guti != nil {
		who = eps.FromGUTI(*p.guti)
	}
	nas, err := p.protect(header, &eps.DetachRequest{Type: kind, KSI: eps.KSI(p.sec.KSI()), Identity: who})
	c := p.conn
	p.state = Detaching
	p.mu.Unlock()
	switch {
	case err != nil:
		return err
	case c == nil:
		err = p.run(ctx, s1ap.RRCEstablishmentCauseMoSignalling, nas)
	default:
		err = p.over(ctx, c, nas)
	}
	p.mu.Lock()
	p.state = Deregistered
	p.mu.Unlock()
	p.stopHost()
	return err
}

// SwitchOff ends everything of the phone without telling the network.
func (p *Phone) SwitchOff() {
	p.hush()
	p.mu.Lock()
	p.state = Deregistered
	p.at.enb.camp(p, p.tmsi(), nil)
	p.mu.Unlock()
	p.hangUp()
	p.stopHost()
}

// hush makes a phone do nothing more by itself, and waits until what it does is
// over.
func (p *Phone) hush() {
	p.stop()
	p.mu.Lock()
	p.off = true
	p.calm()
	if p.periodic != nil {
		p.periodic.Stop()
	}
	p.mu.Unlock()
	p.wake.Wait()
}

// errDetached ends what the network's detach interrupts.
var errDetached = errors.New("sim: detached by the network")
