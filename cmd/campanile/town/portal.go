package town

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"

	"campanile.network/gateway/datapath/userspace"
	"campanile.network/internal/ipstack"
)

// portal is what phones without quota get.
type portal struct {
	page string           // an absolute URL
	open []netip.AddrPort // what they reach: the page and name servers
}

// portal reads where phones without quota are sent; zero where their sessions end at once.
func (c GatewayConfig) portal(s settings, bad mistake) (p portal, err error) {
	switch {
	case c.Redirect < 0:
		return p, bad("gateway.redirect", fmt.Errorf("%v", c.Redirect), `write such as "10m", or "0s"`)
	case c.Redirect == 0 && (c.Portal != "" || len(c.PortalHosts) > 0):
		return p, bad("gateway.portal", fmt.Errorf("no phone is sent there while gateway.redirect is 0s"), `write redirect = "10m", or take the portal away`)
	case c.Redirect == 0:
		return p, nil
	}
	p.page = c.Portal
	if p.page == "" {
		p.page = "http://" + netip.AddrPortFrom(s.router, 80).Addr().String() + "/"
	}
	u, port, err := pageAt(p.page)
	if err != nil {
		return p, bad("gateway.portal", err, "write such as http://203.0.113.9/account")
	}
	hosts := c.PortalHosts
	if _, err := netip.ParseAddr(u.Hostname()); err == nil {
		hosts = append([]string{u.Hostname()}, hosts...)
	} else if len(hosts) == 0 {
		return p, bad("gateway.portal_hosts", fmt.Errorf("nobody has said which addresses %s has", u.Hostname()), "write them: phones without quota reach no others")
	}
	for _, text := range hosts {
		a, err := netip.ParseAddr(text)
		if err != nil {
			return p, bad("gateway.portal_hosts", err, "write IP addresses")
		}
		p.open = append(p.open, netip.AddrPortFrom(a, uint16(port)))
	}
	for _, a := range nameServers(s) {
		if at := netip.AddrPortFrom(a, 53); !slices.Contains(p.open, at) {
			p.open = append(p.open, at)
		}
	}
	return p, nil
}

// pageAt reads the URL of a page, and which port it is at.
func pageAt(page string) (u *url.URL, port uint64, err error) {
	if u, err = url.Parse(page); err != nil {
		return nil, 0, err
	}
	port, web := map[string]uint64{"http": 80, "https": 443}[u.Scheme]
	if u.Hostname() == "" || !web {
		return nil, 0, fmt.Errorf("%q is no URL of a web page", page)
	}
	if u.Port() != "" {
		port, err = strconv.ParseUint(u.Port(), 10, 16)
	}
	return u, port, err
}

// nameServers are those that phones are told of.
func nameServers(s settings) []netip.Addr {
	all := []netip.Addr{s.router}
	for _, n := range s.gatewayOptions.Networks {
		all = append(all, n.DNS...)
	}
	return all
}

// redirect is what answers the web requests of phones without quota; nil where their
// sessions end at once.
func (t *Town) redirect() (userspace.Port, error) {
	if t.set.portal.page == "" {
		return nil, nil
	}
	r, err := ipstack.NewRedirect(ipstack.RedirectOptions{To: t.set.portal.page, Router: t.set.router, Logger: t.role("gateway")})
	if err != nil {
		return nil, err
	}
	t.serve("redirect", r.Serve)
	return r, nil
}
