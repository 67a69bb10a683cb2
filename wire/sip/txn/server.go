package txn

import (
	"fmt"
	"net/netip"
	"time"

	"campanile.network/wire/sip"
)

// Server is a server transaction (RFC 3261 §17.2, RFC 6026 §7.1), or an ACK that
// belongs to none (Request.Method tells), to which there is no answer.
type Server struct {
	Request *sip.Message
	From    Flow

	e      *Endpoint
	way    way
	id     key // of the transaction
	same   key // of copies of the request
	ackID  key // of the ACK of a 2xx
	invite bool
	class  int
	came   time.Duration

	// Guarded by the endpoint:
	timer     timer
	state     serverState
	cancels   bool
	last      []byte
	tag       string
	cancelsCh chan struct{}
	doneCh    chan struct{}
	onCancel  func()
	onAck     func(*sip.Message, error)
}

// serverState is a state of the server machines; the state Confirmed of an INVITE
// and Completed of others are entries of Endpoint.kept.
type serverState uint8

const (
	proceeding serverState = iota // and Trying: no final answer yet
	completed                     // INVITE: a final answer but 2xx waits for its ACK
	accepted                      // INVITE: a 2xx does
	terminated
)

// open puts a new transaction into the tables.
func (s *Server) open(now time.Duration) {
	e := s.e
	e.servers[s.id] = s
	if s.Request.To.Tag() == "" {
		e.merged[s.same] = s
	}
	s.timer.of = s
	if s.invite {
		s.timer.again, s.timer.end = now+200*time.Millisecond, now+e.o.Timers.Proceeding
	} else {
		s.timer.end = now + 64*e.o.Timers.T1 // the peer has given up by then (RFC 4320 §4.2)
	}
	e.arm(&s.timer)
}

// again answers a retransmission of the request.
func (s *Server) again(fx *effects) {
	if s.last != nil && s.state != accepted {
		fx.send(s.way, s.last)
	}
}

// Respond answers. 1xx may come any number of times before one final answer.
// A 2xx to an INVITE is sent again until its ACK comes or 64*T1 have passed
// (RFC 3261 §13.3.1.4). Via is the request's, whatever m has, and To gets a tag
// where it has none, always the same one.
func (s *Server) Respond(m *sip.Message) error {
	e := s.e
	out := *m
	out.Via = s.Request.Via
	if out.To.Tag() == "" && m.Status > 100 {
		e.mu.Lock()
		out.To.SetTag(s.toTag())
		e.mu.Unlock()
	}
	b, err := out.Append(make([]byte, 0, 512))
	if err != nil {
		return fmt.Errorf("sip: answer %d to %s: %w", m.Status, s.Request.Method, err)
	}
	var fx effects
	var one [1]outgoing
	fx.out = one[:0]
	e.mu.Lock()
	if s.state != proceeding || e.closed {
		e.mu.Unlock()
		return ErrAnswered
	}
	s.answer(out.Status, out.To.Tag(), b, e.now(), &fx)
	e.mu.Unlock()
	e.perform(&fx)
	return nil
}

// Reply is Respond with a status and the standard phrase, or another.
func (s *Server) Reply(status int, reason string) error {
	return s.Respond(s.Request.Response(status, reason))
}

// answer is what an answer does to the state.
func (s *Server) answer(status int, tag string, b []byte, now time.Duration, fx *effects) {
	e, t := s.e, &s.e.o.Timers
	s.reopen()
	fx.send(s.way, b)
	s.last = b
	switch {
	case status < 200:
		s.timer.again = 0
		e.timers.set(&s.timer)
	case !s.invite:
		e.keep(s.id, now, 64*t.T1, &s.way, b) // timer J
		s.finish(nil, nil)
	case status < 300:
		s.state = accepted
		s.tag = tag
		s.ackID = e.keys.ack(s.Request.CallID, s.Request.From.Tag(), tag, s.Request.CSeq.Seq)
		e.acks[s.ackID] = s
		s.timer.again, s.timer.gap, s.timer.end = now+t.T1, t.T1, now+64*t.T1 // timer L
		e.arm(&s.timer)
	default:
		s.state = completed
		s.timer.again, s.timer.end = 0, now+64*t.T1 // timer H
		if !s.way.reliable() {
			s.timer.again, s.timer.gap = now+t.T1, t.T1 // timer G
		}
		e.arm(&s.timer)
		s.close()
	}
}

// reopen finds another way for the answer when the connection that the request
// came over is gone: a new one, to where Via says (RFC 3261 §18.2.2).
func (s *Server) reopen() {
	if s.way.conn == nil || !s.way.conn.gone() {
		return
	}
	to := netip.AddrPortFrom(s.From.Remote.Addr(), port(s.Request.Via[0].Port, s.From.Transport))
	if w, _, err := s.e.wayTo(Target{Transport: s.From.Transport, Addr: to}); err == nil {
		s.way = w
	}
}

// repeat implements transaction: 100 after 200 ms, or timer G, or the 2xx again.
func (s *Server) repeat(now time.Duration, fx *effects) {
	if s.state == proceeding {
		b, err := s.Request.Response(100, "").Append(nil)
		if err == nil {
			s.last = b
			fx.send(s.way, b)
		}
		return
	}
	s.e.count.repeated.Add(1)
	fx.send(s.way, s.last)
	s.timer.gap = min(2*s.timer.gap, s.e.o.Timers.T2)
	s.timer.again = now + s.timer.gap
}

// expire implements transaction.
func (s *Server) expire(now time.Duration, fx *effects) {
	switch {
	case s.state != proceeding: // timer H or L
		s.e.count.unacknowledged.Add(1)
		s.finish(nil, ErrTimeout)
	case s.invite: // nobody has answered it: the caller shall know
		s.e.count.unanswered.Add(1)
		s.cancel()
		r := s.Request.Response(408, "")
		r.To.SetTag(s.toTag())
		if b, err := r.Append(nil); err == nil {
			s.answer(408, r.To.Tag(), b, now, fx)
		}
	default: // RFC 4320 §4.2 wants no 408
		s.e.count.unanswered.Add(1)
		s.finish(nil, ErrTimeout)
	}
}

// finish takes the transaction out of the tables and tells who waits.
func (s *Server) finish(ack *sip.Message, err error) {
	if s.state == terminated {
		return
	}
	e := s.e
	if s.state == accepted {
		delete(e.acks, s.ackID)
		now := e.now()
		e.keep(s.id, now, 64*e.o.Timers.T1, &s.way, nil) // the INVITE may come again (RFC 6026 §7.1)
		if f := s.onAck; f != nil {
			e.wg.Go(func() { f(ack, err) })
		}
	}
	s.state = terminated
	e.timers.stop(&s.timer)
	delete(e.servers, s.id)
	if e.merged[s.same] == s {
		delete(e.merged, s.same)
	}
	s.last, s.onAck, s.onCancel = nil, nil, nil
	s.close()
}

// close tells who waits for Done.
func (s *Server) close() {
	if s.doneCh == nil {
		s.doneCh = s.e.over
	} else if s.doneCh != s.e.over {
		close(s.doneCh)
		s.doneCh = s.e.over
	}
}

// cancel tells who waits for Cancelled, as long as there is no final answer.
func (s *Server) cancel() {
	if s.state != proceeding || s.cancels {
		return
	}
	s.cancels = true
	if s.cancelsCh != nil {
		close(s.cancelsCh)
	}
	if f := s.onCancel; f != nil {
		s.e.wg.Go(f)
	}
}

// toTag is the tag of this end in every answer.
func (s *Server) toTag() string {
	if s.tag == "" {
		s.tag = random(8)
	}
	return s.tag
}

// Cancelled is closed when the peer has cancelled an INVITE that has no final
// answer; the handler answers 487 then (RFC 3261 §9.2). CANCEL itself has been answered.
func (s *Server) Cancelled() <-chan struct{} {
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	if s.cancels {
		return s.e.over
	}
	if s.cancelsCh == nil {
		s.cancelsCh = make(chan struct{})
	}
	return s.cancelsCh
}

// OnCancel has f called in a goroutine when Cancelled is closed, at once if it
// is; it is not called when there is a final answer first.
func (s *Server) OnCancel(f func()) {
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	s.onCancel = f
	if s.cancels && s.state == proceeding && !s.e.closed {
		s.e.wg.Go(f)
	}
}

// OnAck has f called once, in a goroutine, with the ACK of a 2xx, or with an
// error when none came in 64*T1. It is not called for other answers. Set it
// before Respond.
func (s *Server) OnAck(f func(ack *sip.Message, err error)) {
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	s.onAck = f
}

// Done is closed when the transaction needs nothing more of the handler: a
// final answer is out, and of a 2xx to an INVITE, ACK has come or was given up.
func (s *Server) Done() <-chan struct{} {
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	switch {
	case s.state == terminated:
		return s.e.over
	case s.doneCh == nil:
		s.doneCh = make(chan struct{})
	}
	return s.doneCh
}

// dismiss refuses a request that has waited too long.
func (e *Endpoint) dismiss(s *Server, now time.Duration, fx *effects) {
	if s.Request.Method == sip.MethodAck {
		e.count.dropped.Add(1)
		return
	}
	if s.state != proceeding {
		return
	}
	s.finish(nil, ErrFull)
	a := arrival{m: s.Request, way: s.way, flow: s.From, familiar: s.class < ongoingStranger, now: now}
	e.busy(&a, fx)
}
