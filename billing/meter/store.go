package meter

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"campanile.network/3gpp/id"
	"campanile.network/wire/proof"
	"campanile.network/wire/usage"
)

// Buckets of the store. Values are JSON; keys are octets.
var buckets = [...]string{"about", "accounts", "segments", "pools", "tickets", "done", "loose", "excused", "notices", "services"}

type store struct{ db *bbolt.DB }

type poolKey struct {
	account *account
	teid    id.TEID
}

func (k poolKey) octets() []byte {
	return binary.BigEndian.AppendUint32(append([]byte(nil), k.account.tower[:]...), uint32(k.teid))
}

// dirt is what differs from the store.
type dirt struct {
	accounts map[*account]bool
	segments map[*segment]bool
	pools    map[poolKey]bool
	tickets  map[proof.TicketID]bool
	done     map[segmentKey]bool
	loose    map[segmentKey]bool
	excused  map[Reason]bool
	notices  map[*account]bool
	services map[usage.Terms]bool
}

func newDirt() dirt {
	return dirt{map[*account]bool{}, map[*segment]bool{}, map[poolKey]bool{}, map[proof.TicketID]bool{},
		map[segmentKey]bool{}, map[segmentKey]bool{}, map[Reason]bool{}, map[*account]bool{}, map[usage.Terms]bool{}}
}

func (d *dirt) none() bool {
	return len(d.accounts)+len(d.segments)+len(d.pools)+len(d.tickets)+len(d.done)+len(d.loose)+len(d.excused)+len(d.notices)+len(d.services) == 0
}

func openStore(path, chainID string, self proof.OperatorKey) (*store, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second})
	if err != nil {
		return nil, fmt.Errorf("meter: store %s: %w", path, err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, b := range buckets {
			if _, err := tx.CreateBucketIfNotExists([]byte(b)); err != nil {
				return err
			}
		}
		about := tx.Bucket([]byte("about"))
		for _, e := range []struct{ name, want string }{{"chain-id", chainID}, {"operator", self.String()}} {
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
		return nil, fmt.Errorf("meter: store %s: %w", path, err)
	}
	return &store{db}, nil
}

func (s *store) close() error { return s.db.Close() }

// each reads a bucket into values of one type.
func each[T any](tx *bbolt.Tx, bucket string, keyLen int, f func(k []byte, v T) error) error {
	return tx.Bucket([]byte(bucket)).ForEach(func(k, b []byte) error {
		var v T
		if err := json.Unmarshal(b, &v); err != nil {
			return fmt.Errorf("meter: store: %s %x: %w", bucket, k, err)
		}
		if keyLen != 0 && len(k) != keyLen {
			return fmt.Errorf("meter: store: %s %x: key of %d octets, want %d", bucket, k, len(k), keyLen)
		}
		return f(k, v)
	})
}

// storedSegment is a segment's state with the names of what it belongs to.
type storedSegment struct {
	Tower, Ticket []byte
	segmentState
}

func (s *store) load(m *Meter) error {
	return s.db.View(func(tx *bbolt.Tx) error {
		return errors.Join(
			each(tx, "accounts", 32, func(k []byte, v accountState) error {
				a := newAccount(proof.TowerKey(k))
				a.accountState, a.sent = v, v.Voucher
				m.accounts[a.tower] = a
				return a.tree.UnmarshalBinary(v.Tree)
			}),
			each(tx, "tickets", 16, func(k []byte, v ticket) error {
				m.tickets[proof.TicketID(k)] = &v
				return nil
			}),
			each(tx, "segments", 16, func(k []byte, v storedSegment) error {
				if len(v.Tower) != 32 || len(v.Ticket) != 16 || m.accounts[proof.TowerKey(v.Tower)] == nil || m.tickets[proof.TicketID(v.Ticket)] == nil {
					return fmt.Errorf("meter: store: segment %x without its tower or ticket", k)
				}
				v.segmentState.Ticket = proof.TicketID(v.Ticket)
				m.add(&segment{segmentKey(k), m.accounts[proof.TowerKey(v.Tower)], v.segmentState})
				return nil
			}),
			each(tx, "pools", 36, func(k []byte, v pool) error {
				a := m.accounts[proof.TowerKey(k[:32])]
				if a == nil {
					return fmt.Errorf("meter: store: tunnel %x without its tower", k)
				}
				a.pools[id.TEID(binary.BigEndian.Uint32(k[32:]))] = &v
				return nil
			}),
			each(tx, "done", 16, func(k []byte, v time.Time) error {
				m.done[segmentKey(k)] = v
				return nil
			}),
			each(tx, "loose", 16, func(k []byte, v loose) error {
				m.loose[segmentKey(k)] = &v
				return nil
			}),
			each(tx, "excused", 0, func(k []byte, v Counts) error {
				m.excused[Reason(k)] = v
				return nil
			}),
			each(tx, "notices", 32, func(k []byte, v notices) error {
				a := m.accounts[proof.TowerKey(k)]
				if a == nil {
					return fmt.Errorf("meter: store: notices of %x without their tower", k)
				}
				a.hearing, a.notices = v, v
				return nil
			}),
			each(tx, "services", 0, func(_ []byte, v Service) error {
				m.services[v.Terms] = v.Counts
				return nil
			}),
		)
	})
}

// flush stores what has changed; vouchers in it may then be sent. On an error
// everything stays to be stored.
func (m *Meter) flush() error {
	if m.changed.none() {
		return nil
	}
	err := m.store.db.Update(func(tx *bbolt.Tx) error {
		put := func(bucket string, k []byte, v any) error {
			b, err := json.Marshal(v)
			if err != nil {
				return err
			}
			return tx.Bucket([]byte(bucket)).Put(k, b)
		}
		del := func(bucket string, k []byte) error { return tx.Bucket([]byte(bucket)).Delete(k) }
		return m.write(put, del)
	})
	if err != nil {
		return fmt.Errorf("meter: store: %w", err)
	}
	for a := range m.changed.notices {
		m.told(a)
		m.poke(a)
	}
	for a := range m.changed.accounts {
		a.sent = a.Voucher
		m.poke(a)
	}
	m.changed = newDirt()
	return nil
}

func (m *Meter) write(put func(string, []byte, any) error, del func(string, []byte) error) error {
	var errs []error
	for a := range m.changed.accounts {
		a.Tree, _ = a.tree.MarshalBinary() // cannot fail
		errs = append(errs, put("accounts", a.tower[:], a.accountState))
	}
	for s := range m.changed.segments {
		if m.segments[s.key] == nil {
			errs = append(errs, del("segments", s.key[:]))
			continue
		}
		errs = append(errs, put("segments", s.key[:], storedSegment{s.account.tower[:], s.Ticket[:], s.segmentState}))
	}
	for k := range m.changed.pools {
		if p := k.account.pools[k.teid]; p != nil {
			errs = append(errs, put("pools", k.octets(), p))
		} else {
			errs = append(errs, del("pools", k.octets()))
		}
	}
	for k := range m.changed.tickets {
		if t := m.tickets[k]; t != nil {
			errs = append(errs, put("tickets", k[:], t))
		} else {
			errs = append(errs, del("tickets", k[:]))
		}
	}
	for k := range m.changed.done {
		if t, ok := m.done[k]; ok {
			errs = append(errs, put("done", k[:], t))
		} else {
			errs = append(errs, del("done", k[:]))
		}
	}
	for k := range m.changed.loose {
		if l := m.loose[k]; l != nil {
			errs = append(errs, put("loose", k[:], l))
		} else {
			errs = append(errs, del("loose", k[:]))
		}
	}
	for r := range m.changed.excused {
		errs = append(errs, put("excused", []byte(r), m.excused[r]))
	}
	for a := range m.changed.notices {
		errs = append(errs, put("notices", a.tower[:], a.hearing))
	}
	for t := range m.changed.services {
		name, err := json.Marshal(t)
		errs = append(errs, err, put("services", name, Service{t, m.services[t]}))
	}
	return errors.Join(errs...)
}
