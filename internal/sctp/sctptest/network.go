// Package sctptest is a packet network in memory for tests of what runs over [campanile.network/internal/sctp]: sockets without an operating
// system, with delay, loss, duplication, reordering, corruption and an MTU that repeat with the same seed. It works in
// the virtual time of testing/synctest. It is not a model of any real link: chance strikes packets one by one, and there is one wire at most.
package sctptest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Conditions are what happens to packets. The zero value is a perfect network.
type Conditions struct {
	Delay     time.Duration // one way
	Jitter    time.Duration // added evenly, 0..Jitter; reorders
	Loss      float64       // probability 0..1
	Duplicate float64       // probability 0..1
	Corrupt   float64       // probability 0..1 that one bit flips
	Rate      int           // bytes per second, through one wire that all sockets share; 0 means any
	Queue     time.Duration // how long a datagram may wait for that wire, else it is lost
	MTU       int           // bytes of the longest datagram carried, 0 means any; longer ones vanish unless sent by WriteSplit
}

// Packet is what a Filter sees. Data must not be kept or changed.
type Packet struct {
	From, To netip.AddrPort
	Data     []byte
}

// Network connects the sockets opened on it.
type Network struct {
	mu      sync.Mutex
	rng     *rand.Rand
	cond    Conditions
	filter  func(Packet) bool
	sockets map[netip.AddrPort]*Socket
	seq     uint64
	busy    time.Time // the wire, until then
}

// New makes a network whose chance events follow from seed.
func New(seed uint64, c Conditions) *Network {
	return &Network{rng: rand.New(rand.NewPCG(seed, 1)), cond: c, sockets: map[netip.AddrPort]*Socket{}}
}

// SetConditions changes what happens to packets sent from now on.
func (n *Network) SetConditions(c Conditions) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cond = c
}

// SetFilter makes f see every packet sent; those for which it returns false are lost. f must not call the network.
func (n *Network) SetFilter(f func(Packet) bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.filter = f
}

// Open binds a socket to an address nobody has.
func (n *Network) Open(addr netip.AddrPort) (*Socket, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.sockets[addr] != nil {
		return nil, fmt.Errorf("sctptest: %v is taken", addr)
	}
	s := &Socket{n: n, addr: addr, more: make(chan struct{}, 1), done: make(chan struct{})}
	n.sockets[addr] = s
	return s, nil
}

// Socket is one end; it implements sctp.Datagrams.
type Socket struct {
	n     *Network
	addr  netip.AddrPort
	queue []arrival // by time, then order of sending
	more  chan struct{}
	done  chan struct{}
	gone  bool
}

type arrival struct {
	at   time.Time
	seq  uint64
	from netip.AddrPort
	data []byte
}

// LocalAddr is the address the socket was opened with.
func (s *Socket) LocalAddr() netip.AddrPort { return s.addr }

// WriteTo sends a datagram; nobody at the address means it is lost.
func (s *Socket) WriteTo(p []byte, to netip.AddrPort) error { return s.write(p, to, false) }

// WriteSplit sends a datagram that the network may cut, so that MTU does not apply.
func (s *Socket) WriteSplit(p []byte, to netip.AddrPort) error { return s.write(p, to, true) }

func (s *Socket) write(p []byte, to netip.AddrPort, split bool) error {
	n := s.n
	n.mu.Lock()
	defer n.mu.Unlock()
	if s.gone {
		return net.ErrClosed
	}
	if n.filter != nil && !n.filter(Packet{s.addr, to, p}) {
		return nil
	}
	d := n.sockets[to]
	if n.cond.MTU > 0 && len(p) > n.cond.MTU && !split {
		return nil
	}
	if d == nil || n.cond.Loss > 0 && n.rng.Float64() < n.cond.Loss {
		return nil
	}
	copies := 1
	if n.cond.Duplicate > 0 && n.rng.Float64() < n.cond.Duplicate {
		copies = 2
	}
	for range copies {
		wait, ok := n.wire(len(p))
		if !ok {
			return nil
		}
		delay := n.cond.Delay + wait
		if n.cond.Jitter > 0 {
			delay += time.Duration(n.rng.Int64N(int64(n.cond.Jitter)))
		}
		n.seq++
		data := slices.Clone(p)
		if n.cond.Corrupt > 0 && n.rng.Float64() < n.cond.Corrupt {
			data[n.rng.IntN(len(data))] ^= 1 << n.rng.IntN(8)
		}
		d.insert(arrival{time.Now().Add(delay), n.seq, s.addr, data})
	}
	return nil
}

// wire sends n bytes over the wire of limited rate and says when the last one has left; false if too many wait already.
func (n *Network) wire(bytes int) (time.Duration, bool) {
	if n.cond.Rate == 0 {
		return 0, true
	}
	now := time.Now()
	if n.busy.Before(now) {
		n.busy = now
	}
	if n.busy.Sub(now) > n.cond.Queue {
		return 0, false
	}
	n.busy = n.busy.Add(time.Duration(bytes) * time.Second / time.Duration(n.cond.Rate))
	return n.busy.Sub(now), true
}

func (s *Socket) insert(a arrival) {
	i := len(s.queue)
	for i > 0 && s.queue[i-1].at.After(a.at) {
		i--
	}
	s.queue = slices.Insert(s.queue, i, a)
	select {
	case s.more <- struct{}{}:
	default:
	}
}

// ReadFrom waits for a datagram, and returns net.ErrClosed after Close.
func (s *Socket) ReadFrom(p []byte) (int, netip.AddrPort, error) {
	for {
		s.n.mu.Lock()
		if s.gone {
			s.n.mu.Unlock()
			return 0, netip.AddrPort{}, net.ErrClosed
		}
		wait := time.Duration(-1)
		if len(s.queue) > 0 {
			a := s.queue[0]
			if wait = time.Until(a.at); wait <= 0 {
				s.queue = s.queue[1:]
				s.n.mu.Unlock()
				return copy(p, a.data), a.from, nil
			}
		}
		s.n.mu.Unlock()
		s.pause(wait)
	}
}

func (s *Socket) pause(wait time.Duration) {
	var due <-chan time.Time
	if wait >= 0 {
		t := time.NewTimer(wait)
		defer t.Stop()
		due = t.C
	}
	select {
	case <-due:
	case <-s.more:
	case <-s.done:
	}
}

// Close frees the address and ends ReadFrom.
func (s *Socket) Close() error {
	s.n.mu.Lock()
	defer s.n.mu.Unlock()
	if !s.gone {
		s.gone = true
		delete(s.n.sockets, s.addr)
		close(s.done)
	}
	return nil
}
