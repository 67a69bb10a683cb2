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
	for _, b := range u.bearersOf() {
		if b.enb = ends[b.ebi]; b.enb == (s11.FTEID{}) {
			without = append(without, b.ebi)
		}
	}
	c.gone("not taken over by the eNB", without...)
	u.served, c.served = true, true
	segment, err := c.signed()
	if err != nil {
		return silent(err)
	}
	if err := c.modifyBearers(segment); err != nil {
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
