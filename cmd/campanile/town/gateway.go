package town

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"strings"

	"campanile.network/gateway"
)

// maxGatewaySessions is how many sessions and bearers the gateway has room for, each.
const maxGatewaySessions = 1 << 16

// startGateway opens the data path, puts back on it what was there before a restart, and
// then has both served: a packet of a session that is not back yet would be answered
// with an error.
func (t *Town) startGateway(context.Context) error {
	s1u := netip.AddrPortFrom(t.set.gateway, gtpuPort)
	path, err := t.openPath(s1u)
	if err != nil {
		return err
	}
	kept, err := t.openVault("gateway", "the gateway", "phones attach anew")
	if err != nil {
		return err
	}
	restarts, err := t.restartCounter("gateway", !kept.Fresh())
	if err != nil {
		return err
	}
	o := t.set.gatewayOptions
	o.S11, o.S1U, o.MMEs = netip.AddrPortFrom(t.set.gateway, gtpcPort), t.set.gateway, t.set.mmes()
	o.Path, o.MaxSessions, o.RestartCounter, o.Store = path, maxGatewaySessions, restarts, kept
	o.OpenTicket, o.Sink, o.Logger = openTicket(t.model, t.chainID, t.operatorKey), t.sink, t.role("gateway")
	t.gateway, err = gateway.New(o)
	if err != nil {
		return t.portTaken(err, "gateway.address")
	}
	t.bound = append(t.bound, fmt.Sprintf("S11 %v", t.gateway.S11Addr()), fmt.Sprintf("S1-U %v", s1u))
	t.serve("data path", path.Serve)
	t.serve("gateway", t.gateway.Serve)
	return nil
}

// routePools has the kernel send what is for phones to the TUN device, beside the first
// pool, which is the device's own, and translates addresses where that is wanted.
func (t *Town) routePools() error {
	for i, n := range t.set.gatewayOptions.Networks {
		for k, p := range n.IPv4 {
			if i+k > 0 {
				if err := run("", "ip", "route", "replace", p.String(), "dev", tunName); err != nil {
					return err
				}
			}
		}
		for _, p := range n.IPv6 {
			if err := run("", "ip", "-6", "route", "replace", p.String(), "dev", tunName); err != nil {
				return err
			}
		}
	}
	return t.translate()
}

// run runs a tool of the system, which says what is wrong.
func run(input, name string, args ...string) error {
	c := exec.Command(name, args...)
	c.Stdin = strings.NewReader(input)
	out, err := c.CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("%s is not installed (Debian: %s), and the TUN data path needs it", name, map[string]string{"ip": "iproute2", "nft": "nftables"}[name])
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}
