package mme

import (
	"slices"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
	"campanile.network/mme/s11"
)

// tunnelEnds are an eNB's ends of bearers that it has taken over.
type tunnelEnds map[id.EBI]s11.FTEID

// add notes an end; false if it cannot be one.
func (t tunnelEnds) add(b s1ap.ERABID, a *s1ap.TransportLayerAddress, teid s1ap.GTPTEID) bool {
	addr, err := a.Addr()
	if err != nil || teid.ID() == 0 {
		return false
	}
	t[id.EBI(b)] = s11.FTEID{Addr: addr, TEID: teid.ID()}
	return true
}

// some says that a default bearer of the phone is among them (TS 23.401
// §5.5.1.1.2, §5.5.1.2.2): without any the phone would have nothing.
func (t tunnelEnds) some(u *ue) bool {
	return slices.ContainsFunc(u.pdns, func(p *pdn) bool { return t[p.linked()] != s11.FTEID{} })
}

// movable says that the phone has what an eNB can hand over.
func (c *conn) movable() bool {
	return c.standing() && len(c.ue.pdns) > 0 && c.ue.lease != nil && !c.access.changing
}

// takePath gives the gateway the eNB's tunnel ends, with a segment at the tower
// where the phone is now. Bearers that the eNB has not taken over are released
// (TS 36.413 §8.4.4.2, §8.4.2.2); PDN connections whose default bearer is among
// them are the caller's to close.
func (c *conn) takePath(ends tunnelEnds) (gone []*pdn, err error) {
	u := c.ue
	c.bearers = nil
	_, cell := c.leg.place()
	segment, err := u.lease.segment(c.m.o.Operator, c.leg.enb.show().Tower, cell, time.Now())
	if err != nil {
		return nil, err
	}
	gone = c.take(ends)
	u.served = true
	if err := c.commit(); err != nil {
		return gone, silent(err)
	}
	if err := c.modifyBearers(segment); err != nil {
		return gone, err
	}
	c.bearers = c.leg
	c.showPlace()
	c.changed(func(i *UEInfo) {
		i.Segment = u.lease.segments
		u.showBearers(i)
	})
	return gone, nil
}

// take notes the eNB's ends. Bearers without one are no more, with a default
// bearer its whole PDN connection: these are given.
func (c *conn) take(ends tunnelEnds) (gone []*pdn) {
	for _, p := range c.ue.pdns {
		if _, ok := ends[p.linked()]; !ok && c.m.known.shut(c.ue, p) {
			gone = append(gone, p)
			continue
		}
		p.bearers = slices.DeleteFunc(p.bearers, func(b *bearer) bool {
			b.enb = ends[b.ebi]
			return b.enb == s11.FTEID{}
		})
	}
	return gone
}
