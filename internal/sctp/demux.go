package sctp

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"time"
)

// input takes one datagram: finds the association, or answers without one. Only the reader calls it.
func (e *Userspace) input(p []byte, from netip.AddrPort) {
	if !unicast(from.Addr()) {
		e.count.drop(dropSource)
		return
	}
	h, chunks, err := parsePacket(p)
	if err != nil || h.src == 0 || h.dst == 0 {
		if errors.Is(err, errChecksum) {
			e.count.drop(dropChecksum)
		} else {
			e.count.drop(dropMalformed)
		}
		return
	}
	c, rest, _ := nextChunk(chunks)
	a, l := e.find(flow{from.Addr(), h.src, h.dst})
	switch c.typ {
	case ctInit:
		e.onInit(h, c, from, a, l)
		return
	case ctCookieEcho:
		if a = e.onCookieEcho(h, c, from, a, l); a == nil {
			return
		}
		chunks = rest
	case ctInitAck:
		if a == nil {
			a = e.findListed(h, c)
		}
	}
	if a != nil && a.input(h, chunks, from) {
		return
	}
	e.outOfTheBlue(h, chunks, from)
}

// findListed finds the association an INIT ACK is for when it comes from another of a multi-homed peer's addresses than was dialled: the chunk
// lists them all (RFC 9260 §5.1.2). The verification tag is checked later, as always.
func (e *Userspace) findListed(h header, c chunk) *assoc {
	i, err := parseInit(c.value)
	if err != nil {
		return nil
	}
	for _, ip := range i.addrs[:i.naddrs] {
		if a, _ := e.find(flow{ip, h.src, h.dst}); a != nil {
			return a
		}
	}
	return nil
}

// reply sends one chunk (already encoded) outside of any association.
func (e *Userspace) reply(h header, tag uint32, chunk []byte, to netip.AddrPort) {
	p := appendPacket(e.scratch[:0], h.dst, h.src, tag)
	p = append(p, chunk...)
	e.scratch = p
	e.write(p, to)
}

// outOfTheBlue follows RFC 9260 §8.4 for a packet that belongs to no association.
func (e *Userspace) outOfTheBlue(h header, chunks []byte, to netip.AddrPort) {
	e.count.drop(dropOutOfTheBlue)
	for rest := chunks; len(rest) > 0; {
		c, r, ok := nextChunk(rest)
		if !ok {
			return
		}
		rest = r
		switch c.typ {
		case ctAbort, ctShutdownComplete, ctCookieAck, ctError, ctInitAck: // rules 2, 6, 7; an INIT ACK nobody waits for (§5.2.3)
			return
		case ctShutdownAck: // rule 5
			e.reply(h, h.tag, appendChunk(nil, ctShutdownComplete, flagT), to)
			return
		}
	}
	if len(chunks) > 0 { // rule 8
		e.reply(h, h.tag, appendChunk(nil, ctAbort, flagT), to)
	}
}

// onInit answers INIT without keeping anything (RFC 9260 §5.1, §5.2.1, §5.2.2). a is the association the flow already has, if any.
func (e *Userspace) onInit(h header, c chunk, from netip.AddrPort, a *assoc, l *listener) {
	i, err := parseInit(c.value)
	if err != nil || i.tag == 0 || h.tag != 0 { // §8.5.1 rule A, §3.3.2
		e.count.drop(dropInit)
		return
	}
	switch {
	case i.out == 0 || i.in == 0:
		e.count.drop(dropInit)
		e.reply(h, i.tag, appendCause(nil, ctAbort, 0, CauseInvalidParameter, nil), from)
		return
	case i.hostName: // §3.3.2.1.4
		e.count.drop(dropInit)
		e.reply(h, i.tag, appendCause(nil, ctAbort, 0, CauseUnresolvable, nil), from)
		return
	case a == nil && l == nil: // §5.1: no listener
		e.count.drop(dropNoListener)
		e.reply(h, i.tag, appendChunk(nil, ctAbort, 0), from)
		return
	}
	now := time.Now()
	ck := cookie{made: now, peer: netip.AddrPortFrom(from.Addr(), h.src), localPort: h.dst, peerTag: i.tag, peerTSN: i.tsn, peerRwnd: i.rwnd,
		out: min(e.o.OutStreams, i.in), in: min(e.o.InStreams, i.out), addrs: i.addrs, naddrs: i.naddrs}
	if strange := a.strangeAddrs(&ck); len(strange) > 0 { // §5.2.2
		e.count.drop(dropInit)
		e.reply(h, i.tag, appendCause(nil, ctAbort, 0, CauseRestartNewAddress, strange), from)
		return
	}
	if a == nil || !a.initCollision(&ck, from) {
		if a != nil && ck.tieLocal == 0 {
			return // shutting down; SHUTDOWN ACK was repeated instead (§9.2)
		}
		ck.localTag, ck.localTSN = e.random32(), e.random32()
	}
	ack := initChunk{tag: ck.localTag, rwnd: uint32(e.o.ReceiveBuffer), tsn: ck.localTSN, out: e.o.OutStreams, in: e.o.InStreams,
		cookie: appendCookie(nil, &ck, e.signer(now)), unknown: i.unknown}
	p := appendPacket(e.scratch[:0], h.dst, h.src, i.tag)
	p = appendInit(p, ctInitAck, &ack)
	e.scratch = p
	e.write(p, from)
}

// strangeAddrs returns, as parameters, the addresses of an INIT that an association past its setup does not have.
func (a *assoc) strangeAddrs(ck *cookie) (params []byte) {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.state < established {
		return nil
	}
	for _, ip := range ck.addrs[:ck.naddrs] {
		if a.usable(ip) && a.pathOf(ip) == nil {
			typ := uint16(ptIPv4)
			if ip.Is6() {
				typ = ptIPv6
			}
			params = appendParam(params, typ, ip.AsSlice())
		}
	}
	return params
}

// initCollision fills in what an INIT for an existing association needs. It reports whether the association's own tag was given to the cookie
// (simultaneous setup, RFC 9260 §5.2.1); if not, the tie-tags are set for a restart (§5.2.2) or are 0, meaning no answer.
func (a *assoc) initCollision(ck *cookie, from netip.AddrPort) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch a.state {
	case cookieWait, cookieEchoed:
		ck.localTag, ck.localTSN = a.localTag, a.initTSN
		if a.state == cookieEchoed {
			ck.tieLocal, ck.tiePeer = a.tieLocal, a.tiePeer
		}
		return true
	case shutdownAckSent:
		a.now = time.Now()
		a.control(ctShutdownAck, 0)
		a.flush()
		return false
	case closed: // ended between lookup and here; the peer will ask again
		return false
	}
	ck.tieLocal, ck.tiePeer = a.tieLocal, a.tiePeer
	return false
}

// onCookieEcho makes or restarts an association from a cookie of ours (RFC 9260 §5.1.5, §5.2.4) and returns it if the packet's other chunks
// are to be processed.
func (e *Userspace) onCookieEcho(h header, c chunk, from netip.AddrPort, a *assoc, l *listener) *assoc {
	ck, err := e.openCookie(c.value)
	if err != nil {
		e.count.drop(dropCookieMAC)
		return nil
	}
	if !ck.cameFrom(from.Addr()) || ck.peer.Port() != h.src || ck.localPort != h.dst || ck.localTag != h.tag {
		e.count.drop(dropCookieTag)
		return nil
	}
	if a == nil {
		a, _ = e.find(flow{ck.peer.Addr(), h.src, h.dst})
	}
	if late := time.Since(ck.made) - e.o.Timers.CookieLife; late > 0 && (a == nil || !a.sameTags(&ck)) {
		e.count.drop(dropCookieStale)
		us := binary.BigEndian.AppendUint32(nil, uint32(min(late.Microseconds(), 1<<32-1)))
		e.reply(h, ck.peerTag, appendCause(nil, ctError, 0, CauseStaleCookie, us), from)
		return nil
	}
	if a != nil {
		switch a.cookieCollision(&ck, from) {
		case collisionUse:
			return a
		case collisionDrop:
			e.count.drop(dropCookieTag)
			return nil
		}
		e.count.restart.Add(1)
	}
	if l == nil { // a restarted peer of an association we dialled, or the listener is gone
		e.count.drop(dropNoListener)
		e.reply(h, ck.peerTag, appendChunk(nil, ctAbort, 0), from)
		return nil
	}
	a = newAssoc(e, ck.peer, ck.localPort, netip.AddrPortFrom(ck.peer.Addr(), from.Port()))
	if !e.accept(l, a, &ck) {
		e.count.drop(dropBacklog)
		e.reply(h, ck.peerTag, appendCause(nil, ctAbort, 0, CauseOutOfResource, nil), from)
		return nil
	}
	return a
}

// accept registers an association born from a cookie and puts it into the listener's queue, or does neither.
func (e *Userspace) accept(l *listener, a *assoc, ck *cookie) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	e.mu.Lock()
	if e.closing || e.listeners[l.port] != l || len(e.assocs) >= e.o.MaxAssociations || len(l.queue) == cap(l.queue) {
		e.mu.Unlock()
		return false
	}
	e.assocs[a.flow()] = a
	l.queue <- a // has room: only the reader sends
	e.mu.Unlock()
	a.now = time.Now()
	a.adopt(ck)
	a.establish()
	return true
}

type collision int

const (
	collisionDrop collision = iota
	collisionUse
	collisionRestart
)

func (a *assoc) sameTags(ck *cookie) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return ck.localTag == a.localTag && ck.peerTag == a.peerTag
}

// cookieCollision is the table of RFC 9260 §5.2.4 for a COOKIE ECHO that meets an association.
func (a *assoc) cookieCollision(ck *cookie, from netip.AddrPort) collision {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.now = time.Now()
	local, peer := ck.localTag == a.localTag, ck.peerTag == a.peerTag
	switch {
	case a.state == closed:
		return collisionDrop
	case local && peer: // action D: a repeated COOKIE ECHO, or both sides opened
		if a.state == cookieWait || a.state == cookieEchoed {
			a.establish()
		} else {
			a.control(ctCookieAck, 0)
			a.flush()
		}
		return collisionUse
	case local: // action B: both sides opened, the peer's INIT ACK was not seen
		a.came(from)
		if a.state == cookieWait || a.state == cookieEchoed {
			a.adopt(ck)
			a.establish()
		} else {
			a.peerTag = ck.peerTag
			a.control(ctCookieAck, 0)
			a.flush()
		}
		return collisionUse
	case !peer && ck.tieLocal == a.tieLocal && ck.tiePeer == a.tiePeer: // action A: the peer restarted
		if a.state == shutdownAckSent {
			a.control(ctShutdownAck, 0)
			a.ctl = appendCause(a.ctl, ctError, 0, CauseCookieInShutdown, nil)
			a.flush()
			return collisionDrop
		}
		a.end(ErrRestarted)
		return collisionRestart
	}
	return collisionDrop // action C and all other rows
}
