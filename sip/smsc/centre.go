package smsc

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/internal/vault"
)

// Centre is a message centre. Its methods may be called by several goroutines.
type Centre struct {
	o      Options
	log    *slog.Logger
	store  *vault.Vault
	ctx    context.Context // of all it does by itself
	cancel context.CancelFunc
	disk   context.Context // of writes: they are not cut off as long as the disk works
	giveUp context.CancelFunc
	sends  chan struct{} // a place for each delivery under way
	takes  chan struct{} // and for each submission

	mu      sync.Mutex
	wg      sync.WaitGroup
	serving bool
	closed  bool
	boxes   map[boxID]*box
	marks   map[string]*mark
	rates   map[boxID]*bucket
	graves  []grave // tombstones on disk
	seq     uint64
	waiting int // and coming
	count   counts
	lost    int // records that did not open
}

// grave is a tombstone that is to be forgotten.
type grave struct {
	key Key
	at  int64
}

// errClosed is the answer of a centre that is ending.
var errClosed = errors.New("smsc: the message centre is ending")

// New opens a centre over what it kept. It takes messages from now on; Serve
// delivers them. An error names the folder.
func New(o Options) (*Centre, error) {
	if o.Dir == "" || o.Address.IsZero() || o.Directory == nil {
		return nil, errors.New("smsc: Options.Dir, Address and Directory are required")
	}
	o.Limits.fill()
	o.Zone, o.Logger = cmp.Or(o.Zone, time.UTC), cmp.Or(o.Logger, slog.New(slog.DiscardHandler))
	store, err := vault.Open(o.Dir, vault.Options{Key: o.Key, Role: "smsc", Of: "the message centre", Schema: schema, Logger: o.Logger, FS: o.FS,
		Lost: "the messages that waited in it are lost"})
	if err != nil {
		return nil, err
	}
	c := &Centre{o: o, log: o.Logger, store: store, sends: make(chan struct{}, o.Limits.Parallel), takes: make(chan struct{}, intakes),
		boxes: map[boxID]*box{}, marks: map[string]*mark{}, rates: map[boxID]*bucket{}, count: newCounts()}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.disk, c.giveUp = context.WithCancel(context.Background())
	if err := c.load(); err != nil {
		store.Close()
		return nil, fmt.Errorf("store of the message centre %s: %w", o.Dir, err)
	}
	return c, nil
}

// intakes bounds the submissions that are worked on at a time.
const intakes = 1024

func (l *Limits) fill() {
	l.PerPhone, l.Total = cmp.Or(l.PerPhone, 100), cmp.Or(l.Total, 50_000)
	l.PerSender, l.Burst, l.Parallel = cmp.Or(l.PerSender, 30), cmp.Or(l.Burst, 60), cmp.Or(l.Parallel, 64)
	l.Validity, l.MaxValidity = cmp.Or(l.Validity, 72*time.Hour), cmp.Or(l.MaxValidity, 14*24*time.Hour)
	l.Attempt, l.RepeatWindow = cmp.Or(l.Attempt, 90*time.Second), cmp.Or(l.RepeatWindow, time.Hour)
}

// load reads what an earlier run has left.
func (c *Centre) load() error {
	var mu sync.Mutex
	bad := func([]byte) {
		c.log.Warn("a record does not open: it was altered, or sealed under another key; it is lost")
	}
	var all []*message
	lostMessages, err := c.store.Load(kindMessage, func(b []byte) {
		m := &message{}
		if err := json.Unmarshal(b, m); err != nil {
			bad(nil)
			return
		}
		mu.Lock()
		all = append(all, m)
		mu.Unlock()
	}, bad)
	if err != nil {
		return err
	}
	lostMarks, err := c.store.Load(kindMark, func(b []byte) {
		k := &mark{done: make(chan struct{})}
		if err := json.Unmarshal(b, k); err != nil {
			bad(nil)
			return
		}
		close(k.done)
		mu.Lock()
		c.marks[k.Of] = k
		mu.Unlock()
	}, bad)
	if err != nil {
		return err
	}
	c.lost = lostMessages + lostMarks
	slices.SortFunc(all, func(a, b *message) int { return cmp.Compare(a.Seq, b.Seq) })
	for _, m := range all {
		b := c.box(m.Box)
		b.stamp, c.seq = max(b.stamp, m.Stamp), max(c.seq, m.Seq)
		if m.Finished != 0 {
			c.graves = append(c.graves, grave{m.Key, m.Finished})
			continue
		}
		m.again = true // nobody knows
		b.add(m)
		c.waiting++
	}
	return nil
}

// box gives the mailbox of that name. The caller holds the lock, or is alone.
func (c *Centre) box(id boxID) *box {
	b := c.boxes[id]
	if b == nil {
		b = &box{id: id, parts: firstReference()}
		c.boxes[id] = b
	}
	return b
}

// Serve delivers messages until ctx ends and everything it began has ended. It
// closes the store.
func (c *Centre) Serve(ctx context.Context) error {
	c.mu.Lock()
	if c.closed || c.serving {
		c.mu.Unlock()
		return errClosed
	}
	c.serving = true
	for _, b := range c.boxes {
		c.kick(b)
	}
	if n := c.waiting; n > 0 {
		c.log.Info("messages waited for a start", "messages", n)
	}
	c.mu.Unlock()
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return c.Close()
		case <-tick.C:
			c.sweep()
		}
	}
}

// Close ends the centre. Deliveries under way are cut off; they are made again by
// the next run.
func (c *Centre) Close() error {
	c.mu.Lock()
	done := c.closed
	c.closed = true
	for _, b := range c.boxes {
		if b.timer != nil {
			b.timer.Stop()
		}
	}
	c.mu.Unlock()
	if done {
		return nil
	}
	c.cancel()
	patience := time.AfterFunc(diskPatience, c.giveUp)
	c.wg.Wait()
	patience.Stop()
	c.giveUp()
	return c.store.Close()
}

// diskPatience is how long the end of a centre waits for its disk.
const diskPatience = 5 * time.Second

// spawn runs f in a goroutine that Close waits for; false: the centre is ending.
// The caller holds the lock.
func (c *Centre) spawn(f func()) bool {
	if c.closed {
		return false
	}
	c.wg.Go(f)
	return true
}

// kick sees to it that somebody empties the box, if there is something in it. The
// caller holds the lock.
func (c *Centre) kick(b *box) {
	if !c.serving || b.running || len(b.queue) == 0 {
		return
	}
	if b.timer != nil {
		b.timer.Stop()
		b.timer = nil
	}
	b.running = c.spawn(func() { c.empty(b) })
}

// Ready says that a phone takes messages: it has registered, or answered (TS
// 23.040 §3.2.8). What waits for it is tried at once. It does not block.
func (c *Centre) Ready(imsi id.IMSI) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.boxes[phoneBox(imsi)]
	if b == nil {
		return
	}
	c.count.Alerts++
	if b.running {
		b.alerted = true
		return
	}
	b.alert(time.Now())
	c.kick(b)
}
