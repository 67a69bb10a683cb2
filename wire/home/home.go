// Package home is the conversation between a serving network and the home of
// a subscriber: Challenge, then Prove, for phones of LTE and of GSM and for SIP
// applications. What the answer should be, and the keys it earns, do not leave
// the home before a right one has come. The types stand for themselves; Client
// and Register carry them over gRPC with both keys shown in TLS. How a home
// makes challenges is not here.
package home

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/secret"
	"campanile.network/wire/proof"
	"campanile.network/wire/sip/digest"
)

// Home answers about its own subscribers. Errors are *Error, or those of the
// context and the transport.
type Home interface {
	// Challenge draws an authentication challenge of the method asked for.
	Challenge(context.Context, ChallengeRequest) (Challenge, error)
	// Prove exchanges an answer for keys, ticket and profile. The same call may be
	// repeated while the challenge lives and gives the same answer.
	Prove(context.Context, ProveRequest) (Lease, error)
}

// Voider is a Home that says which of its tickets are void before their time:
// the subscriber has been barred or erased (as Cancel Location does, TS 29.272
// §5.2.1.2, but only when asked). It tells an asker nothing of tickets that are
// not his.
type Voider interface {
	// Void gives those that are not to be served any more. At most MaxVoid may be
	// asked about. A home whose ledger is behind the asker's is Unavailable.
	Void(context.Context, VoidRequest) ([]Voided, error)
}

// MaxVoid is how many tickets one question may be about.
const MaxVoid = 4096

// VoidRequest asks about tickets the asker holds.
type VoidRequest struct {
	Serving proof.OperatorKey // as in ChallengeRequest
	Height  int64             // of the ledger as the asker has it, in blocks
	Tickets []proof.TicketID
}

// Voided is a ticket nobody is to be served under, and why: Barred, or
// UnknownSubscriber for one that has been erased.
type Voided struct {
	Ticket proof.TicketID
	Code   Code
}

// ChallengeRequest asks about one subscriber.
type ChallengeRequest struct {
	IMSI    id.IMSI
	PLMN    id.PLMN           // the serving network id that K_ASME is bound to (TS 33.401 §A.2)
	Serving proof.OperatorKey // who asks; over the wire it is the key shown in TLS
	Method  Method
	Resync  *Resync // set after a synchronisation failure, of EPS and UMTS
}

// Resync is what a SIM said to a challenge it found out of order (TS 33.102 §6.3.5).
type Resync struct {
	RAND [16]byte // of the challenge refused
	AUTS [14]byte
}

// ChallengeID names a challenge at its home.
type ChallengeID [16]byte

// Challenge is what the phone is to be asked.
type Challenge struct {
	ID      ChallengeID
	RAND    [16]byte // of App it is the nonce, which says nothing of the password
	AUTN    [16]byte // zero for GSM and App
	Realm   string   // of App: where the password is good
	Expires time.Time
}

// ProveRequest carries a phone's answer: what a card said, or what was computed
// from it or from a password. One of the two is set.
type ProveRequest struct {
	ID      ChallengeID
	Serving proof.OperatorKey // as in the challenge
	RES     []byte            // RES or SRES, 4 to 16 octets
	Digest  *digest.Answer    // its nonce begins with the challenge's RAND, in either writing
	Fresh   bool              // of UMTS, GSM and App: the ticket of before is used up, give another
}

// Lease is what a right answer earns. Of the keys only those of the method are
// set: K_ASME of EPS, CK and IK of UMTS, Kc of GSM; App has none.
type Lease struct {
	Method  Method
	KASME   secret.Key256
	CK, IK  secret.Key128
	Kc      secret.Key64
	Ticket  []byte // signed, proof.OpenTicket reads it; but for EPS one given before may come again
	Profile Profile
}

// Profile is what the serving network needs to know of the subscription.
type Profile struct {
	MSISDN id.MSISDN
	APN    id.APN // the default, and the only one so far
	QCI    id.QCI
	ARP    uint8      // priority level, 1 (highest) to 15 (TS 23.203 §6.1.7.3)
	AMBRUL id.BitRate // of the phone, uplink
	AMBRDL id.BitRate
	IPv4   netip.Addr // a fixed address, or the zero Addr
	PDN    PDNType    // of the default APN
	APNs   []APN      // besides the default one; at most MaxAPNs
}

// MaxAPNs is how many APNs a profile may have besides the default one.
const MaxAPNs = 64

// APN is what a subscriber may have at an access point.
type APN struct {
	Name           id.APN
	QCI            id.QCI
	ARP            uint8      // as in Profile
	AMBRUL, AMBRDL id.BitRate // of all non-guaranteed bearers of the PDN connection
	IPv4           netip.Addr // a fixed address, or the zero Addr
	PDN            PDNType
}

// PDNType is which addresses a subscriber may have in a PDN connection
// (TS 29.272 §7.3.62). Zero leaves it to the gateway.
type PDNType uint8

// The PDN types of a subscription.
const (
	PDNAny    PDNType = iota
	PDNIPv4           // IPv4 only
	PDNIPv6           // IPv6 only
	PDNBoth           // IPv4v6, together or alone
	PDNEither         // IPv4 or IPv6, each in a PDN connection of its own
)

// Default is the default APN with what the profile says for it.
func (p Profile) Default() APN {
	return APN{Name: p.APN, QCI: p.QCI, ARP: p.ARP, AMBRUL: p.AMBRUL, AMBRDL: p.AMBRDL, IPv4: p.IPv4, PDN: p.PDN}
}

// Find gives an APN of the subscription, which has it by name or by the wildcard
// (TS 29.272 §7.3.35).
func (p Profile) Find(name id.APN) (APN, bool) {
	var wild APN
	for _, a := range append([]APN{p.Default()}, p.APNs...) {
		switch a.Name {
		case name:
			return a, name != id.AnyAPN
		case id.AnyAPN:
			wild = a
		}
	}
	if wild.Name.IsZero() {
		return APN{}, false
	}
	wild.Name = name
	return wild, true
}

// Names gives the APNs of the subscription, the default one first.
func (p Profile) Names() []id.APN {
	out := []id.APN{p.APN}
	for _, a := range p.APNs {
		out = append(out, a.Name)
	}
	return out
}

// Code says why a home refuses.
type Code uint32

// The reasons. A serving MME turns them into EMM causes; Unavailable and
// Expired are never a reason to reject the SIM.
const (
	UnknownSubscriber Code = iota + 1 // inside the home's range, but nobody
	ForeignRange                      // in no range this network knows a home for
	Barred                            // known, and not to be served
	WrongRES                          // the SIM does not hold the key
	Expired                           // challenge too old, used up, or never made
	RateLimited                       // too many challenges for this subscriber
	ResyncFailed                      // AUTS does not fit
	NotAuthorised                     // the asker is not a registered operator
	Unavailable                       // the home cannot answer now
	NotSubscribed                     // known, but with no card or password for the method
)

var reasons = map[Code]string{
	UnknownSubscriber: "unknown subscriber", ForeignRange: "no home for this range", Barred: "subscriber is barred", WrongRES: "wrong RES",
	Expired: "challenge expired", RateLimited: "too many challenges", ResyncFailed: "AUTS does not fit",
	NotAuthorised: "serving operator not authorised", Unavailable: "home unavailable", NotSubscribed: "no card or password for this method",
}

func (c Code) String() string {
	if s, ok := reasons[c]; ok {
		return s
	}
	return fmt.Sprintf("home code %d", uint32(c))
}

// Error is a home's refusal.
type Error struct {
	Code   Code
	Detail string // for the log; no identities in it
}

func (e *Error) Error() string {
	if e.Detail == "" {
		return "home: " + e.Code.String()
	}
	return "home: " + e.Code.String() + ": " + e.Detail
}

// CodeOf finds the refusal in an error; anything that is no refusal is
// Unavailable, and nil is 0.
func CodeOf(err error) Code {
	var e *Error
	switch {
	case err == nil:
		return 0
	case errors.As(err, &e):
		return e.Code
	}
	return Unavailable
}
