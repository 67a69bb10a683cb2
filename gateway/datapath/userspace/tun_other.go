//go:build !linux

package userspace

import (
	"errors"
	"net/netip"
)

// TUN exists on Linux only.
type TUN struct{ Port }

// TUNOptions say what a device is like.
type TUNOptions struct {
	Name   string
	Addrs  []netip.Prefix
	MTU    int
	Queues int
}

// OpenTUNWith fails as OpenTUN does.
func OpenTUNWith(TUNOptions) (*TUN, error) { return OpenTUN("", netip.Prefix{}, 0) }

// OpenTUN fails: use internal/ipstack's Forwarder as the Port.
func OpenTUN(string, netip.Prefix, int) (*TUN, error) {
	return nil, errors.New("userspace: TUN devices need Linux; run without one")
}
