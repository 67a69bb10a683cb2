package mme

import (
	"errors"
	"testing"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/s1ap"
)

// TS 24.301 §5.5.1.3.4.2: a phone that attaches for non-EPS services, too, is told
// "SMS only" and a location area, and no TMSI; without a message centre it has EPS
// services only (§5.5.1.3.4.3).
func TestCombinedAttach(t *testing.T) {
	playSMS(t, func(w *world, centre *testCentre, p *phone) {
		a := p.at(p.e).attachAgain()
		want := eps.LAI{PLMN: testPLMN, LAC: 0xfffd}
		if a.Result != eps.AttachResultCombined || a.AdditionalUpdateResult != eps.Some(eps.AdditionalUpdateResultSMSOnly) || a.LAI != eps.Some(want) || a.MSIdentity.OK || a.Cause.OK {
			t.Errorf("%v", a)
		}
	})
	play(t, nil, func(w *world) {
		a := w.phone(w.tower(0x19b)).attachCombined()
		if a.Result != eps.AttachResultEPSOnly || a.AdditionalUpdateResult.OK || a.LAI.OK || a.Cause != eps.Some(eps.EMMCauseCSDomainNotAvailable) {
			t.Errorf("%v", a)
		}
	})
}

// attachAgain is a combined attach of a phone with keys.
func (p *phone) attachAgain() *eps.AttachAccept {
	p.w.t.Helper()
	m := p.attachRequest()
	m.Type = eps.AttachTypeCombined
	p.initial(m)
	expect[*s1ap.UEContextReleaseCommand](p.e) // of the former connection
	p.information()
	_, a := p.accepted()
	p.setupResponse()
	p.complete()
	return a
}

// TS 24.301 §5.5.3.3.4.2: the same in a combined update.
func TestCombinedUpdateWithSMS(t *testing.T) {
	centre := &testCentre{}
	play(t, func(o *Options) { o.Messages = centre }, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.attach()
		if r := <-w.deliver(p.imsi, "ciao"); !errors.Is(r.err, ErrNoSMS) {
			t.Errorf("to a phone with EPS services only: %v", r.err)
		}
		p.uplink(p.updateRequest(eps.UpdateCombinedIMSIAttach))
		m := down[*eps.TrackingAreaUpdateAccept](p)
		if n := centre.readied(); n != 1 {
			t.Errorf("announced %d times", n)
		}
		if m.Result != eps.UpdateResultCombined || m.AdditionalUpdateResult != eps.Some(eps.AdditionalUpdateResultSMSOnly) || !m.LAI.OK || m.Cause.OK {
			t.Errorf("%v", m)
		}
		out := w.deliver(p.imsi, "ciao")
		p.takes()
		w.acknowledged(out)
		// The phone gives its non-EPS services up (TS 24.301 §5.5.2.2.1).
		p.uplink(&eps.DetachRequest{Type: eps.DetachIMSI, KSI: p.ksi, Identity: eps.FromGUTI(*p.guti)})
		down[*eps.DetachAccept](p)
		if r := <-w.deliver(p.imsi, "ciao"); !errors.Is(r.err, ErrNoSMS) {
			t.Errorf("after an IMSI detach: %v", r.err)
		}
	})
}
