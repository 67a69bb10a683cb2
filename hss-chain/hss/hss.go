// Package hss is an operator's authentication centre: it keeps the sealed half
// of every subscription, answers Challenge and Prove for serving networks, and
// signs tickets.
//
// Keys of a subscriber are in the clear only in this process's memory. On disk
// and between an operator's nodes there are blobs, encrypted under the
// operator's epoch key, which itself is sealed by HPKE to each authorised node;
// on the ledger there is only a blob's hash. The package asks the ledger's
// in-memory model who is registered, and never waits for consensus.
package hss

import (
	"crypto/hpke"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/milenage"
	"campanile.network/hss-chain/ledger"
	"campanile.network/internal/logs"
	"campanile.network/wire/home"
	"campanile.network/wire/proof"
)

// Registry is what the HSS reads of the ledger; *ledger.Model is one.
type Registry interface {
	Head() (chainID string, height int64, at time.Time)
	OperatorByKey(proof.OperatorKey) (ledger.Operator, bool)
	Subscriber(id.SubscriberID) (ledger.Subscriber, bool)
}

// Terms are what a ticket grants.
type Terms struct {
	Validity time.Duration // how long a lease holds
	Cap      proof.Carried
}

// Options for New. All fields to Terms are required.
type Options struct {
	ChainID  string
	Operator proof.OperatorKey // whose subscribers these are
	Node     proof.SigningKey  // this node's key: it signs tickets
	HPKE     hpke.PrivateKey   // opens the operator's epoch keys
	Slot     uint8             // this node's place in the IND budget, 0 to 3
	Registry Registry
	Store    string // file of the embedded store
	Terms    Terms
	Log      *slog.Logger

	Realm          string // of applications' passwords: the operator's SIP realm; none: there are none
	AllowCOMP128v1 bool   // answer for cards whose algorithm gives their key away
}

// HSS answers for the subscribers of one operator. Methods may be called from
// any goroutine.
type HSS struct {
	o     Options
	store *store
	clock clock
	ids   ticketIDs

	mu         sync.Mutex
	byIMSI     map[id.IMSI]*subscriber
	byID       map[id.SubscriberID]*subscriber
	byHead     map[idHead]*subscriber
	challenges map[id128]*challenge
	queue      []*challenge              // by age
	asked      map[proof.OperatorKey]int // of the queue
	open       [home.GSM + 1]int         // of the queue, by method
	appKeys    map[proof.OperatorKey]appKey
	numbers    numbers
	stats      Stats
}

type id128 = [16]byte

// subscriber is a subscription opened, and its counter (TS 33.102 §C.1.1.3).
type subscriber struct {
	Subscription
	id       id.SubscriberID
	blobHash [32]byte
	epoch    uint64
	cipher   *milenage.Cipher

	next       []byte // blob that Amend made, until the ledger names it
	nextNumber id.MSISDN

	spent     uint32               // challenges of a COMP128v1 card; rounded up after a restart
	lent      [home.App + 1]lent   // by method
	dif       int64                // clock difference, ticks
	last      uint64               // highest SEQ issued since the start
	known     [home.GSM + 1]bucket // challenges for the home and the operator at, by method ...
	at        proof.OperatorKey
	strangers bucket // ... and for all others
}

// Stats counts what the HSS has answered since it started.
type Stats struct {
	Challenges, Proofs, WrongRES, Resyncs, Refused uint64
	Lent                                           uint64 // of the proofs, under a ticket from before
}

// New opens the store and every blob in it. It fails when a blob cannot be
// opened with the keys at hand.
func New(o Options) (*HSS, error) {
	switch {
	case o.HPKE == nil || o.Registry == nil || o.ChainID == "" || o.Store == "":
		return nil, errors.New("hss: ChainID, HPKE, Registry and Store are required")
	case o.Slot > 3:
		return nil, fmt.Errorf("hss: IND slot %d: want 0 to 3", o.Slot)
	case o.Terms.Validity < time.Minute || o.Terms.Cap.Bytes == 0:
		return nil, fmt.Errorf("hss: terms of %v and %v are too small", o.Terms.Validity, o.Terms.Cap)
	case o.Terms.Validity > proof.MaxValidity:
		return nil, fmt.Errorf("hss: tickets of %v are believed by nobody, at most %v", o.Terms.Validity, proof.MaxValidity)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	st, err := openStore(o.Store, epochOpener(o))
	if err != nil {
		return nil, fmt.Errorf("hss %s: %w", o.Store, err)
	}
	h := &HSS{o: o, store: st, byIMSI: map[id.IMSI]*subscriber{}, byID: map[id.SubscriberID]*subscriber{}, byHead: map[idHead]*subscriber{}, challenges: map[id128]*challenge{}, asked: map[proof.OperatorKey]int{}, appKeys: map[proof.OperatorKey]appKey{},
		numbers: numbers{map[id.MSISDN]id.SubscriberID{}, map[id.MSISDN]id.SubscriberID{}}}
	if err := h.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("hss %s: %w", o.Store, err), st.close())
	}
	return h, nil
}

func (h *HSS) load() error {
	mark, seen, err := h.store.mark()
	if err != nil {
		return err
	}
	h.clock = newClock(mark, seen)
	key, err := h.store.ticketKey()
	if err != nil {
		return err
	}
	h.ids = ticketIDs{key}
	if err := h.store.blobs(func(b []byte, dif *int64) error { return h.admit(b, dif) }); err != nil {
		return err
	}
	h.store.spent(func(v id.SubscriberID, n uint32) {
		if s := h.byID[v]; s != nil {
			s.spent = n
		}
	})
	return h.store.nexts(func(v id.SubscriberID, b []byte) {
		s := h.byID[v]
		if s == nil {
			return
		}
		if _, sub, err := h.unseal(b); err != nil {
			h.o.Log.Error("an amended subscription cannot be opened", "subscriber", v, logs.Error, err)
		} else {
			h.wait(s, b, sub.Profile.MSISDN)
		}
	})
}

// unseal reads a blob.
func (h *HSS) unseal(b []byte) (head blobID, sub Subscription, err error) {
	if head, err = blobHead(b); err != nil {
		return head, sub, err
	}
	key, err := h.store.epochKey(head.epoch)
	if err != nil {
		return head, sub, err
	}
	if sub, err = openBlob(key, h.o.Operator, b); err != nil {
		return head, sub, fmt.Errorf("subscriber %v: %w", head.id, err)
	}
	return head, sub, nil
}

// admit opens a blob and makes its subscriber answerable. dif is the clock
// difference this node has learned from a resynchronisation, if any.
func (h *HSS) admit(b []byte, dif *int64) error {
	head, sub, err := h.unseal(b)
	if err != nil {
		return err
	}
	s := &subscriber{Subscription: sub, id: head.id, blobHash: BlobHash(b), epoch: head.epoch, cipher: milenage.New(sub.K, sub.OPc), dif: sub.DIF,
		known: [...]bucket{{tokens: burst}, {tokens: burst}, {tokens: burst}}, strangers: bucket{tokens: burst}}
	if dif != nil {
		s.dif = *dif
	}
	if old := h.byIMSI[sub.IMSI]; old != nil && old.id != s.id {
		return fmt.Errorf("IMSI %v: subscribers %v and %v both hold it", sub.IMSI, old.id, s.id)
	}
	if old := h.byID[s.id]; old != nil {
		s.last, s.spent = max(s.last, old.last), old.spent
		delete(h.byIMSI, old.IMSI)
		unset(h.numbers.waiting, old.nextNumber, s.id)
		unset(h.numbers.served, old.Profile.MSISDN, s.id)
	}
	set(h.numbers.served, sub.Profile.MSISDN, s.id)
	h.byIMSI[sub.IMSI], h.byID[s.id], h.byHead[idHead(s.id[:])] = s, s, s
	return nil
}

// Close brings the mark back to what was used and ends the store. Nothing may
// be asked afterwards.
func (h *HSS) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	var err error
	if h.clock.used > 0 {
		err = h.store.setMark(h.clock.used, h.clock.seen)
	}
	return errors.Join(err, h.store.close())
}

// Stats gives the counters.
func (h *HSS) Stats() Stats {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.stats
}

// Has says whether the HSS holds a subscription for the IMSI.
func (h *HSS) Has(imsi id.IMSI) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.byIMSI[imsi] != nil
}

// Listing is one subscriber as people may see it.
type Listing struct {
	ID    id.SubscriberID        `json:"id"`
	IMSI  id.IMSI                `json:"imsi"` // masked
	State ledger.SubscriberState `json:"state"`
	Plan  string                 `json:"plan"`

	Profile home.Profile `json:"-"`
}

// Subscribers lists who is held here and on the ledger.
func (h *HSS) Subscribers() []Listing {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]Listing, 0, len(h.byID))
	for _, s := range h.byID {
		if r, ok := h.o.Registry.Subscriber(s.id); ok {
			out = append(out, Listing{s.id, s.IMSI, r.State, r.Plan, h.current(s).Profile})
		}
	}
	return out
}

// Find gives the ledger's name of the subscriber with this IMSI.
func (h *HSS) Find(imsi id.IMSI) (id.SubscriberID, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s := h.byIMSI[imsi]; s != nil {
		return s.id, true
	}
	return id.SubscriberID{}, false
}
