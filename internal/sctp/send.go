package sctp

import (
	"encoding/binary"
	"errors"
	"syscall"
	"time"
)

// outChunk is one DATA chunk from Send until it is acknowledged.
type outChunk struct {
	block       *block
	n           int
	ppid        uint32
	stream, ssn uint16
	flags       uint8
	missing     uint8 // miss indications, RFC 9260 §7.2.4
	acked       bool  // by a gap block
	rtx         bool  // to be retransmitted; not in flight then
	again       bool  // has been retransmitted: no RTT sample, no second fast retransmit
	lead        bool  // first DATA of its packet
}

// smallFlight is how many packets may be in flight before small messages wait to be bundled. The peer acknowledges every second packet, so
// with this many on the way an acknowledgement that releases them is never far.
const smallFlight = 16

// sender is the sending half of an association (RFC 9260 §6.1, §7).
type sender struct {
	q       ring[outChunk] // by TSN, q[0] is acked+1
	acked   uint32         // cumulative TSN acknowledged by the peer
	sent    int            // q[:sent] have been sent
	rtx     int            // chunks of q[:sent] marked rtx
	gapped  int            // chunks of q[:sent] acknowledged by gap blocks
	leads   int            // packets in flight
	queued  int            // bytes in q
	unsent  int            // bytes in q[sent:], with chunk headers
	flight  int            // bytes sent and neither acknowledged nor marked
	nextOut []uint16       // next SSN by stream

	peerRwnd       int  // what the peer has room for, less what is in flight
	shut           bool // the peer's last SACK had no room for the next chunk
	cwnd, ssthresh int
	partial        int // partial_bytes_acked
	recovering     bool
	recoverTSN     uint32 // fast recovery ends when this is acknowledged
	forced         bool   // the next packet of retransmissions ignores cwnd
	stale          int

	timing    bool // an RTT measurement is on the way
	timedTSN  uint32
	timedFrom time.Time
	lastSent  time.Time

	room    chan struct{} // token for one Send that waits
	waiters int
}

func (s *sender) init(tsn uint32, mtu int) {
	s.acked = tsn - 1
	s.cwnd = initialWindow(mtu)
	if s.room == nil {
		s.room = make(chan struct{}, 1)
	}
}

// initialWindow is RFC 9260 §7.2.1's.
func initialWindow(mtu int) int { return min(4*mtu, max(2*mtu, 4404)) }

func (s *sender) release(e *Userspace) {
	for s.q.n > 0 {
		c := s.q.pop()
		c.block.free()
	}
	s.queued, s.unsent, s.sent, s.rtx, s.gapped, s.flight, s.leads = 0, 0, 0, 0, 0, 0, 0
}

// enqueue cuts a message into chunks that fit a packet each (RFC 9260 §6.9).
func (a *assoc) enqueue(stream uint16, ppid uint32, data []byte) {
	limit := a.userLimit()
	c := outChunk{ppid: ppid, stream: stream, ssn: a.nextOut[stream], flags: flagB}
	a.nextOut[stream]++
	for first := true; len(data) > 0 || first; first = false {
		n := min(len(data), limit)
		c.block = a.e.blocks.get(n, a.e.o.MTU)
		c.n = copy(c.block.b, data[:n])
		if data = data[n:]; len(data) == 0 {
			c.flags |= flagE
		}
		a.q.push(c)
		a.queued += n
		a.book(n)
		a.unsent += dataHeader + pad4(n)
		c.flags = 0
	}
}

// control queues a chunk without content for the next packet.
func (a *assoc) control(typ, flags uint8) {
	a.room4ctl(chunkHeader)
	a.ctl = append(a.ctl, typ, flags, 0, chunkHeader)
}

// room4ctl sends the control chunks collected so far if n more bytes would not fit.
func (a *assoc) room4ctl(n int) {
	if len(a.ctl) > 0 && headerLen+len(a.ctl)+pad4(n) > a.path.pmtu.size {
		a.emit(append(a.begin(), a.ctl...))
		a.ctl = a.ctl[:0]
	}
}

func (a *assoc) begin() []byte { return appendPacket(a.packet[:0], a.port, a.peer.Port(), a.peerTag) }

// emit sends a packet. One that was cut for a path that carried more, or that the own interface refuses, may be cut on the way.
func (a *assoc) emit(p []byte) {
	a.packet = p
	if len(p) <= a.path.pmtu.size && !a.path.pmtu.broken {
		if !errors.Is(a.e.write(p, a.path.addr), syscall.EMSGSIZE) {
			return
		}
		a.shrink()
	}
	a.e.writeSplit(p, a.path.addr)
}

// flush sends what is due: control chunks, a SACK, retransmissions, then new data as far as windows allow (RFC 9260 §6.1, §6.10).
func (a *assoc) flush() {
	if a.state < established && len(a.ctl) == 0 || a.state == closed {
		return
	}
	if a.ackNow && a.state >= established && a.ackTo != nil && a.ackTo != a.path { // §6.4: to where the DATA came from
		a.packet = a.appendSack(a.begin())
		_ = a.e.write(a.packet, a.ackTo.addr) // counted there
	}
	p := append(a.begin(), a.ctl...)
	a.ctl = a.ctl[:0]
	if a.ackNow && a.state >= established {
		p = a.appendSack(p)
	}
	hasData, burst := false, a.e.o.Timers.MaxBurst
	for {
		i := a.pick(hasData, burst)
		if i < 0 {
			break
		}
		c := a.q.at(i)
		need := dataHeader + pad4(c.n)
		if len(p)+need > a.path.pmtu.size && len(p) > headerLen {
			a.emit(p)
			if hasData {
				burst--
				a.forced = false
			}
			p, hasData = a.begin(), false
			continue
		}
		if !hasData && a.ackPending && len(p)+sackLen+need <= a.path.pmtu.size {
			p = a.appendSack(p) // bundled, §6.2; with gaps there is one already
		}
		p = a.appendData(p, c, i, !hasData)
		hasData = true
	}
	if hasData {
		a.forced = false
	}
	if len(p) > headerLen {
		a.emit(p)
	}
	a.packet = p
}

// pick returns the index of the chunk to send next, or -1.
func (a *assoc) pick(hasData bool, burst int) int {
	if a.state != established && a.state != shutdownPending && a.state != shutdownReceived {
		return -1
	}
	if !hasData && !a.forced && a.flight > 0 && a.cwnd <= a.path.pmtu.size {
		return -1 // a window of one MTU is one packet, though its chunks count less than that
	}
	if a.rtx > 0 {
		if !a.forced && (a.flight >= a.cwnd || burst <= 0) {
			return -1
		}
		for i := range a.sent {
			if a.q.at(i).rtx {
				return i
			}
		}
	}
	if a.sent == a.q.n || a.flight >= a.cwnd || burst <= 0 || a.sent >= maxOutstanding {
		return -1
	}
	if c := a.q.at(a.sent); c.n > a.peerRwnd && a.flight > 0 { // with nothing in flight one chunk probes a closed window, §6.1 rule A
		return -1
	}
	if !hasData && a.leads >= smallFlight && a.unsent < a.path.pmtu.size-headerLen && a.state == established {
		return -1
	}
	return a.sent
}

func (a *assoc) appendData(p []byte, c *outChunk, i int, lead bool) []byte {
	tsn := a.acked + 1 + uint32(i)
	if i == a.sent {
		if a.flight == 0 && a.sent == 0 && !a.lastSent.IsZero() && a.now.Sub(a.lastSent) > a.path.rto {
			a.cwnd = min(a.cwnd, max(a.cwnd/2, 4*a.path.pmtu.size)) // §7.2.1: idle
		}
		a.sent++
		a.unsent -= dataHeader + pad4(c.n)
		if !a.timing {
			a.timing, a.timedTSN, a.timedFrom = true, tsn, a.now
		}
	} else {
		c.rtx, c.again = false, true
		a.rtx--
		a.e.count.rtx.Add(1)
		if a.timing && !before(tsn, a.timedTSN) {
			a.timing = false // Karn, §6.3.1 rule C5
		}
		if i == 0 {
			a.stop(tData) // restarted below, §6.3.2 rule R1 and §7.2.4 step 4
		}
	}
	c.missing, c.lead = 0, lead
	if lead {
		a.leads++
	}
	a.flight += c.n
	a.peerRwnd = max(0, a.peerRwnd-c.n)
	a.lastSent = a.now
	if !a.running(tData) {
		a.start(tData, a.path.rto)
	}
	if !a.path.waiting {
		a.path.beatDue = a.now.Add(a.e.o.Timers.HBInterval + a.path.rto) // not idle, §8.3
	}
	be := binary.BigEndian
	flags := c.flags
	if i == a.q.n-1 && a.state == shutdownPending {
		flags |= flagI // RFC 7053 §5.1: do not let SHUTDOWN wait for a delayed SACK
	}
	p = append(p, ctData, flags)
	p = be.AppendUint16(p, uint16(dataHeader+c.n))
	p = be.AppendUint32(p, tsn)
	p = be.AppendUint16(p, c.stream)
	p = be.AppendUint16(p, c.ssn)
	p = be.AppendUint32(p, c.ppid)
	p = append(p, c.block.b[:c.n]...)
	return appendPad(p, c.n)
}

// unfly takes a chunk out of flight.
func (a *assoc) unfly(c *outChunk) {
	a.flight -= c.n
	if c.lead {
		a.leads--
		c.lead = false
	}
}

// markLost takes a chunk out of flight and queues it for retransmission.
func (a *assoc) markLost(c *outChunk) {
	if c.acked || c.rtx {
		return
	}
	a.unfly(c)
	a.peerRwnd += c.n
	c.rtx = true
	a.rtx++
}

// dataExpired is T3-rtx, RFC 9260 §6.3.3.
func (a *assoc) dataExpired() {
	if a.sent == 0 {
		return
	}
	a.e.count.t3.Add(1)
	if a.q.at(0).again && !a.shut { // lost twice, though the window was one packet: perhaps for its size
		a.shrink()
	}
	mtu := a.path.pmtu.size
	a.ssthresh = max(a.cwnd/2, 4*mtu)
	a.recovering, a.timing = false, false
	failing := a.path
	if a.unanswered(failing) {
		return
	}
	if a.path == failing {
		a.cwnd, a.partial = mtu, 0
	}
	for i := range a.sent {
		a.markLost(a.q.at(i))
	}
	a.forced = true
}
