package relay

import (
	"net/netip"
	"time"

	"campanile.network/3gpp/gtpu"
	"campanile.network/3gpp/s1ap"
)

// pathSwitch is a path switch (TS 36.413 §8.4.4) that the MME has not answered:
// where the bearers of a context that another eNB has are to end. Until the MME
// agrees they stay where they are, for an eNB can ask for any phone.
type pathSwitch struct {
	enb    s1ap.ENBUES1APID
	stream uint16
	ends   map[s1ap.ERABID]end
}

// full says that an eNB may have no other context.
func (c *conn) full() bool { return len(c.ues)+len(c.switches) >= MaxContexts }

// elsewhere gives the context that another eNB has under an id, and that eNB.
func (r *Relay) elsewhere(than *conn, mme s1ap.MMEUES1APID) (*ue, *conn) {
	for c := range r.conns {
		if u := c.ues[mme]; u != nil && c != than {
			return u, c
		}
	}
	return nil, nil
}

// ask notes what an eNB asks for, and puts the relay's ends into its request.
func (c *conn) ask(u *ue, rd *reading, stream uint16) (changed, refused bool) {
	if c.switches[*rd.mme] == nil && c.full() {
		return false, true
	}
	s := &pathSwitch{enb: *rd.enb, stream: stream, ends: map[s1ap.ERABID]end{}}
	for i := range rd.places {
		p := &rd.places[i]
		n := u.bearers[p.bearer]
		if n == nil {
			return false, true
		}
		s.ends[p.bearer] = p.end()
		p.put(c.relay.user.own(Core, n))
	}
	if c.switches == nil {
		c.switches = map[s1ap.MMEUES1APID]*pathSwitch{}
	}
	c.switches[*rd.mme] = s
	return true, false
}

// settle does what was asked for, if the MME agrees. Bearers not switched are
// lost (TS 36.413 §8.4.4.2). The gateway sees no other end, so that it is the
// relay that tells the former eNB the last packet (TS 23.401 §5.5.1.1.2).
func (c *conn) settle(rd *reading) {
	r, s := c.relay, c.switches[*rd.mme]
	delete(c.switches, *rd.mme)
	u, at := r.elsewhere(c, *rd.mme)
	if s == nil || rd.over || u == nil {
		return
	}
	delete(at.ues, u.mme)
	c.ues[u.mme] = u
	u.enb, u.paired, u.stream, u.asked = s.enb, true, s.stream, false
	for b, n := range u.bearers {
		if e, ok := s.ends[b]; ok {
			former := n.ends.Load().enb
			r.table.toENB(n, e)
			r.user.write(Radio, gtpu.AppendEndMarker(nil, former.teid), netip.AddrPortFrom(former.addr, r.user.port))
			continue
		}
		r.table.release(n, time.Now())
		delete(u.bearers, b)
	}
}
