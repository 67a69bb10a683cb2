package mme

import (
	"context"
	"slices"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
)

// configure is eNB Configuration Update (TS 36.413 §8.7.4). Changed tracking areas
// are admitted as in S1 Setup, while the eNB's phones go on. What a failure refuses
// changes nothing: the eNB goes on with what it had. The same again, which an eNB
// sends that has heard no answer (§8.7.4.4), has the same answer.
func (e *enb) configure(m *s1ap.ENBConfigurationUpdate, fault *s1ap.SyntaxError) {
	began := time.Now()
	e.mu.Lock()
	now, busy := e.info, e.configuring
	e.mu.Unlock()
	if busy { // it does not wait for its answer
		e.refuseUpdate(s1ap.CauseRadioNetworkInteractionWithOtherProcedure.Cause(), new(s1ap.TimeToWaitV5s), "another update is under way", fault, began)
		return
	}
	next := now
	if m.ENBname != "" {
		next.Name = string(m.ENBname)
	}
	if m.DefaultPagingDRX != nil {
		next.PagingDRX = drxOf(*m.DefaultPagingDRX)
	}
	if len(m.SupportedTAs) > 0 {
		next.TAIs = supportedTAIs(m.SupportedTAs)
	}
	if slices.Equal(next.TAIs, now.TAIs) {
		e.reconfigured(next, fault, began)
		return
	}
	if why := e.m.noneServed(next.TAIs); why != "" {
		e.refuseUpdate(s1ap.CauseMiscUnknownPLMN.Cause(), nil, why, fault, began)
		return
	}
	e.mu.Lock()
	e.configuring = true
	e.mu.Unlock()
	if !e.m.spawn(func() { e.readmit(next, fault, began) }) {
		e.configured()
	}
}

// readmit asks whether the eNB may have its new tracking areas.
func (e *enb) readmit(next ENBInfo, fault *s1ap.SyntaxError, began time.Time) {
	defer e.configured()
	ctx, cancel := context.WithTimeout(e.ctx, admitWait)
	tower, err := e.m.o.Towers.Admit(ctx, next.ID, next.TAIs)
	cancel()
	if err != nil {
		cause, wait := notAdmitted(err)
		e.refuseUpdate(cause, wait, err.Error(), fault, began)
		return
	}
	next.Tower = tower
	e.reconfigured(next, fault, began)
}

func (e *enb) configured() {
	e.mu.Lock()
	e.configuring = false
	e.mu.Unlock()
}

// reconfigured takes what an eNB says of itself now.
func (e *enb) reconfigured(next ENBInfo, fault *s1ap.SyntaxError, began time.Time) {
	e.mu.Lock()
	if e.ready {
		e.info.Name, e.info.PagingDRX, e.info.TAIs, e.info.Tower = next.Name, next.PagingDRX, next.TAIs, next.Tower
	}
	e.mu.Unlock()
	if e.send(0, &s1ap.ENBConfigurationUpdateAcknowledge{CriticalityDiagnostics: diagnostics(fault)}) != nil {
		return
	}
	e.m.count.procedure("eNB configuration update", "")
	e.log.Info("eNB configuration update done", "enb", next.ID.String(), "name", next.Name, "tais", len(next.TAIs), "took", time.Since(began))
	e.m.o.Events(ENBChanged{ENB: e.show(), Up: true})
}

func (e *enb) refuseUpdate(cause s1ap.Cause, wait *s1ap.TimeToWait, why string, fault *s1ap.SyntaxError, began time.Time) {
	_ = e.send(0, &s1ap.ENBConfigurationUpdateFailure{Cause: cause, TimeToWait: wait, CriticalityDiagnostics: diagnostics(fault)})
	e.m.count.procedure("eNB configuration update", "S1AP cause "+cause.String())
	e.warn("eNB configuration update refused", "cause", cause.String(), "reason", why, "took", time.Since(began))
}

// drxOf is a paging cycle in radio frames of 10 ms (TS 36.413 §9.2.1.16); 0: one of
// a later release.
func drxOf(d s1ap.PagingDRX) int {
	if d > s1ap.PagingDRXV256 {
		return 0
	}
	return 32 << d
}

// transfer passes SON information of one eNB on to another, such as the addresses
// for an X2 link between them (TS 36.413 §8.15, §8.16). To an eNB that is not here
// nothing is passed on: the procedure has no answer.
func (e *enb) transfer(m *s1ap.ENBConfigurationTransfer) {
	s := m.SONConfigurationTransferECT
	if s == nil {
		e.m.count.drop(dropUnexpectedPDU)
		return
	}
	var to *enb
	if g, err := s.TargeteNBID.GlobalENBID.ID(); err == nil {
		to = e.m.legs.enb(g)
	}
	if source, err := s.SourceeNBID.GlobalENBID.ID(); err != nil || to == nil || to == e || source != e.id() {
		e.m.count.drop(dropUnexpectedPDU)
		return
	}
	if e.errands.take() && to.send(0, &s1ap.MMEConfigurationTransfer{SONConfigurationTransferMCT: s}) == nil {
		e.m.count.procedure("configuration transfer", "")
	}
}

// id is the eNB's global id as it last set up S1 with.
func (e *enb) id() id.GlobalENBID {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.info.ID
}
