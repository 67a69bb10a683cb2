package mme

import (
	"fmt"
	"slices"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
)

// maxTAIList is how many tracking areas a list has room for (TS 24.301
// §9.9.3.33).
const maxTAIList = 16

// trackingAreas gives the list for a phone, in which it may move without telling
// and in all of which it is paged (TS 24.301 §5.5.3.1): where it is, the areas
// that Options.Areas puts together with that one or, if there are none, those of
// the same eNB; and where it was registered last, so that one at a border need
// not tell each time it crosses.
func (m *MME) trackingAreas(l *leg, last eps.Opt[id.TAI]) []id.TAI {
	here, _ := l.place()
	near := l.enb.show().TAIs
	for _, group := range m.o.Areas {
		if slices.Contains(group, here) {
			near = group
			break
		}
	}
	if last.OK && m.covered(last.V) {
		near = append([]id.TAI{last.V}, near...)
	}
	out := []id.TAI{here}
	for _, t := range near {
		if len(out) < maxTAIList && t.PLMN == here.PLMN && !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	slices.SortFunc(out[1:], func(a, b id.TAI) int { return int(a.TAC) - int(b.TAC) })
	return out
}

// covered says that some eNB has that tracking area.
func (m *MME) covered(t id.TAI) bool {
	return slices.ContainsFunc(m.legs.all(), func(e *enb) bool { return slices.Contains(e.show().TAIs, t) })
}

// checkAreas says what is wrong with Options.Areas.
func checkAreas(groups [][]id.TAI) error {
	seen := map[id.TAI]bool{}
	for i, g := range groups {
		if len(g) > maxTAIList {
			return fmt.Errorf("mme: Areas: group %d has %d tracking areas, a phone's list has room for %d", i+1, len(g), maxTAIList)
		}
		for _, t := range g {
			if seen[t] {
				return fmt.Errorf("mme: Areas: %v is named twice; an area belongs to one group", t)
			}
			seen[t] = true
		}
	}
	return nil
}
