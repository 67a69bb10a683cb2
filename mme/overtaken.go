package mme

import (
	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/s1ap"
)

// Two eNBs' associations know no order: what a phone says by the second may overtake
// what it has said by the first.

// overtaken says that a phone's next request has come before its word that it has the
// GUTI it was given at an S1 connection, and by another: the request is protected with
// the keys in use and names that GUTI. Then what has given it has succeeded. By the
// same connection that word would have come first, if it had been said (TS 24.301
// §5.5.1.2.7 g).
func (c *conn) overtaken(err error, at *leg) bool {
	e, ok := err.(*collision)
	if !ok || e.in.leg == at {
		return false
	}
	if _, anew := e.in.nas.(*eps.AttachRequest); anew {
		return false
	}
	var beside *s1ap.STMSI
	if m, ok := e.in.msg.(newLeg); ok {
		if first, ok := m.msg.(*s1ap.InitialUEMessage); ok {
			beside = first.STMSI
		}
	}
	t, ok := c.m.named(e.in.nas, beside)
	e.shown = ok && t == c.ue.tmsi
	return e.shown
}

// shown says that a procedure was interrupted after it had succeeded.
func shown(err error) bool {
	e, ok := err.(*collision)
	return ok && e.shown
}

// forgetFormer hears no more of the eNB from which the phone has gone.
func (c *conn) forgetFormer() {
	if c.former != nil {
		c.m.legs.close(c.former)
		c.former = nil
	}
}
