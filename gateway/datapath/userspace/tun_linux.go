package userspace

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// TUN is a Port to the kernel's own network stack; it needs CAP_NET_ADMIN.
// Forwarding to the outside (ip_forward, NAT) is the administrator's affair.
type TUN struct {
	f    *os.File
	name string
	mtu  int
}

// OpenTUN makes the device, gives it addr with its network, and brings it up.
// It vanishes on Close.
func OpenTUN(name string, addr netip.Prefix, mtu int) (*TUN, error) {
	if !addr.Addr().Is4() {
		return nil, fmt.Errorf("userspace: TUN address %v is not IPv4", addr)
	}
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("userspace: /dev/net/tun: %w", err)
	}
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("userspace: TUN name %q: %w", name, err)
	}
	ifr.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("userspace: TUN %s: %w", name, err)
	}
	t := &TUN{f: os.NewFile(uintptr(fd), "/dev/net/tun"), name: ifr.Name(), mtu: mtu}
	if err := t.configure(addr); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

// configure sets MTU, address, mask and the up flag.
func (t *TUN) configure(addr netip.Prefix) error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("userspace: TUN %s: %w", t.name, err)
	}
	defer unix.Close(s)
	mask := netip.PrefixFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), addr.Bits()).Masked().Addr()
	for _, step := range []struct {
		what string
		req  uint
		set  func(*unix.Ifreq) error
	}{
		{"MTU", unix.SIOCSIFMTU, func(r *unix.Ifreq) error { r.SetUint32(uint32(t.mtu)); return nil }},
		{"address", unix.SIOCSIFADDR, func(r *unix.Ifreq) error { return r.SetInet4Addr(addr.Addr().AsSlice()) }},
		{"netmask", unix.SIOCSIFNETMASK, func(r *unix.Ifreq) error { return r.SetInet4Addr(mask.AsSlice()) }},
		{"up", unix.SIOCSIFFLAGS, func(r *unix.Ifreq) error { r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING); return nil }},
	} {
		r, err := unix.NewIfreq(t.name)
		if err == nil {
			err = step.set(r)
		}
		if err == nil {
			err = unix.IoctlIfreq(s, step.req, r)
		}
		if err != nil {
			return fmt.Errorf("userspace: TUN %s: set %s: %w", t.name, step.what, err)
		}
	}
	return nil
}

// Name is the device's name.
func (t *TUN) Name() string { return t.name }

// MTU is the device's, octets.
func (t *TUN) MTU() int { return t.mtu }

// ReadPacket implements Port.
func (t *TUN) ReadPacket(b []byte) (int, error) {
	n, err := t.f.Read(b)
	if errors.Is(err, os.ErrClosed) {
		err = net.ErrClosed
	}
	return n, err
}

// WritePacket implements Port.
func (t *TUN) WritePacket(b []byte) error {
	_, err := t.f.Write(b)
	return err
}

// Close removes the device.
func (t *TUN) Close() error { return t.f.Close() }
