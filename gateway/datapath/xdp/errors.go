package xdp

import "errors"

// ErrUnsupported says that this machine or process cannot run the programs; the
// userspace path moves packets instead. The error that wraps it names what is
// missing.
var ErrUnsupported = errors.New("xdp: not possible here")

// ErrTaken says that a device has packet programs of somebody else's; the error
// that wraps it names them, and how they are ended. Where they are a gateway's,
// they may move packets that are for this one.
var ErrTaken = errors.New("xdp: a device has others' packet programs")

// ErrShape says that what is pinned is of another shape, because there is room for
// another number of bearers, addresses or classes; the caller may take it away.
var ErrShape = errors.New("xdp: what is pinned is of another shape")
