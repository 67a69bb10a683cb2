package gateway

import (
	"encoding/binary"
	"net/netip"
	"time"
)

// holder is who holds an address: a phone at an access point.
type holder struct{ imsi, apn string }

// pool leases units of prefixes: IPv4 addresses, or IPv6 prefixes of 64 bits. A
// phone that comes back gets what it had, as long as nobody else needed it: fresh
// units first, then the one given back longest ago, so that late packets of one
// phone seldom meet another. The caller serialises.
type pool struct {
	prefixes []netip.Prefix
	reserved map[netip.Addr]bool // never leased: the gateway's own, fixed ones
	at       int                 // prefix of next
	next     netip.Addr
	leased   map[netip.Addr]holder
	last     map[holder]netip.Addr // what a holder had last, while it rests
	resting  map[netip.Addr]rest
	queue    []rested // in the order of their return; some rest no more
	returns  uint64
}

// rest is an address nobody uses.
type rest struct {
	by   holder
	turn uint64
}

type rested struct {
	addr netip.Addr
	turn uint64
}

func newPool(prefixes []netip.Prefix, reserved ...netip.Addr) *pool {
	p := &pool{prefixes: prefixes, reserved: map[netip.Addr]bool{}, leased: map[netip.Addr]holder{}, last: map[holder]netip.Addr{}, resting: map[netip.Addr]rest{}}
	for _, a := range reserved {
		p.reserved[a] = true
	}
	if len(prefixes) > 0 {
		p.next = first(prefixes[0])
	}
	return p
}

// first is a prefix's first unit: of IPv4 the one behind the network's address.
func first(p netip.Prefix) netip.Addr {
	if p.Addr().Is4() {
		return p.Addr().Next()
	}
	return p.Addr()
}

// after is the unit behind a; it is outside of p at p's end. IPv4's broadcast address is
// no unit.
func after(p netip.Prefix, a netip.Addr) (netip.Addr, bool) {
	if a.Is4() {
		n := a.Next()
		return n, p.Contains(n) && p.Contains(n.Next())
	}
	b := a.As16()
	n := binary.BigEndian.Uint64(b[:8]) + 1
	binary.BigEndian.PutUint64(b[:8], n)
	next := netip.AddrFrom16(b)
	return next, n != 0 && p.Contains(next)
}

// size is how many units a prefix has, at most.
func size(p netip.Prefix) int {
	if p.Addr().Is4() {
		return max(1<<min(32-p.Bits(), 30)-2, 0)
	}
	return 1 << min(64-p.Bits(), 30)
}

// capacity is how many sessions find a unit.
func (p *pool) capacity() (n int) {
	for _, x := range p.prefixes {
		n += size(x)
	}
	return n
}

// lease gives h a unit: the one that it had if nobody has it; false when all are
// taken.
func (p *pool) lease(h holder) (netip.Addr, bool) {
	if a, ok := p.last[h]; ok {
		p.hold(a, h)
		return a, true
	}
	for p.at < len(p.prefixes) {
		a := p.next
		in := p.prefixes[p.at]
		next, more := after(in, p.next)
		if p.next = next; !more {
			if p.at++; p.at < len(p.prefixes) {
				p.next = first(p.prefixes[p.at])
			}
		}
		if p.free(a) {
			p.hold(a, h)
			return a, true
		}
	}
	for len(p.queue) > 0 {
		r := p.queue[0]
		p.queue = p.queue[1:]
		if p.resting[r.addr].turn == r.turn {
			p.hold(r.addr, h)
			return r.addr, true
		}
	}
	return netip.Addr{}, false
}

// free says that a may be leased for the first time.
func (p *pool) free(a netip.Addr) bool {
	_, taken := p.leased[a]
	_, rests := p.resting[a]
	return !taken && !rests && !p.reserved[a]
}

func (p *pool) hold(a netip.Addr, h holder) {
	if r, ok := p.resting[a]; ok {
		delete(p.resting, a)
		delete(p.last, r.by)
	}
	p.leased[a] = h
}

// take gives h the unit it names; false when it is somebody else's or no unit of
// this pool. Fixed addresses of own are given though they are reserved.
func (p *pool) take(a netip.Addr, h holder, own bool) bool {
	if _, taken := p.leased[a]; taken || p.reserved[a] && !own || !own && !p.contains(a) {
		return false
	}
	p.hold(a, h)
	return true
}

func (p *pool) contains(a netip.Addr) bool {
	for _, x := range p.prefixes {
		if x.Contains(a) {
			_, more := after(x, a)
			return a != x.Addr() && (more || a.Is4() && x.Contains(a.Next())) || a.Is6()
		}
	}
	return false
}

// release takes a unit back; one that is not leased is ignored.
func (p *pool) release(a netip.Addr) {
	h, ok := p.leased[a]
	if !ok {
		return
	}
	delete(p.leased, a)
	p.rest(a, h)
}

// rest keeps a unit that nobody uses for who had it last.
func (p *pool) rest(a netip.Addr, h holder) {
	if _, taken := p.leased[a]; taken || p.reserved[a] || !p.contains(a) {
		return
	}
	if old, ok := p.last[h]; ok && old != a {
		r := p.resting[old]
		r.by = holder{}
		p.resting[old] = r
	}
	p.returns++
	p.resting[a], p.last[h] = rest{h, p.returns}, a
	if h == (holder{}) {
		delete(p.last, h)
	}
	p.queue = append(p.queue, rested{a, p.returns})
	if len(p.queue) > 2*len(p.resting)+1024 { // mostly units that rest no more
		keep := make([]rested, 0, len(p.resting))
		for _, r := range p.queue {
			if p.resting[r.addr].turn == r.turn {
				keep = append(keep, r)
			}
		}
		p.queue = keep
	}
}

func (p *pool) inUse() int { return len(p.leased) }

// leaseRecord is what is stored of an address: whose it is, or was last.
type leaseRecord struct {
	IMSI string     `json:"imsi"`
	APN  string     `json:"apn"`
	IPv4 netip.Addr `json:"v4,omitzero"`
	IPv6 netip.Addr `json:"v6,omitzero"`
	At   time.Time  `json:"at"`
}
