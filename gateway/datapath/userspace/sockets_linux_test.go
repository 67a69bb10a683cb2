package userspace

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"campanile.network/3gpp/gtpu"
	"campanile.network/3gpp/id"
	"campanile.network/gateway/datapath"
	"campanile.network/gateway/datapath/dptest"
)

// TestConformanceOnSockets is the suite over the kernel's sockets and a port that
// gives and takes packets in batches, in a process with a network of its own.
func TestConformanceOnSockets(t *testing.T) {
	const inside = "DATAPATH_SOCKETS"
	if os.Getenv(inside) == "" {
		if os.Getuid() != 0 {
			t.Skip("needs root for a network namespace")
		}
		cmd := exec.Command("/proc/self/exe", "-test.run=^TestConformanceOnSockets$", "-test.v", "-test.timeout=8m")
		cmd.Env = append(os.Environ(), inside+"=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
		out, err := cmd.CombinedOutput()
		if errors.Is(err, unix.EPERM) {
			t.Skip("no network namespace: ", err)
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		t.Logf("%d cases passed", strings.Count(string(out), "    --- PASS"))
		return
	}
	lo, err := netlink.LinkByName("lo")
	if err == nil {
		err = netlink.LinkSetUp(lo)
	}
	for _, a := range []netip.Addr{onSockets4, onSockets6, dptest.TowerA, dptest.TowerB, dptest.TowerC} {
		ip := &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(a.BitLen(), a.BitLen())}
		err = errors.Join(err, netlink.AddrReplace(lo, &netlink.Addr{IPNet: ip, Flags: unix.IFA_F_NODAD}))
	}
	if err != nil {
		t.Fatal(err)
	}
	dptest.Run(t, onSockets)
}

var (
	onSockets4 = netip.MustParseAddr("192.0.2.9")
	onSockets6 = netip.MustParseAddr("2001:db8:b::9")
	markPhone  = netip.MustParseAddr("10.45.255.254")
)

const (
	markTEID    = id.TEID(3<<datapath.SlotBits | 2047)
	markSession = datapath.SessionID(1 << 40)
)

// batches is a wire whose packets come and go several at a time; a rig's own go no
// further.
type batches struct {
	*wire
	marks *seen
}

func (b batches) reader() reader { return b }
func (b batches) writer() sender { return b }

func (b batches) read() (frames [][]byte, err error) {
	take := func(p []byte) { frames = append(frames, append(make([]byte, frameRoom), p...)) }
	select {
	case <-b.closed:
		return nil, net.ErrClosed
	case p := <-b.in:
		take(p)
	}
	for len(frames) < 2*laneSize {
		select {
		case p := <-b.in:
			take(p)
		default:
			return frames, nil
		}
	}
	return frames, nil
}

func (b batches) send(parcels []parcel, done func(*parcel)) {
	for i := range parcels {
		if b.marks.take(parcels[i].bytes) {
			done(&parcels[i])
			continue
		}
		eachPacket{b.wire}.send(parcels[i:i+1], done)
	}
}

// seen is what a rig's own bearer brought, which is the last of what was sent
// before it.
type seen struct {
	mu   sync.Mutex
	want map[uint32]chan struct{}
	last uint32
}

// take says whether a packet is such a one.
func (s *seen) take(ip []byte) bool {
	p, err := datapath.ParsePacket(ip)
	if err != nil || p.Src != markPhone && p.Dst != markPhone {
		return false
	}
	s.is(binary.BigEndian.Uint32(ip[28:]))
	return true
}

func (s *seen) is(mark uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.want[mark]; c != nil {
		close(c)
		delete(s.want, mark)
	}
}

// pass sends a mark until it was seen.
func (s *seen) pass(send func(mark uint32)) {
	c := make(chan struct{})
	s.mu.Lock()
	s.last++
	mark := s.last
	s.want[mark] = c
	s.mu.Unlock()
	again := time.NewTicker(300 * time.Millisecond)
	defer again.Stop()
	for {
		send(mark)
		select {
		case <-c:
			return
		case <-again.C: // lost in a flood
		}
	}
}

// station is a tower's socket.
type station struct {
	c    *net.UDPConn
	seen *seen
	mu   sync.Mutex
	got  [][]byte
	done chan struct{}
}

func newStation(t *testing.T, a netip.Addr, s *seen) *station {
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, gtpu.Port)))
	if err != nil {
		t.Fatal(err)
	}
	tune(c, 8<<20)
	st := &station{c: c, seen: s, done: make(chan struct{})}
	go st.run()
	return st
}

func (s *station) run() {
	defer close(s.done)
	buf := make([]byte, maxDatagram)
	for {
		n, err := s.c.Read(buf)
		if err != nil {
			return
		}
		if n == 4 {
			s.seen.is(binary.BigEndian.Uint32(buf))
			continue
		}
		if m, err := gtpu.Parse(buf[:n]); err == nil && m.Type == gtpu.GPDU && s.seen.take(m.Payload) {
			continue
		}
		s.mu.Lock()
		s.got = append(s.got, append([]byte(nil), buf[:n]...))
		s.mu.Unlock()
	}
}

func (s *station) take() [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	got := s.got
	s.got = nil
	return got
}

// hidden leaves the rig's own bearer out of what is counted.
type hidden struct{ *Path }

func (h hidden) Stats() datapath.Stats {
	s := h.Path.Stats()
	if u, err := h.Path.Usage(markTEID); err == nil {
		s.ULPackets -= u.ULPackets
		s.DLPackets -= u.DLPackets
		s.Sessions--
		s.Bearers--
	}
	return s
}

func onSockets(t *testing.T, c dptest.Config, body func(*testing.T, *dptest.Rig)) {
	tab, closeTable := outliving(t, c)
	defer closeTable()
	marks := &seen{want: map[uint32]chan struct{}{}}
	w, aside := newWire(), newWire()
	if len(c.Towers) > 0 {
		c.Towers = append(c.Towers, netip.PrefixFrom(dptest.TowerA, 32), netip.PrefixFrom(dptest.TowerC, 128))
	}
	p, err := New(Options{
		Local: netip.AddrPortFrom(onSockets4, 0), Local6: netip.AddrPortFrom(onSockets6, 0), Port: batches{w, marks}, Redirect: batches{aside, marks}, Portal: c.Portal, PortalClass: c.PortalClass, Table: tab,
		MaxBearers: 2048, Services: c.Services, Neighbours: c.Neighbours, Towers: c.Towers, Router: dptest.Router, Router6: dptest.Router6, BufferPackets: 8, ReportOctets: 10_000,
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	own := datapath.Bearer{TEID: markTEID, Session: markSession, Default: true, Tunnel: datapath.Tunnel{Peer: dptest.TowerA, TEID: 0xfeed}}
	if c.File != "" {
		own.TEID = id.TEID(3<<datapath.SlotBits | 63)
	}
	if err := errors.Join(p.PutSession(datapath.Session{ID: markSession, IPv4: markPhone, Open: true}), p.PutBearer(own)); err != nil {
		t.Fatal(err)
	}
	towers := map[netip.Addr]*station{}
	for _, a := range []netip.Addr{dptest.TowerA, dptest.TowerB, dptest.TowerC} {
		towers[a] = newStation(t, a, marks)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- p.Serve(ctx) }()
	defer func() { // also when the case skips
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
		for _, s := range towers {
			s.c.Close()
			<-s.done
		}
	}()
	send := func(a netip.Addr, b []byte) {
		to := onSockets4
		if a.Is6() {
			to = onSockets6
		}
		towers[a].c.WriteToUDPAddrPort(b, netip.AddrPortFrom(to, gtpu.Port))
	}
	into := func(w *wire) func([]byte) { return func(b []byte) { w.in <- append([]byte(nil), b...) } }
	marked := func(src, dst netip.Addr, mark uint32) []byte {
		b := dptest.Packet(src, dst, 60)
		binary.BigEndian.PutUint32(b[28:], mark)
		return b
	}
	server := netip.MustParseAddr("93.184.216.34")
	settle := func() {
		for _, a := range []netip.Addr{dptest.TowerA, dptest.TowerC} {
			marks.pass(func(m uint32) { send(a, gtpu.AppendGPDU(nil, own.TEID, marked(markPhone, server, m))) })
		}
		for _, in := range []*wire{w, aside} {
			marks.pass(func(m uint32) { into(in)(marked(server, markPhone, m)) })
		}
		for _, s := range towers {
			marks.pass(func(m uint32) {
				s.c.WriteToUDPAddrPort(binary.BigEndian.AppendUint32(nil, m), s.c.LocalAddr().(*net.UDPAddr).AddrPort())
			})
		}
		p.Usage(own.TEID) // nothing of it is in flight
	}
	body(t, &dptest.Rig{
		Path: hidden{p}, Local: onSockets4, Local6: onSockets6, BufferPackets: 8, ReportOctets: 10_000, MTU: w.MTU(),
		TowerSend: send, TowerGot: func(a netip.Addr) [][]byte { return towers[a].take() },
		NetSend: into(w), NetGot: w.take, NetRefuses: func(v bool) { w.mu.Lock(); w.refuses = v; w.mu.Unlock() },
		RedirectGot: aside.take, RedirectSend: into(aside), Settle: settle, Wait: func(d time.Duration) { <-time.After(d); settle() },
	})
}
