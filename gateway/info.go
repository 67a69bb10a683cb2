package gateway

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/gateway/datapath"
	"campanile.network/wire/gtpc"
)

// Stats are the gateway's figures.
type Stats struct {
	Sessions, UEs, Leases int
	Restored              int               // sessions taken up at the start
	Dedicated             int               // bearers beside the default ones
	Remote                int               // sessions whose SGW or PGW is another gateway
	Unreported            int               // closed segments the sink has not taken
	Lost                  uint64            // records given up
	NotTold               map[string]uint64 // downlink data that the MME was not told of, by reason
	StoreFailing          string            // why nothing is stored at present; empty: all is well
	Pools                 []PoolStats
	Refused               map[gtpc.Cause]uint64
	S11                   gtpc.Stats
	Path                  datapath.Stats
}

// PoolStats are the addresses of an access point.
type PoolStats struct {
	APN            id.APN
	IPv4Used, IPv4 int
	IPv6Used, IPv6 int
}

// Stats reads the figures.
func (g *Gateway) Stats() Stats {
	g.mu.Lock()
	s := Stats{Sessions: len(g.sessions), UEs: len(g.ues), Unreported: len(g.closed), Lost: g.lost, Restored: g.journal.restored, NotTold: map[string]uint64{}}
	for _, x := range g.sessions {
		s.Dedicated += max(len(x.bearers)-1, 0)
		if x.up != nil || x.ue.s5() {
			s.Remote++
		}
	}
	for _, n := range g.networks {
		s.Leases += n.v4.inUse() + n.v6.inUse()
		s.Pools = append(s.Pools, PoolStats{n.APN, n.v4.inUse(), n.v4.capacity(), n.v6.inUse(), n.v6.capacity()})
	}
	for i, n := range g.waits {
		if n > 0 {
			s.NotTold[[...]string{"suspended", "asleep", "throttled", "busy"}[i]] = n
		}
	}
	g.mu.Unlock()
	g.journal.mu.Lock()
	s.StoreFailing = g.journal.failing
	g.journal.mu.Unlock()
	s.Refused = make(map[gtpc.Cause]uint64)
	for i := range g.refused {
		if n := g.refused[i].Load(); n > 0 {
			s.Refused[gtpc.Cause(i)] = n
		}
	}
	s.S11, s.Path = g.ep.Stats(), g.path.Stats()
	return s
}

// SessionInfo is a session as an operator sees it.
type SessionInfo struct {
	Number  uint64
	IMSI    id.IMSI // prints masked
	APN     id.APN
	Address netip.Addr // IPv4, or the IPv6 one where there is no other
	IPv6    netip.Addr // prefix and interface identifier; zero: none
	TEID    id.TEID
	Tunnel  datapath.Tunnel // not Active: idle
	Settled bool            // under a ticket that was verified
	Count   datapath.Count  // of all its bearers that there are
	SGW     netip.Addr      // where it is another gateway
	PGW     netip.Addr      // likewise
	AMBR    gtpc.AMBR
	Quota   uint64 // octets from its beginning; datapath.NoQuota: none
	Charged uint64 // of it
	Since   time.Time
	Bearers []BearerInfo // the default one first
}

// BearerInfo is a bearer as an operator sees it.
type BearerInfo struct {
	EBI     id.EBI
	TEID    id.TEID
	QoS     gtpc.QoS
	Filters []eps.PacketFilter
	Tunnel  datapath.Tunnel
	Usage   datapath.Usage
	Capture bool // one runs
}

// Sessions lists the open sessions, the oldest first.
func (g *Gateway) Sessions() []SessionInfo {
	g.mu.Lock()
	defer g.mu.Unlock()
	var all []SessionInfo
	for _, s := range slices.SortedFunc(maps.Values(g.sessions), func(a, b *session) int { return cmp.Compare(a.id, b.id) }) {
		if !s.ended {
			all = append(all, g.info(s))
		}
	}
	return all
}

func (g *Gateway) info(s *session) SessionInfo {
	first := s.first()
	i := SessionInfo{Number: uint64(s.id), IMSI: s.ue.imsi, APN: s.apn, Address: s.shown(), IPv6: s.addr.IPv6, TEID: first.teid, Tunnel: first.tunnel,
		Settled: s.lease != nil, AMBR: s.ambr, Quota: s.quota, Charged: g.charged(s), Since: s.started}
	if s.up != nil {
		i.PGW = s.up.pgw.Addr
	}
	if s.ue.s5() {
		i.SGW = s.ue.peer.Addr
	}
	for _, b := range s.all() {
		if s.bearers[b.ebi] != b {
			continue
		}
		u := g.usage(b)
		i.Count = i.Count.Add(u.Count)
		i.Bearers = append(i.Bearers, BearerInfo{b.ebi, b.teid, b.qos, b.tft, b.tunnel, u, g.captures[b.teid] != nil})
	}
	return i
}
