package mme

import (
	"errors"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/s1ap"
)

// detachCause releases a phone that is detached.
var detachCause = s1ap.CauseNasDetach.Cause()

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
		c.m.known.setTexts(c.ue, false)
		if !c.standing() {
			c.over = detachCause
		}
		return c.send(&eps.DetachAccept{}) // of non-EPS services, which nobody has here
	}
	c.m.known.setRegistered(c.ue, false)
	err := c.deleteSessions()
	c.changed(func(i *UEInfo) { i.State, i.Reason, i.Notice = Deregistered, "detached by the phone", "" })
	if err != nil {
		return err
	}
	if !m.Type.SwitchOff() {
		if err := c.send(&eps.DetachAccept{}); err != nil {
			return err
		}
	}
	c.over = detachCause
	return nil
}
