package mme

import (
	"testing"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/s1ap"
	"campanile.network/mme/s11"
	"campanile.network/wire/gtpc"
)

// TS 24.301 §5.5.2.2.2: the phone is told, and released.
func TestDetach(t *testing.T) {
	play(t, nil, func(w *world) {
		e := w.tower(0x19b)
		p := w.phone(e)
		p.attach()
		p.uplink(&eps.DetachRequest{Type: eps.DetachEPS, KSI: p.ksi, Identity: eps.FromGUTI(*p.guti)})
		down[*eps.DetachAccept](p)
		if cause := p.released(); cause != s1ap.CauseNasDetach.Cause() {
			t.Errorf("released with %v", cause)
		}
		if i := p.settled(); i.State != Deregistered || len(i.Bearers) != 0 {
			t.Errorf("UEInfo %+v", i)
		}
		w.gw.none(w)

		// Its service request finds it detached (#10).
		p.initialRaw(must(p.sec.AppendServiceRequest(nil)))
		if m := down[*eps.ServiceReject](p); m.Cause != eps.EMMCauseImplicitlyDetached {
			t.Errorf("rejected with %v", m.Cause)
		}
		p.released()
	})
}

// From idle, switched off: no answer.
func TestDetachFromIdle(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.attach()
		p.idle()
		p.initial(&eps.DetachRequest{Type: eps.DetachEPS | eps.DetachSwitchOff, KSI: p.ksi, Identity: eps.FromGUTI(*p.guti)})
		p.released()
		w.gw.none(w)
		w.counted("detach ok", 1)
	})
}

// A detach request without the phone's keys changes nothing.
func TestForgedDetach(t *testing.T) {
	play(t, nil, func(w *world) {
		e := w.tower(0x19b)
		p := w.phone(e)
		p.attach()
		thief := p.at(e)
		thief.sec = nil
		thief.initial(&eps.DetachRequest{Type: eps.DetachEPS, KSI: p.ksi, Identity: eps.FromGUTI(*p.guti)})
		down[*eps.DetachAccept](thief)
		thief.released()
		if i := p.settled(); i.State != Connected {
			t.Errorf("the phone is %v", i.State)
		}
		w.gw.only(w)
	})
}

// The gateway restarted: connected phones are detached, to attach again; idle
// ones learn it when they ask for service.
func TestGatewayRestart(t *testing.T) {
	play(t, nil, func(w *world) {
		e := w.tower(0x19b)
		p, q := w.phone(e), w.phone(e)
		p.attach()
		q.attach()
		q.idle()
		var lost []*s11.Session
		for s := range w.gw.sessions {
			lost = append(lost, s)
		}
		clear(w.gw.sessions)
		w.m.GatewayRestarted(lost)
		if m := down[*eps.NetworkDetachRequest](p); m.Type != eps.NetworkDetachTypeReattach {
			t.Errorf("detach type %v", m.Type)
		}
		p.uplink(&eps.DetachAccept{})
		p.released()
		q.initialRaw(must(q.sec.AppendServiceRequest(nil)))
		if m := down[*eps.ServiceReject](q); m.Cause != eps.EMMCauseImplicitlyDetached {
			t.Errorf("rejected with %v", m.Cause)
		}
		q.released()
		w.gw.none(w)

		// What was carried under their tickets is forgotten with the sessions: they
		// are not shown again.
		for _, x := range []*phone{p, q} {
			x.initial(x.attachRequest())
			x.authenticate()
			x.information()
			x.accepted()
			x.setupResponse()
			x.complete()
			if i := x.settled(); i.State != Connected {
				t.Errorf("state %v", i.State)
			}
		}
	})
}

// The byte cap of a ticket is used up: the gateway has ended the session, and
// the phone comes back under a new ticket.
func TestTicketUsedUp(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.attach()
		_, x := w.gw.only(w)
		w.gw.usedUp = x.ticket.ID
		renewed := func() {
			t.Helper()
			p.accepted()
			p.setupResponse()
			p.complete()
			_, y := w.gw.only(w)
			if i := p.settled(); i.State != Connected || i.Ticket != y.ticket.ID || y.ticket.ID == x.ticket.ID {
				t.Errorf("UEInfo %+v, ticket %v", i, y.ticket.ID)
			}
		}
		// By a service request: the session is found to be gone.
		p.idle()
		w.gw.forget = &gtpc.CauseError{Cause: gtpc.ContextNotFound}
		p.request()
		p.setupResponse()
		down[*eps.NetworkDetachRequest](p)
		w.gw.forget = nil
		p.uplink(&eps.DetachAccept{})
		p.released()
		p.settled()
		p.initial(p.attachRequest())
		p.authenticate()
		p.information()
		renewed()

		// By an attach: the ticket is found to be used up.
		_, x = w.gw.only(w)
		w.gw.usedUp = x.ticket.ID
		p.uplink(&eps.DetachRequest{Type: eps.DetachEPS | eps.DetachSwitchOff, KSI: p.ksi, Identity: eps.FromGUTI(*p.guti)})
		p.released()
		p.initial(p.attachRequest())
		p.information()
		p.uplink(p.answer(down[*eps.AuthenticationRequest](p)))
		p.secure()
		p.secured()
		renewed()
	})
}

// TS 24.301 §5.3.5: a phone that is idle for too long is detached implicitly.
func TestImplicitDetach(t *testing.T) {
	play(t, func(o *Options) { o.IdleLimit = time.Hour }, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.attach()
		p.idle()
		time.Sleep(2 * time.Hour)
		if i := p.settled(); i.State != Deregistered || i.Reason != "implicitly detached" {
			t.Errorf("UEInfo %+v", i)
		}
		w.gw.none(w)
		p.initialRaw(must(p.sec.AppendServiceRequest(nil)))
		if m := down[*eps.ServiceReject](p); m.Cause != eps.EMMCauseImplicitlyDetached {
			t.Errorf("rejected with %v", m.Cause)
		}
	})
}

// The gateway does not take the eNB's tunnel end: the phone is detached, to
// attach again (TS 24.301 §5.5.2.3).
func TestGatewayRefusesModify(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.attach()
		p.idle()
		w.gw.forget = &gtpc.CauseError{Cause: gtpc.ContextNotFound}
		p.request()
		p.setupResponse()
		for range 5 { // T3422 runs out
			if m := down[*eps.NetworkDetachRequest](p); m.Type != eps.NetworkDetachTypeReattach {
				t.Errorf("detach type %v", m.Type)
			}
		}
		p.released()
		if i := p.settled(); i.State != Deregistered {
			t.Errorf("state %v", i.State)
		}
		w.gw.none(w)
		w.logged("network detach", "T3422 expired 5 times")
	})
}
