// Package userspace is the data path without kernel help: GTP-U on a UDP
// socket at one side, whole IP packets through a Port at the other, one
// goroutine for each direction. It is the portable back end and the slow path
// of faster ones; with one system call a packet it is not the fast one.
package userspace

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"campanile.network/3gpp/gtpu"
	"campanile.network/3gpp/id"
	"campanile.network/gateway/datapath"
)

// Port is the packet network's side. TUN and internal/ipstack's Forwarder are
// such ports. ReadPacket fails once Close was called; WritePacket does not keep
// b and must not block for long.
type Port interface {
	ReadPacket(b []byte) (int, error)
	WritePacket(b []byte) error
	MTU() int
	Close() error
}

// PacketConn is the part of *net.UDPConn the data path uses.
type PacketConn interface {
	ReadFromUDPAddrPort([]byte) (int, netip.AddrPort, error)
	WriteToUDPAddrPort([]byte, netip.AddrPort) (int, error)
	LocalAddr() net.Addr
	Close() error
}

// Options for New; zero values give the defaults named.
type Options struct {
	// Local address of S1-U when Conn is nil; port 0 means 2152.
	Local netip.AddrPort
	// Conn to use instead of a UDP socket bound to Local.
	Conn PacketConn
	// Port to the packet network; required. Serve closes it.
	Port Port
	// MaxBearers bounds the table: 65536, at most 1<<datapath.SlotBits.
	MaxBearers int
	// BufferPackets bounds what waits for one idle phone: 64.
	BufferPackets int
	// BufferOctets bounds what waits for all idle phones: 16 MiB.
	BufferOctets int
	// ReportOctets of one session between two ReportDue events: 256 KiB.
	ReportOctets uint64
	// Logger; required.
	Logger *slog.Logger
}

// renotify is the time after which a downlink packet for a phone that is still
// idle is an event again: the MME may have lost the first.
const renotify = 10 * time.Second

// Path implements datapath.Path.
type Path struct {
	o      Options
	conn   PacketConn
	port   Port
	local  netip.Addr
	log    *slog.Logger
	events chan datapath.Event

	slots []atomic.Pointer[bearer]
	mu    sync.RWMutex // guards the maps
	byUE  map[netip.Addr]*bearer
	byENB map[datapath.Tunnel]*bearer
	sess  map[datapath.SessionID]*session

	waiting atomic.Int64 // octets in idle phones' buffers
	queued  atomic.Int64 // packets there
	errTime atomic.Int64 // second in which error indications are counted
	errSent atomic.Int64 // error indications in that second
	ul, dl  atomic.Uint64
	echoes  atomic.Uint64
	ends    atomic.Uint64
	errors  atomic.Uint64
	moved   atomic.Uint64 // downlink ports learned
	drops   [datapath.Drops]atomic.Uint64
}

var _ datapath.Path = (*Path)(nil)

// New binds the socket; Serve moves packets.
func New(o Options) (*Path, error) {
	if o.Port == nil || o.Logger == nil {
		return nil, errors.New("userspace: Options need a Port and a Logger")
	}
	if o.MaxBearers == 0 {
		o.MaxBearers = 1 << 16
	}
	if o.MaxBearers < 1 || o.MaxBearers > 1<<datapath.SlotBits {
		return nil, fmt.Errorf("userspace: MaxBearers %d: want 1 to %d", o.MaxBearers, 1<<datapath.SlotBits)
	}
	if o.BufferPackets == 0 {
		o.BufferPackets = 64
	}
	if o.BufferOctets == 0 {
		o.BufferOctets = 16 << 20
	}
	if o.ReportOctets == 0 {
		o.ReportOctets = 256 << 10
	}
	conn := o.Conn
	if conn == nil {
		c, err := listen(o.Local)
		if err != nil {
			return nil, err
		}
		conn = c
	}
	p := &Path{
		o: o, conn: conn, port: o.Port, log: o.Logger,
		events: make(chan datapath.Event, 4096),
		slots:  make([]atomic.Pointer[bearer], o.MaxBearers),
		byUE:   make(map[netip.Addr]*bearer),
		byENB:  make(map[datapath.Tunnel]*bearer),
		sess:   make(map[datapath.SessionID]*session),
	}
	if a, ok := conn.LocalAddr().(*net.UDPAddr); ok {
		p.local = a.AddrPort().Addr().Unmap()
	}
	return p, nil
}

func listen(local netip.AddrPort) (*net.UDPConn, error) {
	if !local.IsValid() {
		return nil, errors.New("userspace: Options name neither Local nor Conn")
	}
	if local.Port() == 0 {
		local = netip.AddrPortFrom(local.Addr(), gtpu.Port)
	}
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(local))
	if err != nil {
		return nil, fmt.Errorf("userspace: cannot bind GTP-U %v: %w", local, err)
	}
	growBuffers(c, 8<<20)
	return c, nil
}

// LocalAddr is the address of S1-U.
func (p *Path) LocalAddr() netip.Addr { return p.local }

// Serve implements datapath.Path.
func (p *Path) Serve(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	errs := make(chan error, 2)
	go func() { errs <- p.uplinks(ctx) }()
	go func() { errs <- p.downlinks(ctx) }()
	var first error
	running := 2
	select {
	case <-ctx.Done():
	case first = <-errs:
		running--
	}
	cancel()
	p.Close()
	for ; running > 0; running-- {
		if err := <-errs; first == nil {
			first = err
		}
	}
	return first
}

// Close frees the socket and closes the port; a running Serve ends.
func (p *Path) Close() error {
	return errors.Join(p.conn.Close(), p.port.Close())
}

// Events implements datapath.Path.
func (p *Path) Events() <-chan datapath.Event { return p.events }

// emit tells of an event; false when nobody has room for it.
func (p *Path) emit(k datapath.Kind, b *bearer) bool {
	return p.tell(datapath.Event{Kind: k, TEID: b.teid, Session: b.sess.id})
}

func (p *Path) tell(e datapath.Event) bool {
	select {
	case p.events <- e:
		return true
	default:
		p.drop(datapath.EventLost)
		return false
	}
}

func (p *Path) drop(d datapath.Drop) { p.drops[d].Add(1) }

// Stats implements datapath.Path.
func (p *Path) Stats() datapath.Stats {
	p.mu.RLock()
	n := len(p.byUE)
	p.mu.RUnlock()
	s := datapath.Stats{
		ULPackets: p.ul.Load(), DLPackets: p.dl.Load(), Bearers: n, Buffered: int(p.queued.Load()),
		Echoes: p.echoes.Load(), EndMarkers: p.ends.Load(), ErrorIndications: p.errors.Load(),
	}
	for i := range s.Dropped {
		s.Dropped[i] = p.drops[i].Load()
	}
	return s
}

// Moved counts how often downlink was sent to another port from then on,
// because a NAT has the tower there.
func (p *Path) Moved() uint64 { return p.moved.Load() }

// lookup finds the bearer with exactly that TEID, generation included.
func (p *Path) lookup(t id.TEID) *bearer {
	s := datapath.Slot(t)
	if int(s) >= len(p.slots) {
		return nil
	}
	if b := p.slots[s].Load(); b != nil && b.teid == t {
		return b
	}
	return nil
}
