package sim_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/nassec"
	"campanile.network/3gpp/s1ap"
	"campanile.network/sdr/sim"
)

// The whole life of a phone: attach with IMSI, idle mode, service request,
// detach, attach with GUTI.
func TestLife(t *testing.T) {
	play(t, sim.ENBOptions{}, func(w *world) {
		p := w.phone(sim.PhoneOptions{APN: must(id.ParseAPN("town"))})
		u := firstAttach(w, p)
		u.release(s1ap.CauseRadioNetworkUserInactivity.Cause())
		w.wantState(p, sim.Idle)
		u = serviceRequest(w, p, u)
		w.wantState(p, sim.Connected)
		detach(w, p, u)
		w.wantState(p, sim.Deregistered)
		secondAttach(w, p, u)
		if p.Card()[0] != 1 {
			t.Errorf("array of the card %v", p.Card())
		}
	})
}

func firstAttach(w *world, p *sim.Phone) *ue {
	w.t.Helper()
	done := w.attach(p)
	u := w.initial()
	req := read[*eps.AttachRequest](u, u.first.NASPDU)
	if i, ok := req.Identity.IMSI(); !ok || i != card.IMSI || req.KSI != eps.NoKSI || u.first.STMSI != nil ||
		u.first.RRCEstablishmentCause != s1ap.RRCEstablishmentCauseMoSignalling || must(u.first.TAI.ID()) != tai || must(u.first.EUTRANCGI.ID()).ECI != 0x19b01 {
		w.t.Errorf("first message %+v\n%v", u.first, req)
	}
	u.plain(&eps.IdentityRequest{Type: eps.IdentityTypeIMSI})
	if i, ok := up[*eps.IdentityResponse](u).Identity.IMSI(); !ok || i != card.IMSI {
		w.t.Errorf("identity %v", i)
	}
	u.authenticate()
	u.secure()
	u.down(&eps.ESMInformationRequest{PTI: 1})
	if r := up[*eps.ESMInformationResponse](u); !r.APN.OK || r.APN.V.String() != "town" || r.PTI != 1 {
		w.t.Errorf("ESM INFORMATION RESPONSE %v", r)
	}
	u.accepted(0x100)
	u.down(&eps.EMMInformation{})
	u.down(&eps.IdentityRequest{Type: eps.IdentityTypeIMEISV})
	if i, ok := up[*eps.IdentityResponse](u).Identity.IMEI(); !ok || i != imeisv {
		w.t.Errorf("IMEISV %v", i)
	}
	r := <-done
	if r.err != nil || r.s.Address.String() != "10.1.0.2" || len(r.s.DNS) != 1 || r.s.GUTI != guti(0x100) || r.s.EBI != 5 || r.s.APN.String() != "internet" {
		w.t.Fatalf("attach: %+v", r)
	}
	return u
}

func serviceRequest(w *world, p *sim.Phone, known *ue) *ue {
	w.t.Helper()
	served := do(func() error { return p.ServiceRequest(w.within(time.Minute), s1ap.RRCEstablishmentCauseMoData) })
	u := known.resumed()
	count := must(u.sec.AcceptServiceRequest(u.first.NASPDU))
	if u.first.STMSI == nil || u.first.STMSI.ID() != guti(0x100).STMSI() {
		w.t.Errorf("service request of %v", u.first.STMSI)
	}
	w.send(u.context(nil, count))
	next[*s1ap.InitialContextSetupResponse](w)
	if r := <-served; r.err != nil {
		w.t.Fatal(r.err)
	}
	return u
}

func detach(w *world, p *sim.Phone, u *ue) {
	w.t.Helper()
	gone := do(func() error { return p.Detach(w.within(time.Minute), false) })
	if m := up[*eps.DetachRequest](u); m.Type != eps.DetachEPS {
		w.t.Errorf("detach type %v", m.Type)
	}
	u.down(&eps.DetachAccept{})
	if r := <-gone; r.err != nil {
		w.t.Fatal(r.err)
	}
	u.release(s1ap.CauseNasDetach.Cause())
}

func secondAttach(w *world, p *sim.Phone, known *ue) {
	w.t.Helper()
	done := w.attach(p)
	u := known.resumed()
	if nassec.IntegrityProtected != must(nassec.TypeOf(u.first.NASPDU)) {
		w.t.Errorf("attach with GUTI not protected: %x", u.first.NASPDU)
	}
	if g, ok := read[*eps.AttachRequest](u, u.first.NASPDU).Identity.GUTI(); !ok || g != guti(0x100) {
		w.t.Errorf("attach of %v", g)
	}
	u.kenb = u.count
	u.accepted(0x101)
	if r := <-done; r.err != nil || r.s.GUTI != guti(0x101) {
		w.t.Fatalf("second attach: %+v", r)
	}
}

func TestDetachFromIdleWithSwitchOff(t *testing.T) {
	play(t, sim.ENBOptions{}, func(w *world) {
		p := w.phone(sim.PhoneOptions{})
		u := w.idle(p)
		gone := do(func() error { return p.Detach(w.within(time.Minute), true) })
		u = u.resumed()
		if h := must(nassec.TypeOf(u.first.NASPDU)); h != nassec.IntegrityProtected { // TS 24.301 §4.4.5
			t.Errorf("the first message of a connection has header type %d", h)
		}
		if m := read[*eps.DetachRequest](u, u.first.NASPDU); m.Type&eps.DetachSwitchOff == 0 {
			t.Errorf("detach type %v", m.Type)
		}
		u.release(s1ap.CauseNasDetach.Cause()) // the connection's first message from the MME
		if r := <-gone; r.err != nil {
			t.Fatal(r.err)
		}
		w.wantState(p, sim.Deregistered)
		if err := p.Detach(context.Background(), false); err == nil {
			t.Error("a phone that is off detaches")
		}
		if err := p.ServiceRequest(context.Background(), s1ap.RRCEstablishmentCauseMoData); err == nil {
			t.Error("a phone that is off asks for service")
		}
	})
}

func TestPaging(t *testing.T) {
	play(t, sim.ENBOptions{}, func(w *world) {
		p := w.phone(sim.PhoneOptions{})
		u := w.idle(p)
		page := func(tmsi uint32) {
			w.send(&s1ap.Paging{UEPagingID: s1ap.UEPagingID{Choice: s1ap.UEPagingIDChoiceSTMSI, STMSI: s1ap.FromSTMSI(guti(tmsi).STMSI())},
				CNDomain: s1ap.CNDomainPs, TAIList: s1ap.TAIList{{TAI: s1ap.FromTAI(tai)}}})
		}
		page(0x999) // somebody else
		w.silent()
		page(0x100)
		page(0x100) // again: one service request is enough
		u = u.resumed()
		if u.first.RRCEstablishmentCause != s1ap.RRCEstablishmentCauseMtAccess {
			t.Errorf("cause %v", u.first.RRCEstablishmentCause)
		}
		w.send(u.context(nil, must(u.sec.AcceptServiceRequest(u.first.NASPDU))))
		next[*s1ap.InitialContextSetupResponse](w)
		w.wantState(p, sim.Connected)
		w.silent()
		if n := w.enb.Stats().Pagings.Load(); n != 2 {
			t.Errorf("%d pagings for phones here", n)
		}
		p.SwitchOff()
		w.wantState(p, sim.Deregistered)
	})
}

func TestAttachTwice(t *testing.T) {
	play(t, sim.ENBOptions{}, func(w *world) {
		p := w.phone(sim.PhoneOptions{})
		w.attached(p)
		if _, err := p.Attach(context.Background()); err == nil || !strings.Contains(err.Error(), "connected") {
			t.Errorf("attach of an attached phone: %v", err)
		}
	})
}

// A network that does not answer: the attach ends with its context, and what
// comes later finds no connection.
func TestNoAnswer(t *testing.T) {
	play(t, sim.ENBOptions{}, func(w *world) {
		p := w.phone(sim.PhoneOptions{})
		done := w.attach(p)
		u := w.initial()
		if r := <-done; !errors.Is(r.err, context.DeadlineExceeded) {
			t.Fatalf("attach: %v", r.err)
		}
		w.wantState(p, sim.Deregistered)
		u.plain(u.challenge())
		if m := next[*s1ap.ErrorIndication](w); m.ENBUES1APID == nil || *m.ENBUES1APID != u.enb || m.Cause == nil || *m.Cause != s1ap.CauseRadioNetworkUnknownPairUeS1apId.Cause() {
			t.Errorf("answer %+v", m)
		}

		u = w.idle(p)
		ctx := w.within(time.Second)
		served := do(func() error { return p.ServiceRequest(ctx, s1ap.RRCEstablishmentCauseMoData) })
		u = u.resumed()
		if r := <-served; !errors.Is(r.err, context.DeadlineExceeded) {
			t.Fatalf("service request: %v", r.err)
		}
		w.wantState(p, sim.Idle)
		u.plain(&eps.ServiceReject{Cause: eps.EMMCauseCongestion})
		next[*s1ap.ErrorIndication](w)
	})
}
