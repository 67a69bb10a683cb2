package mme

import (
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
)

// offered is an attach up to the Attach Accept, which the phone has.
func (p *phone) offered() {
	p.w.t.Helper()
	p.initial(p.attachRequest())
	p.authenticate()
	p.information()
	p.accepted()
}

// Attach Complete is overtaken by what the phone says next, by another eNB: the
// attach has succeeded, for the phone names the GUTI that it brought, and the request
// is served.
func TestAttachCompleteOvertaken(t *testing.T) {
	for what, says := range map[string]func(*phone){
		"service request": func(q *phone) {
			q.request()
			q.setupResponse()
			if i := q.settled(); i.State != Connected || i.Tower != q.w.towers[0x19c] {
				t.Errorf("%+v", i)
			}
		},
		"extended service request": func(q *phone) {
			q.initial(&eps.ExtendedServiceRequest{Type: eps.ServiceTypePacket, KSI: q.ksi, MTMSI: eps.MobileTMSI(q.guti.TMSI)})
			q.mmeID = expect[*s1ap.InitialContextSetupRequest](q.e).MMEUES1APID
			q.setupResponse()
			if i := q.settled(); i.State != Connected {
				t.Errorf("%+v", i)
			}
		},
		"update": func(q *phone) {
			q.initial(q.updateRequest(eps.UpdateTA))
			down[*eps.TrackingAreaUpdateAccept](q)
			q.released()
			if i := q.settled(); i.State != Idle || i.TAI.TAC != 8 {
				t.Errorf("%+v", i)
			}
			q.request()
		},
		"detach": func(q *phone) {
			q.initial(&eps.DetachRequest{Type: eps.DetachEPS, KSI: q.ksi, Identity: eps.FromGUTI(*q.guti)})
			down[*eps.DetachAccept](q)
			q.released()
			if i := q.settled(); i.State != Deregistered {
				t.Errorf("%+v", i)
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			d := newDisk()
			play(t, func(o *Options) { o.Store = d }, func(w *world) {
				e, f := w.tower(0x19b), w.towerIn(0x19c, 8)
				p := w.phone(e)
				p.offered()
				late := p.protect(&eps.AttachComplete{ESM: must(eps.Append(nil, &eps.ActivateDefaultEPSBearerContextAccept{EBI: 5}))}, 2)
				q := p.at(f)
				says(q)
				w.counted("attach ok", 1)
				w.counted("attach interrupted", 0)
				p.released()
				p.uplinkRaw(late) // now it comes
				expect[*s1ap.ErrorIndication](e)
				if what == "detach" {
					w.gw.none(w)
					return
				}
				w.gw.only(w)
				w.again(d)
				q.e = w.towerIn(0x19c, 8)
				q.request()
				q.setupResponse()
				if i := q.settled(); i.State != Connected || w.home.asked != 1 {
					t.Errorf("after a restart: %+v; the home was asked %d times", i, w.home.asked)
				}
			})
		})
	}
}

// A phone that attaches anew by another eNB has not attached by the first, and one
// that names its former GUTI may not have heard of the new.
func TestAttachNotCompleted(t *testing.T) {
	play(t, nil, func(w *world) {
		e, f := w.tower(0x19b), w.towerIn(0x19c, 8)
		p := w.phone(e)
		p.offered()
		q := p.at(f)
		q.initial(q.attachRequest())
		p.released()
		w.counted("attach interrupted", 1)
		w.counted("attach ok", 0)
		q.information()
		q.accepted()
		q.setupResponse()
		q.complete()
		q.settled()
		w.counted("attach ok", 1)

		former := *q.guti
		q.uplink(&eps.DetachRequest{Type: eps.DetachEPS | eps.DetachSwitchOff, KSI: q.ksi, Identity: eps.FromGUTI(former)})
		q.released()
		q.initial(q.attachRequest())
		q.information()
		q.accepted()
		r := q.at(e)
		r.guti = &former
		r.initialRaw(must(r.sec.AppendServiceRequest(nil)))
		if cause := r.serviceRejected(); cause != eps.EMMCauseImplicitlyDetached {
			t.Errorf("refused with %v", cause)
		}
		w.counted("attach interrupted", 2)
	})
}

// The same with GUTI Reallocation Complete and Tracking Area Update Complete.
func TestGUTIConfirmationOvertaken(t *testing.T) {
	for _, what := range []string{"GUTI reallocation", "tracking area update"} {
		for _, new := range []bool{true, false} {
			play(t, func(o *Options) { o.GUTIRequests = 1 }, func(w *world) {
				e, f := w.tower(0x19b), w.towerIn(0x19c, 8)
				p := w.phone(e)
				p.attach()
				p.idle()
				p.request()
				p.setupResponse()
				var g id.GUTI
				if what == "GUTI reallocation" {
					g, _ = down[*eps.GUTIReallocationCommand](p).GUTI.GUTI()
				} else {
					p.reallocated()
					p.settled()
					p.idle()
					p.initial(p.updateRequest(eps.UpdatePeriodic))
					g, _ = down[*eps.TrackingAreaUpdateAccept](p).GUTI.V.GUTI()
				}
				q, ok := p.at(f), uint64(0)
				if new {
					q.guti, ok = &g, 1
				}
				before := w.m.Stats().Procedures[what+" ok"]
				q.request()
				q.setupResponse()
				p.released()
				if i := q.settled(); i.State != Connected {
					t.Errorf("%s: %+v", what, i)
				}
				w.counted(what+" ok", before+ok)
			})
		}
	}
}

// TS 36.413 §8.4.4: X2 handover before the phone's Attach Complete has arrived, and
// before the first eNB's Initial Context Setup Response: the path is switched, the
// attach goes on, and hears the phone by either eNB.
func TestPathSwitchBeforeAttachComplete(t *testing.T) {
	for _, c := range []struct{ response, byFormer bool }{{true, true}, {true, false}, {false, true}, {false, false}} {
		play(t, nil, func(w *world) {
			e, f := w.tower(0x19b), w.towerIn(0x19c, 8)
			p := w.phone(e)
			p.offered()
			if c.response {
				p.setupResponse()
			}
			synctest.Wait()
			was := *p
			ack := p.arrive(f)
			if ack.SecurityContext != p.hop(2) {
				t.Errorf("NCC %d", ack.SecurityContext.NextHopChainingCount)
			}
			if i := p.settled(); i.State != Attaching {
				t.Errorf("before Attach Complete: %+v", i)
			}
			if c.byFormer {
				was.complete()
			} else {
				p.complete()
			}
			i := p.settled()
			_, x := w.gw.only(w)
			if i.State != Connected || i.Tower != w.towers[0x19c] || uint32(x.enb.TEID) != p.teid || w.m.Stats().Connected != 1 {
				t.Errorf("%+v: %+v, tunnel %v", c, i, x.enb)
			}
			w.counted("attach ok", 1)
			w.counted("path switch ok", 1)
			e.silent(time.Minute)
			p.idle()
			p.request()
		})
	}
}

// The same of a service request, whose Initial Context Setup Response is overtaken.
func TestPathSwitchBeforeContextSetupResponse(t *testing.T) {
	play(t, nil, func(w *world) {
		e, f := w.tower(0x19b), w.towerIn(0x19c, 8)
		p := w.phone(e)
		p.attach()
		p.idle()
		p.request()
		was := *p
		p.arrive(f)
		_, x := w.gw.only(w)
		if i := p.settled(); i.State != Connected || uint32(x.enb.TEID) != p.teid {
			t.Errorf("%+v, tunnel %v", i, x.enb)
		}
		was.setupResponse()
		expect[*s1ap.ErrorIndication](e)
		w.counted("service request ok", 1)
	})
}

// A switch that is refused leaves the attach as it was.
func TestPathSwitchRefusedBeforeAttachComplete(t *testing.T) {
	play(t, nil, func(w *world) {
		e, f := w.tower(0x19b), w.towerIn(0x19c, 8)
		p := w.phone(e)
		p.offered()
		m := p.switchRequest(f)
		m.ERABToBeSwitchedDLList[0].ERABID = 9
		if cause := f.refusedSwitch(m); cause != s1ap.CauseRadioNetworkUnknownERABID.Cause() {
			t.Errorf("refused with %v", cause)
		}
		p.setupResponse()
		p.complete()
		if i := p.settled(); i.State != Connected || i.Tower != w.towers[0x19b] {
			t.Errorf("%+v", i)
		}
	})
}

// TS 36.413 §8.4.1: S1 handover before Attach Complete is carried out; the phone
// says it at the target, or it waits at the source. One that fails leaves the attach
// as it was.
func TestHandoverBeforeAttachComplete(t *testing.T) {
	for _, how := range []string{"said at the target", "said at the source", "refused", "no context yet"} {
		t.Run(how, func(t *testing.T) {
			play(t, nil, func(w *world) {
				e, f := w.tower(0x19b), w.towerIn(0x19c, 8)
				p := w.phone(e)
				p.offered()
				if how == "no context yet" {
					p.e.send(p.required(f))
					if cause := p.failed(); cause != s1ap.CauseRadioNetworkInteractionWithOtherProcedure.Cause() {
						t.Errorf("refused with %v", cause)
					}
					p.setupResponse()
					p.complete()
					p.stays(7)
					return
				}
				p.setupResponse()
				m, r := p.prepare(f)
				if len(r.ERABToBeSetupListHOReq) != 1 || r.SecurityContext != p.hop(2) {
					t.Errorf("%+v", r)
				}
				if how == "refused" {
					f.send(&s1ap.HandoverFailure{MMEUES1APID: m.there.mmeID, Cause: s1ap.CauseRadioNetworkNoRadioResourcesAvailableInTargetCell.Cause()})
					p.failed()
					p.complete()
					p.stays(7)
					return
				}
				if how == "said at the source" {
					p.complete()
					synctest.Wait()
				}
				m.commanded()
				m.notify()
				m.left()
				if how == "said at the target" {
					p.complete()
				}
				p.stays(8)
				w.counted("attach ok", 1)
				w.counted("S1 handover ok", 1)
			})
		})
	}
}

// After a handover an update comes by another eNB than Attach Complete, which it may
// overtake: by X2 and by S1.
func TestUpdateOvertakesAttachComplete(t *testing.T) {
	for _, x2 := range []bool{true, false} {
		play(t, nil, func(w *world) {
			e, f := w.tower(0x19b), w.towerIn(0x19c, 8)
			p := w.phone(e)
			p.offered()
			p.setupResponse()
			was := *p
			late := p.protect(&eps.AttachComplete{ESM: must(eps.Append(nil, &eps.ActivateDefaultEPSBearerContextAccept{EBI: 5}))}, 2)
			if x2 {
				p.arrive(f)
			} else {
				p.moveTo(f)
			}
			p.uplink(p.updateRequest(eps.UpdateTA))
			down[*eps.TrackingAreaUpdateAccept](p)
			if i := p.settled(); i.State != Connected || i.TAI.TAC != 8 {
				t.Errorf("%+v", i)
			}
			was.uplinkRaw(late)
			expect[*s1ap.ErrorIndication](e)
			w.counted("attach ok", 1)
			w.counted("tracking area update ok", 1)
			f.silent(time.Minute) // the keys are those of the context setup still
			p.idle()
			p.request()
		})
	}
}
