//go:build !linux

package sctp

import "syscall"

// dontFragment leaves a socket as it is: without WriteSplit the path MTU is not searched for.
func dontFragment(d Datagrams, _ syscall.Conn) (Datagrams, error) { return d, nil }
