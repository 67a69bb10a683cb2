//go:build !linux

package userspace

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
)

func tune(c *net.UDPConn, size int) {
	c.SetReadBuffer(size)
	c.SetWriteBuffer(size)
}

func marking(netip.Addr, uint8) []byte { return nil }

func reusePort(_, _ string, _ syscall.RawConn) error { return errors.New("several workers need Linux") }

func share(*net.UDPConn, int) error { return errors.New("several workers need Linux") }
