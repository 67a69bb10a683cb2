//go:build linux

package xdp

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Devices finds the device that has the address of GTP-U, and that of the default
// route, of the same IP version. ErrUnsupported says that there is no one such
// device, and why.
func Devices(local netip.Addr) (towers, network Device, err error) {
	if local.IsLoopback() {
		return towers, network, fmt.Errorf("%w: %v is a loopback address, and towers on this machine need no fast path", ErrUnsupported, local)
	}
	family := netlink.FAMILY_V4
	if local.Is6() {
		family = netlink.FAMILY_V6
	}
	addrs, err := netlink.AddrList(nil, family)
	if err != nil {
		return towers, network, fmt.Errorf("xdp: addresses: %w", err)
	}
	for _, a := range addrs {
		if ip, ok := netip.AddrFromSlice(a.IP); ok && ip.Unmap() == local {
			towers, err = byIndex(a.LinkIndex)
		}
	}
	if err != nil || towers.Name == "" {
		return towers, network, errors.Join(err, fmt.Errorf("%w: no device has the address %v", ErrUnsupported, local))
	}
	routes, err := netlink.RouteList(nil, family)
	if err != nil {
		return towers, network, fmt.Errorf("xdp: routes: %w", err)
	}
	best := -1
	for i, r := range routes {
		if _, whole := destination(&r); whole && r.LinkIndex > 0 && (best < 0 || r.Priority < routes[best].Priority) {
			best = i
		}
	}
	if best < 0 {
		return towers, network, fmt.Errorf("%w: there is no default route, which would say where the packet network is", ErrUnsupported)
	}
	network, err = byIndex(routes[best].LinkIndex)
	return towers, network, err
}

// Named finds a device by its name.
func Named(name string) (Device, error) {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return Device{}, fmt.Errorf("xdp: device %s: %w", name, err)
	}
	return Device{name, l.Type()}, nil
}

func byIndex(i int) (Device, error) {
	l, err := netlink.LinkByIndex(i)
	if err != nil {
		return Device{}, fmt.Errorf("xdp: device %d: %w", i, err)
	}
	return Device{l.Attrs().Name, l.Type()}, nil
}

// onBPF says whether things can be pinned in a folder.
func onBPF(dir string) error {
	var st unix.Statfs_t
	err := unix.Statfs(dir, &st)
	if errors.Is(err, os.ErrNotExist) { // yet
		dir = filepath.Dir(dir)
		err = unix.Statfs(dir, &st)
	}
	if err != nil {
		return fmt.Errorf("%w: %s, where counts are to outlive this process: %w", ErrUnsupported, dir, err)
	}
	if uint32(st.Type) != unix.BPF_FS_MAGIC {
		return fmt.Errorf("%w: %s, where counts are to outlive this process, is no BPF file system (mount -t bpf bpf %s)", ErrUnsupported, dir, dir)
	}
	return nil
}

// ownerFile is the link in a folder of pins that says whose they are.
const ownerFile = "owner"

// sign says whose the pins are.
func (o *Options) sign() error {
	if o.Pin == "" || o.Owner == "" {
		return nil
	}
	if err := os.Symlink(o.Owner, filepath.Join(o.Pin, ownerFile)); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("xdp: pins: %w", err)
	}
	return nil
}

// holder says whose packet programs a device has and how they are ended; nothing
// if it has none.
func (p *Path) holder(ifindex int) string {
	dev, err := netlink.LinkByIndex(ifindex)
	if err != nil || dev.Attrs().Xdp == nil || !dev.Attrs().Xdp.Attached {
		return ""
	}
	pins, _ := filepath.Glob(filepath.Join(filepath.Dir(p.o.Pin), "*", "*", "link-xdp-*")) // the pattern is good
	for _, pin := range pins {
		l, err := link.LoadPinnedLink(pin, nil)
		if err != nil {
			continue
		}
		info, err := l.Info()
		_ = l.Close()
		if err != nil || info.XDP() == nil || int(info.XDP().Ifindex) != ifindex {
			continue
		}
		dir := filepath.Dir(filepath.Dir(pin))
		owner, err := os.Readlink(filepath.Join(dir, ownerFile))
		if err != nil {
			owner = "unknown"
		}
		return fmt.Sprintf("they are of the gateway of %s, which runs, or was killed: end it by SIGTERM, or if it is no more: rm -r %s", owner, dir)
	}
	return fmt.Sprintf("XDP program %d, which is no gateway's that is known here: take it off (ip link set dev %s xdp off), or use another device", dev.Attrs().Xdp.ProgId, dev.Attrs().Name)
}
