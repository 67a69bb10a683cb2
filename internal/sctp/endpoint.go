package sctp

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Userspace is an endpoint of our own stack: one socket, of UDP (RFC 6951, [NewUDP]) or of plain IP packets ([NewRaw]), that carries many
// associations, both dialled and accepted.
type Userspace struct {
	o     Options
	conn  Datagrams
	ip    netip.Addr
	count counters
	held  atomic.Int64   // bytes of messages, see memory.go
	wg    sync.WaitGroup // the reader and the pending timer callbacks of all associations

	mu        sync.RWMutex // taken after an association's mutex, never before it
	assocs    map[flow]*assoc
	aliases   map[flow]*assoc // further addresses of multi-homed peers
	listeners map[uint16]*listener
	nextPort  uint16
	closing   bool
	idle      chan struct{} // closed when closing and the last association is gone

	blocks blocks

	rmu sync.Mutex // guards o.Rand

	// Used by the reader only.
	keys    cookieKeys
	scratch []byte
}

var _ Endpoint = (*Userspace)(nil)

// flow is what an association is found by.
type flow struct {
	ip           netip.Addr
	remote, home uint16
}

// NewUDP opens the socket (or takes Options.Conn) and starts reading. Options that contradict each other, an unspecific address and a UDP port
// in use are errors.
func NewUDP(o Options) (*Userspace, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	var keys cookieKeys
	if err := keys.renew(o.Rand, time.Now()); err != nil {
		return nil, fmt.Errorf("sctp: cookie key: %w", err)
	}
	conn := o.Conn
	if conn == nil {
		if conn, err = openUDP(o.Local); err != nil {
			return nil, err
		}
	}
	if _, ok := conn.(splitter); !ok {
		o.BaseMTU = o.MTU // without DF a probe says nothing
	}
	e := &Userspace{o: o, conn: conn, ip: conn.LocalAddr().Addr(), assocs: map[flow]*assoc{}, aliases: map[flow]*assoc{},
		listeners: map[uint16]*listener{},
		idle:      make(chan struct{}), keys: keys}
	e.nextPort = 49152 + uint16(e.random32()%16384)
	e.wg.Go(e.read)
	return e, nil
}

// EncapAddr is the IP address and UDP port the endpoint is bound to; the port is 0 without UDP.
func (e *Userspace) EncapAddr() netip.AddrPort { return e.conn.LocalAddr() }

// random32 returns a random number that is never zero, so that it can be a verification tag (RFC 9260 §5.3.1).
func (e *Userspace) random32() uint32 {
	e.rmu.Lock()
	defer e.rmu.Unlock()
	for {
		var b [4]byte
		if _, err := io.ReadFull(e.o.Rand, b[:]); err != nil {
			panic("sctp: random source failed: " + err.Error()) // crypto/rand never does
		}
		if v := binary.BigEndian.Uint32(b[:]); v != 0 {
			return v
		}
	}
}

// Listen implements [Endpoint].
func (e *Userspace) Listen(port uint16) (Listener, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closing {
		return nil, ErrClosed
	}
	if port == 0 {
		p, ok := e.freePort(netip.AddrPort{})
		if !ok {
			return nil, ErrPortInUse
		}
		port = p
	}
	if e.listeners[port] != nil {
		return nil, fmt.Errorf("%w: %d", ErrPortInUse, port)
	}
	l := &listener{e: e, port: port, queue: make(chan *assoc, e.o.Backlog), done: make(chan struct{})}
	e.listeners[port] = l
	return l, nil
}

// freePort finds an SCTP port with no listener and no association to remote. e.mu is held.
func (e *Userspace) freePort(remote netip.AddrPort) (uint16, bool) {
	for range 16384 {
		p := e.nextPort
		if e.nextPort++; e.nextPort < 49152 {
			e.nextPort = 49152
		}
		if e.listeners[p] == nil && e.assocs[flow{remote.Addr(), remote.Port(), p}] == nil {
			return p, true
		}
	}
	return 0, false
}

// Dial implements [Endpoint]. A peer that refuses yields *AbortError, one that is silent ErrNoAnswer or ctx's error.
func (e *Userspace) Dial(ctx context.Context, remote netip.AddrPort, o DialOptions) (Association, error) {
	remote = netip.AddrPortFrom(remote.Addr().Unmap(), remote.Port())
	if !remote.IsValid() || remote.Port() == 0 || !unicast(remote.Addr()) {
		return nil, fmt.Errorf("sctp: cannot dial %v: a unicast address and a port are needed", remote)
	}
	def(&o.EncapPort, e.o.RemoteEncapPort)
	a := newAssoc(e, remote, o.LocalPort, netip.AddrPortFrom(remote.Addr(), o.EncapPort))
	if err := e.add(a, o.LocalPort == 0); err != nil {
		return nil, fmt.Errorf("sctp: dial %v: %w", remote, err)
	}
	a.connect()
	select {
	case <-a.up:
		return a, nil
	case <-a.done:
		return nil, fmt.Errorf("sctp: dial %v: %w", remote, a.Err())
	case <-ctx.Done():
		a.Abort("dial given up")
		return nil, fmt.Errorf("sctp: dial %v: %w", remote, ctx.Err())
	}
}

// add registers an association, giving it a free port if wanted.
func (e *Userspace) add(a *assoc, pickPort bool) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closing {
		return ErrClosed
	}
	if len(e.assocs) >= e.o.MaxAssociations {
		return errors.New("too many associations")
	}
	if pickPort {
		p, ok := e.freePort(a.peer)
		if !ok {
			return ErrPortInUse
		}
		a.port = p
	}
	k := a.flow()
	if e.assocs[k] != nil {
		return ErrPortInUse
	}
	e.assocs[k] = a
	return nil
}

// remove forgets an association; its mutex is held.
func (e *Userspace) remove(a *assoc) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if k := a.flow(); e.assocs[k] == a {
		delete(e.assocs, k)
		for i := range a.paths {
			if o := (flow{a.paths[i].addr.Addr(), k.remote, k.home}); e.aliases[o] == a {
				delete(e.aliases, o)
			}
		}
		e.count.ended.Add(1)
		if e.closing && len(e.assocs) == 0 {
			close(e.idle)
		}
	}
}

// alias makes packets from the peer's further addresses find the association; its mutex is held. An address that has an association of its own
// keeps that.
func (e *Userspace) alias(a *assoc) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range a.paths {
		if k := (flow{a.paths[i].addr.Addr(), a.peer.Port(), a.port}); i > 0 && e.aliases[k] == nil {
			e.aliases[k] = a
		}
	}
}

func (e *Userspace) find(k flow) (*assoc, *listener) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	a := e.assocs[k]
	if a == nil {
		a = e.aliases[k]
	}
	return a, e.listeners[k.home]
}

// Close implements [Endpoint].
func (e *Userspace) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), e.o.CloseTimeout)
	defer cancel()
	return e.Shutdown(ctx)
}

// Shutdown implements [Endpoint]. It returns ctx's error if associations had to be aborted.
func (e *Userspace) Shutdown(ctx context.Context) error {
	e.mu.Lock()
	if e.closing {
		e.mu.Unlock()
		e.wg.Wait()
		return nil
	}
	e.closing = true
	for _, l := range e.listeners {
		l.stop()
	}
	clear(e.listeners)
	open := make([]*assoc, 0, len(e.assocs))
	for _, a := range e.assocs {
		open = append(open, a)
	}
	if len(open) == 0 {
		close(e.idle)
	}
	e.mu.Unlock()
	for _, a := range open {
		a.startShutdown()
	}
	var err error
	select {
	case <-e.idle:
	case <-ctx.Done():
		err = ctx.Err()
		for _, a := range open {
			a.Abort("endpoint closed")
		}
		<-e.idle
	}
	cerr := e.conn.Close()
	e.wg.Wait()
	return errors.Join(err, cerr)
}

// read is the endpoint's only reader; it runs until the socket is closed.
func (e *Userspace) read() {
	buf := make([]byte, 1<<16)
	for failures := 0; failures < 1000; {
		n, from, err := e.conn.ReadFrom(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			e.count.drop(dropReadError)
			failures++
			continue
		}
		failures = 0
		e.count.in.Add(1)
		e.input(buf[:n], from)
	}
	e.o.Logger.Error("sctp: socket fails on every read, endpoint is deaf", "addr", e.conn.LocalAddr())
}

// write seals and sends one packet.
func (e *Userspace) write(p []byte, to netip.AddrPort) error {
	seal(p)
	e.count.out.Add(1)
	err := e.conn.WriteTo(p, to)
	if err != nil {
		e.count.drop(dropSendError)
	}
	return err
}

// writeSplit sends one packet that the network may cut.
func (e *Userspace) writeSplit(p []byte, to netip.AddrPort) {
	s, ok := e.conn.(splitter)
	if !ok {
		_ = e.write(p, to) // counted there
		return
	}
	seal(p)
	e.count.out.Add(1)
	if err := s.WriteSplit(p, to); err != nil {
		e.count.drop(dropSendError)
	}
}

func unicast(a netip.Addr) bool {
	return a.IsValid() && !a.IsUnspecified() && !a.IsMulticast() && a != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// listener is the Listener of a Userspace.
type listener struct {
	e     *Userspace
	port  uint16
	queue chan *assoc
	once  sync.Once
	done  chan struct{}
}

func (l *listener) Addr() netip.AddrPort { return netip.AddrPortFrom(l.e.ip, l.port) }

func (l *listener) Accept(ctx context.Context) (Association, error) {
	select {
	case <-l.done:
		return nil, ErrClosed
	default:
	}
	select {
	case a := <-l.queue:
		return a, nil
	case <-l.done:
		return nil, ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *listener) stop() { l.once.Do(func() { close(l.done) }) }

func (l *listener) Close() error {
	l.e.mu.Lock()
	if l.e.listeners[l.port] == l {
		delete(l.e.listeners, l.port)
	}
	l.stop()
	l.e.mu.Unlock()
	for {
		select {
		case a := <-l.queue:
			a.Abort("listener closed")
		default:
			return nil
		}
	}
}
