//go:build !linux

package txn

import "net"

func receiveMany(c *net.UDPConn) (receiver, error) { return &single{conn: c}, nil }
