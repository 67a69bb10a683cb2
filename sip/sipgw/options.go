package sipgw

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/sms"
	"campanile.network/internal/vault"
	"campanile.network/sip/calls"
	"campanile.network/sip/smsc"
	"campanile.network/wire/home"
	"campanile.network/wire/proof"
	"campanile.network/wire/sip/txn"
)

// Options of a Gateway. Endpoint, Home, PLMN, Serving and Realm are required.
type Options struct {
	Endpoint  *txn.Endpoint  // which the gateway serves; stations' addresses should be among those it trusts
	Home      home.Home      // of all subscribers: it finds the right one
	Directory home.Directory // numbers of the own subscribers; nil: apps have to give an IMSI, and nobody has a number
	PLMN      id.PLMN        // the serving network that a challenge is for
	Serving   proof.OperatorKey
	Realm     string // of digests, and the domain of addresses that are given out
	Stations  []Station
	Policy    Policy

	Messages Messages // where short messages go; nil: they are refused
	USSD     USSD     // nil: USSD is refused
	Tally    Tally    // what registered phones do is counted there; nil: nowhere
	// Calls makes what takes the requests of calls, such as CallsBy does; nil:
	// calls are refused.
	Calls func(*Gateway) (Calls, error)

	Store  *vault.Vault     // keeps registrations over a restart; nil: they are gone
	Now    func() time.Time // nil: time.Now
	Logger *slog.Logger     // nil discards
}

// Policy is what the operator allows.
type Policy struct {
	MD5 bool // apps may use MD5 (RFC 8760 §2.4 prefers SHA-256, which is offered first)
	// OnlyMD5, with MD5, offers apps nothing else: there are some, such as baresip
	// 1.0, that give up at a challenge whose algorithm they do not know.
	OnlyMD5 bool

	MinExpires, MaxExpires, Expires time.Duration // of a registration: 1 min, 2 h, 1 h when 0; a longer wish gets MaxExpires, none gets Expires
	MaxBindings, MaxContacts        int           // in total and of one subscriber: 100000 and 8 when 0
	MaxChallenges                   int           // open at a time: 50000 when 0; of one subscriber at most 8
}

// Station is a base station or several that are trusted with what they say of
// their phones: requests come from its addresses, or over TLS with its tower's
// key. An address is no proof where others can forge it: put stations into a LAN
// of your own or a WireGuard tunnel.
type Station struct {
	Name  string
	From  []netip.Prefix // where it sends from; none: only over TLS
	TLS   bool           // it may come over TLS with Tower's key, from anywhere
	Tower proof.TowerKey
	Cells []id.CGI // the first is the one that counts when a request names none of them
}

// Messages is a message centre; *smsc.Centre is one. What it has for phones it
// gives to the Gateway, which is an smsc.Path. Its methods are called by several
// goroutines.
type Messages interface {
	// Submit takes what a phone sends, an *sms.RPData with a TPDU or an
	// *sms.RPSMMA. Its answer is an *sms.RPAck or *sms.RPError, whose direction and
	// reference the gateway fills in; nil acknowledges without a report. An error
	// tells the phone cause #38, network out of order, and does not reach it.
	Submit(ctx context.Context, from smsc.Sender, m sms.RP) (sms.RP, error)
	// SubmitText takes a text for a number. key is the same when the same request
	// comes again. An error that is an *smsc.Refused says why.
	SubmitText(ctx context.Context, from smsc.Sender, to, text string, key smsc.Key) error
	// Ready says that a phone has registered. It does not block.
	Ready(imsi id.IMSI)
}

// USSD answers what phones dial with * and #. reply is what the phone shows.
type USSD interface {
	USSD(ctx context.Context, from smsc.Sender, text string) (reply string, err error)
}

// Tally counts what phones do, each at its cell, as segments of their tickets.
type Tally interface {
	// Enter begins a stay of a ticket's phone at a cell.
	Enter(ticket []byte, tower proof.TowerKey, cell id.CGI) (Stay, error)
}

// Stay is a phone's time at a cell.
type Stay interface {
	calls.Stay
	// Message counts n short messages and returns when they are on disk.
	Message(n int) error
	Leave()
}

// Calls takes the requests of calls: INVITE, but for USSD, and all within its
// dialogs. Handle is called in a goroutine of its own for each request.
type Calls interface {
	Handle(context.Context, *txn.Server)
	Serve(context.Context) error // ends after ctx, when no call is left
	// Trusts says whether what comes by a flow may have private header fields.
	Trusts(txn.Flow) bool
}

func (o *Options) check() error {
	var zero proof.OperatorKey
	switch {
	case o.Endpoint == nil:
		return errors.New("sipgw: Options.Endpoint is missing")
	case o.Home == nil:
		return errors.New("sipgw: Options.Home is missing")
	case o.PLMN.IsZero():
		return errors.New("sipgw: Options.PLMN is missing")
	case o.Serving == zero:
		return errors.New("sipgw: Options.Serving is missing")
	case o.Realm == "":
		return errors.New("sipgw: Options.Realm is missing")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.Policy.defaults()
	return CheckStations(o.Stations)
}

func (p *Policy) defaults() {
	set := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	set(&p.MinExpires, time.Minute)
	set(&p.MaxExpires, 2*time.Hour)
	set(&p.Expires, time.Hour)
	for _, f := range []struct {
		n *int
		v int
	}{{&p.MaxBindings, 100_000}, {&p.MaxContacts, 8}, {&p.MaxChallenges, 50_000}} {
		if *f.n == 0 {
			*f.n = f.v
		}
	}
}

// CheckStations refuses what would leave it open whose station a request is of.
func CheckStations(all []Station) error {
	names := map[string]bool{}
	for i, s := range all {
		switch {
		case s.Name == "" || names[s.Name]:
			return fmt.Errorf("station %d: the name %q is empty or taken", i+1, s.Name)
		case len(s.Cells) == 0:
			return fmt.Errorf("station %s has no cell", s.Name)
		case len(s.From) == 0 && !s.TLS:
			return fmt.Errorf("station %s: neither addresses nor TLS", s.Name)
		}
		names[s.Name] = true
		for _, other := range all[:i] {
			if p, q, shared := overlap(s.From, other.From); shared {
				return fmt.Errorf("stations %s and %s share addresses (%s, %s)", other.Name, s.Name, q, p)
			}
			if s.TLS && other.TLS && s.Tower == other.Tower {
				return fmt.Errorf("stations %s and %s share a tower's key", other.Name, s.Name)
			}
		}
	}
	return nil
}

func overlap(a, b []netip.Prefix) (p, q netip.Prefix, shared bool) {
	for _, p := range a {
		for _, q := range b {
			if p.Overlaps(q) {
				return p, q, true
			}
		}
	}
	return p, q, false
}
