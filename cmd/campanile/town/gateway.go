package town

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"strings"

	"campanile.network/gateway"
	"campanile.network/gateway/datapath/table"
	"campanile.network/gateway/datapath/userspace"
	"campanile.network/internal/config"
	"campanile.network/internal/ipstack"
	"campanile.network/internal/logs"
)

// maxGatewaySessions is how many sessions and bearers the gateway has room for, each.
const maxGatewaySessions = 1 << 16

// startGateway opens the data path, puts back on it what was there before a restart, and
// then has both served: a packet of a session that is not back yet would be answered
// with an error.
func (t *Town) startGateway(context.Context) error {
	s1u := netip.AddrPortFrom(t.set.gateway, gtpuPort)
	port, err := t.packetNetwork()
	if err != nil {
		return err
	}
	counts, err := t.openCounts()
	if err != nil {
		return err
	}
	towers, _ := prefixes(t.cfg.Gateway.Towers)
	path, err := userspace.New(userspace.Options{Local: s1u, Port: port, Table: counts, MaxBearers: maxGatewaySessions, Towers: towers, Neighbours: t.cfg.Gateway.Neighbours,
		Router: t.set.router, DNS: t.set.gatewayOptions.Networks[0].DNS, Logger: t.role("gateway")})
	if err != nil {
		return t.portTaken(err, "gateway.address")
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

// openCounts opens the file that bearers are counted in, which outlives the process. One
// that cannot be used is put aside: counts go on from what the store has.
func (t *Town) openCounts() (*table.Table, error) {
	file := t.cfg.path("gateway.counts")
	counts, err := table.Open(file, maxGatewaySessions, maxGatewaySessions, false)
	if errors.Is(err, table.ErrFile) {
		t.role("gateway").Error("the file of counts is put aside: what was counted since the store was written last is lost", "file", file+".damaged", logs.Error, err)
		if err := os.Rename(file, file+".damaged"); err != nil {
			return nil, err
		}
		counts, err = table.Open(file, maxGatewaySessions, maxGatewaySessions, false)
	}
	if err != nil {
		return nil, err
	}
	t.onEnd("gateway's counts", counts.Close)
	return counts, nil
}

// packetNetwork opens the gateway's far side: a TUN device with root,
// otherwise a network stack in user space.
func (t *Town) packetNetwork() (userspace.Port, error) {
	kind, log := t.cfg.Gateway.DataPath, t.role("gateway")
	if kind == "tun" || kind == "auto" && os.Geteuid() == 0 && t.cfg.Radio.Kind != "virtual" {
		tun, err := userspace.OpenTUN(tunName, netip.PrefixFrom(t.set.router, t.set.pool.Bits()), 1400)
		if err != nil {
			return nil, t.portTaken(err, "gateway.data_path")
		}
		if err := t.routePools(); err != nil {
			return nil, errors.Join(err, tun.Close())
		}
		web, err := net.Listen("tcp", netip.AddrPortFrom(t.set.router, 80).String())
		if err != nil {
			return nil, t.portTaken(err, "gateway.router")
		}
		t.serve("web page", func(ctx context.Context) error { return serveHTTP(ctx, web, webPage(t.cfg.Network.Name)) })
		t.pathWords = "userspace, by the TUN device " + tunName + ", nat " + t.cfg.Gateway.NAT
		log.Info("user packets go through a TUN device", "device", tunName, "nat", t.cfg.Gateway.NAT)
		return tun, nil
	}
	for _, n := range t.set.gatewayOptions.Networks {
		if len(n.IPv6) > 0 {
			return nil, &config.Error{File: t.cfg.file, Line: config.Line(t.cfg.file, "gateway.data_path"), What: fmt.Sprintf("APN %v has IPv6 addresses, which the network stack in user space does not", n.APN),
				Remedy: `write data_path = "tun" and run the gateway as root, or take pool6 away`}
		}
	}
	t.pathWords = "userspace, by a network stack in this process (data_path is " + kind + ")"
	if kind == "auto" && os.Geteuid() != 0 {
		t.pathWords += ": a TUN device needs root"
	}
	if kind == "auto" {
		log.Info("user packets go through a network stack in user space: no root, one machine's speed; data_path = \"tun\" needs root", "root", os.Geteuid() == 0)
	}
	fwd, err := ipstack.NewForwarder(ipstack.ForwarderOptions{Router: t.set.router, HTTP: map[uint16]http.Handler{80: webPage(t.cfg.Network.Name)},
		Names: map[string]netip.Addr{"web.campanile": t.set.router}, Logger: log})
	if err != nil {
		return nil, err
	}
	t.serve("packet network", fwd.Serve)
	return fwd, nil
}

// tunName is the TUN device, which vanishes with the process.
const tunName = "campanile0"

// routePools has the kernel send what is for phones to the TUN device, beside the first
// pool, which is the device's own, and translates addresses where that is wanted.
func (t *Town) routePools() error {
	var v4 []string
	for i, n := range t.set.gatewayOptions.Networks {
		for k, p := range n.IPv4 {
			v4 = append(v4, p.String())
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
	if t.cfg.Gateway.NAT != nat44 {
		return nil
	}
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0); err != nil {
		return fmt.Errorf("gateway.nat = %q: %w", nat44, err)
	}
	rules := "add table ip campanile_nat\ndelete table ip campanile_nat\ntable ip campanile_nat {\n chain out {\n  type nat hook postrouting priority srcnat; policy accept;\n  ip saddr { " +
		strings.Join(v4, ", ") + " } oifname != \"" + tunName + "\" masquerade\n }\n}\n"
	if err := run(rules, "nft", "-f", "-"); err != nil {
		return err
	}
	t.onEnd("address translation", func() error { return run("", "nft", "delete", "table", "ip", "campanile_nat") })
	return nil
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
