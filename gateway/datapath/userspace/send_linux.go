package userspace

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// maxSegments is how many datagrams every kernel with UDP_SEGMENT cuts one message
	// into.
	maxSegments = 64
	// maxMessage bounds the octets of such a message.
	maxMessage = 65000
)

// manySender sends several datagrams with one system call. Such of one length that
// follow each other to one peer, of whichever bearers, are one message to the kernel,
// which cuts it at the device (UDP_SEGMENT); the last may be shorter.
type manySender struct {
	raw      syscall.RawConn
	call     func(fd uintptr) bool
	parcels  []parcel
	n, sent  int // messages
	errno    syscall.Errno
	longest  int               // datagram that may be part of a message: 0 where the kernel cuts none
	first    [laneSize + 1]int // parcel of each message
	msgs     [laneSize]mmsghdr
	iovs     [laneSize]unix.Iovec
	names    [laneSize]name
	controls [laneSize]control
}

// sendMany gives a socket's own way to send, or nothing.
func sendMany(c *net.UDPConn) sender {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil
	}
	s := &manySender{raw: raw}
	s.call = s.write
	err = raw.Control(func(fd uintptr) {
		if _, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_SEGMENT); err == nil {
			s.longest = maxDatagram
		}
	})
	if err != nil {
		return nil
	}
	return s
}

func (s *manySender) send(parcels []parcel, done func(*parcel)) {
	for len(parcels) > 0 {
		s.parcels = parcels[:min(len(parcels), laneSize)]
		s.pack()
		err := s.raw.Write(s.call)
		if err == nil && s.errno != 0 {
			if s.cannotCut() {
				err = nil // once more, otherwise
			} else {
				err = os.NewSyscallError("sendmmsg", s.errno)
			}
		}
		sent, next := s.first[s.sent], s.first[min(s.sent+1, s.n)]
		finish(parcels[:sent], nil, done)
		if err == nil {
			next = sent
		}
		finish(parcels[sent:next], err, done)
		parcels = parcels[next:]
	}
	s.parcels = nil
}

// write sends messages until one is refused; false waits until there is room.
func (s *manySender) write(fd uintptr) bool {
	for s.sent < s.n {
		n, _, e := unix.Syscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&s.msgs[s.sent])), uintptr(s.n-s.sent), unix.MSG_DONTWAIT, 0, 0)
		switch s.errno = e; e {
		case 0:
			s.sent += int(n)
		case unix.EINTR:
		default:
			return e != unix.EAGAIN
		}
	}
	return true
}

// pack makes messages of the parcels.
func (s *manySender) pack() {
	s.n, s.sent, s.errno = 0, 0, 0
	for i := 0; i < len(s.parcels); s.n++ {
		x := &s.parcels[i]
		next, octets := i+1, len(x.bytes)
		for next < len(s.parcels) && next-i < maxSegments && len(x.bytes) <= s.longest && len(s.parcels[next-1].bytes) == len(x.bytes) {
			y := &s.parcels[next]
			if octets += len(y.bytes); octets > maxMessage || len(y.bytes) > len(x.bytes) || y.at != x.at || !bytes.Equal(y.oob, x.oob) {
				break
			}
			next++
		}
		s.first[s.n] = i
		s.message(i, next)
		i = next
	}
	s.first[s.n] = len(s.parcels)
}

// message is one of parcels i to next.
func (s *manySender) message(i, next int) {
	for k := i; k < next; k++ {
		b := s.parcels[k].bytes
		s.iovs[k].Base = &b[0]
		s.iovs[k].SetLen(len(b))
	}
	x, h, c := &s.parcels[i], &s.msgs[s.n].head, unsafe.Slice((*byte)(unsafe.Pointer(&s.controls[s.n])), unsafe.Sizeof(control{}))
	*h = unix.Msghdr{Name: (*byte)(unsafe.Pointer(&s.names[s.n])), Namelen: putAddr(&s.names[s.n], x.at), Iov: &s.iovs[i]}
	h.SetIovlen(next - i)
	n := copy(c, x.oob)
	if next-i > 1 {
		m := (*unix.Cmsghdr)(unsafe.Pointer(&c[n]))
		m.Level, m.Type = unix.IPPROTO_UDP, unix.UDP_SEGMENT
		m.SetLen(unix.CmsgLen(2))
		binary.NativeEndian.PutUint16(c[n+unix.CmsgLen(0):], uint16(len(x.bytes)))
		n += unix.CmsgSpace(2)
	}
	if n > 0 {
		h.Control = &c[0]
		h.SetControllen(n)
	}
}

// cannotCut says that the kernel refused a message because it does not cut it, and
// sees to it that the next one need not be cut: a datagram that is longer than the
// way's MTU has to be fragmented instead, and without checksums by the device there
// is no cutting at all.
func (s *manySender) cannotCut() bool {
	i := s.first[s.sent]
	if s.first[s.sent+1]-i == 1 {
		return false
	}
	switch s.errno {
	case unix.EINVAL, unix.EMSGSIZE:
		s.longest = len(s.parcels[i].bytes) - 1
	case unix.EIO, unix.EOPNOTSUPP, unix.ENOPROTOOPT:
		s.longest = 0
	default:
		return false
	}
	return true
}

// putAddr writes an address and says how long it is.
func putAddr(n *name, to netip.AddrPort) uint32 {
	binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&n.Port))[:], to.Port())
	if to.Addr().Is4() {
		n.Family = unix.AF_INET
		(*unix.RawSockaddrInet4)(unsafe.Pointer(n)).Addr = to.Addr().As4()
		return unix.SizeofSockaddrInet4
	}
	n.Family, n.Flowinfo, n.Addr, n.Scope_id = unix.AF_INET6, 0, to.Addr().As16(), 0
	return unix.SizeofSockaddrInet6
}
