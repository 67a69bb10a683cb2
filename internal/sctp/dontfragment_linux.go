package sctp

import (
	"fmt"
	"net/netip"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// wholeSocket is a socket whose datagrams the network must not cut, except by WriteSplit.
type wholeSocket struct {
	Datagrams
	raw syscall.RawConn
	v6  bool
	mu  sync.RWMutex // held for writing while the DF bit is off
}

// dontFragment sets DF on all that a socket sends and makes the kernel neither believe ICMP nor cut (RFC 8899 §3, RFC 1191 §3).
func dontFragment(d Datagrams, c syscall.Conn) (Datagrams, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	s := &wholeSocket{Datagrams: d, raw: raw, v6: d.LocalAddr().Addr().Is6()}
	if err := s.discover(unix.IP_PMTUDISC_PROBE); err != nil {
		return nil, fmt.Errorf("sctp: DF bit: %w", err)
	}
	return s, nil
}

func (s *wholeSocket) discover(mode int) (err error) {
	level, option := unix.IPPROTO_IP, unix.IP_MTU_DISCOVER
	if s.v6 {
		level, option = unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER
	}
	if cerr := s.raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), level, option, mode) }); cerr != nil {
		return cerr
	}
	return err
}

// WriteTo implements [Datagrams].
func (s *wholeSocket) WriteTo(p []byte, to netip.AddrPort) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.Datagrams.WriteTo(p, to)
}

// WriteSplit sends a datagram that the network may cut.
func (s *wholeSocket) WriteSplit(p []byte, to netip.AddrPort) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.discover(unix.IP_PMTUDISC_DONT); err != nil {
		return err
	}
	err := s.Datagrams.WriteTo(p, to)
	if back := s.discover(unix.IP_PMTUDISC_PROBE); back != nil {
		return back
	}
	return err
}
