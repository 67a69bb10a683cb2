package mme

import (
	"bytes"

	"campanile.network/3gpp/s1ap"
)

// maxRadioCapability bounds what is kept of a UE radio capability, in octets.
const maxRadioCapability = 8192

// pagingHelp is what an eNB has said of a phone that is of use to those that page it.
// It is replaced, never changed: a page has a copy.
type pagingHelp struct {
	radioPaging []byte                          // UE radio capability for paging (TS 36.413 §9.2.1.98)
	cells       *s1ap.RecommendedCellsForPaging // where it has been; not stored
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
	u.cells = nil
	if r := m.InformationOnRecommendedCellsAndENBsForPaging; r != nil {
		u.cells = &r.RecommendedCellsForPaging
	}
}

// assistance is for Paging (TS 36.413 §8.5.2).
func (h pagingHelp) assistance() *s1ap.AssistanceDataForPaging {
	if h.cells == nil {
		return nil
	}
	return &s1ap.AssistanceDataForPaging{AssistanceDataForRecommendedCells: &s1ap.AssistanceDataForRecommendedCells{RecommendedCellsForPaging: *h.cells}}
}
