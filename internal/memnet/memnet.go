// Package memnet is a datagram network in memory: packet connections that
// behave like UDP sockets (unordered delivery is up to the rule, no errors for
// lost datagrams) and work in the virtual time of testing/synctest. A rule
// sees every datagram and says how often it arrives. It carries no streams
// and models no bandwidth.
package memnet

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
)

// Rule says how many copies of a datagram arrive: 0 is loss, 2 a duplicate.
// It is called for one datagram at a time.
type Rule func(from, to netip.AddrPort, payload []byte) int

// Network joins the connections that Listen made.
type Network struct {
	mu    sync.Mutex
	rule  Rule
	conns map[netip.AddrPort]*Conn
}

// New makes a network; a nil rule delivers every datagram once.
func New(rule Rule) *Network {
	if rule == nil {
		rule = func(netip.AddrPort, netip.AddrPort, []byte) int { return 1 }
	}
	return &Network{rule: rule, conns: make(map[netip.AddrPort]*Conn)}
}

// Listen binds addr; it fails when the address is taken.
func (n *Network) Listen(addr netip.AddrPort) (*Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.conns[addr] != nil {
		return nil, fmt.Errorf("memnet: %v: address in use", addr)
	}
	c := &Conn{net: n, addr: addr, in: make(chan datagram, 1024), closed: make(chan struct{})}
	n.conns[addr] = c
	return c, nil
}

type datagram struct {
	from netip.AddrPort
	b    []byte
}

// Conn is one bound address. Its methods are those of *net.UDPConn.
type Conn struct {
	net    *Network
	addr   netip.AddrPort
	in     chan datagram
	once   sync.Once
	closed chan struct{}
}

// ReadFromUDPAddrPort waits for a datagram; it gives net.ErrClosed after Close.
func (c *Conn) ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error) {
	select {
	case <-c.closed:
		return 0, netip.AddrPort{}, net.ErrClosed
	case d := <-c.in:
		return copy(b, d.b), d.from, nil
	}
}

// WriteToUDPAddrPort hands a copy of b to whoever bound addr, if anybody did.
func (c *Conn) WriteToUDPAddrPort(b []byte, addr netip.AddrPort) (int, error) {
	select {
	case <-c.closed:
		return 0, net.ErrClosed
	default:
	}
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	to := c.net.conns[addr]
	for range c.net.rule(c.addr, addr, b) {
		if to == nil {
			break
		}
		select {
		case to.in <- datagram{c.addr, append([]byte(nil), b...)}:
		default: // a full socket buffer loses the datagram, as UDP does
		}
	}
	return len(b), nil
}

// LocalAddr is the bound address.
func (c *Conn) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(c.addr) }

// Close frees the address and ends a waiting read.
func (c *Conn) Close() error {
	c.once.Do(func() {
		close(c.closed)
		c.net.mu.Lock()
		delete(c.net.conns, c.addr)
		c.net.mu.Unlock()
	})
	return nil
}
