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
	ringMost   = 1 << 16          // changes kept for members that lag; one that lags more begins anew
	ringOctets = 64 << 20         // and octets of their records
	batchMost  = 256              // changes in a batch
	batchBytes = 1 << 20          // octets of records in a batch, beyond which it takes no more
	recordMost = 1 << 15          // octets of a record; a larger one is not kept
	epochMost  = 1 << 62          // of a change: beyond it there would be none that is higher
	heartbeat  = 2 * time.Second  // of a member with no news
	silence    = 7 * time.Second  // after which a link is given up
	retryFirst = time.Second      // until a broken link is tried again; doubled each time
	retryMost  = 10 * time.Second // at most
	fetchWait  = time.Second      // for a member's answer
	sweepWait  = time.Minute      // after all that a member has, until what it no more has is dropped
	clockMost  = time.Minute      // by which members' clocks may differ without a word
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
	Refused int // changes that could not be read
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
	MaxOctets   int          // of their records; 512 MiB
	Logger      *slog.Logger // nil discards
}

// Node is this MME's end of the pool.
type Node struct {
	o     Options
	run   uint64
	ready chan struct{} // closed when owner is set
	owner Owner

	mu     sync.Mutex
	news   chan struct{} // closed at the next change
	ring   []Change      // of seq first+1 and on
	octets int           // of its records
	first  uint64
	copies map[id.IMSI]*replica
	names  map[name]*replica
	others map[id.MMECode]*other
	held   int // octets of the copies' records
	count  Counts
}

// other is what is known of another member.
type other struct {
	up     bool
	since  time.Time // that it is so
	why    string    // it is not
	heard  chan struct{}
	ahead  time.Duration // of this clock: the most that an epoch of its was
	copies map[id.IMSI]*replica
	octets int // of their records
}

// replica is a phone of another member as that one last said.
type replica struct {
	Change
	owner id.MMECode
	said  time.Time
}

type name struct {
	code id.MMECode
	tmsi id.MTMSI
}

// Stats are what a node has.
type Stats struct {
	Members  []MemberStats // the others, in the order of the options
	Replicas int           // phones of others
	Octets   int           // of their records
	Kept     int           // changes for members that lag
	KeptSize int           // octets of their records
	Counts
}

// Counts are since the start.
type Counts struct {
	Received  uint64 // changes that members said
	Refused   uint64 // of them those that could not be read, or were too large
	Evicted   uint64 // copies that made room for others
	Swept     uint64 // copies whose phones their member had no more
	Snapshots uint64 // times that a member had to be told all, for it did not know where it was, or lagged too far
	Fetched   uint64 // phones that were found in the pool
	Missed    uint64 // and those that were not
}

// MemberStats are what is known of another member.
type MemberStats struct {
	Code     id.MMECode
	Up       bool          // it is followed
	Since    time.Time     // that it is so; zero: since the start
	Why      string        // it is not, the last time it was tried; may be empty
	Ahead    time.Duration // how far its clock, or that of who had its phones before, is ahead of this one, if it is seen to be
	Replicas int           // its phones that are kept
}

// New checks the options.
func New(o Options) (*Node, error) {
	if o.MaxReplicas == 0 {
		o.MaxReplicas = 1 << 20
	}
	if o.MaxOctets == 0 {
		o.MaxOctets = 512 << 20
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	n := &Node{o: o, run: rand.Uint64() | 1, ready: make(chan struct{}), news: make(chan struct{}), copies: map[id.IMSI]*replica{}, names: map[name]*replica{},
		others: map[id.MMECode]*other{}}
	for _, m := range o.Members {
		if n.others[m.Code] != nil || m.Code == o.Code {
			return nil, fmt.Errorf("pool: MME code %d is there twice", m.Code)
		}
		n.others[m.Code] = &other{heard: make(chan struct{}), copies: map[id.IMSI]*replica{}}
	}
	return n, nil
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
	s := Stats{Replicas: len(n.copies), Octets: n.held, Kept: len(n.ring), KeptSize: n.octets, Counts: n.count}
	for _, m := range n.o.Members {
		o := n.others[m.Code]
		s.Members = append(s.Members, MemberStats{m.Code, o.up, o.since, o.why, o.ahead, len(o.copies)})
	}
	return s
}

// Changed says what the MME has committed. It does not block, and keeps the records.
func (n *Node) Changed(changes []Change) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ring = append(n.ring, changes...)
	for _, c := range changes {
		n.octets += len(c.Record)
		if r := n.copies[c.IMSI]; r != nil && c.Record != nil && c.Epoch > r.Epoch {
			n.drop(r) // it is this MME's now
		}
	}
	if len(n.ring) > ringMost+ringMost/4 || n.octets > ringOctets+ringOctets/4 { // not each time: the rest is copied
		k := 0
		for ; len(n.ring)-k > ringMost || n.octets > ringOctets; k++ {
			n.octets -= len(n.ring[k].Record)
		}
		n.ring = slices.Clone(n.ring[k:])
		n.first += uint64(k)
	}
	close(n.news)
	n.news = make(chan struct{})
}

// Epoch gives that of a phone's copy, 0 without one: who takes the phone, or has it attach,
// goes beyond it.
func (n *Node) Epoch(imsi id.IMSI) uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	if r := n.copies[imsi]; r != nil {
		return r.Epoch
	}
	return 0
}

// Heard returns when every other member has said all it has since the start, or
// when ctx ends.
func (n *Node) Heard(ctx context.Context) {
	for _, m := range n.o.Members {
		select {
		case <-n.others[m.Code].heard:
		case <-ctx.Done():
			return
		}
	}
}
