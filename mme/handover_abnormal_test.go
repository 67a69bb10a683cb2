package mme

import (
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/s1ap"
)

func (p *phone) cancel() {
	p.w.t.Helper()
	p.e.send(&s1ap.HandoverCancel{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, Cause: s1ap.CauseRadioNetworkTS1relocprepExpiry.Cause()})
	if m := expect[*s1ap.HandoverCancelAcknowledge](p.e); m.MMEUES1APID != p.mmeID || m.ENBUES1APID != p.enbID {
		p.w.t.Errorf("acknowledged for %d/%d", m.MMEUES1APID, m.ENBUES1APID)
	}
}

// TS 36.413 §8.4.5.2: the source cancels, whenever it may.
func TestAbnormal_36413_8_4_5_2_HandoverCancel(t *testing.T) {
	play(t, nil, func(w *world) {
		e, f := w.tower(0x19b), w.towerIn(0x19c, 8)
		p := w.phone(e)
		p.attach()

		m, _ := p.prepare(f) // before the target has answered
		p.cancel()
		if c := expect[*s1ap.UEContextReleaseCommand](f); c.UES1APIDs.Choice != s1ap.UES1APIDsChoiceMMEUES1APID {
			t.Errorf("released %+v", c.UES1APIDs)
		}
		f.send(&s1ap.UEContextReleaseComplete{MMEUES1APID: m.there.mmeID, ENBUES1APID: m.there.enbID})
		p.stays(7)

		m, _ = p.prepare(f) // when the phone may be on its way
		m.commanded()
		p.cancel()
		m.unprepared()
		m.notify() // it was, but is not any more
		expect[*s1ap.ErrorIndication](f)
		p.stays(7)

		p.cancel() // when nothing is there to be cancelled
		p.stays(7)

		m, _ = p.prepare(f) // when the phone has arrived
		m.commanded()
		m.notify()
		was := *p
		m.left()
		was.e.send(&s1ap.HandoverCancel{MMEUES1APID: was.mmeID, ENBUES1APID: was.enbID, Cause: s1ap.CauseRadioNetworkTS1relocoverallExpiry.Cause()})
		expect[*s1ap.ErrorIndication](e)
		p.stays(8)
		w.counted("S1 handover interrupted", 2)
		w.counted("S1 handover ok", 1)
	})
}

// The phone does not arrive: the target lets it go, and the source has it still
// (TS 36.413 §8.4.1.2: TS1RELOCoverall is the source's).
func TestHandoverNotArrived(t *testing.T) {
	play(t, nil, func(w *world) {
		e, f := w.tower(0x19b), w.towerIn(0x19c, 8)
		p := w.phone(e)
		p.attach()
		m, _ := p.prepare(f)
		m.commanded()
		began := time.Now()
		if got := m.unprepared(); got != s1ap.CauseRadioNetworkTS1relocoverallExpiry.Cause() || time.Since(began) != handoverArriveWait {
			t.Errorf("the target is released with %v after %v", got, time.Since(began))
		}
		p.stays(7)
	})
}

// The source's word that the phone is gone crosses the target's that it is there,
// either way (TS 36.413 §8.3.2, §8.4.3).
func TestHandoverSourceLetsGo(t *testing.T) {
	for _, arrives := range []bool{true, false} {
		for _, word := range []string{"release request", "release complete", "association lost", "reset"} {
			play(t, nil, func(w *world) {
				e, f := w.tower(0x19b), w.towerIn(0x19c, 8)
				p := w.phone(e)
				p.attach()
				m, _ := p.prepare(f)
				m.commanded()
				lost := s1ap.CauseRadioNetworkRadioConnectionWithUeLost.Cause()
				switch word {
				case "release request":
					e.send(&s1ap.UEContextReleaseRequest{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, Cause: lost})
				case "release complete":
					e.send(&s1ap.UEContextReleaseComplete{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID})
				case "association lost":
					e.a.Abort("switched off")
				case "reset":
					e.send(&s1ap.Reset{Cause: lost, ResetType: s1ap.ResetType{Choice: s1ap.ResetTypeChoiceS1Interface}})
					expect[*s1ap.ResetAcknowledge](e)
				}
				synctest.Wait()
				if arrives {
					time.Sleep(time.Second)
					m.notify()
					if word == "release request" {
						m.released()
					}
					*p = m.there
					p.stays(8)
					return
				}
				if got := m.unprepared(); got != s1ap.CauseRadioNetworkTS1relocoverallExpiry.Cause() {
					t.Errorf("%s: the target is released with %v", word, got)
				}
				if word == "release request" {
					if got := p.released(); got != lost {
						t.Errorf("the source is released with %v", got)
					}
				}
				if i := p.settled(); i.State != Idle || w.m.Stats().Connected != 0 {
					t.Errorf("%s: %+v", word, i)
				}
			})
		}
	}
}

// One of the two eNBs ends it while it is prepared (TS 36.413 §8.4.1.3, §8.3.2).
func TestHandoverEndsInPreparation(t *testing.T) {
	gave := s1ap.CauseRadioNetworkHoFailureInTargetEPCENBOrTargetSystem.Cause()
	for name, c := range map[string]struct {
		word func(*world, *moving)
		tac  int // where the phone is then; 0: nowhere
	}{
		"the source releases": {func(w *world, m *moving) {
			m.e.send(&s1ap.UEContextReleaseRequest{MMEUES1APID: m.mmeID, ENBUES1APID: m.enbID, Cause: s1ap.CauseRadioNetworkUserInactivity.Cause()})
			m.released()
		}, 0},
		"the source dies": {func(w *world, m *moving) { m.e.a.Abort("switched off") }, 0},
		"the source dies after a last word of the phone": {func(w *world, m *moving) {
			m.uplink(m.updateRequest(eps.UpdateTA))
			synctest.Wait()
			s, _ := w.gw.only(w)
			w.gw.slow = time.Second
			m.e.a.Abort("switched off")
			synctest.Wait()
			w.m.DownlinkData(s, 5, 0) // it is heard while the gateway releases
			time.Sleep(3 * time.Second)
			expect[*s1ap.UEContextReleaseCommand](m.there.e)
		}, 0},
		"the source releases after a last word of the phone": {func(w *world, m *moving) {
			m.uplink(m.updateRequest(eps.UpdateTA))
			m.e.send(&s1ap.UEContextReleaseRequest{MMEUES1APID: m.mmeID, ENBUES1APID: m.enbID, Cause: s1ap.CauseRadioNetworkUserInactivity.Cause()})
			m.released()
		}, 0},
		"the target dies": {func(w *world, m *moving) { m.there.e.a.Abort("switched off"); w.fails(m, gave) }, 7},
		"the target resets": {func(w *world, m *moving) {
			m.there.e.send(&s1ap.Reset{Cause: gave, ResetType: s1ap.ResetType{Choice: s1ap.ResetTypeChoiceS1Interface}})
			expect[*s1ap.ResetAcknowledge](m.there.e)
			w.fails(m, gave)
		}, 7},
		"the target knows it not": {func(w *world, m *moving) {
			m.there.e.send(&s1ap.ErrorIndication{MMEUES1APID: &m.there.mmeID, Cause: new(s1ap.CauseRadioNetworkUnknownMmeUeS1apId.Cause())})
			w.fails(m, gave)
		}, 7},
		"the target errs": {func(w *world, m *moving) {
			m.there.e.send(&s1ap.ErrorIndication{MMEUES1APID: &m.there.mmeID, Cause: new(s1ap.CauseProtocolAbstractSyntaxErrorReject.Cause())})
			w.fails(m, gave)
		}, 7},
	} {
		play(t, nil, func(w *world) {
			p := w.phone(w.tower(0x19b))
			p.attach()
			m, _ := p.prepare(w.towerIn(0x19c, 8))
			c.word(w, m)
			synctest.Wait()
			if c.tac != 0 {
				p.stays(7)
			} else if i := p.settled(); i.State != Idle || w.m.Stats().Connected != 0 {
				t.Errorf("%s: %+v", name, i)
			}
		})
	}
}

func (w *world) fails(m *moving, cause s1ap.Cause) {
	w.t.Helper()
	if got := m.failed(); got != cause {
		w.t.Errorf("preparation fails with %v", got)
	}
}

// The target gives up while the phone is on its way (TS 36.413 §8.3.2): it is the
// source's again.
func TestHandoverTargetGivesUp(t *testing.T) {
	play(t, nil, func(w *world) {
		e, f := w.tower(0x19b), w.towerIn(0x19c, 8)
		p := w.phone(e)
		p.attach()
		m, _ := p.prepare(f)
		m.commanded()
		f.send(&s1ap.UEContextReleaseRequest{MMEUES1APID: m.there.mmeID, ENBUES1APID: m.there.enbID, Cause: s1ap.CauseRadioNetworkRadioConnectionWithUeLost.Cause()})
		m.unprepared()
		p.stays(7)
		m, _ = p.prepare(f)
		m.commanded()
		f.a.Abort("switched off")
		p.stays(7)
	})
}

// A phone that comes by a third eNB, with its keys or as if it were new, ends a
// handover at any time.
func TestHandoverThirdLeg(t *testing.T) {
	for _, commanded := range []bool{false, true} {
		for _, attaches := range []bool{false, true} {
			play(t, nil, func(w *world) {
				w.towers[0x19d] = [32]byte{3}
				e, f, g := w.tower(0x19b), w.towerIn(0x19c, 8), w.towerIn(0x19d, 9)
				p := w.phone(e)
				p.attach()
				m, _ := p.prepare(f)
				if commanded {
					m.commanded()
				}
				q := p.at(g)
				if attaches {
					q.sec, q.guti, q.ksi = nil, nil, eps.NoKSI
					q.initial(q.attachRequest())
					q.authenticate()
					q.information()
					q.accepted()
					q.setupResponse()
					q.complete()
				} else {
					q.request()
					q.setupResponse()
				}
				expect[*s1ap.UEContextReleaseCommand](f)
				p.released()
				q.stays(9)
			})
		}
	}
}

// An eNB that asks again meanwhile is told so; a path switch meanwhile is refused.
func TestHandoverTwice(t *testing.T) {
	play(t, nil, func(w *world) {
		e, f := w.tower(0x19b), w.towerIn(0x19c, 8)
		p := w.phone(e)
		p.attach()
		m, _ := p.prepare(f)
		e.send(p.required(f))
		if x := expect[*s1ap.ErrorIndication](e); *x.ENBUES1APID != p.enbID {
			t.Errorf("%+v", x)
		}
		if got := f.refusedSwitch(p.switchRequest(f)); got != s1ap.CauseRadioNetworkInteractionWithOtherProcedure.Cause() {
			t.Errorf("cause %v", got)
		}
		m.commanded()
		f.send(&s1ap.HandoverCancel{MMEUES1APID: m.there.mmeID, ENBUES1APID: m.there.enbID, Cause: s1ap.CauseRadioNetworkUnspecified.Cause()}) // not the target's to cancel
		expect[*s1ap.ErrorIndication](f)
		m.notify()
		m.left()
		p.teid = m.there.teid
		p.stays(8)
	})
}

// Ping-pong: the target sends the phone back before the source has let it go.
func TestHandoverPingPong(t *testing.T) {
	play(t, nil, func(w *world) {
		e, f := w.tower(0x19b), w.towerIn(0x19c, 8)
		p := w.phone(e)
		p.attach()
		w.gw.delay(time.Second)
		m, _ := p.prepare(f)
		m.commanded()
		m.notify()
		q := m.there
		f.send(q.required(e)) // while the gateway is asked
		m.left()
		r := expect[*s1ap.HandoverRequest](e)
		if r.SecurityContext != p.hop(3) {
			t.Errorf("NCC %d", r.SecurityContext.NextHopChainingCount)
		}
		b := &moving{p, *p}
		e.lastID++
		b.there.e, b.there.mmeID, b.there.enbID = e, r.MMEUES1APID, e.lastID
		b.there.teid++
		b.commanded()
		b.notify()
		b.left()
		time.Sleep(2 * time.Second)
		p.stays(7)
	})
}

// A network that detaches the phone, or a gateway that loses it, does so when it
// has arrived.
func TestHandoverThenDetach(t *testing.T) {
	play(t, nil, func(w *world) {
		e, f := w.tower(0x19b), w.towerIn(0x19c, 8)
		p := w.phone(e)
		p.attach()
		m, _ := p.prepare(f)
		if err := w.m.Detach(p.imsi, NetworkDetach{}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		m.commanded()
		m.notify()
		m.left()
		down[*eps.NetworkDetachRequest](p)
		p.uplink(&eps.DetachAccept{})
		p.released()
		if i := p.settled(); i.State != Deregistered {
			t.Errorf("%+v", i)
		}
		e.silent(time.Second)
	})
}

// Handovers that fail again and again do not lead the chain of keys where the
// phone cannot follow (TS 33.401 §7.2.8.4.3: NCC has three bits).
func TestHandoverNeverArrives(t *testing.T) {
	play(t, nil, func(w *world) {
		e, f := w.tower(0x19b), w.towerIn(0x19c, 8)
		p := w.phone(e)
		p.attach()
		for range maxAhead {
			m, _ := p.prepare(f)
			f.send(&s1ap.HandoverFailure{MMEUES1APID: m.there.mmeID, Cause: s1ap.CauseRadioNetworkCellNotAvailable.Cause()})
			p.failed()
		}
		e.send(p.required(f))
		if got := p.failed(); got != s1ap.CauseRadioNetworkHoTargetNotAllowed.Cause() {
			t.Errorf("cause %v", got)
		}
		f.silent(time.Second)
		p.idle()
		p.request() // begins another chain
		p.setupResponse()
		p.settled()
		p.moveTo(f)
		p.stays(8)
	})
}

// A target's share of connections is bounded as for phones that come by
// themselves.
func TestHandoverTargetFull(t *testing.T) {
	play(t, func(o *Options) { o.MaxUEs = 2 }, func(w *world) {
		e, f := w.tower(0x19b), w.towerIn(0x19c, 8)
		p, q := w.phone(e), w.phone(e)
		p.attach()
		q.attach()
		e.send(p.required(f))
		if got := p.failed(); got != s1ap.CauseMiscControlProcessingOverload.Cause() {
			t.Errorf("cause %v", got)
		}
		q.uplink(&eps.DetachRequest{Type: eps.DetachEPS, KSI: q.ksi, Identity: eps.FromGUTI(*q.guti)})
		down[*eps.DetachAccept](q)
		q.released()
		q.settled()
		p.moveTo(f)
		p.stays(8)
	})
}
