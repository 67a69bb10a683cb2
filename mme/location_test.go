package mme

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
)

// TS 36.413 §8.11: a phone is asked for, its eNB reports, or says why not.
func TestLocationReporting(t *testing.T) {
	play(t, nil, func(w *world) {
		e := w.tower(0x19b)
		p := w.phone(e)
		if err := w.m.Locate(p.imsi, LocateOnce); !errors.Is(err, ErrNoPhone) {
			t.Error(err)
		}
		p.attach()
		for mode, event := range map[LocationMode]s1ap.EventType{LocateOnce: s1ap.EventTypeDirect, LocateMoves: s1ap.EventTypeChangeOfServeCell, LocateNoMore: s1ap.EventTypeStopChangeOfServeCell} {
			if err := w.m.Locate(p.imsi, mode); err != nil {
				t.Fatal(err)
			}
			if m := expect[*s1ap.LocationReportingControl](e); m.MMEUES1APID != p.mmeID || m.RequestType.EventType != event {
				t.Errorf("%v", m)
			}
		}
		cell := id.ECGI{PLMN: testPLMN, ECI: 0x19b05}
		e.send(&s1ap.LocationReport{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, EUTRANCGI: s1ap.FromECGI(cell), TAI: e.tai(), RequestType: s1ap.RequestType{EventType: s1ap.EventTypeChangeOfServeCell}})
		e.send(&s1ap.LocationReportingFailureIndication{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, Cause: s1ap.CauseRadioNetworkCellNotAvailable.Cause()})
		if i := p.settled(); i.Cell != cell {
			t.Errorf("%+v", i)
		}
		var got []LocationReported
		w.mu.Lock()
		for _, x := range w.events {
			if l, ok := x.(LocationReported); ok {
				got = append(got, l)
			}
		}
		w.mu.Unlock()
		if len(got) != 2 || got[0].Cell != cell || got[0].Mode != LocateMoves || got[0].UE.IMSI != p.imsi || got[0].Failed != "" || got[1].Failed == "" {
			t.Errorf("%+v", got)
		}
		p.idle()
		if err := w.m.Locate(p.imsi, LocateOnce); !errors.Is(err, ErrNotConnected) {
			t.Error(err)
		}
	})
}

// TS 36.413 §8.9, §8.5.2, §8.3.3.2: what an eNB says of a phone's radio is told to
// those that set up its context and page it, with the cells where it has been; also
// after a restart, but for the cells.
func TestRadioCapabilityIsReplayed(t *testing.T) {
	play(t, nil, func(w *world) {
		e := w.tower(0x19b)
		p := w.phone(e)
		p.attach()
		e.send(&s1ap.UECapabilityInfoIndication{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, UERadioCapability: []byte("radio"), UERadioCapabilityForPaging: []byte("paging")})
		e.send(&s1ap.UECapabilityInfoIndication{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, UERadioCapability: make([]byte, maxRadioCapability+1)}) // too long
		e.send(&s1ap.UEContextReleaseRequest{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, Cause: s1ap.CauseRadioNetworkUserInactivity.Cause()})
		expect[*s1ap.UEContextReleaseCommand](e)
		e.send(&s1ap.UEContextReleaseComplete{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, InformationOnRecommendedCellsAndENBsForPaging: &s1ap.InformationOnRecommendedCellsAndENBsForPaging{
			RecommendedCellsForPaging: s1ap.RecommendedCellsForPaging{RecommendedCellList: s1ap.RecommendedCellList{{EUTRANCGI: e.cell(), TimeStayedInCell: new(uint16(60))}}},
			RecommendENBsForPaging:    s1ap.RecommendedENBsForPaging{RecommendedENBList: s1ap.RecommendedENBList{{MMEPagingTarget: s1ap.MMEPagingTarget{Choice: s1ap.MMEPagingTargetChoiceTAI, TAI: new(e.tai())}}}}}})
		p.settled()
		s, _ := w.gw.only(w)
		w.m.DownlinkData(s, 5, 0)
		m := expect[*s1ap.Paging](e)
		if a := m.AssistanceDataForPaging; string(m.UERadioCapabilityForPaging) != "paging" || a == nil || len(a.AssistanceDataForRecommendedCells.RecommendedCellsForPaging.RecommendedCellList) != 1 {
			t.Errorf("%v", m)
		}
		if r := p.request(); string(r.UERadioCapability) != "radio" {
			t.Errorf("%q", r.UERadioCapability)
		}
		p.setupResponse()
		p.idle()
		if u := must(parseRecord(w.m.known.find(p.guti.TMSI).record(), asWritten)); string(u.radioPaging) != "paging" || string(u.radio) != "radio" {
			t.Errorf("after a restart: %q %q", u.radioPaging, u.radio)
		}
		synctest.Wait()
		time.Sleep(time.Second)
	})
}
