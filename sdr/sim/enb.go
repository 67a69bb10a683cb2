package sim

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
	"campanile.network/3gpp/s1ap"
	"campanile.network/internal/logs"
	"campanile.network/internal/sctp"
)

// ppid is S1AP's SCTP payload protocol identifier (TS 36.412 §7).
const ppid = 18

// Streams: common procedures use 0; all phones share 1, as with srsenb, unless
// each has its own (TS 36.412 §7).
const (
	streamCommon = 0
	streamUE     = 1
)

// ENBOptions for NewENB. ID, TAI and Cell are required.
type ENBOptions struct {
	ID    id.GlobalENBID
	Name  string
	TAI   id.TAI // of the first cell
	Cell  id.ECI // the first cell
	Cells []Cell // further ones
	// GTPU is where the eNB's end of S1-U is: an address of this machine. The
	// zero AddrPort makes an eNB without user plane, for signalling load.
	GTPU netip.AddrPort
	// GTPUPeerPort is the gateway's S1-U port: 2152.
	GTPUPeerPort uint16
	// Inactivity after which a phone without traffic is released; 0: never.
	Inactivity time.Duration
	// Redial is the pause after an attempt that did not come to S1 Setup: 1 s;
	// srsenb has 10 s. An association that was lost later is redialed at once.
	Redial time.Duration
	// SetupTimeout is how long the answer to S1 Setup may take: 5 s.
	SetupTimeout time.Duration
	// StreamPerUE spreads phones over the streams that are there.
	StreamPerUE bool
	// SRSENB makes the eNB as deaf as srsenb (srsRAN_4G 23.11): Reset, MME
	// Configuration Update and Overload Start get no answer and have no effect,
	// Error Indications of the MME are logged only, and an ABORT is not noticed:
	// the eNB goes on over a new association, without S1 Setup, until that one is
	// shut down.
	SRSENB bool
	Log    *slog.Logger
}

// ENB is one base station. Its methods may be called from any goroutine.
type ENB struct {
	o     ENBOptions
	log   *slog.Logger
	user  *userPlane
	cells []Cell

	out   chan outbound
	acked chan struct{} // a value for each RESET ACKNOWLEDGE
	stats ENBStats

	mu     sync.Mutex
	up     chan struct{} // closed while S1 Setup holds; replaced when lost
	assoc  sctp.Association
	setup  bool
	blind  bool  // the association is gone and the eNB does not know
	refuse error // why the last S1 Setup failed
	nextID id.ENBUEID
	conns  map[id.ENBUEID]*conn
	camped map[id.STMSI]*Phone

	expected map[string]*Phone // that another eNB has announced, by what stands for RRC's handover preparation
}

// ENBStats counts what an eNB has met. Fields are read with Load.
type ENBStats struct {
	Setups               atomic.Uint64 // S1 Setups that succeeded
	Pagings              atomic.Uint64 // of phones that camp here
	Unknown              atomic.Uint64 // messages without a use, or for phones that are not here
	SyntaxErrors         atomic.Uint64
	ErrorIndications     atomic.Uint64
	KeyMismatch          atomic.Uint64 // K_eNB is not the phone's
	Resets               atomic.Uint64 // from the MME
	ConfigurationUpdates atomic.Uint64 // from the MME
	Overloads            atomic.Uint64 // Overload Start; the eNB goes on as before
	Handovers            atomic.Uint64 // phones that came by S1 handover
	PathSwitches         atomic.Uint64 // phones that came by X2, with a path switch
	StatusTransfers      atomic.Uint64 // from the MME
	EndMarkers           atomic.Uint64 // from gateways
	Undelivered          atomic.Uint64 // messages to the MME that no association took
}

type outbound struct {
	stream uint16
	pdu    []byte
}

// ErrNotReady says that no S1 Setup holds.
var ErrNotReady = errors.New("sim: eNB is not connected to an MME")

// NewENB opens the user plane; Serve connects.
func NewENB(o ENBOptions) (*ENB, error) {
	if o.ID.PLMN.IsZero() || o.TAI.PLMN.IsZero() {
		return nil, errors.New("sim: eNB without identity or tracking area")
	}
	if o.Redial == 0 {
		o.Redial = time.Second
	}
	if o.SetupTimeout == 0 {
		o.SetupTimeout = 5 * time.Second
	}
	if o.GTPUPeerPort == 0 {
		o.GTPUPeerPort = 2152
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	e := &ENB{o: o, log: o.Log.With(logs.ENB, o.ID), up: make(chan struct{}), out: make(chan outbound, 1024), acked: make(chan struct{}, 1),
		cells: append([]Cell{{o.TAI, o.Cell}}, o.Cells...), conns: map[id.ENBUEID]*conn{}, camped: map[id.STMSI]*Phone{}}
	if o.GTPU.IsValid() {
		u, err := openUserPlane(o.GTPU, o.GTPUPeerPort)
		if err != nil {
			return nil, err
		}
		e.user = u
	}
	return e, nil
}

// Stats gives the counters.
func (e *ENB) Stats() *ENBStats { return &e.stats }

// Cells gives the cells, the first of ENBOptions first.
func (e *ENB) Cells() []Cell { return append([]Cell(nil), e.cells...) }

// WaitReady returns when S1 Setup holds, or says why it does not.
func (e *ENB) WaitReady(ctx context.Context) error {
	for {
		e.mu.Lock()
		up, setup := e.up, e.setup
		e.mu.Unlock()
		if setup {
			return nil
		}
		select {
		case <-up:
		case <-ctx.Done():
			e.mu.Lock()
			defer e.mu.Unlock()
			if e.refuse != nil {
				return e.refuse
			}
			return fmt.Errorf("%w: %w", ErrNotReady, ctx.Err())
		}
	}
}

// Refused gives the cause of the last S1 Setup Failure, or nil.
func (e *ENB) Refused() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.refuse
}

func (e *ENB) send(stream uint16, m s1ap.Message) error {
	b, err := s1ap.Append(make([]byte, 0, 256), m)
	if err != nil {
		return fmt.Errorf("sim: %w", err)
	}
	e.mu.Lock()
	a, blind := e.assoc, e.blind
	e.mu.Unlock()
	if blind {
		select {
		case e.out <- outbound{stream, b}:
			return nil
		default:
			e.stats.Undelivered.Add(1)
			return ErrNotReady
		}
	}
	if a == nil {
		return ErrNotReady
	}
	select {
	case e.out <- outbound{stream, b}:
		return nil
	case <-a.Done():
		return ErrNotReady
	}
}

func (e *ENB) setupRequest() *s1ap.S1SetupRequest {
	return &s1ap.S1SetupRequest{
		GlobalENBID:      s1ap.FromGlobalENBID(e.o.ID),
		ENBname:          s1ap.ENBname(e.o.Name),
		SupportedTAs:     supportedTAs(e.cells),
		DefaultPagingDRX: s1ap.PagingDRXV128,
	}
}

// watchInactivity asks for the release of phones that move nothing.
func (e *ENB) watchInactivity(ctx context.Context) {
	tick := time.NewTicker(max(e.o.Inactivity/4, 10*time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			e.mu.Lock()
			var idle []*conn
			for _, c := range e.conns {
				if c.quiet(now, e.o.Inactivity) {
					idle = append(idle, c)
				}
			}
			e.mu.Unlock()
			for _, c := range idle {
				c.requestRelease(s1ap.CauseRadioNetworkUserInactivity.Cause())
			}
		}
	}
}
