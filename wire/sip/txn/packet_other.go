//go:build !linux

package txn

import "syscall"

func receiveMany(c syscall.Conn) (receiver, error) { return &single{conn: c.(PacketConn)}, nil }
