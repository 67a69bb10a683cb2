package sctp

import "encoding/binary"

// maxOutstanding bounds the DATA chunks in flight, so that TSN arithmetic on them stays far from wrapping and a receiver's bitmap suffices.
const maxOutstanding = windowTSNs / 2

// onSackChunk checks the framing of a SACK (RFC 9260 §3.3.4).
func (a *assoc) onSackChunk(c chunk) {
	v := c.value
	if len(v) < sackLen-chunkHeader || a.state < established {
		a.e.count.drop(dropSack)
		return
	}
	if a.gotSack { // a packet full of them would cost much, and whatever a second one says is said again
		a.e.count.drop(dropSackOld)
		return
	}
	a.gotSack = true
	be := binary.BigEndian
	gaps := int(be.Uint16(v[8:]))
	if 4*gaps+4*int(be.Uint16(v[10:])) > len(v)-12 {
		a.e.count.drop(dropSack)
		return
	}
	a.onSack(be.Uint32(v), int(be.Uint32(v[4:])), v[12:12+4*gaps])
}

// onSack processes an acknowledgement: rwnd < 0 when it came in a SHUTDOWN (RFC 9260 §6.2.1, §7.2).
func (a *assoc) onSack(cum uint32, rwnd int, gaps []byte) {
	n := int(int32(cum - a.acked))
	if n < 0 {
		a.e.count.drop(dropSackOld)
		return
	}
	if n > a.sent || !validGaps(gaps, a.sent-n) {
		a.e.count.drop(dropSack)
		return
	}
	flight := a.flight
	newly := a.ackCumulative(n, cum)
	advanced := n > 0
	htna := 0 // 1 + index of the highest TSN newly acknowledged by a gap block

	// SHUTDOWN has no gap blocks and takes none back, §3.3.8.
	if len(gaps) > 0 || a.gapped > 0 && rwnd >= 0 {
		var b int
		b, htna = a.ackGaps(gaps)
		newly += b
	}
	if newly > 0 || rwnd == 0 { // §6.1 rule A: an answered probe of a closed window is no failure
		a.answered(a.path)
	}
	if a.recovering && !before(a.acked, a.recoverTSN) {
		a.recovering = false
	}
	a.growWindow(newly, flight)
	if len(gaps) > 0 {
		a.countMissing(gaps, htna, advanced)
	}
	if rwnd >= 0 {
		if a.sent == 1 && a.peerRwnd == 0 && rwnd > a.q.at(0).n && a.flight > 0 && len(gaps) == 0 && n == 0 {
			a.markLost(a.q.at(0)) // the window opened after our probe was dropped
		}
		a.peerRwnd = max(0, rwnd-a.flight)
		a.shut = a.q.n > 0 && rwnd < a.q.at(0).n
	}
	switch { // §6.3.2
	case a.sent == 0:
		a.stop(tData)
	case advanced:
		a.start(tData, a.path.rto)
	}
	if advanced && a.waiters > 0 {
		wake(a.room)
	}
}

// validGaps checks that blocks lie within what was sent.
func validGaps(gaps []byte, sent int) bool {
	for ; len(gaps) >= 4; gaps = gaps[4:] {
		start, end := int(binary.BigEndian.Uint16(gaps)), int(binary.BigEndian.Uint16(gaps[2:]))
		if start < 2 || end < start || end > sent {
			return false
		}
	}
	return true
}

// ackCumulative removes n chunks and returns the bytes newly acknowledged.
func (a *assoc) ackCumulative(n int, cum uint32) int {
	newly := 0
	for range n {
		c := a.q.pop()
		switch {
		case c.acked:
			a.gapped--
		case c.rtx:
			a.rtx--
			newly += c.n
		default:
			a.unfly(&c)
			newly += c.n
		}
		a.queued -= c.n
		a.book(-c.n)
		c.block.free()
	}
	a.sent -= n
	a.acked = cum
	if a.timing && !before(cum, a.timedTSN) {
		a.timing = false
		a.measured(a.path, a.now.Sub(a.timedFrom))
	}
	return newly
}

// ackGaps marks the chunks that gap blocks cover, and takes the mark back where the peer has reneged (RFC 9260 §6.2.1 iii). It returns the
// bytes newly acknowledged and 1 + the highest index among them.
func (a *assoc) ackGaps(gaps []byte) (newly, htna int) {
	be, was := binary.BigEndian, a.gapped
	covered := func(i int) bool {
		for len(gaps) >= 4 && int(be.Uint16(gaps[2:])) < i+1 {
			if g := gaps[4:]; len(g) >= 4 && be.Uint16(g) < be.Uint16(gaps) {
				return false // unordered blocks: the rest is ignored
			}
			gaps = gaps[4:]
		}
		return len(gaps) >= 4 && int(be.Uint16(gaps)) <= i+1
	}
	for i := 0; i < a.sent && (was > 0 || len(gaps) >= 4); i++ {
		c := a.q.at(i)
		now := covered(i)
		if c.acked {
			was--
		}
		switch {
		case now && !c.acked:
			if c.rtx {
				c.rtx = false
				a.rtx--
			} else {
				a.unfly(c)
			}
			c.acked = true
			a.gapped++
			newly += c.n
			htna = i + 1
		case !now && c.acked: // reneged
			c.acked, c.rtx = false, true
			a.gapped--
			a.rtx++
		}
	}
	return newly, htna
}

// countMissing counts miss indications and starts fast retransmit at three (RFC 9260 §7.2.4).
func (a *assoc) countMissing(gaps []byte, htna int, advanced bool) {
	limit := htna // the HTNA algorithm
	if a.recovering && advanced {
		limit = int(binary.BigEndian.Uint16(gaps[len(gaps)-2:]))
	}
	lost := false
	for i := range min(limit, a.sent) {
		c := a.q.at(i)
		if c.acked || c.rtx {
			continue
		}
		if c.missing++; c.missing >= 3 && !c.again {
			a.markLost(c)
			lost = true
		}
	}
	if !lost {
		return
	}
	a.e.count.fast.Add(1)
	a.forced = true
	if !a.recovering {
		a.ssthresh = max(a.cwnd/2, 4*a.path.pmtu.size)
		a.cwnd, a.partial = a.ssthresh, 0
		a.recovering, a.recoverTSN = true, a.acked+uint32(a.sent)
	}
}

// growWindow is slow start and congestion avoidance (RFC 9260 §7.2.1, §7.2.2). flight is what was in flight before this SACK: only a window that
// was used up grows.
func (a *assoc) growWindow(newly, flight int) {
	mtu := a.path.pmtu.size
	full := flight >= a.cwnd || a.cwnd <= mtu && flight > 0
	if a.cwnd <= a.ssthresh {
		if full && !a.recovering {
			a.cwnd += min(newly, mtu)
		}
	} else {
		a.partial += newly
		switch {
		case a.partial >= a.cwnd && full:
			a.partial -= a.cwnd
			a.cwnd += mtu
		case a.partial > a.cwnd:
			a.partial = a.cwnd
		}
	}
	if a.sent == 0 {
		a.partial = 0
	}
}
