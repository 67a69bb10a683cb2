package mme

import (
	"bytes"
	"slices"

	"campanile.network/3gpp/s1ap"
)

// maxRadioCapability bounds what is kept of a UE radio capability, in octets.
const maxRadioCapability = 8192

// pagingHelp is what an eNB has said of a phone that is of use to those that page it.
// It is replaced, never changed: a page has a copy.
type pagingHelp struct {
	radioPaging []byte                          // UE radio capability for paging (TS 36.413 §9.2.1.98)
	cells       *s1ap.RecommendedCellsForPaging // where it has been; not stored
	enbs        []s1ap.MMEPagingTarget          // and which eNBs may find it, at most 16; not stored
}

// learnRadio takes UE Capability Info Indication (TS 36.413 §8.9): what is in it
// replaces what was known.
func (u *ue) learnRadio(m *s1ap.UECapabilityInfoIndication) {
	if len(m.UERadioCapability) <= maxRadioCapability {
		u.radio = bytes.Clone(m.UERadioCapability)
	}
	if len(m.UERadioCapabilityForPaging) > 0 && len(m.UERadioCapabilityForPaging) <= maxRadioCapability {
		u.radioPaging = bytes.Clone(m.UERadioCapabilityForPaging)
	}
}

// recommended takes the cells in which to look for a phone that becomes idle
// (TS 36.413 §8.3.3.2).
func (u *ue) recommended(m *s1ap.UEContextReleaseComplete) {
	u.cells, u.enbs = nil, nil
	if r := m.InformationOnRecommendedCellsAndENBsForPaging; r != nil {
		u.cells = &r.RecommendedCellsForPaging
		for i := range r.RecommendENBsForPaging.RecommendedENBList {
			u.enbs = append(u.enbs, r.RecommendENBsForPaging.RecommendedENBList[i].MMEPagingTarget)
		}
	}
}

// recommends says that an eNB is among those that may find the phone (TS 23.401
// §5.3.4.3).
func (h pagingHelp) recommends(e ENBInfo) bool {
	return slices.ContainsFunc(h.enbs, func(t s1ap.MMEPagingTarget) bool {
		switch t.Choice {
		case s1ap.MMEPagingTargetChoiceGlobalENBID:
			g, err := t.GlobalENBID.ID()
			return err == nil && g == e.ID
		case s1ap.MMEPagingTargetChoiceTAI:
			v, err := t.TAI.ID()
			return err == nil && slices.Contains(e.TAIs, v)
		}
		return false
	})
}

// attempt is which of the pages of a procedure one is (TS 36.413 §9.2.1.109).
type attempt struct {
	number, intended int
	next             *s1ap.NextPagingAreaScope // nil: it is the last
}

// maxAttempts is what S1AP can say.
const maxAttempts = 16

// attempts numbers the pages of a procedure, stage by stage.
func attempts(stages []PagingStage) (list [][]attempt) {
	n, all := 0, 0
	for _, s := range stages {
		all += s.Times
	}
	for i, s := range stages {
		list = append(list, nil)
		for k := range s.Times {
			n++
			a := attempt{number: min(n, maxAttempts), intended: min(all, maxAttempts)}
			switch {
			case k < s.Times-1 || i < len(stages)-1 && stages[i+1].Where == s.Where:
				a.next = new(s1ap.NextPagingAreaScopeSame)
			case i < len(stages)-1:
				a.next = new(s1ap.NextPagingAreaScopeChanged)
			}
			list[i] = append(list[i], a)
		}
	}
	return list
}

// assistance is for Paging (TS 36.413 §8.5.2); nil for a phone of which no eNB has said
// where to look.
func (h pagingHelp) assistance(a attempt) *s1ap.AssistanceDataForPaging {
	if h.cells == nil {
		return nil
	}
	d := &s1ap.AssistanceDataForPaging{AssistanceDataForRecommendedCells: &s1ap.AssistanceDataForRecommendedCells{RecommendedCellsForPaging: *h.cells}}
	if a.number > 0 {
		d.PagingAttemptInformation = &s1ap.PagingAttemptInformation{PagingAttemptCount: s1ap.PagingAttemptCount(a.number),
			IntendedNumberOfPagingAttempts: s1ap.IntendedNumberOfPagingAttempts(a.intended), NextPagingAreaScope: a.next}
	}
	return d
}
