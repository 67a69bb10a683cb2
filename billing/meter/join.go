package meter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"campanile.network/internal/peertls"
	"campanile.network/wire/link"
	"campanile.network/wire/proof"
)

// joined is the link of one tower.
type joined struct {
	number uint64        // among the tower's links
	wake   chan struct{} // something new may be there to be sent
	ousted chan struct{} // closed when the tower has joined anew
}

func (j *joined) poke() {
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// poke has a tower told what is new, if it is linked.
func (m *Meter) poke(a *account) {
	if j := m.links[a.tower]; j != nil {
		j.poke()
	}
}

// Reasons why a link ends.
var (
	errAnew    = errors.New("meter: the tower has joined anew")
	errStopped = errors.New("meter: stopped")
)

// parting is why a link ended, for people.
func parting(err error) string {
	switch {
	case errors.Is(err, io.EOF):
		return "the tower has ended the link"
	case status.Code(err) == codes.Canceled:
		return "its connection is gone"
	}
	return peertls.InWords(err)
}

// Join implements link.Core for registered towers. A tower that joins again
// ends its older link.
func (m *Meter) Join(tower proof.TowerKey, c link.Conn[link.FromTower, link.ToTower]) error {
	if !m.Ledger.Tower(tower) {
		m.Logger.Warn("tower refused: not registered", "tower", tower.Short())
		return fmt.Errorf("meter: tower %v is not registered on %s", tower, m.ChainID)
	}
	j := &joined{wake: make(chan struct{}, 1), ousted: make(chan struct{})}
	m.mu.Lock()
	if m.stopped {
		m.mu.Unlock()
		return errStopped
	}
	if old := m.links[tower]; old != nil {
		close(old.ousted)
	}
	m.links[tower] = j
	a := m.account(tower)
	a.links++
	j.number = a.links
	m.joins.Add(2)
	m.mu.Unlock()
	m.Logger.Info("tower joined", "tower", tower.Short())

	// The transport ends c when Join returns, and with it these two.
	ended := make(chan error, 2)
	go func() { defer m.joins.Done(); ended <- m.hear(j, a, c) }()
	go func() { defer m.joins.Done(); ended <- m.speak(j, a, c) }()
	var err error
	select {
	case err = <-ended:
	case <-j.ousted:
		err = errAnew
	case <-m.stop:
		err = errStopped
	}
	m.mu.Lock()
	if m.links[tower] == j {
		delete(m.links, tower)
	}
	m.mu.Unlock()
	m.Logger.Info("tower left", "tower", tower.Short(), "reason", parting(err))
	return err
}

// hear takes what the tower says.
func (m *Meter) hear(j *joined, a *account, c link.Conn[link.FromTower, link.ToTower]) error {
	for {
		msg, err := c.Recv()
		if err != nil {
			return err
		}
		m.mu.Lock()
		if a.links != j.number { // what an older link has still to say is out of date
			m.mu.Unlock()
			return errAnew
		}
		switch {
		case msg.Report != nil:
			err = m.hearReport(a, msg.Report, time.Now())
		case msg.Seen != nil:
			if msg.Seen.Channel == a.Channel && msg.Seen.Seq > a.Seen && msg.Seen.Seq <= a.Seq {
				a.Seen = msg.Seen.Seq
				m.changed.accounts[a] = true
			} else if msg.Seen.Channel == a.Channel && msg.Seen.Seq > a.Seq {
				m.Logger.Warn("tower has seen a voucher this meter has not signed: has its store been lost?",
					"tower", a.tower.Short(), "seen", msg.Seen.Seq, "seq", a.Seq)
			}
		case msg.Radio != nil:
			a.radio, a.radioAt = msg.Radio, time.Now()
		case msg.Notice != nil:
			err = m.hearNotice(a, *msg.Notice, time.Now())
		}
		m.mu.Unlock()
		if err != nil {
			m.Logger.Error("meter", "tower", a.tower.Short(), "err", err)
		}
	}
}

// maxPools bounds the tunnels one tower may speak of.
const maxPools = 65536

// hearReport takes a tower's counts. They are stored with the next voucher or
// round: until then the tower can say them again.
func (m *Meter) hearReport(a *account, r *link.Report, now time.Time) error {
	a.reported = now
	for _, n := range r.Counts {
		p := a.pools[n.TEID]
		if p == nil {
			if len(a.pools) >= maxPools {
				m.prunePools(a, now, shortSilence)
			}
			if len(a.pools) >= maxPools {
				m.Logger.Warn("tower speaks of too many tunnels: passed over", "tower", a.tower.Short(), "teid", n.TEID, "most", maxPools)
				break
			}
			p = &pool{Epoch: r.Epoch, At: now}
			a.pools[n.TEID] = p
		}
		grown := p.update(r.Epoch, Counts{UL: n.UL, DL: n.DL}, now)
		a.Tower = a.Tower.plus(grown)
		m.changed.pools[poolKey{a, n.TEID}] = true
		m.share(a, n.TEID)
	}
	m.changed.accounts[a] = true
	left := openCount(a)
	m.finish(a, now)
	if a.lag().Bytes >= m.Step || openCount(a) < left {
		m.sign(a, now)
		return m.flush()
	}
	return nil
}

func openCount(a *account) (n int) {
	for range a.open() {
		n++
	}
	return n
}

// speak sends terms, vouchers and what was heard, each when it is new on this
// link.
func (m *Meter) speak(j *joined, a *account, c link.Conn[link.FromTower, link.ToTower]) error {
	var terms link.Terms
	var sent uint64
	var said link.Heard
	ctx := c.Context()
	for first := true; ; first = false {
		t, voucher, seq, heard := m.news(a)
		billed := t.BilledOctets
		if t.BilledOctets = terms.BilledOctets; first || t != terms {
			t.BilledOctets = billed
			if err := c.Send(link.ToTower{Terms: &t}); err != nil {
				return err
			}
			terms, sent = t, 0
		}
		if voucher != nil && seq != sent {
			if err := c.Send(link.ToTower{Voucher: voucher}); err != nil {
				return err
			}
			sent = seq
		}
		if heard != said {
			if err := c.Send(link.ToTower{Heard: &heard}); err != nil {
				return err
			}
			said = heard
		}
		select {
		case <-j.wake:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// news is what a tower should know now: the terms of its channel, which may be
// channel 0 (none), the newest voucher and the newest notice that are stored.
func (m *Meter) news(a *account) (t link.Terms, voucher []byte, seq uint64, heard link.Heard) {
	m.mu.Lock()
	defer m.mu.Unlock()
	heard = link.Heard{Epoch: a.notices.Epoch, Number: a.notices.Number}
	ch, _ := m.Ledger.Channel(m.self, a.tower)
	t = link.Terms{ChainID: m.ChainID, Channel: ch.ID, Payer: m.self, Prices: ch.Prices,
		WindowOctets: m.WindowOctets, WindowPermille: m.WindowPermille}
	if ch.ID == 0 || a.sent == nil {
		return t, nil, 0, heard
	}
	v, err := proof.PeekVoucher(a.sent)
	if err != nil || v.Channel != ch.ID {
		return t, nil, 0, heard
	}
	t.BilledOctets = v.Bytes
	return t, a.sent, v.Seq, heard
}
