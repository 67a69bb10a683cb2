package capture

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"net/netip"
)

// Bounds of what is kept of associations. The oldest give way.
const (
	maxFlows         = 4096
	maxFlowFragments = 1024      // chunks of messages that are not whole yet, in one direction
	maxFlowWaiting   = 256 << 10 // their octets
	window           = 4096      // TSNs in which a chunk sent again is recognised
)

const (
	sctpHeader   = 12
	chunkHeader  = 4
	chunkData    = 0  // RFC 9260 §3.3.1
	chunkIData   = 64 // RFC 8260 §2.1
	dataHeader   = 16
	iDataHeader  = 20
	flagEnd      = 1
	flagBegin    = 2
	flagBothEnds = flagBegin | flagEnd
)

// UserMessage is a message that SCTP carried, whole.
type UserMessage struct {
	Association int // numbered from 1
	Src, Dst    netip.AddrPort
	Stream      uint16
	PPID        uint32
	TSN         uint32
	Data        []byte // may be a part of the packet
	Cut         int    // octets that the capture left out at the end
}

// Associations follows SCTP: which packets are of one association, what was
// sent again, what came in fragments.
type Associations struct {
	flows  map[flowID]*flow
	order  []flowID // oldest first
	byPair map[pair]*association
	count  int

	Duplicates int // chunks that were sent again
	Incomplete int // messages given up, of which a fragment was missing
}

// flowID is one direction of an association: a peer with more addresses than
// one is known by its tag.
type flowID struct {
	tag      uint32
	src, dst uint16
}

type pair [2]netip.AddrPort

type association struct {
	number int
	tags   map[bool]uint32 // by whether the sender is the first of the pair
}

type flow struct {
	association int
	pair        pair
	highest     uint32
	begun       bool
	seen        [window / 64]uint64
	parts       map[uint32]part
	waiting     int // octets in parts
}

// part is a fragment of a message.
type part struct {
	flags uint8
	data  []byte
	cut   int
	m     UserMessage
}

// NewAssociations knows no association yet.
func NewAssociations() *Associations {
	return &Associations{flows: map[flowID]*flow{}, byPair: map[pair]*association{}}
}

// IsSCTP reports whether b is an SCTP packet by its checksum, which is 32 bits
// of certainty.
func IsSCTP(b []byte) bool {
	if len(b) < sctpHeader+chunkHeader {
		return false
	}
	table := crc32.MakeTable(crc32.Castagnoli)
	sum := crc32.Update(0, table, b[:8])
	sum = crc32.Update(sum, table, []byte{0, 0, 0, 0})
	return crc32.Update(sum, table, b[sctpHeader:]) == binary.LittleEndian.Uint32(b[8:])
}

// Packet gives the messages that an SCTP packet from src to dst completes, in
// their order. Checksums are not looked at: network cards compute them after
// the capture. The error says why the rest of the packet could not be read.
func (a *Associations) Packet(src, dst netip.Addr, b []byte, cut int) (all []UserMessage, err error) {
	if len(b) < sctpHeader {
		return nil, fmt.Errorf("SCTP packet of %d octets", len(b))
	}
	sport, dport := binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	id := flowID{binary.BigEndian.Uint32(b[4:]), sport, dport}
	from, to := netip.AddrPortFrom(src, sport), netip.AddrPortFrom(dst, dport)
	for b = b[sctpHeader:]; len(b) >= chunkHeader; {
		n := int(binary.BigEndian.Uint16(b[2:]))
		if n < chunkHeader || n > len(b)+cut {
			return all, fmt.Errorf("SCTP chunk claims %d octets of %d", n, len(b)+cut)
		}
		c := b[:min(n, len(b))]
		if b[0] == chunkData || b[0] == chunkIData {
			if m, ok := a.data(id, from, to, c, n-len(c)); ok {
				all = append(all, m)
			}
		}
		b = b[min((n+3)&^3, len(b)):]
	}
	return all, nil
}

// data takes a DATA or I-DATA chunk of which cut octets are missing.
func (a *Associations) data(id flowID, from, to netip.AddrPort, c []byte, cut int) (UserMessage, bool) {
	head := dataHeader
	if c[0] == chunkIData {
		head = iDataHeader
	}
	if len(c) <= head {
		return UserMessage{}, false
	}
	f := a.flow(id, from, to)
	m := UserMessage{Association: f.association, Src: from, Dst: to, TSN: binary.BigEndian.Uint32(c[4:]),
		Stream: binary.BigEndian.Uint16(c[8:]), PPID: binary.BigEndian.Uint32(c[head-4:]), Data: c[head:], Cut: cut}
	if f.again(m.TSN) {
		a.Duplicates++
		return m, false
	}
	if c[1]&flagBothEnds == flagBothEnds {
		return m, true
	}
	return a.fragment(f, c[1], m)
}

// flow finds or begins a direction of an association.
func (a *Associations) flow(id flowID, from, to netip.AddrPort) *flow {
	if f := a.flows[id]; f != nil {
		return f
	}
	p, first := pair{from, to}, true
	if to.Compare(from) < 0 {
		p, first = pair{to, from}, false
	}
	as := a.byPair[p]
	if as != nil {
		if _, other := as.tags[first]; other {
			as = nil // this direction had another tag: the peers began anew
		}
	}
	if as == nil {
		a.count++
		as = &association{number: a.count, tags: map[bool]uint32{}}
		a.byPair[p] = as
	}
	as.tags[first] = id.tag
	if len(a.order) == maxFlows {
		a.forget(a.order[0])
		a.order = a.order[1:]
	}
	f := &flow{association: as.number, pair: p, parts: map[uint32]part{}}
	a.flows[id] = f
	a.order = append(a.order, id)
	return f
}

// forget drops a flow, and its association if that is still its pair's.
func (a *Associations) forget(id flowID) {
	f := a.flows[id]
	delete(a.flows, id)
	if as := a.byPair[f.pair]; as != nil && as.number == f.association {
		delete(a.byPair, f.pair)
	}
}

// again reports whether a TSN was seen before, and notes it.
func (f *flow) again(tsn uint32) bool {
	ahead := int32(tsn - f.highest)
	switch {
	case !f.begun || ahead >= window:
		f.begun, f.highest, f.seen = true, tsn, [window / 64]uint64{}
	case ahead > 0:
		for t := f.highest + 1; t != tsn+1; t++ {
			f.seen[t%window/64] &^= 1 << (t % 64)
		}
		f.highest = tsn
	case ahead <= -window:
		return true
	}
	bit := uint64(1) << (tsn % 64)
	was := f.seen[tsn%window/64]&bit != 0
	f.seen[tsn%window/64] |= bit
	return was
}

// fragment keeps a fragment, and gives the message that it completes.
func (a *Associations) fragment(f *flow, flags uint8, m UserMessage) (UserMessage, bool) {
	if len(f.parts) == maxFlowFragments || f.waiting+len(m.Data) > maxFlowWaiting {
		a.Incomplete++
		clear(f.parts)
		f.waiting = 0
	}
	tsn, cut := m.TSN, m.Cut
	f.parts[tsn] = part{flags, append([]byte(nil), m.Data...), cut, m}
	f.waiting += len(m.Data)
	first, last := tsn, tsn
	for f.parts[first].flags&flagBegin == 0 {
		if _, ok := f.parts[first-1]; !ok {
			return m, false
		}
		first--
	}
	for f.parts[last].flags&flagEnd == 0 {
		if _, ok := f.parts[last+1]; !ok {
			return m, false
		}
		last++
	}
	whole := f.parts[first].m
	whole.TSN, whole.Data, whole.Cut = tsn, nil, 0
	for t := first; t != last+1; t++ {
		p := f.parts[t]
		if whole.Cut > 0 { // what stands behind a gap has no place
			whole.Cut += len(p.data) + p.cut
		} else {
			whole.Data, whole.Cut = append(whole.Data, p.data...), p.cut
		}
		f.waiting -= len(p.data)
		delete(f.parts, t)
	}
	return whole, true
}

// Waiting is how many fragments wait for others in vain, at the end.
func (a *Associations) Waiting() (n int) {
	for _, f := range a.flows {
		n += len(f.parts)
	}
	return n
}
