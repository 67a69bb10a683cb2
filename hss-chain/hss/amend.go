package hss

import (
	"errors"
	"fmt"

	"campanile.network/3gpp/id"
	"campanile.network/hss-chain/ledger"
	"campanile.network/wire/home"
)

// Profile gives what a subscriber held here may have.
func (h *HSS) Profile(imsi id.IMSI) (home.Profile, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.byIMSI[imsi]
	if s == nil {
		return home.Profile{}, false
	}
	return h.current(s).Profile, true
}

// Amend seals a subscription with another profile and gives the hash and the epoch
// that the operator then enters on the ledger. Until it has, the profile of before is
// served; both blobs are kept, and the ledger tells which counts, also after a restart.
// A number that is another's is home.ErrNumberTaken.
func (h *HSS) Amend(imsi id.IMSI, p home.Profile) (hash [32]byte, epoch uint64, err error) {
	return h.amend(imsi, func(s *Subscription) { s.Profile = p })
}

func (h *HSS) amend(imsi id.IMSI, change func(*Subscription)) (hash [32]byte, epoch uint64, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.byIMSI[imsi]
	if s == nil {
		return hash, 0, fmt.Errorf("IMSI %v is not held here", imsi)
	}
	s = h.current(s)
	now := s.Subscription
	change(&now)
	if err := errors.Join(now.check(), h.numbers.free(now.Profile.MSISDN, s.id)); err != nil {
		return hash, 0, err
	}
	epoch, key, err := h.currentEpoch()
	if err != nil {
		return hash, 0, err
	}
	blob, err := sealBlob(key, h.o.Operator, blobID{id: s.id, epoch: epoch}, now)
	if err != nil {
		return hash, 0, err
	}
	if err := h.store.putNext(s.id, blob); err != nil {
		return hash, 0, err
	}
	h.wait(s, blob, now.Profile.MSISDN)
	return BlobHash(blob), epoch, nil
}

// wait keeps a blob, with its number, until the ledger names it.
func (h *HSS) wait(s *subscriber, blob []byte, number id.MSISDN) {
	unset(h.numbers.waiting, s.nextNumber, s.id)
	set(h.numbers.waiting, number, s.id)
	s.next, s.nextNumber = blob, number
}

// current is the subscriber under the blob that the ledger names, if that is the one
// that Amend made.
func (h *HSS) current(s *subscriber) *subscriber {
	if s.next == nil {
		return s
	}
	r, ok := h.o.Registry.Subscriber(s.id)
	if !ok || r.State == ledger.Erased || r.BlobHash != BlobHash(s.next) {
		return s
	}
	if err := errors.Join(h.admit(s.next, &s.dif), h.store.putBlobs([][]byte{s.next})); err != nil {
		h.o.Log.Error("the amended subscription is not taken up", "subscriber", s.id, "err", err)
		return s
	}
	h.o.Log.Info("subscription amended", "subscriber", s.id, "version", r.Version)
	return h.byID[s.id]
}
