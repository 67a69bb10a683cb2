package mme

import (
	"context"
	"errors"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
	"campanile.network/mme/s11"
	"campanile.network/wire/proof"
)

const takeOverName = "take over"

// foreign gives the name by which an initial message names a phone of another member.
func (m *MME) foreign(nas eps.Message, s *s1ap.STMSI) (code id.MMECode, t id.MTMSI, ok bool) {
	identity := identityOf(nas)
	if g, is := identity.GUTI(); is {
		return g.GUMMEI.Code, g.TMSI, g.GUMMEI.Group == m.o.GUMMEI.Group && g.GUMMEI.Code != m.o.GUMMEI.Code && m.serves(g.GUMMEI.PLMN)
	}
	if s != nil && identity.Kind() == eps.NoIdentity {
		v := s.ID()
		return v.Code, v.TMSI, v.Code != m.o.GUMMEI.Code
	}
	return 0, 0, false
}

// fromPool takes over the phone that an initial message comes from, if another member
// has it. Without error and unverified, the phone is a stranger.
func (c *conn) fromPool(in *inbound, first *s1ap.InitialUEMessage) error {
	if c.m.o.Pool == nil || in.nas == nil || in.sec == verified {
		return nil
	}
	code, t, ok := c.m.foreign(in.nas, first.STMSI)
	if !ok {
		return nil
	}
	raw := in.raw
	record, err := call(c, poolWait, func(ctx context.Context) ([]byte, error) { return c.m.o.Pool.Fetch(ctx, code, t, raw) })
	if interrupted(err) {
		return err
	}
	if err != nil {
		c.m.count.procedure(takeOverName, "unknown")
		c.m.log.Info("phone of another MME is not known in the pool", "code", uint8(code), "err", err)
		return nil
	}
	u, sessions, err := c.m.adoptRecord(record)
	if err != nil {
		c.m.forgetAll(sessions)
		c.m.count.procedure(takeOverName, "not read")
		c.m.log.Warn("phone of another MME cannot be taken over, it attaches: are they of one version?", "code", uint8(code), "err", err)
		return nil
	}
	if u.verify(raw) == nil {
		return c.takeOver(u, sessions, in, first)
	}
	c.m.forgetAll(sessions)
	c.m.count.procedure(takeOverName, "not its message")
	return nil
}

// adoptRecord makes of another member's record a phone, with its sessions here; none of its
// names is good any more.
func (m *MME) adoptRecord(record []byte) (u *ue, sessions []*s11.Session, err error) {
	u, err = parseRecord(record, restorer{
		ticket: m.restoreTicket,
		session: func(st s11.State) (*s11.Session, error) {
			var beside *s11.Session
			if len(sessions) > 0 {
				beside = sessions[0]
			}
			s, err := m.o.Gateway.(Mover).Adopt(st, beside)
			if err == nil {
				sessions = append(sessions, s)
			}
			return s, err
		},
	})
	if err != nil {
		return nil, sessions, err
	}
	u.tmsi, u.formerTMSI, u.entered = 0, 0, false
	return u, sessions, nil
}

func (m *MME) restoreTicket(raw []byte) (proof.Ticket, error) {
	t, err := proof.PeekTicket(m.o.ChainID, raw)
	if err == nil && t.Serving != m.operator {
		err = errTicket
	}
	t.ChainID = m.o.ChainID // one for all
	return t, err
}

func (m *MME) forgetAll(sessions []*s11.Session) {
	for _, s := range sessions {
		m.o.Gateway.(Mover).Forget(s)
	}
}

// takeOver is what every procedure of another member's phone begins with (TS 23.401
// §5.3.3.1 steps 4 to 11, with the copy in the place of an MME that is away). One that
// fails leaves the phone whose it is.
func (c *conn) takeOver(u *ue, sessions []*s11.Session, in *inbound, first *s1ap.InitialUEMessage) (err error) {
	was := c.ue
	c.ue = u
	in.nas, in.sec = nil, unprotected
	if !c.open(in, first.NASPDU) || in.sec != verified {
		c.ue = was
		c.m.forgetAll(sessions)
		return nil
	}
	c.proc = begun(takeOverName, *in)
	defer func() {
		if err != nil && !u.entered {
			c.ue = &ue{imsi: u.imsi}
			c.m.forgetAll(sessions)
		}
	}()
	if d, leaves := in.nas.(*eps.DetachRequest); !leaves || !d.Type.SwitchOff() { // one that switches off answers nothing
		if err := c.authenticate(); err != nil {
			return err
		}
		if err := c.secure(); err != nil {
			return err
		}
	}
	if err := c.enterTaken(); err != nil {
		return err
	}
	u.requests = c.m.o.GUTIRequests // it gets a GUTI of this MME
	if err := c.commit(); err != nil {
		return err
	}
	if len(u.pdns) > 0 {
		if _, err := finish(c, c.m.o.GatewayTimeout, func(ctx context.Context) (struct{}, error) {
			return struct{}{}, c.m.o.Gateway.(Mover).Move(ctx, u.pdns[0].session)
		}); err != nil {
			if interrupted(err) {
				return err
			}
			return reattach(err)
		}
	}
	c.served = u.served
	c.report(nil)
	c.proc = nil
	return nil
}

// enterTaken makes the phone this MME's. What was known of it here before has the same
// sessions at the gateway, or none.
func (c *conn) enterTaken() error {
	for {
		c.ue.epoch = max(c.ue.epoch, c.m.elsewhere(c.ue.imsi))
		p, err := c.m.known.enter(c.ue, c)
		if errors.Is(err, errFull) {
			return refuse(eps.EMMCauseCongestion, err)
		}
		if p.owner == nil {
			c.ue.entered = true
			c.m.evicted(p.evicted)
			for _, had := range p.pdns {
				c.m.o.Gateway.(Mover).Forget(had.session)
			}
			c.m.known.adopted(c.ue)
			return nil
		}
		if err := c.evict(p.owner); err != nil {
			return err
		}
	}
}

// adopted makes the sessions of a phone known that came with it.
func (r *registry) adopted(u *ue) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range u.pdns {
		r.bySession[p.session] = u
	}
}
