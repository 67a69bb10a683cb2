//go:build !linux

package userspace

import (
	"errors"
	"net/netip"
)

// TUN exists on Linux only.
type TUN struct{ Port }

// OpenTUN fails: use internal/ipstack's Forwarder as the Port.
func OpenTUN(string, netip.Prefix, int) (*TUN, error) {
	return nil, errors.New("userspace: TUN devices need Linux; run without one")
}
