package mme

import (
	"context"
	"errors"
	"sync"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/nassec"
)

// ue is what the MME knows of a phone. While it has an owner, that goroutine
// alone touches it, but for what is guarded otherwise; an idle phone is nobody's
// until it is claimed.
type ue struct {
	// Guarded by registry.mu; the owner may read what only the owner writes.
	owner            *conn
	paging           context.CancelFunc
	data             bool           // the phone is to come for downlink data
	order            *NetworkDetach // it is to be detached when it comes
	orders           []inbound      // what the gateway asks of its bearers, until it comes
	sms              *delivery      // a short message waits for it
	smsTurn          chan struct{}  // who has put a value in sends it a short message; nil before the first
	alert            bool           // the message centre is to learn when it comes
	texts            bool           // it takes short messages over NAS; written by the owner
	registered       bool           // EMM-REGISTERED
	renewal          bool           // its home is to be asked for a new lease before the old one's time
	heard            time.Time      // last in connected mode
	saving           saving         // what it has been granted
	tmsi, formerTMSI id.MTMSI
	tais, formerTAIs []id.TAI // the list the phone has; those it may have besides
	pdns             []*pdn   // PDN connections, the oldest first; none: nothing is registered

	// secMu guards the security contexts: a new connection verifies a message
	// that names this phone while the owner goes on.
	secMu sync.Mutex
	sec   *keyset // in use; nil before the first Security Mode Complete
	next  *keyset // a Security Mode Command took it into use and is not confirmed

	guesses   int       // short codes that did not fit, since guessed
	guessedAt time.Time // the first of them

	imsi       id.IMSI
	imei       id.IMEI
	capability eps.UESecurityCapability
	radio      []byte // UE radio capability as the eNB gave it (TS 36.413 §9.2.1.27)
	pagingHelp
	lease *lease
	shown *lease // the last whose ticket the gateway took

	drx      eps.DRX   // how often the phone listens, if it says so; zero does not
	requests int       // service requests since the M-TMSI was assigned
	assigned time.Time // when it was

	// For the store, see persist.go.
	guest    bool             // here for an emergency, without authentication
	epoch    uint64           // of this MME's ownership, see pool.go; written under registry.mu
	written  []byte           // the record as it was last handed to the keeper, in a pool; under registry.mu
	entered  bool             // the registry has, or had, the phone
	accepted bool             // Attach Accept was sent: the phone may be registered
	served   bool             // the gateway may have a tunnel end of some eNB
	opening  eps.BearerStatus // default bearers of sessions that the gateway may have opened unheard
	closing  []*closing       // taken from the phone, and perhaps still at the gateway

	infoMu  sync.Mutex
	info    UEInfo
	number  uint64 // see MME.numberOf
	history history
}

// stopPaging is called under registry.mu.
func (u *ue) stopPaging() {
	if u.paging != nil {
		u.paging()
		u.paging = nil
	}
}

// errNoContext says that a protected message names no key this MME has.
var errNoContext = errors.New("no NAS security context")

// each calls f with the context in use, then with the unconfirmed one, until
// one does. The unconfirmed context that does becomes the one in use.
func (u *ue) each(commit bool, f func(*nassec.Context) error) error {
	u.secMu.Lock()
	defer u.secMu.Unlock()
	err := errNoContext
	if u.sec != nil {
		if err = u.sec.try(f); err == nil {
			return nil
		}
	}
	if u.next != nil && !errors.Is(err, nassec.ErrReplay) {
		if e := u.next.try(f); e == nil {
			if commit {
				u.confirm()
			}
			return nil
		} else if u.sec == nil {
			err = e
		}
	}
	return err
}

// confirm takes the unconfirmed context into use, with the lease of its
// authentication. Called by the owner, under secMu.
func (u *ue) confirm() {
	u.sec, u.next = u.next, nil
	if g := u.sec.grant; g != nil {
		u.sec.grant, u.lease = nil, g
		u.show(func(i *UEInfo) {
			i.IMSI, i.MSISDN, i.Security = u.imsi, g.profile.MSISDN, u.sec.algorithms()
			i.Ticket, i.TicketUntil, i.Segment = g.ticket.ID, g.ticket.NotAfter, 0
		})
	}
}

// fold leaves the phone's keys unexpanded: it is idle.
func (u *ue) fold() {
	u.secMu.Lock()
	u.sec.fold()
	u.next.fold()
	u.secMu.Unlock()
}

// verify says whether the phone itself sent this initial NAS message, and
// changes nothing. It may be called by others than the owner.
func (u *ue) verify(pdu []byte) error {
	t, err := nassec.TypeOf(pdu)
	if err != nil {
		return err
	}
	if t < nassec.ServiceRequestHeader {
		return u.each(false, func(c *nassec.Context) error {
			_, err := c.Verify(pdu)
			return err
		})
	}
	if !u.mayGuess() {
		return errGuessing
	}
	err = u.each(false, func(c *nassec.Context) error {
		_, err := c.VerifyServiceRequest(pdu)
		return err
	})
	u.guessed(err)
	return err
}

// A Service Request has a code of 16 bits only. After so many that do not fit
// within a while, none is looked at for the rest of it: the phone is told #9 and
// attaches, with 32 bits.
const (
	maxGuesses = 16
	guessWhile = time.Minute
)

var errGuessing = errors.New("too many service requests whose code does not fit")

func (u *ue) mayGuess() bool {
	u.secMu.Lock()
	defer u.secMu.Unlock()
	return u.guesses < maxGuesses || time.Since(u.guessedAt) > guessWhile
}

func (u *ue) guessed(err error) {
	u.secMu.Lock()
	defer u.secMu.Unlock()
	switch {
	case err == nil:
		u.guesses = 0
	case u.guesses == 0 || time.Since(u.guessedAt) > guessWhile:
		u.guesses, u.guessedAt = 1, time.Now()
	default:
		u.guesses++
	}
}

// show changes what others see of the phone and gives a copy.
func (u *ue) show(change func(*UEInfo)) UEInfo {
	u.infoMu.Lock()
	defer u.infoMu.Unlock()
	if change != nil {
		was := u.info.State
		change(&u.info)
		if u.info.State != was || u.info.Since.IsZero() {
			u.info.Since = time.Now()
		}
	}
	i := u.info
	i.Bearers = append([]BearerInfo(nil), i.Bearers...)
	return i
}
