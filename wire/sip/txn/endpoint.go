package txn

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Endpoint is a host's SIP transports and transactions.
type Endpoint struct {
	o         Options
	keys      keys
	refused   string // To tag of answers without a transaction
	begun     time.Time
	sockets   []*socket
	listeners []listener

	wg      sync.WaitGroup
	closing chan struct{}
	over    chan struct{} // always closed
	sooner  chan struct{} // an earlier timer than the one waited for
	work    chan struct{} // the queue has something
	jobs    chan *Server  // to goroutines that wait for one
	idle    atomic.Int32  // how many do
	ctx     context.Context
	handler Handler

	door   door
	count  counters
	shaken broken

	mu      sync.Mutex
	closed  bool
	servers map[key]*Server
	acks    map[key]*Server // 2xx that wait for their ACK
	merged  map[key]*Server
	clients map[key]*Client
	kept    kept
	timers  schedule
	alarm   time.Duration // when keepTime wakes
	queue   queue
	streams streams
}

// Listen opens the sockets; nothing is read before Serve.
func Listen(o Options) (*Endpoint, error) {
	o.defaults()
	e := newEndpoint(o)
	if err := e.open(); err != nil {
		e.shut()
		return nil, fmt.Errorf("sip: %w", err)
	}
	if len(e.sockets)+len(e.listeners) == 0 {
		return nil, errors.New("sip: no address to listen on: name one of UDP, TCP, TLS")
	}
	return e, nil
}

// newEndpoint has no sockets yet.
func newEndpoint(o Options) *Endpoint {
	e := &Endpoint{o: o, keys: newKeys(), refused: random(8), begun: time.Now(), closing: make(chan struct{}), over: make(chan struct{}),
		sooner: make(chan struct{}, 1), work: make(chan struct{}, 1), jobs: make(chan *Server), ctx: context.Background(),
		servers: make(map[key]*Server), acks: make(map[key]*Server), merged: make(map[key]*Server), clients: make(map[key]*Client),
		kept: newKept(o.Memory), queue: newQueue(o.Admission), door: newDoor(o.Admission), streams: newStreams()}
	close(e.over)
	return e
}

func (o *Options) defaults() {
	or(&o.Timers.T1, 500*time.Millisecond)
	or(&o.Timers.T2, 4*time.Second)
	or(&o.Timers.T4, 5*time.Second)
	or(&o.Timers.Proceeding, 5*time.Minute)
	or(&o.Admission.Transactions, 65536)
	or(&o.Admission.Queue, 4096)
	or(&o.Admission.Delay, 200*time.Millisecond)
	or(&o.Admission.Rate, 100)
	or(&o.Admission.Burst, 400)
	or(&o.Admission.Replies, 2000)
	or(&o.Admission.RetryAfter, 5*time.Second)
	or(&o.Streaming.Connections, 10000)
	or(&o.Streaming.PerPeer, 64)
	or(&o.Streaming.Idle, 10*time.Minute)
	or(&o.Streaming.Newcomer, 20*time.Second)
	or(&o.Streaming.Message, 20*time.Second)
	or(&o.Streaming.Dial, 5*time.Second)
	or(&o.Streaming.Pending, 256<<10)
	or(&o.Memory, 64<<20)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Dial == nil {
		o.Dial = func(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", to.String())
		}
	}
}

func or[T comparable](v *T, standard T) {
	var zero T
	if *v == zero {
		*v = standard
	}
}

// open takes the sockets the caller has, and opens those it wants.
func (e *Endpoint) open() error {
	for _, p := range e.o.Packets {
		e.addSocket(p)
	}
	for _, l := range e.o.Streams {
		e.listeners = append(e.listeners, listener{l, TCP})
	}
	for _, a := range e.o.UDP {
		c, err := net.ListenUDP(family("udp", a), net.UDPAddrFromAddrPort(a))
		if err != nil {
			return err
		}
		enlarge(c)
		e.addSocket(c)
	}
	if len(e.o.TLS) > 0 && e.o.TLSConfig == nil {
		return errors.New("TLS without TLSConfig: give it a certificate")
	}
	for _, list := range []struct {
		transport string
		at        []netip.AddrPort
	}{{TCP, e.o.TCP}, {TLS, e.o.TLS}} {
		for _, a := range list.at {
			l, err := net.Listen(family("tcp", a), a.String())
			if err != nil {
				return err
			}
			e.listeners = append(e.listeners, listener{l, list.transport})
		}
	}
	return nil
}

// family keeps the IP versions apart: each socket is one of them.
func family(network string, a netip.AddrPort) string {
	if a.Addr().Unmap().Is4() {
		return network + "4"
	}
	return network + "6"
}

func addrPort(a net.Addr) netip.AddrPort {
	switch a := a.(type) {
	case *net.UDPAddr:
		p := a.AddrPort()
		return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
	case *net.TCPAddr:
		p := a.AddrPort()
		return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
	}
	p, _ := netip.ParseAddrPort(a.String())
	return p
}

// Serve reads and answers until ctx ends. When it returns, nothing it or a
// handler of it has started is running, and the sockets are closed. An endpoint
// serves once.
func (e *Endpoint) Serve(ctx context.Context, h Handler) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	e.mu.Lock()
	if e.closed || e.handler != nil {
		e.mu.Unlock()
		return ErrClosed
	}
	e.ctx, e.handler = ctx, h
	e.mu.Unlock()
	failed := make(chan error, len(e.sockets)+len(e.listeners))
	e.wg.Go(e.keepTime)
	e.wg.Go(e.dispatch)
	for _, s := range e.sockets {
		e.wg.Go(func() { failed <- e.readPackets(s) })
	}
	for _, l := range e.listeners {
		e.wg.Go(func() { failed <- e.accept(l) })
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed: // nil after Close
		if err != nil {
			err = fmt.Errorf("sip: %w", err)
		}
	}
	e.shut()
	cancel()
	e.wg.Wait()
	return err
}

// Close ends the endpoint, and Serve with it; one that was not served, too.
func (e *Endpoint) Close() { e.shut() }

// shut ends everything: those who wait are told.
func (e *Endpoint) shut() {
	e.mu.Lock()
	if !e.closed {
		e.closed = true
		close(e.closing)
		for _, c := range e.clients {
			c.finish(ErrClosed)
		}
		for _, s := range e.servers {
			s.finish(nil, ErrClosed)
		}
		for _, c := range e.streams.all {
			c.end()
		}
	}
	e.mu.Unlock()
	for _, s := range e.sockets {
		_ = s.conn.Close()
	}
	for _, l := range e.listeners {
		_ = l.Close()
	}
}

// now is the time since the endpoint was made, never 0.
func (e *Endpoint) now() time.Duration { return time.Since(e.begun) + 1 }

// Local is the address that peers of a transport send to, the first it listens on.
func (e *Endpoint) Local(transport string) (netip.AddrPort, bool) {
	if transport == UDP && len(e.sockets) > 0 {
		return e.sockets[0].local, true
	}
	for _, l := range e.listeners {
		if l.transport == transport {
			return addrPort(l.Addr()), true
		}
	}
	return netip.AddrPort{}, false
}

// Know puts a flow (UDP: its remote address) among those that strangers cannot
// crowd out, such as a registered phone's, until a time; the past forgets it.
// It is bounded by its caller's own bound of registrations.
func (e *Endpoint) Know(f Flow, until time.Time) {
	e.door.know(f, until)
}

// way is how a message goes: from a socket to an address, or over a connection.
type way struct {
	sock *socket
	conn *conn
	to   netip.AddrPort
}

func (w *way) reliable() bool { return w.conn != nil }

// send gives a message to the transport.
func (e *Endpoint) send(w *way, b []byte) error {
	e.count.sent.Add(1)
	if w.conn != nil {
		return w.conn.write(b)
	}
	if w.sock == nil {
		return ErrTransport
	}
	if _, err := w.sock.conn.WriteToUDPAddrPort(b, w.to); err != nil {
		return fmt.Errorf("%w: %w", ErrTransport, err)
	}
	return nil
}

// effects are messages to be sent when the endpoint is no more locked.
type effects struct {
	out  []outgoing
	room []byte
}

type outgoing struct {
	way way
	b   []byte
}

func (fx *effects) send(w way, b []byte) { fx.out = append(fx.out, outgoing{w, b}) }

// copied is b in the effects' own room, valid until they are performed.
func (fx *effects) copied(b []byte) []byte {
	n := len(fx.room)
	fx.room = append(fx.room, b...)
	return fx.room[n:]
}

func (e *Endpoint) perform(fx *effects) {
	for i := range fx.out {
		if err := e.send(&fx.out[i].way, fx.out[i].b); err != nil {
			e.count.unsent.Add(1)
		}
		fx.out[i] = outgoing{}
	}
	fx.out, fx.room = fx.out[:0], fx.room[:0]
}
