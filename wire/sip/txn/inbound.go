package txn

import (
	"errors"
	"net/netip"
	"strconv"
	"time"

	"campanile.network/wire/sip"
)

// arrival is one message as it comes in.
type arrival struct {
	m        *sip.Message
	way      way // of the answer
	flow     Flow
	familiar bool
	now      time.Duration
}

// datagram takes what came on a socket.
func (e *Endpoint) datagram(s *socket, b []byte, from netip.AddrPort, now time.Duration, fx *effects) {
	if len(b) <= 4 { // a keepalive
		return
	}
	a := arrival{way: way{sock: s, to: from}, flow: Flow{Transport: UDP, Local: s.local, Remote: from}, now: now}
	a.familiar = e.door.familiar(from, 0, now)
	response := len(b) > 7 && string(b[:7]) == "SIP/2.0"
	if !a.familiar && !response && !e.door.admit(from.Addr(), now) {
		e.count.dropped.Add(1)
		return
	}
	m, err := sip.Parse(b, false)
	a.m = m
	e.arrived(&a, err, fx)
}

// arrived takes a message, or what could be read of it and why the rest could not.
func (e *Endpoint) arrived(a *arrival, err error, fx *effects) {
	e.count.received.Add(1)
	if err == nil {
		err = a.m.Validate()
	}
	if err != nil {
		e.malformed(a, err, fx)
		return
	}
	if a.m.IsRequest() {
		e.stamp(a)
		e.request(a, fx)
	} else {
		e.response(a, fx)
	}
}

// malformed counts, and answers where there is somebody to answer to.
func (e *Endpoint) malformed(a *arrival, err error, fx *effects) {
	e.shaken.add(err)
	var wrong *sip.Error
	if a.m == nil || !errors.As(err, &wrong) {
		return
	}
	r := wrong.Response(a.m)
	if r == nil || len(a.m.Via) == 0 {
		return
	}
	e.stamp(a)
	r.Via = a.m.Via
	e.stateless(a, r, fx)
}

// stateless answers without a transaction, if strangers have not had enough of that.
func (e *Endpoint) stateless(a *arrival, r *sip.Message, fx *effects) {
	if !a.familiar && !e.door.reply(a.now) {
		e.count.dropped.Add(1)
		return
	}
	if r.To.Tag() == "" {
		r.To.SetTag(e.refused)
	}
	n := len(fx.room)
	b, err := r.Append(fx.room)
	if err != nil { // there is no line in it that the request did not have
		e.count.dropped.Add(1)
		return
	}
	fx.room = b
	fx.send(a.way, b[n:])
}

// busy is 503 with a time to come back, spread so that not all do at once.
func (e *Endpoint) busy(a *arrival, fx *effects) {
	e.count.shed.Add(1)
	r := a.m.Response(503, "")
	wait := e.o.Admission.RetryAfter
	wait += time.Duration(uint64(a.now)) % (wait + 1)
	r.Add("Retry-After", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
	e.stateless(a, r, fx)
}

// stamp puts down where the request came from (RFC 3261 §18.2.1, RFC 3581 §4)
// and finds where the answer goes: over the connection, or to the address it
// came from and there to the port that Via says. maddr is not followed: it
// would send answers wherever a stranger wants.
func (e *Endpoint) stamp(a *arrival) {
	v := &a.m.Via[0]
	remote := a.flow.Remote
	host := remote.Addr().String()
	rport := v.Params.Has("rport")
	port := v.Port
	if port == 0 {
		port = 5060
	}
	if rport {
		port = int(remote.Port())
	}
	if a.way.conn == nil {
		a.way.to = netip.AddrPortFrom(remote.Addr(), uint16(port))
	}
	if !rport && v.Host == host && !v.Params.Has("received") {
		return
	}
	p := make(sip.Params, 0, len(v.Params)+1)
	received := false
	for _, q := range v.Params {
		switch {
		case rport && len(q.Name) == 5 && equalFold(q.Name, "rport"):
			q = sip.Param{Name: "rport", Value: strconv.Itoa(int(remote.Port())), HasValue: true}
		case equalFold(q.Name, "received"):
			q, received = sip.Param{Name: "received", Value: host, HasValue: true}, true
		}
		p = append(p, q)
	}
	if !received {
		p = append(p, sip.Param{Name: "received", Value: host, HasValue: true})
	}
	v.Params = p
}

// request finds the transaction of a request, or begins one.
func (e *Endpoint) request(a *arrival, fx *effects) {
	m := a.m
	switch m.Method {
	case sip.MethodAck:
		e.acknowledged(a, fx)
		return
	case sip.MethodCancel:
		e.cancelled(a, fx)
		return
	}
	id, merged := e.keys.server(m, m.Method), e.keys.merged(m)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return
	}
	if s := e.servers[id]; s != nil {
		e.count.retransmissions.Add(1)
		s.again(fx)
		return
	}
	if e.again(id, a.now, fx) {
		return
	}
	if m.To.Tag() == "" && e.merged[merged] != nil { // RFC 3261 §8.2.2.2
		e.count.merged.Add(1)
		e.stateless(a, m.Response(482, ""), fx)
		return
	}
	s := &Server{Request: m, From: a.flow, e: e, way: a.way, id: id, same: merged, invite: m.Method == sip.MethodInvite}
	s.class = class(a)
	live, most := len(e.servers)+len(e.clients), e.o.Admission.Transactions
	if s.class >= ongoingStranger {
		most /= 2
	}
	if live >= most || !e.enqueue(s, a.now) {
		e.busy(a, fx)
		return
	}
	s.open(a.now)
}

// class is how urgent a request is. What has begun is a dialog, or an exchange
// whose challenge is answered: half of it done would be work for nothing.
func class(a *arrival) int {
	ongoing := a.m.To.Tag() != ""
	if !ongoing {
		_, ongoing = a.m.Lookup("Authorization")
	}
	switch {
	case ongoing && a.familiar:
		return ongoingFamiliar
	case a.familiar:
		return newFamiliar
	case ongoing:
		return ongoingStranger
	}
	return newStranger
}

// again repeats what is kept for a key, and reports whether there is something.
func (e *Endpoint) again(id key, now time.Duration, fx *effects) bool {
	to, socket, message, ok := e.kept.find(id, now)
	if !ok {
		return false
	}
	e.count.retransmissions.Add(1)
	if len(message) > 0 && socket < len(e.sockets) {
		fx.send(way{sock: e.sockets[socket], to: to}, fx.copied(message))
	}
	return true
}

// keep remembers what repeats itself from now on without a transaction; over a
// reliable transport nothing comes again.
func (e *Endpoint) keep(id key, now, life time.Duration, w *way, message []byte) {
	if w.conn == nil && w.sock != nil {
		e.kept.add(id, now, now+life, w.to, w.sock.index, message)
	}
}

// acknowledged takes an ACK: of a final answer that is not 2xx, it ends what
// repeats it (RFC 3261 §17.2.1); of a 2xx, its user is told.
func (e *Endpoint) acknowledged(a *arrival, fx *effects) {
	m := a.m
	if m.To.Tag() == e.refused {
		return
	}
	id := e.keys.server(m, sip.MethodInvite)
	ack := e.keys.ack(m.CallID, m.From.Tag(), m.To.Tag(), m.CSeq.Seq)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return
	}
	if s := e.acks[ack]; s != nil {
		s.finish(m, nil)
		e.keep(ack, a.now, e.o.Timers.T4, &s.way, nil)
		return
	}
	if s := e.servers[id]; s != nil {
		if s.state == completed {
			s.finish(nil, nil)
			e.keep(id, a.now, e.o.Timers.T4, &s.way, nil)
		} else {
			e.count.stray.Add(1) // nothing to acknowledge yet
		}
		return
	}
	if _, _, _, ok := e.kept.find(ack, a.now); ok {
		e.count.retransmissions.Add(1)
		return
	}
	if _, _, _, ok := e.kept.find(id, a.now); ok {
		e.count.retransmissions.Add(1)
		return
	}
	s := &Server{Request: m, From: a.flow, e: e, way: a.way, state: terminated}
	if s.class = class(a); !e.enqueue(s, a.now) {
		e.count.dropped.Add(1)
	}
}

// cancelled takes a CANCEL (RFC 3261 §9.2). It needs no transaction: that it
// comes again changes nothing. Its answer goes before that of the INVITE.
func (e *Endpoint) cancelled(a *arrival, fx *effects) {
	id := e.keys.server(a.m, sip.MethodInvite)
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return
	}
	r := a.m.Response(481, "")
	s := e.servers[id]
	if s != nil && s.From.Remote.Addr() != a.flow.Remote.Addr() { // somebody else's call, who has overheard its branch
		s = nil
	}
	if s != nil && s.invite {
		r = a.m.Response(200, "")
		if r.To.Tag() == "" { // the same as in the answer to the INVITE
			r.To.SetTag(s.toTag())
		}
	} else if _, _, _, ok := e.kept.find(id, a.now); ok {
		r = a.m.Response(200, "")
	}
	e.stateless(a, r, fx)
	e.mu.Unlock()
	if s == nil || !s.invite {
		return
	}
	e.perform(fx)
	e.mu.Lock()
	s.cancel()
	e.mu.Unlock()
}

// response takes a response to the transaction that wants it.
func (e *Endpoint) response(a *arrival, fx *effects) {
	m := a.m
	id := e.keys.client(m.Via[0].Branch(), m.CSeq.Method)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return
	}
	if c := e.clients[id]; c != nil {
		c.response(a, fx)
		return
	}
	e.late(a, id, fx)
}

// late takes a response to a transaction that is over: a final one is answered
// as before, and a 2xx of a fork that nobody waits for is ended.
func (e *Endpoint) late(a *arrival, id key, fx *effects) {
	m := a.m
	_, _, ack, ok := e.kept.find(id, a.now)
	switch {
	case !ok:
		e.count.stray.Add(1)
	case m.Status >= 300 || m.CSeq.Method != sip.MethodInvite:
		e.again(id, a.now, fx)
	case m.Status < 200 || len(ack) > 0: // a 2xx after another final answer is nobody's
		e.count.retransmissions.Add(1)
	case !e.again(e.keys.fork(m.Via[0].Branch(), m.To.Tag()), a.now, fx):
		e.fork(a, fx)
	}
}

func equalFold(s, lower string) bool {
	if len(s) != len(lower) {
		return false
	}
	for i := range len(s) {
		if s[i]|0x20 != lower[i] {
			return false
		}
	}
	return true
}
