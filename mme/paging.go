package mme

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
	"campanile.network/mme/s11"
	"campanile.network/wire/gtpc"
)

// PagingStage is a part of a paging procedure. The phone is paged in the first
// stage, and in each that follows if it does not come (TS 23.401 §5.3.4.3).
type PagingStage struct {
	Where PagingWhere
	Times int
	Wait  time.Duration // for an answer, each time: T3413 (TS 24.301 §5.6.2.2.1)
}

// PagingWhere is which eNBs page a phone.
type PagingWhere uint8

// The places.
const (
	PageLast  PagingWhere = iota // the eNB where it was last, and those that this one has recommended
	PageAreas                    // those of its tracking areas
	PageAll                      // every eNB, though the phone would have told
)

// defaultPaging is Options.Paging.
var defaultPaging = []PagingStage{{PageLast, 1, 3 * time.Second}, {PageAreas, 2, 5 * time.Second}, {PageAll, 1, 5 * time.Second}}

func checkPaging(stages []PagingStage) error {
	for _, s := range stages {
		if s.Where > PageAll || s.Times < 1 || s.Times > 16 || s.Wait <= 0 {
			return errors.New("mme: Paging: a stage is PageLast, PageAreas or PageAll, 1 to 16 times, with a wait")
		}
	}
	return nil
}

// DownlinkData says that the gateway holds packets for a session's phone, as
// s11.Options.OnDownlinkData does; it does not block. The phone is paged, or the
// cause returned why it is not. One that sleeps (TS 24.301 §5.3.11) has its packets
// when it comes by itself: the gateway keeps them for as long as Waiting says.
func (m *MME) DownlinkData(s *s11.Session, ebi id.EBI, _ gtpc.Cause) gtpc.Cause {
	m.known.mu.Lock()
	u := m.known.bySession[s]
	var priority uint8
	sleeps := u != nil && u.owner == nil && u.registered && len(u.pdns) > 0 && m.sleeping(u) > 0
	if sleeps {
		u.data = true
	}
	if u != nil && u.owner == nil && m.o.PagingPriority != nil {
		if _, b := u.bearer(ebi); b != nil {
			priority = m.o.PagingPriority(b.qos.ARP.Level)
		}
	}
	m.known.mu.Unlock()
	switch {
	case u == nil:
		m.count.drop(dropDownlinkData)
		return gtpc.ContextNotFound
	case sleeps:
		return gtpc.Accepted
	case !m.reachFor(u, true, priority):
		m.count.drop(dropDownlinkData)
		return gtpc.UnableToPageUE
	}
	return gtpc.Accepted
}

// reach pages an idle phone, or tells the owner of one that is not idle that
// data wait for it, if they do. False if the phone cannot be paged.
func (m *MME) reach(u *ue, data bool) bool { return m.reachFor(u, data, 0) }

func (m *MME) reachFor(u *ue, data bool, priority uint8) bool {
	m.known.mu.Lock()
	if owner := u.owner; owner != nil {
		m.known.mu.Unlock()
		if data && owner.in.put(inbound{msg: dataWaiting{}}, true) == putClosed {
			<-owner.done // it has parked the phone by now or is about to
			return m.reachFor(u, data, priority)
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
	p := page{u: u, session: u.pdns[0].session, imsi: u.imsi, drx: u.drx, edrx: u.saving.edrx, tmsis: []id.MTMSI{u.tmsi}, tais: u.areas(), priority: priority, help: u.pagingHelp}
	if u.formerTMSI != 0 {
		p.tmsis = append(p.tmsis, u.formerTMSI)
	}
	m.known.mu.Unlock()
	p.last = u.show(nil).ENB
	if !m.spawn(func() { defer cancel(); m.page(ctx, p) }) {
		cancel()
		return false
	}
	return true
}

// page is one paging procedure's data, as it was when the phone was idle.
type page struct {
	u        *ue
	session  *s11.Session
	imsi     id.IMSI
	drx      eps.DRX
	edrx     eps.Opt[eps.ExtendedDRX]
	tmsis    []id.MTMSI // two while the phone may have either (TS 24.301 §5.4.1.6 a); none: by IMSI
	tais     []id.TAI
	last     id.GlobalENBID
	help     pagingHelp
	attempts []attempt // of the stage; may be none
	priority uint8     // 1 to 8; 0: none
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

// page is paging for EPS services (TS 24.301 §5.6.2, TS 36.413 §8.5), stage by
// stage. A phone that comes, whatever for, ends it through ctx.
func (m *MME) page(ctx context.Context, p page) {
	began := time.Now()
	m.count.begins("paging")
	numbered := attempts(m.o.Paging)
	for i, s := range m.o.Paging {
		p.attempts = numbered[i]
		m.pageStage(ctx, p, s)
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
			m.done(p.u, ProcedureDone{Procedure: "paging", Duration: time.Since(began), UE: p.u.show(nil)})
		}
		return
	}
	m.count.procedure("paging", "no answer")
	m.log.Info("procedure failed", "procedure", "paging", "imsi", p.imsi, "took", time.Since(began), "err", errNoAnswer)
	m.done(p.u, ProcedureDone{Procedure: "paging", Duration: time.Since(began), UE: p.u.show(nil), Cause: "no answer", Err: errNoAnswer.Error()})
	if data {
		if err := m.o.Gateway.PagingFailed(p.session); err != nil {
			m.log.Warn("gateway not told that paging failed", "imsi", p.imsi, "err", err)
		}
	}
	m.unreached(p.u)
	m.detachIdle(p.u)
}

// pageStage pages and waits as often as a stage says, at the times when the phone
// listens. A stage with no eNB takes no time.
func (m *MME) pageStage(ctx context.Context, p page, s PagingStage) {
	for n := range s.Times {
		var a attempt
		if n < len(p.attempts) {
			a = p.attempts[n]
		}
		sent := false
		for _, t := range p.names() {
			if !pause(ctx, p.asleep(t, m.o.HyperFrames)) {
				return
			}
			for _, e := range m.legs.all() {
				for tais := range slices.Chunk(p.at(s.Where, e.show()), maxPagedTAIs) {
					_ = e.send(0, p.message(m.o.GUMMEI.Code, t, tais, a))
					sent = true
				}
			}
		}
		if !sent || !pause(ctx, s.Wait) {
			return
		}
	}
}

// maxPagedTAIs is how many tracking areas one Paging names (TS 36.413 §9.3.6
// maxnoofTAIs).
const maxPagedTAIs = 256

// pause waits; false when ctx ends first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return ctx.Err() == nil
	}
}

// names are the phone's M-TMSIs; 0 stands for its IMSI.
func (p *page) names() []id.MTMSI {
	if len(p.tmsis) == 0 {
		return []id.MTMSI{0}
	}
	return p.tmsis
}

// at gives the tracking areas in which an eNB is to page; none: it is not to.
func (p *page) at(where PagingWhere, e ENBInfo) []id.TAI {
	if where == PageAll {
		return e.TAIs
	}
	if where == PageLast && e.ID != p.last && !p.help.recommends(e) || !slices.ContainsFunc(e.TAIs, func(t id.TAI) bool { return slices.Contains(p.tais, t) }) {
		return nil
	}
	return p.tais
}

// message makes the Paging message (TS 36.413 §9.1.6).
func (p *page) message(code id.MMECode, t id.MTMSI, tais []id.TAI, a attempt) *s1ap.Paging {
	msg := &s1ap.Paging{
		UEIdentityIndexValue: pagingIndex(p.imsi), CNDomain: s1ap.CNDomainPs, PagingDRX: pagingDRX(p.drx), PagingEDRXInformation: pagingEDRX(p.edrx),
		UEPagingID: s1ap.UEPagingID{Choice: s1ap.UEPagingIDChoiceSTMSI, STMSI: s1ap.FromSTMSI(id.STMSI{Code: code, TMSI: t})},
	}
	if t == 0 {
		msg.UEPagingID = s1ap.UEPagingID{Choice: s1ap.UEPagingIDChoiceIMSI, IMSI: s1ap.FromIMSI(p.imsi)}
	}
	if p.priority >= 1 && p.priority <= 8 {
		msg.PagingPriority = new(s1ap.PagingPriority(p.priority - 1))
	}
	msg.UERadioCapabilityForPaging, msg.AssistanceDataForPaging = p.help.radioPaging, p.help.assistance(a)
	for _, t := range tais {
		msg.TAIList = append(msg.TAIList, s1ap.TAIItem{TAI: s1ap.FromTAI(t)})
	}
	return msg
}

// PageIMSI pages a phone by its IMSI, everywhere: whatever it has of an earlier
// registration it forgets, and it attaches (TS 24.301 §5.6.2.2.2). It is for one of
// which the contexts are lost, and does not wait for it; ErrRegistered says that
// there are contexts.
func (m *MME) PageIMSI(imsi id.IMSI) error {
	if m.here(imsi) {
		return ErrRegistered
	}
	p := page{imsi: imsi}
	m.spawn(func() {
		ctx, cancel := context.WithCancel(m.leaving)
		defer cancel()
		for range t3413.sends {
			if m.here(imsi) { // paged again, it would attach again
				return
			}
			m.pageStage(ctx, p, PagingStage{PageAll, 1, t3413.wait})
		}
	})
	return nil
}

// ErrRegistered says that a phone is registered, or about to be.
var ErrRegistered = errors.New("mme: the phone is registered")

// here says that a phone is registered, or attaching.
func (m *MME) here(imsi id.IMSI) bool {
	m.known.mu.Lock()
	defer m.known.mu.Unlock()
	u := m.known.byIMSI[imsi]
	return u != nil && (u.registered || u.owner != nil)
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
