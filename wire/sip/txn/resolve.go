package txn

import (
	"context"
	"net"
	"net/netip"

	"campanile.network/wire/sip"
)

// Resolver looks names up; *net.Resolver is one.
type Resolver interface {
	LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error)
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Resolve gives where a request for a URI can go, best first (RFC 3263 §4):
// numeric addresses without a question, names with a port by address, others by
// SRV and then by address. There is no NAPTR: the transport is the URI's, or
// TLS for sips, or whichever of UDP, TCP and TLS has an SRV record.
func Resolve(ctx context.Context, r Resolver, u *sip.URI) ([]Target, error) {
	panic("soon")
}
