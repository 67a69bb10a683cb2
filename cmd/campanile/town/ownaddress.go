package town

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"

	"campanile.network/gateway"
	"campanile.network/internal/ipstack"
	"campanile.network/internal/logs"
)

// routers are the gateway's own addresses among phones': router, and router6 where
// there is IPv6.
func (t *Town) routers() []netip.Addr {
	if six := t.router6(); six.IsValid() {
		return []netip.Addr{t.set.router, six}
	}
	return []netip.Addr{t.set.router}
}

// router6 is the gateway's own IPv6 address; zero where there is no IPv6.
func (t *Town) router6() netip.Addr { return t.set.gatewayOptions.Networks[0].Router6 }

// tunnelMTU is the largest MTU that a phone is told.
func (t *Town) tunnelMTU() (mtu int) {
	for _, n := range t.set.gatewayOptions.Networks {
		mtu = max(mtu, cmp.Or(int(n.MTU), ipstack.DefaultMTU))
	}
	return mtu
}

// names are those that the gateway's name server knows by itself.
func (t *Town) names() map[string]netip.Addr {
	return map[string]netip.Addr{"web.campanile": t.set.router}
}

// newForwarder is the packet network of this machine's sockets.
func (t *Town) newForwarder() (*ipstack.Forwarder, error) {
	return ipstack.NewForwarder(ipstack.ForwarderOptions{Router: t.set.router, Router6: t.router6(), MTU: t.tunnelMTU(),
		HTTP: map[uint16]http.Handler{80: webPage(t.cfg.Network.Name)}, Names: t.names(), Dial: t.outside.dial, Allow: t.outside.allow, Logger: t.role("gateway")})
}

// deviceAddresses are those of a TUN device, with their networks. The pools of IPv6 are
// routed to it: neighbours of the router's are other phones, not on its link.
func (t *Town) deviceAddresses() []netip.Prefix {
	all := []netip.Prefix{netip.PrefixFrom(t.set.router, t.set.pool.Bits())}
	if six := t.router6(); six.IsValid() {
		all = append(all, netip.PrefixFrom(six, 64))
	}
	return all
}

// answerPhones serves what phones find at the gateway's own addresses where those are
// the kernel's: the web page, and names if a phone is told to ask there.
func (t *Town) answerPhones() error {
	log := t.role("gateway")
	names := ipstack.NewNames(ipstack.NamesOptions{Names: t.names(), Router: t.set.router, Router6: t.router6(), From: t.isPhone, Logger: log})
	for _, a := range t.routers() {
		web, err := net.Listen("tcp", netip.AddrPortFrom(a, 80).String())
		if err != nil {
			return t.portTaken(err, "gateway.router")
		}
		t.serve("web page", func(ctx context.Context) error { return serveHTTP(ctx, web, webPage(t.cfg.Network.Name)) })
		if !slices.ContainsFunc(t.set.gatewayOptions.Networks, func(n gateway.Network) bool { return slices.Contains(n.DNS, a) }) {
			continue
		}
		c, err := net.ListenPacket("udp", netip.AddrPortFrom(a, 53).String())
		if err != nil {
			log.Warn("phones are told of a name server that is not campanile's: another program has its port", logs.Address, a, logs.Error, err)
			continue
		}
		t.serve("name server", func(ctx context.Context) error { return names.Serve(ctx, c) })
	}
	return nil
}

// isPhone says that an address is one of those that phones get.
func (t *Town) isPhone(a netip.Addr) bool {
	for _, n := range t.set.gatewayOptions.Networks {
		for _, p := range slices.Concat(n.IPv4, n.IPv6) {
			if p.Contains(a) {
				return true
			}
		}
		for _, s := range n.Static {
			if s.IPv4 == a || s.IPv6.IsValid() && netip.PrefixFrom(s.IPv6, 64).Contains(a) {
				return true
			}
		}
	}
	return false
}

// forwards warns where the kernel passes on no packets of phones.
func (t *Town) forwards() {
	for i := range t.routers() {
		version, key := "IPv4", "net/ipv4/ip_forward"
		if i > 0 {
			version, key = "IPv6", "net/ipv6/conf/all/forwarding"
		}
		b, err := os.ReadFile("/proc/sys/" + key)
		if err != nil || strings.TrimSpace(string(b)) != "0" {
			continue
		}
		t.role("gateway").Warn(fmt.Sprintf("this machine forwards no %s packets, and phones reach nothing beyond it: sysctl -w %s=1", version, strings.ReplaceAll(key, "/", ".")))
		t.path.words += ", " + version + " FORWARDING IS OFF"
	}
}
