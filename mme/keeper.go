package mme

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"campanile.network/3gpp/id"
)

// commitWait is for how long a phone waits for the disk before it is told
// network failure. Busy disks stall for seconds; a phone repeats a service request
// after 5 s (T3417).
const commitWait = 4 * time.Second

// errStorage says that what an answer rests on could not be written.
var errStorage = errors.New("the store does not take the phone's record")

// batch is changes that are written together.
type batch struct {
	changes []Change
	at      map[id.IMSI]int // in changes
	done    chan struct{}   // closed when it is on disk, or err says why not
	err     error
}

func newBatch() *batch { return &batch{at: map[id.IMSI]int{}, done: make(chan struct{})} }

// put adds a change, or replaces the one of the same phone.
func (b *batch) put(c Change) {
	if i, ok := b.at[c.IMSI]; ok {
		b.changes[i] = c
		return
	}
	b.at[c.IMSI] = len(b.changes)
	b.changes = append(b.changes, c)
}

// wait waits until the batch is on disk.
func (k *keeper) wait(b *batch) error {
	select {
	case <-b.done:
		return b.err
	default:
	}
	t := time.NewTimer(commitWait)
	defer t.Stop()
	select {
	case <-b.done:
		return b.err
	case <-t.C:
		err := fmt.Errorf("%w: nothing written in %v", errStorage, commitWait)
		k.failed(err)
		return err
	}
}

// keeper writes records: one goroutine, one Commit for all that came meanwhile.
type keeper struct {
	store Store
	m     *MME
	wake  chan struct{} // holds one token while something is to be written now
	left  chan struct{} // or soon

	mu    sync.Mutex
	next  *batch
	count StoreStats
}

// StoreStats are what became of phones' records since the start.
type StoreStats struct {
	Loaded  int    // phones known from before
	Lost    int    // records that could not be read: those phones attach anew
	Records uint64 // written
	Commits uint64 // writes, of one or more records
	Refused uint64 // writes that the disk did not take
	Failing string // why nothing can be written at present; empty: all is well
}

func newKeeper(m *MME, s Store) *keeper {
	return &keeper{store: s, m: m, wake: make(chan struct{}, 1), left: make(chan struct{}, 1), next: newBatch()}
}

// submit hands a change over to be written now.
func (k *keeper) submit(c Change) *batch {
	b := k.put(c)
	signal(k.wake)
	return b
}

// leave hands over a change that nobody waits for: it is written with the next that
// somebody does, or soon.
func (k *keeper) leave(c Change) {
	k.put(c)
	signal(k.left)
}

func (k *keeper) put(c Change) *batch {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.next.put(c)
	return k.next
}

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// A commit costs a sync, whatever is in it. The next begins writeEvery after one at
// the earliest, so that phones that come in crowds share one; a phone alone asks for
// the next only after a message by radio has gone there and back. What nobody waits
// for is written after leftWait.
const (
	writeEvery = 2 * time.Millisecond
	leftWait   = 100 * time.Millisecond
)

// retryEvery is how often a disk that refuses is tried without cause.
const retryEvery = time.Second

// lastWords is for how long the disk may take what is left when the MME stops.
const lastWords = 3 * time.Second

// run writes until ctx ends and nothing is left. What the disk refuses is tried
// again with what comes next: of each phone the newest.
func (k *keeper) run(ctx context.Context) {
	if k == nil {
		return
	}
	writing, cancel := context.WithCancel(context.Background())
	defer cancel()
	defer context.AfterFunc(ctx, func() {
		late := time.NewTimer(lastWords)
		defer late.Stop()
		select {
		case <-late.C:
			cancel()
		case <-writing.Done():
		}
	})()
	var soon <-chan time.Time
	for {
		select {
		case <-k.left:
			if soon == nil {
				soon = time.After(leftWait)
			}
			continue
		case <-k.wake:
		case <-soon:
		case <-ctx.Done():
			k.write(writing)
			return
		}
		next := time.Now().Add(writeEvery)
		k.write(writing)
		if soon = nil; k.stats().Failing != "" {
			soon = time.After(retryEvery)
		}
		if d := time.Until(next); d > 0 {
			select {
			case <-time.After(d):
			case <-ctx.Done():
			}
		}
	}
}

// write is one Commit.
func (k *keeper) write(ctx context.Context) {
	k.mu.Lock()
	b := k.next
	if len(b.changes) == 0 {
		k.mu.Unlock()
		return
	}
	k.next = newBatch()
	k.mu.Unlock()
	err := k.store.Commit(ctx, b.changes)
	if err != nil {
		k.failed(err)
	} else {
		k.m.poolChanged(b.changes)
	}
	k.mu.Lock()
	was := k.count.Failing
	if err != nil {
		b.err = fmt.Errorf("%w: %w", errStorage, err)
		k.count.Refused++
		for _, c := range k.next.changes {
			b.put(c)
		}
		k.next.changes, k.next.at = b.changes, b.at
	} else {
		k.count.Commits++
		k.count.Records += uint64(len(b.changes))
		k.count.Failing = ""
	}
	close(b.done)
	k.mu.Unlock()
	if err == nil && was != "" {
		k.m.log.Warn("phones' records are written again", "records", len(b.changes))
	}
}

// failed notes that nothing is written at present, and says so once.
func (k *keeper) failed(err error) {
	k.mu.Lock()
	was := k.count.Failing
	k.count.Failing = err.Error()
	k.mu.Unlock()
	if was == "" {
		k.m.log.Error("phones' records cannot be written: phones are refused until they can", "err", err)
	}
}

func (k *keeper) stats() StoreStats {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.count
}
