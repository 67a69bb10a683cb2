//go:build !linux

package xdp

import (
	"fmt"
	"net/netip"
	"runtime"

	"campanile.network/gateway/datapath/userspace"
)

// Path exists on Linux only.
type Path struct{ *userspace.Path }

// New fails: ErrUnsupported.
func New(o Options) (*Path, error) {
	if err := o.defaults(); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("%w: %s has no XDP", ErrUnsupported, runtime.GOOS)
}

// Mode is never asked.
func (p *Path) Mode() Mode { return Auto }

// Why is never asked.
func (p *Path) Why() string { return "" }

// Fast is never asked.
func (p *Path) Fast() (Fast, error) { return Fast{}, ErrUnsupported }

// Devices fails: ErrUnsupported.
func Devices(netip.Addr) (towers, network Device, err error) {
	return towers, network, fmt.Errorf("%w: %s has no XDP", ErrUnsupported, runtime.GOOS)
}

// Named fails: ErrUnsupported.
func Named(string) (Device, error) {
	return Device{}, fmt.Errorf("%w: %s has no XDP", ErrUnsupported, runtime.GOOS)
}
