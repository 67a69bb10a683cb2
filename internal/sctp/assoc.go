package sctp

import (
	"net/netip"
	"sync"
	"time"
)

// state is the association's state, RFC 9260 §4.
type state int

const (
	closed state = iota
	cookieWait
	cookieEchoed
	established
	shutdownPending
	shutdownSent
	shutdownReceived
	shutdownAckSent
)

// assoc is one association of a Userspace: a state machine behind one mutex, driven by packets, by calls and by its clock.
type assoc struct {
	e    *Userspace
	peer netip.AddrPort // IP and SCTP port
	port uint16         // own SCTP port
	up   chan struct{}  // closed when established
	done chan struct{}  // closed when ended

	mu    sync.Mutex
	state state
	err   error
	now   time.Time // of the event being handled
	paths []path    // the peer's addresses, the first one is what it was dialled at or dialled from
	path  *path     // of paths: where packets go
	from  *path     // of paths: where the packet being handled came from
	ackTo *path     // of paths: where DATA came from last

	localTag, peerTag uint32
	initTSN           uint32 // own first TSN
	out, in           uint16 // streams
	tieLocal, tiePeer uint32 // what a cookie shows for the tags, so that it does not show them (RFC 9260 §5.2.2)
	cookie            []byte // to echo
	inits             int    // INIT and COOKIE ECHO sent
	unknown           []byte // parameters of the INIT ACK to report with COOKIE ECHO

	due   [timerCount]time.Time
	wake  time.Time
	clock *time.Timer

	errors int // transmissions unanswered in a row, whatever the path (RFC 9260 §8.1)

	packet []byte // under construction, reused
	ctl    []byte // control chunks for the next packet

	sender
	receiver
}

func newAssoc(e *Userspace, peer netip.AddrPort, port uint16, dest netip.AddrPort) *assoc {
	a := &assoc{e: e, peer: peer, port: port, up: make(chan struct{}), done: make(chan struct{}), now: time.Now()}
	a.state = cookieWait
	a.paths = []path{a.newPath(dest, true)}
	a.path = &a.paths[0]
	a.localTag, a.initTSN, a.tieLocal, a.tiePeer = e.random32(), e.random32(), e.random32(), e.random32()
	a.sender.init(a.initTSN, e.o.BaseMTU)
	a.receiver.init()
	return a
}

func (a *assoc) flow() flow { return flow{a.peer.Addr(), a.peer.Port(), a.port} }

// adopt takes the association's parameters from a cookie (RFC 9260 §5.1.5).
func (a *assoc) adopt(ck *cookie) {
	a.localTag, a.peerTag, a.initTSN = ck.localTag, ck.peerTag, ck.localTSN
	a.sender.init(ck.localTSN, a.e.o.BaseMTU)
	a.agree(ck.peerTSN, ck.peerRwnd, ck.out, ck.in)
	a.morePaths(ck.addrs[:ck.naddrs])
}

// agree takes what the peer said in INIT or INIT ACK.
func (a *assoc) agree(peerTSN, rwnd uint32, out, in uint16) {
	a.out, a.in = out, in
	a.cum, a.high = peerTSN-1, peerTSN-1
	a.advertised = a.e.o.ReceiveBuffer
	a.peerRwnd = int(rwnd)
	a.ssthresh = max(int(rwnd), 4*a.e.o.MTU) // §7.2.1: arbitrarily high
	a.nextOut = make([]uint16, out)
}

// connect sends the first INIT.
func (a *assoc) connect() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.now = time.Now()
	a.sendInit()
}

func (a *assoc) sendInit() {
	o := &a.e.o
	c := initChunk{tag: a.localTag, rwnd: uint32(o.ReceiveBuffer), out: o.OutStreams, in: o.InStreams, tsn: a.initTSN}
	p := appendPacket(a.packet[:0], a.port, a.peer.Port(), 0)
	a.packet = appendInit(p, ctInit, &c)
	a.e.write(a.packet, a.path.addr)
	a.inits++
	a.start(tInit, a.path.rto)
}

func (a *assoc) sendCookie() {
	p := appendPacket(a.packet[:0], a.port, a.peer.Port(), a.peerTag)
	p = appendChunk(p, ctCookieEcho, 0, a.cookie)
	if n := len(a.unknown); n > 0 && len(p)+8+n <= a.path.pmtu.size {
		p = appendCause(p, ctError, 0, CauseUnrecognizedParam, a.unknown)
	}
	a.packet = p
	a.e.write(p, a.path.addr)
	a.inits++
	a.start(tInit, a.path.rto)
}

// initExpired repeats INIT or COOKIE ECHO, Max.Init.Retransmits times (RFC 9260 §5.1.6).
func (a *assoc) initExpired() {
	if a.inits > a.e.o.Timers.MaxInitRetr {
		a.end(ErrNoAnswer)
		return
	}
	a.path.rto = min(2*a.path.rto, a.e.o.Timers.RTOMax)
	if a.state == cookieWait {
		a.sendInit()
	} else {
		a.sendCookie()
	}
}

// onInitAck answers INIT ACK with COOKIE ECHO (RFC 9260 §5.1 step C).
func (a *assoc) onInitAck(c chunk) {
	if a.state != cookieWait {
		a.e.count.drop(dropState)
		return
	}
	i, err := parseInit(c.value)
	if err != nil {
		a.e.count.drop(dropInit)
		return
	}
	if i.tag == 0 { // §3.3.3: there is no tag to send ABORT with
		a.abort(CauseProtocolViolation, "INIT ACK without a tag", nil)
		return
	}
	a.peerTag = i.tag
	switch {
	case i.out == 0 || i.in == 0:
		a.abort(CauseInvalidParameter, "", nil)
		return
	case i.hostName:
		a.abort(CauseUnresolvable, "", nil)
		return
	case len(i.cookie) == 0:
		a.abort(CauseMissingParameter, "\x00\x00\x00\x01\x00\x07", nil)
		return
	}
	o := &a.e.o
	a.cookie = append([]byte(nil), i.cookie...)
	a.unknown = i.unknown
	a.morePaths(i.addrs[:i.naddrs])
	a.e.alias(a)
	a.agree(i.tsn, i.rwnd, min(o.OutStreams, i.in), min(o.InStreams, i.out))
	a.state, a.inits = cookieEchoed, 0
	a.path.rto = o.Timers.RTOInitial
	a.sendCookie()
}

// establish enters ESTABLISHED; a side that was asked also sends COOKIE ACK.
func (a *assoc) establish() {
	a.control(ctCookieAck, 0)
	a.enter()
	a.flush()
}

func (a *assoc) enter() {
	a.stop(tInit)
	a.state, a.errors, a.cookie, a.unknown = established, 0, nil, nil
	a.path.rto = a.e.o.Timers.RTOInitial
	a.startBeats()
	a.searchMTU(a.path.rto)
	a.e.alias(a)
	a.e.count.established.Add(1)
	close(a.up)
	a.e.o.Logger.Debug("sctp: association up", "peer", a.peer, "port", a.port, "out", a.out, "in", a.in)
}

// end enters CLOSED: nothing runs or is sent afterwards. err is what Recv and Err report.
func (a *assoc) end(err error) {
	if a.state == closed {
		return
	}
	a.book(-a.used - a.queued)
	a.state, a.err = closed, err
	a.stopClock()
	a.sender.release(a.e)
	a.e.remove(a)
	close(a.done)
	a.e.o.Logger.Debug("sctp: association ended", "peer", a.peer, "port", a.port, "err", err)
}

// abort sends ABORT and ends the association with err, or with an AbortError that tells the cause.
func (a *assoc) abort(cause Cause, reason string, err error) {
	if a.state == closed {
		return
	}
	if err == nil {
		err = &AbortError{Cause: cause, Reason: reason, Local: true}
	}
	if a.peerTag != 0 {
		p := appendPacket(a.packet[:0], a.port, a.peer.Port(), a.peerTag)
		a.packet = appendCause(p, ctAbort, 0, cause, []byte(reason))
		a.e.write(a.packet, a.path.addr)
	}
	a.end(err)
}
