package tally

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"campanile.network/internal/logs"
	"campanile.network/internal/vault"
	"campanile.network/wire/proof"
	"campanile.network/wire/usage"
)

// record is what is stored of a stay.
type record struct {
	Ticket, Segment string // signed
	VoiceMs         uint64
	Messages        uint64
	Closed          bool
}

// stored is how a record is written: strings of JSON do not keep octets.
type stored struct {
	Ticket, Segment   []byte
	VoiceMs, Messages uint64
	Closed            bool
}

// kindStay is what stays are called in the vault.
const kindStay = 's'

// name is a stay's in the vault.
func (s *Stay) name() []byte {
	return binary.BigEndian.AppendUint32(slices.Clone(s.ticket.ID[:]), s.segment.No)
}

// load takes up what the store has. What does not open is said and left alone.
func (t *Tally) load() error {
	return t.o.Store.Each(kindStay, func(_, b []byte, err error) {
		s := &Stay{t: t}
		if err == nil {
			err = s.unmarshal(b)
		}
		if err != nil {
			t.o.Logger.Warn("a count of calls and messages is lost", logs.Error, err)
			return
		}
		t.stays[s] = true
		if other := t.at[s.ticket.ID]; !s.Closed && (other == nil || other.segment.No < s.segment.No) {
			t.at[s.ticket.ID] = s
			if other != nil {
				t.end(other)
			}
		} else {
			t.end(s)
		}
	})
}

func (s *Stay) unmarshal(b []byte) error {
	var v stored
	if err := json.Unmarshal(b, &v); err != nil {
		return err
	}
	var err error
	if s.ticket, err = proof.PeekTicket(s.t.o.ChainID, v.Ticket); err != nil {
		return err
	}
	if s.segment, err = proof.OpenSegment(s.t.o.ChainID, s.t.o.Operator.Public(), v.Segment); err != nil {
		return err
	}
	s.record = record{string(v.Ticket), string(v.Segment), v.VoiceMs, v.Messages, v.Closed}
	s.stored = s.record
	return nil
}

// storeWait is how long a write is waited for.
const storeWait = 2 * time.Second

// write stores every stay that has changed, unless enough says that another did so
// meanwhile. Those who call it at one time share the disk's work.
func (t *Tally) write(enough func() bool) error {
	t.writing.Lock()
	defer t.writing.Unlock()
	t.mu.Lock()
	if enough != nil && enough() || len(t.dirty) == 0 {
		t.mu.Unlock()
		return nil
	}
	type change struct {
		s *Stay
		r record
	}
	var changes []change
	var writes []vault.Write
	for s := range t.dirty {
		r := s.record
		b, err := json.Marshal(stored{[]byte(r.Ticket), []byte(r.Segment), r.VoiceMs, r.Messages, r.Closed})
		if err != nil {
			t.mu.Unlock()
			return fmt.Errorf("tally: %w", err)
		}
		changes = append(changes, change{s, r})
		writes = append(writes, vault.Write{Kind: kindStay, Name: s.name(), Value: b})
	}
	t.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), storeWait)
	defer cancel()
	if err := t.o.Store.Apply(ctx, writes); err != nil {
		return fmt.Errorf("tally: %w", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range changes {
		if c.s.stored = c.r; c.s.record == c.r {
			delete(t.dirty, c.s)
		}
	}
	return nil
}

// tell reports what is on disk and not told; what has closed and is told is forgotten.
func (t *Tally) tell(ctx context.Context) {
	t.mu.Lock()
	var list []*Stay
	var told []record
	var records []usage.Record
	now := time.Now()
	for s := range t.stays {
		if r := s.stored; r != s.told && r != (record{}) {
			list, told = append(list, s), append(told, r)
			records = append(records, usage.Record{Session: uint64(s.segment.No), Ticket: []byte(r.Ticket), Segment: []byte(r.Segment), At: now,
				Voice: time.Duration(r.VoiceMs) * time.Millisecond, Messages: r.Messages, Closed: r.Closed})
		}
	}
	t.mu.Unlock()
	if len(records) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	err := t.o.Sink.Report(ctx, records)
	if failing := err != nil; failing != t.failing {
		t.failing = failing
		if failing {
			t.o.Logger.Warn("billing does not take counts of calls and messages: they are kept", logs.Error, err)
		} else {
			t.o.Logger.Info("billing takes counts of calls and messages again")
		}
	}
	if err != nil {
		return
	}
	t.mu.Lock()
	var over []vault.Write
	for i, s := range list {
		if s.told = told[i]; s.told.Closed {
			delete(t.stays, s)
			over = append(over, vault.Write{Kind: kindStay, Name: s.name()})
		}
	}
	t.mu.Unlock()
	if len(over) > 0 {
		if err := t.o.Store.Apply(ctx, over); err != nil { // told again after the next start, which changes nothing
			t.o.Logger.Debug("stays that are told are not forgotten yet", logs.Error, err)
		}
	}
}
