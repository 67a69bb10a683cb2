package mme

import (
	"context"
	"slices"
	"strconv"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
	"campanile.network/mme/s11"
	"campanile.network/wire/gtpc"
)

// DownlinkData says that the gateway holds packets for a session's phone, as
// s11.Options.OnDownlinkData does; it does not block. The phone is paged, or the
// cause returned why it is not.
func (m *MME) DownlinkData(s *s11.Session, _ id.EBI, _ gtpc.Cause) gtpc.Cause {
	m.known.mu.Lock()
	u := m.known.bySession[s]
	m.known.mu.Unlock()
	switch {
	case u == nil:
		m.count.drop(dropDownlinkData)
		return gtpc.ContextNotFound
	case !m.reach(u, true):
		m.count.drop(dropDownlinkData)
		return gtpc.UnableToPageUE
	}
	return gtpc.Accepted
}

// reach pages an idle phone, or tells the owner of one that is not idle that
// data wait for it, if they do. False if the phone cannot be paged.
func (m *MME) reach(u *ue, data bool) bool {
	m.known.mu.Lock()
	if owner := u.owner; owner != nil {
		m.known.mu.Unlock()
		if data && owner.in.put(inbound{msg: dataWaiting{}}, true) == putClosed {
			<-owner.done // it has parked the phone by now or is about to
			return m.reach(u, data)
		}
		return true
	}
	if !u.registered || len(u.pdns) == 0 || m.unreachable(u) {
		m.known.mu.Unlock()
		return false
	}
	u.data = u.data || data
	if u.paging != nil {
		m.known.mu.Unlock()
		return true
	}
	ctx, cancel := context.WithCancel(m.leaving)
	u.paging = cancel
	p := page{u: u, session: u.pdns[0].session, imsi: u.imsi, drx: u.drx, tmsis: []id.MTMSI{u.tmsi}, tais: u.areas()}
	if u.formerTMSI != 0 {
		p.tmsis = append(p.tmsis, u.formerTMSI)
	}
	m.known.mu.Unlock()
	if !m.spawn(func() { defer cancel(); m.page(ctx, p) }) {
		cancel()
		return false
	}
	return true
}

// page is one paging procedure's data, as it was when the phone was idle.
type page struct {
	u       *ue
	session *s11.Session
	imsi    id.IMSI
	drx     eps.DRX
	tmsis   []id.MTMSI // two while the phone may have either (TS 24.301 §5.4.1.6 a)
	tais    []id.TAI
}

// unreachable says that the mobile reachable timer of an idle phone has expired:
// it is paged no more (TS 24.301 §5.3.5). Called under registry.mu.
func (m *MME) unreachable(u *ue) bool {
	return m.o.T3412 > 0 && time.Since(u.heard) > m.o.T3412+reachableMargin
}

// areas are the tracking areas in which the phone may be without having told.
// Called under registry.mu.
func (u *ue) areas() []id.TAI {
	out := slices.Clone(u.tais)
	for _, t := range u.formerTAIs {
		if !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	return out
}

// messages makes the Paging messages, one for each name the phone may have.
func (m *MME) messages(p page) []*s1ap.Paging {
	var out []*s1ap.Paging
	for _, t := range p.tmsis {
		msg := &s1ap.Paging{
			UEIdentityIndexValue: pagingIndex(p.imsi),
			UEPagingID:           s1ap.UEPagingID{Choice: s1ap.UEPagingIDChoiceSTMSI, STMSI: s1ap.FromSTMSI(id.STMSI{Code: m.o.GUMMEI.Code, TMSI: t})},
			CNDomain:             s1ap.CNDomainPs, PagingDRX: pagingDRX(p.drx),
		}
		for _, t := range p.tais {
			msg.TAIList = append(msg.TAIList, s1ap.TAIItem{TAI: s1ap.FromTAI(t)})
		}
		out = append(out, msg)
	}
	return out
}

// page is paging for EPS services (TS 24.301 §5.6.2, TS 36.413 §8.5): to every
// eNB in the phone's tracking areas, again when T3413 expires. A phone that
// comes, whatever for, ends it through ctx.
func (m *MME) page(ctx context.Context, p page) {
	began := time.Now()
	messages := m.messages(p)
	timer := time.NewTimer(t3413.wait)
	defer timer.Stop()
	for range t3413.sends {
		for _, e := range m.legs.all() {
			if slices.ContainsFunc(e.show().TAIs, func(t id.TAI) bool { return slices.Contains(p.tais, t) }) {
				for _, msg := range messages {
					_ = e.send(0, msg)
				}
			}
		}
		timer.Reset(t3413.wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		if ctx.Err() != nil {
			break
		}
	}
	m.known.mu.Lock()
	came, data := ctx.Err() != nil, p.u.data
	if !came {
		p.u.stopPaging()
		p.u.data = false
	}
	gone := p.u.owner == nil && p.u.paging == nil
	m.known.mu.Unlock()
	if gone { // it has not come, or is detached
		m.absent(p.u)
	}
	if came {
		if m.leaving.Err() == nil {
			m.count.procedure("paging", "")
		}
		return
	}
	m.count.procedure("paging", "no answer")
	m.log.Info("procedure failed", "procedure", "paging", "imsi", p.imsi, "took", time.Since(began), "err", errNoAnswer)
	m.o.Events(ProcedureDone{Procedure: "paging", Duration: time.Since(began), UE: p.u.show(nil), Err: errNoAnswer.Error()})
	if data {
		if err := m.o.Gateway.PagingFailed(p.session); err != nil {
			m.log.Warn("gateway not told that paging failed", "imsi", p.imsi, "err", err)
		}
	}
	m.detachIdle(p.u)
}

// pagingDRX is the phone's own cycle, if it has one (TS 36.413 §9.2.1.16,
// TS 24.301 §5.5.3.2.4).
func pagingDRX(d eps.DRX) *s1ap.PagingDRX {
	switch d.Cycle() {
	case 32:
		return new(s1ap.PagingDRXV32)
	case 64:
		return new(s1ap.PagingDRXV64)
	case 128:
		return new(s1ap.PagingDRXV128)
	case 256:
		return new(s1ap.PagingDRXV256)
	}
	return nil
}

// pagingIndex is IMSI mod 1024 (TS 36.304 §7.1).
func pagingIndex(imsi id.IMSI) s1ap.UEIdentityIndexValue {
	n, _ := strconv.ParseUint(imsi.Digits(), 10, 64) // at most 15 digits
	return s1ap.UEIdentityIndexValue(n % 1024)
}
