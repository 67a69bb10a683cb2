package ledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"campanile.network/wire/proof"
)

// layout is the version of the file's contents; a file of another one is
// emptied, and the chain fills it again.
const layout = 1

var (
	bucketHead        = []byte("head")
	bucketOperators   = []byte("operators")
	bucketSubscribers = []byte("subscribers")
	bucketTowers      = []byte("towers")
	bucketChannels    = []byte("channels")
	bucketClaimables  = []byte("claimables")
	keyHead           = []byte("head")
)

func records() [][]byte {
	return [][]byte{bucketOperators, bucketSubscribers, bucketTowers, bucketChannels, bucketClaimables}
}

// head is the one record that says which block the rest belongs to.
type head struct {
	Layout  int
	ChainID string
	Height  int64
	Time    time.Time
}

// disk is the model's file. Once a write has failed it takes nothing but a
// resync, so that what it holds is always some block's whole state.
type disk struct {
	db     *bolt.DB
	behind bool
}

func openDisk(path string) (*disk, error) {
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: time.Second})
	if errors.Is(err, bolterrors.ErrTimeout) {
		err = errors.New("in use by another process")
	}
	if err != nil {
		return nil, fmt.Errorf("ledger %s: %w", path, err)
	}
	return &disk{db: db}, nil
}

func (d *disk) close() error { return d.db.Close() }

func (d *disk) save(u Update) error {
	if d.behind && !u.Resync {
		return nil
	}
	err := d.db.Update(func(tx *bolt.Tx) error { return write(tx, u) })
	d.behind = err != nil
	if err != nil {
		return fmt.Errorf("ledger file at block %d: %w", u.Height, err)
	}
	return nil
}

func write(tx *bolt.Tx, u Update) error {
	if err := buckets(tx, u.Resync); err != nil {
		return err
	}
	w := writer{tx: tx}
	for _, o := range u.Operators {
		w.put(bucketOperators, []byte(o.Account), storeOperator(o))
	}
	for _, s := range u.Subscribers {
		w.put(bucketSubscribers, s.ID[:], storeSubscriber(s))
	}
	for _, t := range u.Towers {
		w.put(bucketTowers, t.Key[:], storeTower(t))
	}
	for _, n := range u.GoneChannels {
		w.delete(bucketChannels, ChannelKey(n))
	}
	for _, c := range u.Channels {
		w.put(bucketChannels, ChannelKey(c.ID), storeChannel(c))
	}
	for _, c := range u.Claimables {
		if c.Amount.IsZero() {
			w.delete(bucketClaimables, []byte(c.Account))
			continue
		}
		w.put(bucketClaimables, []byte(c.Account), c.Amount)
	}
	w.put(bucketHead, keyHead, head{layout, u.ChainID, u.Height, u.Time})
	return w.err
}

// buckets makes what is missing, after emptying the records if asked to.
func buckets(tx *bolt.Tx, empty bool) error {
	if _, err := tx.CreateBucketIfNotExists(bucketHead); err != nil {
		return err
	}
	for _, name := range records() {
		if empty && tx.Bucket(name) != nil {
			if err := tx.DeleteBucket(name); err != nil {
				return err
			}
		}
		if _, err := tx.CreateBucketIfNotExists(name); err != nil {
			return err
		}
	}
	return nil
}

type writer struct {
	tx  *bolt.Tx
	err error
}

func (w *writer) put(bucket, key []byte, v any) {
	b, err := json.Marshal(v)
	if err == nil {
		err = w.tx.Bucket(bucket).Put(key, b)
	}
	w.err = errors.Join(w.err, err)
}

func (w *writer) delete(bucket, key []byte) {
	w.err = errors.Join(w.err, w.tx.Bucket(bucket).Delete(key))
}

// load reads the whole file as one resync; an empty file is height 0 of no chain.
func (d *disk) load() (Update, error) {
	u := Update{Resync: true}
	err := d.db.View(func(tx *bolt.Tx) error {
		if tx.Bucket(bucketHead) == nil {
			return nil
		}
		var h head
		if err := json.Unmarshal(tx.Bucket(bucketHead).Get(keyHead), &h); err != nil {
			return fmt.Errorf("head: %w", err)
		}
		if h.Layout != layout {
			return nil
		}
		u.ChainID, u.Height, u.Time = h.ChainID, h.Height, h.Time
		return loadRecords(tx, &u)
	})
	return u, err
}

func loadRecords(tx *bolt.Tx, u *Update) error {
	return errors.Join(
		each(tx, bucketOperators, func(_ []byte, v storedOperator) (err error) {
			o, err := v.open()
			u.Operators = append(u.Operators, o)
			return err
		}),
		each(tx, bucketSubscribers, func(key []byte, v storedSubscriber) error {
			s, err := v.open(key)
			u.Subscribers = append(u.Subscribers, s)
			return err
		}),
		each(tx, bucketTowers, func(_ []byte, v storedTower) error {
			t, err := v.open()
			u.Towers = append(u.Towers, t)
			return err
		}),
		each(tx, bucketChannels, func(_ []byte, v storedChannel) error {
			u.Channels = append(u.Channels, v.open())
			return nil
		}),
		each(tx, bucketClaimables, func(key []byte, v proof.Amount) error {
			u.Claimables = append(u.Claimables, Claimable{Account(key), v})
			return nil
		}),
	)
}

func each[V any](tx *bolt.Tx, bucket []byte, do func(key []byte, v V) error) error {
	return tx.Bucket(bucket).ForEach(func(key, b []byte) error {
		var v V
		err := json.Unmarshal(b, &v)
		if err == nil {
			err = do(key, v)
		}
		if err != nil {
			return fmt.Errorf("%s %x: %w", bucket, key, err)
		}
		return nil
	})
}
