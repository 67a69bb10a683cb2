package relay

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
	"campanile.network/3gpp/s1ap"
	"campanile.network/internal/sctp"
)

// Options make a Relay. All but MoreMMEs and the last four are required.
type Options struct {
	Radio     sctp.Listener    // where eNBs come to; the relay closes it
	Core      sctp.Endpoint    // whence the MME is reached
	MME       netip.AddrPort   // its IP address and SCTP port
	MoreMMEs  []netip.AddrPort // of its pool, to the first of which that answers an eNB is brought when the MME does not; may be none
	RadioUser PacketConn       // GTP-U towards eNBs; the relay closes it
	CoreUser  PacketConn       // GTP-U towards gateways; the relay closes it

	Dial     sctp.DialOptions // for the MME
	Port     uint16           // GTP-U port of the neighbours; 0 means 2152
	DialTime time.Duration    // how long an eNB is held while the MME is dialed again and again; 0 means 4 s, less than an eNB waits for its S1 Setup
	Logger   *slog.Logger     // nil discards
}

// Relay is one tower's relay. It is made open, without limit.
type Relay struct {
	Options
	table    *table
	user     userPlane
	refusing atomic.Bool
	refused  atomic.Uint64
	verbatim atomic.Uint64
	broken   atomic.Uint64

	noSetup, sentAway, coreEnded atomic.Uint64
	notReached                   atomic.Pointer[string]

	mu    sync.Mutex
	conns map[*conn]bool
}

func addrOf(c PacketConn) (netip.Addr, error) {
	u, ok := c.LocalAddr().(*net.UDPAddr)
	if !ok {
		return netip.Addr{}, fmt.Errorf("relay: %v is no UDP address", c.LocalAddr())
	}
	a := u.AddrPort().Addr().Unmap()
	if !a.IsValid() || a.IsUnspecified() {
		return a, fmt.Errorf("relay: GTP-U address %v: a specific address is needed, since it is announced to the neighbours", a)
	}
	return a, nil
}

// New checks options.
func New(o Options) (*Relay, error) {
	if o.Radio == nil || o.Core == nil || o.RadioUser == nil || o.CoreUser == nil || !o.MME.IsValid() {
		return nil, errors.New("relay: listener, core endpoint, MME address and both GTP-U sockets are needed")
	}
	if o.Port == 0 {
		o.Port = gtpu.Port
	}
	if o.DialTime <= 0 {
		o.DialTime = 4 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	r := &Relay{Options: o, table: newTable(), conns: map[*conn]bool{}}
	r.user.table, r.user.conn, r.user.port, r.user.spent = r.table, [2]PacketConn{o.RadioUser, o.CoreUser}, o.Port, make(chan struct{}, 1)
	r.user.allowed.Store(^uint64(0))
	for side, c := range r.user.conn {
		var err error
		if r.user.addr[side], err = addrOf(c); err != nil {
			return nil, err
		}
		if b, ok := c.(interface{ SetReadBuffer(int) error }); ok {
			_ = b.SetReadBuffer(4 << 20) // what the system grants is enough to work
		}
	}
	return r, nil
}

// Serve relays until ctx ends or a socket fails. It then takes no more eNBs,
// shuts down every association on both sides, within 2 s, and closes the GTP-U
// sockets.
func (r *Relay) Serve(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var readers, eNBs sync.WaitGroup
	fail := func(err error) {
		if err != nil {
			cancel(err)
		}
	}
	for side := range r.user.conn {
		readers.Go(func() { fail(r.user.read(Side(side))) })
	}
	eNBs.Go(func() { fail(r.accept(ctx)) })
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var shown time.Time
	for ctx.Err() == nil {
		select {
		case now := <-tick.C:
			if r.table.sweep(now) {
				r.prune()
			}
			if now.Sub(shown) >= pulse {
				shown = now
				r.user.showAll()
			}
		case <-ctx.Done():
		}
	}
	eNBs.Wait() // what is under way while the associations end still counts
	r.RadioUser.Close()
	r.CoreUser.Close()
	readers.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// MaxENBs is how many associations of eNBs a relay takes at a time.
const MaxENBs = 64

// accept serves eNBs until ctx ends, and waits for those it serves. Nobody is
// let in any more when they are shut down: an eNB dials again at once, and an
// association begun with a relay that is about to go would cost it a minute.
func (r *Relay) accept(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	defer r.Radio.Close()
	slots := make(chan struct{}, MaxENBs)
	for {
		enb, err := r.Radio.Accept(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("relay: accepting eNBs: %w", err)
		}
		select {
		case slots <- struct{}{}:
		default:
			r.Logger.Warn("eNB refused: too many associations", "enb", enb.RemoteAddr(), "limit", MaxENBs)
			enb.Abort("too many eNBs")
			continue
		}
		wg.Go(func() {
			defer func() { <-slots }()
			r.serve(serving, enb)
		})
	}
}

// Allow lets user packets of counted bearers through until their octets, both
// directions, since the relay was made, would exceed this many.
func (r *Relay) Allow(octets uint64) { r.user.allowed.Store(octets) }

// Octets is what has been let through so far, in octets.
func (r *Relay) Octets() uint64 { return r.user.octets.Load() }

// Spent gets a value when a packet was dropped for want of allowance.
func (r *Relay) Spent() <-chan struct{} { return r.user.spent }

// Refuse makes the relay answer requests for bearers with a failure of cause
// transport-resource-unavailable, or stop doing so.
func (r *Relay) Refuse(yes bool) { r.refusing.Store(yes) }

// ReleaseAll asks the MME to release every context that has bearers, for cause
// transport-resource-unavailable, and says how many it asked for.
func (r *Relay) ReleaseAll(ctx context.Context) (n int) {
	type ask struct {
		c      *conn
		b      []byte
		stream uint16
	}
	var asks []ask
	r.mu.Lock()
	for c := range r.conns {
		for _, u := range c.ues {
			if !u.paired || u.asked {
				continue
			}
			b, err := s1ap.Append(nil, &s1ap.UEContextReleaseRequest{MMEUES1APID: u.mme, ENBUES1APID: u.enb, Cause: cause()})
			if err == nil {
				u.asked = true
				asks = append(asks, ask{c, b, u.stream})
			}
		}
	}
	r.mu.Unlock()
	for _, a := range asks {
		if a.c.send(ctx, Core, a.stream, ppid, a.b) == nil {
			n++
		}
	}
	return n
}

func cause() s1ap.Cause { return s1ap.CauseTransportTransportResourceUnavailable.Cause() }

// Stats copies the counts.
func (r *Relay) Stats() Stats {
	s := Stats{Octets: r.user.octets.Load(), Packets: r.user.packets.Load(), Dropped: map[Drop]uint64{}, Refused: r.refused.Load(), Verbatim: r.verbatim.Load(), Broken: r.broken.Load(),
		NoSetup: r.noSetup.Load(), SentAway: r.sentAway.Load(), CoreEnded: r.coreEnded.Load()}
	for d := range drops {
		if n := r.user.dropped[d].Load(); n > 0 {
			s.Dropped[d] = n
		}
	}
	if why := r.notReached.Load(); why != nil {
		s.NotReached = *why
	}
	r.mu.Lock()
	s.ENBs = len(r.conns)
	for c := range r.conns {
		s.UEs += len(c.ues)
	}
	r.mu.Unlock()
	r.table.mu.RLock()
	s.Tunnels = len(r.table.radio)
	r.table.mu.RUnlock()
	return s
}
