package userspace

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// batchSize is how many messages one system call may bring or take; more save
// little more.
const batchSize = 64

// mmsghdr is a message of recvmmsg and sendmmsg.
type mmsghdr struct {
	head unix.Msghdr
	n    uint32
}

// control is room for two control messages with an integer each.
type control [6]uint64

// name is room for an address of either IP version.
type name = unix.RawSockaddrInet6

// manyReceiver reads several datagrams with one system call, without allocating;
// the kernel may have put such of one length and sender together (UDP_GRO).
type manyReceiver struct {
	raw      syscall.RawConn
	call     func(fd uintptr) bool
	n        int
	errno    syscall.Errno
	msgs     [batchSize]mmsghdr
	iovs     [batchSize]unix.Iovec
	names    [batchSize]name
	controls [batchSize]control
	bufs     [batchSize][maxDatagram]byte
	got      []datagram
}

// receiveMany gives a socket's own way to receive. Only of one that is alone at its
// address does the kernel put datagrams together: they may be of several tunnels,
// which other sockets would have.
func receiveMany(c *net.UDPConn, alone bool) (receiver, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("userspace: GTP-U socket: %w", err)
	}
	r := &manyReceiver{raw: raw}
	r.call = r.wait
	for i := range r.msgs {
		r.iovs[i].Base = &r.bufs[i][0]
		r.iovs[i].SetLen(maxDatagram)
		h := &r.msgs[i].head
		h.Name, h.Iov, h.Control = (*byte)(unsafe.Pointer(&r.names[i])), &r.iovs[i], (*byte)(unsafe.Pointer(&r.controls[i]))
		h.SetIovlen(1)
	}
	if alone { // an old kernel leaves them apart
		err = raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_GRO, 1) })
	}
	return r, err
}

// wait is called when the socket may have something; false waits for more.
func (r *manyReceiver) wait(fd uintptr) bool {
	for i := range r.msgs {
		h := &r.msgs[i].head
		h.Namelen = uint32(unsafe.Sizeof(r.names[i]))
		h.SetControllen(int(unsafe.Sizeof(r.controls[i])))
	}
	for {
		n, _, e := unix.Syscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&r.msgs[0])), batchSize, unix.MSG_DONTWAIT, 0, 0)
		r.n, r.errno = int(n), e
		switch e {
		case 0:
			return true
		case unix.EINTR:
		default:
			return e != unix.EAGAIN
		}
	}
}

func (r *manyReceiver) receive() ([]datagram, error) {
	if err := r.raw.Read(r.call); err != nil {
		return nil, err
	}
	if r.errno != 0 {
		return nil, os.NewSyscallError("recvmmsg", r.errno)
	}
	r.got = r.got[:0]
	for i := range r.n {
		m := &r.msgs[i]
		b, from := r.bufs[i][:m.n], addrPort(&r.names[i])
		for each := together(&r.controls[i], int(m.head.Controllen)); each > 0 && len(b) > each; b = b[each:] {
			r.got = append(r.got, datagram{b[:each], from})
		}
		r.got = append(r.got, datagram{b, from})
	}
	return r.got, nil
}

// together is the length of datagrams that came as one, 0 for one that came alone.
func together(c *control, n int) int {
	h := (*unix.Cmsghdr)(unsafe.Pointer(c))
	if n < unix.CmsgLen(4) || h.Level != unix.IPPROTO_UDP || h.Type != unix.UDP_GRO {
		return 0
	}
	return int(*(*int32)(unsafe.Pointer(&c[unix.CmsgLen(0)/8])))
}

func addrPort(n *name) netip.AddrPort {
	port := binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&n.Port))[:])
	if n.Family == unix.AF_INET {
		return netip.AddrPortFrom(netip.AddrFrom4((*unix.RawSockaddrInet4)(unsafe.Pointer(n)).Addr), port)
	}
	return netip.AddrPortFrom(netip.AddrFrom16(n.Addr).Unmap(), port)
}
