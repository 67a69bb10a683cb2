package media

import (
	"errors"
	"net/netip"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// poller waits for the ports of many legs at once.
type poller struct {
	fd, alarm int
	events    [128]unix.EpollEvent
	legs      []watched // by file descriptor
}

type watched struct {
	leg     *Leg
	control bool
	turn    int32 // of this use of the descriptor: an event of the one before is none
}

func (p *poller) open() (err error) {
	p.alarm = -1
	if p.fd, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return err
	}
	if p.alarm, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return err
	}
	return unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, p.alarm, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(p.alarm)})
}

func (p *poller) close() {
	unix.Close(p.fd)
	if p.alarm >= 0 {
		unix.Close(p.alarm)
	}
}

func (p *poller) wake() {
	one := [8]byte{7: 1}
	unix.Write(p.alarm, one[:])
}

// wait says how many ports have something; less than 0 waits without an end.
func (p *poller) wait(d time.Duration) (int, error) {
	ms := -1
	if d >= 0 {
		ms = int(d.Milliseconds())
	}
	n, err := unix.EpollWait(p.fd, p.events[:], ms)
	if errors.Is(err, unix.EINTR) {
		return 0, nil
	}
	return n, err
}

// ready gives the i-th of the ports that have something, or nil.
func (p *poller) ready(i int) (*Leg, bool) {
	e := &p.events[i]
	if int(e.Fd) == p.alarm {
		var count [8]byte
		unix.Read(p.alarm, count[:])
		return nil, false
	}
	w := &p.legs[e.Fd]
	if w.leg == nil || w.turn != e.Pad || w.leg.stopped {
		return nil, false
	}
	return w.leg, w.control
}

func (p *poller) watch(l *Leg) error {
	if err := p.control(unix.EPOLL_CTL_ADD, l, &l.rtp, false, unix.EPOLLIN); err != nil {
		return err
	}
	return p.control(unix.EPOLL_CTL_ADD, l, &l.rtcp, true, unix.EPOLLIN)
}

func (p *poller) pause(l *Leg)  { p.modify(l, 0) }
func (p *poller) resume(l *Leg) { p.modify(l, unix.EPOLLIN) }

func (p *poller) modify(l *Leg, events uint32) {
	p.control(unix.EPOLL_CTL_MOD, l, &l.rtp, false, events)
	p.control(unix.EPOLL_CTL_MOD, l, &l.rtcp, true, events)
}

func (p *poller) control(op int, l *Leg, s *socket, control bool, events uint32) error {
	for len(p.legs) <= s.fd {
		p.legs = append(p.legs, watched{})
	}
	w := &p.legs[s.fd]
	if op == unix.EPOLL_CTL_ADD {
		*w = watched{leg: l, control: control, turn: w.turn + 1}
	}
	return unix.EpollCtl(p.fd, op, s.fd, &unix.EpollEvent{Events: events, Fd: int32(s.fd), Pad: w.turn})
}

// forget is told before a leg's sockets are closed, which ends the kernel's interest.
func (p *poller) forget(l *Leg) {
	for _, s := range []*socket{&l.rtp, &l.rtcp} {
		if s.fd < len(p.legs) {
			p.legs[s.fd].leg = nil
		}
	}
}

// socket is a UDP socket that never blocks.
type socket struct {
	fd   int // 0: none
	six  bool
	addr rawAddress // of the datagram being read or sent
}

// rawAddress has room for an address of either family.
type rawAddress struct {
	raw  unix.RawSockaddrInet6
	size uint32
}

func (s *socket) open(a netip.AddrPort) error {
	family, level, class := unix.AF_INET, unix.IPPROTO_IP, unix.IP_TOS
	if s.six = a.Addr().Is6(); s.six {
		family, level, class = unix.AF_INET6, unix.IPPROTO_IPV6, unix.IPV6_TCLASS
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return err
	}
	unix.SetsockoptInt(fd, level, class, 0xb8) // expedited forwarding (RFC 3246); a wish
	s.addr.set(a, s.six)
	if _, _, e := unix.Syscall(unix.SYS_BIND, uintptr(fd), uintptr(unsafe.Pointer(&s.addr.raw)), uintptr(s.addr.size)); e != 0 {
		unix.Close(fd)
		return e
	}
	s.fd = fd
	return nil
}

func inUse(err error) bool { return errors.Is(err, unix.EADDRINUSE) }

func (s *socket) close() {
	if s.fd != 0 {
		unix.Close(s.fd)
		s.fd = 0
	}
}

// receive reads one datagram into b; what is longer fills it.
func (s *socket) receive(b []byte) ([]byte, netip.AddrPort, bool) {
	s.addr.size = unix.SizeofSockaddrInet6
	n, _, e := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(s.fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)),
		unix.MSG_DONTWAIT, uintptr(unsafe.Pointer(&s.addr.raw)), uintptr(unsafe.Pointer(&s.addr.size)))
	if e != 0 {
		return nil, netip.AddrPort{}, false
	}
	return b[:n], s.addr.get(), true
}

// send sends one datagram, and says whether the kernel took it.
func (s *socket) send(b []byte, to netip.AddrPort) bool {
	if len(b) == 0 || to.Addr().Is6() != s.six || s.fd == 0 {
		return false
	}
	s.addr.set(to, s.six)
	_, _, e := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(s.fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)),
		unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, uintptr(unsafe.Pointer(&s.addr.raw)), uintptr(s.addr.size))
	return e == 0
}

func (r *rawAddress) set(a netip.AddrPort, six bool) {
	port := (*[2]byte)(unsafe.Pointer(&r.raw.Port)) // at one place in both
	port[0], port[1] = byte(a.Port()>>8), byte(a.Port())
	if six {
		r.raw.Family, r.raw.Addr, r.size = unix.AF_INET6, a.Addr().As16(), unix.SizeofSockaddrInet6
		return
	}
	four := (*unix.RawSockaddrInet4)(unsafe.Pointer(&r.raw))
	four.Family, four.Addr, r.size = unix.AF_INET, a.Addr().As4(), unix.SizeofSockaddrInet4
}

func (r *rawAddress) get() netip.AddrPort {
	p := (*[2]byte)(unsafe.Pointer(&r.raw.Port))
	port := uint16(p[0])<<8 | uint16(p[1])
	if r.raw.Family == unix.AF_INET {
		return netip.AddrPortFrom(netip.AddrFrom4((*unix.RawSockaddrInet4)(unsafe.Pointer(&r.raw)).Addr), port)
	}
	return netip.AddrPortFrom(netip.AddrFrom16(r.raw.Addr), port)
}
