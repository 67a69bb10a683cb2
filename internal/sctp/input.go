package sctp

import (
	"encoding/binary"
	"net/netip"
	"time"
)

// input processes the chunks of a packet of this association. It returns false if the packet is out of the blue instead.
func (a *assoc) input(h header, chunks []byte, from netip.AddrPort) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.state == closed {
		return false
	}
	if len(chunks) == 0 {
		return true
	}
	first, _, _ := nextChunk(chunks)
	if first.typ == ctShutdownAck && (a.state == cookieWait || a.state == cookieEchoed) {
		return false // §8.5.1 rule E
	}
	if !a.tagFits(h.tag, first) {
		a.e.count.drop(dropTag)
		return true
	}
	a.now, a.gotSack = time.Now(), false
	if first.typ != ctAbort && first.typ != ctShutdownComplete {
		a.came(from) // RFC 6951 §5.4; the tag has proven the peer
	}
	for rest := chunks; len(rest) > 0; {
		c, r, ok := nextChunk(rest)
		if !ok {
			break
		}
		a.left, rest = len(rest), r
		if !a.chunk(c, from) || a.state == closed {
			break
		}
	}
	if a.state == closed {
		return true
	}
	a.afterData()
	a.progressShutdown()
	a.flush()
	return true
}

// tagFits applies RFC 9260 §8.5: the tag is ours, except in ABORT and SHUTDOWN COMPLETE with the T bit, where it is the peer's.
func (a *assoc) tagFits(tag uint32, first chunk) bool {
	if (first.typ == ctAbort || first.typ == ctShutdownComplete) && first.flags&flagT != 0 {
		return a.peerTag != 0 && tag == a.peerTag
	}
	return tag == a.localTag
}

// chunk handles one chunk; false stops the packet.
func (a *assoc) chunk(c chunk, from netip.AddrPort) bool {
	switch c.typ {
	case ctData:
		a.onData(c)
	case ctInitAck:
		a.onInitAck(c)
	case ctSack:
		a.onSackChunk(c)
	case ctHeartbeat:
		a.onHeartbeat(c, from)
	case ctHeartbeatAck:
		a.onHeartbeatAck(c)
	case ctAbort:
		a.onAbort(c)
		return false
	case ctShutdown:
		a.onShutdown(c)
	case ctShutdownAck:
		a.onShutdownAck()
	case ctError:
		a.onError(c)
	case ctCookieAck:
		if a.state == cookieEchoed {
			a.enter()
		}
	case ctPad: // RFC 4820 §3: carries nothing
	case ctCookieEcho, ctInit: // first chunk only, handled before
		a.e.count.drop(dropState)
	case ctShutdownComplete:
		if a.state != shutdownAckSent {
			a.e.count.drop(dropState)
			return false
		}
		a.end(ErrShutdown)
	default:
		return a.unknownChunk(c)
	}
	return true
}

// unknownChunk does what the two high bits of the type ask for (RFC 9260 §3.2).
func (a *assoc) unknownChunk(c chunk) bool {
	a.e.count.drop(dropUnknownChunk)
	if c.typ&0x40 != 0 && a.state >= established {
		raw := c.raw[:min(len(c.raw), maxUnknownLen)]
		a.room4ctl(len(raw) + 8)
		a.ctl = appendCause(a.ctl, ctError, 0, CauseUnrecognizedChunk, raw)
	}
	return c.typ&0x80 != 0
}

// onAbort ends the association (RFC 9260 §3.3.7, §9.1); the tag has been checked.
func (a *assoc) onAbort(c chunk) {
	e := &AbortError{}
	if typ, val, _, _, err := nextParam(c.value); err == nil {
		e.Cause = Cause(typ)
		if e.Cause == CauseUserAbort || e.Cause == CauseProtocolViolation {
			e.Reason = string(val[:min(len(val), maxUnknownLen)])
		}
	}
	a.end(e)
}

// onError acts on ERROR; only a stale cookie matters, the rest is for the log (RFC 9260 §3.3.10, §5.2.6).
func (a *assoc) onError(c chunk) {
	for rest := c.value; len(rest) > 0; {
		typ, _, _, r, err := nextParam(rest)
		if err != nil {
			a.e.count.drop(dropMalformed)
			return
		}
		rest = r
		a.e.o.Logger.Debug("sctp: peer reports an error", "peer", a.peer, "cause", Cause(typ))
		if Cause(typ) == CauseStaleCookie && a.state == cookieEchoed {
			a.state, a.peerTag = cookieWait, 0
			if a.stale++; a.stale > a.e.o.Timers.MaxInitRetr {
				a.end(ErrNoAnswer)
				return
			}
			a.sendInit()
		}
	}
}

// onShutdown: the peer has sent everything and wants no more (RFC 9260 §9.2).
func (a *assoc) onShutdown(c chunk) {
	if len(c.value) != 4 || a.state < established {
		a.e.count.drop(dropState)
		return
	}
	a.onSack(binary.BigEndian.Uint32(c.value), -1, nil)
	switch a.state {
	case established, shutdownPending:
		a.state = shutdownReceived
		wake(a.arrived)
		wake(a.room)
	case shutdownSent: // both at once
		a.sendShutdownAck()
	case shutdownAckSent: // our SHUTDOWN ACK got lost
		a.control(ctShutdownAck, 0)
	}
}

func (a *assoc) onShutdownAck() {
	switch a.state {
	case shutdownSent, shutdownAckSent:
		a.control(ctShutdownComplete, 0)
		a.flush()
		a.end(ErrClosed)
	default:
		a.e.count.drop(dropState)
	}
}

// progressShutdown moves on when everything outstanding is acknowledged (RFC 9260 §9.2).
func (a *assoc) progressShutdown() {
	if a.q.n > 0 {
		return
	}
	switch a.state {
	case shutdownPending:
		a.state = shutdownSent
		a.errors = 0
		a.sendShutdown()
	case shutdownReceived:
		a.errors = 0
		a.sendShutdownAck()
	}
}

// sendShutdown repeats SHUTDOWN or SHUTDOWN ACK, whichever is due, and restarts T2.
func (a *assoc) sendShutdown() {
	if a.state == shutdownAckSent {
		a.sendShutdownAck()
		return
	}
	var v [4]byte
	binary.BigEndian.PutUint32(v[:], a.cum)
	a.room4ctl(8)
	a.ctl = appendChunk(a.ctl, ctShutdown, 0, v[:])
	a.start(tShutdown, a.path.rto)
}

func (a *assoc) sendShutdownAck() {
	a.state = shutdownAckSent
	a.control(ctShutdownAck, 0)
	a.start(tShutdown, a.path.rto)
	a.start(tGuard, 5*a.e.o.Timers.RTOMax)
}
