package agent

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"campanile.network/wire/proof"
)

// state is what the tower must not forget: what it is owed.
type state struct {
	Channel uint64 // 0: none so far
	Paid    uint64 // octets of the channel, as its newest voucher says
	Unpaid  uint64 // octets counted and in no voucher
}

type store struct{ db *bbolt.DB }

var (
	bucketAbout    = []byte("about")
	bucketVouchers = []byte("vouchers") // channel, eight octets: signed voucher
	keyState       = []byte("state")
)

func openStore(path, chainID string, tower proof.TowerKey) (*store, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second})
	if err != nil {
		return nil, fmt.Errorf("agent: store %s: %w", path, err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		if _, err := tx.CreateBucketIfNotExists(bucketVouchers); err != nil {
			return err
		}
		about, err := tx.CreateBucketIfNotExists(bucketAbout)
		if err != nil {
			return err
		}
		for _, e := range []struct{ name, want string }{{"chain-id", chainID}, {"tower", tower.String()}} {
			switch have := about.Get([]byte(e.name)); {
			case have == nil:
				if err := about.Put([]byte(e.name), []byte(e.want)); err != nil {
					return err
				}
			case string(have) != e.want:
				return fmt.Errorf("made for %s %s, not %s", e.name, have, e.want)
			}
		}
		return nil
	})
	if err != nil {
		db.Close()
		return nil, fmt.Errorf("agent: store %s: %w", path, err)
	}
	return &store{db}, nil
}

func (s *store) close() error { return s.db.Close() }

func (s *store) load() (st state, vouchers map[uint64]held, err error) {
	vouchers = map[uint64]held{}
	err = s.db.View(func(tx *bbolt.Tx) error {
		if b := tx.Bucket(bucketAbout).Get(keyState); b != nil {
			if err := json.Unmarshal(b, &st); err != nil {
				return fmt.Errorf("agent: store: state: %w", err)
			}
		}
		return tx.Bucket(bucketVouchers).ForEach(func(k, b []byte) error {
			v, err := proof.PeekVoucher(b)
			if err != nil || len(k) != 8 || v.Channel != binary.BigEndian.Uint64(k) {
				return fmt.Errorf("agent: store: voucher of channel %x: %w", k, err)
			}
			vouchers[v.Channel] = held{v, append([]byte(nil), b...)}
			return nil
		})
	})
	return st, vouchers, err
}

func (s *store) save(st state) error { return s.update(st, func(*bbolt.Tx) error { return nil }) }

// keep stores a voucher and what it leaves unpaid, both or neither.
func (s *store) keep(channel uint64, voucher []byte, st state) error {
	return s.update(st, func(tx *bbolt.Tx) error {
		return tx.Bucket(bucketVouchers).Put(binary.BigEndian.AppendUint64(nil, channel), voucher)
	})
}

func (s *store) update(st state, also func(*bbolt.Tx) error) error {
	b, err := json.Marshal(st)
	if err == nil {
		err = s.db.Update(func(tx *bbolt.Tx) error {
			if err := also(tx); err != nil {
				return err
			}
			return tx.Bucket(bucketAbout).Put(keyState, b)
		})
	}
	if err != nil {
		return fmt.Errorf("agent: store: %w", err)
	}
	return nil
}
