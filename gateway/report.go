package gateway

import (
	"context"
	"time"

	"campanile.network/gateway/datapath"
	"campanile.network/internal/logs"
	"campanile.network/internal/peertls"
	"campanile.network/wire/usage"
)

const (
	reportBatch   = 1024
	reportTimeout = 5 * time.Second
)

// reporter tells the sink of usage each ReportEvery, at once for sessions that
// moved much, and ends what drains.
func (g *Gateway) reporter(ctx context.Context) {
	tick := time.NewTicker(g.o.ReportEvery)
	defer tick.Stop()
	drain := time.NewTimer(time.Hour)
	defer drain.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			g.report(ctx, true)
			g.mu.Lock()
			g.forgetLeases(now)
			g.mu.Unlock()
		case <-g.kick:
			g.report(ctx, false)
		case <-g.drain:
			drain.Reset(g.drained(time.Now()))
		case now := <-drain.C:
			drain.Reset(g.drained(now))
		}
	}
}

// drained ends what is due and gives the time until the next.
func (g *Gateway) drained(now time.Time) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	for len(g.draining) > 0 {
		d := g.draining[0]
		if wait := d.at.Sub(now); wait > 0 {
			return wait
		}
		g.draining = g.draining[1:]
		switch {
		case d.seg == nil:
			g.finish(d.s)
		case d.s.open == d.seg && !d.s.ended && !d.s.tunnel.Active():
			if c, err := g.path.Usage(d.s.teid); err == nil {
				g.endSegment(d.s, c.Count)
			}
		}
	}
	return time.Hour
}

// told is a record and the segment it is of.
type told struct {
	seg *segment
	rec usage.Record
	c   datapath.Count
}

// gather lists what the sink does not know yet: closed segments, and open ones
// of all sessions or only of those that moved much.
func (g *Gateway) gather(all bool) []told {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	var out []told
	for _, seg := range g.closed {
		out = append(out, seg.record(seg.count, now))
	}
	one := func(s *session) {
		if s.open == nil {
			return
		}
		u, err := g.path.Usage(s.teid)
		if err != nil {
			return
		}
		c := u.Sub(s.open.base)
		if !s.open.toldAny || c != s.open.told {
			out = append(out, s.open.record(c, now))
		}
	}
	if all {
		for _, s := range g.sessions {
			one(s)
		}
	} else {
		for s := range g.dirty {
			one(s)
		}
	}
	clear(g.dirty)
	return out
}

func (seg *segment) record(c datapath.Count, now time.Time) told {
	s := seg.session
	ul, packets := c.Arrived() // what the tower has brought, lost here or not
	return told{seg, usage.Record{
		Session: uint64(s.id), Ticket: seg.ticket, Segment: seg.bytes, TEID: s.teid,
		UL: ul, DL: c.DLOctets, ULPackets: packets, DLPackets: c.DLPackets, Closed: seg.closed, At: now,
	}, c}
}

// report tells the sink; what it did not take is told again.
func (g *Gateway) report(ctx context.Context, all bool) {
	batch := g.gather(all)
	if g.o.Sink == nil {
		g.taken(batch)
		return
	}
	for len(batch) > 0 {
		n := min(len(batch), reportBatch)
		records := make([]usage.Record, n)
		for i, t := range batch[:n] {
			records[i] = t.rec
		}
		ctx, cancel := context.WithTimeout(ctx, reportTimeout)
		err := g.o.Sink.Report(ctx, records)
		cancel()
		if err != nil {
			g.log.Warn("gateway: usage report not taken", "records", n, logs.Error, peertls.InWords(err))
			return
		}
		g.taken(batch[:n])
		batch = batch[n:]
	}
}

// taken notes what the sink has.
func (g *Gateway) taken(batch []told) {
	g.mu.Lock()
	defer g.mu.Unlock()
	gone := false
	for _, t := range batch {
		t.seg.told, t.seg.toldAny = t.c, true
		if t.rec.Closed {
			t.seg.toldClosed, gone = true, true
		}
	}
	if !gone {
		return
	}
	keep := g.closed[:0]
	for _, seg := range g.closed {
		if !seg.toldClosed {
			keep = append(keep, seg)
		}
	}
	clear(g.closed[len(keep):])
	g.closed = keep
}

// shutdown ends every session and reports the last counts.
func (g *Gateway) shutdown() {
	g.mu.Lock()
	for _, s := range g.sessions {
		g.end(s)
	}
	for _, s := range g.sessions {
		g.finish(s)
	}
	g.draining = nil
	g.mu.Unlock()
	g.report(context.Background(), false)
	if n := g.Stats().Unreported; n > 0 {
		g.log.Error("gateway: usage records were taken by nobody", "records", n)
	}
}
