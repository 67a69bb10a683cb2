package gtpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/wmnsk/go-gtp/gtpv2/ie"
)

// Port is where GTPv2-C requests are sent (TS 29.274 §4.2.1.1).
const Port = 2123

// ErrClosed says that the endpoint's Serve has ended.
var ErrClosed = errors.New("gtpc: endpoint closed")

// ErrNoAnswer says that a peer answered none of the 1+N3 copies of a request.
var ErrNoAnswer = errors.New("gtpc: peer does not answer")

// ErrBusy says that too many requests await their answers.
var ErrBusy = errors.New("gtpc: too many requests in flight")

// PacketConn is the part of *net.UDPConn the endpoint uses.
type PacketConn interface {
	ReadFromUDPAddrPort([]byte) (int, netip.AddrPort, error)
	WriteToUDPAddrPort([]byte, netip.AddrPort) (int, error)
	LocalAddr() net.Addr
	Close() error
}

// Handler answers requests. It is called on the receiving goroutine, one
// message at a time in order of arrival: it must not block and must not call
// Request. Its answer is sent with the request's sequence number, and kept to
// be sent again should the request be repeated; nil sends nothing, Held says
// that Answer will be called. One-way
// messages come here too and their answer is ignored.
type Handler interface {
	HandleGTPC(peer netip.AddrPort, m *Message) *Message
}

// HandlerFunc is a function as a Handler.
type HandlerFunc func(peer netip.AddrPort, m *Message) *Message

// HandleGTPC calls f.
func (f HandlerFunc) HandleGTPC(peer netip.AddrPort, m *Message) *Message { return f(peer, m) }

// Options says how an endpoint behaves; zero values give the defaults named.
type Options struct {
	// Local address to bind when Conn is nil; port 0 means Port.
	Local netip.AddrPort
	// Conn to use instead of a UDP socket bound to Local. The endpoint closes it.
	Conn PacketConn
	// Handler for requests; required.
	Handler Handler
	// RestartCounter goes into Recovery elements (TS 29.274 §8.5). It must
	// differ from the last run's, best by one (TS 23.007 §16.1A.1).
	RestartCounter uint8
	// T3 is the time between two copies of a request: 3 s (TS 29.274 §7.6).
	T3 time.Duration
	// N3 is the number of copies after the first: 3.
	N3 int
	// EchoEvery is the time between two Echo Requests to a peer: 60 s, the
	// least TS 23.007 §20.1 allows; negative sends none.
	EchoEvery time.Duration
	// Accept says whom to listen to; nil listens to everybody. GTPv2-C proves
	// nothing about a sender, so this keeps out accidents and neighbours, not
	// forgers.
	Accept func(netip.Addr) bool
	// OnPeerRestart is told that a peer's restart counter changed: what it held
	// is gone. It runs on the receiving goroutine before the message that told
	// is handled, so the Handler's rules hold for it too.
	OnPeerRestart func(peer netip.Addr, counter uint8)
	// OnPath is told when a peer stops (false) or starts again (true) to answer
	// Echo Requests. It must not block.
	OnPath func(peer netip.Addr, up bool)
	// Logger; required.
	Logger *slog.Logger
}

// Endpoint is one GTPv2-C entity on one socket.
type Endpoint struct {
	o    Options
	conn PacketConn
	log  *slog.Logger
	done chan struct{} // closed when Serve ends
	stop sync.Once

	mu      sync.Mutex
	seq     uint32
	pending map[txKey]chan *Message
	answers answerCache
	peers   map[netip.Addr]*peer

	drops [dropReasons]counter
	sent  counter
	got   counter
	again counter
}

// maxPending bounds requests in flight; maxPeers the peers under supervision.
const (
	maxPending = 16384
	maxPeers   = 1024
)

// NewEndpoint binds the socket; Serve makes it live.
func NewEndpoint(o Options) (*Endpoint, error) {
	if o.Handler == nil || o.Logger == nil {
		return nil, errors.New("gtpc: Options need a Handler and a Logger")
	}
	if o.T3 <= 0 {
		o.T3 = 3 * time.Second
	}
	if o.N3 <= 0 {
		o.N3 = 3
	}
	if o.EchoEvery == 0 {
		o.EchoEvery = time.Minute
	}
	conn := o.Conn
	if conn == nil {
		a := o.Local
		if !a.IsValid() {
			return nil, errors.New("gtpc: Options name neither Local nor Conn")
		}
		if a.Port() == 0 {
			a = netip.AddrPortFrom(a.Addr(), Port)
		}
		c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(a))
		if err != nil {
			return nil, fmt.Errorf("gtpc: cannot bind %v: %w", a, err)
		}
		conn = c
	}
	e := &Endpoint{
		o: o, conn: conn, log: o.Logger, done: make(chan struct{}),
		seq:     rand.Uint32N(1 << 23),
		pending: make(map[txKey]chan *Message),
		peers:   make(map[netip.Addr]*peer),
	}
	e.answers.init(o.T3 * time.Duration(o.N3+2))
	return e, nil
}

// LocalAddr is the bound address.
func (e *Endpoint) LocalAddr() netip.AddrPort {
	if a, ok := e.conn.LocalAddr().(*net.UDPAddr); ok {
		ap := a.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}

// Recovery is the element with this endpoint's restart counter.
func (e *Endpoint) Recovery() *ie.IE { return ie.NewRecovery(e.o.RestartCounter) }

// Serve receives until ctx ends or the socket fails; it returns when nothing
// it started is running any more, and then every waiting Request has ended.
// It can be called once.
func (e *Endpoint) Serve(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		<-ctx.Done()
		e.Close()
	})
	if e.o.EchoEvery > 0 {
		wg.Go(func() { e.supervise(ctx, &wg) })
	}
	err := e.receive(ctx)
	cancel()
	wg.Wait()
	return err
}

// Close frees the socket of an endpoint; a running Serve ends.
func (e *Endpoint) Close() error {
	e.stop.Do(func() {
		close(e.done)
		e.conn.Close()
	})
	return nil
}

func (e *Endpoint) receive(ctx context.Context) error {
	buf := make([]byte, 65536)
	for {
		n, from, err := e.conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return nil
			}
			return fmt.Errorf("gtpc: receive on %v: %w", e.LocalAddr(), err)
		}
		e.got.Add(1)
		from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		if e.o.Accept != nil && !e.o.Accept(from.Addr()) {
			e.drop(DropStranger, from, nil)
			continue
		}
		e.datagram(from, buf[:n])
	}
}

// datagram handles one datagram to its end: answered, handed on or dropped for
// a counted reason.
func (e *Endpoint) datagram(from netip.AddrPort, b []byte) {
	m, err := Parse(b)
	if err != nil {
		e.malformed(from, b, m, err)
		return
	}
	switch r := m.Type.row(); {
	case m.Type == EchoRequest:
		e.notePeer(from.Addr(), m)
		e.reply(from, &Message{Type: EchoResponse, Seq: m.Seq, IEs: []*ie.IE{e.Recovery()}})
	case m.Type == VersionNotSupported:
		e.drop(DropVersionIndication, from, nil)
	case r.kind == response:
		e.answer(from, m)
	case r.kind != unknown:
		e.request(from, m, r.kind)
	default:
		e.drop(DropUnknownType, from, fmt.Errorf("%v", m.Type))
	}
}

// malformed answers what TS 29.274 §7.7 wants answered and counts the rest.
func (e *Endpoint) malformed(from netip.AddrPort, b []byte, m *Message, err error) {
	switch {
	case errors.Is(err, ErrVersion):
		// TS 29.274 §7.7.2: name the version supported, but never answer such an
		// indication, nor version 1 (GTP' and GTPv1 have other rules).
		if b[0]>>5 > 2 && Type(b[1]) != VersionNotSupported {
			e.reply(from, &Message{Type: VersionNotSupported})
		}
		e.drop(DropVersion, from, err)
	case errors.Is(err, ErrShort):
		e.drop(DropShort, from, err)
	case errors.Is(err, ErrLength):
		e.drop(DropLength, from, err)
	default:
		e.drop(DropMalformed, from, err)
	}
}

// request hands a first copy to the handler and repeats the answer to later
// copies (TS 29.274 §7.6).
func (e *Endpoint) request(from netip.AddrPort, m *Message, k kind) {
	key := txKey{from, m.Seq, m.Type}
	now := time.Now()
	e.mu.Lock()
	old, seen := e.answers.get(key, now)
	e.mu.Unlock()
	if seen {
		e.drop(DropRepeated, from, nil)
		if old != nil {
			e.write(old, from)
		}
		return
	}
	e.notePeer(from.Addr(), m)
	if m.Seq&commanded != 0 {
		e.triggered(from, m)
	}
	e.remember(key, nil, now) // before the handler, for it may be answered at once
	res := e.o.Handler.HandleGTPC(from, m)
	if res != nil && res.held {
		return
	}
	if res == nil || k == oneWay {
		if k != oneWay {
			e.drop(DropUnanswered, from, fmt.Errorf("%v", m.Type))
			e.forget(key)
		}
		return
	}
	e.Answer(from, m, res)
}

// Answer sends the answer to a request that the Handler held, and keeps it to be
// sent again. It may be called from any goroutine.
func (e *Endpoint) Answer(peer netip.AddrPort, request, res *Message) {
	res.Seq = request.Seq
	if b := e.reply(peer, res); b != nil {
		e.remember(txKey{peer, request.Seq, request.Type}, b, time.Now())
	}
}

func (e *Endpoint) forget(key txKey) {
	e.mu.Lock()
	delete(e.answers.m, key)
	e.mu.Unlock()
}

func (e *Endpoint) remember(key txKey, b []byte, now time.Time) {
	e.mu.Lock()
	e.answers.put(key, b, now)
	e.mu.Unlock()
}

func (e *Endpoint) reply(to netip.AddrPort, m *Message) []byte {
	b, err := m.Marshal()
	if err != nil {
		e.log.Error("gtpc: answer not sent", "peer", to, "error", err)
		return nil
	}
	e.write(b, to)
	return b
}

// write sends b; what a datagram network loses is retransmission's business.
func (e *Endpoint) write(b []byte, to netip.AddrPort) {
	if _, err := e.conn.WriteToUDPAddrPort(b, to); err != nil {
		e.drop(DropSend, to, err)
		return
	}
	e.sent.Add(1)
}
