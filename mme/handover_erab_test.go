package mme

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
	"campanile.network/mme/s11"
	"campanile.network/wire/gtpc"
)

// radioSaid is how far an eNB has come with an E-RAB procedure when its phone leaves.
type radioSaid int

const (
	saidNothing radioSaid = iota // and it does not, any more
	saidDone                     // the next eNB was not told
	saidFailed                   // because of the handover
)

// movesTo is an S1 handover to f with something of the source in between.
func (p *phone) movesTo(f *enbPeer, bearers int, source func()) {
	p.w.t.Helper()
	m, r := p.prepare(f)
	if len(r.ERABToBeSetupListHOReq) != bearers {
		p.w.t.Errorf("the target is to take %+v, want %d bearers", r.ERABToBeSetupListHOReq, bearers)
	}
	source()
	synctest.Wait()
	a := m.ready()
	for _, i := range r.ERABToBeSetupListHOReq[1:] {
		a.ERABAdmittedList = append(a.ERABAdmittedList, s1ap.ERABAdmittedItem{ERABID: i.ERABID, TransportLayerAddress: s1ap.FromAddr(f.addr), GTPTEID: s1ap.FromTEID(id.TEID(0x900 + uint32(i.ERABID)))})
	}
	f.send(a)
	expect[*s1ap.HandoverCommand](p.e)
	m.notify()
	m.left()
}

// goes is an X2 handover to f, with all bearers named.
func (p *phone) goes(f *enbPeer, bearers ...s1ap.ERABID) *s1ap.PathSwitchRequestAcknowledge {
	p.w.t.Helper()
	r := p.switchRequest(f)
	for _, e := range bearers {
		r.ERABToBeSwitchedDLList = append(r.ERABToBeSwitchedDLList, s1ap.ERABToBeSwitchedDLItem{ERABID: e, TransportLayerAddress: s1ap.FromAddr(f.addr), GTPTEID: s1ap.FromTEID(id.TEID(0x900 + uint32(e)))})
	}
	f.send(r)
	ack := expect[*s1ap.PathSwitchRequestAcknowledge](f)
	p.e, p.enbID = f, r.ENBUES1APID
	return ack
}

// agree checks that MME, gateway and eNB have the same bearers.
func (p *phone) agree(ebis ...id.EBI) {
	p.w.t.Helper()
	has := p.bearers()
	for _, e := range ebis {
		if b, ok := has[e]; !ok || b.DL == 0 {
			p.w.t.Errorf("bearer %d: %+v", e, b)
		}
	}
	if len(has) != len(ebis) {
		p.w.t.Errorf("bearers %+v, want %v", has, ebis)
	}
	p.e.silent(time.Minute)
}

// TS 36.413 §8.2.1.4, TS 23.401 §5.5.1.2.1: a bearer that is being set up when the phone
// leaves is set up at the next eNB, whatever the first has said of it.
func TestAbnormal_36413_8_2_1_4_HandoverDuringSetup(t *testing.T) {
	for _, s := range []radioSaid{saidNothing, saidDone, saidFailed} {
		play(t, nil, func(w *world) {
			p := w.attached()
			f := w.towerIn(0x19c, 8)
			session, _ := w.gw.only(w)
			ch := w.creates(session, voice(0x700))
			setUp[*eps.ActivateDedicatedEPSBearerContextRequest](p)
			p.movesTo(f, 1, func() {
				switch s {
				case saidDone:
					p.standing(6)
				case saidFailed:
					p.e.send(&s1ap.ERABSetupResponse{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, ERABFailedToSetupListBearerSURes: leftBehind(6)})
				}
			})
			w.untold(ch)
			setUp[*eps.ActivateDedicatedEPSBearerContextRequest](p)
			p.standing(6)
			p.uplink(&eps.ActivateDedicatedEPSBearerContextAccept{EBI: 6})
			w.told(ch, gtpc.Accepted)
			p.agree(5, 6)
		})
	}
	for _, came := range []bool{false, true} { // by X2, without it or with it
		play(t, nil, func(w *world) {
			p := w.attached()
			f := w.towerIn(0x19c, 8)
			p.uplink(wants(2, ims))
			item, _ := setUp[*eps.ActivateDefaultEPSBearerContextRequest](p)
			var ack *s1ap.PathSwitchRequestAcknowledge
			if came {
				p.standing(item.ERABID)
				synctest.Wait()
				ack = p.goes(f, item.ERABID)
			} else {
				ack = p.goes(f)
			}
			if len(ack.ERABToBeReleasedList) != 0 {
				t.Errorf("%+v", ack)
			}
			if !came {
				setUp[*eps.ActivateDefaultEPSBearerContextRequest](p)
				p.standing(item.ERABID)
			}
			p.uplink(&eps.ActivateDefaultEPSBearerContextAccept{EBI: 6})
			p.agree(5, 6)
		})
	}
}

// A phone that goes from eNB to eNB does not keep the MME at it for ever: the gateway may
// ask again.
func TestBearerSetupGivenUp(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.attached()
		e, f := p.e, w.towerIn(0x19c, 8)
		s, _ := w.gw.only(w)
		ch := w.creates(s, voice(0x700))
		for n := range maxMoves {
			setUp[*eps.ActivateDedicatedEPSBearerContextRequest](p)
			w.untold(ch)
			p.goes([]*enbPeer{f, e}[n%2])
		}
		w.told(ch, busyMoving)
		p.agree(5)
	})
}

// TS 36.413 §8.2.2.4: a bearer that is being changed is what it was at the next eNB,
// and is changed there.
func TestAbnormal_36413_8_2_2_4_HandoverDuringModify(t *testing.T) {
	for _, s := range []radioSaid{saidNothing, saidDone, saidFailed} {
		for _, x2 := range []bool{false, true} {
			play(t, nil, func(w *world) {
				p := w.attached()
				f := w.towerIn(0x19c, 8)
				session, _ := w.gw.only(w)
				p.dedicated(session, 0x700)
				q := *voice(0).QoS
				q.GBRDL = 48 * id.Kbps
				ch := w.updates(session, s11.BearerContext{EBI: 6, QoS: &q})
				expect[*s1ap.ERABModifyRequest](p.e)
				answer := func() {
					switch s {
					case saidDone:
						p.modified(6)
					case saidFailed:
						p.e.send(&s1ap.ERABModifyResponse{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, ERABFailedToModifyList: leftBehind(6)})
					}
				}
				if x2 && s == saidFailed {
					return // then the gateway may ask again, see TestDedicatedBearerRefused
				}
				if x2 {
					answer()
					synctest.Wait()
					p.goes(f, 6)
				} else {
					p.movesTo(f, 2, answer)
				}
				w.untold(ch)
				m := expect[*s1ap.ERABModifyRequest](p.e).ERABToBeModifiedListBearerModReq[0]
				if m.ERABLevelQoSParameters.GBRQosInformation.ERABGuaranteedBitrateDL != 48000 {
					t.Errorf("%+v", m)
				}
				p.modified(6)
				p.uplink(&eps.ModifyEPSBearerContextAccept{EBI: 6})
				w.told(ch, gtpc.Accepted)
				p.agree(5, 6)
			})
		}
	}
}

// TS 36.413 §8.2.3.4: a bearer that is being ended does not come along.
func TestAbnormal_36413_8_2_3_4_HandoverDuringRelease(t *testing.T) {
	for _, x2 := range []bool{false, true} {
		play(t, nil, func(w *world) {
			p := w.attached()
			f := w.towerIn(0x19c, 8)
			s, _ := w.gw.only(w)
			p.dedicated(s, 0x700)
			ch := w.deletes(s, 6)
			releases[*eps.DeactivateEPSBearerContextRequest](p)
			if x2 {
				if ack := p.goes(f, 6); len(ack.ERABToBeReleasedList) != 1 || ack.ERABToBeReleasedList[0].ERABID != 6 {
					t.Errorf("%+v", ack)
				}
			} else {
				p.movesTo(f, 1, func() {})
			}
			w.untold(ch)
			p.uplink(&eps.DeactivateEPSBearerContextAccept{EBI: 6})
			w.told(ch, gtpc.Accepted) // at once, no timer has to expire
			p.agree(5)
		})
	}
}

// TS 36.413 §8.2.3.2.3: what the source gives up after it has asked for the handover,
// the target does not keep.
func TestHandoverDuringReleaseIndication(t *testing.T) {
	for _, stays := range []bool{false, true} {
		play(t, nil, func(w *world) {
			p := w.attached()
			f := w.towerIn(0x19c, 8)
			s, _ := w.gw.only(w)
			p.dedicated(s, 0x700)
			gone := func() {
				p.e.send(&s1ap.ERABReleaseIndication{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, ERABReleasedList: s1ap.ERABList{{ERABID: 6, Cause: s1ap.CauseRadioNetworkReduceLoadInServingCell.Cause()}}})
			}
			if stays {
				m, _ := p.prepare(f)
				gone()
				synctest.Wait()
				f.send(&s1ap.HandoverFailure{MMEUES1APID: m.there.mmeID, Cause: s1ap.CauseRadioNetworkNoRadioResourcesAvailableInTargetCell.Cause()})
				p.failed()
			} else {
				p.movesTo(f, 2, gone)
				if r := expect[*s1ap.ERABReleaseCommand](f); len(r.ERABToBeReleasedList) != 1 || r.ERABToBeReleasedList[0].ERABID != 6 {
					t.Errorf("%+v", r)
				}
			}
			p.agree(5)
			if w.gw.mu.Lock(); !slices.Contains(w.gw.said, "drop [6]") {
				t.Errorf("the gateway was asked %v", w.gw.said)
			}
			w.gw.mu.Unlock()
		})
	}
}
