package pool

import (
	"context"
	"errors"
	"time"

	"campanile.network/3gpp/id"
)

// followed is how far a member has been followed.
type followed struct {
	at    Position
	begun time.Time // that it began to say all it has; zero: it does not
	sweep time.Time // when what it did not say then, nor since, is dropped; zero: nothing is due
	since time.Time // the same as begun, of the sweep that is due
}

// follow follows a member for as long as ctx lasts.
func (n *Node) follow(ctx context.Context, m Member) {
	var f followed
	wait := retryFirst
	for ctx.Err() == nil {
		began := time.Now()
		err := n.followOnce(ctx, m, &f)
		n.away(m.Code, err)
		if time.Since(began) > retryMost { // a link that comes and goes is not tried at once each time
			wait = retryFirst
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
		wait = min(2*wait, retryMost)
	}
}

// away notes that a member is not followed.
func (n *Node) away(code id.MMECode, err error) {
	n.mu.Lock()
	o := n.others[code]
	was := o.up
	if o.up = false; was {
		o.since = time.Now()
	}
	if o.why = ""; err != nil {
		o.why = err.Error()
	}
	n.mu.Unlock()
	if was {
		n.o.Logger.Warn("MME of the pool is away", "code", uint8(code), "err", err)
	}
}

// here notes that a member is.
func (n *Node) here(code id.MMECode) {
	n.mu.Lock()
	o := n.others[code]
	was := o.up
	if o.up, o.why = true, ""; !was {
		o.since = time.Now()
	}
	n.mu.Unlock()
	if !was {
		n.o.Logger.Info("MME of the pool is there", "code", uint8(code))
	}
}

var errSilent = errors.New("pool: the member is silent")

func (n *Node) followOnce(ctx context.Context, m Member, f *followed) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	quiet := time.AfterFunc(silence, func() { cancel(errSilent) })
	defer quiet.Stop()
	f.begun = time.Time{}
	err := m.Link.Follow(ctx, f.at, func(b Batch) error {
		quiet.Reset(silence)
		n.here(m.Code)
		n.take(m.Code, b)
		n.went(m.Code, f, b)
		return ctx.Err()
	})
	if why := context.Cause(ctx); why != nil {
		return why
	}
	return err
}

// went notes how far a batch has brought the follower. Batches without a run, and one that
// is further than it has changes, are all that the member has.
func (n *Node) went(code id.MMECode, f *followed, b Batch) {
	now := time.Now()
	all := b.Run == 0 || b.Run != f.at.Run || b.Seq != f.at.Seq+uint64(len(b.Changes)+b.Refused)
	if all && f.begun.IsZero() {
		f.begun = now
	}
	if b.Run == 0 {
		return
	}
	if !f.begun.IsZero() {
		f.sweep, f.since, f.begun = now.Add(sweepWait), f.begun, time.Time{}
	}
	f.at = b.Position
	n.mu.Lock()
	defer n.mu.Unlock()
	o := n.others[code]
	select {
	case <-o.heard:
	default:
		close(o.heard)
	}
	if f.sweep.IsZero() || now.Before(f.sweep) {
		return
	}
	f.sweep = time.Time{}
	for _, r := range o.copies {
		if r.said.Before(f.since) {
			n.drop(r)
			n.count.Swept++
		}
	}
}

// take takes what a member says of its phones.
func (n *Node) take(owner id.MMECode, b Batch) {
	n.mu.Lock()
	n.count.Received += uint64(len(b.Changes) + b.Refused)
	n.count.Refused += uint64(b.Refused)
	n.mu.Unlock()
	for _, c := range b.Changes {
		if n.keep(owner, c) {
			n.owner.Disowned(c.IMSI, c.Epoch)
		}
	}
}

// keep keeps a copy, unless there is one of a later epoch.
func (n *Node) keep(owner id.MMECode, c Change) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	had := n.copies[c.IMSI]
	switch {
	case c.Record == nil:
		if had != nil && had.owner == owner {
			n.drop(had)
		}
		return false
	case len(c.Record) > recordMost || c.Epoch > epochMost || len(c.TMSIs) > maxNames:
		n.count.Refused++
		return false
	case had != nil && had.Epoch > c.Epoch:
		return false
	case had != nil:
		n.drop(had)
	}
	now := time.Now()
	n.room(len(c.Record))
	r := &replica{c, owner, now}
	n.copies[c.IMSI], n.others[owner].copies[c.IMSI] = r, r
	n.held += len(c.Record)
	n.others[owner].octets += len(c.Record)
	for _, t := range c.TMSIs {
		n.names[name{owner, t}] = r
	}
	n.clock(owner, time.UnixMilli(int64(c.Epoch)).Sub(now))
	return true
}

// room drops copies of the member that has most of them until one more may be kept: a member
// that says too much pushes out its own. The caller holds mu.
func (n *Node) room(octets int) {
	for len(n.copies) > 0 && (len(n.copies) >= n.o.MaxReplicas || n.held+octets > n.o.MaxOctets) {
		var most *other
		for _, o := range n.others {
			if most == nil || o.octets > most.octets {
				most = o
			}
		}
		for _, some := range most.copies {
			n.drop(some)
			n.count.Evicted++
			break
		}
	}
}

// clock notes that an epoch, which is a time unless one was later before, is ahead of
// this clock. The caller holds mu.
func (n *Node) clock(owner id.MMECode, ahead time.Duration) {
	o := n.others[owner]
	if ahead <= clockMost || ahead <= o.ahead {
		return
	}
	if o.ahead == 0 {
		n.o.Logger.Warn("an MME of the pool has a clock that is ahead of this one's: while they do not hear each other, it may keep phones that have come here", "code", uint8(owner), "ahead", ahead.Round(time.Second))
	}
	o.ahead = ahead
}

// drop forgets a copy. The caller holds mu.
func (n *Node) drop(r *replica) {
	if n.copies[r.IMSI] == r {
		delete(n.copies, r.IMSI)
		delete(n.others[r.owner].copies, r.IMSI)
		n.held -= len(r.Record)
		n.others[r.owner].octets -= len(r.Record)
	}
	for _, t := range r.TMSIs {
		if k := (name{r.owner, t}); n.names[k] == r {
			delete(n.names, k)
		}
	}
}
