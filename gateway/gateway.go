// Package gateway is SGW and PGW in one: it answers S11 (TS 29.274), gives
// phones addresses, keeps their sessions and segments, has a data path move
// and count their packets, and reports the counts.
//
// It does not move packets itself (gateway/datapath does), decides no price,
// and believes no ticket that its Options cannot verify.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/gateway/datapath"
	"campanile.network/internal/logs"
	"campanile.network/wire/gtpc"
	"campanile.network/wire/proof"
	"campanile.network/wire/usage"
)

// Options for New; zero values give the defaults named.
type Options struct {
	// S11 address to bind; port 0 means 2123. S11Conn replaces the socket.
	S11     netip.AddrPort
	S11Conn gtpc.PacketConn
	// S1U is the data path's address as eNBs reach it. Required.
	S1U netip.Addr
	// MMEs that may use S11; none means any. S11 is not authenticated: without
	// such a list it belongs on a network of the operator's own machines.
	MMEs []netip.Prefix
	// Path moves packets. The gateway reads its Events; whoever made it runs its
	// Serve, and ends that after the gateway's. Required.
	Path datapath.Path
	// Pool of phones' IPv4 addresses: 10.45.0.0/16.
	Pool netip.Prefix
	// Router is the gateway's own address in Pool, never leased: the first one.
	Router netip.Addr
	// DNS servers told to phones: Router.
	DNS []netip.Addr
	// MTU told to phones that ask, octets: 1400.
	MTU uint16
	// APNs served; none means any.
	APNs []id.APN
	// MaxSessions: 65536, or what Pool holds.
	MaxSessions int
	// RestartCounter goes to peers and into TEIDs; it must differ from the last
	// run's (TS 23.007 §16.1A.1).
	RestartCounter uint8
	// OpenTicket verifies a ticket: signature, chain, and that the signing node is
	// its home's. nil believes none.
	OpenTicket func(signed []byte) (proof.Ticket, error)
	// AllowUnsettled admits sessions without a valid ticket; nobody pays for
	// them, and their records carry none. Otherwise they are refused.
	AllowUnsettled bool
	// Emergency is the APN of emergency sessions, which need no ticket, nor an IMSI
	// (TS 23.401 §4.3.12); zero: there are none.
	Emergency id.APN
	// UnsettledQuota bounds such a session, octets: no bound.
	UnsettledQuota uint64
	// Sink takes usage records; nil keeps no account.
	Sink usage.Sink
	// ReportEvery is the longest time between two reports of a session in use:
	// 1 s.
	ReportEvery time.Duration
	// Drain is how long after Delete Session uplink packets on their way are
	// still taken and counted: 300 ms.
	Drain time.Duration
	// T3, N3 and EchoEvery of gtpc.
	T3        time.Duration
	N3        int
	EchoEvery time.Duration
	// Logger; required.
	Logger *slog.Logger
}

// Gateway is one combined SGW and PGW.
type Gateway struct {
	o     Options
	ep    *gtpc.Endpoint
	path  datapath.Path
	log   *slog.Logger
	teids *datapath.TEIDs // user plane
	ctrl  *datapath.TEIDs // control plane
	pool  *pool

	mu       sync.Mutex
	lastID   uint64
	charging uint32
	ues      map[id.TEID]*ue // by our control plane TEID
	byIMSI   map[id.IMSI]*ue
	sessions map[datapath.SessionID]*session
	spent    map[proof.TicketID]*lease
	draining []drainItem // in order of their deadline
	dirty    map[*session]struct{}
	closed   []*segment // ended and not yet taken by the sink
	lost     uint64     // records given up because the sink took none for too long

	kick    chan struct{}      // report now
	drain   chan struct{}      // something drains
	pages   chan *session      // sessions to notify of downlink data
	refused [256]atomic.Uint64 // by cause
}

// New binds S11; Serve makes the gateway live.
func New(o Options) (*Gateway, error) {
	if o.Logger == nil || o.Path == nil || !o.S1U.IsValid() {
		return nil, errors.New("gateway: Options need S1U, Path and a Logger")
	}
	if err := o.defaults(); err != nil {
		return nil, err
	}
	g := &Gateway{
		o: o, path: o.Path, log: o.Logger, pool: newPool(o.Pool, o.Router),
		lastID: uint64(time.Now().UnixMilli()) << 20,
		ues:    make(map[id.TEID]*ue), byIMSI: make(map[id.IMSI]*ue),
		sessions: make(map[datapath.SessionID]*session), spent: make(map[proof.TicketID]*lease),
		dirty: make(map[*session]struct{}),
		kick:  make(chan struct{}, 1), drain: make(chan struct{}, 1), pages: make(chan *session, 1024),
	}
	var err error
	if g.teids, err = datapath.NewTEIDs(o.MaxSessions, o.RestartCounter); err != nil {
		return nil, fmt.Errorf("gateway: MaxSessions: %w", err)
	}
	g.ctrl, _ = datapath.NewTEIDs(o.MaxSessions, o.RestartCounter)
	g.ep, err = gtpc.NewEndpoint(gtpc.Options{
		Local: o.S11, Conn: o.S11Conn, Handler: gtpc.HandlerFunc(g.handle), RestartCounter: o.RestartCounter,
		T3: o.T3, N3: o.N3, EchoEvery: o.EchoEvery, OnPeerRestart: g.peerRestarted, Accept: o.accept(), Logger: o.Logger,
	})
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	return g, nil
}

func (o *Options) defaults() error {
	if !o.Pool.IsValid() {
		o.Pool = netip.MustParsePrefix("10.45.0.0/16")
	}
	o.Pool = o.Pool.Masked()
	if !o.Pool.Addr().Is4() || o.Pool.Bits() > 30 || o.Pool.Bits() < 8 {
		return fmt.Errorf("gateway: Pool %v: want an IPv4 prefix of /8 to /30", o.Pool)
	}
	if !o.Router.IsValid() {
		o.Router = o.Pool.Addr().Next()
	}
	if len(o.DNS) == 0 {
		o.DNS = []netip.Addr{o.Router}
	}
	for _, a := range o.DNS {
		if !a.Is4() {
			return fmt.Errorf("gateway: DNS %v is not IPv4", a)
		}
	}
	if o.MTU == 0 {
		o.MTU = 1400
	}
	if o.MaxSessions == 0 {
		o.MaxSessions = 1 << 16
	}
	if o.UnsettledQuota == 0 {
		o.UnsettledQuota = datapath.NoQuota
	}
	if o.ReportEvery <= 0 {
		o.ReportEvery = time.Second
	}
	if o.Drain <= 0 {
		o.Drain = 300 * time.Millisecond
	}
	return nil
}

// accept is the filter that MMEs makes, or nil.
func (o *Options) accept() func(netip.Addr) bool {
	if len(o.MMEs) == 0 {
		return nil
	}
	return func(a netip.Addr) bool {
		return slices.ContainsFunc(o.MMEs, func(p netip.Prefix) bool { return p.Contains(a) })
	}
}

// S11Addr is the bound S11 address.
func (g *Gateway) S11Addr() netip.AddrPort { return g.ep.LocalAddr() }

// Serve answers S11 until ctx ends. Then sessions are closed, their last
// counts reported (for at most 5 s), and nothing it started is running.
func (g *Gateway) Serve(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() { g.events(ctx) })
	wg.Go(func() { g.pager(ctx) })
	wg.Go(func() { g.reporter(ctx) })
	err := g.ep.Serve(ctx)
	cancel()
	wg.Wait()
	g.shutdown()
	return err
}

// Close frees the socket of a Gateway that is not served.
func (g *Gateway) Close() error { return g.ep.Close() }

// events hears the data path.
func (g *Gateway) events(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-g.path.Events():
			g.event(e)
		}
	}
}

func (g *Gateway) event(e datapath.Event) {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.sessions[e.Session]
	if s == nil || s.ended {
		return
	}
	switch e.Kind {
	case datapath.DownlinkData:
		g.page(s)
	case datapath.QuotaExhausted:
		g.exhausted(s)
	case datapath.ErrorIndication:
		if e.Tunnel != s.tunnel {
			return // the MME has moved the bearer since
		}
		g.log.Warn("gateway: the eNB does not know the tunnel", logs.IMSI, s.ue.imsi, logs.TEID, s.teid, logs.Peer, s.tunnel.Peer)
		s.errored = true
		g.idle(s)
	case datapath.ReportDue:
		g.dirty[s] = struct{}{}
		g.reportNow()
	}
}

// Stats are the gateway's figures.
type Stats struct {
	Sessions, UEs, Leases int
	Unreported            int    // closed segments the sink has not taken
	Lost                  uint64 // records given up
	Refused               map[gtpc.Cause]uint64
	S11                   gtpc.Stats
	Path                  datapath.Stats
}

// Stats reads the figures.
func (g *Gateway) Stats() Stats {
	g.mu.Lock()
	s := Stats{Sessions: len(g.sessions), UEs: len(g.ues), Leases: g.pool.inUse(), Unreported: len(g.closed), Lost: g.lost}
	g.mu.Unlock()
	s.Refused = make(map[gtpc.Cause]uint64)
	for i := range g.refused {
		if n := g.refused[i].Load(); n > 0 {
			s.Refused[gtpc.Cause(i)] = n
		}
	}
	s.S11, s.Path = g.ep.Stats(), g.path.Stats()
	return s
}

// SessionInfo is a session as an operator sees it.
type SessionInfo struct {
	Number  uint64
	IMSI    id.IMSI // prints masked
	APN     id.APN
	Address netip.Addr
	TEID    id.TEID
	Tunnel  datapath.Tunnel // not Active: idle
	Settled bool            // under a ticket that was verified
	Count   datapath.Count
}

// Sessions lists the open sessions.
func (g *Gateway) Sessions() []SessionInfo {
	g.mu.Lock()
	defer g.mu.Unlock()
	var all []SessionInfo
	for _, s := range g.sessions {
		if s.ended {
			continue
		}
		c, _ := g.path.Usage(s.teid)
		all = append(all, SessionInfo{uint64(s.id), s.ue.imsi, s.apn, s.addr, s.teid, s.tunnel, s.lease != nil, c.Count})
	}
	return all
}
