package mme

import (
	"errors"
	"fmt"
	"time"

	"campanile.network/3gpp/id"
)

// Phone is all that the MME tells of a phone.
type Phone struct {
	UEInfo
	Heard time.Time // last in connected mode; zero while it is connected

	// Of an idle phone that is registered: when its next periodic update is due,
	// and when it is detached if it does not come; zero: never.
	Update, Detach time.Time

	PSM, EDRX string // what it was granted to save power; empty: nothing
	History   []Past // the newest first, at most 32
}

// numberOf gives the phone's number, which others know it by that are not to know
// its IMSI.
func (m *MME) numberOf(u *ue) uint64 {
	u.infoMu.Lock()
	defer u.infoMu.Unlock()
	if u.number == 0 {
		u.number = m.numbers.Add(1)
	}
	return u.number
}

// Phone tells of a phone by its IMSI; false if the MME does not know it.
func (m *MME) Phone(imsi id.IMSI) (Phone, bool) {
	m.known.mu.Lock()
	u := m.known.byIMSI[imsi]
	m.known.mu.Unlock()
	if u == nil {
		return Phone{}, false
	}
	return m.phone(u), true
}

// PhoneNumbered tells of a phone by UEInfo.Number.
func (m *MME) PhoneNumbered(n uint64) (Phone, bool) {
	for _, u := range m.known.all() {
		if m.numberOf(u) == n {
			return m.phone(u), true
		}
	}
	return Phone{}, false
}

func (m *MME) phone(u *ue) Phone {
	p := Phone{UEInfo: u.show(nil), History: m.historyOf(u)}
	p.Number = m.numberOf(u)
	m.known.mu.Lock()
	defer m.known.mu.Unlock()
	s := u.saving
	active, _ := s.active.V.Duration()
	periodic, _ := s.periodic.V.Duration() // 0: not granted
	if s.active.OK {
		p.PSM = fmt.Sprintf("sleeps after %v (T3324)", active)
		if periodic > 0 {
			p.PSM += fmt.Sprintf(", comes every %v (T3412 extended)", periodic)
		}
	}
	if s.edrx.OK {
		p.EDRX = fmt.Sprintf("listens for %v every %v", s.edrx.V.Window(false), s.edrx.V.Cycle())
	}
	if u.owner != nil {
		return p
	}
	p.Heard = u.heard
	if !u.registered {
		return p
	}
	t3412, limit := m.o.T3412, m.o.IdleLimit
	if periodic > 0 {
		t3412, limit = periodic, max(limit, periodic+reachableMargin+implicitDetachWait)
	}
	if t3412 > 0 {
		p.Update = u.heard.Add(t3412)
	}
	p.Detach = u.heard.Add(limit)
	return p
}

// Reasons for which a phone is not paged.
var (
	ErrConnected   = errors.New("mme: the phone is connected: there is nothing to page it for")
	ErrUnreachable = errors.New("mme: the phone is not paged: it sleeps, or has not been heard of for too long")
)

// Page pages an idle phone as if data were waiting; how that ends is told as a
// ProcedureDone "paging". It does not wait.
func (m *MME) Page(imsi id.IMSI) error {
	m.known.mu.Lock()
	u := m.known.byIMSI[imsi]
	connected := u != nil && u.owner != nil
	registered := u != nil && u.registered
	m.known.mu.Unlock()
	switch {
	case connected:
		return ErrConnected
	case !registered:
		return ErrNotRegistered
	case !m.reach(u, false):
		return ErrUnreachable
	}
	return nil
}
