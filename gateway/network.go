package gateway

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"campanile.network/3gpp/id"
	"campanile.network/wire/gtpc"
	"github.com/wmnsk/go-gtp/gtpv2/ie"
)

// Network is what sessions of an access point get. The zero values give the
// defaults named.
type Network struct {
	// APN is the access point's name; zero takes those that no other has.
	APN id.APN
	// Also are other names of it.
	Also []id.APN
	// IPv4 are pools of addresses, IPv6 pools of which each phone gets 64 bits. A
	// network has at least one of both, unless PGW names another gateway.
	IPv4, IPv6 []netip.Prefix
	// Router is the gateway's own address in the first IPv4 pool, never leased: the
	// pool's first.
	Router netip.Addr
	// Router6 is its IPv6 address; the 64 bits of a pool that it is in are never
	// leased. Zero: it has none.
	Router6 netip.Addr
	// Static are phones' fixed addresses, in a pool or not; an IPv6 one is a
	// prefix's first address.
	Static map[id.IMSI]gtpc.Address
	// DNS servers told to phones: Router and Router6.
	DNS []netip.Addr
	// MTU told to phones that ask, octets: 1400.
	MTU uint16
	// Single says that a session has one address: who asks for IPv4 and IPv6 gets
	// IPv4, with the cause that a second session gives the other.
	Single bool
	// Open takes packets from the packet network that nobody on the phone has asked
	// for.
	Open bool
	// PGW is the gateway that sessions of this APN go to, over S5/S8; zero: this one.
	PGW netip.Addr
}

// network is a Network at work.
type network struct {
	Network
	v4, v6 *pool
}

func newNetwork(n Network) (*network, error) {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("gateway: APN %v: %s", n.APN, fmt.Sprintf(format, args...))
	}
	if n.PGW.IsValid() {
		if len(n.IPv4)+len(n.IPv6) > 0 {
			return nil, bad("it has address pools of its own and a PGW, which gives addresses")
		}
		return &network{Network: n, v4: newPool(nil), v6: newPool(nil)}, nil
	}
	if len(n.IPv4)+len(n.IPv6) == 0 {
		return nil, bad("it has no pool of addresses")
	}
	n.IPv4, n.IPv6 = slices.Clone(n.IPv4), slices.Clone(n.IPv6)
	for i, p := range n.IPv4 {
		if n.IPv4[i] = p.Masked(); !p.Addr().Is4() || p.Bits() > 30 || p.Bits() < 8 {
			return nil, bad("pool %v: want an IPv4 prefix of /8 to /30", p)
		}
	}
	for i, p := range n.IPv6 {
		if n.IPv6[i] = p.Masked(); !p.Addr().Is6() || p.Addr().Is4In6() || p.Bits() > 64 || p.Bits() < 32 {
			return nil, bad("pool %v: want an IPv6 prefix of /32 to /64", p)
		}
	}
	if !n.Router.IsValid() && len(n.IPv4) > 0 {
		n.Router = n.IPv4[0].Addr().Next()
	}
	if n.Router6.IsValid() && (!n.Router6.Is6() || n.Router6.Is4In6()) {
		return nil, bad("router %v: want an IPv6 address", n.Router6)
	}
	if len(n.DNS) == 0 {
		n.DNS = slices.DeleteFunc([]netip.Addr{n.Router, n.Router6}, func(a netip.Addr) bool { return !a.IsValid() })
	}
	if n.MTU == 0 {
		n.MTU = 1400
	}
	reserved := []netip.Addr{n.Router, prefixOf(n.Router6)}
	for _, a := range n.Static {
		reserved = append(reserved, a.IPv4, a.IPv6)
	}
	return &network{n, newPool(n.IPv4, reserved...), newPool(n.IPv6, reserved...)}, nil
}

// overlap finds two networks that lease the same addresses.
func overlap(all []*network) error {
	for i, a := range all {
		for _, b := range all[:i] {
			for _, p := range slices.Concat(a.IPv4, a.IPv6) {
				for _, q := range slices.Concat(b.IPv4, b.IPv6) {
					if p.Overlaps(q) {
						return fmt.Errorf("gateway: pools %v of APN %v and %v of APN %v overlap", p, a.APN, q, b.APN)
					}
				}
			}
		}
		if slices.ContainsFunc(all[:i], func(b *network) bool { return a.APN == b.APN }) {
			return fmt.Errorf("gateway: APN %v twice", a.APN)
		}
	}
	return nil
}

// types are the PDN types that the network gives, as bits: 1 IPv4, 2 IPv6.
func (n *network) types() uint8 {
	t := uint8(0)
	if len(n.IPv4) > 0 {
		t |= gtpc.PDNIPv4
	}
	if len(n.IPv6) > 0 {
		t |= gtpc.PDNIPv6
	}
	return t
}

// grant gives a session addresses of the PDN type it asks for, or of what there is
// of it, and with which cause (TS 23.401 §5.3.1.1, TS 29.274 §8.4). dual is the
// MME's Dual Address Bearer Flag.
func (n *network) grant(imsi id.IMSI, asked uint8, want gtpc.Address, dual bool) (a gtpc.Address, cause gtpc.Cause, err error) {
	if asked < gtpc.PDNIPv4 || asked > gtpc.PDNIPv4v6 {
		return a, 0, gtpc.Refuse(gtpc.PDNTypeNotSupported, ie.PDNType, "PDN type %d: only IP is served", asked)
	}
	give := asked & n.types()
	switch {
	case give == 0:
		return a, 0, gtpc.Refuse(gtpc.PDNTypeNotSupported, ie.PDNType, "PDN type %d: APN %v has none of it", asked, n.APN)
	case give != asked:
		cause = gtpc.NewPDNTypePreference
	case asked == gtpc.PDNIPv4v6 && (n.Single || !dual):
		give, cause = gtpc.PDNIPv4, gtpc.NewPDNTypeSingleAddress
	default:
		cause = gtpc.Accepted
	}
	h := holder{imsi.Digits(), n.APN.String()}
	fixed := n.Static[imsi]
	if give&gtpc.PDNIPv4 != 0 {
		if a.IPv4, err = n.v4.grant(h, fixed.IPv4, want.IPv4); err != nil {
			return a, 0, err
		}
	}
	if give&gtpc.PDNIPv6 != 0 {
		if a.IPv6, err = n.v6.grant(h, fixed.IPv6, prefixOf(want.IPv6)); err != nil {
			n.v4.release(a.IPv4)
			return a, 0, err
		}
		a.IPv6 = withInterface(a.IPv6)
	}
	return a, cause, nil
}

// grant gives the fixed address of a phone, the one it asks for, or any.
func (p *pool) grant(h holder, fixed, want netip.Addr) (netip.Addr, error) {
	switch {
	case fixed.IsValid():
		if !p.take(fixed, h, true) {
			return fixed, gtpc.Refuse(gtpc.AllAddressesOccupied, ie.PDNAddressAllocation, "the phone's fixed address is in use: %v", fixed)
		}
		return fixed, nil
	case want.IsValid() && !want.IsUnspecified():
		if !p.take(want, h, false) {
			return want, gtpc.Refuse(gtpc.RequestRejected, ie.PDNAddressAllocation, "address %v is in use, or in no pool", want)
		}
		return want, nil
	}
	a, ok := p.lease(h)
	if !ok {
		return a, gtpc.Refuse(gtpc.AllAddressesOccupied, 0, "all of %v is leased", p.prefixes)
	}
	return a, nil
}

func (n *network) release(a gtpc.Address) {
	n.v4.release(a.IPv4)
	n.v6.release(prefixOf(a.IPv6))
}

// restore takes the addresses of a session of another run.
func (n *network) restore(imsi id.IMSI, a gtpc.Address) error {
	h := holder{imsi.Digits(), n.APN.String()}
	if a.IPv4.IsValid() && !n.v4.take(a.IPv4, h, true) {
		return fmt.Errorf("%v is another's", a.IPv4)
	}
	if a.IPv6.IsValid() && !n.v6.take(prefixOf(a.IPv6), h, true) {
		n.v4.release(a.IPv4)
		return fmt.Errorf("%v is another's", a.IPv6)
	}
	return nil
}

// prefixOf is the first address of the 64 bits that a is in.
func prefixOf(a netip.Addr) netip.Addr {
	if !a.IsValid() || a.IsUnspecified() {
		return netip.Addr{}
	}
	p, _ := a.Prefix(64)
	return p.Addr()
}

// withInterface gives a prefix an interface identifier that nobody guesses, for
// the phone's link-local address (TS 23.401 §5.3.1.2.2); it is none of those that
// are reserved (RFC 5453) and says that it is local.
func withInterface(prefix netip.Addr) netip.Addr {
	b := prefix.As16()
	rand.Read(b[8:])
	b[8] = b[8]&^2 | 4
	return netip.AddrFrom16(b)
}

// findNetwork is the network of an APN; without a name it is the first.
func (g *Gateway) findNetwork(apn id.APN) (*network, error) {
	var rest *network
	for _, n := range g.networks {
		switch {
		case n.APN == apn || slices.Contains(n.Also, apn):
			return n, nil
		case n.APN.IsZero():
			rest = n
		}
	}
	if rest == nil {
		return nil, gtpc.Refuse(gtpc.UnknownAPN, ie.AccessPointName, "APN %v is not served", apn)
	}
	return rest, nil
}

// CheckNetworks says what is wrong with networks: alone, or together.
func CheckNetworks(list []Network) error {
	o := Options{Networks: list}
	_, err := o.makeNetworks()
	return err
}

// makeNetworks checks the Options' networks.
func (o *Options) makeNetworks() (all []*network, err error) {
	if len(o.Networks) == 0 {
		return nil, errors.New("gateway: Options name no Networks")
	}
	for _, n := range o.Networks {
		w, err := newNetwork(n)
		if err != nil {
			return nil, err
		}
		all = append(all, w)
	}
	return all, overlap(all)
}
