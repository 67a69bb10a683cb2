//go:build linux

package xdp

import (
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Addresses that no default route is for.
var never = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("224.0.0.0/3"),
	netip.MustParsePrefix("fe80::/10"), netip.MustParsePrefix("ff00::/8"), netip.MustParsePrefix("::/64")}

// route tells the programs where uplink goes: by the default route's gateway,
// but for destinations that have a route of their own, for which they ask the
// kernel. Where the kernel decides by more than the destination, they always ask.
// The caller holds mu.
func (n *network) route() error {
	r := &routing{}
	for i, d := range n.devices {
		r.Ifindex[i], r.MAC[i] = uint32(d.ifindex), d.mac
	}
	if err := n.k.setRouting(r); err != nil { // meanwhile they ask
		return err
	}
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		gw, near, ok, err := n.routesOf(family)
		if err != nil {
			return err
		}
		hop := uint32(hopGateway4)
		if family == netlink.FAMILY_V6 {
			hop = hopGateway6
		}
		n.hops[hop] = gw
		n.write(hop)
		if len(near) > maxNear && !n.told {
			n.told = true
			n.log.Info("xdp: more routes than the programs keep: they ask the kernel for each packet", "routes", len(near), "kept", maxNear)
		}
		if !ok || len(near) > maxNear {
			continue
		}
		if family == netlink.FAMILY_V4 {
			r.Hop4, r.Near4s = hop+1, uint32(len(near))
			for i, p := range near {
				m := mask(p.Bits())
				r.Near4[i] = [2][4]byte{p.Addr().As4(), [4]byte(m[:4])}
			}
			continue
		}
		r.Hop6, r.Near6s = hop+1, uint32(len(near))
		for i, p := range near {
			m := mask(min(p.Bits(), 64))
			r.Near6[i] = [2][8]byte{first8(netip.PrefixFrom(p.Addr(), min(p.Bits(), 64)).Masked().Addr()), [8]byte(m[:8])}
		}
	}
	return n.k.setRouting(r)
}

// routesOf gives the default route of a family and all other destinations, none
// within another. ok is false where there is no one default route by one
// neighbour on one of our devices.
func (n *network) routesOf(family int) (gw via, near []netip.Prefix, ok bool, err error) {
	rules, err := netlink.RuleList(family)
	if err != nil {
		return gw, nil, false, err
	}
	for _, r := range rules {
		if r.Table != unix.RT_TABLE_LOCAL && r.Table != unix.RT_TABLE_MAIN && r.Table != unix.RT_TABLE_DEFAULT {
			return gw, nil, false, nil
		}
	}
	routes, err := netlink.RouteListFiltered(family, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
	if err != nil {
		return gw, nil, false, err
	}
	var all []netip.Prefix
	for _, p := range never {
		if p.Addr().Is4() == (family == netlink.FAMILY_V4) {
			all = append(all, p)
		}
	}
	best, several := -1, false
	for i := range routes {
		rt := &routes[i]
		p, whole := destination(rt)
		if !whole {
			all = append(all, p)
			continue
		}
		switch {
		case best < 0 || rt.Priority < routes[best].Priority:
			best, several = i, false
		case rt.Priority == routes[best].Priority:
			several = true
		}
	}
	near = widest(all)
	if best < 0 || several || len(routes[best].MultiPath) > 0 || routes[best].Type != unix.RTN_UNICAST {
		return gw, near, false, nil
	}
	a, valid := netip.AddrFromSlice(routes[best].Gw)
	_, ours := n.device(routes[best].LinkIndex)
	return via{a.Unmap(), routes[best].LinkIndex}, near, valid && ours, nil
}

// destination of a route; whole says that it is the default.
func destination(r *netlink.Route) (p netip.Prefix, whole bool) {
	if r.Dst == nil {
		return p, true
	}
	a, _ := netip.AddrFromSlice(r.Dst.IP)
	ones, _ := r.Dst.Mask.Size()
	return netip.PrefixFrom(a.Unmap(), ones), ones == 0
}

// widest leaves out prefixes that lie within others.
func widest(all []netip.Prefix) (kept []netip.Prefix) {
	slices.SortStableFunc(all, func(a, b netip.Prefix) int { return a.Bits() - b.Bits() })
	for _, p := range all {
		if !slices.ContainsFunc(kept, func(k netip.Prefix) bool { return k.Contains(p.Addr()) }) {
			kept = append(kept, p.Masked())
		}
	}
	return kept
}
