package mme

import (
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/mme/s11"
)

// registry has every phone whose SIM has answered, by IMSI and by the M-TMSIs
// it may use. Its lock also guards who owns a phone; it is held for moments and
// nothing is called under it.
type registry struct {
	max  int
	rand io.Reader

	mu           sync.Mutex
	byIMSI       map[id.IMSI]*ue
	byTMSI       map[id.MTMSI]*ue
	bySession    map[*s11.Session]*ue
	deregistered int // of byIMSI, without owner
}

func newRegistry(most int, rand io.Reader) *registry {
	return &registry{max: most, rand: rand, byIMSI: map[id.IMSI]*ue{}, byTMSI: map[id.MTMSI]*ue{}, bySession: map[*s11.Session]*ue{}}
}

func (r *registry) size() (known, registered int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, u := range r.byIMSI {
		if u.registered {
			registered++
		}
	}
	return len(r.byIMSI), registered
}

func (r *registry) all() []*ue {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]*ue, 0, len(r.byIMSI))
	for _, u := range r.byIMSI {
		out = append(out, u)
	}
	return out
}

// find gives the phone that may use an M-TMSI.
func (r *registry) find(t id.MTMSI) *ue {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.byTMSI[t]
}

// claim makes c the owner of u, with what is waiting for the phone, if nobody is;
// else it gives the owner. known is false if another has the phone's place by
// now.
func (r *registry) claim(u *ue, c *conn) (owner *conn, known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.byIMSI[u.imsi] != u:
		return nil, false
	case u.owner != nil && u.owner != c:
		return u.owner, true
	case u.owner == nil && !u.registered:
		r.deregistered--
	}
	u.owner = c
	c.dataWaiting, c.order, c.sms.waiting, c.alert = u.data, u.order, u.sms, u.alert
	c.later, u.orders = append(c.later, u.orders...), nil
	u.data, u.order, u.sms, u.alert = false, nil, nil, false
	u.stopPaging()
	return nil, true
}

// park leaves u without owner.
func (r *registry) park(u *ue, c *conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if u.owner != c {
		return
	}
	u.owner, u.heard = nil, time.Now()
	if r.byIMSI[u.imsi] == u && !u.registered {
		r.deregistered++
	}
}

// place is what came of enter.
type place struct {
	owner   *conn   // the IMSI is with this connection, which must end first
	pdns    []*pdn  // of what was known of the IMSI; now the caller's to close
	evicted id.IMSI // of a phone that was forgotten to make room; zero: none
}

// enter makes u, owned by c, the phone of its IMSI. errFull if there are too
// many phones and none of them is deregistered.
func (r *registry) enter(u *ue, c *conn) (p place, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	former := r.byIMSI[u.imsi]
	if former != nil {
		u.epoch = max(u.epoch, former.epoch)
	}
	u.epoch = nextEpoch(u.epoch)
	switch {
	case former == u:
		return place{}, nil
	case former != nil && former.owner != nil && former.owner != c:
		return place{owner: former.owner}, nil
	case former != nil:
		p.pdns = r.remove(former)
		u.inherit(former)
	case len(r.byIMSI) >= r.max:
		if p.evicted = r.evict(); p.evicted.IsZero() {
			return place{}, fmt.Errorf("%w: %d are known", errFull, len(r.byIMSI))
		}
	}
	u.owner = c
	r.byIMSI[u.imsi] = u
	return p, nil
}

// evict removes some deregistered phone and gives its IMSI, zero if there is
// none.
func (r *registry) evict() id.IMSI {
	if r.deregistered == 0 {
		return id.IMSI{}
	}
	for _, u := range r.byIMSI {
		if u.owner == nil && !u.registered {
			r.remove(u)
			return u.imsi
		}
	}
	return id.IMSI{}
}

// remove forgets a phone and gives its PDN connections, which end.
func (r *registry) remove(u *ue) []*pdn {
	if r.byIMSI[u.imsi] == u {
		delete(r.byIMSI, u.imsi)
		if u.owner == nil && !u.registered {
			r.deregistered--
		}
	}
	for _, t := range []id.MTMSI{u.tmsi, u.formerTMSI} {
		if r.byTMSI[t] == u {
			delete(r.byTMSI, t)
		}
	}
	u.stopPaging()
	return r.take(u)
}

// take leaves u without PDN connections. Called under mu.
func (r *registry) take(u *ue) []*pdn {
	had := u.pdns
	for _, p := range had {
		delete(r.bySession, p.session)
	}
	u.pdns = nil
	return had
}

// takeAll is take, and takes the lock.
func (r *registry) takeAll(u *ue) []*pdn {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.take(u)
}

// open adds a PDN connection of u.
func (r *registry) open(u *ue, p *pdn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	u.pdns = append(slices.Clone(u.pdns), p)
	r.bySession[p.session] = u
}

// shut takes a PDN connection from u; false if it has no such any more.
func (r *registry) shut(u *ue, p *pdn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.Index(u.pdns, p)
	if i < 0 {
		return false
	}
	u.pdns = slices.Delete(slices.Clone(u.pdns), i, i+1)
	delete(r.bySession, p.session)
	return true
}

// setRegistered notes the phone's EMM state.
func (r *registry) setRegistered(u *ue, v bool) {
	r.mu.Lock()
	u.registered = v
	r.mu.Unlock()
}
