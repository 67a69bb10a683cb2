package xdp

import "errors"

// ErrUnsupported says that this machine or process cannot run the programs; the
// userspace path moves packets instead. The error that wraps it names what is
// missing.
var ErrUnsupported = errors.New("xdp: not possible here")
