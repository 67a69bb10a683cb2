//go:build linux

package xdp

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"campanile.network/3gpp/gtpu"
	"campanile.network/3gpp/id"
	"campanile.network/gateway/datapath"
	"campanile.network/gateway/datapath/table"
	"campanile.network/gateway/datapath/userspace"
)

// source is where a test has a loop of the user-space path read from. The loop has
// dealt with what it was given when it asks for more.
type source struct {
	in   chan func(b []byte) int
	asks chan struct{}
	gone chan struct{}
	once sync.Once
}

func newSource() *source {
	return &source{in: make(chan func([]byte) int), asks: make(chan struct{}), gone: make(chan struct{})}
}

func (s *source) read(b []byte) (int, error) {
	select {
	case s.asks <- struct{}{}:
	case <-s.gone:
		return 0, net.ErrClosed
	}
	select {
	case f := <-s.in:
		return f(b), nil
	case <-s.gone:
		return 0, net.ErrClosed
	}
}

// give has the loop deal with f's octets. The loop is waiting.
func (s *source) give(f func(b []byte) int) {
	s.in <- f
	<-s.asks
}

func (s *source) Close() error {
	s.once.Do(func() { close(s.gone) })
	return nil
}

// twinConn is a GTP-U socket of a twin.
type twinConn struct {
	*source
	local netip.Addr
	from  netip.AddrPort
	out   *outcome
}

func (c *twinConn) ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error) {
	n, err := c.read(b)
	return n, c.from, err
}

func (c *twinConn) WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error) {
	c.out.toTower(to, b)
	return len(b), nil
}

func (c *twinConn) LocalAddr() net.Addr {
	return net.UDPAddrFromAddrPort(netip.AddrPortFrom(c.local, gtpu.Port))
}

// twinPort is a packet network's side.
type twinPort struct {
	*source
	put func(b []byte)
}

func (p *twinPort) ReadPacket(b []byte) (int, error) { return p.read(b) }
func (p *twinPort) WritePacket(b []byte) error       { p.put(b); return nil }
func (p *twinPort) MTU() int                         { return 1400 }

// outcome is what a data path has done with packets.
type outcome struct{ network, towers, aside []string }

func (o *outcome) toNetwork(ip []byte) { o.network = append(o.network, short(ageless(ip))) }

// toTower notes a GTP-U message; of a G-PDU only what is in it.
func (o *outcome) toTower(to netip.AddrPort, b []byte) {
	m, err := gtpu.Parse(b)
	if err != nil || m.Type != gtpu.GPDU {
		o.towers = append(o.towers, fmt.Sprintf("%v %s", to, short(b)))
		return
	}
	o.towers = append(o.towers, fmt.Sprintf("%v %v %s", to, m.TEID, short(ageless(m.Payload))))
}

// short tells octets apart.
func short(b []byte) string {
	return fmt.Sprintf("%d octets %x (%08x)", len(b), b[:min(len(b), 48)], crc32.ChecksumIEEE(b))
}

// ageless leaves out of a packet what a hop changes: one of the twins has made a
// hop of its own where the other leaves it to the kernel.
func ageless(ip []byte) []byte {
	ip = bytes.Clone(ip)
	if p, err := datapath.ParsePacket(ip); err != nil {
		return ip
	} else if p.Src.Is6() {
		ip[7] = 0
	} else {
		ip[8], ip[10], ip[11] = 0, 0, 0
	}
	return ip
}

// twin is a data path of two sessions: one with a dedicated bearer, one of
// another phone. In front of it is a kernel as far as the data path needs one.
type twin struct {
	datapath.Path
	user   *userspace.Path
	conns  [2]*twinConn
	port   *twinPort
	aside  *twinPort
	out    outcome
	before datapath.Stats
	end    func() error
}

// newTwin has user-space options completed; o.Table and o.Flows say whose records
// it charges.
func newTwin(o userspace.Options) (*twin, error) {
	w := &twin{}
	w.conns = [2]*twinConn{{source: newSource(), local: local4t, out: &w.out}, {source: newSource(), local: local6t, out: &w.out}}
	w.port, w.aside = &twinPort{newSource(), w.out.toNetwork}, &twinPort{newSource(), func(b []byte) { w.out.aside = append(w.out.aside, short(b)) }}
	o.Conn, o.Conn6, o.Port, o.Redirect = w.conns[0], w.conns[1], w.port, w.aside
	var err error
	w.user, err = userspace.New(o)
	w.Path = w.user
	return w, err
}

// serve serves the user-space path until end is called.
func (w *twin) serve() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.user.Serve(ctx) }()
	for _, s := range []*source{w.conns[0].source, w.conns[1].source, w.port.source, w.aside.source} {
		<-s.asks
	}
	w.end = func() error { cancel(); return <-done }
}

// fromTowers is what a kernel does with a frame: a datagram for GTP-U gets to its
// socket. Of checksums it wants those of IPv6 to be there; it puts no fragments
// together.
func (w *twin) fromTowers(f []byte) {
	p, err := datapath.ParsePacket(f[14:])
	if err != nil || !bytes.Equal(f[:6], ourMAC) || p.Fragment || p.Protocol != 17 || p.DstPort != gtpu.Port || (binary.BigEndian.Uint16(f[12:]) == 0x0800) != p.Src.Is4() {
		return
	}
	c := w.conns[0]
	if p.Dst.Is6() {
		c = w.conns[1]
	}
	u := f[14+p.Transport : 14+p.Size]
	if p.Dst != c.local || len(u) < 8 || p.Dst.Is6() && u[6]|u[7] == 0 || int(binary.BigEndian.Uint16(u[4:])) > len(u) || binary.BigEndian.Uint16(u[4:]) < 8 {
		return
	}
	u = u[8:binary.BigEndian.Uint16(u[4:])]
	c.from = netip.AddrPortFrom(p.Src, p.SrcPort)
	c.give(func(b []byte) int { return copy(b, u) })
}

// fromNetwork is what a kernel does with a frame: it routes a whole packet that has
// hops left to the phones' TUN device.
func (w *twin) fromNetwork(f []byte) {
	p, err := datapath.ParsePacket(f[14:])
	if err != nil || !bytes.Equal(f[:6], ourMAC) || p.Hops <= 1 || (binary.BigEndian.Uint16(f[12:]) == 0x0800) != p.Src.Is4() || !phones4.Contains(p.Dst) && !phones6.Contains(p.Dst) {
		return
	}
	w.port.give(func(b []byte) int { return copy(b, f[14:14+p.Size]) })
}

const (
	twinDefault, twinVoice, twinOther = id.TEID(teid), id.TEID(teid + 1), id.TEID(teid + 2)
	twinSession, otherSession         = datapath.SessionID(77), datapath.SessionID(78)
)

// scene is how the sessions are.
type scene uint8

const (
	sceneClosed   scene = 1 << iota // downlink only for flows the phone opened
	sceneServices                   // services are counted, phones reach each other, towers are listed
	sceneQuota                      // of 300 octets
	sceneRedirect                   // what is over it is redirected
	sceneRate                       // used up
	sceneFilters                    // there is a dedicated bearer
	sceneIdle                       // the phone has no tunnel
	sceneOpener                     // the phone has sent what the packet answers
)

// fill puts the sessions and bearers.
func (w *twin) fill(c scene) error {
	s := datapath.Session{ID: twinSession, IPv4: phone4, IPv6: netip.PrefixFrom(phone6, 64).Masked(), Open: c&sceneClosed == 0}
	if c&sceneRate != 0 {
		s.AMBR = datapath.Rates{UL: 1000, DL: 1000}
	}
	b := datapath.Bearer{TEID: twinDefault, Session: twinSession, Default: true, Tunnel: datapath.Tunnel{Peer: tower4, TEID: 0x1001}}
	if c&sceneIdle != 0 {
		b.Tunnel = datapath.Tunnel{}
	}
	voice := datapath.Bearer{TEID: twinVoice, Session: twinSession, Tunnel: datapath.Tunnel{Peer: tower6, TEID: 0x2002}, Policy: datapath.Policy{Filters: []datapath.Filter{
		{Precedence: 3, Up: true, Down: true, HasProtocol: true, Protocol: 17, Remote: netip.PrefixFrom(server4, 24).Masked(), RemotePorts: datapath.PortRange{Lo: 50, Hi: 60}},
		{Precedence: 1, Down: true, HasLabel: true, Label: 0x12345}, {Precedence: 2, Up: true, Down: true, HasSPI: true, SPI: 9}, {Precedence: 4, Up: true, Down: true, TOS: 0xb8, Mask: 0xfc},
		{Precedence: 5, Up: true, Down: true, Remote: netip.PrefixFrom(server6, 40).Masked(), LocalPorts: datapath.PortRange{Lo: 4000, Hi: 4009}},
	}}}
	err := errors.Join(w.PutSession(s), w.PutBearer(b), w.PutSession(datapath.Session{ID: otherSession, IPv4: other4, Open: true}),
		w.PutBearer(datapath.Bearer{TEID: twinOther, Session: otherSession, Default: true, Tunnel: datapath.Tunnel{Peer: tower6, TEID: 0x3003}}))
	if c&sceneFilters != 0 {
		err = errors.Join(err, w.PutBearer(voice))
	}
	if c&(sceneQuota|sceneRedirect) != 0 {
		err = errors.Join(err, w.SetQuota(twinSession, datapath.Quota{Octets: 300, Redirect: c&sceneRedirect != 0}))
	}
	return err
}

// account is all that must be the same of two twins.
func (w *twin) account(c scene) string {
	var s strings.Builder
	fmt.Fprintf(&s, "network %v\ntowers %v\naside %v\n", w.out.network, w.out.towers, w.out.aside)
	for _, t := range []id.TEID{twinDefault, twinVoice, twinOther} {
		u, err := w.Usage(t)
		if c&sceneFilters == 0 && t == twinVoice {
			continue
		}
		fmt.Fprintf(&s, "%v: %+v %v\n", t, u.Count, err)
		for i, n := range u.Class {
			if n != (datapath.Count{}) {
				fmt.Fprintf(&s, "class %d: %+v\n", i, n)
			}
		}
	}
	for _, x := range []datapath.SessionID{twinSession, otherSession} {
		n, err := w.Charged(x)
		fmt.Fprintf(&s, "session %d: charged %d %v\n", x, n, err)
	}
	now := w.Stats()
	fmt.Fprintf(&s, "%d up, %d down, %d buffered, %d echoes, %d errors, %d redirected\n", now.ULPackets-w.before.ULPackets, now.DLPackets-w.before.DLPackets, now.Buffered, now.Echoes, now.ErrorIndications, now.Redirected)
	for d := range now.Dropped {
		if n := now.Dropped[d] - w.before.Dropped[d]; n != 0 {
			fmt.Fprintf(&s, "%v %d\n", datapath.Drop(d), n)
		}
	}
	return s.String()
}

// twinOptions are those that both twins have.
func twinOptions(c scene) userspace.Options {
	o := userspace.Options{MaxBearers: 64, MTU: 1400, ReportOctets: 1 << 40, Router: netipMust("10.45.0.1"), Router6: netipMust("2001:db8:45::1"), Logger: slog.New(slog.DiscardHandler),
		Portal: []netip.AddrPort{netip.AddrPortFrom(server4, 53)}}
	if c&sceneServices != 0 {
		o.Neighbours = true
		o.Towers = []netip.Prefix{netip.PrefixFrom(tower4, 28).Masked(), netip.PrefixFrom(tower6, 64).Masked()}
		o.Services = []datapath.Service{
			{Class: 1, Remotes: []netip.Prefix{netip.PrefixFrom(server4, 32)}, Protocol: 17, Ports: datapath.PortRange{Lo: 53, Hi: 53}, Free: true},
			{Class: 2, Remotes: []netip.Prefix{netip.PrefixFrom(server4, 8).Masked(), netip.PrefixFrom(server6, 64).Masked()}}}
	}
	return o
}

// fastTwin is the programs with their slow path; towers and the packet network
// are a hop away that takes everything.
type fastTwin struct {
	*Path
	bench *bench
}

func newFastTwin(t testing.TB, c scene) *fastTwin {
	t.Helper()
	p := &Path{log: slog.New(slog.DiscardHandler)}
	p.o = Options{Towers: "towers", Network: "network", Userspace: twinOptions(c), MaxFlows: 1024, MaxTowers: 4}
	quiet := &twin{}
	p.o.Userspace.Conn, p.o.Userspace.Conn6, p.o.Userspace.Port = &twinConn{local: local4t, out: &quiet.out}, &twinConn{local: local6t, out: &quiet.out}, &twinPort{}
	must(t, p.o.defaults())
	set, err := p.o.constants()
	must(t, err)
	p.k, err = load(p.o.Pin, sizes{slots: 64, flows: 1024, hops: 8, classes: len(p.o.Userspace.Services) > 0}, set)
	needBPF(t, err)
	t.Cleanup(func() { p.k.Close() })
	must(t, p.k.putServices(p.o.Userspace.Services))
	p.net = &network{k: p.k, log: p.log, hops: make([]via, 8), towers: map[netip.Addr]*tower{tower4: {hopTowers, 1}, tower6: {hopTowers, 1}}}
	b := &bench{kernel: p.k, rt: routing{Hop4: 2, Hop6: 2, Near4s: 1, Near6s: 1, Ifindex: [maxDevices]uint32{1}, MAC: [maxDevices]uint64{macWord(ourMAC)}}}
	b.rt.Near4[0] = [2][4]byte{{10, 45, 0, 0}, {255, 255, 0, 0}}
	b.rt.Near6[0] = [2][8]byte{first8(phones6.Addr()), {255, 255, 255, 255, 255, 255, 0, 0}}
	must(t, b.setRouting(&b.rt))
	must(t, b.coll.Maps[gatewayMapDevices].Put(uint32(0), uint32(1)))
	for _, i := range []int{1, hopTowers} {
		b.hops[i] = hop{Device: 1, MTU: 1500, DMAC: macWord(theirMAC), SMAC: macWord(ourMAC)}
	}
	return &fastTwin{p, b}
}

// begin makes it as new.
func (f *fastTwin) begin(c scene) (*twin, error) {
	k := f.k
	clear(k.policies)
	clear(k.counts)
	clear(k.sessions)
	clear(k.bearers)
	clear(k.classes)
	clear(k.alarms)
	tab, err := table.Over(k.sessions, k.bearers, k.classes)
	if err != nil {
		return nil, err
	}
	f.tab, f.flow = tab, newFlowTable(k)
	f.sessions, f.bearers = make([]session, k.slots), make([]bearer, k.slots)
	o := twinOptions(c)
	o.Table, o.Flows, o.Idle = tab, f.flow, f.idle
	w, err := newTwin(o)
	if err != nil {
		return nil, err
	}
	f.Path.Path, w.Path = w.user, f.Path
	if err := w.fill(c); err != nil {
		return nil, err
	}
	w.before = w.Stats()
	w.serve()
	return w, nil
}

// give has the programs deal with a frame, and the slow path with what they pass.
func (f *fastTwin) give(w *twin, up bool, in []byte) error {
	program, slow := "network", w.fromNetwork
	if up {
		program, slow = "towers", w.fromTowers
	}
	verdict, out, err := f.k.coll.Programs[program].Test(slices.Clone(in))
	if err != nil {
		return err
	}
	switch {
	case verdict == xdpPass:
		if !bytes.Equal(out, in) {
			return fmt.Errorf("passed a frame that it had changed:\n%x\n%x", in, out)
		}
		slow(in)
	case verdict == xdpRedirect && up:
		w.out.toNetwork(out[14:])
	case verdict == xdpRedirect:
		p, err := datapath.ParsePacket(out[14:])
		if err != nil || p.Size != len(out)-14 || p.DstPort != gtpu.Port || p.Hops != 64 {
			return fmt.Errorf("%+v, %v of %x", p, err, out)
		}
		w.out.toTower(netip.AddrPortFrom(p.Dst, p.DstPort), out[14+p.Transport+8:])
	case verdict != xdpDrop:
		return fmt.Errorf("verdict %d", verdict)
	}
	return nil
}
