package sctp

import (
	"errors"

	"golang.org/x/sys/unix"
)

// KernelAvailable says why the operating system's SCTP cannot be used here, or nil if it can.
func KernelAvailable() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_SCTP)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

// openKernel makes an endpoint of the operating system's SCTP.
func openKernel(OpenOptions) (Endpoint, error) {
	if err := KernelAvailable(); err != nil {
		return nil, errors.Join(errors.New("sctp: transport kernel: this kernel has no SCTP; load its module (modprobe sctp) or configure transport udp or raw"), err)
	}
	return nil, errors.New("sctp: transport kernel is not in this build; configure transport udp or raw")
}
