//go:build linux

package xdp

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Places in the table of next hops.
const (
	hopNone = iota
	hopGateway4
	hopGateway6
	hopTowers
)

// device is one the programs send to.
type device struct {
	name    string
	ifindex int
	mac     uint64
	mtu     int
}

// network keeps the programs' view of the world beside packets: devices, routes
// and neighbours, as the kernel has them.
type network struct {
	k   *kernel
	log *slog.Logger

	mu      sync.Mutex
	devices []device
	hops    []via // as k.hops
	towers  map[netip.Addr]*tower
	free    []uint32
	neigh   map[via]netlink.Neigh
	told    bool // that there are too many routes
}

// via is a neighbour: whom to send to, on which device.
type via struct {
	addr    netip.Addr
	ifindex int
}

type tower struct {
	hop  uint32
	refs int
}

func newNetwork(k *kernel, o *Options) (*network, error) {
	n := &network{k: k, log: o.Userspace.Logger, towers: make(map[netip.Addr]*tower), hops: make([]via, len(k.hops))}
	for i := range k.hops {
		if i >= hopTowers {
			n.free = append(n.free, uint32(i))
		}
	}
	for _, name := range slices.Compact([]string{o.Towers, o.Network}) {
		n.devices = append(n.devices, device{name: name})
	}
	if err := n.reload(); err != nil {
		return nil, err
	}
	for i, d := range n.devices {
		if err := k.coll.Maps[gatewayMapDevices].Put(uint32(i), uint32(d.ifindex)); err != nil {
			return nil, fmt.Errorf("xdp: device %s: %w", d.name, err)
		}
	}
	return n, nil
}

// reload looks at everything anew.
func (n *network) reload() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i := range n.devices {
		d := &n.devices[i]
		l, err := netlink.LinkByName(d.name)
		if err != nil {
			return fmt.Errorf("xdp: device %s: %w", d.name, err)
		}
		a := l.Attrs()
		if len(a.HardwareAddr) != 6 {
			return fmt.Errorf("%w: device %s is not Ethernet", ErrUnsupported, d.name)
		}
		d.ifindex, d.mtu, d.mac = a.Index, a.MTU, macWord(a.HardwareAddr)
	}
	n.neigh = make(map[via]netlink.Neigh)
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		for _, d := range n.devices {
			all, err := netlink.NeighList(d.ifindex, family)
			if err != nil {
				return fmt.Errorf("xdp: neighbours of %s: %w", d.name, err)
			}
			for _, e := range all {
				if v, ok := viaOf(&e); ok {
					n.neigh[v] = e
				}
			}
		}
	}
	if err := n.route(); err != nil {
		return err
	}
	for a, t := range n.towers {
		n.hops[t.hop] = n.resolve(a)
		n.write(t.hop)
	}
	return nil
}

func viaOf(e *netlink.Neigh) (via, bool) {
	a, ok := netip.AddrFromSlice(e.IP)
	return via{a.Unmap(), e.LinkIndex}, ok
}

// device gives the place of one of ours.
func (n *network) device(ifindex int) (int, bool) {
	for i := range n.devices {
		if n.devices[i].ifindex == ifindex {
			return i, true
		}
	}
	return 0, false
}

// write tells the programs of a next hop: its neighbour's address if it is known.
// The caller holds mu.
func (n *network) write(i uint32) {
	h, v := &n.k.hops[i], n.hops[i]
	d, ok := n.device(v.ifindex)
	e, known := n.neigh[v]
	const good = netlink.NUD_REACHABLE | netlink.NUD_STALE | netlink.NUD_DELAY | netlink.NUD_PROBE | netlink.NUD_PERMANENT | netlink.NUD_NOARP
	if !ok || !known || e.State&good == 0 || len(e.HardwareAddr) != 6 {
		atomic.StoreUint32(&h.Device, 0)
		if ok && v.addr.IsValid() {
			n.ask(v)
		}
		return
	}
	atomic.StoreUint64(&h.DMAC, macWord(e.HardwareAddr))
	atomic.StoreUint64(&h.SMAC, n.devices[d].mac)
	atomic.StoreUint32(&h.MTU, uint32(n.devices[d].mtu))
	atomic.StoreUint32(&h.Device, uint32(d)+1)
}

// ask has the kernel resolve a neighbour, or look whether it is still there. An
// answer is an event.
func (n *network) ask(v via) {
	family := netlink.FAMILY_V4
	if v.addr.Is6() {
		family = netlink.FAMILY_V6
	}
	e := &netlink.Neigh{LinkIndex: v.ifindex, Family: family, IP: net.IP(v.addr.AsSlice()), Flags: netlink.NTF_USE, State: netlink.NUD_NONE}
	if err := netlink.NeighSet(e); err != nil {
		n.log.Debug("xdp: neighbour", "address", v.addr.String(), "error", err)
	}
}

// resolve asks the kernel by whom an address is reached.
func (n *network) resolve(a netip.Addr) via {
	rs, err := netlink.RouteGet(net.IP(a.AsSlice()))
	if err != nil || len(rs) == 0 {
		return via{}
	}
	v := via{a, rs[0].LinkIndex}
	if gw, ok := netip.AddrFromSlice(rs[0].Gw); ok {
		v.addr = gw.Unmap()
	}
	return v
}

// reach gives the next hop towards a peer, for one more that uses it; hopNone
// when there are too many.
func (n *network) reach(a netip.Addr) uint32 {
	n.mu.Lock()
	defer n.mu.Unlock()
	t := n.towers[a]
	if t == nil {
		if len(n.free) == 0 {
			return hopNone
		}
		t = &tower{hop: n.free[0]}
		n.free = n.free[1:]
		n.towers[a] = t
		n.hops[t.hop] = n.resolve(a)
		n.write(t.hop)
	}
	t.refs++
	return t.hop
}

// leave is for one that uses it no more.
func (n *network) leave(a netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	t := n.towers[a]
	if t == nil {
		return
	}
	if t.refs--; t.refs == 0 {
		delete(n.towers, a)
		n.hops[t.hop] = via{}
		atomic.StoreUint32(&n.k.hops[t.hop].Device, 0)
		n.free = append(n.free, t.hop)
	}
}

// neighbour takes in an event.
func (n *network) neighbour(u *netlink.NeighUpdate) {
	v, ok := viaOf(&u.Neigh)
	if !ok {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if u.Type == unix.RTM_DELNEIGH {
		delete(n.neigh, v)
	} else if _, ours := n.device(v.ifindex); ours {
		n.neigh[v] = u.Neigh
	}
	for i, h := range n.hops {
		if h == v {
			n.rewrite(uint32(i))
		}
	}
}

// rewrite is write without asking again for who does not answer.
func (n *network) rewrite(i uint32) {
	if e := n.neigh[n.hops[i]]; e.State&(netlink.NUD_FAILED|netlink.NUD_INCOMPLETE) != 0 || len(e.HardwareAddr) != 6 {
		atomic.StoreUint32(&n.k.hops[i].Device, 0)
		return
	}
	n.write(i)
}

// probeEvery is how often neighbours that only the programs talk to are looked
// for: the kernel does not see that they are alive.
const probeEvery = 15 * time.Second

// serve follows the kernel's view until ctx ends.
func (n *network) serve(ctx context.Context) error {
	done := make(chan struct{})
	neigh, routes := make(chan netlink.NeighUpdate, 256), make(chan netlink.RouteUpdate, 256)
	links, addrs := make(chan netlink.LinkUpdate, 64), make(chan netlink.AddrUpdate, 64)
	lost := make(chan struct{}, 1)
	again := func(error) {
		select {
		case lost <- struct{}{}:
		default:
		}
	}
	err := errors.Join(
		netlink.NeighSubscribeWithOptions(neigh, done, netlink.NeighSubscribeOptions{ErrorCallback: again}),
		netlink.RouteSubscribeWithOptions(routes, done, netlink.RouteSubscribeOptions{ErrorCallback: again}),
		netlink.LinkSubscribeWithOptions(links, done, netlink.LinkSubscribeOptions{ErrorCallback: again}),
		netlink.AddrSubscribeWithOptions(addrs, done, netlink.AddrSubscribeOptions{ErrorCallback: again}),
	)
	defer func() {
		close(done)
		for range neigh {
		}
		for range routes {
		}
		for range links {
		}
		for range addrs {
		}
	}()
	if err != nil {
		return fmt.Errorf("xdp: follow the network: %w", err)
	}
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	again(nil) // what was missed until now
	for {
		var ok, all bool
		select {
		case <-ctx.Done():
			return nil
		case u, more := <-neigh:
			if ok = more; ok {
				n.neighbour(&u)
			}
		case _, ok = <-routes:
			all = true
		case _, ok = <-links:
			all = true
		case _, ok = <-addrs:
			all = true
		case <-lost:
			ok, all = true, true
		case <-tick.C:
			ok = true
			n.probe()
		}
		if !ok {
			return errors.New("xdp: the kernel tells no more of the network")
		}
		if all {
			drain(routes)
			drain(links)
			drain(addrs)
			if err := n.reload(); err != nil {
				n.log.Warn("xdp: packets go the slow way until the network is as it was", "error", err)
			}
		}
	}
}

// drain throws away what waits: everything is looked at anyway.
func drain[T any](c chan T) {
	for {
		select {
		case _, ok := <-c:
			if !ok {
				return
			}
		default:
			return
		}
	}
}

// probe has the kernel look after neighbours it has not heard of lately.
func (n *network) probe() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, h := range n.hops {
		if e, ok := n.neigh[h]; h.addr.IsValid() && (!ok || e.State&(netlink.NUD_STALE|netlink.NUD_FAILED) != 0) {
			n.ask(h)
		}
	}
}

func macBytes(w uint64) []byte {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], w)
	return b[:6]
}
