package sim

import (
	"slices"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
)

// Cell is one cell of an eNB.
type Cell struct {
	TAI id.TAI
	ECI id.ECI
}

// ecgi is the cell's global identity.
func (c Cell) ecgi() id.ECGI { return id.ECGI{PLMN: c.TAI.PLMN, ECI: c.ECI} }

// supportedTAs lists the tracking areas of the cells, each once
// (TS 36.413 §9.1.8.4).
func supportedTAs(cells []Cell) (list s1ap.SupportedTAs) {
next:
	for _, c := range cells {
		tac, plmn := s1ap.FromTAC(c.TAI.TAC), s1ap.FromPLMN(c.TAI.PLMN)
		for i := range list {
			if list[i].TAC == tac {
				if !slices.Contains(list[i].BroadcastPLMNs, plmn) {
					list[i].BroadcastPLMNs = append(list[i].BroadcastPLMNs, plmn)
				}
				continue next
			}
		}
		list = append(list, s1ap.SupportedTAsItem{TAC: tac, BroadcastPLMNs: s1ap.BPLMNs{plmn}})
	}
	return list
}

// place is where a phone camps.
type place struct {
	enb  *ENB
	cell Cell
}

// camp makes a phone reachable by paging, under one name at a time.
func (e *ENB) camp(p *Phone, old, now *id.STMSI) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if old != nil && e.camped[*old] == p {
		delete(e.camped, *old)
	}
	if now != nil {
		e.camped[*now] = p
	}
}

// page wakes the phone that is named, if it camps in one of the tracking areas
// (TS 36.413 §8.5.2).
func (e *ENB) page(m *s1ap.Paging) {
	if m.UEPagingID.Choice != s1ap.UEPagingIDChoiceSTMSI {
		e.stats.Unknown.Add(1)
		return
	}
	e.mu.Lock()
	p := e.camped[m.UEPagingID.STMSI.ID()]
	e.mu.Unlock()
	if p == nil {
		return
	}
	here := s1ap.FromTAI(p.place().cell.TAI)
	if slices.ContainsFunc(m.TAIList, func(i s1ap.TAIItem) bool {
		return i.TAI.TAC == here.TAC && i.TAI.PLMNidentity == here.PLMNidentity
	}) {
		e.stats.Pagings.Add(1)
		p.paged()
	}
}
