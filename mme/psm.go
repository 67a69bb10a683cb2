package mme

import (
	"time"

	"campanile.network/3gpp/eps"
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
