package mme

import (
	"time"

	"campanile.network/3gpp/eps"
)

// saving is what a phone has been granted to save power (TS 24.301 §5.3.11,
// §5.3.12): it holds until the next attach or update, in which the phone asks
// again or goes without.
type saving struct {
	psm      bool          // power saving mode
	active   time.Duration // T3324: after it an idle phone sleeps
	periodic time.Duration // T3412 extended; 0: Options.T3412
	edrx     eps.Opt[eps.ExtendedDRX]
}

// grant judges what a phone asks for in an attach or update, and gives the
// elements of the accept (TS 24.301 §5.5.1.2.4, §5.5.3.2.4).
func (c *conn) grant(t3324 eps.Opt[eps.GPRSTimer], t3412 eps.Opt[eps.GPRSTimer3], edrx eps.Opt[eps.ExtendedDRX]) (
	active eps.Opt[eps.GPRSTimer], periodic eps.Opt[eps.GPRSTimer3], cycle eps.Opt[eps.ExtendedDRX],
) {
	var s saving
	o := &c.m.o
	if c.calling() { // it is to be reached (TS 24.301 §5.3.11, §5.3.12)
		return active, periodic, cycle
	}
	if d, runs := t3324.V.Duration(); t3324.OK && runs && o.PSM > 0 {
		s.psm, s.active, active = true, d, t3324
		if asked, runs := t3412.V.Duration(); t3412.OK && runs {
			periodic = eps.Some(eps.NewGPRSTimer3(min(max(asked, o.T3412), o.PSM)))
			s.periodic, _ = periodic.V.Duration()
		}
	}
	if edrx.OK && o.EDRX > 0 {
		cycle = eps.Some(eps.NewExtendedDRX(min(edrx.V.Cycle(), o.EDRX), edrx.V.Window(false), false))
		s.edrx = cycle
	}
	c.m.known.mu.Lock()
	c.ue.saving = s
	c.m.known.mu.Unlock()
	return active, periodic, cycle
}

// unreachable says that an idle phone is not paged: its mobile reachable timer has
// expired (TS 24.301 §5.3.5), or it sleeps. Called under registry.mu.
func (m *MME) unreachable(u *ue) bool {
	idle, t3412 := time.Since(u.heard), m.o.T3412
	if u.saving.psm && idle > u.saving.active {
		return true
	}
	if u.saving.periodic > 0 {
		t3412 = u.saving.periodic
	}
	return t3412 > 0 && idle > t3412+reachableMargin
}

// forgotten says that an idle phone is detached implicitly. Called under
// registry.mu.
func (m *MME) forgotten(u *ue) bool {
	limit := m.o.IdleLimit
	if u.saving.periodic > 0 {
		limit = max(limit, u.saving.periodic+reachableMargin+implicitDetachWait)
	}
	return time.Since(u.heard) > limit
}
