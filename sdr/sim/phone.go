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

	"campanile.network/3gpp/aka"
	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/milenage"
	"campanile.network/3gpp/nassec"
	"campanile.network/3gpp/s1ap"
	"campanile.network/3gpp/secret"
	"campanile.network/internal/ipstack"
	"campanile.network/internal/logs"
)

// SIM is what a card holds.
type SIM struct {
	IMSI   id.IMSI
	K, OPc secret.Key128
	SEQ    [aka.INDs]uint64 // the sequence number array; zero for a fresh card
}

// PhoneOptions for NewPhone. SIM and ENB are required.
type PhoneOptions struct {
	SIM    SIM
	ENB    *ENB
	IMEISV id.IMEI
	APN    id.APN // asked for in ESM INFORMATION RESPONSE; zero: the network's default
	// IP says that the phone has an IP stack of its own.
	IP  bool
	Log *slog.Logger
}

// Phone is one UE. Its procedures (Attach, Detach, ServiceRequest) are for one
// goroutine at a time; everything else may come from any.
type Phone struct {
	o    PhoneOptions
	log  *slog.Logger
	plmn id.PLMN

	mu       sync.Mutex
	card     *aka.USIM
	sec      *nassec.Context // nil: no EPS security context
	pending  *nassec.State   // after AUTHENTICATION RESPONSE, before SECURITY MODE COMMAND
	fresh    *nassec.Context // of a SECURITY MODE COMMAND whose MAC is right
	secured  bool            // the connection's NAS messages are protected
	kenb     nassec.Count    // uplink COUNT that K_eNB is derived from
	guti     *id.GUTI
	conn     *conn
	state    State
	session  Session
	waiting  chan error // who waits for the running procedure
	sent     bool       // ATTACH COMPLETE or DETACH REQUEST is out
	up       bool       // user plane
	queue    [][]byte   // uplink packets until it is
	host     *ipstack.Host
	hostDone chan struct{}

	ul, dl, lost atomic.Uint64
	waking       atomic.Bool
	wake         sync.WaitGroup
	stop         context.CancelFunc // of what runs in the background
	ctx          context.Context
}

// State is an EMM state (TS 24.301 §5.1.3.2), with the connection in one.
type State uint8

// The states.
const (
	Deregistered State = iota
	Attaching
	Idle      // registered, no connection
	Connected // registered, with user plane
	Detaching
)

func (s State) String() string {
	return [...]string{"deregistered", "attaching", "idle", "connected", "detaching"}[s]
}

// Session is what an attach brought.
type Session struct {
	Address netip.Addr
	DNS     []netip.Addr
	APN     id.APN
	EBI     id.EBI
	GUTI    id.GUTI
	Took    time.Duration
}

// Rejected says that the network refused a procedure, and its EMM cause.
type Rejected struct {
	Procedure string
	Cause     eps.EMMCause
}

func (r *Rejected) Error() string { return fmt.Sprintf("sim: %s: %v", r.Procedure, r.Cause) }

// ErrAuthenticationReject says that the network does not accept the SIM.
var ErrAuthenticationReject = errors.New("sim: AUTHENTICATION REJECT: the network does not accept this SIM")

// maxQueue bounds the uplink packets held while a phone wakes.
const maxQueue = 64

// NewPhone makes a phone that is switched off.
func NewPhone(o PhoneOptions) (*Phone, error) {
	if o.SIM.IMSI.IsZero() || o.ENB == nil {
		return nil, errors.New("sim: phone without SIM or cell")
	}
	card, err := aka.NewUSIM(aka.USIMOptions{Algorithm: milenage.New(o.SIM.K, o.SIM.OPc), SEQ: o.SIM.SEQ})
	if err != nil {
		return nil, fmt.Errorf("sim: %w", err)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	ctx, stop := context.WithCancel(context.Background())
	return &Phone{o: o, log: o.Log.With(logs.IMSI, o.SIM.IMSI), plmn: o.ENB.o.TAI.PLMN, card: card, ctx: ctx, stop: stop}, nil
}

// Card gives the sequence number array of the card, to keep with the SIM.
func (p *Phone) Card() [aka.INDs]uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.card.Array()
}

// State gives the state.
func (p *Phone) State() State {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state
}

// Counted gives the inner IP octets that passed the phone's IP interface:
// uplink handed to a bearer, downlink delivered to the stack.
func (p *Phone) Counted() (ul, dl uint64) { return p.ul.Load(), p.dl.Load() }

// Host is the phone's IP stack while it is attached, or nil.
func (p *Phone) Host() *ipstack.Host {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.host
}

// Attach registers with the network: with a GUTI where the phone has one and a
// security context, otherwise with the IMSI.
func (p *Phone) Attach(ctx context.Context) (Session, error) {
	start := time.Now()
	p.mu.Lock()
	if p.state != Deregistered {
		p.mu.Unlock()
		return Session{}, fmt.Errorf("sim: attach while %v", p.state)
	}
	nas, err := p.attachRequest()
	p.state, p.sent, p.up = Attaching, false, false
	p.mu.Unlock()
	if err == nil {
		err = p.run(ctx, s1ap.RRCEstablishmentCauseMoSignalling, nas)
	}
	p.mu.Lock()
	if err != nil {
		p.state = Deregistered
		p.mu.Unlock()
		return Session{}, err
	}
	p.session.Took = time.Since(start)
	s := p.session
	p.mu.Unlock()
	return s, p.startHost(s)
}

// ServiceRequest brings the user plane up from idle mode. cause is mo-Data, or
// mt-Access after paging.
func (p *Phone) ServiceRequest(ctx context.Context, cause s1ap.RRCEstablishmentCause) error {
	p.mu.Lock()
	if p.state != Idle || p.sec == nil {
		p.mu.Unlock()
		return fmt.Errorf("sim: service request while %v", p.state)
	}
	p.kenb = p.sec.UL()
	nas, err := p.sec.AppendServiceRequest(nil)
	p.mu.Unlock()
	if err != nil {
		return fmt.Errorf("sim: %w", err)
	}
	return p.run(ctx, cause, nas)
}

// Detach leaves the network and returns on DETACH ACCEPT; with switchOff there
// is none, and it returns when the connection is released.
func (p *Phone) Detach(ctx context.Context, switchOff bool) error {
	p.mu.Lock()
	if p.sec == nil || p.state == Deregistered {
		p.mu.Unlock()
		return fmt.Errorf("sim: detach while %v", p.State())
	}
	kind := eps.DetachEPS
	if switchOff {
		kind |= eps.DetachSwitchOff
	}
	header := nassec.IntegrityCiphered
	if p.conn == nil {
		header = nassec.IntegrityProtected // an initial message is never ciphered (TS 24.301 §4.4.5)
	}
	who := eps.FromIMSI(p.o.SIM.IMSI)
	if p.guti != nil {
		who = eps.FromGUTI(*p.guti)
	}
	nas, err := p.protect(header, &eps.DetachRequest{Type: kind, KSI: eps.KSI(p.sec.KSI()), Identity: who})
	c := p.conn
	p.state = Detaching
	p.mu.Unlock()
	if err != nil {
		return err
	}
	if c == nil {
		err = p.run(ctx, s1ap.RRCEstablishmentCauseMoSignalling, nas)
	} else {
		done := p.await()
		if err = c.uplinkNAS(nas); err == nil {
			err = p.wait(ctx, done)
		}
	}
	p.mu.Lock()
	p.state = Deregistered
	p.mu.Unlock()
	p.stopHost()
	return err
}

// SwitchOff ends everything of the phone without telling the network.
func (p *Phone) SwitchOff() {
	p.stop()
	p.mu.Lock()
	c := p.conn
	p.state = Deregistered
	p.mu.Unlock()
	if c != nil {
		c.e.drop(c)
	}
	p.stopHost()
	p.wake.Wait()
}

// run opens a connection with an initial NAS message and waits until the
// procedure it began is over. Without an answer it lets the connection go.
func (p *Phone) run(ctx context.Context, cause s1ap.RRCEstablishmentCause, nas []byte) error {
	done := p.await()
	var tmsi *id.STMSI
	p.mu.Lock()
	if p.guti != nil {
		t := p.guti.STMSI()
		tmsi = &t
	}
	p.mu.Unlock()
	if err := p.o.ENB.connect(p, cause, tmsi, nas); err != nil {
		return err
	}
	err := p.wait(ctx, done)
	if err != nil && ctx.Err() != nil {
		p.mu.Lock()
		c := p.conn
		p.mu.Unlock()
		if c != nil {
			c.e.drop(c)
		}
	}
	return err
}

// adopt takes the connection over which the phone now speaks.
func (p *Phone) adopt(c *conn) {
	p.mu.Lock()
	p.conn, p.secured = c, false
	p.mu.Unlock()
}

func (p *Phone) await() chan error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting = make(chan error, 1)
	return p.waiting
}

func (p *Phone) wait(ctx context.Context, done chan error) error {
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("sim: no answer from the network: %w", ctx.Err())
	}
}

// finish ends the procedure that somebody waits for. Called with mu held.
func (p *Phone) finish(err error) {
	if p.waiting != nil {
		p.waiting <- err
		p.waiting = nil
	}
}

// kenbIs compares the eNB's key with the phone's own derivation: AS security
// mode would fail where they differ (TS 33.401 §7.2.4.5).
func (p *Phone) kenbIs(k secret.Key256) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sec != nil && p.sec.KeNB(p.kenb).Equal(k)
}

// bearersUp: the radio bearers are there; for a service request that is the
// accept (TS 24.301 §5.6.1.4).
func (p *Phone) bearersUp(c *conn) {
	p.mu.Lock()
	if p.conn != c {
		p.mu.Unlock()
		return
	}
	p.up = true
	queue := p.queue
	p.queue = nil
	switch p.state {
	case Idle:
		p.state = Connected
		p.finish(nil)
	case Attaching:
		p.attached()
	}
	p.mu.Unlock()
	for _, b := range queue {
		p.uplink(b)
	}
}

// attached ends an attach once both ATTACH COMPLETE is out and bearers are up.
// Called with mu held.
func (p *Phone) attached() {
	if p.sent && p.up {
		p.state = Connected
		p.finish(nil)
	}
}

// released: the network or the radio ended the connection.
func (p *Phone) released(c *conn, why error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conn != c {
		return
	}
	p.conn, p.up = nil, false
	switch p.state {
	case Connected:
		p.state = Idle
		p.log.Debug("released", logs.Cause, why)
	case Detaching:
		p.finish(nil)
		return
	}
	p.finish(why)
}

// paged: the network has something; answer with a service request.
func (p *Phone) paged() { p.wakeUp(s1ap.RRCEstablishmentCauseMtAccess) }

// wakeUp runs one service request in the background.
func (p *Phone) wakeUp(cause s1ap.RRCEstablishmentCause) {
	if p.State() != Idle || p.ctx.Err() != nil || !p.waking.CompareAndSwap(false, true) {
		return
	}
	p.wake.Go(func() {
		defer p.waking.Store(false)
		ctx, cancel := context.WithTimeout(p.ctx, 10*time.Second)
		defer cancel()
		if err := p.ServiceRequest(ctx, cause); err != nil {
			p.log.Info("service request", logs.Error, err)
			p.dropQueue()
		}
	})
}

func (p *Phone) dropQueue() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lost.Add(uint64(len(p.queue)))
	p.queue = nil
}
