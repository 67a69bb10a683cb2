package txn

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"time"
)

// streams are the connections of an endpoint.
type streams struct {
	last   uint64
	all    map[uint64]*conn
	peers  map[peer]*conn
	from   map[netip.Addr]int               // that came in, of each address
	none   map[netip.AddrPort]time.Duration // peers that have no TCP, until
	routes map[netip.Addr]string            // the local address towards others
}

// newStreams numbers connections from anywhere on: what was registered over one before
// a restart is not to be taken for what comes over another after it.
func newStreams() streams {
	return streams{last: rand.Uint64() >> 1, all: make(map[uint64]*conn), peers: make(map[peer]*conn), from: make(map[netip.Addr]int),
		none: make(map[netip.AddrPort]time.Duration), routes: make(map[netip.Addr]string)}
}

// maxRemembered bounds what is remembered of peers.
const maxRemembered = 4096

// without reports whether a peer has lately been found to have no TCP.
func (s *streams) without(a netip.AddrPort, now time.Duration) bool { return s.none[a] > now }

func (s *streams) remember(a netip.AddrPort, now time.Duration) {
	if len(s.none) >= maxRemembered {
		clear(s.none)
	}
	s.none[a] = now + 10*time.Minute
}

// routed is the local address that the system's routes give towards another.
func (s *streams) routed(to netip.AddrPort) string {
	if h, ok := s.routes[to.Addr()]; ok {
		return h
	}
	host := "localhost"
	if c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to)); err == nil { // sends nothing
		host = addrPort(c.LocalAddr()).Addr().String()
		_ = c.Close()
	}
	if len(s.routes) >= maxRemembered {
		clear(s.routes)
	}
	s.routes[to.Addr()] = host
	return host
}

// idlest is the connection that has been silent longest; those that were not
// trusted first.
func (s *streams) idlest() (worst *conn) {
	var since time.Duration
	for _, c := range s.all {
		c.mu.Lock()
		heard := c.heard
		c.mu.Unlock()
		if worst == nil || worst.familiar && !c.familiar || worst.familiar == c.familiar && heard < since {
			worst, since = c, heard
		}
	}
	return worst
}
