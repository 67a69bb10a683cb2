package mme

import (
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/mme/s11"
	"campanile.network/wire/gtpc"
)

// saving is what a phone has been granted to save power (TS 24.301 §5.3.11,
// §5.3.12): it holds until the next attach or update, in which the phone asks
// again or goes without.
type saving struct {
	active   eps.Opt[eps.GPRSTimer]  // T3324: after it an idle phone sleeps
	periodic eps.Opt[eps.GPRSTimer3] // T3412 extended; else Options.T3412
	edrx     eps.Opt[eps.ExtendedDRX]
}

// grant judges what a phone asks for in an attach or update, for the accept
// (TS 24.301 §5.5.1.2.4, §5.5.3.2.4).
func (c *conn) grant(asked saving) (s saving) {
	o := &c.m.o
	if !c.calling() { // else it is to be reached
		if _, runs := asked.active.V.Duration(); asked.active.OK && runs && o.PSM > 0 {
			s.active = asked.active
			if d, runs := asked.periodic.V.Duration(); asked.periodic.OK && runs {
				s.periodic = eps.Some(eps.NewGPRSTimer3(min(max(d, o.T3412), o.PSM)))
			}
		}
		if asked.edrx.OK && o.EDRX > 0 {
			s.edrx = eps.Some(eps.NewExtendedDRX(min(asked.edrx.V.Cycle(), o.EDRX), asked.edrx.V.Window(false), false))
		}
	}
	c.m.known.mu.Lock()
	c.ue.saving = s
	c.m.known.mu.Unlock()
	return s
}

// unreachable says that an idle phone is not paged: its mobile reachable timer has
// expired (TS 24.301 §5.3.5), or it sleeps. Called under registry.mu.
func (m *MME) unreachable(u *ue) bool {
	idle, t3412 := time.Since(u.heard), m.o.T3412
	if active, _ := u.saving.active.V.Duration(); u.saving.active.OK && idle > active {
		return true
	}
	if periodic, _ := u.saving.periodic.V.Duration(); periodic > 0 {
		t3412 = periodic
	}
	return t3412 > 0 && idle > t3412+reachableMargin
}

// forgotten says that an idle phone is detached implicitly. Called under
// registry.mu.
func (m *MME) forgotten(u *ue) bool {
	limit := m.o.IdleLimit
	if periodic, _ := u.saving.periodic.V.Duration(); periodic > 0 {
		limit = max(limit, periodic+reachableMargin+implicitDetachWait)
	}
	return time.Since(u.heard) > limit
}

// sleeping is for how long yet an idle phone in power saving mode does not come by itself,
// with a margin; 0: it does not sleep, or never comes. Called under registry.mu.
func (m *MME) sleeping(u *ue) time.Duration {
	active, _ := u.saving.active.V.Duration()
	idle, periodic := time.Since(u.heard), m.o.T3412
	if !u.saving.active.OK || idle <= active {
		return 0
	}
	if d, _ := u.saving.periodic.V.Duration(); d > 0 {
		periodic = d
	}
	if periodic == 0 {
		return 0
	}
	return max(periodic+reachableMargin-idle, 0)
}

// Waiting says for how long the gateway keeps what comes for a session's phone without
// telling again, as s11.Options.Waiting does: until one in power saving mode comes by
// itself, or one with extended DRX listens and has been paged (TS 23.401 §5.3.4.3). The
// others are paged at once. It does not block.
func (m *MME) Waiting(s *s11.Session, _ id.EBI) (w gtpc.Waiting) {
	m.known.mu.Lock()
	defer m.known.mu.Unlock()
	u := m.known.bySession[s]
	if u == nil || u.owner != nil {
		return w
	}
	if w.Buffer = m.sleeping(u); w.Buffer > 0 {
		return w
	}
	p := page{edrx: u.saving.edrx}
	for _, t := range []id.MTMSI{u.tmsi, u.formerTMSI} {
		if t != 0 {
			w.Buffer = max(w.Buffer, p.asleep(t, m.o.HyperFrames))
		}
	}
	if w.Buffer > 0 {
		w.Buffer += pagingTime(m.o.Paging)
	}
	return w
}

// pagingTime is how long a phone that does not answer is paged.
func pagingTime(stages []PagingStage) (d time.Duration) {
	for _, s := range stages {
		d += time.Duration(s.Times) * s.Wait
	}
	return d
}
