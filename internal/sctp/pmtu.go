package sctp

import (
	"encoding/binary"
	"errors"
	"syscall"
	"time"
)

// Constants of the search for the path MTU.
const (
	baseMTU    = 1200             // BASE_PLPMTU, RFC 8899 §5.1.2
	maxProbes  = 3                // MAX_PROBES, RFC 8899 §5.1.2
	probeTimer = time.Second      // PROBE_TIMER at least, RFC 8899 §5.1.1
	raiseTimer = 10 * time.Minute // PMTU_RAISE_TIMER, RFC 8899 §5.1.1
	probeStep  = 16               // bytes; the search ends when it could gain less
)

// pmtu is what an association knows of the largest packet its path carries: DPLPMTUD (RFC 8899), probing with a HEARTBEAT that a PAD chunk
// makes as long as the packet in question (RFC 8899 §6.2.1, RFC 4820 §3). Sizes are of SCTP packets. ICMP is not believed, so nobody can
// shrink packets by forging it; a path that swallows large packets is noticed by their loss.
type pmtu struct {
	size   int // PLPMTU: what packets are built to
	limit  int // nothing larger is tried
	probe  int // size of the probe on the way, 0 if there is none
	tries  int // probes of that size
	nonce  uint32
	broken bool // even base packets are lost: the network may cut them (RFC 8899 §5.2, Error state)
}

// searchMTU starts the search for what the path carries (again). BaseMTU equal to MTU means there is nothing to find.
func (a *assoc) searchMTU(after time.Duration) {
	a.path.pmtu.limit, a.path.pmtu.probe = a.e.o.MTU, 0
	if a.e.o.BaseMTU < a.e.o.MTU {
		a.start(tProbe, after)
	}
}

// candidate is the size to probe next, 0 if the search is complete: first the limit, which is right on most paths, then halves of what is left.
func (m *pmtu) candidate(most int) int {
	switch {
	case m.size == most:
		return 0
	case m.limit == most:
		return most
	case m.limit < m.size+probeStep:
		return 0
	}
	return (m.size + m.limit + 1) / 2 &^ 3
}

// probeExpired gives up on a probe that was not answered MAX_PROBES times, and sends the next one. No loss of a probe counts as congestion or as
// failure of the path (RFC 8899 §3).
func (a *assoc) probeExpired() {
	m, most := &a.path.pmtu, a.e.o.MTU
	if a.state != established {
		return
	}
	for {
		if m.probe != 0 && m.tries == maxProbes {
			m.limit, m.probe = m.probe-1, 0
		}
		if m.probe == 0 {
			if m.probe, m.tries = m.candidate(most), 0; m.probe == 0 {
				if m.size < most {
					a.searchMTU(raiseTimer)
				}
				return
			}
		}
		m.tries++
		if !errors.Is(a.sendProbe(), syscall.EMSGSIZE) {
			a.start(tProbe, max(a.path.rto, probeTimer))
			return
		}
		m.tries = maxProbes // the own interface carries less
	}
}

func (a *assoc) sendProbe() error {
	m := &a.path.pmtu
	m.nonce = a.e.random32()
	info := appendParam(nil, ptHeartbeatInfo, binary.BigEndian.AppendUint32(nil, m.nonce))
	p := appendChunk(a.begin(), ctHeartbeat, 0, info)
	p = appendChunk(p, ctPad, 0, make([]byte, m.probe-len(p)-chunkHeader))
	a.packet = p
	return a.e.write(p, a.path.addr)
}

// probeAnswered takes the nonce of a HEARTBEAT ACK; false if it belongs to no probe.
func (a *assoc) probeAnswered(nonce uint32) bool {
	m := &a.path.pmtu
	if m.probe == 0 || nonce != m.nonce {
		return false
	}
	m.size, m.probe, m.broken = m.probe, 0, false
	a.e.o.Logger.Debug("sctp: path MTU found", "peer", a.peer, "bytes", m.size)
	a.start(tProbe, 0)
	return true
}

// shrink is for a path that swallows packets of the present size, or an interface that refuses them (RFC 8899 §4.3): back to the base size, or,
// where that is lost too, packets that the network may cut; and a new search.
func (a *assoc) shrink() {
	m := &a.path.pmtu
	a.e.count.blackHoles.Add(1)
	if m.size > a.e.o.BaseMTU {
		m.size = a.e.o.BaseMTU
		a.recut()
	} else {
		m.broken = true
	}
	a.e.o.Logger.Debug("sctp: path carries less than it did", "peer", a.peer, "bytes", m.size, "cut", m.broken)
	a.searchMTU(max(a.path.rto, probeTimer))
}

// userLimit is how much user data a DATA chunk may carry on this path.
func (a *assoc) userLimit() int { return (a.path.pmtu.size - headerLen - dataHeader) &^ 3 }

// recut makes the chunks that have no TSN yet fit the path. Those that have one keep their content, and travel alone in a packet that the
// network may cut (RFC 9260 §6.9).
func (a *assoc) recut() {
	tail := make([]outChunk, 0, a.q.n-a.sent)
	for i := a.sent; i < a.q.n; i++ {
		tail = append(tail, *a.q.at(i))
	}
	a.q.n, a.unsent = a.sent, 0
	limit := a.userLimit()
	for _, c := range tail {
		data := c.block.b[:c.n]
		for off := 0; off < len(data); off += limit {
			part := c
			part.n = min(limit, len(data)-off)
			if off > 0 {
				part.flags &^= flagB
				part.block = a.e.blocks.get(part.n, a.e.o.MTU)
				copy(part.block.b, data[off:])
			}
			if off+part.n < len(data) {
				part.flags &^= flagE
			}
			a.q.push(part)
			a.unsent += dataHeader + pad4(part.n)
		}
	}
}
