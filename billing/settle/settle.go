// Package settle is the tower owner's cashier: it shows the chain the highest
// voucher of each channel, again and again until the chain has it, and claims
// what was earned when asked. Vouchers that cannot be posted lose nothing by
// waiting, for a later one is worth all before it. It judges no voucher
// (enb-agent/agent did) and keeps no books of its own: the chain does.
package settle

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"campanile.network/internal/peertls"
	"campanile.network/wire/proof"
)

// Settled is what a voucher did on chain.
type Settled struct {
	Channel uint64
	Paid    proof.Amount // what this voucher moved to the tower's shares
	Owing   proof.Amount // what is promised beyond the reserve
}

// Chain takes transactions; a call returns when the transaction is in a block
// or has failed, or when ctx ends.
type Chain interface {
	// Settle shows one signed voucher.
	Settle(ctx context.Context, voucher []byte) (Settled, error)
	// Claim moves everything earned to the owner's balance and says how much.
	Claim(ctx context.Context) (proof.Amount, error)
	// Promised is the amount of the highest voucher the chain has of a channel,
	// from memory. It is false for a channel that takes none any more.
	Promised(channel uint64) (proof.Amount, bool)
}

// Holder has the tower's vouchers: the highest signed one of each channel.
type Holder interface{ Vouchers() [][]byte }

// Options make a Settler. Chain and Holder are required.
type Options struct {
	Chain   Chain
	Holder  Holder
	Every   time.Duration // how often vouchers are posted; 0 means 10 s
	Retry   time.Duration // how soon after a failure, at most Every; 0 means 10 s
	Timeout time.Duration // of one transaction; 0 means 30 s
	Logger  *slog.Logger  // nil discards
}

// Settler posts vouchers and claims.
type Settler struct {
	Options
	turn chan struct{} // one transaction of ours at a time

	mu       sync.Mutex
	channels map[uint64]Channel
	claimed  proof.Amount
	trouble  string
}

// Channel is what has become of one channel's vouchers since the start.
type Channel struct {
	Channel uint64
	Seq     uint64       // of the voucher last posted
	Amount  proof.Amount // of it
	Paid    proof.Amount // by vouchers posted since the start
	Owing   proof.Amount // promised beyond the reserve
	At      time.Time    // of the last payment
}

// View is what a settler shows.
type View struct {
	Channels []Channel    // by number
	Claimed  proof.Amount // since the start
	Trouble  string       // why the last attempt failed, or ""
}

// New checks options.
func New(o Options) (*Settler, error) {
	if o.Chain == nil || o.Holder == nil {
		return nil, fmt.Errorf("settle: chain given: %t, holder of vouchers given: %t; both are needed", o.Chain != nil, o.Holder != nil)
	}
	for _, d := range []struct {
		p *time.Duration
		v time.Duration
	}{{&o.Every, 10 * time.Second}, {&o.Retry, 10 * time.Second}, {&o.Timeout, 30 * time.Second}} {
		if *d.p == 0 {
			*d.p = d.v
		}
		if *d.p < 0 {
			return nil, fmt.Errorf("settle: negative time %v", *d.p)
		}
	}
	o.Retry = min(o.Retry, o.Every)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Settler{Options: o, turn: make(chan struct{}, 1), channels: map[uint64]Channel{}}, nil
}

// Serve posts until ctx ends.
func (s *Settler) Serve(ctx context.Context) error {
	wait := s.Every
	for {
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
		wait = s.Every
		if err := s.Post(ctx); err != nil {
			wait = s.Retry
		}
	}
}

// Post shows the chain every voucher it does not have, now.
func (s *Settler) Post(ctx context.Context) error {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	return s.postAll(ctx)
}

func (s *Settler) postAll(ctx context.Context) error {
	var errs []error
	for _, b := range s.Holder.Vouchers() {
		if err := s.post(ctx, b); err != nil {
			errs = append(errs, err)
		}
	}
	return s.note(errors.Join(errs...))
}

func (s *Settler) post(ctx context.Context, b []byte) error {
	v, err := proof.PeekVoucher(b)
	if err != nil {
		return fmt.Errorf("settle: %w", err)
	}
	if promised, ok := s.Chain.Promised(v.Channel); !ok || promised.Cmp(v.Amount) >= 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	r, err := s.Chain.Settle(ctx, b)
	if err != nil {
		return fmt.Errorf("settle: voucher %d of channel %d: %w", v.Seq, v.Channel, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.channels[v.Channel]
	sum, err := c.Paid.Add(r.Paid)
	if err != nil {
		return fmt.Errorf("settle: channel %d: %w", v.Channel, err)
	}
	s.channels[v.Channel] = Channel{v.Channel, v.Seq, v.Amount, sum, r.Owing, time.Now()}
	s.Logger.Info("paid", "channel", v.Channel, "seq", v.Seq, "paid", r.Paid, "owing", r.Owing)
	return nil
}

// Claim posts what is not posted and claims everything earned.
func (s *Settler) Claim(ctx context.Context) (proof.Amount, error) {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return proof.Amount{}, ctx.Err()
	}
	if err := s.postAll(ctx); err != nil {
		return proof.Amount{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	a, err := s.Chain.Claim(ctx)
	if err != nil {
		return proof.Amount{}, s.note(fmt.Errorf("settle: claim: %w", err))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sum, err := s.claimed.Add(a)
	if err != nil {
		return proof.Amount{}, fmt.Errorf("settle: claim: %w", err)
	}
	s.claimed = sum
	if !a.IsZero() {
		s.Logger.Info("claimed", "amount", a)
	}
	return a, nil
}

// note keeps the trouble for the view and logs it when it is new.
func (s *Settler) note(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := ""
	if err != nil {
		text = peertls.InWords(err)
	}
	if text != s.trouble && text != "" {
		s.Logger.Warn("not posted, will be tried again", "err", text, "after", s.Retry)
	}
	s.trouble = text
	return err
}

// Snapshot copies what there is to show.
func (s *Settler) Snapshot() View {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := View{Claimed: s.claimed, Trouble: s.trouble}
	for _, c := range s.channels {
		v.Channels = append(v.Channels, c)
	}
	slices.SortFunc(v.Channels, func(a, b Channel) int { return cmp.Compare(a.Channel, b.Channel) })
	return v
}
