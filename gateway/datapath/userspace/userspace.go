// Package userspace is the data path without kernel help: GTP-U on UDP sockets
// at one side, whole IP packets through a Port at the other. It is the portable
// back end and the slow path of faster ones, which give it their table and their
// flows to charge. On Linux it moves packets in batches; each is looked at, charged
// and counted alone.
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

	"campanile.network/3gpp/id"
	"campanile.network/gateway/datapath"
	"campanile.network/gateway/datapath/table"
)

// Port is the packet network's side. TUN and internal/ipstack's Forwarder are
// such ports. ReadPacket fails once Close was called; WritePacket does not keep
// b and must not block for long. Both are for several goroutines.
type Port interface {
	ReadPacket(b []byte) (int, error)
	WritePacket(b []byte) error
	MTU() int
	Close() error
}

// Queued is a Port that can be read and written in several places side by side;
// the packets of a flow stay in order in one of them.
type Queued interface {
	Port
	Queues() []Port
}

// PacketConn is the part of *net.UDPConn the data path uses. One that also has
// its WriteMsgUDPAddrPort marks what it sends (Policy.DSCP).
type PacketConn interface {
	ReadFromUDPAddrPort([]byte) (int, netip.AddrPort, error)
	WriteToUDPAddrPort([]byte, netip.AddrPort) (int, error)
	LocalAddr() net.Addr
	Close() error
}

// Options for New; zero values give the defaults named.
type Options struct {
	// Local address of GTP-U when Conn is nil; port 0 means 2152.
	Local netip.AddrPort
	// Conn to use instead of a UDP socket bound to Local.
	Conn PacketConn
	// Local6 is a second address, of the other IP version, and Conn6 its socket;
	// without both there is none.
	Local6 netip.AddrPort
	Conn6  PacketConn
	// Port to the packet network; required. Serve closes it. One that is Queued has a
	// goroutine for each queue.
	Port Port
	// Workers is how many sockets are bound to each of Local and Local6, with a
	// goroutine each; a bearer's packets stay in order at one of them. 1.
	Workers int
	// CountHops has hops counted here, because what is behind Port is no router.
	CountHops bool
	// Table to charge; its records bound sessions and bearers. nil is one in memory
	// for MaxBearers of each. It is the caller's to close, after the Path is done
	// with.
	Table *table.Table
	// MaxBearers bounds the table: 65536, at most 1<<datapath.SlotBits.
	MaxBearers int
	// Flows that phones have opened; nil keeps them here, at most MaxFlows (1<<20),
	// but for 64 that every session can have, and FlowsPerSession (2048).
	Flows                     Flows
	MaxFlows, FlowsPerSession int
	// Idle is told of bearers that an error indication has made idle, before the
	// event is; it must not call this Path. nil: nobody is.
	Idle func(teid id.TEID)
	// Towers are who may send G-PDUs: eNBs and gateways. Empty: anybody.
	Towers []netip.Prefix
	// Neighbours lets phones reach each other.
	Neighbours bool
	// Services are counted apart; the first that fits a packet has it.
	Services []datapath.Service
	// Router and Router6 are the addresses that ICMP errors come from: without one,
	// there are none of that IP version, but for IPv6 to phones, which have the router
	// on their link. DNS is what router advertisements name as name servers (RFC 8106).
	Router, Router6 netip.Addr
	DNS             []netip.Addr
	// MTU of the tunnels for packets that must not be fragmented: Port's.
	MTU int
	// Redirect answers the web requests of sessions whose quota is used up and that
	// are redirected; Portal is what else they reach: the page they are sent to, name
	// servers. Serve closes Redirect.
	Redirect Port
	Portal   []netip.AddrPort
	// PortalClass is the class of service that what they get so is counted in; 0: none.
	PortalClass uint8
	// BufferPackets bounds what waits for one idle phone: 64.
	BufferPackets int
	// BufferOctets bounds what waits for all idle phones: 16 MiB.
	BufferOctets int
	// ReportOctets of one session between two ReportDue events: 256 KiB.
	ReportOctets uint64
	// Logger; required.
	Logger *slog.Logger
}

// Path implements datapath.Path.
type Path struct {
	o      Options
	conns  []PacketConn    // those of one IP version, then those of the other
	locals []netip.Addr    // of conns
	byIP   [2][]PacketConn // conns by IP version; all of them where it has none
	ports  []Port          // the queues of Options.Port
	log    *slog.Logger
	events chan datapath.Event
	tab    *table.Table
	flows  Flows

	ends []atomic.Pointer[end] // by slot of the TEID

	mu sync.RWMutex // guards what follows
	// By slot of their records; those who look for one find the slot in a map without
	// pointers.
	sessions []*session
	byID     map[datapath.SessionID]uint32
	byV4     map[uint32]uint32
	byV6     map[uint64]uint32
	byPeer   map[tunnelKey]id.TEID
	slots    freeSlots
	bearers  int

	frags   fragments
	errs    limiter      // error indications
	icmps   limiter      // ICMP errors
	waiting atomic.Int64 // octets in idle phones' buffers
	queued  atomic.Int64 // packets there
	ul, dl  atomic.Uint64
	echoes  atomic.Uint64
	markers atomic.Uint64
	errors  atomic.Uint64
	moved   atomic.Uint64 // downlink ports learned
	sentOn  atomic.Uint64
	adverts atomic.Uint64
	portals atomic.Uint64
	drops   [datapath.Drops]atomic.Uint64
}

var _ datapath.Path = (*Path)(nil)

// New binds the sockets; Serve moves packets.
func New(o Options) (*Path, error) {
	if o.Port == nil || o.Logger == nil {
		return nil, errors.New("userspace: Options need a Port and a Logger")
	}
	if err := o.defaults(); err != nil {
		return nil, err
	}
	conns, err := o.sockets()
	if err != nil {
		return nil, err
	}
	p := &Path{
		o: o, conns: conns, ports: []Port{o.Port}, log: o.Logger, tab: o.Table, flows: o.Flows,
		events:   make(chan datapath.Event, 4096),
		ends:     make([]atomic.Pointer[end], o.Table.Bearers()),
		sessions: make([]*session, o.Table.Sessions()),
		byID:     make(map[datapath.SessionID]uint32),
		byV4:     make(map[uint32]uint32),
		byV6:     make(map[uint64]uint32),
		byPeer:   make(map[tunnelKey]id.TEID),
	}
	if q, ok := o.Port.(Queued); ok {
		p.ports = q.Queues()
	}
	p.slots.begin(o.Table)
	for _, c := range conns {
		if a, ok := c.LocalAddr().(*net.UDPAddr); ok {
			p.locals = append(p.locals, a.AddrPort().Addr().Unmap())
		} else {
			p.locals = append(p.locals, netip.Addr{})
		}
	}
	for i, l := range p.locals {
		p.byIP[version(l)] = append(p.byIP[version(l)], conns[i])
	}
	for v := range p.byIP {
		if p.byIP[v] == nil {
			p.byIP[v] = conns
		}
	}
	return p, nil
}

func (o *Options) defaults() error {
	if o.MaxBearers == 0 {
		o.MaxBearers = 1 << 16
	}
	if o.MaxBearers < 1 || o.MaxBearers > 1<<datapath.SlotBits {
		return fmt.Errorf("userspace: MaxBearers %d: want 1 to %d", o.MaxBearers, 1<<datapath.SlotBits)
	}
	for _, s := range o.Services {
		if err := s.Check(); err != nil {
			return fmt.Errorf("userspace: %w", err)
		}
	}
	for v, normal := range map[*int]int{&o.BufferPackets: 64, &o.BufferOctets: 16 << 20, &o.MTU: o.Port.MTU(), &o.MaxFlows: 1 << 20, &o.FlowsPerSession: 2048, &o.Workers: 1} {
		if *v == 0 {
			*v = normal
		}
	}
	if o.ReportOctets == 0 {
		o.ReportOctets = 256 << 10
	}
	if o.Table == nil {
		o.Table = table.New(o.MaxBearers, o.MaxBearers, len(o.Services) > 0 || o.PortalClass != 0)
	}
	if len(o.Services) > 0 && !o.Table.Classes() {
		return errors.New("userspace: Options have Services, and a Table that has no room to count their classes")
	}
	if o.Flows == nil {
		o.Flows = newFlows(o.Table.Sessions(), o.MaxFlows, o.FlowsPerSession)
	}
	return nil
}

// LocalAddr is the address of GTP-U.
func (p *Path) LocalAddr() netip.Addr { return p.locals[0] }

// Serve implements datapath.Path.
func (p *Path) Serve(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	loops := []func(context.Context) error{p.housekeeping}
	for i, port := range p.ports {
		loops = append(loops, func(ctx context.Context) error { return p.lane(i).packets(ctx, port, false) })
	}
	for i, c := range p.conns {
		loops = append(loops, func(ctx context.Context) error { return p.lane(i).uplinks(ctx, c) })
	}
	if p.o.Redirect != nil {
		loops = append(loops, func(ctx context.Context) error { return p.lane(0).packets(ctx, p.o.Redirect, true) })
	}
	errs := make(chan error, len(loops))
	for _, f := range loops {
		go func() { errs <- f(ctx) }()
	}
	var first error
	running := len(loops)
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

// Close frees the sockets and closes the ports; a running Serve ends.
func (p *Path) Close() error {
	err := p.o.Port.Close()
	for _, c := range p.conns {
		err = errors.Join(err, c.Close())
	}
	if p.o.Redirect != nil {
		err = errors.Join(err, p.o.Redirect.Close())
	}
	return err
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
	sessions, bearers := len(p.byID), p.bearers
	p.mu.RUnlock()
	s := datapath.Stats{
		ULPackets: p.ul.Load(), DLPackets: p.dl.Load(), Sessions: sessions, Bearers: bearers, Flows: p.flows.Len(), Buffered: int(p.queued.Load()),
		Forwarded: p.sentOn.Load(), Redirected: p.portals.Load(), Advertised: p.adverts.Load(),
		Echoes: p.echoes.Load(), EndMarkers: p.markers.Load(), ErrorIndications: p.errors.Load(),
	}
	for i := range s.Dropped {
		s.Dropped[i] = p.drops[i].Load()
	}
	return s
}

// Moved counts how often downlink was sent to another port from then on,
// because a NAT has the tower there.
func (p *Path) Moved() uint64 { return p.moved.Load() }
