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
			g.flush(nil)
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
	defer g.flush(nil)
	for len(g.draining) > 0 {
		d := g.draining[0]
		if wait := d.at.Sub(now); wait > 0 {
			return wait
		}
		g.draining = g.draining[1:]
		switch {
		case d.u != nil:
			g.overslept(d.u)
		case d.ddn != nil:
			g.tellWaiting(d.ddn)
		case d.b == nil && d.s.ended:
			g.finish(d.s)
		case d.b == nil:
			g.stillOut(d.s)
		case d.seg == nil:
			if _, still := d.s.making[d.b]; still {
				g.finishBearer(d.b)
			}
		case d.b.open == d.seg && !d.s.ended && !d.b.tunnel.Active():
			g.endSegment(d.b, g.usage(d.b))
			g.touch(d.s)
		}
	}
	return time.Hour
}

// told is a record and the segment it is of.
type told struct {
	seg *segment
	rec usage.Record
	c   datapath.Usage
}

// gather lists what the sink does not know yet: closed segments, and open ones
// of all sessions or only of those that moved much.
func (g *Gateway) gather(all bool) []told {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	var out []told
	for _, seg := range g.closed {
		out = append(out, g.toldOf(seg, seg.count, now))
	}
	one := func(s *session) {
		for _, b := range s.all() {
			if b.open == nil {
				continue
			}
			if c := minus(g.usage(b), b.open.base); !b.open.toldAny || c != b.open.told {
				out = append(out, g.toldOf(b.open, c, now))
			}
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

// toldOf is what the sink is told. Uplink is what arrived from the tower, which has
// counted it too, though it may have gone no further.
func (g *Gateway) toldOf(seg *segment, c datapath.Usage, now time.Time) told {
	b := seg.bearer
	r := usage.Record{Session: b.number, Ticket: seg.ticket, Segment: seg.bytes, TEID: b.teid,
		DL: c.DLOctets, DLPackets: c.DLPackets, Lost: c.LostOctets, LostPackets: c.LostPackets, Closed: seg.closed, At: now}
	r.UL, r.ULPackets = c.Arrived()
	r.Classes = g.classes(c)
	return told{seg, r, c}
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
	defer g.flush(nil)
	gone := false
	for _, t := range batch {
		t.seg.told, t.seg.toldAny = t.c, true
		if t.rec.Closed {
			t.seg.toldClosed, gone = true, true
			g.forgetClosed(t.seg)
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

// shutdown reports the last counts; sessions that no store keeps have ended.
func (g *Gateway) shutdown() {
	g.mu.Lock()
	if g.o.Store == nil {
		for _, s := range g.sessions {
			g.end(s)
		}
		for _, s := range g.sessions {
			g.finish(s)
		}
	}
	g.draining = nil
	g.mu.Unlock()
	g.report(context.Background(), true)
	if n := g.Stats().Unreported; n > 0 && g.o.Store == nil {
		g.log.Error("gateway: usage records were taken by nobody", "records", n)
	}
	g.lastCommit()
}
