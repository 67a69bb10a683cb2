package agent

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"go.etcd.io/bbolt"

	"campanile.network/3gpp/id"
	"campanile.network/wire/link"
	"campanile.network/wire/proof"
)

// state is what the tower must not forget: what it is owed.
type state struct {
	Channel uint64 // 0: none so far
	Paid    uint64 // octets of the channel, as its newest voucher says
	Unpaid  uint64 // octets counted and in no voucher
}

// credit takes the channel's vouchers as worth so many octets.
func (s *state) credit(octets uint64) {
	s.Unpaid -= min(s.Unpaid, octets-min(octets, s.Paid))
	s.Paid = max(s.Paid, octets)
}

type store struct{ db *bbolt.DB }

var (
	bucketCounts   = []byte("counts") // TEID, four octets: UL, DL, time, eight octets each
	bucketAbout    = []byte("about")
	bucketVouchers = []byte("vouchers") // channel, eight octets: signed voucher
	bucketNotices  = []byte("notices")  // number, eight octets: what the core may not have stored, JSON
	keyState       = []byte("state")
	keyEpoch       = []byte("epoch")  // drawn when the store is made
	keyNumber      = []byte("number") // of the newest notice
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
		if _, err := tx.CreateBucketIfNotExists(bucketCounts); err != nil {
			return err
		}
		if _, err := tx.CreateBucketIfNotExists(bucketNotices); err != nil {
			return err
		}
		about, err := tx.CreateBucketIfNotExists(bucketAbout)
		if err != nil {
			return err
		}
		if about.Get(keyEpoch) == nil {
			if err := about.Put(keyEpoch, binary.BigEndian.AppendUint64(nil, rand.Uint64())); err != nil {
				return err
			}
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

func (s *store) load(a *Agent) error {
	return s.db.View(func(tx *bbolt.Tx) error {
		about := tx.Bucket(bucketAbout)
		if b := about.Get(keyEpoch); len(b) == 8 {
			a.epoch = binary.BigEndian.Uint64(b)
		}
		if b := about.Get(keyNumber); len(b) == 8 {
			a.number = binary.BigEndian.Uint64(b)
		}
		var said []link.Notice
		err := tx.Bucket(bucketNotices).ForEach(func(k, b []byte) error {
			said = append(said, link.Notice{})
			if err := json.Unmarshal(b, &said[len(said)-1]); err != nil {
				return fmt.Errorf("agent: store: notice %x: %w", k, err)
			}
			return nil
		})
		if err := errors.Join(err, a.recall(said)); err != nil {
			return err
		}
		if b := about.Get(keyState); b != nil {
			if err := json.Unmarshal(b, &a.state); err != nil {
				return fmt.Errorf("agent: store: state: %w", err)
			}
		}
		err = tx.Bucket(bucketCounts).ForEach(func(k, b []byte) error {
			if len(k) != 4 || len(b) != 24 {
				return fmt.Errorf("agent: store: count %x of %d octets", k, len(b))
			}
			n := func(i int) uint64 { return binary.BigEndian.Uint64(b[8*i:]) }
			a.counts[id.TEID(binary.BigEndian.Uint32(k))] = tally{n(0), n(1), time.Unix(0, int64(n(2)))}
			return nil
		})
		if err != nil {
			return err
		}
		return tx.Bucket(bucketVouchers).ForEach(func(k, b []byte) error {
			v, err := proof.PeekVoucher(b)
			if err != nil || len(k) != 8 || v.Channel != binary.BigEndian.Uint64(k) {
				return fmt.Errorf("agent: store: voucher of channel %x: %w", k, err)
			}
			a.held[v.Channel] = held{v, append([]byte(nil), b...)}
			return nil
		})
	})
}

// save stores what is owed and the counts it comes from, all or nothing.
func (s *store) save(st state, changed map[id.TEID]tally, gone []id.TEID) error {
	return s.update(st, func(tx *bbolt.Tx) error {
		counts := tx.Bucket(bucketCounts)
		for teid, t := range changed {
			var b []byte
			for _, n := range []uint64{t.ul, t.dl, uint64(t.at.UnixNano())} {
				b = binary.BigEndian.AppendUint64(b, n)
			}
			if err := counts.Put(binary.BigEndian.AppendUint32(nil, uint32(teid)), b); err != nil {
				return err
			}
		}
		for _, teid := range gone {
			if err := counts.Delete(binary.BigEndian.AppendUint32(nil, uint32(teid))); err != nil {
				return err
			}
		}
		return nil
	})
}

// notices stores what is to be said, removes what has been heard and keeps the
// number of the newest.
func (s *store) notices(said []link.Notice, heard []uint64, newest uint64) error {
	err := s.db.Update(func(tx *bbolt.Tx) error {
		notices := tx.Bucket(bucketNotices)
		for _, n := range said {
			b, err := json.Marshal(n)
			if err == nil {
				err = notices.Put(binary.BigEndian.AppendUint64(nil, n.Number), b)
			}
			if err != nil {
				return err
			}
		}
		for _, n := range heard {
			if err := notices.Delete(binary.BigEndian.AppendUint64(nil, n)); err != nil {
				return err
			}
		}
		return tx.Bucket(bucketAbout).Put(keyNumber, binary.BigEndian.AppendUint64(nil, newest))
	})
	if err != nil {
		return fmt.Errorf("agent: store: %w", err)
	}
	return nil
}

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
