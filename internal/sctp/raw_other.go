//go:build !linux

package sctp

import "errors"

// NewRaw needs Linux.
func NewRaw(Options) (*Userspace, error) {
	return nil, errors.New("sctp: transport raw needs Linux; configure transport udp")
}
