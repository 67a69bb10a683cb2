package txn

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"campanile.network/wire/sip"
)

// listener accepts connections of one transport.
type listener struct {
	net.Listener
	transport string
}

// peer is what an outgoing connection is used again for.
type peer struct {
	transport string
	addr      netip.AddrPort
	name      string
}

// conn is one connection, or one that is being opened.
type conn struct {
	e        *Endpoint
	flow     Flow // complete once it is open
	peer     peer
	came     bool // and was not opened from here
	familiar bool // came from a trusted address

	mu      sync.Mutex
	nc      net.Conn // nil until it is open
	ready   bool     // and TLS, if any, has shaken hands
	stop    context.CancelFunc
	pending [][]byte
	size    int
	writing bool
	closed  bool
	heard   time.Duration // when something came last
	spoken  bool          // a whole message has come
}

// errNoRoom is a peer that does not read what it is sent.
var errNoRoom = fmt.Errorf("%w: the peer does not read", ErrTransport)

// write queues a message; a goroutine writes while there are any.
func (c *conn) write(b []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return fmt.Errorf("%w: the connection to %v is closed", ErrTransport, c.peer.addr)
	case c.size+len(b) > c.e.o.Streaming.Pending:
		return errNoRoom
	}
	c.pending = append(c.pending, append([]byte(nil), b...))
	c.size += len(b)
	c.flush()
	return nil
}

// flush starts the writer when there is something to write.
func (c *conn) flush() {
	if !c.writing && c.ready && len(c.pending) > 0 {
		c.writing = true
		c.e.wg.Go(c.writeAll)
	}
}

func (c *conn) writeAll() {
	size := 0
	for {
		c.mu.Lock()
		c.size -= size
		list := net.Buffers(c.pending)
		c.pending, size = nil, c.size
		if len(list) == 0 || c.closed {
			c.writing = false
			c.mu.Unlock()
			return
		}
		c.mu.Unlock()
		_ = c.nc.SetWriteDeadline(time.Now().Add(c.e.o.Streaming.Message))
		if _, err := list.WriteTo(c.nc); err != nil {
			c.end()
		}
	}
}

func (c *conn) gone() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// end closes the connection; its reader tidies up.
func (c *conn) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.stop != nil {
		c.stop()
	}
	if c.nc != nil {
		_ = c.nc.Close()
	}
}

// accept takes connections until the listener is closed.
func (e *Endpoint) accept(l listener) error {
	for {
		nc, err := l.Accept()
		if err != nil {
			select {
			case <-e.closing:
				return nil
			default:
			}
			if errors.Is(err, net.ErrClosed) {
				return fmt.Errorf("%s %v: %w", l.transport, l.Addr(), err)
			}
			select { // such as too many open files
			case <-e.closing:
				return nil
			case <-time.After(100 * time.Millisecond):
			}
			continue
		}
		remote := addrPort(nc.RemoteAddr())
		c := &conn{e: e, came: true, nc: nc, familiar: e.door.familiar(remote, 0, e.now()), peer: peer{l.transport, remote, ""},
			flow: Flow{Transport: l.transport, Local: addrPort(nc.LocalAddr()), Remote: remote}}
		if !e.enter(c) {
			_ = nc.Close()
			continue
		}
		e.wg.Go(func() { c.serve(e.o.TLSConfig) })
	}
}

// enter gives a connection its place, or says that there is none.
func (e *Endpoint) enter(c *conn) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := &e.streams
	if e.closed || c.came && !c.familiar && s.from[c.peer.addr.Addr()] >= e.o.Streaming.PerPeer {
		return false
	}
	if len(s.all) >= e.o.Streaming.Connections {
		s.idlest().end()
	}
	s.last++
	c.flow.Conn = s.last
	c.heard = e.now()
	s.all[s.last] = c
	if c.came {
		s.from[c.peer.addr.Addr()]++
	}
	if s.peers[c.peer] == nil {
		s.peers[c.peer] = c
	}
	return true
}

// leave gives the place back, and tells those who wait for an answer.
func (e *Endpoint) leave(c *conn, why error) {
	c.end()
	var fx effects
	e.mu.Lock()
	s := &e.streams
	delete(s.all, c.flow.Conn)
	if s.peers[c.peer] == c {
		delete(s.peers, c.peer)
	}
	if a := c.peer.addr.Addr(); c.came {
		if s.from[a]--; s.from[a] <= 0 {
			delete(s.from, a)
		}
	}
	var lost []*Client
	for _, x := range e.clients {
		if x.way.conn == c {
			lost = append(lost, x)
		}
	}
	for _, x := range lost {
		x.lost(why, e.now(), &fx)
	}
	e.mu.Unlock()
	e.perform(&fx)
}

// dial opens a connection in a goroutine; what is written waits for it.
func (e *Endpoint) dial(t Target) *conn {
	ctx, stop := context.WithTimeout(e.ctx, e.o.Streaming.Dial)
	c := &conn{e: e, peer: peer{t.Transport, t.Addr, t.Name}, stop: stop, familiar: true}
	c.flow = Flow{Transport: t.Transport, Remote: t.Addr}
	e.streams.last++
	c.flow.Conn = e.streams.last
	e.streams.all[c.flow.Conn], e.streams.peers[c.peer] = c, c
	e.wg.Go(func() {
		defer stop()
		nc, err := e.o.Dial(ctx, t.Addr)
		if err != nil {
			e.leave(c, err)
			return
		}
		c.mu.Lock()
		if c.closed {
			c.mu.Unlock()
			_ = nc.Close()
			e.leave(c, ErrTransport)
			return
		}
		c.nc = nc
		c.mu.Unlock()
		config := e.o.ClientTLS.Clone()
		if config == nil {
			config = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		if config.ServerName == "" {
			config.ServerName = t.Name
		}
		if config.ServerName == "" {
			config.ServerName = t.Addr.Addr().String()
		}
		c.serve(config)
	})
	return c
}

// serve reads messages until the connection ends.
func (c *conn) serve(config *tls.Config) {
	e := c.e
	err := c.secure(config)
	if err == nil {
		e.mu.Lock()
		c.flow.Local = addrPort(c.nc.LocalAddr())
		flow := c.flow
		e.mu.Unlock()
		c.mu.Lock()
		c.ready = true
		c.flush()
		c.mu.Unlock()
		err = c.read(flow)
	}
	e.leave(c, err)
}

// secure does TLS's handshake, and takes down who the peer is.
func (c *conn) secure(config *tls.Config) error {
	if c.flow.Transport != TLS {
		return nil
	}
	s := &c.e.o.Streaming
	_ = c.nc.SetDeadline(time.Now().Add(s.Newcomer))
	t := tls.Client(c.nc, config)
	if c.came {
		t = tls.Server(c.nc, config)
	}
	if err := t.Handshake(); err != nil {
		c.e.shaken.add(errors.New("TLS"))
		return err
	}
	_ = c.nc.SetDeadline(time.Time{})
	c.e.mu.Lock()
	c.mu.Lock()
	if list := t.ConnectionState().PeerCertificates; len(list) > 0 {
		if k, ok := list[0].PublicKey.(ed25519.PublicKey); ok {
			c.flow.PeerKey = [32]byte(k)
		} else {
			c.flow.PeerKey = sha256.Sum256(list[0].RawSubjectPublicKeyInfo)
		}
	}
	c.nc = t
	c.mu.Unlock()
	c.e.mu.Unlock()
	return nil
}

// read takes messages and keepalives. One that came in has a short time for its
// first message, and every message a short time from its first octet on.
func (c *conn) read(flow Flow) error {
	e, s := c.e, &c.e.o.Streaming
	r := bufio.NewReaderSize(c.nc, 4096)
	var fx effects
	breaks := 0
	for {
		patience := s.Idle
		if c.came && !c.spoken {
			patience = s.Newcomer
		}
		if breaks == 0 || c.spoken {
			_ = c.nc.SetReadDeadline(time.Now().Add(patience))
		}
		first, err := r.Peek(1)
		if err != nil {
			return err
		}
		if first[0] == '\r' || first[0] == '\n' {
			_, _ = r.Discard(1)
			if breaks++; breaks%4 == 0 { // RFC 5626 §4.4.1
				_ = c.write([]byte("\r\n"))
			}
			c.hear(false)
			continue
		}
		breaks = 0
		_ = c.nc.SetReadDeadline(time.Now().Add(s.Message))
		m, err := sip.ReadStream(r, sip.Limits{})
		var wrong *sip.Error
		if err != nil && !errors.As(err, &wrong) {
			return err
		}
		c.hear(err == nil)
		a := arrival{m: m, way: way{conn: c, to: flow.Remote}, flow: flow, now: e.now()}
		a.familiar = c.familiar || e.door.familiar(flow.Remote, flow.Conn, a.now)
		if !a.familiar && (m == nil || m.IsRequest()) && !e.door.admit(flow.Remote.Addr(), a.now) {
			e.count.dropped.Add(1)
		} else {
			e.arrived(&a, err, &fx)
			e.perform(&fx)
		}
		if wrong != nil && wrong.Lost {
			return err
		}
	}
}

// hear notes that the peer is there.
func (c *conn) hear(message bool) {
	c.mu.Lock()
	c.heard = c.e.now()
	c.spoken = c.spoken || message
	c.mu.Unlock()
}
