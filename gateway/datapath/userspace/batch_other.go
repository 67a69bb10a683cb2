//go:build !linux

package userspace

import "net"

func receiveMany(*net.UDPConn, bool) (receiver, error) { return nil, nil }

func sendMany(*net.UDPConn) sender { return nil }
