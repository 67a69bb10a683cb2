//go:build linux

package xdp

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"campanile.network/3gpp/gtpu"
	"campanile.network/3gpp/id"
	"campanile.network/gateway/datapath"
	"campanile.network/gateway/datapath/dptest"
	"campanile.network/gateway/datapath/userspace"
)

// marked is a bearer of the rig's own. It is captured, so its packets go the slow
// way: one that has come out at the other end had all that was sent before it in
// front.
const (
	markTEID    = id.TEID(3<<datapath.SlotBits | 2047)
	markENB     = id.TEID(0xfeed)
	markSession = datapath.SessionID(1 << 40)
)

var (
	markPhone  = netip.MustParseAddr("10.45.255.254")
	markTower  = netip.MustParseAddr("192.0.2.3")
	markTower6 = netip.MustParseAddr("2001:db8:b::4")
	tunHere    = netip.MustParseAddr("10.45.255.1")
	phones4    = netip.MustParsePrefix("10.45.0.0/16")
	phones6    = netip.MustParsePrefix("2001:db8:45::/48")
)

// rig is a data path in a town.
type rig struct {
	netRefuses func(bool) // nil: nobody can be made to
	t          *testing.T
	town       *town
	path       *Path
	aside      *asidePort
	tw, nw     *tap
}

// tap hears what arrives at a place.
type tap struct {
	fd int

	mu    sync.Mutex
	got   map[netip.Addr][][]byte // by tower; of the packet network under the zero address
	marks map[uint32]chan struct{}
	done  chan struct{}
}

func listenAt(t *testing.T, p *place, take func(tp *tap, f []byte)) *tap {
	fd, err := p.raw()
	must(t, err)
	must(t, unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 100_000}))
	tp := &tap{fd: fd, got: make(map[netip.Addr][][]byte), marks: make(map[uint32]chan struct{}), done: make(chan struct{})}
	stop := make(chan struct{})
	go func() {
		defer close(tp.done)
		buf := make([]byte, 65536)
		for {
			select {
			case <-stop:
				return
			default:
			}
			n, from, err := unix.Recvfrom(fd, buf, 0)
			if ll, ok := from.(*unix.SockaddrLinklayer); err != nil || !ok || ll.Pkttype == unix.PACKET_OUTGOING || n < 34 {
				continue
			}
			take(tp, append([]byte(nil), buf[:n]...))
		}
	}()
	t.Cleanup(func() { close(stop); <-tp.done; unix.Close(fd) })
	return tp
}

func (tp *tap) put(a netip.Addr, b []byte) {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	tp.got[a] = append(tp.got[a], b)
}

func (tp *tap) take(a netip.Addr) [][]byte {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	got := tp.got[a]
	delete(tp.got, a)
	return got
}

// wait gives what a mark closes.
func (tp *tap) wait(mark uint32) chan struct{} {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	c := make(chan struct{})
	tp.marks[mark] = c
	return c
}

func (tp *tap) seen(mark uint32) {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	if c := tp.marks[mark]; c != nil {
		close(c)
		delete(tp.marks, mark)
	}
}

// ipOf takes an IP packet out of a frame.
func ipOf(f []byte) (p datapath.Packet, ip []byte, ok bool) {
	p, err := datapath.ParsePacket(f[14:])
	if err != nil {
		return p, nil, false
	}
	return p, f[14 : 14+p.Size], true
}

func atTowers(tp *tap, f []byte) {
	p, ip, ok := ipOf(f)
	if !ok || p.Protocol != 17 || p.DstPort != gtpu.Port || p.Transport+8 > len(ip) {
		return
	}
	d := ip[p.Transport+8:]
	if m, err := gtpu.Parse(d); err == nil && m.Type == gtpu.GPDU && m.TEID == markENB {
		tp.seen(binary.BigEndian.Uint32(m.Payload[28:]))
		return
	}
	tp.put(p.Dst, d)
}

func atNetwork(tp *tap, f []byte) {
	p, ip, ok := ipOf(f)
	if !ok {
		return
	}
	if p.Src == markPhone {
		tp.seen(binary.BigEndian.Uint32(ip[28:]))
		return
	}
	if phones4.Contains(p.Src) || phones6.Contains(p.Src) { // not what kernels say to each other
		tp.put(netip.Addr{}, young(ip))
	}
}

// young undoes hops: how many there are differs between the ways.
func young(ip []byte) []byte {
	if ip[0]>>4 == 6 {
		if ip[7] > 60 && ip[7] < 64 {
			ip[7] = 64
		}
		return ip
	}
	if head := int(ip[0]&15) * 4; ip[8] > 60 && ip[8] < 64 && head <= len(ip) {
		ip[8], ip[10], ip[11] = 64, 0, 0
		binary.BigEndian.PutUint16(ip[10:], ^folded(sum16(ip[:head])))
	}
	return ip
}

// begin makes the data path itself.
func begin(t *testing.T, c dptest.Config, o Options, logger *slog.Logger) (*Path, *asidePort) {
	t.Helper()
	tun, err := userspace.OpenTUN("ue0", netip.PrefixFrom(tunHere, 16), 1500)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.EPERM) {
		t.Skip("no TUN device: ", err)
	}
	must(t, err)
	dev, err := netlink.LinkByName("ue0")
	must(t, err)
	must(t, netlink.AddrReplace(dev, &netlink.Addr{IPNet: &net.IPNet{IP: net.ParseIP("2001:db8:45::1"), Mask: net.CIDRMask(48, 128)}, Flags: unix.IFA_F_NODAD}))
	sgi, err := netlink.LinkByName("sgi")
	must(t, err)
	must(t, netlink.RouteReplace(&netlink.Route{LinkIndex: sgi.Attrs().Index, Gw: net.IP(netThere.AsSlice()), Dst: &net.IPNet{IP: net.IP(dptest.Router.AsSlice()), Mask: net.CIDRMask(32, 32)}}))
	o.Towers, o.Network = "s1", "sgi"
	aside := &asidePort{in: make(chan []byte, 4096), closed: make(chan struct{})}
	o.Pool = netip.MustParsePrefix("10.45.0.0/17") // the rig's own phone is not in it
	o.Userspace = userspace.Options{
		Local: netip.AddrPortFrom(townLocal4, 0), Local6: netip.AddrPortFrom(townLocal6, 0), Port: quiet{tun}, MTU: 1400, MaxBearers: 2048, Redirect: aside,
		Services: c.Services, Neighbours: c.Neighbours, Towers: c.Towers, Portal: c.Portal, PortalClass: c.PortalClass, Router: dptest.Router, Router6: dptest.Router6,
		BufferPackets: 8, ReportOctets: 10_000, Logger: logger,
	}
	if len(c.Towers) > 0 {
		o.Userspace.Towers = append(o.Userspace.Towers, netip.PrefixFrom(markTower, 32), netip.PrefixFrom(markTower6, 128))
	}
	p, err := New(o)
	if err != nil {
		tun.Close()
	}
	needBPF(t, err)
	return p, aside
}

// newRig serves a data path; end ends it.
func newRig(t *testing.T, w *town, c dptest.Config, o Options, logger *slog.Logger) (r *rig, end func()) {
	t.Helper()
	p, aside := begin(t, c, o, logger)
	r = &rig{t: t, town: w, aside: aside, path: p, tw: listenAt(t, w.towers, atTowers), nw: listenAt(t, w.network, atNetwork)}
	must(t, p.PutSession(datapath.Session{ID: markSession, IPv4: markPhone, Open: true}))
	must(t, p.PutBearer(datapath.Bearer{TEID: markTEID, Session: markSession, Default: true, Tunnel: datapath.Tunnel{Peer: markTower, TEID: markENB}}))
	must(t, p.Capture(markTEID, func(datapath.Direction, []byte) {}))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- p.Serve(ctx) }()
	return r, func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
		must(t, p.Close())
	}
}

func (r *rig) send(tp *tap, idx int, mac, from net.HardwareAddr, ip []byte) {
	kind := uint16(0x0800)
	if ip[0]>>4 == 6 {
		kind = 0x86dd
	}
	f := append(append(append([]byte(nil), mac...), from...), byte(kind>>8), byte(kind))
	f = append(f, ip...)
	for {
		err := unix.Sendto(tp.fd, f, 0, &unix.SockaddrLinklayer{Ifindex: idx})
		if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.ENOBUFS) && !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

func (r *rig) fromTower(a netip.Addr, gtp []byte) {
	to := townLocal4
	if a.Is6() {
		to = townLocal6
	}
	r.send(r.tw, r.town.towers.idx, r.town.s1.Attrs().HardwareAddr, r.town.towers.mac, tunnelled(a, to, gtp, nil))
}

func (r *rig) fromNetwork(ip []byte) {
	if len(ip) == 0 {
		return
	}
	r.send(r.nw, r.town.network.idx, r.town.sgi.Attrs().HardwareAddr, r.town.network.mac, ip)
}

var lastMark uint32

// mark sends a mark one way until it has arrived.
func (r *rig) mark(tp *tap, send func(mark []byte)) {
	lastMark++
	mark := lastMark
	seen := tp.wait(mark)
	again := time.NewTicker(300 * time.Millisecond)
	defer again.Stop()
	for {
		send(binary.BigEndian.AppendUint32(nil, mark))
		select {
		case <-seen:
			return
		case <-again.C: // lost in a flood
		}
	}
}

// settle waits until all that was sent has come out, or was dealt with.
func (r *rig) settle() {
	up := func(tower netip.Addr) func([]byte) {
		return func(mark []byte) {
			r.fromTower(tower, gtpu.AppendGPDU(nil, markTEID, packet(markPhone, netThere, 17, datagram(9, 9, mark), nil)))
		}
	}
	down := func(mark []byte) {
		r.fromNetwork(packet(netThere, markPhone, 17, datagram(9, 9, mark), nil))
	}
	for range 2 {
		r.mark(r.nw, up(markTower))
		r.mark(r.nw, up(markTower6))
		r.mark(r.tw, down)
	}
}

// watched hides the rig's own bearer from what a test counts.
type watched struct{ *Path }

func (w watched) Stats() datapath.Stats {
	s := w.Path.Stats()
	u, err := w.Path.Usage(markTEID)
	if err == nil {
		s.ULPackets -= u.ULPackets
		s.DLPackets -= u.DLPackets
		s.Sessions--
		s.Bearers--
	}
	return s
}

func (r *rig) rig() *dptest.Rig {
	return &dptest.Rig{
		Path: watched{r.path}, Local: townLocal4, Local6: townLocal6, BufferPackets: 8, ReportOctets: 10_000, MTU: 1400,
		TowerSend: r.fromTower, TowerGot: r.tw.take, NetSend: r.fromNetwork, NetGot: func() [][]byte { return r.nw.take(netip.Addr{}) },
		RedirectGot: r.aside.take, RedirectSend: func(b []byte) { r.aside.in <- append([]byte(nil), b...) },
		Settle: r.settle, Wait: r.wait, Ages: monotonic() > uint64(2*time.Hour), NetRefuses: r.netRefuses,
	}
}

// wait lets real time pass or, where minutes are meant, makes flows older.
func (r *rig) wait(d time.Duration) {
	if d < time.Minute {
		wait(d)
		r.settle()
		return
	}
	flows, old := r.path.k.coll.Maps[gatewayMapFlows], make(map[flowKey]flowState)
	var key flowKey
	var st flowState
	for it := flows.Iterate(); it.Next(&key, &st); {
		st.Last -= uint64(d)
		old[key] = st
	}
	for key, st := range old {
		must(r.t, flows.Put(key, st))
	}
	r.path.flow.Sweep(0)
}

// wait lets real time pass.
func wait(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	<-t.C
}

func pinDir(root string, c dptest.Config) string {
	if c.File == "" {
		return ""
	}
	h := fnv.New64a()
	h.Write([]byte(c.File))
	return filepath.Join(root, fmt.Sprintf("%x", h.Sum64()))
}
