package txn

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"syscall"
)

// socket is one datagram socket.
type socket struct {
	index int
	conn  PacketConn
	local netip.AddrPort
}

// received is a datagram, valid until the next ones are read.
type received struct {
	b    []byte
	from netip.AddrPort
}

// receiver brings datagrams, as many as there are, but at least one.
type receiver interface{ receive() ([]received, error) }

func (e *Endpoint) addSocket(c PacketConn) {
	e.sockets = append(e.sockets, &socket{index: len(e.sockets), conn: c, local: addrPort(c.LocalAddr())})
}

// largest is the longest datagram there is.
const largest = 65535

// single receives one at a time, from a socket that is not the system's.
type single struct {
	conn PacketConn
	b    [largest]byte
	got  [1]received
}

func (s *single) receive() ([]received, error) {
	n, from, err := s.conn.ReadFromUDPAddrPort(s.b[:])
	if err != nil {
		return nil, err
	}
	s.got[0] = received{s.b[:n], netip.AddrPortFrom(from.Addr().Unmap(), from.Port())}
	return s.got[:], nil
}

// readAhead is how many datagrams are read before handlers have their turn: many
// more than handlers begin in one (see together), so that what is too much waits
// in the endpoint's queue, which knows whom to refuse, and not in the socket's.
const readAhead = 8 * together

// readPackets takes what comes on a socket until it is closed.
func (e *Endpoint) readPackets(s *socket) error {
	r := receiver(&single{conn: s.conn})
	if c, ok := s.conn.(syscall.Conn); ok {
		many, err := receiveMany(c)
		if err != nil {
			return fmt.Errorf("UDP %v: %w", s.local, err)
		}
		r = many
	}
	var fx effects
	for n, failures := 0, 0; ; {
		got, err := r.receive()
		if err != nil {
			select {
			case <-e.closing:
				return nil
			default:
			}
			if failures++; errors.Is(err, net.ErrClosed) || failures > 100 {
				return fmt.Errorf("UDP %v: %w", s.local, err)
			}
			e.count.dropped.Add(1) // an ICMP error of something sent before
			continue
		}
		failures = 0
		now := e.now()
		for _, d := range got {
			e.datagram(s, d.b, d.from, now, &fx)
		}
		e.perform(&fx)
		if n += len(got); n >= readAhead {
			n = 0
			runtime.Gosched()
		}
	}
}

// roomForBursts is what a socket's queue should hold.
const roomForBursts = 4 << 20

func enlarge(c *net.UDPConn) {
	_ = c.SetReadBuffer(roomForBursts) // the system may give less
	_ = c.SetWriteBuffer(roomForBursts)
}

// wayTo finds or opens the way to a target.
func (e *Endpoint) wayTo(t Target) (way, Flow, error) {
	if t.Flow.Transport != "" {
		return e.wayBack(t.Flow)
	}
	if !t.Addr.IsValid() || t.Addr.Port() == 0 {
		return way{}, Flow{}, ErrNoTarget
	}
	t.Addr = netip.AddrPortFrom(t.Addr.Addr().Unmap(), t.Addr.Port())
	switch t.Transport {
	case "", UDP:
		for _, s := range e.sockets {
			if s.local.Addr().Is4() == t.Addr.Addr().Is4() {
				return way{sock: s, to: t.Addr}, Flow{Transport: UDP, Local: s.local, Remote: t.Addr}, nil
			}
		}
		return way{}, Flow{}, fmt.Errorf("%w: no UDP socket of the IP version of %v", ErrTransport, t.Addr)
	case TCP, TLS:
		c := e.streams.peers[peer{t.Transport, t.Addr, t.Name}]
		if c == nil {
			c = e.dial(t)
		}
		return way{conn: c, to: t.Addr}, c.flow, nil
	}
	return way{}, Flow{}, fmt.Errorf("%w: transport %q", ErrNoTarget, t.Transport)
}

func (e *Endpoint) wayBack(f Flow) (way, Flow, error) {
	if f.Transport == UDP {
		for _, s := range e.sockets {
			if s.local == f.Local {
				return way{sock: s, to: f.Remote}, f, nil
			}
		}
	} else if c := e.streams.all[f.Conn]; c != nil && f.Conn != 0 {
		return way{conn: c, to: f.Remote}, f, nil
	}
	return way{}, Flow{}, fmt.Errorf("%w: the way to %v is gone", ErrTransport, f.Remote)
}

// SentBy is the host and port for Via and Contact in messages to a target.
func (e *Endpoint) SentBy(to Target) (host string, port int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f := to.Flow
	if f.Transport == "" {
		f = Flow{Transport: to.Transport, Remote: to.Addr}
		or(&f.Transport, UDP)
	}
	w := way{to: f.Remote}
	for _, s := range e.sockets {
		if f.Transport == UDP && (s.local == f.Local || w.sock == nil && s.local.Addr().Is4() == f.Remote.Addr().Is4()) {
			w.sock = s
		}
	}
	return e.sentBy(&w, f)
}

func (e *Endpoint) sentBy(w *way, f Flow) (host string, port int) {
	local := f.Local
	if f.Transport == UDP {
		if w.sock != nil {
			local = w.sock.local
		}
		port = int(local.Port())
	} else {
		for _, l := range e.listeners {
			if a := addrPort(l.Addr()); l.transport == f.Transport && a.Addr().Is4() == w.to.Addr().Is4() {
				port = int(a.Port())
				break
			}
		}
	}
	switch {
	case e.o.Host != "":
		host = e.o.Host
	case local.Addr().IsValid() && !local.Addr().IsUnspecified():
		host = local.Addr().String()
	default:
		host = e.streams.routed(w.to)
	}
	return host, port
}
