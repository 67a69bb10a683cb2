package meter

import (
	"slices"

	"campanile.network/wire/usage"
)

// part is what of a segment is of one service. All of it crossed the tower, which is
// paid for it; what of it the subscriber's ticket is used up by is the service's terms.
type part struct {
	usage.Terms
	Gateway Counts // as the gateway counted
	Valid   Counts // of it, while the ticket was valid
	Counted Counts // of it, what counts
}

// maxParts bounds the services that a segment has: those of a gateway, and others after
// its operator has changed them.
const maxParts = 32

// serve notes what of a record's growth is of which service; o is all of it.
func (s *segment) serve(r *usage.Record, o Counts, valid bool) {
	for _, c := range r.Classes {
		i := slices.IndexFunc(s.Parts, func(p part) bool { return p.Terms == c.Terms })
		if i < 0 {
			if len(s.Parts) == maxParts {
				continue
			}
			i = len(s.Parts)
			s.Parts = append(s.Parts, part{Terms: c.Terms})
		}
		p := &s.Parts[i]
		grown := Counts{UL: c.UL, DL: c.DL}.less(p.Gateway).most(o)
		o = o.less(grown)
		p.Gateway = p.Gateway.plus(grown)
		if valid {
			p.Valid = p.Valid.plus(grown)
		}
	}
}

// deal gives octets that count to the segment's free services, or to the others, none
// more than the gateway counted; it returns what they took.
func (m *Meter) deal(s *segment, o Counts, free bool) (took Counts) {
	for i := range s.Parts {
		p := &s.Parts[i]
		if p.Free != free {
			continue
		}
		n := p.Valid.less(p.Counted).most(o.less(took))
		p.Counted, took = p.Counted.plus(n), took.plus(n)
		m.tally(p.Terms, n)
	}
	return took
}

// maxServices bounds the services that are summed up one by one.
const maxServices = 1024

// tally sums up what counts by service; the zero Terms are of all that is none.
func (m *Meter) tally(t usage.Terms, o Counts) {
	if o == (Counts{}) {
		return
	}
	if _, known := m.services[t]; !known && len(m.services) >= maxServices {
		t = usage.Terms{Free: t.Free}
	}
	m.services[t] = m.services[t].plus(o)
	m.changed.services[t] = true
}

// Service is what counts of a service, at all towers; the zero Terms are of all traffic
// that is of none.
type Service struct {
	usage.Terms
	Counts Counts
}
