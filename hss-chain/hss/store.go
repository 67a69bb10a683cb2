package hss

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"campanile.network/3gpp/aka"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/secret"
)

// Buckets of the store.
var (
	bktBlobs  = []byte("blobs")  // subscriber id -> blob
	bktNext   = []byte("next")   // subscriber id -> blob that the ledger does not name yet
	bktHashes = []byte("hashes") // blob hash -> subscriber id
	bktEpochs = []byte("epochs") // epoch -> key sealed to this node
	bktDIFs   = []byte("difs")   // subscriber id -> clock difference after a resynchronisation
	bktSpent  = []byte("spent")  // subscriber id -> challenges of a COMP128v1 card, rounded up
	bktMeta   = []byte("meta")
	keyMark   = []byte("mark")    // aka.Tick, then seconds since 1970
	keyTicket = []byte("tickets") // of ticketIDs, 32 octets
)

// store is the HSS's file.
type store struct {
	db   *bbolt.DB
	open opener

	mu   sync.Mutex
	keys map[uint64]secret.Key256 // epoch keys opened
}

func openStore(path string, open opener) (*store, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second})
	if err != nil {
		return nil, fmt.Errorf("store: %w (is another process using it?)", err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, b := range [][]byte{bktBlobs, bktNext, bktHashes, bktEpochs, bktDIFs, bktSpent, bktMeta} {
			if _, err := tx.CreateBucketIfNotExists(b); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		db.Close()
		return nil, err
	}
	return &store{db: db, open: open, keys: map[uint64]secret.Key256{}}, nil
}

func (s *store) close() error { return s.db.Close() }

func (s *store) mark() (t aka.Tick, seen time.Time, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		if v := tx.Bucket(bktMeta).Get(keyMark); len(v) == 16 {
			t = aka.Tick(binary.BigEndian.Uint64(v))
			seen = time.Unix(int64(binary.BigEndian.Uint64(v[8:])), 0)
		}
		return nil
	})
	return t, seen, err
}

func (s *store) setMark(t aka.Tick, seen time.Time) error {
	v := binary.BigEndian.AppendUint64(nil, uint64(t))
	v = binary.BigEndian.AppendUint64(v, uint64(seen.Unix()))
	return s.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(bktMeta).Put(keyMark, v) })
}

// ticketKey gives the key of ticketIDs, made at the first start.
func (s *store) ticketKey() (k secret.Key256, err error) {
	err = s.db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bktMeta)
		if v := b.Get(keyTicket); len(v) == len(k) {
			k = secret.Key256(v)
			return nil
		}
		rand.Read(k[:])
		return b.Put(keyTicket, k[:])
	})
	return k, err
}

func (s *store) setDIF(v id.SubscriberID, dif int64) error {
	return s.db.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket(bktDIFs).Put(v[:], binary.BigEndian.AppendUint64(nil, uint64(dif)))
	})
}

func (s *store) setSpent(v id.SubscriberID, n uint32) error {
	return s.db.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket(bktSpent).Put(v[:], binary.BigEndian.AppendUint32(nil, n))
	})
}

// spent walks what setSpent wrote.
func (s *store) spent(f func(id.SubscriberID, uint32)) {
	s.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(bktSpent).ForEach(func(k, v []byte) error {
			if len(k) == len(id.SubscriberID{}) && len(v) == 4 {
				f(id.SubscriberID(k), binary.BigEndian.Uint32(v))
			}
			return nil
		})
	})
}

// blobs walks all blobs, each with the clock difference learned for it.
func (s *store) blobs(f func(blob []byte, dif *int64) error) error {
	return s.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(bktBlobs).ForEach(func(k, v []byte) error {
			if d := tx.Bucket(bktDIFs).Get(k); len(d) == 8 {
				dif := int64(binary.BigEndian.Uint64(d))
				return f(v, &dif)
			}
			return f(v, nil)
		})
	})
}

func (s *store) putBlobs(blobs [][]byte) error {
	return s.db.Update(func(tx *bbolt.Tx) error {
		for _, b := range blobs {
			h, err := blobHead(b)
			if err != nil {
				return err
			}
			if err := dropBlob(tx, h.id); err != nil {
				return err
			}
			hash := BlobHash(b)
			if err := tx.Bucket(bktBlobs).Put(h.id[:], b); err != nil {
				return err
			}
			if err := tx.Bucket(bktHashes).Put(hash[:], h.id[:]); err != nil {
				return err
			}
		}
		return nil
	})
}

// putNext keeps a blob beside the one that stands, in the place of any such.
func (s *store) putNext(v id.SubscriberID, blob []byte) error {
	return s.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(bktNext).Put(v[:], blob) })
}

// nexts gives the blobs that putNext kept and putBlobs has not made the standing ones.
func (s *store) nexts(f func(v id.SubscriberID, blob []byte)) error {
	return s.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(bktNext).ForEach(func(k, v []byte) error {
			if len(k) == len(id.SubscriberID{}) {
				f(id.SubscriberID(k), bytes.Clone(v))
			}
			return nil
		})
	})
}

func dropBlob(tx *bbolt.Tx, v id.SubscriberID) error {
	if err := tx.Bucket(bktNext).Delete(v[:]); err != nil {
		return err
	}
	old := tx.Bucket(bktBlobs).Get(v[:])
	if old == nil {
		return nil
	}
	hash := BlobHash(old)
	if err := tx.Bucket(bktHashes).Delete(hash[:]); err != nil {
		return err
	}
	return tx.Bucket(bktBlobs).Delete(v[:])
}

func (s *store) erase(v id.SubscriberID) error {
	return s.db.Update(func(tx *bbolt.Tx) error {
		if err := dropBlob(tx, v); err != nil {
			return err
		}
		if err := tx.Bucket(bktSpent).Delete(v[:]); err != nil {
			return err
		}
		return tx.Bucket(bktDIFs).Delete(v[:])
	})
}

func (s *store) blob(hash [32]byte) (b []byte, ok bool) {
	s.db.View(func(tx *bbolt.Tx) error {
		if v := tx.Bucket(bktHashes).Get(hash[:]); v != nil {
			b = append([]byte(nil), tx.Bucket(bktBlobs).Get(v)...)
		}
		return nil
	})
	return b, b != nil
}

func (s *store) newestEpoch() (epoch uint64, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		if k, _ := tx.Bucket(bktEpochs).Cursor().Last(); k != nil {
			epoch = binary.BigEndian.Uint64(k)
		}
		return nil
	})
	return epoch, err
}

// putEpoch keeps a sealed epoch key after opening it once.
func (s *store) putEpoch(epoch uint64, sealed []byte) error {
	k, err := s.open(epoch, sealed)
	if err != nil {
		return err
	}
	err = s.db.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket(bktEpochs).Put(binary.BigEndian.AppendUint64(nil, epoch), sealed)
	})
	if err == nil {
		s.mu.Lock()
		s.keys[epoch] = k
		s.mu.Unlock()
	}
	return err
}

func (s *store) epochKey(epoch uint64) (secret.Key256, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k, ok := s.keys[epoch]; ok {
		return k, nil
	}
	var sealed []byte
	err := s.db.View(func(tx *bbolt.Tx) error {
		sealed = append(sealed, tx.Bucket(bktEpochs).Get(binary.BigEndian.AppendUint64(nil, epoch))...)
		return nil
	})
	if err != nil {
		return secret.Key256{}, err
	}
	if sealed == nil {
		return secret.Key256{}, fmt.Errorf("epoch key %d is not here", epoch)
	}
	k, err := s.open(epoch, sealed)
	if err == nil {
		s.keys[epoch] = k
	}
	return k, err
}

// epochs walks all epoch keys.
func (s *store) epochs(f func(uint64, secret.Key256) error) error {
	var all []uint64
	err := s.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(bktEpochs).ForEach(func(k, _ []byte) error {
			all = append(all, binary.BigEndian.Uint64(k))
			return nil
		})
	})
	if err != nil {
		return err
	}
	for _, epoch := range all {
		k, err := s.epochKey(epoch)
		if err != nil {
			return err
		}
		if err := f(epoch, k); err != nil {
			return err
		}
	}
	return nil
}
