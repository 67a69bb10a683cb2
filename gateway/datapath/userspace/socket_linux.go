package userspace

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// tune asks for large socket buffers: past the system's limit with privilege, up
// to it without. A burst that does not fit is lost, so more is better; failing to
// get it is no error. Datagrams too big for the way are fragmented there and not
// refused.
func tune(c *net.UDPConn, size int) {
	c.SetReadBuffer(size)
	c.SetWriteBuffer(size)
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) {
		unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, size)
		unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, size)
		unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DONT)
		unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_DONT)
	})
}

// marking is the control message that gives a datagram a DSCP (RFC 2474); nil for
// the best effort.
func marking(to netip.Addr, dscp uint8) []byte {
	if dscp == 0 {
		return nil
	}
	level, kind := int32(unix.IPPROTO_IP), int32(unix.IP_TOS)
	if to.Is6() {
		level, kind = unix.IPPROTO_IPV6, unix.IPV6_TCLASS
	}
	b := make([]byte, unix.CmsgSpace(4))
	h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
	h.Level, h.Type = level, kind
	h.SetLen(unix.CmsgLen(4))
	binary.NativeEndian.PutUint32(b[unix.CmsgLen(0):], uint32(dscp)<<2)
	return b
}

// reusePort lets several sockets have one address.
func reusePort(_, _ string, c syscall.RawConn) error {
	var err error
	control := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
	return errors.Join(control, err)
}

// share deals datagrams out to the sockets of an address by their TEID, so that a
// tunnel's stay in order; c is any of them.
func share(c *net.UDPConn, sockets int) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	program := []unix.SockFilter{ // of the payload; too short a one goes to the first
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 4},
		{Code: unix.BPF_ALU | unix.BPF_MOD | unix.BPF_K, K: uint32(sockets)},
		{Code: unix.BPF_RET | unix.BPF_A},
	}
	f := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	control := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_CBPF, &f)
	})
	return errors.Join(control, err)
}
