package capture

import (
	"net/netip"
	"slices"
)

// Bounds of what waits for its other fragments. The oldest packet gives way.
const (
	maxPartial   = 256     // packets
	maxWaiting   = 4 << 20 // octets
	maxFragments = 1024    // of a packet
	maxWhole     = 65535   // octets of a packet
)

// packetID is what the fragments of a packet have in common (RFC 791 §3.2,
// RFC 8200 §4.5).
type packetID struct {
	src, dst netip.Addr
	protocol uint8
	id       uint32
}

type fragment struct {
	at   int
	data []byte
}

// partial is a packet of which fragments are missing.
type partial struct {
	id    packetID
	parts []fragment // by offset, not overlapping
	have  int        // octets in parts
	total int        // -1 until the last fragment came
}

// fragments puts packets together.
type fragments struct {
	waiting []*partial // oldest first
	octets  int
}

// add keeps a fragment and gives the packet when it is whole, otherwise nil.
// Of octets that came twice the first copy counts.
func (f *fragments) add(id packetID, at int, more bool, data []byte, cut int) []byte {
	i := slices.IndexFunc(f.waiting, func(p *partial) bool { return p.id == id })
	if cut > 0 || len(data) == 0 || at+len(data) > maxWhole {
		if i >= 0 { // it can never become whole
			f.drop(i)
		}
		return nil
	}
	if i < 0 {
		for len(f.waiting) >= maxPartial {
			f.drop(0)
		}
		f.waiting = append(f.waiting, &partial{id: id, total: -1})
		i = len(f.waiting) - 1
	}
	p := f.waiting[i]
	if !more {
		p.total = at + len(data)
	}
	f.octets += p.keep(at, data)
	if p.total >= 0 && p.have >= p.total {
		whole := p.join()
		f.drop(i)
		return whole
	}
	for f.octets > maxWaiting {
		f.drop(0)
	}
	return nil
}

// drop forgets a packet.
func (f *fragments) drop(i int) {
	f.octets -= f.waiting[i].have
	f.waiting = slices.Delete(f.waiting, i, i+1)
}

// keep adds a fragment's new octets and says how many those are.
func (p *partial) keep(at int, data []byte) int {
	i, found := slices.BinarySearchFunc(p.parts, at, func(q fragment, at int) int { return q.at - at })
	if found || len(p.parts) == maxFragments {
		return 0
	}
	if i > 0 {
		if over := p.parts[i-1].at + len(p.parts[i-1].data) - at; over > 0 {
			if over >= len(data) {
				return 0
			}
			at, data = at+over, data[over:]
		}
	}
	if i < len(p.parts) {
		if data = data[:min(len(data), p.parts[i].at-at)]; len(data) == 0 {
			return 0
		}
	}
	p.parts = slices.Insert(p.parts, i, fragment{at, slices.Clone(data)})
	p.have += len(data)
	return len(data)
}

// join gives the packet: nil when its parts do not lie side by side.
func (p *partial) join() []byte {
	whole := make([]byte, 0, p.have)
	for _, q := range p.parts {
		if q.at != len(whole) {
			return nil
		}
		whole = append(whole, q.data...)
	}
	return whole[:min(p.total, len(whole))]
}
