// Package pool joins the MMEs of one MME group, so that one takes over the phones of
// another that has died: each member streams what it has committed of its phones'
// records to the others, which keep a copy in memory, and answers for its phones while
// it lives. Who owns a phone, and what is done with a copy, is
// decided in package mme.
//
// It is no consensus: of two members one must be able to go on without the other, and a
// phone has one owner at a time because its SIM answers one MME at a time. A copy may
// be late; that is made safe by asking the SIM anew. Members trust each other: they are
// one operator's, and have one another's phones' keys.
package pool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"campanile.network/3gpp/id"
)

// Bounds and times.
const (
	ringSize   = 1 << 16          // changes kept for members that lag; one that lags more begins anew
	batchMost  = 256              // changes in a batch
	batchBytes = 1 << 20          // octets of records in a batch, beyond which it takes no more
	heartbeat  = 2 * time.Second  // of a member with no news
	silence    = 7 * time.Second  // after which a link is given up
	retryFirst = time.Second      // until a broken link is tried again; doubled each time
	retryMost  = 10 * time.Second // at most
	fetchWait  = time.Second      // for a member's answer
)

// Link is the way to a member: [Node.Link] in one process, [Dial] to another.
type Link interface {
	// Follow gives f what changes at the member after a position, in order, or all it
	// has if it does not remember that position; without news, an empty Batch now and
	// then. It returns when ctx ends, f fails, or the link breaks.
	Follow(ctx context.Context, from Position, f func(Batch) error) error
	// Fetch is [Node.Fetch], asked of this member alone.
	Fetch(ctx context.Context, code id.MMECode, t id.MTMSI, nas []byte) ([]byte, error)
}

// Position is a moment of a member: the run since its start, and how many changes
// there were in it.
type Position struct{ Run, Seq uint64 }

// Batch is changes of a member, up to a position.
type Batch struct {
	Position
	Changes []Change
}

// Member is another MME of the pool.
type Member struct {
	Code id.MMECode
	Link Link
}

// Change is what became of a phone.
type Change struct {
	IMSI   id.IMSI
	TMSIs  []id.MTMSI // names by which it may come to its owner
	Epoch  uint64     // of its ownership: the highest wins
	Record []byte     // nil: the member has it no more
}

// ErrForeign says that a phone is not a member's, or that what it has sent was not sent
// by it.
var ErrForeign = errors.New("pool: no phone of that MME has sent that")

// Owner is the MME of a node; *mme.MME is one.
type Owner interface {
	// Hand gives the record of one of its phones, that has sent a NAS message to
	// another member; ErrForeign if it has not. The phone stays the MME's.
	Hand(t id.MTMSI, nas []byte) ([]byte, error)
	// Records gives f every record, but for those that come by Changed soon.
	Records(f func(Change))
	// Disowned says that another member owns a phone with this epoch: if it is
	// higher than the MME's, that forgets the phone.
	Disowned(imsi id.IMSI, epoch uint64)
}

// Options make a Node.
type Options struct {
	Code        id.MMECode
	Members     []Member     // the others
	MaxReplicas int          // phones of others that are kept; 1<<20
	Logger      *slog.Logger // nil discards
}

// Node is this MME's end of the pool.
type Node struct {
	o     Options
	run   uint64
	ready chan struct{} // closed when owner is set
	owner Owner

	mu       sync.Mutex
	news     chan struct{} // closed at the next change
	ring     []Change      // of seq first+1 and on
	first    uint64
	copies   map[id.IMSI]*replica
	names    map[name]*replica
	up       map[id.MMECode]bool
	received uint64
}

// replica is a phone of another member as that one last said.
type replica struct {
	Change
	owner id.MMECode
}

type name struct {
	code id.MMECode
	tmsi id.MTMSI
}

// Stats are what a node has.
type Stats struct {
	Replicas int      // phones of others
	Up       []string // members that are followed now, by code in hexadecimal
	Down     []string // and those that are not
	Received uint64   // changes, since the start
}

// New checks the options.
func New(o Options) (*Node, error) {
	if o.MaxReplicas == 0 {
		o.MaxReplicas = 1 << 20
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	seen := map[id.MMECode]bool{o.Code: true}
	for _, m := range o.Members {
		if seen[m.Code] {
			return nil, fmt.Errorf("pool: MME code %d is there twice", m.Code)
		}
		seen[m.Code] = true
	}
	return &Node{o: o, run: rand.Uint64() | 1, ready: make(chan struct{}), news: make(chan struct{}), copies: map[id.IMSI]*replica{}, names: map[name]*replica{},
		up: map[id.MMECode]bool{}}, nil
}

// Serve follows the other members for an MME until ctx ends. A node serves once.
func (n *Node) Serve(ctx context.Context, owner Owner) error {
	n.owner = owner
	close(n.ready)
	var all sync.WaitGroup
	defer all.Wait()
	for _, m := range n.o.Members {
		all.Go(func() { n.follow(ctx, m) })
	}
	<-ctx.Done()
	return nil
}

// Stats reads the counters.
func (n *Node) Stats() Stats {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := Stats{Replicas: len(n.copies), Received: n.received}
	for _, m := range n.o.Members {
		code := fmt.Sprintf("%02x", uint8(m.Code))
		if n.up[m.Code] {
			s.Up = append(s.Up, code)
		} else {
			s.Down = append(s.Down, code)
		}
	}
	return s
}

// Changed says what the MME has committed. It does not block, and keeps the records.
func (n *Node) Changed(changes []Change) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ring = append(n.ring, changes...)
	if over := len(n.ring) - ringSize; over > ringSize/4 { // not each time: the rest is copied
		n.ring = slices.Clone(n.ring[over:])
		n.first += uint64(over)
	}
	for _, c := range changes {
		if r := n.copies[c.IMSI]; r != nil && c.Record != nil && c.Epoch > r.Epoch {
			n.drop(r) // it is this MME's now
		}
	}
	close(n.news)
	n.news = make(chan struct{})
}

// feed is Follow for the other members.
func (n *Node) feed(ctx context.Context, from Position, f func(Batch) error) error {
	select {
	case <-n.ready:
	case <-ctx.Done():
		return ctx.Err()
	}
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	known := from.Run == n.run
	at := from.Seq
	for {
		changes, news, ok := n.after(at)
		if !known || !ok {
			var err error
			if at, err = n.everything(f); err != nil {
				return err
			}
			known = true
			continue
		}
		for list := range batches(changes) {
			at += uint64(len(list))
			if err := f(Batch{Position{n.run, at}, list}); err != nil {
				return err
			}
		}
		if len(changes) > 0 {
			continue
		}
		select {
		case <-news:
		case <-beat.C:
			if err := f(Batch{Position: Position{n.run, at}}); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// after gives the changes after a position, or what ends with the next one; not ok: they
// are forgotten, or were never.
func (n *Node) after(seq uint64) (changes []Change, news <-chan struct{}, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if seq < n.first || seq > n.first+uint64(len(n.ring)) {
		return nil, nil, false
	}
	return slices.Clip(n.ring[seq-n.first:]), n.news, true
}

// everything gives f all records, and the position from which on there is more.
func (n *Node) everything(f func(Batch) error) (seq uint64, err error) {
	n.mu.Lock()
	seq = n.first + uint64(len(n.ring))
	n.mu.Unlock()
	var all []Change
	n.owner.Records(func(c Change) { all = append(all, c) })
	for list := range batches(all) {
		if err := f(Batch{Position{0, 0}, list}); err != nil {
			return 0, err
		}
	}
	return seq, f(Batch{Position: Position{n.run, seq}})
}

// batches cuts changes into pieces that may be sent.
func batches(changes []Change) func(yield func([]Change) bool) {
	return func(yield func([]Change) bool) {
		for len(changes) > 0 {
			k, octets := 0, 0
			for k < len(changes) && k < batchMost && octets < batchBytes {
				octets += len(changes[k].Record)
				k++
			}
			if !yield(changes[:k]) {
				return
			}
			changes = changes[k:]
		}
	}
}

// follow follows a member for as long as ctx lasts.
func (n *Node) follow(ctx context.Context, m Member) {
	var at Position
	wait := retryFirst
	for ctx.Err() == nil {
		err := n.followOnce(ctx, m, &at, func() { wait = retryFirst })
		n.mu.Lock()
		was := n.up[m.Code]
		n.up[m.Code] = false
		n.mu.Unlock()
		if was {
			n.o.Logger.Warn("MME of the pool is away", "code", uint8(m.Code), "err", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
		wait = min(2*wait, retryMost)
	}
}

var errSilent = errors.New("pool: the member is silent")

func (n *Node) followOnce(ctx context.Context, m Member, at *Position, came func()) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	quiet := time.AfterFunc(silence, func() { cancel(errSilent) })
	defer quiet.Stop()
	return m.Link.Follow(ctx, *at, func(b Batch) error {
		quiet.Reset(silence)
		came()
		n.take(m.Code, b.Changes)
		if b.Run != 0 {
			*at = b.Position
		}
		n.mu.Lock()
		was := n.up[m.Code]
		n.up[m.Code] = true
		n.mu.Unlock()
		if !was {
			n.o.Logger.Info("MME of the pool is there", "code", uint8(m.Code))
		}
		return ctx.Err()
	})
}

// take takes what a member says of its phones.
func (n *Node) take(owner id.MMECode, changes []Change) {
	for _, c := range changes {
		if n.keep(owner, c) {
			n.owner.Disowned(c.IMSI, c.Epoch)
		}
	}
}

// keep keeps a copy, unless there is one of a later epoch.
func (n *Node) keep(owner id.MMECode, c Change) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.received++
	had := n.copies[c.IMSI]
	switch {
	case c.Record == nil:
		if had != nil && had.owner == owner {
			n.drop(had)
		}
		return false
	case had != nil && had.Epoch > c.Epoch:
		return false
	case had != nil:
		n.drop(had)
	case len(n.copies) >= n.o.MaxReplicas:
		for _, some := range n.copies {
			n.drop(some)
			break
		}
	}
	r := &replica{c, owner}
	n.copies[c.IMSI] = r
	for _, t := range c.TMSIs {
		n.names[name{owner, t}] = r
	}
	return true
}

// drop forgets a copy. The caller holds mu.
func (n *Node) drop(r *replica) {
	if n.copies[r.IMSI] == r {
		delete(n.copies, r.IMSI)
	}
	for _, t := range r.TMSIs {
		if k := (name{r.owner, t}); n.names[k] == r {
			delete(n.names, k)
		}
	}
}
