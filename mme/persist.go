package mme

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/nassec"
	"campanile.network/mme/s11"
	"campanile.network/wire/gtpc"
)

// What is kept of phones over a restart, and when (TS 23.007 §12 leaves it to the
// MME). A record is the whole of a phone; it is written
//
//   - before an answer leaves: with the uplink COUNT that was accepted, so that
//     nothing is accepted twice and no K_eNB derived twice, and with a mark ahead
//     of the downlink COUNT; with both GUTIs from the command to its completion,
//     with both NAS contexts from Security Mode Command to its completion;
//   - before Create Session Request and Delete Session Request leave, so that the
//     session is not left behind at the gateway;
//   - without anybody waiting, when the phone becomes idle or is detached.
//
// A procedure that a crash has interrupted is not kept: the phone's timer repeats
// it. What waits, waits for one write of all who wait.

// Store keeps records over restarts. *store.Store is one.
type Store interface {
	// Commit writes all changes or none. They are on disk when it returns nil;
	// they may be all the same when ctx ends first. It is called by one goroutine
	// at a time.
	Commit(context.Context, []Change) error
	// Load gives the record of every phone to f, which several goroutines may
	// call at once. It counts those it could not read, and says why in its log.
	Load(f func(record []byte)) (lost int, err error)
}

// Change is a phone's record to be kept in the place of the former.
type Change struct {
	IMSI   id.IMSI
	Record []byte // nil: none is kept
}

// commitWait is for how long a phone waits for the disk before it is told
// network failure.
const commitWait = 2 * time.Second

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
	wake  chan struct{}

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
	return &keeper{store: s, m: m, wake: make(chan struct{}, 1), next: newBatch()}
}

// submit hands a change over to be written.
func (k *keeper) submit(c Change) *batch {
	k.mu.Lock()
	b := k.next
	b.put(c)
	k.mu.Unlock()
	select {
	case k.wake <- struct{}{}:
	default:
	}
	return b
}

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
	for {
		var retry <-chan time.Time
		if k.stats().Failing != "" {
			retry = time.After(retryEvery)
		}
		select {
		case <-k.wake:
		case <-retry:
		case <-ctx.Done():
			k.write(writing)
			return
		}
		k.write(writing)
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

// essence is what of a phone must be on disk before an answer leaves. The rest of
// the record goes with it.
type essence struct {
	of                           *ue
	sec, next                    *keyset
	ul, mark, ul2, mark2         nassec.Count
	tmsi, former                 id.MTMSI
	first                        *s11.Session
	bearers, opening             eps.BearerStatus
	lease                        *lease
	segments                     uint32
	registered, accepted, served bool
}

// saved is what a connection has last handed to the keeper.
type saved struct {
	essence
	batch *batch // nil: nothing yet
}

// essence is called by the owner.
func (u *ue) essence() essence {
	u.secMu.Lock()
	defer u.secMu.Unlock()
	e := essence{of: u, sec: u.sec, next: u.next, tmsi: u.tmsi, former: u.formerTMSI, bearers: u.status(), opening: u.opening,
		lease: u.lease, registered: u.registered, accepted: u.accepted, served: u.served}
	e.ul, e.mark = u.sec.counts()
	e.ul2, e.mark2 = u.next.counts()
	if len(u.pdns) > 0 {
		e.first = u.pdns[0].session
	}
	if u.lease != nil {
		e.segments = u.lease.segments
	}
	return e
}

// reserve moves the marks ahead, if a message more would be beyond one or the
// record is written anyway.
func (u *ue) reserve(anyway bool) {
	u.secMu.Lock()
	defer u.secMu.Unlock()
	if anyway || u.sec.short() || u.next.short() {
		u.sec.reserve()
		u.next.reserve()
	}
}

// commit returns when what the phone's next message rests on is on disk.
func (c *conn) commit() error {
	b := c.submit(true)
	if b == nil {
		return nil
	}
	err := c.m.keeper.wait(b)
	if err != nil {
		c.saved.batch = nil
	}
	return err
}

// submit hands the phone's record to the keeper, unless nothing of its essence has
// changed since the last time. Something is to be sent: counts are reserved.
func (c *conn) submit(send bool) *batch {
	k := c.m.keeper
	if k == nil || !c.ue.entered {
		return nil
	}
	changed := c.saved.batch == nil || c.saved.essence != c.ue.essence()
	if send {
		c.ue.reserve(changed)
	}
	if e := c.ue.essence(); changed || e != c.saved.essence {
		c.saved = saved{e, k.submit(Change{c.ue.imsi, c.m.write(c.ue)})}
	}
	return c.saved.batch
}

// keep hands over the record of a phone that becomes idle; nobody waits for it.
func (c *conn) keep() {
	if k := c.m.keeper; k != nil && c.ue.entered {
		c.saved = saved{}
		k.submit(Change{c.ue.imsi, c.ue.record()})
	}
}

// keepIdle is keep for a phone that nobody owns, with sessions that were just
// taken from it. Nil if nothing is kept, or somebody owns the phone by now: then
// he does it.
func (m *MME) keepIdle(u *ue, taken ...*closing) *batch {
	if m.keeper == nil {
		return nil
	}
	m.known.mu.Lock()
	defer m.known.mu.Unlock()
	if u.owner != nil || m.known.byIMSI[u.imsi] != u {
		return nil
	}
	u.closing = append(u.closing, taken...)
	return m.keeper.submit(Change{u.imsi, u.record()})
}

// evicted forgets a phone that made room for another.
func (m *MME) evicted(imsi id.IMSI) {
	if m.keeper != nil && !imsi.IsZero() {
		m.keeper.submit(Change{IMSI: imsi})
	}
}

// closing is a session that was taken from its phone, until the gateway has ended
// it.
type closing struct {
	session *s11.Session
	gone    atomic.Bool // it has, or was asked in vain
}

// ending are PDN connections that were taken from their phone.
func ending(pdns []*pdn) (list []*closing) {
	for _, p := range pdns {
		list = append(list, &closing{session: p.session})
	}
	return list
}

// closes notes that sessions of the phone are about to be deleted. Called by the
// owner.
func (u *ue) closes(pdns []*pdn) []*closing {
	list := ending(pdns)
	u.closing = append(*stillClosing(u), list...)
	return list
}

// stillClosing forgets sessions that are deleted.
func stillClosing(u *ue) *[]*closing {
	u.closing = slices.DeleteFunc(u.closing, func(l *closing) bool { return l.gone.Load() })
	return &u.closing
}

// answered says that the gateway has said what became of a request.
func answered(err error) bool {
	_, refused := errors.AsType[*gtpc.CauseError](err)
	return err == nil || refused
}
