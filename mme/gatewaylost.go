package mme

import (
	"context"
	"errors"
	"slices"
	"time"

	"campanile.network/mme/s11"
)

// errGatewayAway says that no session can be had at present.
var errGatewayAway = errors.New("the gateway does not answer")

// gatewayProbe is how often one attach tries a gateway that has not answered the last.
const gatewayProbe = 10 * time.Second

// gatewayAnswered notes whether the gateway has answered, when a session was asked for.
func (l *load) gatewayAnswered(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case answered(err):
		l.silent = time.Time{}
	case !interrupted(err):
		l.silent = time.Now()
	}
}

// gatewayAway says that an attach is not worth its phone's and its home's trouble,
// because the gateway has not answered lately; one in a while is, to see whether it
// does again. The others come back one by one, when T3346 expires.
func (l *load) gatewayAway(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.silent.IsZero():
		return false
	case now.Sub(l.silent) < gatewayProbe:
		l.refused++
		return true
	}
	l.silent = now
	return false
}

// GatewayRestarted says that the gateway has lost sessions, as
// s11.Options.OnGatewayRestart does; it does not block. The phones are deregistered:
// connected ones are told to attach again, idle ones are paged by IMSI, a few at a
// time, whereupon they attach (TS 23.007 §14.1A.1, TS 24.301 §5.6.2.2.2). Phones
// that cannot be paged learn it when they next ask for service.
func (m *MME) GatewayRestarted(lost []*s11.Session) {
	var idle []summons
	for _, s := range lost {
		m.known.mu.Lock()
		u := m.known.bySession[s]
		var owner *conn
		var p summons
		if u != nil {
			owner = u.owner
			p = summons{page: page{imsi: u.imsi, drx: u.drx, tais: u.areas()}, left: t3413.sends}
		}
		reached := u != nil && !m.unreachable(u) && u.saving.edrx.V.Cycle() < hyperFrame
		m.known.mu.Unlock()
		switch {
		case owner != nil:
			owner.in.put(inbound{msg: sessionLost{s}}, true)
		case u != nil && m.lostIdle(u, lost) && reached:
			idle = append(idle, p)
		}
	}
	m.summon(idle)
}

// lostIdle deregisters an idle phone of which the gateway has lost or ended a session;
// false if somebody was faster.
func (m *MME) lostIdle(u *ue, lost []*s11.Session) bool {
	had := m.known.deregister(u, true)
	if had == nil {
		return false
	}
	m.deregistered(u, "gateway restarted")
	rest := ending(slices.DeleteFunc(had, func(p *pdn) bool { return slices.Contains(lost, p.session) }))
	m.keepIdle(u, rest...)
	m.spawn(func() {
		ctx, cancel := context.WithTimeout(m.ctx, m.o.GatewayTimeout)
		defer cancel()
		m.deleteAt(ctx, rest)
		m.keepIdle(u)
	})
	return true
}

// summons is a phone that is to attach anew, and is paged for it by IMSI. One with
// extended DRX listens at times that its S-TMSI says, and comes by itself.
type summons struct {
	page
	left int       // pages
	due  time.Time // of the next
}

// summonEvery is how often a phone is summoned: all at once would be more attaches
// than anybody has room for.
const summonEvery = 50 * time.Millisecond

// summon has phones paged, behind those that are to be already.
func (m *MME) summon(list []summons) {
	if len(list) == 0 {
		return
	}
	m.mu.Lock()
	running := m.summoning
	m.summoned, m.summoning = append(m.summoned, list...), true
	m.mu.Unlock()
	if !running {
		m.spawn(m.summonAll)
	}
}

func (m *MME) summonAll() {
	for {
		m.mu.Lock()
		if len(m.summoned) == 0 {
			m.summoned, m.summoning = nil, false
			m.mu.Unlock()
			return
		}
		s := m.summoned[0]
		m.summoned = m.summoned[1:]
		m.mu.Unlock()
		if m.here(s.imsi) { // it has come
			continue
		}
		if !pause(m.leaving, max(summonEvery, time.Until(s.due))) {
			return
		}
		m.count.procedure("summons", "")
		for _, e := range m.legs.all() {
			if tais := s.at(PageAreas, e.show()); len(tais) > 0 {
				_ = e.send(0, s.message(m.o.GUMMEI.Code, 0, tais, attempt{}))
			}
		}
		if s.left--; s.left > 0 {
			s.due = time.Now().Add(t3413.wait)
			m.mu.Lock()
			m.summoned = append(m.summoned, s)
			m.mu.Unlock()
		}
	}
}
