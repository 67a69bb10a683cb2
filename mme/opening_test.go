package mme

import (
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
)

// TS 24.301 §5.6.1.7, TS 36.413 §8.3.1: a phone that updates its area, or asks again
// with another message, while the context setup of its service request is outstanding gets what it has asked for, by that one.
func TestUpdateWhileContextSetupIsOutstanding(t *testing.T) {
	for name, late := range map[string]bool{"the eNB answers first": false, "the phone asks first": true} {
		for _, kind := range []eps.UpdateType{eps.UpdateTA, eps.UpdateTA | eps.UpdateActive, eps.UpdatePeriodic} {
			t.Run(name+", "+kind.String(), func(t *testing.T) {
				play(t, nil, func(w *world) {
					p := w.phone(w.tower(0x19b))
					p.attach()
					p.idle()
					ics := p.request()
					p.uplink(p.updateRequest(kind))
					if !late {
						synctest.Wait()
						p.setupResponse()
					}
					m := down[*eps.TrackingAreaUpdateAccept](p)
					if late {
						p.setupResponse()
					}
					if g, ok := m.GUTI.V.GUTI(); ok && m.GUTI.OK {
						p.guti = &g
						p.uplink(&eps.TrackingAreaUpdateComplete{})
					}
					p.e.silent(time.Minute)
					i := p.settled()
					if _, x := w.gw.only(w); i.State != Connected || x.enb.TEID != id.TEID(p.teid) || len(x.segments) != 2 {
						t.Errorf("UEInfo %+v, the gateway sends to %v, segments %v", i, x.enb, x.segments)
					}
					if p.kenb != ics.SecurityKey {
						t.Error("another K_eNB")
					}
					w.counted("service request interrupted", 1)
					w.counted("tracking area update ok", 1)
					w.gw.none2(w)
				})
			})
		}
	}
}

// TS 24.301 §5.6.1.7 c: the second of two service requests, likewise.
func TestServiceRequestWhileContextSetupIsOutstanding(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.attach()
		p.idle()
		p.request()
		p.uplinkRaw(must(p.sec.AppendServiceRequest(nil)))
		p.e.silent(time.Second)
		p.setupResponse()
		if i := p.settled(); i.State != Connected {
			t.Errorf("UEInfo %+v", i)
		}
		w.counted("service request ok", 1)
	})
}

// The eNB's failure ends the update that goes on with the context setup; nothing of
// it is left for the next.
func TestContextSetupFailsDuringUpdate(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.attach()
		p.idle()
		p.request()
		p.uplink(p.updateRequest(eps.UpdateTA))
		down[*eps.TrackingAreaUpdateAccept](p)
		p.e.send(&s1ap.InitialContextSetupFailure{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, Cause: s1ap.CauseRadioNetworkUnspecified.Cause()})
		p.released()
		p.settled()
		p.request()
		p.setupResponse()
		if i := p.settled(); i.State != Connected {
			t.Errorf("UEInfo %+v", i)
		}
	})
}

// An update that asks the SIM anew while the context setup is outstanding: the eNB
// has the keys of before, and gets the new ones when the bearers stand
// (TS 33.401 §7.2.9.2); the gateway gets the new ticket with a segment under it.
func TestUpdateWithNewKeysWhileContextSetupIsOutstanding(t *testing.T) {
	play(t, noUpdates, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.attach()
		_, x := w.gw.only(w)
		first := x.ticket.ID
		p.idle()
		time.Sleep(5*time.Hour + 24*time.Minute - time.Second) // of 6 h: a tenth is left for a second
		p.request()
		time.Sleep(2 * time.Second)
		p.uplink(p.updateRequest(eps.UpdateTA))
		auth := down[*eps.AuthenticationRequest](p)
		p.setupResponse() // kept for the update
		p.uplink(p.answer(auth))
		p.secure()
		p.secured()
		down[*eps.TrackingAreaUpdateAccept](p)
		m := expect[*s1ap.UEContextModificationRequest](p.e)
		if want := s1ap.SecurityKey(p.sec.KeNB(0)); m.SecurityKey == nil || *m.SecurityKey != want {
			t.Errorf("the eNB's new key is %v, the phone's %v", m.SecurityKey, want)
		}
		p.e.send(&s1ap.UEContextModificationResponse{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID})
		if i := p.settled(); i.State != Connected || x.ticket.ID == first || i.Ticket != x.ticket.ID {
			t.Errorf("UEInfo %+v, ticket at the gateway %v, the first %v", i, x.ticket.ID, first)
		}
		w.gw.none2(w)
	})
}
