package smsc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/sms"
	"campanile.network/internal/vault"
)

// empty sends what is in a box, one message after the other, until nothing is due.
func (c *Centre) empty(b *box) {
	for {
		m, expired := c.begin(b)
		if m == nil {
			return
		}
		if expired {
			c.finish(m, sms.StatusExpired)
			continue
		}
		o := c.attempt(b, m)
		if o.final && c.finish(m, o.status) && o.kind == delivered && o.path != nil {
			o.path.Delivered(c.delivery(m))
		}
	}
}

// begin gives the message whose turn it is. If there is none, the box is left, and
// a timer is set if there will be one.
func (c *Centre) begin(b *box) (*message, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m, expired, at := b.next(time.Now())
	switch {
	case c.closed:
		b.running = false
		return nil, false
	case m == nil:
		b.running = false
		if !at.IsZero() {
			b.timer = time.AfterFunc(time.Until(at), func() {
				c.mu.Lock()
				defer c.mu.Unlock()
				c.kick(b)
			})
		}
		return nil, false
	}
	m.beingSent = true
	m.over = expired
	return m, expired
}

// attempt tries to bring a message once.
func (c *Centre) attempt(b *box, m *message) (o outcome) {
	select {
	case c.sends <- struct{}{}:
		defer func() { <-c.sends }()
	case <-c.ctx.Done():
		return outcome{}
	}
	defer c.after(b, m, &o)
	if m.Once && !c.single(m, &o) {
		return o
	}
	ctx, cancel := context.WithTimeout(c.ctx, c.o.Limits.Attempt)
	defer cancel()
	if imsi, ours := m.Box.imsi(); ours {
		o = c.byPaths(ctx, imsi, m)
	} else {
		o = c.byTrunk(ctx, m)
	}
	return o
}

// single notes that a message which is to be sent once is sent now. False: it was
// under way already when the process was killed, and that was its time; or the note
// cannot be written.
func (c *Centre) single(m *message, o *outcome) bool {
	if m.Tried {
		*o = outcome{kind: unknown}
		return false
	}
	m.Tried = true
	if err := c.store.Apply(c.disk, []vault.Write{m.write()}); err != nil {
		c.log.Error("a message that is to be sent once is not: that it is sent cannot be noted", "error", err)
		*o = outcome{kind: busy}
		return false
	}
	return true
}

// after notes what came of an attempt, and makes final what is tried no more.
func (c *Centre) after(b *box, m *message, o *outcome) {
	if c.ctx.Err() != nil && !o.final { // it was cut off; the next run sends it again
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	m.attempted = true
	c.count.Attempts[o.word()]++
	if o.kind == unknown {
		m.again = true
	}
	if o.said {
		m.answered++
	}
	if o.kind == noMemory {
		m.full++
	}
	if !o.final && (m.Once || m.answered >= maxAnswered) {
		o.final, o.status = true, o.kind.stopped()
	}
	if o.final {
		b.failures, b.memory, b.retryAt = 0, false, time.Time{}
		m.over = true
		return
	}
	m.beingSent = false
	b.failed(time.Now(), *o)
	c.log.Info("short message waits", "key", m.Key, "to", masked(m.Box), "why", o.word(), "next", time.Until(b.retryAt).Round(time.Second))
}

// maxAnswered is how often a phone may answer a message with a temporary cause: one
// that it does not take must not keep back all others.
const maxAnswered = 5

// byPaths tries the paths, the one where the phone was heard last first.
func (c *Centre) byPaths(ctx context.Context, imsi id.IMSI, m *message) outcome {
	type candidate struct {
		NamedPath
		heard time.Time
		there bool
	}
	var all []candidate
	for _, p := range c.o.Paths {
		heard, there := p.Registered(imsi)
		all = append(all, candidate{p, heard, there})
	}
	slices.SortStableFunc(all, func(a, b candidate) int {
		if a.there != b.there {
			if a.there {
				return -1
			}
			return 1
		}
		return b.heard.Compare(a.heard)
	})
	d := c.delivery(m)
	best := outcome{kind: absent}
	for _, p := range all {
		rp, err := p.Deliver(ctx, d)
		o := c.judge(ctx, rp, err)
		o.path = p.Path
		o.name = p.Name
		if o.kind != absent && o.kind != busy || o.said {
			return o
		}
		if o.kind == busy {
			best = o
		}
	}
	return best
}

// delivery is what a path is given of a message.
func (c *Centre) delivery(m *message) Delivery {
	imsi, _ := m.Box.imsi()
	return Delivery{IMSI: imsi, Key: m.Key, Again: m.again,
		Data: sms.RPData{Direction: sms.Downlink, Reference: m.Key[0], Originator: c.o.Address, User: m.TPDU}}
}

// byTrunk hands a message over to another network.
func (c *Centre) byTrunk(ctx context.Context, m *message) outcome {
	t, err := sms.Parse(sms.Uplink, m.TPDU)
	s, ok := t.(*sms.Submit)
	if c.o.Trunk == nil || err != nil || !ok {
		return outcome{kind: refused, final: true, status: sms.StatusNoInterworking}
	}
	from, _ := id.ParseMSISDN(m.Number)
	err = c.o.Trunk.Forward(ctx, Outgoing{Key: m.Key, From: from, To: m.Box.number(), Submit: s, Accepted: time.Unix(m.Stamp, 0), StatusAsked: m.Report})
	switch {
	case err == nil:
		return outcome{kind: delivered, final: true, status: sms.StatusForwarded, name: "trunk"}
	case errors.Is(err, ErrRefused):
		return outcome{kind: refused, final: true, status: sms.StatusRemoteProcedureError}
	}
	return outcome{kind: busy}
}

// finish ends a message: that it is over is put on disk together with the status
// report, if one is wanted. False: nobody knows whether it is on disk; this process
// does not send the message again.
func (c *Centre) finish(m *message, s sms.Status) bool {
	now := time.Now()
	writes := []vault.Write{m.tombstone(now)}
	drafts := c.report(m, now, s)
	for _, d := range drafts {
		writes = append(writes, d.write())
	}
	err := c.store.Apply(c.disk, writes)
	if err != nil {
		c.log.Error("that a short message is over could not be written: it may come twice after a restart", "key", m.Key, "error", err)
		c.release(drafts)
	} else {
		c.enter(drafts)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.box(m.Box)
	b.remove(m)
	c.waiting--
	c.graves = append(c.graves, grave{m.Key, now.Unix()})
	c.count.Finished[finishedAs(s)]++
	c.log.Info("short message over", "key", m.Key, "to", masked(m.Box), "status", fmt.Sprintf("%#02x", uint8(s)), "waited", now.Sub(time.Unix(m.Stamp, 0)).Round(time.Second))
	return err == nil
}
