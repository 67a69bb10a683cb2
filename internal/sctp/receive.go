package sctp

import (
	"encoding/binary"
	"math/bits"
)

const (
	windowTSNs    = 8192 // TSNs above the cumulative one that are remembered
	chunkOverhead = 32   // charged to the window for each chunk or message, besides its bytes
	maxDups       = 16   // duplicate TSNs reported at most
)

// receiver is the receiving half of an association (RFC 9260 §6.2, §6.5, §6.6, §6.9).
type receiver struct {
	cum  uint32 // highest TSN with all before it received
	high uint32 // highest TSN received
	seen [windowTSNs / 64]uint64
	dups []uint32

	ackPending bool // something received is not acknowledged yet
	ackNow     bool
	ackPackets int
	gotData    bool // in this packet
	gotSack    bool // in this packet
	advertised int  // window of the last SACK, less what came since

	slab  []byte // room for the user data of the packet being processed
	left  int    // bytes of that packet not yet looked at
	frags map[uint32]fragment
	held  map[uint32]waiting // complete, waiting for an earlier message of the stream: stream<<16 | SSN
	next  []uint16           // SSN expected, by stream
	ready ring[Message]
	used  int // bytes charged for frags, held and ready

	arrived chan struct{} // token for one Recv that waits
}

// fragment is a part of a message, by TSN. The first and the last of a run of fragments know how far it reaches, so that taking one more costs the
// same in whatever order they come.
type fragment struct {
	data        []byte
	ppid        uint32
	stream, ssn uint16
	flags       uint8
	far         uint32 // TSN at the other end of the run
	size        int    // bytes of the run
}

// waiting is a message that came before its turn, and the first and last TSN of it.
type waiting struct {
	Message
	first, last uint32
}

func (r *receiver) init() {
	r.arrived = make(chan struct{}, 1)
	r.frags, r.held = map[uint32]fragment{}, map[uint32]waiting{}
}

func (r *receiver) bit(tsn uint32) (*uint64, uint64) {
	return &r.seen[tsn%windowTSNs/64], 1 << (tsn % 64)
}

// onData takes one DATA chunk (RFC 9260 §3.3.1, §6.2).
func (a *assoc) onData(c chunk) {
	v, be := c.value, binary.BigEndian
	if len(v) < dataHeader-chunkHeader {
		a.e.count.drop(dropMalformed)
		return
	}
	tsn := be.Uint32(v)
	f := fragment{data: v[12:], ppid: be.Uint32(v[8:]), stream: be.Uint16(v[4:]), ssn: be.Uint16(v[6:]), flags: c.flags}
	switch a.state {
	case established, shutdownPending, shutdownSent:
	default:
		a.e.count.drop(dropState)
		return
	}
	if len(f.data) == 0 { // §6.2, cause 9
		a.abort(CauseNoUserData, string(v[:4]), nil)
		return
	}
	a.gotData = true
	a.ackTo = a.from
	if c.flags&flagI != 0 {
		a.ackNow = true
	}
	if !a.fresh(tsn, len(f.data)) {
		a.ackNow = true
		return
	}
	a.receivedTSN(tsn)
	if f.stream >= a.in { // §6.5, cause 1
		a.e.count.drop(dropFragment)
		a.room4ctl(12)
		a.ctl = appendCause(a.ctl, ctError, 0, CauseInvalidStream, []byte{v[4], v[5], 0, 0})
		return
	}
	a.charge(len(f.data) + chunkOverhead)
	a.advertised -= len(f.data)
	f.data = a.keep(f.data)
	if f.flags&(flagB|flagE) == flagB|flagE {
		a.order(f.ssn, f.flags, waiting{Message{f.stream, f.ppid, f.data}, tsn, tsn})
		return
	}
	a.frags[tsn] = f
	a.reassemble(tsn, f)
}

// fresh decides whether a TSN is new and has room.
func (a *assoc) fresh(tsn uint32, n int) bool {
	d := int32(tsn - a.cum)
	if d > windowTSNs-1 {
		a.e.count.drop(dropBeyondWindow)
		return false
	}
	if d > 0 {
		w, m := a.bit(tsn)
		if *w&m == 0 {
			return a.hasBuffer(tsn, n)
		}
	}
	a.e.count.drop(dropDuplicate)
	if len(a.dups) < maxDups {
		a.dups = append(a.dups, tsn)
	}
	return false
}

// hasBuffer: up to twice the window is taken, since overhead is charged that the peer does not count, and twice that again to fill gaps. A peer
// that fills the buffer with a message that never ends is aborted.
func (a *assoc) hasBuffer(tsn uint32, n int) bool {
	limit := 2 * a.e.o.ReceiveBuffer
	if before(tsn, a.high) {
		limit *= 2
	}
	if a.used+n+chunkOverhead <= limit {
		fits := func() bool { return n+chunkOverhead <= a.e.room(a.used) }
		if fits() || tsn == a.cum+1 && a.ready.n == 0 && a.renege() && fits() {
			return true
		}
		a.e.count.drop(dropMemory)
		return false
	}
	a.e.count.drop(dropNoBuffer)
	if a.ready.n == 0 && a.high == a.cum {
		a.abort(CauseOutOfResource, "", nil)
	}
	return false
}

// renege gives up what came before its turn (RFC 9260 §6.2), where others have since used the memory that it and the chunk it waits for need
// together: else neither ever reached the user. It reports whether there was anything; the peer sends it again.
func (a *assoc) renege() bool {
	was := a.used
	forget := func(first, last uint32, size int) {
		for t := first; !before(last, t); t++ {
			w, m := a.bit(t)
			*w &^= m
		}
		a.charge(-size - chunkOverhead)
	}
	for tsn, f := range a.frags {
		if before(a.cum, tsn) {
			forget(tsn, tsn, len(f.data))
			delete(a.frags, tsn)
		}
	}
	for k, m := range a.held {
		if before(a.cum, m.first) {
			forget(m.first, m.last, len(m.Data))
			delete(a.held, k)
		}
	}
	for ; a.high != a.cum; a.high-- {
		if w, m := a.bit(a.high); *w&m != 0 {
			break
		}
	}
	return a.used < was
}

// receivedTSN notes a TSN and moves the cumulative one.
func (a *assoc) receivedTSN(tsn uint32) {
	gap := a.high != a.cum
	if tsn != a.cum+1 {
		w, m := a.bit(tsn)
		*w |= m
		if before(a.high, tsn) {
			a.high = tsn
		}
		a.ackNow = true // §6.7
		return
	}
	if !gap {
		a.cum, a.high = tsn, tsn
		return
	}
	a.ackNow = true
	for a.cum = tsn; ; a.cum++ {
		w, m := a.bit(a.cum + 1)
		if *w&m == 0 {
			break
		}
		*w &^= m
	}
	if before(a.high, a.cum) {
		a.high = a.cum
	}
}

// maxSlack is how many times what the window is charged for a message may be allocated for it and those behind it in the packet: a peer decides
// how much of a packet is kept.
const maxSlack = 4

// keep copies user data out of the reader's buffer, with one allocation for several messages of a packet.
func (a *assoc) keep(b []byte) []byte {
	if len(a.slab) < len(b) {
		a.slab = make([]byte, max(min(a.left-dataHeader, maxSlack*(len(b)+chunkOverhead)), len(b)))
	}
	n := copy(a.slab, b)
	out := a.slab[:n:n]
	a.slab = a.slab[n:]
	return out
}

func (a *assoc) pop() (Message, bool) {
	if a.ready.n == 0 {
		return Message{}, false
	}
	m := a.ready.pop()
	a.charge(-len(m.Data) - chunkOverhead)
	return m, true
}

func (a *assoc) free() int { return max(0, min(a.e.o.ReceiveBuffer-a.used, a.e.room(a.used))) }

// windowOpened reports whether the peer should be told that a nearly closed window is open again (RFC 9260 §6.2).
func (a *assoc) windowOpened() bool {
	b := a.e.o.ReceiveBuffer
	return (a.state == established || a.state == shutdownPending) && a.advertised < b/4 && a.free() >= b/2
}

// afterData decides, at the end of a packet, when to acknowledge (RFC 9260 §6.2).
func (a *assoc) afterData() {
	a.slab = nil
	if !a.gotData {
		return
	}
	a.gotData, a.ackPending = false, true
	a.ackPackets++
	switch {
	case a.ackPackets >= 2 || a.high != a.cum:
		a.ackNow = true
	case !a.running(tAck):
		a.start(tAck, a.e.o.Timers.SACKDelay)
	}
	if a.state == shutdownSent { // §9.2: answer DATA with SHUTDOWN at once
		a.ackNow = true
		a.sendShutdown()
	}
}

// appendSack appends a SACK for what has been received, with as many gap blocks as fit (RFC 9260 §3.3.4).
func (a *assoc) appendSack(p []byte) []byte {
	if len(p)+sackLen > a.path.pmtu.size {
		a.emit(p)
		p = a.begin()
	}
	start, be := len(p), binary.BigEndian
	a.advertised = a.free()
	p = append(p, ctSack, 0, 0, 0)
	p = be.AppendUint32(p, a.cum)
	p = be.AppendUint32(p, uint32(a.advertised))
	p = append(p, 0, 0, 0, 0)
	gaps, dups := 0, 0
	if a.high != a.cum {
		p, gaps = a.appendGaps(p, (a.path.pmtu.size-len(p))/4)
	}
	for dups < len(a.dups) && len(p)+4 <= a.path.pmtu.size {
		p = be.AppendUint32(p, a.dups[dups])
		dups++
	}
	a.dups = a.dups[:0]
	be.PutUint16(p[start+2:], uint16(len(p)-start))
	be.PutUint16(p[start+12:], uint16(gaps))
	be.PutUint16(p[start+14:], uint16(dups))
	a.ackNow, a.ackPending, a.ackPackets = false, false, 0
	a.stop(tAck)
	return p
}

func (a *assoc) appendGaps(p []byte, limit int) ([]byte, int) {
	n, end := 0, a.high-a.cum
	for d := uint32(2); d <= end && n < limit; n++ {
		if d = a.scan(d, end, true); d > end {
			break
		}
		last := a.scan(d, end, false) - 1
		p = binary.BigEndian.AppendUint16(p, uint16(d))
		p = binary.BigEndian.AppendUint16(p, uint16(last))
		d = last + 1
	}
	return p, n
}

// scan returns the first offset from d on whose TSN has been seen (or has not), or end+1. It looks at 64 TSNs at a time.
func (a *assoc) scan(d, end uint32, want bool) uint32 {
	for d <= end {
		tsn := a.cum + d
		w := a.seen[tsn%windowTSNs/64] >> (tsn % 64)
		if !want {
			w = ^w
		}
		if w != 0 {
			if k := uint32(bits.TrailingZeros64(w)); k < 64-tsn%64 {
				return min(d+k, end+1)
			}
		}
		d += 64 - tsn%64
	}
	return end + 1
}
