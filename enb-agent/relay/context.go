package relay

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"campanile.network/3gpp/s1ap"
	"campanile.network/internal/sctp"
)

// ue is a context with bearers at one eNB.
type ue struct {
	mme      s1ap.MMEUES1APID
	enb      s1ap.ENBUES1APID
	paired   bool // enb is known
	asked    bool // its release has been asked for
	stream   uint16
	bearers  map[s1ap.ERABID]*tunnel
	forwards []*tunnel
}

// MaxContexts is how many phones with bearers one eNB may have at a time.
const MaxContexts = 4096

// maxForwards is how many forwarding paths one context may have: both directions
// of every bearer.
const maxForwards = 2 * 16

// conn is one eNB's association and the one opened for it to the MME. Its
// contexts are guarded by Relay.mu.
type conn struct {
	relay    *Relay
	leg      [2]sctp.Association // by Side
	enbIP    netip.Addr
	ues      map[s1ap.MMEUES1APID]*ue
	switches map[s1ap.MMEUES1APID]*pathSwitch
}

// apply does to the tunnels what a message from one side says, and puts the
// relay's own ends into it. It reports whether the message has changed, and
// whether the relay had to refuse.
func (c *conn) apply(from Side, rd *reading, stream uint16) (changed, refused bool) {
	r := c.relay
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case rd.reset != nil:
		c.reset(rd.reset)
		return false, false
	case rd.mme == nil && rd.over && rd.enb != nil:
		c.endIf(func(u *ue) bool { return u.paired && u.enb == *rd.enb })
		return false, false
	case rd.mme == nil:
		return false, false
	}
	for i := range rd.places {
		if p := &rd.places[i]; !p.valid() {
			r.Logger.Warn("no tunnel", "enb", c.enbIP, "address", fmt.Sprintf("%d bits", p.addr.Len))
			return false, true
		}
	}
	c.prune(*rd.mme)
	switch {
	case rd.moves && c.ues[*rd.mme] == nil:
		if u, _ := r.elsewhere(c, *rd.mme); u != nil {
			return c.ask(u, rd, stream)
		}
	case rd.moved:
		c.settle(rd)
	}
	u := c.ues[*rd.mme]
	if u == nil {
		if !rd.begins || len(rd.places) == 0 {
			return false, false
		}
		if c.full() {
			return false, true
		}
		u = &ue{mme: *rd.mme, bearers: map[s1ap.ERABID]*tunnel{}}
	}
	if rd.enb != nil {
		u.enb, u.paired = *rd.enb, true
	}
	u.stream, u.asked = stream, u.asked && !rd.begins
	for i := range rd.places {
		did, err := c.place(from, u, &rd.places[i], rd.moves)
		if err != nil {
			r.Logger.Warn("no tunnel", "enb", c.enbIP, "err", err)
			if c.ues[u.mme] == nil {
				u.end(r)
			}
			return false, true
		}
		changed = changed || did
	}
	if len(u.bearers) > 0 {
		c.ues[u.mme] = u
	}
	c.close(u, rd)
	return changed, false
}

// prune forgets a context whose bearers the gateway has ended, and of one that
// goes on those bearers.
func (c *conn) prune(mme s1ap.MMEUES1APID) {
	u := c.ues[mme]
	if u == nil {
		return
	}
	for b, n := range u.bearers {
		if n.ends.Load().released {
			delete(u.bearers, b)
		}
	}
	if len(u.bearers) == 0 {
		u.end(c.relay)
		delete(c.ues, mme)
	}
}

// prune does so for all.
func (r *Relay) prune() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.conns {
		for mme := range c.ues {
			c.prune(mme)
		}
	}
}

// close ends what a message ends.
func (c *conn) close(u *ue, rd *reading) {
	r := c.relay
	for _, b := range rd.ended {
		if n := u.bearers[b]; n != nil {
			r.table.release(n, time.Now())
			delete(u.bearers, b)
		}
	}
	if rd.moves { // bearers not switched are lost (TS 36.413 §8.4.4.2)
		for b, n := range u.bearers {
			if !slices.ContainsFunc(rd.places, func(p place) bool { return p.bearer == b }) {
				r.table.release(n, time.Now())
				delete(u.bearers, b)
			}
		}
	}
	switch {
	case rd.over || len(u.bearers) == 0:
		u.end(r)
		delete(c.ues, u.mme)
	case rd.newMME != nil && *rd.newMME != u.mme:
		delete(c.ues, u.mme)
		u.mme = *rd.newMME
		c.ues[u.mme] = u
	}
}

// place makes or changes the tunnel at one place of a message.
func (c *conn) place(from Side, u *ue, p *place, moves bool) (changed bool, _ error) {
	r := c.relay
	e := p.end()
	n := u.bearers[p.bearer]
	switch {
	case p.forward && len(u.forwards) >= maxForwards:
		return false, errFull
	case p.forward:
		path := ends{forward: true, source: c.enbIP, gateway: e}
		if from == Radio {
			path.enb, path.gateway = e, end{}
		}
		var err error
		if n, err = r.table.open(path); err != nil {
			return false, err
		}
		u.forwards = append(u.forwards, n)
	case from == Core && n != nil:
		r.table.toGateway(n, e)
	case from == Radio && n != nil:
		r.table.toENB(n, e)
	case from == Radio && !moves:
		return false, nil // an answer about a bearer nobody has asked for
	default:
		first := ends{source: c.enbIP, gateway: e}
		if from == Radio {
			first.enb, first.gateway = e, end{}
		}
		var err error
		if n, err = r.table.open(first); err != nil {
			return false, err
		}
		u.bearers[p.bearer] = n
	}
	r.user.show(n)
	p.put(r.user.own(1-from, n))
	return true, nil
}

// reset ends the contexts that a Reset names, by every id it gives of each
// (TS 36.413 §8.7.1).
func (c *conn) reset(t *s1ap.ResetType) {
	if t.Choice == s1ap.ResetTypeChoiceS1Interface {
		clear(c.switches)
	}
	c.endIf(func(u *ue) bool {
		if t.Choice != s1ap.ResetTypeChoicePartOfS1Interface {
			return t.Choice == s1ap.ResetTypeChoiceS1Interface
		}
		return slices.ContainsFunc(t.PartOfS1Interface, func(i s1ap.UEAssociatedLogicalS1ConnectionItem) bool {
			mme, enb := i.MMEUES1APID, i.ENBUES1APID
			return (mme != nil || enb != nil && u.paired) && (mme == nil || *mme == u.mme) && (enb == nil || !u.paired || *enb == u.enb)
		})
	})
}

// endIf ends the contexts for which f holds.
func (c *conn) endIf(f func(*ue) bool) {
	for _, u := range c.ues {
		if f(u) {
			u.end(c.relay)
			delete(c.ues, u.mme)
		}
	}
}

// end releases everything of a context.
func (u *ue) end(r *Relay) {
	now := time.Now()
	for _, n := range u.bearers {
		r.table.release(n, now)
	}
	for _, n := range u.forwards {
		r.table.release(n, now)
	}
	clear(u.bearers)
	u.forwards = nil
}
