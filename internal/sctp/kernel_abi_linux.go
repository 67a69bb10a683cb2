package sctp

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Numbers of Linux's SCTP socket interface (linux/sctp.h, after RFC 6458). Structures are in host byte order unless said otherwise.
const (
	kernelRTOInfo        = 0
	kernelAssocInfo      = 1
	kernelInitMsg        = 2
	kernelNoDelay        = 3
	kernelPeerAddrParams = 9
	kernelEvents         = 11
	kernelStatus         = 14
	kernelDelayedSack    = 16
	kernelMaxBurst       = 20
	kernelRecvRcvInfo    = 32
	kernelBindxAdd       = 100
	kernelGetPeerAddrs   = 108
	kernelConnectx3      = 111

	kernelCmsgSndInfo = 2
	kernelCmsgRcvInfo = 3

	kernelSndInfoLen = 16
	kernelRcvInfoLen = 28
	kernelFlagNotify = 0x8000 // MSG_NOTIFICATION

	kernelHeartbeatOn     = 1
	kernelPeerParamsLen   = 156
	kernelPeerParamsHB    = 132
	kernelPeerParamsFlags = 146
)

// kernelOption is one option of a socket, as bytes.
type kernelOption struct {
	name  string
	level int
	opt   int
	value []byte
}

func ms(d time.Duration) uint32 { return uint32(max(d.Milliseconds(), 1)) }

// kernelOptions are what every socket gets before it listens or connects; accepted sockets inherit them.
func kernelOptions(o *Options) []kernelOption {
	ne, t := binary.NativeEndian, &o.Timers
	words := func(v ...uint32) (b []byte) {
		for _, w := range v {
			b = ne.AppendUint32(b, w)
		}
		return b
	}
	initTimeout := uint16(min(t.RTOMax.Milliseconds(), 65535))
	var initMsg []byte
	for _, v := range []uint16{o.OutStreams, o.InStreams, uint16(t.MaxInitRetr), initTimeout} {
		initMsg = ne.AppendUint16(initMsg, v)
	}
	assoc := words(0, 0, 0, 0, ms(t.CookieLife))
	ne.PutUint16(assoc[4:], uint16(t.MaxRetrans))
	path := make([]byte, kernelPeerParamsLen)
	ne.PutUint32(path[kernelPeerParamsHB:], ms(t.HBInterval))
	ne.PutUint32(path[kernelPeerParamsFlags:], kernelHeartbeatOn)
	events := []byte{0, 1, 1, 1, 1, 1, 1} // all of RFC 6458 §6.2.1 up to partial delivery, but data_io, which rcvinfo replaces
	sctp := unix.IPPROTO_SCTP
	return []kernelOption{
		{"SO_REUSEADDR", unix.SOL_SOCKET, unix.SO_REUSEADDR, words(1)},
		{"SO_RCVBUF", unix.SOL_SOCKET, unix.SO_RCVBUF, words(uint32(o.ReceiveBuffer))},
		{"SO_SNDBUF", unix.SOL_SOCKET, unix.SO_SNDBUF, words(uint32(o.SendBuffer))},
		{"SCTP_INITMSG", sctp, kernelInitMsg, initMsg},
		{"SCTP_RTOINFO", sctp, kernelRTOInfo, words(0, ms(t.RTOInitial), ms(t.RTOMax), ms(t.RTOMin))},
		{"SCTP_ASSOCINFO", sctp, kernelAssocInfo, assoc},
		{"SCTP_PEER_ADDR_PARAMS", sctp, kernelPeerAddrParams, path},
		{"SCTP_DELAYED_SACK", sctp, kernelDelayedSack, words(0, ms(t.SACKDelay), 2)},
		{"SCTP_MAX_BURST", sctp, kernelMaxBurst, words(0, uint32(t.MaxBurst))},
		{"SCTP_NODELAY", sctp, kernelNoDelay, words(1)},
		{"SCTP_RECVRCVINFO", sctp, kernelRecvRcvInfo, words(1)},
		{"SCTP_EVENTS", sctp, kernelEvents, events},
	}
}

// kernelSocket makes a socket that does not block, with the options set and bound to all local addresses; shared, if another socket that has
// SO_REUSEPORT listens there.
func kernelSocket(o *Options, local []netip.Addr, port uint16, shared bool) (int, error) {
	family := unix.AF_INET
	for _, a := range local {
		if a.Is6() {
			family = unix.AF_INET6
		}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_SCTP)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	kernelSharePort(fd, shared)
	if err := kernelPrepare(fd, o, family, local, port); err != nil {
		unix.Close(fd)
		return -1, err
	}
	kernelSharePort(fd, false)
	return fd, nil
}

func kernelPrepare(fd int, o *Options, family int, local []netip.Addr, port uint16) error {
	for _, opt := range kernelOptions(o) {
		if err := unix.SetsockoptString(fd, opt.level, opt.opt, string(opt.value)); err != nil {
			return fmt.Errorf("sctp: the kernel refuses %s: %w", opt.name, err)
		}
	}
	first := netip.AddrPortFrom(local[0], port)
	if err := unix.Bind(fd, kernelSockaddr(first, family)); err == unix.EADDRINUSE {
		return fmt.Errorf("%w: %d", ErrPortInUse, port)
	} else if err != nil {
		return fmt.Errorf("sctp: cannot bind %v: %w", first, err)
	}
	if len(local) == 1 {
		return nil
	}
	own, err := kernelLocalAddr(fd)
	if err != nil {
		return err
	}
	var more []byte
	for _, a := range local[1:] {
		more = appendSockaddr(more, netip.AddrPortFrom(a, own.Port()))
	}
	if err := unix.SetsockoptString(fd, unix.IPPROTO_SCTP, kernelBindxAdd, string(more)); err != nil {
		return fmt.Errorf("sctp: cannot bind %v as well: %w", local[1:], err)
	}
	return nil
}

// kernelSharePort lets a socket share its port with others of this user that are let, too. What refuses it is the bind.
func kernelSharePort(fd int, let bool) {
	v := 0
	if let {
		v = 1
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, v)
}

// kernelMoreMemory lets an established association keep more than the window it advertises, which was fixed when it began: the kernel books a whole
// packet for every message of one, so that a window full of short messages takes many times its size, and what does not fit is lost until its
// retransmission. Above net.core.rmem_max this needs CAP_NET_ADMIN; without it, floods of short messages are slower.
func kernelMoreMemory(fd int, o *Options) {
	if size := 4 * o.ReceiveBuffer; unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, size) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, size)
	}
}

func kernelSockaddr(a netip.AddrPort, family int) unix.Sockaddr {
	if family == unix.AF_INET {
		return &unix.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}
	}
	return &unix.SockaddrInet6{Addr: a.Addr().As16(), Port: int(a.Port())}
}

// appendSockaddr packs a struct sockaddr_in or sockaddr_in6, as bindx and connectx want them.
func appendSockaddr(b []byte, a netip.AddrPort) []byte {
	be, ne := binary.BigEndian, binary.NativeEndian
	if ip := a.Addr().Unmap(); ip.Is4() {
		b = ne.AppendUint16(b, unix.AF_INET)
		b = be.AppendUint16(b, a.Port())
		b = append(b, ip.AsSlice()...)
		return append(b, make([]byte, 8)...)
	}
	b = ne.AppendUint16(b, unix.AF_INET6)
	b = be.AppendUint16(b, a.Port())
	b = append(b, 0, 0, 0, 0)
	b = append(b, a.Addr().AsSlice()...)
	return append(b, 0, 0, 0, 0)
}

func fromSockaddr(sa unix.Sockaddr) netip.AddrPort {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).Unmap(), uint16(sa.Port))
	}
	return netip.AddrPort{}
}

func kernelLocalAddr(fd int) (netip.AddrPort, error) {
	sa, err := unix.Getsockname(fd)
	return fromSockaddr(sa), os.NewSyscallError("getsockname", err)
}

// kernelGetsockopt fills b and returns how much of it; SCTP reads part of b as arguments.
func kernelGetsockopt(fd, opt int, b []byte) (int, error) {
	n := uint32(len(b))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.IPPROTO_SCTP, uintptr(opt), uintptr(unsafe.Pointer(&b[0])),
		uintptr(unsafe.Pointer(&n)), 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// kernelConnect starts connecting to all of the peer's addresses (RFC 6458 §9.9).
func kernelConnect(fd int, remote netip.AddrPort, more []netip.Addr) error {
	addrs := appendSockaddr(nil, remote)
	for _, a := range more {
		addrs = appendSockaddr(addrs, netip.AddrPortFrom(a, remote.Port()))
	}
	arg := struct { // struct sctp_getaddrs_old; the number of addresses is, for this call, that of bytes
		id, size int32
		addrs    *byte
	}{0, int32(len(addrs)), &addrs[0]}
	n := uint32(unsafe.Sizeof(arg))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.IPPROTO_SCTP, kernelConnectx3, uintptr(unsafe.Pointer(&arg)),
		uintptr(unsafe.Pointer(&n)), 0)
	runtime.KeepAlive(addrs)
	if errno != 0 {
		return errno
	}
	return nil
}

// kernelStreams asks how many streams were negotiated.
func kernelStreams(fd int) (out, in uint16, err error) {
	b := make([]byte, 176) // struct sctp_status
	if _, err := kernelGetsockopt(fd, kernelStatus, b); err != nil {
		return 0, 0, os.NewSyscallError("SCTP_STATUS", err)
	}
	ne := binary.NativeEndian
	return ne.Uint16(b[18:]), ne.Uint16(b[16:]), nil
}

// kernelPeerAddrs asks for all addresses of the peer, at most 16.
func kernelPeerAddrs(fd int) ([]netip.Addr, error) {
	b := make([]byte, 8+16*28)
	n, err := kernelGetsockopt(fd, kernelGetPeerAddrs, b)
	if err != nil {
		return nil, os.NewSyscallError("SCTP_GET_PEER_ADDRS", err)
	}
	return parsePeerAddrs(b[:n]), nil
}

func parsePeerAddrs(b []byte) (addrs []netip.Addr) {
	if len(b) < 8 {
		return nil
	}
	for b = b[8:]; len(b) >= 16; {
		switch binary.NativeEndian.Uint16(b) {
		case unix.AF_INET:
			addrs = append(addrs, netip.AddrFrom4([4]byte(b[4:])))
			b = b[16:]
		case unix.AF_INET6:
			if len(b) < 28 {
				return addrs
			}
			addrs = append(addrs, netip.AddrFrom16([16]byte(b[8:])).Unmap())
			b = b[28:]
		default:
			return addrs
		}
	}
	return addrs
}
