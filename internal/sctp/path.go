package sctp

import (
	"encoding/binary"
	"net/netip"
	"time"
)

// path is one of the peer's addresses (RFC 9260 §5.4, §6.4, §8.2). All paths start from the endpoint's one address.
type path struct {
	addr      netip.AddrPort // IP and UDP port, learned from the peer's packets (RFC 6951 §5.4)
	confirmed bool           // the peer has answered from or at it with what only the peer knows
	down      bool           // more than Path.Max.Retrans unanswered in a row
	errors    int            // unanswered in a row

	rto, srtt, rttvar time.Duration
	pmtu              pmtu

	nonce   uint32 // of the HEARTBEAT on the way; one more each time that none is answered
	repeats uint32 // how often none was: late answers to those before are taken, too
	beatAt  time.Time
	waiting bool
	beatDue time.Time
}

// PathInfo is the state of one of the peer's addresses.
type PathInfo struct {
	Addr      netip.Addr
	Current   bool // DATA goes there now
	Confirmed bool // RFC 9260 §5.4
	Reachable bool // RFC 9260 §8.2
	RTO, SRTT time.Duration
	MTU       int // bytes of an SCTP packet
}

// Paths tells how the peer is reached, its first address first. It is offered besides [Association] by associations of our own stack.
func (a *assoc) Paths() []PathInfo {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := make([]PathInfo, len(a.paths))
	for i := range a.paths {
		p := &a.paths[i]
		out[i] = PathInfo{p.addr.Addr(), p == a.path, p.confirmed, !p.down, p.rto, p.srtt, p.pmtu.size}
	}
	return out
}

func (a *assoc) newPath(addr netip.AddrPort, confirmed bool) path {
	return path{addr: addr, confirmed: confirmed, rto: a.e.o.Timers.RTOInitial, pmtu: pmtu{size: a.e.o.BaseMTU}}
}

// morePaths adds the further addresses the peer named in INIT or INIT ACK, as far as they can be reached from here.
func (a *assoc) morePaths(addrs []netip.Addr) {
	for _, ip := range addrs {
		if a.usable(ip) && a.pathOf(ip) == nil {
			a.paths = append(a.paths, a.newPath(netip.AddrPortFrom(ip, a.path.addr.Port()), false))
			a.path = &a.paths[0]
		}
	}
}

// usable reports whether an address can be sent to from the endpoint's.
func (a *assoc) usable(ip netip.Addr) bool { return unicast(ip) && ip.Is4() == a.e.ip.Is4() }

// pathOf finds the path of an address.
func (a *assoc) pathOf(ip netip.Addr) *path {
	for i := range a.paths {
		if a.paths[i].addr.Addr() == ip {
			return &a.paths[i]
		}
	}
	return nil
}

// came notes where a packet with the right tag came from.
func (a *assoc) came(from netip.AddrPort) {
	a.from = a.pathOf(from.Addr())
	if a.from != nil {
		a.from.addr = from
	}
}

// takeRoute makes p the path that DATA takes, with a congestion window as on a new path (RFC 9260 §6.4, §7.2.1).
func (a *assoc) takeRoute(p *path) {
	if a.path == p {
		return
	}
	a.e.o.Logger.Info("sctp: data goes to another address of the peer", "peer", a.peer, "from", a.path.addr.Addr(), "to", p.addr.Addr())
	smaller := p.pmtu.size < a.path.pmtu.size
	a.stop(tProbe)
	a.path = p
	if smaller {
		a.recut()
	}
	a.cwnd, a.partial, a.timing = min(a.cwnd, initialWindow(p.pmtu.size)), 0, false
	a.searchMTU(p.rto)
}

// unanswered counts something a path has not answered, and ends the association when there was too much (RFC 9260 §8.1, §8.2). DATA moves to an
// address that answers at the first sign of trouble, and the one in trouble is watched by HEARTBEAT: RFC 7829 with PFMR 0.
func (a *assoc) unanswered(p *path) (ended bool) {
	t := &a.e.o.Timers
	if p.errors++; p.errors > t.PathMaxRetrans && !p.down {
		p.down = true
		a.e.o.Logger.Warn("sctp: peer's address unreachable", "peer", a.peer, "address", p.addr.Addr())
	}
	p.rto = min(2*p.rto, t.RTOMax) // §6.3.3 rule E2
	if p.confirmed && a.failed() {
		return true
	}
	if p != a.path {
		return false
	}
	for i := range a.paths {
		if other := &a.paths[i]; other.confirmed && !other.down && other.errors == 0 {
			a.takeRoute(other)
			p.beatDue = a.now
			a.planBeat()
			break
		}
	}
	return false
}

// answered notes that a path works. The peer's first address is taken back into use.
func (a *assoc) answered(p *path) {
	if p.down {
		a.e.o.Logger.Info("sctp: peer's address reachable", "peer", a.peer, "address", p.addr.Addr())
	}
	a.errors, p.errors, p.down, p.confirmed = 0, 0, false, true
	if p == &a.paths[0] {
		a.takeRoute(p)
	}
}

// measured takes a round-trip time into SRTT, RTTVAR and RTO (RFC 9260 §6.3.1 rules C1 to C7).
func (a *assoc) measured(p *path, r time.Duration) {
	if p.srtt == 0 {
		p.srtt, p.rttvar = r, r/2
	} else {
		p.rttvar += ((p.srtt - r).Abs() - p.rttvar) / 4
		p.srtt += (r - p.srtt) / 8
	}
	t := &a.e.o.Timers
	p.rto = min(max(p.srtt+4*max(p.rttvar, time.Millisecond), t.RTOMin), t.RTOMax)
}

// beats sends the HEARTBEATs that are due, and counts the last one of each path if nobody answered it within an RTO (RFC 9260 §8.2, §8.3).
func (a *assoc) beats() {
	for i := range a.paths {
		p := &a.paths[i]
		if p.beatDue.After(a.now) {
			continue
		}
		if !p.waiting {
			p.nonce, p.repeats, p.waiting = a.e.random32(), 0, true
		} else if p.nonce, p.repeats = p.nonce+1, p.repeats+1; !(p == a.path && a.sent > 0) && a.unanswered(p) { // T3 counts while DATA is on the way
			return
		}
		p.beatAt = a.now
		a.beatLater(p)
		info := appendParam(nil, ptHeartbeatInfo, binary.BigEndian.AppendUint32(nil, p.nonce))
		a.packet = appendChunk(a.begin(), ctHeartbeat, 0, info)
		_ = a.e.write(a.packet, p.addr) // counted there
	}
	a.planBeat()
}

// beatLater sets a path's next HEARTBEAT: HB.interval + RTO, the latter with a jitter of half (RFC 9260 §8.3). One that has not been answered is
// followed by another after an RTO already, until the path is down (RFC 7829 §3.2), so that a silent peer is soon known.
func (a *assoc) beatLater(p *path) {
	if p.waiting && !p.down {
		p.beatDue = a.now.Add(p.rto)
		return
	}
	p.beatDue = a.now.Add(a.e.o.Timers.HBInterval + time.Duration(float64(p.rto)*(0.5+float64(a.e.random32()>>8)/(1<<24))))
}

// planBeat sets the timer to the first HEARTBEAT due.
func (a *assoc) planBeat() {
	next := a.paths[0].beatDue
	for i := range a.paths {
		if p := &a.paths[i]; p.beatDue.Before(next) {
			next = p.beatDue
		}
	}
	a.start(tHeartbeat, next.Sub(a.now))
}

// startBeats is for an association just established: addresses that are only claimed are asked at once (RFC 9260 §5.4).
func (a *assoc) startBeats() {
	for i := range a.paths {
		p := &a.paths[i]
		if a.beatLater(p); !p.confirmed {
			p.beatDue = a.now.Add(time.Duration(i) * p.rto)
		}
	}
	a.planBeat()
}

// onHeartbeatAck clears the error count and measures (RFC 9260 §8.3).
func (a *assoc) onHeartbeatAck(c chunk) {
	typ, val, _, _, err := nextParam(c.value)
	if err != nil || typ != ptHeartbeatInfo || len(val) != 4 {
		a.e.count.drop(dropState)
		return
	}
	nonce := binary.BigEndian.Uint32(val)
	if a.probeAnswered(nonce) {
		return
	}
	for i := range a.paths {
		if p := &a.paths[i]; p.waiting && p.nonce-nonce <= p.repeats {
			p.waiting = false
			if p.nonce == nonce {
				a.measured(p, a.now.Sub(p.beatAt))
			}
			a.beatLater(p)
			a.answered(p)
			a.planBeat()
			return
		}
	}
	a.e.count.drop(dropState)
}

// onHeartbeat answers to where the HEARTBEAT came from, which may be another address of a multi-homed peer (RFC 9260 §8.3).
func (a *assoc) onHeartbeat(c chunk, from netip.AddrPort) {
	switch {
	case a.state == cookieWait:
		a.e.count.drop(dropState)
	case a.from != a.path:
		a.packet = appendChunk(a.begin(), ctHeartbeatAck, 0, c.value)
		_ = a.e.write(a.packet, from) // counted there
	default:
		a.room4ctl(len(c.raw))
		a.ctl = appendChunk(a.ctl, ctHeartbeatAck, 0, c.value)
	}
}
