package mme

import (
	"context"
	"errors"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
)

// hangUp ends the S1 connection (TS 23.401 §5.3.5): bearers of a registered
// phone are released at the gateway, then the UE context at the eNB. If the
// phone comes by a new leg meanwhile, that message is next.
func (c *conn) hangUp(cause s1ap.Cause, why string) *inbound {
	c.cutLines()
	c.leaveGuest()
	if next, done := c.idle(why); done {
		return next
	}
	if c.leg == nil {
		return nil
	}
	l := c.leg
	c.command(l, cause)
	t := time.NewTimer(contextReleaseWait)
	defer t.Stop()
	defer c.m.legs.close(l)
	for {
		in, err := c.next(t.C, c.m.ctx)
		if err == errTimer {
			l.enb.ghost(l)
		}
		if err != nil {
			return nil
		}
		switch m := in.msg.(type) {
		case newLeg:
			c.leg = nil
			return &in
		case dataWaiting:
			c.dataWaiting = true
		case disowned:
			c.takenBy = max(c.takenBy, m.epoch)
		case detachOrder:
			_ = c.ordered(m) // once the phone is idle
		case bearerOrder:
			_ = c.postpone(in)
		case smsWaiting:
			m.waitIn(&c.sms.waiting)
		case *s1ap.UEContextReleaseComplete:
			c.ue.recommended(m)
			return nil
		case legGone, evicted:
			return nil
		case *s1ap.PathSwitchRequest:
			c.refuseSwitch(in.leg, m)
		default:
			c.m.count.drop(dropStaleLeg)
		}
	}
}

// idle takes the eNB's tunnel end away from the gateway. done says that nothing
// is left to release: the phone came by a new leg, or is another's now.
func (c *conn) idle(why string) (next *inbound, done bool) {
	u := c.ue
	if !u.registered || len(u.pdns) == 0 {
		return nil, false
	}
	var err error
	if c.served {
		c.bearers = nil
		s := u.pdns[0].session // any: it is for all
		// What comes meanwhile waits: its Modify Bearer Request is not to be overtaken.
		c.served, err = finish(c, c.m.o.GatewayTimeout, func(ctx context.Context) (bool, error) {
			err := c.m.o.Gateway.Release(ctx, s)
			return !answered(err), err
		})
	}
	if errors.Is(err, errEvicted) {
		c.leave()
		return nil, true
	}
	c.showIdle(why)
	if again, ok := errors.AsType[*collision](err); ok && again.in.leg != c.leg {
		return &again.in, true
	}
	if errors.Is(err, errStopping) {
		return nil, true
	}
	if err != nil && !interrupted(err) {
		c.m.log.Warn("bearers not released at the gateway", "imsi", u.imsi, "err", err)
	}
	return nil, false
}

func (c *conn) showIdle(why string) {
	c.ue.noTunnels()
	c.changed(func(i *UEInfo) {
		i.State, i.Reason = Idle, why
		c.ue.showBearers(i)
	})
}

// leave hangs up for a connection by which the phone attaches anew. The phone is
// left idle all the same, for that connection may be gone by now.
func (c *conn) leave() {
	if c.leg != nil {
		c.command(c.leg, s1ap.CauseNasNormalRelease.Cause())
	}
	if !c.ue.registered || len(c.ue.pdns) == 0 {
		return
	}
	if c.served {
		ctx, cancel := context.WithTimeout(c.m.ctx, c.m.o.GatewayTimeout)
		defer cancel()
		err := c.m.o.Gateway.Release(ctx, c.ue.pdns[0].session)
		if c.served = !answered(err); err != nil {
			c.m.log.Warn("bearers not released at the gateway", "imsi", c.ue.imsi, "err", err)
		}
	}
	c.showIdle(errEvicted.Error())
}

// move makes a new leg the one in use; the former is released without waiting
// for it, and what its eNB still says of it is not heard.
func (c *conn) move(l *leg) {
	if c.leg != nil && c.leg != l {
		c.command(c.leg, s1ap.CauseRadioNetworkReleaseDueToEutranGeneratedReason.Cause())
		c.m.legs.close(c.leg)
	}
	c.leg = l
}

// command sends UE Context Release Command on a leg (TS 36.413 §8.3.3).
func (c *conn) command(l *leg, cause s1ap.Cause) { l.enb.command(l.mmeID, l.enbID, cause) }

func (e *enb) command(m id.MMEUEID, n id.ENBUEID, cause s1ap.Cause) {
	_ = e.send(e.ueStream(m), &s1ap.UEContextReleaseCommand{
		UES1APIDs: s1ap.UES1APIDs{Choice: s1ap.UES1APIDsChoiceUES1APIDPair, UES1APIDPair: &s1ap.UES1APIDPair{
			MMEUES1APID: s1ap.MMEUES1APID(m), ENBUES1APID: s1ap.ENBUES1APID(n),
		}},
		Cause: cause,
	})
}
