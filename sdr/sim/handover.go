package sim

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"campanile.network/3gpp/aka"
	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/nassec"
	"campanile.network/3gpp/s1ap"
	"campanile.network/3gpp/secret"
	"campanile.network/internal/logs"
)

// Timers of handovers; the values are srsenb's (TS 36.413 §8.4.1.2).
const (
	ts1RelocPrep = 10 * time.Second // until the source cancels
	tPathSwitch  = 10 * time.Second // until the target gives the phone up
	tStatus      = 100 * time.Millisecond
	tForward     = time.Second // the source forwards at most, after X2
)

// ErrHandoverKey says that the phone and the target eNB have not come to one key:
// the network has told {NH, NCC} wrongly.
var ErrHandoverKey = errors.New("sim: handover: the target's K_eNB* is not the phone's")

// errMoved is why an eNB lets a phone go that another has taken over.
var errMoved = errors.New("sim: handed over")

// accessKeys are the keys of the radio bearers at one end (TS 33.401 §7.2.8).
type accessKeys struct {
	key   secret.Key256               // K_eNB in use
	hop   nassec.NextHop              // the link it is of; NCC 0 is K_eNB itself
	fresh *nassec.NextHop             // of an eNB: not used yet
	under *nassec.Context             // of a phone: whose K_ASME the chain is of
	has   s1ap.UESecurityCapabilities // of an eNB: the phone's
}

// pci is the cell's physical identity: a phone and the target derive with it.
func (c Cell) pci() uint16 { return uint16(c.ECI % 504) }

// earfcn is that of all cells here.
const earfcn = 3350

// star is K_eNB* for a cell (TS 33.401 §A.5).
func star(k secret.Key256, to Cell) secret.Key256 { return aka.KeNBStar(k, to.pci(), earfcn) }

// follow derives the phone's key for a cell as a handover command's NCC says
// (TS 33.401 §7.2.8.4.4).
func (p *Phone) follow(ncc uint8, to Cell) secret.Key256 {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := &p.access
	from := a.key
	if ncc != a.hop.NCC {
		for ncc &= 7; a.hop.NCC != ncc; {
			a.hop = a.under.NextHop(a.hop)
		}
		from = a.hop.Key
	}
	a.key = star(from, to)
	return a.key
}

// HandOver moves the connected phone to a cell of another eNB through the MME
// (S1 handover, TS 23.401 §5.5.1.2.2), and updates its tracking area there if it
// has to. On an error before it has left it is where it was.
func (p *Phone) HandOver(ctx context.Context, e *ENB, cell int) error {
	c, to, err := p.leaving(e, cell)
	if err != nil {
		return err
	}
	token := e.expect(p)
	defer e.forget(token)
	cmd, err := c.require(ctx, e, to, token)
	if err != nil {
		return err
	}
	v, err := s1ap.ParseTargetToSource(cmd.TargetToSourceTransparentContainer)
	if err != nil || len(v.RRCContainer) != commandLen {
		return fmt.Errorf("sim: handover command of another kind of eNB: %w", err)
	}
	c.tellStatus()
	e.mu.Lock()
	next := e.conns[id.ENBUEID(binary.BigEndian.Uint32(v.RRCContainer[1:]))]
	e.mu.Unlock()
	if err := p.land(c, next, v.RRCContainer[0]); err != nil {
		return err
	}
	if err := next.hearStatus(ctx); err != nil {
		return err
	}
	e.stats.Handovers.Add(1)
	err = e.send(next.stream, &s1ap.HandoverNotify{MMEUES1APID: s1ap.MMEUES1APID(next.mmeID()), ENBUES1APID: s1ap.ENBUES1APID(next.id),
		EUTRANCGI: s1ap.FromECGI(to.ecgi()), TAI: s1ap.FromTAI(to.TAI)})
	if err != nil {
		return err
	}
	p.bearersUp(next)
	return p.settleIn(ctx)
}

// commandLen is the length of what stands for an RRC handover command here: NCC
// and the eNB UE S1AP ID at the target.
const commandLen = 5

// HandOverX2 is HandOver without the MME, which learns of it when it is done
// (TS 23.401 §5.5.1.1.2).
func (p *Phone) HandOverX2(ctx context.Context, e *ENB, cell int) error {
	c, to, err := p.leaving(e, cell)
	if err != nil {
		return err
	}
	next := c.neighbour(e, to)
	if err := p.land(c, next, next.access.hop.NCC); err != nil {
		return err
	}
	if err := next.switchPath(ctx); err != nil {
		e.drop(next)
		c.e.drop(c)
		return err
	}
	e.stats.PathSwitches.Add(1)
	p.mu.Lock()
	p.spawn(c.leaveX2)
	p.mu.Unlock()
	p.bearersUp(next)
	return p.settleIn(ctx)
}

// leaving gives the connection of a phone that can be handed over, and the cell.
func (p *Phone) leaving(e *ENB, cell int) (*conn, Cell, error) {
	if cell < 0 || cell >= len(e.cells) {
		return nil, Cell{}, fmt.Errorf("sim: eNB %v has no cell %d", e.o.ID, cell)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conn == nil || !p.up {
		return nil, Cell{}, fmt.Errorf("sim: handover while %v", p.state)
	}
	return p.conn, e.cells[cell], nil
}

// land brings the phone to the target. Its key must be the target's, or the
// connection is lost (TS 36.331 §5.3.5.6).
func (p *Phone) land(c, next *conn, ncc uint8) error {
	if next == nil {
		return errors.New("sim: handover: the target has let its preparation go")
	}
	if !p.follow(ncc, next.cell).Equal(next.access.key) {
		next.e.stats.KeyMismatch.Add(1)
		next.e.drop(next)
		c.requestRelease(s1ap.CauseRadioNetworkRadioConnectionWithUeLost.Cause())
		p.released(c, ErrHandoverKey)
		return ErrHandoverKey
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conn != c {
		next.e.drop(next)
		return errors.New("sim: handover: the connection was released meanwhile")
	}
	name := p.tmsi()
	c.e.camp(p, name, nil)
	next.e.camp(p, nil, name)
	p.conn, p.at, p.up = next, place{next.e, next.cell}, false
	return nil
}

// settleIn updates the tracking area if the phone has come to another.
func (p *Phone) settleIn(ctx context.Context) error {
	if !p.elsewhere() {
		return nil
	}
	return p.Update(ctx, eps.UpdateTA)
}

// expect makes the eNB know a phone that will come, and gives the name under
// which the source announces it.
func (e *ENB) expect(p *Phone) string {
	token := rand.Text()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.expected == nil {
		e.expected = map[string]*Phone{}
	}
	e.expected[token] = p
	return token
}

func (e *ENB) forget(token string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.expected, token)
}

// newConn is a connection of a phone that comes from another eNB.
func (e *ENB) newConn(p *Phone, cell Cell, mme id.MMEUEID) *conn {
	c := &conn{e: e, phone: p, cell: cell, stream: streamUE, active: time.Now(), mme: &mme}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.number(c)
	return c
}

// neighbour is the X2 handover request: the target gets the bearers, and a key of
// the link that is not used yet, or of the one in use (TS 33.401 §7.2.8.4.2).
func (c *conn) neighbour(e *ENB, to Cell) *conn {
	c.mu.Lock()
	a, bearers, mme := c.access, append([]*bearer(nil), c.bearers...), *c.mme
	c.leaves = true
	c.mu.Unlock()
	next := e.newConn(c.phone, to, mme)
	next.access = accessKeys{key: star(a.key, to), hop: a.hop, has: a.has}
	if a.fresh != nil {
		next.access = accessKeys{key: star(a.fresh.Key, to), hop: *a.fresh, has: a.has}
	}
	for _, b := range bearers {
		at := s1ap.FromAddr(b.gateway.Addr())
		if _, err := next.add(s1ap.ERABID(b.ebi), &at, s1ap.FromTEID(b.remote)); err != nil {
			c.e.log.Warn("bearer not handed over", logs.Error, err)
		}
	}
	return next
}

// switchPath is the path switch of the target (TS 36.413 §8.4.4).
func (c *conn) switchPath(ctx context.Context) error {
	c.mu.Lock()
	bearers := c.bearers
	c.mu.Unlock()
	m := &s1ap.PathSwitchRequest{SourceMMEUES1APID: s1ap.MMEUES1APID(c.mmeID()), ENBUES1APID: s1ap.ENBUES1APID(c.id),
		EUTRANCGI: s1ap.FromECGI(c.cell.ecgi()), TAI: s1ap.FromTAI(c.cell.TAI), UESecurityCapabilities: c.access.has}
	for _, b := range bearers {
		m.ERABToBeSwitchedDLList = append(m.ERABToBeSwitchedDLList,
			s1ap.ERABToBeSwitchedDLItem{ERABID: s1ap.ERABID(b.ebi), TransportLayerAddress: s1ap.FromAddr(c.e.s1u()), GTPTEID: s1ap.FromTEID(b.local)})
	}
	answer, err := c.ask(ctx, tPathSwitch, m)
	if err != nil {
		return err
	}
	ack, ok := answer.(*s1ap.PathSwitchRequestAcknowledge)
	if !ok {
		return fmt.Errorf("sim: PATH SWITCH REQUEST FAILURE: %v", answer.(*s1ap.PathSwitchRequestFailure).Cause)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.access.fresh = &nassec.NextHop{NCC: ack.SecurityContext.NextHopChainingCount, Key: secret.Key256(ack.SecurityContext.NextHopParameter)}
	for i := range ack.ERABToBeSwitchedULList {
		item := &ack.ERABToBeSwitchedULList[i]
		addr, err := item.TransportLayerAddress.Addr()
		if err != nil {
			return fmt.Errorf("sim: PATH SWITCH REQUEST ACKNOWLEDGE: %w", err)
		}
		for _, b := range bearers {
			if s1ap.ERABID(b.ebi) == item.ERABID {
				b.remote, b.gateway = item.GTPTEID.ID(), netip.AddrPortFrom(addr, c.e.o.GTPUPeerPort)
			}
		}
	}
	return nil
}

// leaveX2 is UE Context Release over X2, when the last packet for the phone has
// come by the source.
func (c *conn) leaveX2(ctx context.Context) {
	if c.e.user != nil {
		t := time.NewTimer(tForward)
		defer t.Stop()
		select {
		case <-c.marked:
		case <-t.C:
		case <-ctx.Done():
		}
	}
	c.e.drop(c)
}
