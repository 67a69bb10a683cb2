package calls

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/sip/media"
	"campanile.network/wire/sip"
	"campanile.network/wire/sip/txn"
)

// Options of a Switch. Endpoint, Registry, Media and Realm are required.
type Options struct {
	Endpoint *txn.Endpoint
	Registry Registry
	Media    Media
	// OneAddress has all speech go to the address of the relay; otherwise each side's
	// goes to the address of ours that its signalling has come to.
	OneAddress bool
	Realm      string // the domain of addresses that are given out
	Numbers    Numbers
	Trunks     []Trunk
	Policy     Policy
	// Record gets each call when it has ended, refused ones too. It is called by
	// many goroutines and must not block long. nil: nobody.
	Record func(Record)
	// Resolver finds trunks by name; nil: the system's.
	Resolver txn.Resolver
	Logger   *slog.Logger // nil discards
}

// Policy is what the operator allows.
type Policy struct {
	MaxCalls      int           // at once, emergency calls not counted: 1000 when 0
	PerSubscriber int           // of one subscriber, at once: 4 when 0
	NoAnswer      time.Duration // how long a phone rings: 60 s when 0
	MaxLength     time.Duration // of a call: 4 h when 0
	// Session is the session timer that is asked of who knows it (RFC 4028): 30 min
	// when 0; never less than 90 s.
	Session time.Duration
	// Formats are the names of the speech formats that are let through, nil: all.
	Formats []string
	// InsistSRTP refuses to call apps behind TLS that take no SRTP; otherwise they
	// are called again without.
	InsistSRTP bool
	// Emergency says how emergency calls go out; the zero value: not at all, they
	// are answered 503 so that the phone looks elsewhere.
	Emergency Emergency
}

// Emergency is a way for emergency calls that somebody has tested.
type Emergency struct {
	Trunk string // the name of a trunk
	// Number is what is dialled there; "": what the phone dialled, or the first
	// emergency number where it dialled none.
	Number string
}

// Access is how somebody comes to the switch.
type Access uint8

// The ways of access.
const (
	AccessGSM   Access = iota + 1 // a phone in a cell of a trusted station
	AccessApp                     // a SIP app or a phone that speaks SIP itself
	AccessTrunk                   // another network
)

func (a Access) String() string { return [...]string{"none", "gsm", "app", "trunk"}[min(a, 4)%4] }

// Party is somebody at one end of a call and where he is reached. Registry makes
// them for subscribers; those of trunks are made here.
type Party struct {
	Access  Access
	IMSI    id.IMSI   // zero: nobody knows (an emergency call of a strange phone, a trunk)
	Number  id.MSISDN // zero: none
	Yate    bool      // the station is a YateBTS, which wants P-Called-Party-ID
	Station string    // of AccessGSM: the station's name
	Cell    id.CGI

	URI    sip.URI    // its contact, for requests to it
	Target txn.Target // the way there
}

// Stay is a phone's time at a cell.
type Stay interface {
	// Call begins to count a call there.
	Call() Meter
}

// Meter counts a call at one cell. What is added is durable within a second.
type Meter interface {
	Add(time.Duration)
	// End adds the last of it: the call is over, or goes on at another cell.
	End(time.Duration)
}

// Registry is what calls ask of the registrar. Its methods are called by many
// goroutines.
type Registry interface {
	// Caller says whose an INVITE is that begins a call: a registered phone or
	// app. When it is nobody's, ok is false, and the INVITE has been answered: with
	// a challenge, or a refusal.
	Caller(ctx context.Context, s *txn.Server) (p Party, ok bool)
	// Station says at which trusted station and cell a request has come from, of
	// whomever; IMSI is what the station says, if anything.
	Station(s *txn.Server) (Party, bool)
	// Subscriber is whose a number is: zero for nobody's.
	Subscriber(ctx context.Context, n id.MSISDN) (id.IMSI, error)
	// Contacts are the places where a subscriber is reached now, best first.
	Contacts(imsi id.IMSI) []Party
	// Moved puts a phone that is known to talk at another station or cell, to which
	// s, its INVITE, has come; p is as Station gave it. The answer is where the
	// phone is reached now.
	Moved(imsi id.IMSI, p Party, s *txn.Server) (Party, error)
	// Stay is where a phone's voice is counted now; nil: nowhere.
	Stay(imsi id.IMSI) Stay
	// Owns says whether a flow is one that a subscriber has registered.
	Owns(imsi id.IMSI, f txn.Flow) bool
}

// Media opens the two legs of a call; Relay makes one of a media.Relay.
type Media interface {
	Open(local [2]netip.Addr) (Session, error)
}

// Session is two legs of media; see media.Session.
type Session interface {
	Leg(i int) Leg
	Events() <-chan media.Event
	Close()
}

// Leg is one side of a Session; see media.Leg.
type Leg interface {
	Local() netip.AddrPort
	SetPeer(media.Peer) error
	SendDigit(digit byte, d time.Duration) error
	Stats() media.LegStats
}

// Relay lets calls use r.
func Relay(r *media.Relay) Media { return relay{r} }

type relay struct{ r *media.Relay }

func (r relay) Open(local [2]netip.Addr) (Session, error) {
	s, err := r.r.Session(local)
	if err != nil {
		return nil, err
	}
	return session{s}, nil
}

type session struct{ *media.Session }

func (s session) Leg(i int) Leg { return s.Session.Leg(i) }

func (o *Options) check() error {
	switch {
	case o.Endpoint == nil:
		return errors.New("calls: Options.Endpoint is missing")
	case o.Registry == nil:
		return errors.New("calls: Options.Registry is missing")
	case o.Media == nil:
		return errors.New("calls: Options.Media is missing")
	case o.Realm == "":
		return errors.New("calls: Options.Realm is missing")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Resolver == nil {
		o.Resolver = net.DefaultResolver
	}
	if o.Record == nil {
		o.Record = func(Record) {}
	}
	if err := o.Numbers.Check(); err != nil {
		return fmt.Errorf("calls: %w", err)
	}
	o.Policy.defaults()
	return o.checkTrunks()
}

func (p *Policy) defaults() {
	for _, f := range []struct {
		n *int
		v int
	}{{&p.MaxCalls, 1000}, {&p.PerSubscriber, 4}} {
		if *f.n == 0 {
			*f.n = f.v
		}
	}
	for _, f := range []struct {
		d *time.Duration
		v time.Duration
	}{{&p.NoAnswer, time.Minute}, {&p.MaxLength, 4 * time.Hour}, {&p.Session, 30 * time.Minute}} {
		if *f.d == 0 {
			*f.d = f.v
		}
	}
	p.Session = max(p.Session, shortestSession)
}
