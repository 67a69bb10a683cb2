package ipstack

import (
	"crypto/rand"
	"encoding/binary"
	"net/netip"
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// advertised is what routers have told a host. It is netstack's dispatcher of
// neighbour discovery, which calls it with the stack locked.
type advertised struct {
	ready chan struct{} // closed with the first address

	mu   sync.Mutex
	addr netip.Addr
	dns  []netip.Addr
}

// advertisedMTU is what a router says of the link's MTU in an advertisement (RFC 4861
// §4.6.4), which netstack does not read: of most octets at most (RFC 4861 §6.3.4).
func advertisedMTU(b []byte, most int) (uint32, bool) {
	if len(b) < 56 || b[0]>>4 != 6 || b[6] != byte(header.ICMPv6ProtocolNumber) || b[7] != 255 || b[40] != byte(header.ICMPv6RouterAdvert) {
		return 0, false
	}
	for o := b[56:]; len(o) >= 8 && o[1] > 0 && len(o) >= 8*int(o[1]); o = o[8*int(o[1]):] {
		if mtu := binary.BigEndian.Uint32(o[4:]); o[0] == 5 && mtu >= header.IPv6MinimumMTU && mtu <= uint32(most) {
			return mtu, true
		}
	}
	return 0, false
}

func newAdvertised() *advertised { return &advertised{ready: make(chan struct{})} }

// options are those of a host whose link has only the router: nobody there can
// have its address too.
func (a *advertised) options() ipv6.Options {
	ndp := ipv6.DefaultNDPConfigurations()
	ndp.DiscoverDefaultRouters, ndp.DiscoverOnLinkPrefixes, ndp.AutoGenTempGlobalAddresses = false, false, false // the route is there
	secret := make([]byte, header.OpaqueIIDSecretKeyMinBytes)
	rand.Read(secret)
	return ipv6.Options{
		NDPConfigs: ndp, NDPDisp: a,
		OpaqueIIDOpts: ipv6.OpaqueInterfaceIdentifierOptions{NICNameFromID: func(tcpip.NICID, string) string { return "pdn" }, SecretKey: secret},
	}
}

// OnAutoGenAddress implements ipv6.NDPDispatcher.
func (a *advertised) OnAutoGenAddress(_ tcpip.NICID, p tcpip.AddressWithPrefix) stack.AddressDispatcher {
	addr, ok := netip.AddrFromSlice(p.Address.AsSlice())
	a.mu.Lock()
	defer a.mu.Unlock()
	if ok && !addr.IsLinkLocalUnicast() && !a.addr.IsValid() {
		a.addr = addr
		close(a.ready)
	}
	return nil
}

// OnRecursiveDNSServerOption implements ipv6.NDPDispatcher.
func (a *advertised) OnRecursiveDNSServerOption(_ tcpip.NICID, servers []tcpip.Address, _ time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.dns = nil
	for _, s := range servers {
		if addr, ok := netip.AddrFromSlice(s.AsSlice()); ok {
			a.dns = append(a.dns, addr)
		}
	}
}

// OnDuplicateAddressDetectionResult implements ipv6.NDPDispatcher, as the others
// below: nothing is done with what they tell.
func (a *advertised) OnDuplicateAddressDetectionResult(tcpip.NICID, tcpip.Address, stack.DADResult) {
}

// OnOffLinkRouteUpdated implements ipv6.NDPDispatcher.
func (a *advertised) OnOffLinkRouteUpdated(tcpip.NICID, tcpip.Subnet, tcpip.Address, header.NDPRoutePreference) {
}

// OnOffLinkRouteInvalidated implements ipv6.NDPDispatcher.
func (a *advertised) OnOffLinkRouteInvalidated(tcpip.NICID, tcpip.Subnet, tcpip.Address) {}

// OnOnLinkPrefixDiscovered implements ipv6.NDPDispatcher.
func (a *advertised) OnOnLinkPrefixDiscovered(tcpip.NICID, tcpip.Subnet) {}

// OnOnLinkPrefixInvalidated implements ipv6.NDPDispatcher.
func (a *advertised) OnOnLinkPrefixInvalidated(tcpip.NICID, tcpip.Subnet) {}

// OnAutoGenAddressDeprecated implements ipv6.NDPDispatcher.
func (a *advertised) OnAutoGenAddressDeprecated(tcpip.NICID, tcpip.AddressWithPrefix) {}

// OnAutoGenAddressInvalidated implements ipv6.NDPDispatcher.
func (a *advertised) OnAutoGenAddressInvalidated(tcpip.NICID, tcpip.AddressWithPrefix) {}

// OnDNSSearchListOption implements ipv6.NDPDispatcher.
func (a *advertised) OnDNSSearchListOption(tcpip.NICID, []string, time.Duration) {}

// OnDHCPv6Configuration implements ipv6.NDPDispatcher.
func (a *advertised) OnDHCPv6Configuration(tcpip.NICID, ipv6.DHCPv6ConfigurationFromNDPRA) {}
