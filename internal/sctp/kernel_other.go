//go:build !linux

package sctp

import "errors"

var errNoKernel = errors.New("only Linux's SCTP is supported")

// KernelAvailable says why the operating system's SCTP cannot be used here, or nil if it can.
func KernelAvailable() error { return errNoKernel }

func openKernel(OpenOptions) (Endpoint, error) { return nil, errNoKernel }
