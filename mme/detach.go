package mme

import (
	"errors"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/s1ap"
)

// detach is detach by the phone (TS 24.301 §5.5.2.2): the session ends, the
// phone is told unless it switches off, the S1 connection is released. One that
// is not protected with the phone's keys changes nothing (TS 24.301 §4.4.4.3).
func (c *conn) detach(m *eps.DetachRequest, in inbound) error {
	if in.sec != verified {
		c.m.count.drop(in.sec.reason())
		if !m.Type.SwitchOff() {
			_ = c.send(&eps.DetachAccept{})
		}
		return silent(errors.New("detach request without the phone's keys"))
	}
	if m.Type.Kind() == eps.DetachIMSI {
		if !c.standing() {
			c.over = s1ap.CauseNasDetach.Cause()
		}
		return c.send(&eps.DetachAccept{}) // of non-EPS services, which nobody has here
	}
	c.m.known.setRegistered(c.ue, false)
	err := c.deleteSession(c.ue)
	c.changed(func(i *UEInfo) { i.State, i.Reason, i.Notice = Deregistered, "detached by the phone", "" })
	if err != nil {
		return err
	}
	if !m.Type.SwitchOff() {
		if err := c.send(&eps.DetachAccept{}); err != nil {
			return err
		}
	}
	c.over = s1ap.CauseNasDetach.Cause()
	return nil
}

// sessionLost is detach by the network (TS 24.301 §5.5.2.3) after the gateway
// has lost or ended the phone's session: the phone is to attach again.
func (c *conn) sessionLost() error {
	if c.ue.session == nil {
		return nil
	}
	c.m.known.setSession(c.ue, nil)
	c.ue.lease = nil // the gateway knows no more what was carried under it
	if c.proc != nil || !c.ue.registered {
		return refuse(eps.EMMCauseNetworkFailure, errors.New("the gateway has ended the session"))
	}
	return &networkDetach{errors.New("the gateway has ended the session")}
}

// networkDetach asks settle to detach the phone.
type networkDetach struct{ why error }

func (e *networkDetach) Error() string { return e.why.Error() }

// detachPhone is the procedure of TS 24.301 §5.5.2.3, re-attach required.
func (c *conn) detachPhone(why error) error {
	c.proc = begun("network detach", inbound{})
	c.m.known.setRegistered(c.ue, false)
	err := c.deleteSession(c.ue)
	c.changed(func(i *UEInfo) { i.State, i.Bearers, i.Reason = Deregistered, nil, why.Error() })
	if err != nil {
		return err
	}
	err = c.exchange(t3422,
		func() error { return c.send(&eps.NetworkDetachRequest{Type: eps.NetworkDetachTypeReattach}) },
		func(in inbound) (verdict, error) {
			if _, ok := in.nas.(*eps.DetachAccept); ok {
				return finished, nil
			}
			return notMine, nil
		})
	if err == nil || errors.Is(err, errNoAnswer) {
		c.over = s1ap.CauseNasDetach.Cause()
	}
	return err
}

// command sends UE Context Release Command on a leg (TS 36.413 §8.3.3).
func (c *conn) command(l *leg, cause s1ap.Cause) {
	_ = l.enb.send(l.stream, &s1ap.UEContextReleaseCommand{
		UES1APIDs: s1ap.UES1APIDs{Choice: s1ap.UES1APIDsChoiceUES1APIDPair, UES1APIDPair: &s1ap.UES1APIDPair{
			MMEUES1APID: s1ap.MMEUES1APID(l.mmeID), ENBUES1APID: s1ap.ENBUES1APID(l.enbID),
		}},
		Cause: cause,
	})
}
