//go:build !linux

package xdp

import (
	"fmt"
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
