package gateway

import "net/netip"

// pool leases IPv4 addresses of a prefix: fresh ones first, then the one given
// back longest ago, so that late packets of one phone seldom meet another. The
// caller serialises.
type pool struct {
	prefix netip.Prefix
	router netip.Addr
	next   netip.Addr
	free   []netip.Addr
	leased map[netip.Addr]struct{}
}

func newPool(p netip.Prefix, router netip.Addr) *pool {
	return &pool{prefix: p, router: router, next: p.Addr().Next(), leased: make(map[netip.Addr]struct{})}
}

// lease gives an address; ok is false when all are taken. Network and
// broadcast address and the router are never given.
func (p *pool) lease() (a netip.Addr, ok bool) {
	for p.prefix.Contains(p.next) && p.prefix.Contains(p.next.Next()) {
		a, p.next = p.next, p.next.Next()
		if a != p.router {
			p.leased[a] = struct{}{}
			return a, true
		}
	}
	if len(p.free) == 0 {
		return netip.Addr{}, false
	}
	a, p.free = p.free[0], p.free[1:]
	p.leased[a] = struct{}{}
	return a, true
}

// release takes an address back; one that is not leased is ignored.
func (p *pool) release(a netip.Addr) {
	if _, ok := p.leased[a]; ok {
		delete(p.leased, a)
		p.free = append(p.free, a)
	}
}

func (p *pool) inUse() int { return len(p.leased) }
