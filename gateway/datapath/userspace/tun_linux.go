package userspace

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// TUN is a Port to the kernel's own network stack; it needs CAP_NET_ADMIN.
// Forwarding to the outside (ip_forward, NAT) is the administrator's affair.
type TUN struct {
	queues []*tunQueue
	name   string
	mtu    int
	front  int // octets of an offload in front of each packet
	closed atomic.Bool
}

// TUNOptions say what a device is like.
type TUNOptions struct {
	Name string
	// Addrs it has, with their networks: of IPv4, IPv6 or both, one each.
	Addrs []netip.Prefix
	MTU   int
	// Queues that are read side by side: 1.
	Queues int
}

// OpenTUN makes the device, gives it addr with its network, and brings it up.
// It vanishes on Close.
func OpenTUN(name string, addr netip.Prefix, mtu int) (*TUN, error) {
	return OpenTUNWith(TUNOptions{Name: name, Addrs: []netip.Prefix{addr}, MTU: mtu})
}

// OpenTUNWith makes a device and brings it up. It vanishes on Close.
func OpenTUNWith(o TUNOptions) (*TUN, error) {
	t := &TUN{name: o.Name, mtu: o.MTU}
	for range max(o.Queues, 1) {
		if err := t.queue(o.Queues > 1); err != nil {
			return nil, errors.Join(err, t.Close())
		}
	}
	if err := t.configure(o.Addrs); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

// queue opens the device, or one more queue of it.
func (t *TUN) queue(several bool) error {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("userspace: /dev/net/tun: %w", err)
	}
	flags := uint16(unix.IFF_TUN | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
	if several {
		flags |= unix.IFF_MULTI_QUEUE
	}
	ifr, err := unix.NewIfreq(t.name)
	if err == nil {
		ifr.SetUint16(flags)
		if err = unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr); errors.Is(err, unix.EINVAL) {
			ifr.SetUint16(flags &^ unix.IFF_VNET_HDR)
			err = unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr)
		}
	}
	if err != nil {
		unix.Close(fd)
		return fmt.Errorf("userspace: TUN %q: %w", t.name, err)
	}
	if ifr.Uint16()&unix.IFF_VNET_HDR != 0 {
		t.front = offloadLen
		_ = unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, unix.TUN_F_CSUM|unix.TUN_F_TSO4|unix.TUN_F_TSO6) // or packets come as they cross the tunnel
	}
	t.name = ifr.Name()
	t.queues = append(t.queues, &tunQueue{f: os.NewFile(uintptr(fd), "/dev/net/tun"), t: t})
	return nil
}

// configure sets MTU, addresses, masks and the up flag.
func (t *TUN) configure(addrs []netip.Prefix) error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("userspace: TUN %s: %w", t.name, err)
	}
	defer unix.Close(s)
	set := func(what string, req uint, fill func(*unix.Ifreq) error) error {
		r, err := unix.NewIfreq(t.name)
		if err == nil {
			err = fill(r)
		}
		if err == nil {
			err = unix.IoctlIfreq(s, req, r)
		}
		if err != nil {
			return fmt.Errorf("userspace: TUN %s: set %s: %w", t.name, what, err)
		}
		return nil
	}
	if err := set("MTU", unix.SIOCSIFMTU, func(r *unix.Ifreq) error { r.SetUint32(uint32(t.mtu)); return nil }); err != nil {
		return err
	}
	if err := set("up", unix.SIOCSIFFLAGS, func(r *unix.Ifreq) error { r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING); return nil }); err != nil {
		return err
	}
	for _, a := range addrs {
		if a.Addr().Is6() {
			err = t.configure6(a)
		} else {
			mask := netip.PrefixFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), a.Bits()).Masked().Addr()
			err = set("address", unix.SIOCSIFADDR, func(r *unix.Ifreq) error { return r.SetInet4Addr(a.Addr().AsSlice()) })
			if err == nil {
				err = set("netmask", unix.SIOCSIFNETMASK, func(r *unix.Ifreq) error { return r.SetInet4Addr(mask.AsSlice()) })
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// configure6 adds an IPv6 address with its network.
func (t *TUN) configure6(a netip.Prefix) error {
	fail := func(err error) error {
		return fmt.Errorf("userspace: TUN %s: set address %v: %w", t.name, a, err)
	}
	dev, err := net.InterfaceByName(t.name)
	if err != nil {
		return fail(err)
	}
	s, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fail(err)
	}
	defer unix.Close(s)
	req := struct { // in6_ifreq
		addr   [16]byte
		bits   uint32
		device int32
	}{a.Addr().As16(), uint32(a.Bits()), int32(dev.Index)}
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(s), unix.SIOCSIFADDR, uintptr(unsafe.Pointer(&req))); e != 0 {
		return fail(e)
	}
	for range 100 { // the kernel takes a moment to make it its own, and to let servers bind it
		if err = unix.Bind(s, &unix.SockaddrInet6{Addr: a.Addr().As16()}); err == nil {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return fail(err)
}

// Name is the device's name.
func (t *TUN) Name() string { return t.name }

// MTU is the device's, octets.
func (t *TUN) MTU() int { return t.mtu }

// ReadPacket implements Port.
func (t *TUN) ReadPacket(b []byte) (int, error) { return t.queues[0].ReadPacket(b) }

// WritePacket implements Port.
func (t *TUN) WritePacket(b []byte) error { return t.queues[0].WritePacket(b) }

// Queues implements Queued.
func (t *TUN) Queues() []Port {
	var all []Port
	for _, q := range t.queues {
		all = append(all, q)
	}
	return all
}

// Close removes the device.
func (t *TUN) Close() error {
	t.closed.Store(true)
	var err error
	for _, q := range t.queues {
		err = errors.Join(err, q.f.Close())
	}
	return err
}
