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
	Cell   int // of the eNB's cells
	IMEISV id.IMEI
	APN    id.APN // asked for in ESM INFORMATION RESPONSE; zero: the network's default
	// PDN is the type of addresses the phone asks for when it attaches: IPv4.
	PDN eps.PDNType
	// IP says that the phone has an IP stack of its own.
	IP bool
	// SRSUE makes the phone as simple as srsue (srsRAN_4G 23.11): no tracking area
	// update and no T3412, GUTI REALLOCATION COMMAND is not known, and after any
	// SERVICE REJECT it forgets everything and attaches with its IMSI on the same
	// connection.
	SRSUE bool
	// NoBearers is the cause for which the phone rejects dedicated bearers; 0
	// accepts them.
	NoBearers eps.ESMCause
	// SMS makes the phone ask for short messages, by combined attach and update.
	SMS bool
	// Emergency makes the phone attach for emergency bearer services, and take it
	// when the network has no security for it (TS 33.401 §15.2.2).
	Emergency bool
	Log       *slog.Logger
}

// Phone is one UE. Its methods may be called from any goroutine; its procedures
// take turns. By itself it answers paging, asks for service when it has
// something to send, updates its tracking area periodically (T3412), and attaches
// again when the network asks for that; what fails of this it tries again after
// T3411 and T3402 (TS 24.301 §10.2). Procedures its owner called for it leaves to
// the owner, but for updates.
type Phone struct {
	o    PhoneOptions
	log  *slog.Logger
	turn chan struct{} // who has put a value in runs a procedure

	mu       sync.Mutex
	at       place
	card     *aka.USIM
	sec      *nassec.Context // nil: no EPS security context
	pending  *nassec.State   // after AUTHENTICATION RESPONSE, before SECURITY MODE COMMAND
	fresh    *nassec.Context // of a SECURITY MODE COMMAND whose MAC is right
	secured  bool            // the connection's NAS messages are protected
	kenb     nassec.Count    // uplink COUNT that K_eNB is derived from
	access   accessKeys      // of the radio bearers
	guti     *id.GUTI
	conn     *conn
	freed    chan struct{} // closed when conn ends
	state    State
	session  Session
	esm      esm
	waiting  chan error // who waits for the running procedure
	sent     bool       // the accept has come and been answered
	up       bool       // user plane
	active   bool       // the update asks for it
	queue    [][]byte   // uplink packets until it is
	host     *ipstack.Host
	hostOf   Session // what host was made for
	hostDone chan struct{}
	network  Network

	asked        []byte // the last attach request, without protection
	sms          texting
	tais         eps.TAIList // where no update is needed
	forbidden    map[id.TAI]bool
	t3412, t3402 time.Duration
	periodic     *time.Timer // T3412
	retry        *time.Timer // T3411 or T3402
	attempts     int

	stats        PhoneStats
	ul, dl, lost atomic.Uint64
	waking       atomic.Bool
	off          bool // nothing more begins in the background
	wake         sync.WaitGroup
	stop         context.CancelFunc // of what runs in the background
	ctx          context.Context
}

// PhoneStats counts what a phone would not accept of the network. All are zero
// with a network that does its part. Fields are read with Load.
type PhoneStats struct {
	MAC          atomic.Uint64 // wrong message authentication codes
	Replayed     atomic.Uint64 // NAS COUNTs that were used before
	Plain        atomic.Uint64 // messages without the protection they need
	Capabilities atomic.Uint64 // replayed security capabilities that are not the phone's
	Changed      atomic.Uint64 // attach requests that have reached it as others (TS 24.301 §5.4.3.3)
	Undecodable  atomic.Uint64 // everything else that could not be read
}

// Network is what EMM INFORMATION told last.
type Network struct {
	FullName, ShortName string
	Time                eps.Opt[eps.TimeAndZone]
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
	Updating // registered, tracking area update under way
)

func (s State) String() string {
	return [...]string{"deregistered", "attaching", "idle", "connected", "detaching", "updating"}[s]
}

// Session is what an attach brought.
type Session struct {
	Address netip.Addr // of IPv4; zero: it has none
	// IID is the interface identifier of the phone's link-local address (TS 23.401
	// §5.3.1.2.2), not zero where it has IPv6; Host's Addr6 waits for the address.
	IID  [8]byte
	DNS  []netip.Addr
	MTU  uint16 // of IPv4, octets; 0: the network has not said
	APN  id.APN
	EBI  id.EBI
	GUTI id.GUTI
	Took time.Duration
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
	if o.SIM.IMSI.IsZero() || o.ENB == nil || o.Cell < 0 || o.Cell >= len(o.ENB.cells) {
		return nil, errors.New("sim: phone without SIM or cell")
	}
	card, err := aka.NewUSIM(aka.USIMOptions{Algorithm: milenage.New(o.SIM.K, o.SIM.OPc), SEQ: o.SIM.SEQ})
	if err != nil {
		return nil, fmt.Errorf("sim: %w", err)
	}
	if o.PDN == 0 {
		o.PDN = eps.PDNTypeIPv4
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	ctx, stop := context.WithCancel(context.Background())
	return &Phone{o: o, log: o.Log.With(logs.IMSI, o.SIM.IMSI), turn: make(chan struct{}, 1), at: place{o.ENB, o.ENB.cells[o.Cell]}, card: card,
		forbidden: map[id.TAI]bool{}, ctx: ctx, stop: stop}, nil
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

// Network gives what the network calls itself.
func (p *Phone) Network() Network {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.network
}

// Stats gives the counters.
func (p *Phone) Stats() *PhoneStats { return &p.stats }

// GUTI gives the phone's temporary identity, if it has one.
func (p *Phone) GUTI() (id.GUTI, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.guti == nil {
		return id.GUTI{}, false
	}
	return *p.guti, true
}

func (p *Phone) place() place {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.at
}
