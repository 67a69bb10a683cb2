package mme

import (
	"fmt"
	"testing"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
)

// TS 36.413 §8.3.3.2, §8.5.2, §9.2.1.109: what an eNB recommends when it lets a phone go
// says which eNBs look for it first, and every page which of how many it is and
// whether the next is in the same places.
func TestPagingAttempts(t *testing.T) {
	areas := func(o *Options) {
		o.Paging, o.Areas = nil, [][]id.TAI{{{PLMN: testPLMN, TAC: 7}, {PLMN: testPLMN, TAC: 8}, {PLMN: testPLMN, TAC: 9}}}
	}
	play(t, areas, func(w *world) {
		w.towers[0x19d], w.towers[0x19e] = [32]byte{3}, [32]byte{4}
		last, named, inArea, other := w.tower(0x19b), w.towerIn(0x19c, 8), w.towerIn(0x19d, 9), w.towerIn(0x19e, 7)
		p := w.phone(last)
		p.attach()
		last.send(&s1ap.UEContextReleaseRequest{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, Cause: s1ap.CauseRadioNetworkUserInactivity.Cause()})
		expect[*s1ap.UEContextReleaseCommand](last)
		target := func(t s1ap.MMEPagingTarget) s1ap.RecommendedENBItem {
			return s1ap.RecommendedENBItem{MMEPagingTarget: t}
		}
		last.send(&s1ap.UEContextReleaseComplete{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, InformationOnRecommendedCellsAndENBsForPaging: &s1ap.InformationOnRecommendedCellsAndENBsForPaging{
			RecommendedCellsForPaging: s1ap.RecommendedCellsForPaging{RecommendedCellList: s1ap.RecommendedCellList{{EUTRANCGI: last.cell()}, {EUTRANCGI: named.cell()}}},
			RecommendENBsForPaging: s1ap.RecommendedENBsForPaging{RecommendedENBList: s1ap.RecommendedENBList{
				target(s1ap.MMEPagingTarget{Choice: s1ap.MMEPagingTargetChoiceGlobalENBID, GlobalENBID: new(named.setupRequest(0x19c).GlobalENBID)}),
				target(s1ap.MMEPagingTarget{Choice: s1ap.MMEPagingTargetChoiceTAI, TAI: new(inArea.tai())})}}}})
		p.settled()
		s, _ := w.gw.only(w)
		w.m.DownlinkData(s, 5, 0)
		began := time.Now()
		said := func(e *enbPeer) string {
			a := e.page().AssistanceDataForPaging.PagingAttemptInformation
			next := "last"
			if a.NextPagingAreaScope != nil {
				next = a.NextPagingAreaScope.String()
			}
			return fmt.Sprintf("%d of %d, %s, after %v", a.PagingAttemptCount, a.IntendedNumberOfPagingAttempts, next, time.Since(began))
		}
		for _, e := range []*enbPeer{last, named, inArea} {
			if got := said(e); got != "1 of 4, changed, after 0s" {
				t.Errorf("first %s", got)
			}
		}
		for _, want := range []string{"2 of 4, same, after 3s", "3 of 4, changed, after 8s", "4 of 4, last, after 13s"} {
			for n, e := range []*enbPeer{other, last, named, inArea} {
				if got := said(e); n == 0 && got != want {
					t.Errorf("%s, want %s", got, want)
				}
			}
		}
		w.counted("paging no answer", 0)
		time.Sleep(time.Minute)
		w.counted("paging no answer", 1)
		p.request() // and back
		p.setupResponse()
		p.idle() // this time nothing is recommended
		w.m.DownlinkData(s, 5, 0)
		if m := last.page(); m.AssistanceDataForPaging != nil {
			t.Errorf("%+v", m.AssistanceDataForPaging)
		}
		named.silent(2 * time.Second)
	})
}

// More pages than S1AP can count.
func TestPagingAttemptsBeyondCounting(t *testing.T) {
	list := attempts([]PagingStage{{PageAreas, 16, 1}, {PageAreas, 2, 1}})
	if a := list[1][1]; a.number != 16 || a.intended != 16 || a.next != nil {
		t.Errorf("%+v", a)
	}
	if a := list[0][15]; *a.next != s1ap.NextPagingAreaScopeSame {
		t.Errorf("%v, want same", a.next)
	}
}
