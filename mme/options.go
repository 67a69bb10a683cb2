package mme

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"strings"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/nassec"
	"campanile.network/mme/trace"
	"campanile.network/wire/home"
	"campanile.network/wire/proof"
)

// Towers knows which towers may join.
type Towers interface {
	// Admit is asked once per S1 Setup. Its key is the tower's name in segments.
	// An error refuses the eNB and is logged; its text does not reach the eNB.
	Admit(ctx context.Context, enb id.GlobalENBID, tais []id.TAI) (proof.TowerKey, error)
}

// Options make an MME. GUMMEI, ChainID, Operator, Home, Gateway and Towers are
// required; zero fields take the default given behind each.
type Options struct {
	GUMMEI   id.GUMMEI        // its PLMN is the serving network
	Shared   []id.PLMN        // others that the MME serves, at eNBs that broadcast several (TS 23.251); at most 31
	Name     string           // MME name in S1 Setup Response, at most 150 printable characters; "campanile"
	Capacity uint8            // relative MME capacity (TS 36.413 §9.2.3.17); 255
	ChainID  string           // the ledger that tickets and segments are signed for
	Operator proof.SigningKey // signs segments; its public half is the serving operator in tickets

	Home    home.Home
	Gateway Gateway
	Towers  Towers

	// An MME with a Memory and a Dialer calls back eNBs that do not know of the end
	// of their association, see MME.Serve. Either may be nil.
	Memory Memory
	Dialer Dialer

	// Messages is where phones' short messages go; nil: phones are told that there
	// are none. LAC names the location area such a phone is told beside its tracking
	// areas, which must be no real one's (TS 23.272 §C.4); 0xfffd.
	Messages Messages
	LAC      uint16

	// KeepKeys says of which eNBs the radio bearers keep their keys when a phone
	// gets others on a live connection, because they cannot change them. By default
	// of those whose name begins with "srsenb": srsRAN_4G's sends a second RRC
	// Security Mode Command where TS 36.331 §5.3.5.4 has a handover within the cell.
	KeepKeys func(ENBInfo) bool

	// Store keeps phones over a restart. New loads it. Nil: after a restart phones
	// are unknown, are told so, and attach again.
	Store Store

	// Pool is the other MMEs of the group, which take over phones of one that dies,
	// see pool.go. It needs a Store, and a Gateway that is a Mover.
	Pool Pool

	// PathSwitch says whether the eNB of tower to is believed when it says that a
	// phone has come to it from tower from by X2 (TS 36.413 §8.4.4), for which
	// there is its word alone; nil believes all. S1 handover is not asked about.
	// It is called by several goroutines and must not block.
	PathSwitch func(from, to proof.TowerKey) bool

	// IndirectForwarding says that Gateway, a Forwarder then, may be asked to
	// forward between eNBs that do not reach each other. One that refuses costs the
	// phones only what was under way to them.
	IndirectForwarding bool

	Security nassec.Policy // EIA2, EIA1, EIA3 and EEA2, EEA1, EEA3, EEA0 in this order

	// What phones show (EMM INFORMATION, TS 24.301 §5.4.5): names and the time of
	// day in Zone. Without a name nothing is sent. Zone is time.Local.
	NetworkName, NetworkShortName string
	Zone                          *time.Location

	// Areas are groups of tracking areas, of at most 16, in each of which a phone
	// moves without telling and is paged everywhere. An area in no group stands
	// with the others of the same eNB.
	Areas [][]id.TAI

	T3412     time.Duration // periodic update (TS 24.301 §5.3.5); 54 minutes; negative: phones send none
	IdleLimit time.Duration // an idle phone is detached implicitly after it (TS 24.301 §5.3.5); T3412 and 8 minutes, without T3412 24 h

	Emergency *Emergency // emergency bearer services; nil: none, and none is advertised

	// Paging is where phones are paged, stage after stage: where the phone was last,
	// once; in its tracking areas, twice; everywhere, once; 18 s altogether.
	Paging []PagingStage
	// PagingPriority is the priority, 1 (highest) to 8, of a page for data of a bearer
	// with this ARP priority level (TS 36.413 §9.2.1.78); 0: none. nil: none.
	PagingPriority func(arp uint8) uint8

	// PSM is the longest T3412 extended that a phone gets which asks for power saving
	// mode (TS 24.301 §5.3.11); 0: nobody gets it. EDRX is the longest cycle of
	// extended DRX (TS 24.301 §5.3.12), for eNBs that have it and whose hyper frame
	// 0 was at HyperFrames, the Unix epoch; 0: nobody gets it.
	PSM, EDRX   time.Duration
	HyperFrames time.Time

	GUTIRequests int           // a phone gets another GUTI after so many service requests; 32
	GUTIAge      time.Duration // and when it has had one for so long; 12 h

	HomeTimeout    time.Duration // for an answer of the home; 4 s (a phone gives up the attach after 15 s, T3410)
	GatewayTimeout time.Duration // for an answer of the gateway; 10 s

	MaxAttaches int    // attaches under way; more are refused with #22; 4096. See Stats.Load
	MemoryLimit uint64 // octets of the process, near which it is overloaded; the Go runtime's (GOMEMLIMIT), if that has one

	MaxENBs int // associations; 256. Those without S1 Setup give way to new ones
	MaxUEs  int // phones known, and as many S1 connections; 65536
	Inbox   int // messages waiting per phone; 32

	Trace *trace.Tracer // records phones that MME.Trace asks for; nil: none can be

	Events func(Event)  // told of every change; called by several goroutines, must not block; may be nil
	Logger *slog.Logger // nil discards
	Rand   io.Reader    // of M-TMSIs, four octets each; crypto/rand
}

func def[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

func (o Options) complete() (Options, error) {
	def(&o.Name, "campanile")
	def(&o.Capacity, 255)
	def(&o.LAC, 0xfffd)
	def(&o.T3412, 54*time.Minute)
	if o.T3412 > 0 {
		o.T3412, _ = eps.NewGPRSTimer(o.T3412).Duration() // what it can say
		def(&o.IdleLimit, o.T3412+reachableMargin+implicitDetachWait)
	}
	def(&o.IdleLimit, 24*time.Hour)
	def(&o.HyperFrames, time.Unix(0, 0))
	def(&o.GUTIRequests, 32)
	def(&o.GUTIAge, 12*time.Hour)
	def(&o.Zone, time.Local)
	def(&o.HomeTimeout, 4*time.Second)
	def(&o.GatewayTimeout, 10*time.Second)
	def(&o.MaxENBs, 256)
	def(&o.MaxAttaches, 4096)
	def(&o.MaxUEs, 1<<16)
	def(&o.Inbox, 32)
	if o.Security.EIA == nil {
		o.Security.EIA = []nassec.EIA{nassec.EIA2, nassec.EIA1, nassec.EIA3}
	}
	if o.Security.EEA == nil {
		o.Security.EEA = []nassec.EEA{nassec.EEA2, nassec.EEA1, nassec.EEA3, nassec.EEA0}
	}
	if o.KeepKeys == nil {
		o.KeepKeys = func(e ENBInfo) bool { return strings.HasPrefix(e.Name, "srsenb") }
	}
	if o.Paging == nil {
		o.Paging = defaultPaging
	}
	if o.Events == nil {
		o.Events = func(Event) {}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	var errs []error
	for _, c := range []struct {
		bad  bool
		what string
	}{
		{o.GUMMEI.PLMN.IsZero(), "GUMMEI has no PLMN"},
		{o.ChainID == "", "ChainID is empty"},
		{o.Operator.Ed25519() == nil, "Operator is no key"},
		{o.Home == nil, "Home is nil"},
		{o.Gateway == nil, "Gateway is nil"},
		{o.Towers == nil, "Towers is nil"},
		{o.Pool != nil && o.Store == nil, "Pool needs a Store"},
		{o.Pool != nil && !moves(o.Gateway), "Pool needs a Gateway whose sessions can move"},
		{o.Security.AllowNullIntegrity, "Security allows EIA0, which only unauthenticated emergency attaches may use (TS 33.401 §5.1.4.1)"},
		{o.MaxENBs < 1 || o.MaxUEs < 1 || o.Inbox < 1 || o.MaxAttaches < 1, "MaxENBs, MaxUEs, MaxAttaches or Inbox is negative"},
		{o.LAC == 0xfffe, "LAC 0xfffe says that there is no location area (TS 23.003 §4.1)"},
		{o.HomeTimeout < 0 || o.GatewayTimeout < 0 || o.IdleLimit < 0 || o.GUTIAge < 0 || o.PSM < 0 || o.EDRX < 0, "a timeout is negative"},
	} {
		if c.bad {
			errs = append(errs, errors.New("mme: "+c.what))
		}
	}
	if o.Emergency != nil {
		errs = append(errs, o.Emergency.check())
	}
	errs = append(errs, Configuration{o.Name, o.Capacity, o.Shared}.Check(o.GUMMEI.PLMN))
	return o, errors.Join(append(errs, checkAreas(o.Areas), checkPaging(o.Paging))...)
}

func moves(g Gateway) bool { _, ok := g.(Mover); return ok }

// periodic is T3412 as phones are told (TS 24.301 §5.3.5).
func (m *MME) periodic() eps.GPRSTimer {
	if m.o.T3412 < 0 {
		return eps.GPRSTimer(eps.TimerDeactivated)
	}
	return eps.NewGPRSTimer(m.o.T3412)
}

// printable says that s is an ASN.1 PrintableString.
func printable(s string) bool {
	const others = " '()+,-./:=?"
	for _, r := range s {
		letter := 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z' || '0' <= r && r <= '9'
		if !letter && !strings.ContainsRune(others, r) {
			return false
		}
	}
	return true
}
