package sctp

// reassemble joins the fragments around tsn if the message is complete (RFC 9260 §6.9).
func (a *assoc) reassemble(tsn uint32, f fragment) {
	same := func(g fragment) bool {
		return g.stream == f.stream && g.ppid == f.ppid && (g.ssn == f.ssn || f.flags&flagU != 0) && (g.flags^f.flags)&flagU == 0
	}
	// Neighbours must belong together exactly if no message ends or begins between them.
	fits := func(p, n fragment) bool {
		end, begin := p.flags&flagE != 0, n.flags&flagB != 0
		return end && begin || !end && !begin && same(p) && same(n)
	}
	prev, havePrev := a.frags[tsn-1]
	next, haveNext := a.frags[tsn+1]
	if havePrev && !fits(prev, f) || haveNext && !fits(f, next) {
		a.abort(CauseProtocolViolation, "fragments do not fit together", nil)
		return
	}
	first, last, size := tsn, tsn, len(f.data)
	if havePrev && f.flags&flagB == 0 {
		first, size = prev.far, size+prev.size
	}
	if haveNext && f.flags&flagE == 0 {
		last, size = next.far, size+next.size
	}
	if size > a.e.o.MaxMessage {
		a.abort(CauseOutOfResource, "", nil)
		return
	}
	begin, end := a.frags[first], a.frags[last]
	if begin.flags&flagB == 0 || end.flags&flagE == 0 {
		begin.far, begin.size = last, size
		end.far, end.size = first, size
		a.frags[first], a.frags[last] = begin, end // of a run of one they are the same
		return
	}
	data := make([]byte, 0, size)
	for t := first; ; t++ {
		data = append(data, a.frags[t].data...)
		delete(a.frags, t)
		if t == last {
			break
		}
	}
	a.charge(-chunkOverhead * int(last-first))
	a.order(f.ssn, f.flags, waiting{Message{f.stream, f.ppid, data}, first, last})
}

// order hands a complete message to the user, or holds it until its turn in the stream (RFC 9260 §6.6).
func (a *assoc) order(ssn uint16, flags uint8, m waiting) {
	stream := m.Stream
	if flags&flagU != 0 {
		a.ready.push(m.Message)
		wake(a.arrived)
		return
	}
	if n := int(stream) + 1; n > len(a.next) {
		a.next = append(a.next, make([]uint16, n-len(a.next))...)
	}
	next := &a.next[stream]
	key := func() uint32 { return uint32(stream)<<16 | uint32(*next) }
	if ssn != *next {
		k := uint32(stream)<<16 | uint32(ssn)
		if _, twice := a.held[k]; twice || int16(ssn-*next) < 0 {
			a.e.count.drop(dropFragment)
			a.charge(-len(m.Data) - chunkOverhead)
			return
		}
		a.held[k] = m
		return
	}
	a.ready.push(m.Message)
	*next++
	for len(a.held) > 0 {
		m, ok := a.held[key()]
		if !ok {
			break
		}
		delete(a.held, key())
		a.ready.push(m.Message)
		*next++
	}
	wake(a.arrived)
}
