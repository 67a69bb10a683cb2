package mme

import (
	"slices"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
	"campanile.network/mme/s11"
)

// tunnelEnds are an eNB's ends of bearers that it has taken over.
type tunnelEnds map[id.EBI]s11.FTEID

// add notes the end of a bearer of u; false if it cannot be one.
func (t tunnelEnds) add(u *ue, b s1ap.ERABID, a *s1ap.TransportLayerAddress, teid s1ap.GTPTEID) bool {
	end, ok := tunnelEnd(a, teid, u.gatewayEnd(id.EBI(b)))
	if ok {
		t[id.EBI(b)] = end
	}
	return ok
}

// some says that a default bearer of the phone is among them (TS 23.401
// §5.5.1.1.2, §5.5.1.2.2): without any the phone would have nothing.
func (t tunnelEnds) some(u *ue) bool {
	return slices.ContainsFunc(u.pdns, func(p *pdn) bool { return t[p.linked()] != s11.FTEID{} })
}

// movable says that the phone has what an eNB can hand over: bearers, though they may
// not be in use yet. One that has its context goes where the radio is better, whatever
// NAS still waits for.
func (c *conn) movable() bool {
	return (c.standing() || c.opening() != nil) && len(c.ue.pdns) > 0 && c.ue.lease != nil && !c.access.changing
}

// takePath gives the gateway the eNB's tunnel ends, with segments at the tower
// where the phone is now. Bearers that the eNB has not taken over are no more
// (TS 36.413 §8.4.4.2, §8.4.2.2), with a default bearer its whole PDN connection.
func (c *conn) takePath(ends tunnelEnds) error {
	u := c.ue
	c.bearers = nil
	var without []id.EBI
	for p, b := range u.bearersOf() {
		if b.enb = ends[b.ebi]; b.enb == (s11.FTEID{}) && !p.asked { // else it is being set up
			without = append(without, b.ebi)
		}
	}
	c.gone("not taken over by the eNB", without...)
	u.served, c.served = true, true
	segment, err := c.signed()
	if err != nil {
		return silent(err)
	}
	if err := pathFailed(c.modifyBearers(segment)); err != nil {
		return err
	}
	c.bearers = c.leg
	if c.setup != nil { // of which the phone has not waited for the end
		c.under, c.setup = c.setup.under, nil
	}
	c.showPlace()
	c.changed(func(i *UEInfo) {
		if u.registered {
			i.State, i.Reason = Connected, ""
		}
		i.Segment = u.lease.segments
		u.showBearers(i)
	})
	return nil
}

// radioLeft answers the E-RAB procedure under way for the eNB that the phone has left.
// The next was told nothing of it: what was to be set up or changed is not, what was
// to end has ended (TS 36.413 §8.2.1.4, §8.2.2.4, §8.2.3.4).
func (c *conn) radioLeft() {
	if c.radio != nil {
		c.held = slices.Insert(c.held, 0, inbound{leg: c.leg, msg: c.radio()})
	}
}

// onRadio runs an E-RAB procedure; left gives its answer when the phone has left the eNB.
func (c *conn) onRadio(left func() s1ap.Message, f func() error) error {
	c.radio = left
	defer func() { c.radio = nil }()
	return f()
}

// maxMoves is in how many eNBs one E-RAB procedure is tried.
const maxMoves = 3

// wherever runs an E-RAB procedure again, at the eNB to which the phone has gone, if
// that was why it failed (TS 23.401 §5.5.1.1.1, §5.5.1.2.1).
func (c *conn) wherever(f func() error) (err error) {
	for range maxMoves {
		at := c.leg
		err = f()
		if e, ok := err.(*esmFailure); !ok || !e.retry || c.leg == at || !c.standing() {
			return err
		}
	}
	return err
}

// setUpLeft is the answer about a bearer that was being set up: one that has come along
// stands.
func (c *conn) setUpLeft(b *bearer) s1ap.Message {
	if _, has := c.ue.bearer(b.ebi); has == b && b.enb != (s11.FTEID{}) {
		return &s1ap.ERABSetupResponse{ERABSetupListBearerSURes: s1ap.ERABSetupListBearerSURes{{
			ERABID: s1ap.ERABID(b.ebi), TransportLayerAddress: s1ap.FromAddr(b.enb.Addr), GTPTEID: s1ap.FromTEID(b.enb.TEID)}}}
	}
	return &s1ap.ERABSetupResponse{ERABFailedToSetupListBearerSURes: leftBehind(b.ebi)}
}

// leftBehind says why an E-RAB has not come along.
func leftBehind(e id.EBI) s1ap.ERABList {
	return s1ap.ERABList{{ERABID: s1ap.ERABID(e), Cause: s1ap.CauseRadioNetworkS1IntraSystemHandoverTriggered.Cause()}}
}

// released ends bearers that the source gave up after it had asked for the handover
// (TS 36.413 §8.2.3.2.3): the target has them.
func (h *handover) released() {
	var ebis []id.EBI
	for _, in := range h.c.held {
		if m, ok := in.msg.(*s1ap.ERABReleaseIndication); ok && in.leg == h.source {
			for i := range m.ERABReleasedList {
				ebis = append(ebis, id.EBI(m.ERABReleasedList[i].ERABID))
			}
		}
	}
	h.c.gone("released by the eNB that the phone has left", ebis...)
}
