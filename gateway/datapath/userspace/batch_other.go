//go:build !linux

package userspace

import (
	"errors"
	"net/netip"
)

// batch is Linux's.
type batch struct{}

func receiver(PacketConn) (*batch, error) { return nil, nil }

func (*batch) read() (int, error)                    { return 0, errors.ErrUnsupported }
func (*batch) datagram(int) ([]byte, netip.AddrPort) { return nil, netip.AddrPort{} }
