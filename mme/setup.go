package mme

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
)

// maxTAIs bounds what is kept of an eNB's tracking areas: 256 times 6
// (TS 36.413 §9.3.6 maxnoofTACs, maxnoofBPLMNs).
const maxTAIs = 256 * 6

// setup is S1 Setup (TS 36.413 §8.7.3). On an association where it is done
// already it begins anew: what was known of phones there is released.
func (e *enb) setup(m *s1ap.S1SetupRequest, fault *s1ap.SyntaxError) {
	began := time.Now()
	g, err := m.GlobalENBID.ID()
	if err != nil {
		e.refuse(m, s1ap.CauseProtocolSemanticError.Cause(), nil, err.Error(), fault, began)
		return
	}
	tais := supportedTAIs(m.SupportedTAs)
	if why := e.m.noneServed(tais); why != "" { // TS 36.413 §8.7.3.4
		e.refuse(m, s1ap.CauseMiscUnknownPLMN.Cause(), nil, why, fault, began)
		return
	}
	if e.m.full(g) {
		e.refuse(m, s1ap.CauseMiscControlProcessingOverload.Cause(), new(s1ap.TimeToWaitV20s), errOverload.Error(), fault, began)
		return
	}
	ctx, cancel := context.WithTimeout(e.ctx, admitWait)
	tower, err := e.m.o.Towers.Admit(ctx, g, tais)
	cancel()
	if err != nil {
		cause, wait := notAdmitted(err)
		e.refuse(m, cause, wait, err.Error(), fault, began)
		return
	}
	if other := e.m.legs.enb(g); other != nil && other != e && other.answers() {
		e.refuse(m, s1ap.CauseMiscOmIntervention.Cause(), new(s1ap.TimeToWaitV60s), "another eNB with this id is here, from "+other.a.RemoteAddr().String(), fault, began)
		return
	}
	e.drop("eNB sets up S1 anew")
	e.mu.Lock()
	if e.ready && e.info.ID != g {
		e.m.legs.leave(e, e.info.ID)
	}
	e.ready, e.held = true, false
	e.info = ENBInfo{ID: g, Name: string(m.ENBname), Tower: tower, Remote: e.a.RemoteAddr(), TAIs: tais, PagingDRX: drxOf(m.DefaultPagingDRX), Since: began}
	e.mu.Unlock()
	if former := e.m.legs.join(e, g); former != nil && former != e {
		e.log.Warn("eNB has a new association, the former one is ended", "enb", g.String(), "former", former.a.RemoteAddr().String())
		former.drop(errReplaced.Error())
		former.quit(errReplaced)
	}
	e.remember(g, began)
	conf := e.m.Configuration()
	e.setupKnown(conf)
	answer := &s1ap.S1SetupResponse{
		MMEname: s1ap.MMEname(conf.Name), ServedGUMMEIs: served(e.m.o.GUMMEI, conf), RelativeMMECapacity: s1ap.RelativeMMECapacity(conf.Capacity),
		CriticalityDiagnostics: diagnostics(fault),
	}
	if e.send(0, answer) != nil {
		return
	}
	e.m.count.procedure("S1 setup", "")
	e.log.Info("S1 setup done", "enb", g.String(), "name", string(m.ENBname), "tower", tower.Short(), "tais", len(tais), "took", time.Since(began))
	e.m.o.Events(ENBChanged{ENB: e.show(), Up: true})
	e.announce() // if it has changed meanwhile
	e.restrain()
}

// noneServed says why no tracking area of an eNB is served here; empty: one is.
func (m *MME) noneServed(tais []id.TAI) string {
	served := m.plmns()
	if slices.ContainsFunc(tais, func(t id.TAI) bool { return slices.Contains(served, t.PLMN) }) {
		return ""
	}
	return fmt.Sprintf("no tracking area broadcasts %v", served)
}

// full says that the MME is too busy to take in an eNB that is not here.
func (m *MME) full(g id.GlobalENBID) bool {
	m.busy.mu.Lock()
	defer m.busy.mu.Unlock()
	return m.busy.steer.beyond() && m.legs.enb(g) == nil
}

// notAdmitted is what an eNB is told that Towers.Admit refuses, or has not said
// anything of.
func notAdmitted(err error) (s1ap.Cause, *s1ap.TimeToWait) {
	if errors.Is(err, context.DeadlineExceeded) {
		return s1ap.CauseMiscUnspecified.Cause(), new(s1ap.TimeToWaitV10s)
	}
	return s1ap.CauseMiscOmIntervention.Cause(), new(s1ap.TimeToWaitV60s)
}

// answers says whether an eNB whose global id another association claims is
// there still: it is told to release an S1 connection that nobody has, which it
// must answer with an Error Indication (TS 36.413 §10.6). After a restart the
// former association has ended, or nobody answers on it.
func (e *enb) answers() bool {
	e.probing.Lock()
	defer e.probing.Unlock()
	select {
	case <-e.heard:
	default:
	}
	e.command(0, maxENBUEID, s1ap.CauseMiscOmIntervention.Cause())
	t := time.NewTimer(probeWait)
	defer t.Stop()
	select {
	case <-e.heard:
		return true
	case <-e.a.Done():
	case <-t.C:
	}
	return false
}

// maxENBUEID is the highest eNB UE S1AP ID (TS 36.413 §9.2.3.4); no leg has the
// MME UE S1AP ID 0.
const maxENBUEID id.ENBUEID = 1<<24 - 1

// refuse is the unsuccessful operation (TS 36.413 §8.7.3.3). The association
// stays; the eNB may try again.
func (e *enb) refuse(m *s1ap.S1SetupRequest, cause s1ap.Cause, wait *s1ap.TimeToWait, why string, fault *s1ap.SyntaxError, began time.Time) {
	_ = e.send(0, &s1ap.S1SetupFailure{Cause: cause, TimeToWait: wait, CriticalityDiagnostics: diagnostics(fault)})
	e.unset.Reset(refusedWait)
	e.m.count.procedure("S1 setup", "S1AP cause "+cause.String())
	name := "unknown"
	if g, err := m.GlobalENBID.ID(); err == nil {
		name = g.String()
	}
	e.warn("S1 setup refused", "enb", name, "cause", cause.String(), "reason", why, "took", time.Since(began))
}

// refuseBroken answers a setup that could not be read (TS 36.413 §10.3.5).
func (e *enb) refuseBroken(m *s1ap.S1SetupRequest, fault *s1ap.SyntaxError) {
	e.refuse(m, fault.Cause(), nil, fault.Error(), fault, time.Now())
}

func diagnostics(fault *s1ap.SyntaxError) *s1ap.CriticalityDiagnostics {
	if fault == nil || !fault.Report() {
		return nil
	}
	return fault.CriticalityDiagnostics()
}

// supportedTAIs gives the tracking areas of an eNB; a PLMN that is none is left
// out.
func supportedTAIs(list s1ap.SupportedTAs) []id.TAI {
	var out []id.TAI
	seen := map[id.TAI]bool{}
	for i := range list {
		for _, p := range list[i].BroadcastPLMNs {
			plmn, err := p.ID()
			t := id.TAI{PLMN: plmn, TAC: list[i].TAC.ID()}
			if err == nil && len(out) < maxTAIs && !seen[t] {
				seen[t] = true
				out = append(out, t)
			}
		}
	}
	return out
}
