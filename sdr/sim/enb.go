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

// Streams: as srsenb does, common procedures use 0 and all phones share 1.
const (
	streamCommon = 0
	streamUE     = 1
)

// ENBOptions for NewENB. ID, TAI and Cell are required.
type ENBOptions struct {
	ID   id.GlobalENBID
	Name string
	TAI  id.TAI
	Cell id.ECI
	// GTPU is where the eNB's end of S1-U is: an address of this machine. The
	// zero AddrPort makes an eNB without user plane, for signalling load.
	GTPU netip.AddrPort
	// GTPUPeerPort is the gateway's S1-U port: 2152.
	GTPUPeerPort uint16
	// Inactivity after which a phone without traffic is released; 0: never.
	Inactivity time.Duration
	// Redial is the pause after a lost association: 1 s.
	Redial time.Duration
	Log    *slog.Logger
}

// ENB is one base station with one cell. Its methods may be called from any
// goroutine.
type ENB struct {
	o    ENBOptions
	log  *slog.Logger
	user *userPlane

	up    chan struct{} // closed while S1 Setup holds; replaced when lost
	out   chan outbound
	stats ENBStats

	mu     sync.Mutex
	assoc  sctp.Association
	setup  bool
	refuse error // why the last S1 Setup failed
	nextID id.ENBUEID
	conns  map[id.ENBUEID]*conn
	camped map[id.STMSI]*Phone
}

// ENBStats counts what an eNB has met. Fields are read with Load.
type ENBStats struct {
	Pagings, Unknown, SyntaxErrors, ErrorIndications, KeyMismatch atomic.Uint64
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
	if o.GTPUPeerPort == 0 {
		o.GTPUPeerPort = 2152
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	e := &ENB{o: o, log: o.Log.With(logs.ENB, o.ID), up: make(chan struct{}), out: make(chan outbound, 1024),
		conns: map[id.ENBUEID]*conn{}, camped: map[id.STMSI]*Phone{}}
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

// Serve keeps an association to the MME with S1 Setup, and relays for the
// phones, until ctx ends; then it shuts the association down. dial makes an
// association.
func (e *ENB) Serve(ctx context.Context, dial func(context.Context) (sctp.Association, error)) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	if e.user != nil {
		defer e.user.close()
		wg.Go(e.user.serve)
	}
	if e.o.Inactivity > 0 {
		wg.Go(func() { e.watchInactivity(ctx) })
	}
	for ctx.Err() == nil {
		a, err := dial(ctx)
		if err == nil {
			err = e.association(ctx, a)
		}
		if ctx.Err() != nil {
			break
		}
		e.log.Warn("MME is away", logs.Error, err)
		select {
		case <-time.After(e.o.Redial):
		case <-ctx.Done():
		}
	}
	return nil
}

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

func (e *ENB) association(ctx context.Context, a sctp.Association) error {
	e.mu.Lock()
	e.assoc = a
	e.mu.Unlock()
	inner, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { e.write(inner, a) })
	err := e.send(streamCommon, e.setupRequest())
	for err == nil {
		var m sctp.Message
		if m, err = a.Recv(ctx); err == nil {
			e.receive(m)
		}
	}
	stop()
	wg.Wait()
	e.lost()
	if ctx.Err() != nil {
		bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		a.Shutdown(bye)
	} else {
		a.Abort("association of no use")
	}
	return err
}

// lost releases every phone: without the association no context holds.
func (e *ENB) lost() {
	e.mu.Lock()
	e.assoc = nil
	if e.setup {
		e.setup, e.up = false, make(chan struct{})
	}
	conns := e.conns
	e.conns = map[id.ENBUEID]*conn{}
	e.mu.Unlock()
	for {
		select {
		case <-e.out:
			continue
		default:
		}
		break
	}
	for _, c := range conns {
		c.release(errLost)
	}
}

func (e *ENB) write(ctx context.Context, a sctp.Association) {
	for {
		select {
		case m := <-e.out:
			if err := a.Send(ctx, m.stream, ppid, m.pdu); err != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

func (e *ENB) send(stream uint16, m s1ap.Message) error {
	b, err := s1ap.Append(make([]byte, 0, 256), m)
	if err != nil {
		return fmt.Errorf("sim: %w", err)
	}
	e.mu.Lock()
	a := e.assoc
	e.mu.Unlock()
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
		SupportedTAs:     s1ap.SupportedTAs{{TAC: s1ap.FromTAC(e.o.TAI.TAC), BroadcastPLMNs: s1ap.BPLMNs{s1ap.FromPLMN(e.o.TAI.PLMN)}}},
		DefaultPagingDRX: s1ap.PagingDRXV128,
	}
}

func (e *ENB) cell() id.ECGI { return id.ECGI{PLMN: e.o.TAI.PLMN, ECI: e.o.Cell} }

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
