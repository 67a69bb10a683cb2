package gtpc

import (
	"context"
	"fmt"
	"net/netip"
	"time"
)

// txKey names a transaction: the other end, the sequence number, and the type
// of its first message.
type txKey struct {
	peer netip.AddrPort
	seq  uint32
	typ  Type
}

// Request sends m to peer, again every T3 up to N3 times, and waits for its
// answer (TS 29.274 §7.6). It fails with ErrNoAnswer, ErrClosed, ErrBusy or
// ctx's error; the cause in the answer is the caller's to Check. It sets m.Seq.
func (e *Endpoint) Request(ctx context.Context, peer netip.AddrPort, m *Message) (*Message, error) {
	if m.Type.row().kind != request {
		return nil, fmt.Errorf("gtpc: %v is no request", m.Type)
	}
	return e.transact(ctx, peer, m, func() uint32 { return e.nextSeq() })
}

// Trigger is Request for what a command of peer asks for: with the command's
// sequence number.
func (e *Endpoint) Trigger(ctx context.Context, peer netip.AddrPort, cmd, m *Message) (*Message, error) {
	if m.Type.row().kind != request || cmd.Type.row().kind != command {
		return nil, fmt.Errorf("gtpc: %v is triggered by no %v", m.Type, cmd.Type)
	}
	return e.transact(ctx, peer, m, func() uint32 { return cmd.Seq })
}

// transact sends m with a sequence number of seq's and awaits its outcome.
func (e *Endpoint) transact(ctx context.Context, peer netip.AddrPort, m *Message, seq func() uint32) (*Message, error) {
	got := make(chan *Message, 1)
	key, err := e.begin(peer, m, got, seq)
	if err != nil {
		return nil, fmt.Errorf("%v to %v: %w", m.Type, peer, err)
	}
	defer func() {
		e.mu.Lock()
		delete(e.pending, key)
		e.mu.Unlock()
	}()
	b, err := m.Marshal()
	if err != nil {
		return nil, err
	}
	t3 := time.NewTicker(e.o.T3)
	defer t3.Stop()
	for try := 0; ; try++ {
		if try > e.o.N3 {
			return nil, fmt.Errorf("%v to %v: %w (%d copies in %v)", m.Type, peer, ErrNoAnswer, try, e.o.T3*time.Duration(try))
		}
		if try > 0 {
			e.again.Add(1)
		}
		e.write(b, peer)
		select {
		case res := <-got:
			return res, nil
		case <-t3.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("%v to %v: %w", m.Type, peer, ctx.Err())
		case <-e.done:
			return nil, fmt.Errorf("%v to %v: %w", m.Type, peer, ErrClosed)
		}
	}
}

// begin gives m a sequence number that no transaction with peer uses; ErrBusy if
// seq always gives one that is used.
func (e *Endpoint) begin(peer netip.AddrPort, m *Message, got chan *Message, seq func() uint32) (txKey, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.pending) >= maxPending {
		return txKey{}, ErrBusy
	}
	for range maxPending + 1 {
		key := txKey{peer, seq(), m.Type}
		if _, taken := e.pending[key]; !taken {
			m.Seq = key.seq
			e.pending[key] = got
			return key, nil
		}
	}
	return txKey{}, ErrBusy
}

// nextSeq counts through the 23 bits of TS 29.274 §7.6; the highest bit is set
// only in messages that a Command triggered. The caller holds mu.
func (e *Endpoint) nextSeq() uint32 {
	e.seq = (e.seq + 1) & 0x7fffff
	return e.seq
}

// Send sends a message that has no answer, once.
func (e *Endpoint) Send(peer netip.AddrPort, m *Message) error {
	if m.Type.row().kind != oneWay {
		return fmt.Errorf("gtpc: %v has an answer: use Request", m.Type)
	}
	e.mu.Lock()
	m.Seq = e.nextSeq()
	e.mu.Unlock()
	b, err := m.Marshal()
	if err != nil {
		return err
	}
	e.write(b, peer)
	return nil
}

// commanded is set in the sequence numbers of commands and of the requests that
// they trigger (TS 29.274 §7.6).
const commanded = 0x800000

// Triggered says that a request was triggered by a command, whose sequence number it has.
func (m *Message) Triggered() bool { return m.Seq&commanded != 0 }

// Command sends a command to peer as Request does and waits for what it triggers,
// which is given: a failure indication with its cause, or a request that the
// Handler sees as well.
func (e *Endpoint) Command(ctx context.Context, peer netip.AddrPort, m *Message) (*Message, error) {
	if m.Type.row().kind != command {
		return nil, fmt.Errorf("gtpc: %v is no command", m.Type)
	}
	return e.transact(ctx, peer, m, func() uint32 { return e.nextSeq() | commanded })
}

// triggered tells who waits for the outcome of a command that it has begun.
func (e *Endpoint) triggered(from netip.AddrPort, m *Message) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, t := range []Type{ModifyBearerCommand, DeleteBearerCommand, BearerResourceCommand} {
		key := txKey{from, m.Seq, t}
		if got := e.pending[key]; got != nil {
			delete(e.pending, key)
			got <- m
			return
		}
	}
}

// answer gives a response to whoever waits for it.
func (e *Endpoint) answer(from netip.AddrPort, m *Message) {
	e.mu.Lock()
	var got chan *Message
	for _, t := range requestsOf(m.Type) {
		key := txKey{from, m.Seq, t}
		if got = e.pending[key]; got != nil {
			delete(e.pending, key)
			break
		}
	}
	e.mu.Unlock()
	if got == nil {
		e.drop(DropUnasked, from, fmt.Errorf("%v, sequence %#x", m.Type, m.Seq))
		return
	}
	e.notePeer(from.Addr(), m)
	got <- m
}

// requestsOf gives the request types that t answers.
func requestsOf(t Type) []Type {
	switch t {
	case EchoResponse:
		return []Type{EchoRequest}
	case CreateSessionResponse, ModifyBearerResponse, DeleteSessionResponse, CreateBearerResponse, UpdateBearerResponse,
		DeleteBearerResponse, CreateForwardingResponse, DeleteForwardingResponse, ModifyBearerFailure, DeleteBearerFailure, BearerResourceFailure,
		ReleaseAccessBearersResp, DownlinkDataNotificationAck,
		ChangeNotificationResponse, SuspendAcknowledge, ResumeAcknowledge, PGWRestartAcknowledge:
		return []Type{t - 1} // in this part of the table an answer follows its request
	}
	return nil
}

// answerCache keeps what was answered, oldest first, bounded in number and
// time. It is not safe for concurrent use.
type answerCache struct {
	life time.Duration
	m    map[txKey]cached
	fifo []txKey
}

type cached struct {
	b     []byte
	until time.Time
}

// maxAnswers bounds the cache; at 200 octets an answer this is about 4 MB.
const maxAnswers = 16384

func (c *answerCache) init(life time.Duration) {
	c.life, c.m = life, make(map[txKey]cached)
}

func (c *answerCache) get(k txKey, now time.Time) (b []byte, ok bool) {
	c.expire(now)
	v, ok := c.m[k]
	return v.b, ok
}

func (c *answerCache) put(k txKey, b []byte, now time.Time) {
	c.expire(now)
	if len(c.fifo) >= maxAnswers {
		delete(c.m, c.fifo[0])
		c.fifo = c.fifo[1:]
	}
	if _, ok := c.m[k]; !ok {
		c.fifo = append(c.fifo, k)
	}
	c.m[k] = cached{b, now.Add(c.life)}
}

func (c *answerCache) expire(now time.Time) {
	for len(c.fifo) > 0 && c.m[c.fifo[0]].until.Before(now) {
		delete(c.m, c.fifo[0])
		c.fifo = c.fifo[1:]
	}
}
