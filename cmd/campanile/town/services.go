package town

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"campanile.network/gateway/datapath"
	"campanile.network/wire/usage"
)

// ServiceConfig is traffic that is counted and paid for apart: a sponsored host, a free
// zone, a tariff of its own.
type ServiceConfig struct {
	Name     string   `toml:"name"`
	Hosts    []string `toml:"hosts"`
	Protocol string   `toml:"protocol"`
	Ports    []string `toml:"ports"`
	Free     bool     `toml:"free"`
	Group    int      `toml:"group"`
}

// portalClass is the class of what phones without quota get: the way to the page, the
// page and names.
const portalClass = datapath.Classes - 1

// maxServices is how many there can be beside that.
const maxServices = portalClass - 1

// services are what data path and gateway are told of [[gateway.services]]. The order of
// the list is that of the classes, and the first one that fits a packet has it.
func (c GatewayConfig) services(bad mistake) (path []datapath.Service, classes [datapath.Classes]usage.Terms, err error) {
	const key = "gateway.services"
	classes[portalClass] = usage.Terms{Name: "self-care", Free: true}
	if len(c.Services) > maxServices {
		return nil, classes, bad(key, fmt.Errorf("%d services", len(c.Services)), fmt.Sprintf("write %d at most; one may have many hosts", maxServices))
	}
	names := map[string]bool{classes[portalClass].Name: true}
	for i, s := range c.Services {
		switch {
		case s.Name == "" || len(s.Name) > usage.MaxName || names[s.Name]:
			return nil, classes, bad(key+".name", fmt.Errorf("%q", s.Name), fmt.Sprintf("write a name of 1 to %d octets that no other service has; %q is what phones without quota get", usage.MaxName, classes[portalClass].Name))
		case s.Free && s.Group != 0 || s.Group < 0 || s.Group > 1<<31-1:
			return nil, classes, bad(key+".group", fmt.Errorf("%s is of rating group %d, free: %t", s.Name, s.Group, s.Free), "write free = true, or the number of a group that it is charged in")
		}
		names[s.Name] = true
		class := uint8(i + 1)
		classes[class] = usage.Terms{Name: s.Name, Free: s.Free, Group: uint32(s.Group)}
		rows, err := s.rows(class)
		if err != nil {
			return nil, classes, bad(key, fmt.Errorf("%s: %w", s.Name, err), `write such as hosts = ["203.0.113.7", "2001:db8::/32"], protocol = "tcp", ports = ["443", "8000-8010"]; names of hosts are none, for their addresses change`)
		}
		path = append(path, rows...)
	}
	return path, classes, nil
}

// rows are the service as the data path looks for it: one for each range of ports.
func (s ServiceConfig) rows(class uint8) ([]datapath.Service, error) {
	d := datapath.Service{Class: class, Free: s.Free}
	protocol, known := map[string]uint8{"": 0, "icmp": 1, "tcp": datapath.ProtoTCP, "udp": datapath.ProtoUDP}[s.Protocol]
	if !known {
		return nil, fmt.Errorf("protocol %q is none of tcp, udp, icmp", s.Protocol)
	}
	d.Protocol = protocol
	if len(s.Hosts) == 0 {
		return nil, errors.New("no hosts")
	}
	for _, text := range s.Hosts {
		p, err := netip.ParsePrefix(text)
		if a, e := netip.ParseAddr(text); e == nil {
			p, err = a.Prefix(a.BitLen())
		}
		if err != nil {
			return nil, fmt.Errorf("host %q is neither an address nor a range of them", text)
		}
		d.Remotes = append(d.Remotes, p.Masked())
	}
	if len(s.Ports) == 0 {
		return []datapath.Service{d}, nil
	}
	var rows []datapath.Service
	for _, text := range s.Ports {
		lo, hi, isRange := strings.Cut(text, "-")
		if !isRange {
			hi = lo
		}
		a, e1 := strconv.ParseUint(lo, 10, 16)
		b, e2 := strconv.ParseUint(hi, 10, 16)
		if e1 != nil || e2 != nil || a == 0 || b < a {
			return nil, fmt.Errorf("ports %q", text)
		}
		d.Ports = datapath.PortRange{Lo: uint16(a), Hi: uint16(b)}
		rows = append(rows, d)
	}
	return rows, nil
}

// say tells what a service costs.
func sayTerms(t usage.Terms) string {
	switch {
	case t.Free:
		return "free"
	case t.Group != 0:
		return fmt.Sprintf("rating group %d", t.Group)
	}
	return "charged"
}

// ServiceView is what has been carried of a service, octets.
type ServiceView struct {
	Name  string `json:"name"`
	Terms string `json:"terms"` // whose it is to pay
	UL    uint64 `json:"ul_octets"`
	DL    uint64 `json:"dl_octets"`
}

// showServices is what the gateway has carried of each.
func (t *Town) showServices() (out []ServiceView) {
	for _, s := range t.gateway.Services() {
		up, _ := s.Count.Arrived()
		out = append(out, ServiceView{s.Name, sayTerms(s.Terms), up, s.Count.DLOctets})
	}
	return out
}

// sayServices is what billing counts by service, where there is any.
func (t *Town) sayServices(say func(name, format string, args ...any)) {
	services := t.meter.Snapshot().Services
	for _, s := range services {
		if s.Terms == (usage.Terms{}) {
			if len(services) > 1 {
				say("services", "all else: %d octets up, %d down, charged to tickets", s.Counts.UL, s.Counts.DL)
			}
			continue
		}
		say("services", "%s: %d octets up, %d down, %s", s.Name, s.Counts.UL, s.Counts.DL, sayTerms(s.Terms))
	}
}

// outside is how the network stack in user space reaches what is beyond this machine;
// zero: as programs here do, and only public addresses.
type outside struct {
	dial  func(ctx context.Context, network, address string) (net.Conn, error)
	allow func(netip.AddrPort) bool
}
