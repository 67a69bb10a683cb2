package hss

import (
	"crypto/rand"
	"errors"
	"fmt"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/secret"
	"campanile.network/hss-chain/ledger"
)

// ErrExists says that an IMSI is held already.
var ErrExists = errors.New("IMSI is subscribed already")

// Provision seals new subscriptions, all or none, and gives the records that
// the operator then enters on the ledger. Until it has, they are unknown
// subscribers to everybody.
func (h *HSS) Provision(subs []Subscription, plan string) ([]ledger.Subscriber, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	epoch, key, err := h.currentEpoch()
	if err != nil {
		return nil, err
	}
	seen, called := map[id.IMSI]bool{}, map[id.MSISDN]bool{}
	blobs := make([][]byte, len(subs))
	records := make([]ledger.Subscriber, len(subs))
	for i, s := range subs {
		if err := s.check(); err != nil {
			return nil, fmt.Errorf("subscription %d (%v): %w", i+1, s.IMSI, err)
		}
		if h.byIMSI[s.IMSI] != nil || seen[s.IMSI] {
			return nil, fmt.Errorf("subscription %d (%v): %w", i+1, s.IMSI, ErrExists)
		}
		seen[s.IMSI] = true
		if err := h.numbers.free(s.Profile.MSISDN, id.SubscriberID{}); err != nil || called[s.Profile.MSISDN] {
			return nil, errors.Join(fmt.Errorf("subscription %d (%v): its number is another's", i+1, s.IMSI), err)
		}
		called[s.Profile.MSISDN] = !s.Profile.MSISDN.IsZero()
		head := blobID{epoch: epoch}
		rand.Read(head.id[:])
		if blobs[i], err = sealBlob(key, h.o.Operator, head, s); err != nil {
			return nil, err
		}
		records[i] = ledger.Subscriber{ID: head.id, State: ledger.Active, Plan: plan, Version: 1, BlobHash: BlobHash(blobs[i]), Epoch: epoch}
	}
	return records, h.keep(blobs)
}

// Import takes a blob that another node of the operator sealed.
func (h *HSS) Import(blob []byte) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.keep([][]byte{blob})
}

func (h *HSS) keep(blobs [][]byte) error {
	for _, b := range blobs {
		if err := h.admit(b, nil); err != nil {
			return err
		}
	}
	return h.store.putBlobs(blobs)
}

// Blob gives a sealed blob by its hash, for replication.
func (h *HSS) Blob(hash [32]byte) ([]byte, bool) { return h.store.blob(hash) }

// Erase deletes a subscriber's blob and everything learned about it; the
// ledger keeps an id that points to nothing.
func (h *HSS) Erase(v id.SubscriberID) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s := h.byID[v]; s != nil {
		unset(h.numbers.served, s.Profile.MSISDN, v)
		unset(h.numbers.waiting, s.nextNumber, v)
		delete(h.byIMSI, s.IMSI)
		delete(h.byID, v)
		delete(h.byHead, idHead(v[:]))
	}
	return h.store.erase(v)
}

// currentEpoch gives the newest epoch key, making the first when there is none.
func (h *HSS) currentEpoch() (uint64, secret.Key256, error) {
	epoch, err := h.store.newestEpoch()
	if err != nil {
		return 0, secret.Key256{}, err
	}
	if epoch == 0 {
		var k secret.Key256
		rand.Read(k[:])
		sealed, err := sealEpoch(h.o.HPKE.PublicKey(), h.o.Operator, 1, k)
		if err != nil {
			return 0, k, err
		}
		return 1, k, h.store.putEpoch(1, sealed)
	}
	k, err := h.store.epochKey(epoch)
	return epoch, k, err
}

// ShareEpochs seals every epoch key this node can open to another node that
// the ledger names as the operator's, for ImportEpochs there.
func (h *HSS) ShareEpochs(to ledger.HSSNode) (map[uint64][]byte, error) {
	op, ok := h.o.Registry.OperatorByKey(h.o.Operator)
	if _, is := op.Node(to.Key); !ok || !is {
		return nil, fmt.Errorf("hss: node %s is not registered as this operator's", to.Key.Short())
	}
	pub, err := kem().NewPublicKey(to.HPKE)
	if err != nil {
		return nil, fmt.Errorf("hss: HPKE key of node %s: %w", to.Key.Short(), err)
	}
	out := map[uint64][]byte{}
	return out, h.store.epochs(func(epoch uint64, k secret.Key256) error {
		sealed, err := sealEpoch(pub, h.o.Operator, epoch, k)
		out[epoch] = sealed
		return err
	})
}

// ImportEpochs takes epoch keys that ShareEpochs sealed to this node.
func (h *HSS) ImportEpochs(sealed map[uint64][]byte) error {
	for epoch, s := range sealed {
		if err := h.store.putEpoch(epoch, s); err != nil {
			return err
		}
	}
	return nil
}
