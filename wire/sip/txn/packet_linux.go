package txn

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"syscall"
	"unsafe"
)

// batch is how many datagrams one system call brings at most.
const batch = 32

// mmsghdr is a message of recvmmsg.
type mmsghdr struct {
	head syscall.Msghdr
	n    uint32
}

// many receives several datagrams with one system call, without allocating.
type many struct {
	raw   syscall.RawConn
	call  func(fd uintptr) bool
	n     int
	errno syscall.Errno
	msgs  [batch]mmsghdr
	iovs  [batch]syscall.Iovec
	names [batch]syscall.RawSockaddrInet6
	bufs  [batch][largest + 1]byte
	got   []received
}

func receiveMany(c syscall.Conn) (receiver, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("socket: %w", err)
	}
	r := &many{raw: raw}
	r.call = r.wait
	for i := range r.msgs {
		r.iovs[i].Base = &r.bufs[i][0]
		r.iovs[i].SetLen(largest)
		h := &r.msgs[i].head
		h.Name, h.Iov, h.Iovlen = (*byte)(unsafe.Pointer(&r.names[i])), &r.iovs[i], 1
	}
	return r, nil
}

// wait is called when the socket may have something; false waits for more.
func (r *many) wait(fd uintptr) bool {
	for i := range r.msgs {
		r.msgs[i].head.Namelen = uint32(unsafe.Sizeof(r.names[i]))
	}
	for {
		n, _, e := syscall.Syscall6(syscall.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&r.msgs[0])), batch, syscall.MSG_DONTWAIT, 0, 0)
		r.n, r.errno = int(n), e
		switch e {
		case 0:
			return true
		case syscall.EINTR:
		default:
			return e != syscall.EAGAIN
		}
	}
}

func (r *many) receive() ([]received, error) {
	if err := r.raw.Read(r.call); err != nil {
		return nil, err
	}
	if r.errno != 0 {
		return nil, os.NewSyscallError("recvmmsg", r.errno)
	}
	r.got = r.got[:0]
	for i := range r.n {
		r.got = append(r.got, received{r.bufs[i][:r.msgs[i].n], sender(&r.names[i])})
	}
	return r.got, nil
}

func sender(n *syscall.RawSockaddrInet6) netip.AddrPort {
	port := binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&n.Port))[:])
	if n.Family == syscall.AF_INET {
		return netip.AddrPortFrom(netip.AddrFrom4((*syscall.RawSockaddrInet4)(unsafe.Pointer(n)).Addr), port)
	}
	return netip.AddrPortFrom(netip.AddrFrom16(n.Addr).Unmap(), port)
}
