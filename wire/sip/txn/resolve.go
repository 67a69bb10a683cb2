package txn

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"campanile.network/wire/sip"
)

// Resolver looks names up; *net.Resolver is one.
type Resolver interface {
	LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error)
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// maxTargets bounds how many places a name leads to.
const maxTargets = 16

// Resolve gives where a request for a URI can go, best first (RFC 3263 §4):
// numeric addresses without a question, names with a port by address, others by
// SRV and then by address. There is no NAPTR: the transport is the URI's, or
// TLS for sips, or whichever of UDP, TCP and TLS has an SRV record, in this order.
func Resolve(ctx context.Context, r Resolver, u *sip.URI) ([]Target, error) {
	if u.Scheme != "sip" && u.Scheme != "sips" {
		return nil, fmt.Errorf("sip: %s URI: %w", u.Scheme, ErrNoTarget)
	}
	transport, host := strings.ToUpper(u.Params.Get("transport")), u.Host
	if h := u.Params.Get("maddr"); h != "" {
		host = h
	}
	transports := []string{UDP, TCP, TLS}
	switch {
	case u.Scheme == "sips" && (transport == "" || transport == TCP || transport == TLS):
		transports = []string{TLS}
	case transport == UDP && u.Scheme == "sip" || transport == TCP || transport == TLS:
		transports = []string{transport}
	case transport != "":
		return nil, fmt.Errorf("sip: %s URI with transport %q: %w", u.Scheme, transport, ErrNoTarget)
	}
	if a, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return []Target{{Transport: transports[0], Addr: netip.AddrPortFrom(a, port(u.Port, transports[0])), Name: host}}, nil
	}
	var list []Target
	if u.Port == 0 {
		for _, t := range transports {
			list = append(list, services(ctx, r, t, host)...)
		}
	}
	if len(list) == 0 {
		addrs, err := r.LookupNetIP(ctx, "ip", host)
		if err != nil {
			return nil, fmt.Errorf("sip: %s: %w", host, err)
		}
		for _, a := range addrs {
			list = append(list, Target{Transport: transports[0], Addr: netip.AddrPortFrom(a.Unmap(), port(u.Port, transports[0])), Name: host})
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("sip: %s has no address: %w", host, ErrNoTarget)
	}
	return list[:min(len(list), maxTargets)], nil
}

// services are the targets of a name's SRV records, in their order of priority
// and of chance by weight, which the resolver has made (RFC 2782).
func services(ctx context.Context, r Resolver, transport, name string) (list []Target) {
	service, proto := "sip", strings.ToLower(transport)
	if transport == TLS {
		service, proto = "sips", "tcp"
	}
	_, records, err := r.LookupSRV(ctx, service, proto, name)
	if err != nil {
		return nil
	}
	for _, v := range records {
		if v.Target == "." { // not offered
			continue
		}
		addrs, err := r.LookupNetIP(ctx, "ip", v.Target)
		if err != nil {
			continue
		}
		for _, a := range addrs {
			if len(list) == maxTargets {
				return list
			}
			// A certificate is for the name that was asked for (RFC 5922 §4).
			list = append(list, Target{Transport: transport, Addr: netip.AddrPortFrom(a.Unmap(), v.Port), Name: name})
		}
	}
	return list
}

// port is the standard's where a URI has none (RFC 3261 §19.1.2).
func port(p int, transport string) uint16 {
	switch {
	case p != 0:
		return uint16(p)
	case transport == TLS:
		return 5061
	}
	return 5060
}

var _ Resolver = (*net.Resolver)(nil)
