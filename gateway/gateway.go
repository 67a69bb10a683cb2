// Package gateway is SGW and PGW in one, or either: it answers S11 and S5/S8
// (TS 29.274), gives phones addresses, keeps their sessions, bearers and
// segments over a restart, has a data path move and count their packets, and
// reports the counts.
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
	"sync"
	"sync/atomic"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/gateway/datapath"
	"campanile.network/internal/logs"
	"campanile.network/internal/vault"
	"campanile.network/wire/gtpc"
	"campanile.network/wire/proof"
	"campanile.network/wire/usage"
)

// Options for New; zero values give the defaults named.
type Options struct {
	// S11 address to bind, for S5/S8 as well; port 0 means 2123. S11Conn replaces
	// the socket.
	S11     netip.AddrPort
	S11Conn gtpc.PacketConn
	// S1U is the data path's address as eNBs and other gateways reach it. Required.
	S1U netip.Addr
	// MMEs that may use S11; none means any. GTPv2-C is not authenticated: without
	// such a list it belongs on a network of the operator's own machines.
	MMEs []netip.Prefix
	// Gateways that S5/S8 is spoken with: SGWs that may use this PGW, and PGWs that an
	// MME may name to this SGW. None: only the PGWs of Networks.
	Gateways []netip.Prefix
	// Path moves packets. The gateway reads its Events; whoever made it runs its
	// Serve, after New has put back what was there before a restart, and ends that
	// after the gateway's. Required.
	Path datapath.Path
	// Networks are the access points; without any there is one for every APN, with
	// the addresses 10.45.0.0/16.
	Networks []Network
	// MaxSessions: 65536.
	MaxSessions int
	// RestartCounter goes to peers; it must differ from the last run's unless Store
	// has kept what that knew (TS 23.007 §16.1A.1).
	RestartCounter uint8
	// Store keeps sessions over a restart; nil: they end with Serve.
	Store *vault.Vault
	// OpenTicket verifies a ticket: signature, chain, and that the signing node is
	// its home's. nil believes none.
	OpenTicket func(signed []byte) (proof.Ticket, error)
	// AllowUnsettled admits sessions without a valid ticket; nobody pays for
	// them, and their records carry none. Otherwise they are refused, but for those
	// that come by S5/S8, whose segments are the SGW's affair.
	AllowUnsettled bool
	// Emergency is the APN of emergency sessions, which need no ticket, nor an IMSI
	// (TS 23.401 §4.3.12); zero: there are none.
	Emergency id.APN
	// UnsettledQuota bounds a session without a ticket, octets: no bound.
	UnsettledQuota uint64
	// Redirect has sessions that have used up their quota see what Path shows them
	// instead, for RedirectFor, before they end: 0 ends them at once.
	RedirectFor time.Duration
	// Classes are what the data path's classes of service are called and whose they are
	// to pay; those without a name there are not.
	Classes [datapath.Classes]usage.Terms
	// Policy is what bearers get.
	Policy Policy
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
	o        Options
	ep       *gtpc.Endpoint
	path     datapath.Path
	log      *slog.Logger
	teids    *datapath.TEIDs // user plane
	ctrl     *datapath.TEIDs // control plane
	networks []*network

	mu        sync.Mutex
	lastID    uint64
	charging  uint32
	ues       map[id.TEID]*ue      // by our control plane TEID towards MME or SGW
	uplinks   map[id.TEID]*session // by our control plane TEID towards a PGW
	byIMSI    map[id.IMSI]*ue      // of S11
	remote    map[remoteKey]*ue    // of S5/S8
	sessions  map[datapath.SessionID]*session
	spent     map[proof.TicketID]*lease
	draining  []drainItem // in order of their deadline
	dirty     map[*session]struct{}
	closed    []*segment // ended and not yet taken by the sink
	lost      uint64     // records given up because the sink took none for too long
	opening   int        // sessions that a PGW elsewhere has been asked for
	journal   journal
	captures  map[id.TEID]*Capture
	waits     [waitKinds]uint64
	carried   [datapath.Classes]datapath.Count // by bearers that have ended
	throttles map[netip.Addr]throttle          // by MME

	kick    chan struct{}      // report now
	drain   chan struct{}      // something drains
	pages   chan *bearer       // bearers to notify of downlink data
	outs    chan *session      // sessions that are used up
	work    sync.WaitGroup     // of procedures with peers
	ctx     context.Context    // of Serve
	stop    context.CancelFunc // ends ctx
	refused [256]atomic.Uint64 // by cause
}

// remoteKey names a session of another SGW.
type remoteKey struct {
	imsi id.IMSI
	ebi  id.EBI
}

// New binds the socket and takes up what Store has kept; Serve makes the gateway
// live.
func New(o Options) (*Gateway, error) {
	if o.Logger == nil || o.Path == nil || !o.S1U.IsValid() {
		return nil, errors.New("gateway: Options need S1U, Path and a Logger")
	}
	o.defaults()
	networks, err := o.makeNetworks()
	if err != nil {
		return nil, err
	}
	g := &Gateway{
		o: o, path: o.Path, log: o.Logger, networks: networks,
		lastID: uint64(time.Now().UnixMilli()) << 20,
		ues:    make(map[id.TEID]*ue), uplinks: make(map[id.TEID]*session), byIMSI: make(map[id.IMSI]*ue), remote: make(map[remoteKey]*ue),
		sessions: make(map[datapath.SessionID]*session), spent: make(map[proof.TicketID]*lease),
		dirty: make(map[*session]struct{}), captures: make(map[id.TEID]*Capture), throttles: make(map[netip.Addr]throttle),
		kick: make(chan struct{}, 1), drain: make(chan struct{}, 1), pages: make(chan *bearer, 1024), outs: make(chan *session, 1024),
	}
	g.ctx, g.stop = context.WithCancel(context.Background())
	run, err := g.openJournal()
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	if g.teids, err = datapath.NewTEIDs(o.MaxSessions, run); err != nil {
		return nil, fmt.Errorf("gateway: MaxSessions: %w", err)
	}
	g.ctrl, _ = datapath.NewTEIDs(o.MaxSessions, run)
	g.ep, err = gtpc.NewEndpoint(gtpc.Options{
		Local: o.S11, Conn: o.S11Conn, Handler: gtpc.HandlerFunc(g.handle), RestartCounter: o.RestartCounter,
		T3: o.T3, N3: o.N3, EchoEvery: o.EchoEvery, OnPeerRestart: g.peerRestarted, OnPath: g.pathChanged, Accept: o.accept(), Logger: o.Logger,
	})
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	if err := g.restore(); err != nil {
		g.ep.Close()
		return nil, fmt.Errorf("gateway: %w", err)
	}
	return g, nil
}

func (o *Options) defaults() {
	if len(o.Networks) == 0 {
		o.Networks = []Network{{IPv4: []netip.Prefix{netip.MustParsePrefix("10.45.0.0/16")}}}
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
}

// accept is the filter that MMEs, Gateways and the networks' PGWs make, or nil.
func (o *Options) accept() func(netip.Addr) bool {
	if len(o.MMEs) == 0 {
		return nil
	}
	return func(a netip.Addr) bool { return within(o.MMEs, a) || o.gateway(a) }
}

// gateway says that S5/S8 may be spoken with a.
func (o *Options) gateway(a netip.Addr) bool {
	for _, n := range o.Networks {
		if n.PGW == a {
			return true
		}
	}
	return within(o.Gateways, a)
}

func within(list []netip.Prefix, a netip.Addr) bool {
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// S11Addr is the bound address of S11 and S5/S8.
func (g *Gateway) S11Addr() netip.AddrPort { return g.ep.LocalAddr() }

// Serve answers until ctx ends. Then the last counts are reported (for at most
// 5 s), sessions are closed unless Store keeps them, and nothing it started is
// running.
func (g *Gateway) Serve(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() { g.events(ctx) })
	wg.Go(func() { g.pager(ctx) })
	wg.Go(func() { g.reporter(ctx) })
	wg.Go(g.commits)
	if g.restored() > 0 {
		wg.Go(func() { g.askPeers(ctx) })
		wg.Go(func() {
			if wait(ctx, lenience) {
				g.endLenience()
			}
		})
	}
	err := g.ep.Serve(ctx)
	cancel()
	g.stop()
	g.work.Wait()
	g.journal.end()
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
	defer g.flush(nil)
	s := g.sessions[e.Session]
	if s == nil || s.ended {
		return
	}
	b := s.carries(e.TEID)
	switch e.Kind {
	case datapath.DownlinkData:
		if b != nil {
			g.page(b)
		}
	case datapath.QuotaExhausted:
		g.exhausted(s)
	case datapath.ErrorIndication:
		if b != nil {
			g.errored(b, e.Tunnel)
		}
	case datapath.ReportDue, datapath.QuotaThreshold:
		g.dirty[s] = struct{}{}
		g.reportNow()
	}
}

// errored hears that the other end of a tunnel does not know it (TS 23.007 §22):
// an eNB's bearer waits until the phone comes back; what goes on S5/S8 ends.
func (g *Gateway) errored(b *bearer, t datapath.Tunnel) {
	s := b.s
	switch {
	case t == b.tunnel && s.ue.s5(), b.pgw.TEID != 0 && t == b.upstream():
		g.log.Warn("gateway: the other gateway does not know the tunnel", logs.IMSI, s.ue.imsi, logs.TEID, b.teid, logs.Peer, t.Peer)
		if b == s.first() {
			g.tellEnded(s)
			g.end(s)
		} else {
			g.endBearer(b)
		}
	case t == b.tunnel:
		g.log.Warn("gateway: the eNB does not know the tunnel", logs.IMSI, s.ue.imsi, logs.TEID, b.teid, logs.Peer, t.Peer)
		b.errored = true
		g.idle(b)
	} // else the MME has moved the bearer since
}
