package mme

import (
	"fmt"
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

// A voice bearer is activated, changed and ended by the gateway (TS 24.301 §6.4.2
// to §6.4.4, TS 23.401 §5.4.1, §5.4.2.1, §5.4.4.1).
func TestDedicatedBearer(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.attached()
		s, _ := w.gw.only(w)
		ch := w.creates(s, voice(0x700))
		item, m := setUp[*eps.ActivateDedicatedEPSBearerContextRequest](p)
		want := eps.EPSQoS{QCI: 1, MaxUL: 64 * id.Kbps, MaxDL: 64 * id.Kbps, GuaranteedUL: 32 * id.Kbps, GuaranteedDL: 32 * id.Kbps}
		if m.EBI != 6 || m.PTI != 0 || m.Linked != 5 || m.QoS != want || len(m.TFT.Filters) != 1 || item.ERABID != 6 || item.GTPTEID.ID() != 0x700 {
			t.Errorf("E-RAB %d to %v with\n%v", item.ERABID, item.GTPTEID.ID(), m)
		}
		if q := item.ERABLevelQoSParameters; q.GBRQosInformation == nil || q.GBRQosInformation.ERABGuaranteedBitrateDL != 32000 || q.AllocationRetentionPriority.PriorityLevel != 2 ||
			q.AllocationRetentionPriority.PreEmptionCapability != s1ap.PreEmptionCapabilityMayTriggerPreEmption {
			t.Errorf("%+v", q)
		}
		p.uplink(&eps.ActivateDedicatedEPSBearerContextAccept{EBI: 6}) // the phone may be the first to answer
		w.untold(ch)
		teid := p.standing(6)
		a := w.told(ch, gtpc.Accepted)
		if want := (s11.BearerOutcome{EBI: 6, Cause: gtpc.Accepted, ENB: s11.FTEID{Addr: p.e.addr, TEID: teid}}); len(a.Bearers) != 1 || a.Bearers[0] != want {
			t.Errorf("%+v, want %+v", a.Bearers, want)
		}
		if b := p.bearers(); b[6].QCI != 1 || b[6].Linked != 5 || b[6].DL != teid {
			t.Errorf("%+v", b)
		}

		q := *voice(0).QoS
		q.GBRDL = 48 * id.Kbps
		ch = w.updates(s, s11.BearerContext{EBI: 6, QoS: &q})
		mod := expect[*s1ap.ERABModifyRequest](p.e).ERABToBeModifiedListBearerModReq[0]
		n := open[*eps.ModifyEPSBearerContextRequest](p, mod.NASPDU)
		if n.EBI != 6 || n.NewQoS.V.GuaranteedDL != 48*id.Kbps || n.TFT.OK || mod.ERABLevelQoSParameters.GBRQosInformation.ERABGuaranteedBitrateDL != 48000 {
			t.Errorf("%v", n)
		}
		p.modified(6)
		p.uplink(&eps.ModifyEPSBearerContextAccept{EBI: 6})
		w.told(ch, gtpc.Accepted)

		// A template alone does not concern the eNB.
		ch = w.updates(s, s11.BearerContext{EBI: 6, TFT: &eps.TFT{Operation: eps.TFTAddFilters, Filters: []eps.PacketFilter{
			{Direction: eps.FilterUplink, ID: 2, Precedence: 11, Components: eps.FilterComponents{}.With(eps.FilterProtocol, 6)}}}})
		if n := down[*eps.ModifyEPSBearerContextRequest](p); n.EBI != 6 || len(n.TFT.V.Filters) != 1 || n.NewQoS.OK {
			t.Errorf("%v", n)
		}
		p.uplink(&eps.ModifyEPSBearerContextAccept{EBI: 6})
		w.told(ch, gtpc.Accepted)

		ch = w.deletes(s, 6)
		ebis, d := releases[*eps.DeactivateEPSBearerContextRequest](p)
		if !slices.Equal(ebis, []id.EBI{6}) || d.EBI != 6 || d.PTI != 0 {
			t.Errorf("%v: %v", ebis, d)
		}
		p.erabsGone(6)
		w.untold(ch)
		p.uplink(&eps.DeactivateEPSBearerContextAccept{EBI: 6})
		w.told(ch, gtpc.Accepted)
		if b := p.bearers(); len(b) != 1 {
			t.Errorf("%+v", b)
		}
	})
}

// modified says that the eNB has changed a bearer.
func (p *phone) modified(ebi s1ap.ERABID) {
	p.w.t.Helper()
	p.e.send(&s1ap.ERABModifyResponse{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, ERABModifyListBearerModRes: s1ap.ERABModifyListBearerModRes{{ERABID: ebi}}})
}

// An idle phone is paged for a dedicated bearer, and for nothing that ends.
func TestDedicatedBearerOfAnIdlePhone(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.attached()
		s, _ := w.gw.only(w)
		p.idle()
		ch := w.creates(s, voice(0x700))
		expect[*s1ap.Paging](p.e)
		m := p.request()
		p.setupAll(m)
		item, _ := setUp[*eps.ActivateDedicatedEPSBearerContextRequest](p)
		p.standing(item.ERABID)
		p.uplink(&eps.ActivateDedicatedEPSBearerContextAccept{EBI: 6})
		w.told(ch, gtpc.Accepted)

		p.idle()
		ch = w.deletes(s, 6)
		w.told(ch, gtpc.Accepted)
		p.e.silent(time.Minute)
		if m := p.request(); len(m.ERABToBeSetupListCtxtSUReq) != 1 {
			t.Errorf("%d E-RABs", len(m.ERABToBeSetupListCtxtSUReq))
		}
	})
}

// A phone that does not answer pages: the gateway hears that, not silence.
func TestDedicatedBearerOfAPhoneThatIsAway(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.attached()
		s, _ := w.gw.only(w)
		p.idle()
		ch := w.creates(s, voice(0x700))
		for range t3413.sends {
			expect[*s1ap.Paging](p.e)
		}
		time.Sleep(t3413.wait)
		w.told(ch, gtpc.UnableToPageUE)
		time.Sleep(time.Hour) // beyond the mobile reachable timer
		w.told(w.creates(s, voice(0x700)), gtpc.UnableToPageUE)
		w.told(w.creates(&s11.Session{EBI: 5}, voice(0x700)), gtpc.ContextNotFound)
	})
}

// What the phone or the eNB refuses is told to the gateway in its words (TS 24.301
// §6.4.2.4, TS 29.274 annex C), and nothing stays.
func TestDedicatedBearerRefused(t *testing.T) {
	for _, c := range []struct {
		cause eps.ESMCause
		want  gtpc.Cause
	}{
		{eps.ESMCauseInsufficientResources, gtpc.NoResources}, {eps.ESMCauseSemanticErrorInTheTFTOperation, gtpc.TFTSemantic},
		{eps.ESMCauseSyntacticalErrorsInPacketFilter, gtpc.FilterSyntax}, {eps.ESMCauseRequestRejectedUnspecified, gtpc.UERefuses},
		{eps.ESMCauseInvalidEPSBearerIdentity, gtpc.ContextNotFound},
	} {
		t.Run(fmt.Sprint(c.cause), func(t *testing.T) {
			play(t, nil, func(w *world) {
				p := w.attached()
				s, _ := w.gw.only(w)
				ch := w.creates(s, voice(0x700))
				setUp[*eps.ActivateDedicatedEPSBearerContextRequest](p)
				p.standing(6)
				p.uplink(&eps.ActivateDedicatedEPSBearerContextReject{EBI: 6, Cause: c.cause})
				w.told(ch, c.want)
				if ebis, _ := releases[*eps.ESMStatus](p); !slices.Equal(ebis, []id.EBI{6}) {
					t.Errorf("%v", ebis)
				}
				p.erabsGone(6)
				if b := p.bearers(); len(b) != 1 {
					t.Errorf("%+v", b)
				}
				if e := p.dedicated(s, 0x701); e != 6 {
					t.Errorf("the next has bearer %d", e)
				}
			})
		})
	}
	play(t, nil, func(w *world) {
		p := w.attached()
		s, _ := w.gw.only(w)
		refuse := func(cause s1ap.Cause) <-chan s11.BearerAnswer {
			ch := w.creates(s, voice(0x700))
			setUp[*eps.ActivateDedicatedEPSBearerContextRequest](p)
			p.e.send(&s1ap.ERABSetupResponse{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, ERABFailedToSetupListBearerSURes: s1ap.ERABList{{ERABID: 6, Cause: cause}}})
			return ch
		}
		w.told(refuse(s1ap.CauseRadioNetworkRadioResourcesNotAvailable.Cause()), gtpc.NoResources)
		w.told(refuse(s1ap.CauseRadioNetworkX2HandoverTriggered.Cause()), gtpc.TemporarilyRejected) // TS 36.413 §8.2.1.4
		p.dedicated(s, 0x701)
	})
}

// Two bearers in one request, of which the phone takes one.
func TestTwoBearersInOneRequest(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.attached()
		s, _ := w.gw.only(w)
		ch := w.creates(s, voice(0x700), voice(0x701))
		setUp[*eps.ActivateDedicatedEPSBearerContextRequest](p)
		p.standing(6)
		p.uplink(&eps.ActivateDedicatedEPSBearerContextAccept{EBI: 6})
		setUp[*eps.ActivateDedicatedEPSBearerContextRequest](p)
		p.uplink(&eps.ActivateDedicatedEPSBearerContextReject{EBI: 7, Cause: eps.ESMCauseInsufficientResources})
		a := w.told(ch, gtpc.AcceptedPartially)
		if a.Bearers[0].EBI != 6 || a.Bearers[0].Cause != gtpc.Accepted || a.Bearers[1].Cause != gtpc.NoResources {
			t.Errorf("%+v", a.Bearers)
		}
	})
}

// The eNB gives up a dedicated bearer, then the bearers of a PDN connection, then
// all (TS 36.413 §8.2.3.2.3).
func TestERABsReleasedOneByOne(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.attached()
		s, _ := w.gw.only(w)
		p.connectTo(2, ims)
		p.dedicated(s, 0x700)
		gone := func(ebis ...id.EBI) {
			m := &s1ap.ERABReleaseIndication{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID}
			for _, e := range ebis {
				m.ERABReleasedList = append(m.ERABReleasedList, s1ap.ERABItem{ERABID: s1ap.ERABID(e), Cause: s1ap.CauseRadioNetworkReduceLoadInServingCell.Cause()})
			}
			p.e.send(m)
		}
		gone(7)
		if b := p.bearers(); len(b) != 2 || !slices.Contains(w.gw.said, "drop [7]") {
			t.Errorf("%+v; %v", b, w.gw.said)
		}
		gone(6)
		if b := p.bearers(); len(b) != 1 || w.gw.session(ims) != nil {
			t.Errorf("%+v", b)
		}
		gone(5)
		p.released()
		if i := p.settled(); i.State != Idle {
			t.Errorf("%v", i.State)
		}
	})
}

// The eNB cannot set up all bearers of a phone that comes back: the others stand
// (TS 36.413 §8.3.1.2, TS 23.401 §5.3.4.1).
func TestPartOfAContext(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.attached()
		s, _ := w.gw.only(w)
		p.connectTo(2, ims)
		p.connectTo(3, work)
		p.dedicated(s, 0x700)
		p.idle()
		p.setupAll(p.request(), 8, 6)
		if b := p.bearers(); len(b) != 2 || b[5].DL == 0 || b[7].DL == 0 || w.gw.session(ims) != nil || !slices.Contains(w.gw.said, "drop [8]") {
			t.Errorf("%+v; %v", b, w.gw.said)
		}
	})
}

// Orders of the gateway meet a phone that is being released: it is paged and they
// are carried out.
func TestOrderCrossesRelease(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.attached()
		s, _ := w.gw.only(w)
		p.e.send(&s1ap.UEContextReleaseRequest{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, Cause: s1ap.CauseRadioNetworkUserInactivity.Cause()})
		synctest.Wait()
		ch := w.creates(s, voice(0x700))
		p.released()
		expect[*s1ap.Paging](p.e)
		p.setupAll(p.request())
		setUp[*eps.ActivateDedicatedEPSBearerContextRequest](p)
		p.standing(6)
		p.uplink(&eps.ActivateDedicatedEPSBearerContextAccept{EBI: 6})
		w.told(ch, gtpc.Accepted)
	})
}
