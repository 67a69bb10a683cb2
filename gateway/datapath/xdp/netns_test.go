//go:build linux

package xdp

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Tests on real devices run in a process of their own, whose network and mounts
// are its own; everything in them ends with it.

const insideEnv = "CAMPANILE_XDP_INSIDE"

// inside runs the test of that name again, in new namespaces, and says whether
// this is there.
func inside(t *testing.T) bool {
	if os.Getenv(insideEnv) != "" {
		return true
	}
	if os.Getuid() != 0 {
		t.Skip("network namespaces need root")
	}
	args := []string{"-test.run=^" + t.Name() + "$", "-test.timeout=9m"}
	if testing.Verbose() {
		args = append(args, "-test.v")
	}
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), insideEnv+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, unix.EPERM) {
		t.Skip("no namespaces here: ", err)
	}
	for line := range strings.Lines(string(out)) {
		t.Log(strings.TrimRight(line, "\n"))
	}
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains("\n"+string(out), "\n--- SKIP: "+t.Name()+" (") || strings.Contains(string(out), skipped) {
		t.Skip("skipped there")
	}
	return false
}

const skipped = "no packet programs here"

// place is another network namespace with one end of a veth pair.
type place struct {
	do  chan func()
	nl  *netlink.Handle
	dev string
	idx int
	mac net.HardwareAddr
}

// run has f done by the thread that lives there.
func (p *place) run(f func() error) error {
	done := make(chan error)
	p.do <- func() { done <- f() }
	return <-done
}

// newPlace makes a namespace and moves the other end of a new pair there. here is
// the end in this process's namespace.
func newPlace(t testing.TB, here, there string) *place {
	t.Helper()
	p := &place{do: make(chan func()), dev: there}
	made := make(chan error)
	go func() { // ends with the process; so does its thread, which nobody else may have
		runtime.LockOSThread()
		made <- unix.Unshare(unix.CLONE_NEWNET)
		for f := range p.do {
			f()
		}
	}()
	must(t, <-made)
	var fd int
	must(t, p.run(func() (err error) {
		fd, err = unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			p.nl, err = netlink.NewHandle()
		}
		return err
	}))
	la := netlink.NewLinkAttrs()
	la.Name, la.NumTxQueues, la.NumRxQueues = here, 1, 1
	must(t, netlink.LinkAdd(&netlink.Veth{LinkAttrs: la, PeerName: there, PeerNumTxQueues: 1, PeerNumRxQueues: 1}))
	peer, err := netlink.LinkByName(there)
	must(t, err)
	must(t, netlink.LinkSetNsFd(peer, fd))
	end, err := p.nl.LinkByName(there)
	must(t, err)
	must(t, p.nl.LinkSetUp(end))
	p.idx, p.mac = end.Attrs().Index, end.Attrs().HardwareAddr
	mine, err := netlink.LinkByName(here)
	must(t, err)
	must(t, netlink.LinkSetUp(mine))
	return p
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// gro switches generic receive offload of the place's device: with it, the veth
// takes redirected frames.
func (p *place) gro(on bool) error {
	return p.run(func() error {
		s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
		if err != nil {
			return err
		}
		defer unix.Close(s)
		value := struct{ cmd, data uint32 }{cmd: 0x2c /* ETHTOOL_SGRO */}
		if on {
			value.data = 1
		}
		var req struct {
			name [16]byte
			data unsafe.Pointer
			_    [16]byte
		}
		copy(req.name[:], p.dev)
		req.data = unsafe.Pointer(&value)
		if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(s), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&req))); e != 0 {
			return fmt.Errorf("ETHTOOL_SGRO %s: %w", p.dev, e)
		}
		return nil
	})
}

// raw opens a socket for whole frames there.
func (p *place) raw() (fd int, err error) {
	err = p.run(func() (err error) {
		const all = 0x0300 // ETH_P_ALL, network order
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, all); err != nil {
			return err
		}
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20)
		return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: p.idx})
	})
	return fd, err
}

func sysctl(t testing.TB, name, value string) {
	t.Helper()
	must(t, os.WriteFile("/proc/sys/net/"+name, []byte(value), 0o644))
}

// town is a gateway's devices with towers on one side and the packet network on
// the other: s1 and sgi here, their other ends in places of their own.
type town struct {
	towers, network *place
	s1, sgi         netlink.Link
}

var (
	townLocal4 = netip.MustParseAddr("192.0.2.9")
	townLocal6 = netip.MustParseAddr("2001:db8:b::9")
	netHere    = netip.MustParseAddr("203.0.113.1")
	netThere   = netip.MustParseAddr("203.0.113.2")
	netHere6   = netip.MustParseAddr("2001:db8:ff::1")
	netThere6  = netip.MustParseAddr("2001:db8:ff::2")
)

func newTown(t testing.TB) *town {
	t.Helper()
	w := &town{towers: newPlace(t, "s1", "enb"), network: newPlace(t, "sgi", "inet")}
	for name, value := range map[string]string{"ipv4/ip_forward": "1", "ipv6/conf/all/forwarding": "1", "ipv4/conf/all/rp_filter": "0", "ipv4/conf/default/rp_filter": "0",
		"ipv4/conf/s1/rp_filter": "0", "ipv4/conf/sgi/rp_filter": "0", "ipv4/conf/all/send_redirects": "0", "ipv4/conf/default/send_redirects": "0"} {
		sysctl(t, name, value)
	}
	for _, name := range []string{"icmp_msgs_per_sec", "icmp_msgs_burst"} { // this kernel's own errors are not for phones
		_ = os.WriteFile("/proc/sys/net/ipv4/"+name, []byte("0"), 0o644) // not every kernel has them here
	}
	var err error
	w.s1, err = netlink.LinkByName("s1")
	must(t, err)
	w.sgi, err = netlink.LinkByName("sgi")
	must(t, err)
	w.address(t, w.s1, townLocal4, 24)
	w.address(t, w.s1, townLocal6, 64)
	w.address(t, w.sgi, netHere, 24)
	w.address(t, w.sgi, netHere6, 64)
	for _, a := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8:b::3", "2001:db8:b::4"} {
		w.neighbour(t, w.s1, netip.MustParseAddr(a), w.towers.mac)
	}
	w.neighbour(t, w.sgi, netThere, w.network.mac)
	w.neighbour(t, w.sgi, netThere6, w.network.mac)
	for _, gw := range []netip.Addr{netThere, netThere6} {
		must(t, netlink.RouteAdd(&netlink.Route{LinkIndex: w.sgi.Attrs().Index, Gw: net.IP(gw.AsSlice())}))
	}
	return w
}

func (w *town) address(t testing.TB, l netlink.Link, a netip.Addr, bits int) {
	t.Helper()
	ip := &net.IPNet{IP: net.IP(a.AsSlice()), Mask: net.CIDRMask(bits, a.BitLen())}
	must(t, netlink.AddrReplace(l, &netlink.Addr{IPNet: ip, Flags: unix.IFA_F_NODAD}))
}

func (w *town) neighbour(t testing.TB, l netlink.Link, a netip.Addr, mac net.HardwareAddr) {
	t.Helper()
	must(t, netlink.NeighSet(&netlink.Neigh{LinkIndex: l.Attrs().Index, IP: net.IP(a.AsSlice()), HardwareAddr: mac, State: netlink.NUD_PERMANENT}))
}

// bpffs mounts a BPF file system for pins.
func bpffs(t testing.TB) string {
	t.Helper()
	must(t, unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	dir := t.TempDir()
	must(t, unix.Mount("bpf", dir, "bpf", 0, ""))
	t.Cleanup(func() { must(t, unix.Unmount(dir, 0)) })
	return dir
}
