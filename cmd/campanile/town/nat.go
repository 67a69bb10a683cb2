package town

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"

	"campanile.network/gateway"
)

// What gateway.nat may be.
const (
	natNone = "none"
	nat44   = "nat44"
	nat66   = "nat66"
	natBoth = "both"
)

// translates says of which IP versions phones' addresses are translated.
func (c GatewayConfig) translates() (four, six bool) {
	return c.NAT == nat44 || c.NAT == natBoth, c.NAT == nat66 || c.NAT == natBoth
}

// checkNAT checks what the section says of address translation.
func (c GatewayConfig) checkNAT(all []gateway.Network, bad mistake) error {
	switch c.NAT {
	case natNone, nat44, nat66, natBoth:
	default:
		return bad("gateway.nat", fmt.Errorf("%q is unknown", c.NAT), `write "none", "nat44", "nat66" or "both"`)
	}
	v4, v6 := pools(all)
	four, six := c.translates()
	switch {
	case four && len(v4) == 0, six && len(v6) == 0:
		return bad("gateway.nat", fmt.Errorf("%q, and no phone has such an address", c.NAT), "write pool or pool6, or another nat")
	case six && c.DataPath == pathXDP:
		return bad("gateway.nat", fmt.Errorf("%q, and data path xdp takes IPv6 past what translates it", c.NAT), `write data_path = "tun", or have pool6 routed to this machine`)
	}
	return nil
}

// pools are the addresses of all phones.
func pools(all []gateway.Network) (v4, v6 []string) {
	words := func(out []string, list []netip.Prefix) []string {
		for _, p := range list {
			out = append(out, p.String())
		}
		return out
	}
	for _, n := range all {
		v4, v6 = words(v4, n.IPv4), words(v6, n.IPv6)
	}
	return v4, v6
}

// natTable is what the kernel translates by. It is the gateway's own: made anew at each
// start and taken away at the end, so that nothing is there twice after a kill -9.
const natTable = "inet campanile_nat"

// natRules are nft's words for the table: what it had goes in the same transaction.
func natRules(v4, v6 []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "add table %s\ndelete table %s\n", natTable, natTable)
	if len(v4)+len(v6) == 0 {
		return b.String()
	}
	fmt.Fprintf(&b, "table %s {\n chain out {\n  type nat hook postrouting priority srcnat; policy accept;\n", natTable)
	for family, list := range map[string][]string{"ip": v4, "ip6": v6} {
		if len(list) > 0 {
			fmt.Fprintf(&b, "  %s saddr { %s } oifname != %q masquerade\n", family, strings.Join(list, ", "), tunName)
		}
	}
	b.WriteString(" }\n}\n")
	return b.String()
}

// translate has the kernel give phones this machine's addresses outside, or, where that
// is not wanted, takes away what a killed gateway has left of it.
func (t *Town) translate() error {
	four, six := t.cfg.Gateway.translates()
	v4, v6 := pools(t.set.gatewayOptions.Networks)
	if !four {
		v4 = nil
	}
	if !six {
		v6 = nil
	}
	if !four && !six {
		if _, err := exec.LookPath("nft"); err != nil {
			return nil // nor has another run made any
		}
		if err := run(natRules(nil, nil), "nft", "-f", "-"); err != nil {
			t.role("gateway").Warn("what an earlier gateway translated could not be taken away", "err", err)
		}
		return nil
	}
	for key, wanted := range map[string]bool{"net/ipv4/ip_forward": four, "net/ipv6/conf/all/forwarding": six} {
		if !wanted {
			continue
		}
		if err := forward("/proc/sys/" + key); err != nil {
			return fmt.Errorf("gateway.nat = %q: %w", t.cfg.Gateway.NAT, err)
		}
	}
	if err := run(natRules(v4, v6), "nft", "-f", "-"); err != nil {
		return err
	}
	t.onEnd("address translation", func() error { return run(natRules(nil, nil), "nft", "-f", "-") })
	return nil
}

// forward switches forwarding on where it is off: in a container it may be on and not to
// be written.
func forward(file string) error {
	b, err := os.ReadFile(file)
	if err == nil && strings.TrimSpace(string(b)) != "0" {
		return nil
	}
	return errors.Join(err, os.WriteFile(file, []byte("1"), 0))
}
