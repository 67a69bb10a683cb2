package town

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/gateway"
	"campanile.network/internal/config"
	"campanile.network/wire/gtpc"
)

// GatewayConfig is SGW and PGW.
type GatewayConfig struct {
	Address  string   `toml:"address" comment:"S11 and S1-U; S5/S8 as well."`
	Pool     string   `toml:"pool" comment:"Phones' IPv4 addresses. A phone that comes back gets what it had, unless somebody else needed it since."`
	Pool6    string   `toml:"pool6" comment:"Phones' IPv6 prefixes: a range such as \"fd45::/48\", of which each phone gets 64 bits; empty: no IPv6."`
	Router   string   `toml:"router" comment:"The gateway's own address among them; it serves a small web page and names."`
	Router6  string   `toml:"router6" comment:"Its IPv6 address, likewise; none: the first of pool6. No phone gets the 64 bits that it is in."`
	DNS      []string `toml:"dns" comment:"Name servers, IPv4 and IPv6, that phones are told; none: router and router6, which answer for the machine's own."`
	MTU      int      `toml:"mtu" comment:"Octets of a phone's largest packet, as it is told; what wraps it between tower and core takes 36 to 60 more."`
	Single   bool     `toml:"single_address" comment:"A phone that asks for IPv4 and IPv6 gets IPv4, and may ask for IPv6 beside it (ESM cause #52)."`
	Open     bool     `toml:"open" comment:"Packets reach phones that have not asked for them. Otherwise only answers do, and nobody pays for what strangers send."`
	DataPath string   `toml:"data_path" comment:"\"xdp\": in the kernel's drivers, needs root or CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON. \"tun\": a TUN device, needs root. \"netstack\": user space, no root. \"auto\": the first of them that works here; campanile gateway status says which, and why none before it. See docs/userplane.md."`
	XDPMode  string   `toml:"xdp_mode" comment:"\"native\": in the driver. \"generic\": behind it, on every device, at several times the cost. \"auto\": native where it delivers."`
	S1U      string   `toml:"s1u_device" comment:"With data_path \"xdp\": the network device towards towers; empty: that which has address."`
	SGi      string   `toml:"sgi_device" comment:"With data_path \"xdp\": the network device towards the internet; empty: that of the default route. It may be the same."`
	XDPPins  string   `toml:"xdp_pins" comment:"With data_path \"xdp\": the BPF file system where counts outlive a gateway that is killed."`
	Workers  int      `toml:"workers" comment:"How many packets are moved side by side where they go through this process; 0: as many as there are processors, at most 4."`
	NAT      string   `toml:"nat" comment:"Where the kernel routes phones' packets: \"none\": others route the pools to this machine. \"nat44\": phones have this machine's IPv4 address outside, by a table of nftables that ends with the gateway; \"nat66\": likewise IPv6, for a pool6 that nobody routes here; \"both\"."`

	Towers      []string        `toml:"towers" comment:"Address ranges of eNBs, agents and gateways that may bring user packets; none: anybody's, whose TEID is known."`
	Neighbours  bool            `toml:"neighbours" comment:"Phones reach each other."`
	Redirect    config.Duration `toml:"redirect" comment:"A phone whose ticket is used up has its web requests answered with the way to portal for so long, before its session ends, and goes on as before when it has got more; \"0s\": it ends at once."`
	Portal      string          `toml:"portal" comment:"URL of the page that it is sent to, which it reaches without being charged, as it does name servers and free services; empty: the gateway's own page."`
	PortalHosts []string        `toml:"portal_hosts" comment:"Addresses of the host in portal, where that is a name."`
	DSCP        [][]int         `toml:"dscp" comment:"Marks of user packets towards towers, [[QCI, DSCP], ...], beside those of GSMA IR.34."`
	PhoneQCIs   []int           `toml:"phone_qcis" comment:"QCIs of dedicated bearers that phones get by asking; none: they get none."`
	PhoneKbps   int             `toml:"phone_kbps" comment:"Bit rate that a session's phone can have guaranteed so, kbit/s each way."`
	Gateways    []string        `toml:"gateways" comment:"Address ranges of other operators' gateways that S5/S8 is spoken with: SGWs that may use this PGW, and PGWs that an MME may name."`

	APNs []APNConfig `toml:"apns" comment:"Access points with addresses of their own (those of network.more_apns have this section's), each in a section [[gateway.apns]] with name, pool, pool6, dns, mtu, single_address, open, pgw (address of the gateway that has it, over S5/S8; then no pools) and static, a table of IMSI = 'IPv4 address, IPv6 prefix'."`

	Services []ServiceConfig `toml:"services" comment:"Traffic that is counted apart, each in a section [[gateway.services]] with name, hosts (addresses and ranges), protocol (tcp, udp, icmp; none: any), ports (of the hosts; none: any), and what it costs the subscriber: free = true for nothing (towers are paid for it all the same), or group, the number of a rating group. 6 at most; the first that fits a packet has it."`
}

// APNConfig is an access point beside network.apn.
type APNConfig struct {
	Name   string            `toml:"name"`
	Pool   []string          `toml:"pool"`
	Pool6  []string          `toml:"pool6"`
	DNS    []string          `toml:"dns"`
	MTU    int               `toml:"mtu"`
	Single bool              `toml:"single_address"`
	Open   bool              `toml:"open"`
	PGW    string            `toml:"pgw"`
	Static map[string]string `toml:"static"`
}

func defaultGateway() GatewayConfig {
	return GatewayConfig{Address: "127.0.0.30", Pool: "10.45.0.0/16", Router: "10.45.0.1", MTU: 1400, DataPath: pathAuto, XDPMode: pathAuto, XDPPins: "/sys/fs/bpf", NAT: natNone,
		DNS: []string{}, Towers: []string{}, DSCP: [][]int{}, PhoneQCIs: []int{5, 6, 7, 8, 9}, PhoneKbps: 0, Gateways: []string{}, APNs: []APNConfig{}, PortalHosts: []string{}, Services: []ServiceConfig{}}
}

// options are what the section says, in the gateway's types; s has the network's
// names.
func (c GatewayConfig) options(s settings, bad mistake) (o gateway.Options, err error) {
	if o.Networks, err = c.networks(s, bad); err != nil {
		return o, err
	}
	if o.Gateways, err = prefixes(c.Gateways); err != nil {
		return o, bad("gateway.gateways", err, "write address ranges, such as 192.0.2.0/28")
	}
	if _, err = prefixes(c.Towers); err != nil {
		return o, bad("gateway.towers", err, "write address ranges, such as 192.0.2.0/28")
	}
	if err = c.checkNAT(o.Networks, bad); err != nil {
		return o, err
	}
	o.RedirectFor, o.Emergency = time.Duration(c.Redirect), s.emergency
	o.Policy.DSCP, o.Policy.Guaranteed = gateway.DefaultDSCP(), id.BitRate(c.PhoneKbps)*id.Kbps
	for _, p := range c.DSCP {
		if len(p) != 2 || p[0] < 1 || p[0] > 254 || p[1] < 0 || p[1] > 63 {
			return o, bad("gateway.dscp", fmt.Errorf("%v", p), "write pairs of a QCI, 1 to 254, and a DSCP, 0 to 63: [[9, 0], [1, 46]]")
		}
		o.Policy.DSCP[id.QCI(p[0])] = uint8(p[1])
	}
	for _, q := range c.PhoneQCIs {
		if q < 1 || q > 254 {
			return o, bad("gateway.phone_qcis", fmt.Errorf("%d", q), "write QCIs of 1 to 254")
		}
		o.Policy.Asked = append(o.Policy.Asked, id.QCI(q))
	}
	if c.PhoneKbps < 0 {
		return o, bad("gateway.phone_kbps", fmt.Errorf("%d", c.PhoneKbps), "write 0 or more")
	}
	return o, nil
}

// networks are network.apn, with the section's own pool, and the further access points.
func (c GatewayConfig) networks(s settings, bad mistake) ([]gateway.Network, error) {
	own := APNConfig{Name: s.apn.String(), Pool: []string{c.Pool}, DNS: c.DNS, MTU: c.MTU, Single: c.Single, Open: c.Open}
	if c.Pool6 != "" {
		own.Pool6 = []string{c.Pool6}
	}
	var all []gateway.Network
	for i, a := range append([]APNConfig{own}, c.APNs...) {
		key := "gateway"
		if i > 0 {
			key = "gateway.apns"
		}
		n, err := a.network(key, bad)
		if err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	router6, err := c.router6(all, bad)
	if err != nil {
		return nil, err
	}
	all[0].Router = s.router
	if !s.pool.Contains(s.router) {
		return nil, bad("gateway.router", fmt.Errorf("%v is not in gateway.pool, %v", s.router, s.pool), "write an address of the pool")
	}
	for _, name := range s.apns()[1:] {
		if !slices.ContainsFunc(c.APNs, func(a APNConfig) bool { return a.Name == name.String() }) {
			all[0].Also = append(all[0].Also, name)
		}
	}
	for i := range all {
		n := &all[i]
		if n.PGW.IsValid() {
			continue
		}
		n.Router6 = router6
		if len(n.DNS) == 0 { // no other address of ours has a name server
			n.DNS = slices.DeleteFunc([]netip.Addr{s.router, router6}, func(a netip.Addr) bool { return !a.IsValid() })
		}
	}
	if err := gateway.CheckNetworks(all); err != nil {
		return nil, bad("gateway.apns", err, "see the comment above it")
	}
	return all, nil
}

// router6 is the gateway's own IPv6 address; zero where no network has IPv6.
func (c GatewayConfig) router6(all []gateway.Network, bad mistake) (a netip.Addr, err error) {
	for _, n := range all {
		for _, p := range n.IPv6 {
			if n.MTU != 0 && n.MTU < 1280 {
				return a, bad("gateway.mtu", fmt.Errorf("%d, and APN %v has IPv6", n.MTU, n.APN), "write 1280 or more (RFC 8200 §5)")
			}
			switch {
			case a.IsValid() || c.Router6 != "":
			case p.Bits() >= 64:
				return a, bad("gateway.router6", fmt.Errorf("none, and %v has 64 bits for a phone alone", p), "write an address of this machine, or a larger pool6")
			default:
				a = p.Masked().Addr().Next()
			}
		}
	}
	if c.Router6 == "" {
		return a, nil
	}
	if a, err = address(c.Router6); err != nil || !a.Is6() || a.Is4In6() {
		return a, bad("gateway.router6", fmt.Errorf("%q", c.Router6), "write an IPv6 address")
	}
	return a, nil
}

// network checks an access point; key names its section.
func (a APNConfig) network(key string, bad mistake) (n gateway.Network, err error) {
	if n.APN, err = id.ParseAPN(a.Name); err != nil {
		return n, bad(key+".name", err, "")
	}
	if n.IPv4, err = prefixes(a.Pool); err != nil {
		return n, bad(key+".pool", err, "write address ranges, such as 10.46.0.0/16")
	}
	if n.IPv6, err = prefixes(a.Pool6); err != nil {
		return n, bad(key+".pool6", err, "write address ranges, such as fd46::/48")
	}
	for _, text := range a.DNS {
		d, err := address(text)
		if err != nil {
			return n, bad(key+".dns", err, "write IP addresses")
		}
		n.DNS = append(n.DNS, d)
	}
	if a.MTU != 0 && (a.MTU < 576 || a.MTU > 9000) {
		return n, bad(key+".mtu", fmt.Errorf("%d", a.MTU), "write 576 to 9000; 1280 at least where there is IPv6")
	}
	n.MTU, n.Single, n.Open = uint16(a.MTU), a.Single, a.Open
	if a.PGW != "" {
		if n.PGW, err = address(a.PGW); err != nil {
			return n, bad(key+".pgw", err, "write an IP address")
		}
	}
	n.Static = map[id.IMSI]gtpc.Address{}
	for who, text := range a.Static {
		imsi, err := id.ParseIMSI(who)
		if err != nil {
			return n, bad(key+".static", err, "write IMSI = 'address'")
		}
		if n.Static[imsi], err = fixed(text); err != nil {
			return n, bad(key+".static", err, "write an IPv4 address, an IPv6 prefix of 64 bits, or both with a comma between")
		}
	}
	return n, nil
}

// fixed reads a phone's fixed addresses.
func fixed(text string) (a gtpc.Address, err error) {
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if p, err := netip.ParsePrefix(part); err == nil && p.Addr().Is6() && p.Bits() == 64 {
			a.IPv6 = p.Masked().Addr()
			continue
		}
		v, err := netip.ParseAddr(part)
		if err != nil {
			return a, err
		}
		if !v.Is4() {
			return a, fmt.Errorf("%v is no prefix of 64 bits", v)
		}
		a.IPv4 = v
	}
	if a == (gtpc.Address{}) {
		return a, errors.New("no address")
	}
	return a, nil
}

// address reads an address that means the same everywhere.
func address(text string) (netip.Addr, error) {
	a, err := netip.ParseAddr(text)
	if a.Zone() != "" {
		err = fmt.Errorf("%v is of one of this machine's devices", a)
	}
	return a, err
}

func prefixes(list []string) (out []netip.Prefix, err error) {
	for _, text := range list {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}
