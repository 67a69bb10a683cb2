package mme

import (
	"context"
	"errors"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
)

// meet finds the phone that an Initial UE Message comes from. One that names a
// known phone and is protected with its keys becomes that phone's: if the phone
// is idle it is claimed, otherwise the leg goes to its owner (errGiven). All
// others are strangers for now and have a ue of their own.
func (c *conn) meet(in *inbound, first *s1ap.InitialUEMessage) error {
	in.raw = first.NASPDU
	if plain, err := readable(in.raw); err == nil {
		if nas, err := eps.Parse(eps.Uplink, plain); err == nil {
			in.nas = nas
			if err := c.recognise(in, first.STMSI); err != nil {
				return err
			}
		}
	}
	in.nas = nil
	if !c.open(in, first.NASPDU) {
		in.nas = nil
		return nil
	}
	if in.sec == verified {
		c.secured, c.start = true, in.count
		c.cameAs(*in, first)
	}
	return nil
}

// cameAs notes by which M-TMSI a phone that has shown its keys came.
func (c *conn) cameAs(in inbound, first *s1ap.InitialUEMessage) {
	if t, ok := c.m.named(in.nas, first.STMSI); ok {
		c.m.known.usedTMSI(c.ue, t)
	}
}

// recognise claims the phone that in names, or gives the leg to its owner.
func (c *conn) recognise(in *inbound, s *s1ap.STMSI) error {
	t, ok := c.m.named(in.nas, s)
	if !ok {
		return nil
	}
	for {
		u := c.m.known.find(t)
		if u == nil || u.verify(in.raw) != nil {
			return nil
		}
		owner, known := c.m.known.claim(u, c)
		switch {
		case !known:
			return nil
		case owner == nil:
			c.ue, c.served = u, u.served
			return nil
		}
		if c.leg.give(owner, *in) {
			c.leg = nil
			return errGiven
		}
		// The owner is ending; it parks the phone before it is done.
		select {
		case <-owner.done:
		case <-c.m.ctx.Done():
			return errStopping
		}
	}
}

// identify finds the IMSI of a phone that attaches unproven: said by the phone,
// known by its GUTI, or asked for (TS 24.301 §5.4.4).
func (c *conn) identify(req *eps.AttachRequest) error {
	if imsi, ok := req.Identity.IMSI(); ok {
		c.ue.imsi = imsi
		return nil
	}
	if g, ok := req.Identity.GUTI(); ok && c.m.own(g.GUMMEI) {
		if u := c.m.known.find(g.TMSI); u != nil && !u.guest {
			c.ue.imsi, c.byGUTI = u.imsi, true
			return nil
		}
	}
	imsi, err := c.askIMSI()
	c.ue.imsi = imsi
	return err
}

// askIMSI is the identification procedure (TS 24.301 §5.4.4).
func (c *conn) askIMSI() (id.IMSI, error) {
	var imsi id.IMSI
	err := c.exchange(t3470,
		func() error { return c.send(&eps.IdentityRequest{Type: eps.IdentityTypeIMSI}) },
		func(in inbound) (verdict, error) {
			m, ok := in.nas.(*eps.IdentityResponse)
			if !ok {
				return notMine, nil
			}
			if imsi, ok = m.Identity.IMSI(); !ok {
				return notMine, nil
			}
			return finished, nil
		})
	return imsi, err
}

// stranger gives the connection a ue of its own, leaving the one it has.
func (c *conn) stranger() {
	c.leaveGuest()
	c.m.known.park(c.ue, c)
	c.ue, c.secured, c.byGUTI, c.keys = &ue{}, false, false, nil
}

// enter makes the phone, whose SIM has answered, the one known by its IMSI. If
// another connection has that IMSI it must end first, which a silent gateway may
// hold up twice; what the phone had before is closed.
func (c *conn) enter() error {
	if c.ue.guest {
		return nil
	}
	for {
		c.ue.epoch = max(c.ue.epoch, c.m.elsewhere(c.ue.imsi))
		p, err := c.m.known.enter(c.ue, c)
		if errors.Is(err, errFull) {
			return refuse(eps.EMMCauseCongestion, err)
		}
		if p.owner == nil {
			c.changed(func(i *UEInfo) { i.State, i.Reason = Attaching, "" })
			c.m.evicted(p.evicted)
			c.ue.entered, c.ue.opening = true, c.ue.opening.With(firstEBI)
			c.submit(true) // it will be on disk when the gateway is asked, see intend
			return c.closeAll(p.pdns)
		}
		if err := c.evict(p.owner); err != nil {
			return err
		}
	}
}

// evict ends another connection of the phone.
func (c *conn) evict(owner *conn) error {
	owner.in.put(inbound{msg: evicted{}}, true)
	_, err := call(c, 3*c.m.o.GatewayTimeout, func(ctx context.Context) (struct{}, error) {
		select {
		case <-owner.done:
			return struct{}{}, nil
		case <-ctx.Done():
			return struct{}{}, ctx.Err()
		}
	})
	return err
}
