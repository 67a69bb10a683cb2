package settle_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/billing/settle"
	"campanile.network/wire/proof"
)

// chain pays cumulative vouchers out of one reserve, as x/settlement does.
type chain struct {
	mu        sync.Mutex
	halted    bool
	reserve   uint64
	promised  map[uint64]uint64
	seq, paid map[uint64]uint64
	earned    uint64
	calls     int
}

func (c *chain) Promised(channel uint64) (proof.Amount, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return proof.AmountOf(c.promised[channel]), channel != 99
}

func (c *chain) Settle(ctx context.Context, b []byte) (settle.Settled, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls++
	if c.halted {
		c.mu.Unlock()
		<-ctx.Done()
		c.mu.Lock()
		return settle.Settled{}, errors.New("no block within the time allowed")
	}
	v, err := proof.PeekVoucher(b)
	if err != nil {
		return settle.Settled{}, err
	}
	var amount uint64
	for _, d := range v.Amount.String() {
		amount = amount*10 + uint64(d-'0')
	}
	pay := min(amount, c.reserve) - c.paid[v.Channel]
	c.promised[v.Channel] = amount
	c.seq[v.Channel], c.paid[v.Channel] = v.Seq, c.paid[v.Channel]+pay
	c.earned += pay
	return settle.Settled{Channel: v.Channel, Paid: proof.AmountOf(pay), Owing: proof.AmountOf(amount - min(amount, c.reserve))}, nil
}

// halt stops blocks, or lets them go on.
func (c *chain) halt(yes bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.halted = yes
}

func (c *chain) Claim(context.Context) (proof.Amount, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	got := c.earned
	c.earned = 0
	return proof.AmountOf(got), nil
}

type purse struct {
	mu   sync.Mutex
	held map[uint64][]byte
}

func (p *purse) Vouchers() (list [][]byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, b := range p.held {
		list = append(list, b)
	}
	return list
}

func (p *purse) put(t testing.TB, channel, seq, amount uint64) {
	b, err := proof.Voucher{ChainID: "campanile-test", Channel: channel, Seq: seq, Amount: proof.AmountOf(amount)}.Sign(proof.NewSigningKey())
	if err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held[channel] = b
}

func serve(t *testing.T, every time.Duration) (*chain, *purse, *settle.Settler) {
	c := &chain{reserve: 1000, promised: map[uint64]uint64{}, seq: map[uint64]uint64{}, paid: map[uint64]uint64{}}
	p := &purse{held: map[uint64][]byte{}}
	s, err := settle.New(settle.Options{Chain: c, Holder: p, Every: every})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return c, p, s
}

func TestPostsWhatIsHigherAndNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p, s := serve(t, 10*time.Second)
		p.put(t, 4, 7, 300)
		p.put(t, 99, 1, 5) // a channel that is closed
		time.Sleep(11 * time.Second)
		synctest.Wait()
		if c.seq[4] != 7 || c.paid[4] != 300 || c.calls != 1 {
			t.Fatalf("after 11 s: %+v", c)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if c.calls != 1 {
			t.Fatalf("the same voucher was posted %d times", c.calls)
		}
		p.put(t, 4, 9, 1200) // beyond the reserve
		time.Sleep(10 * time.Second)
		synctest.Wait()
		v := s.Snapshot()
		if len(v.Channels) != 1 || v.Channels[0].Paid != proof.AmountOf(1000) || v.Channels[0].Owing != proof.AmountOf(200) || v.Channels[0].Seq != 9 {
			t.Fatalf("%+v", v)
		}
		p.put(t, 4, 10, 1300)
		if a, err := s.Claim(t.Context()); err != nil || a != proof.AmountOf(1000) || c.seq[4] != 10 {
			t.Fatalf("claim %v, %v; posted %d first", a, err, c.seq[4])
		}
		if a, err := s.Claim(t.Context()); err != nil || !a.IsZero() {
			t.Fatalf("second claim %v, %v", a, err)
		}
	})
}

func TestWaitsOutAHalt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p, s := serve(t, 24*time.Hour) // as on a public network; a failure is tried again sooner
		c.halt(true)
		p.put(t, 4, 7, 300)
		time.Sleep(24*time.Hour + time.Minute)
		synctest.Wait()
		if v := s.Snapshot(); c.paid[4] != 0 || !strings.Contains(v.Trouble, "voucher 7 of channel 4") {
			t.Fatalf("%+v, %+v", c, v)
		}
		if _, err := s.Claim(t.Context()); err == nil {
			t.Error("claimed while blocks stand still")
		}
		p.put(t, 4, 8, 400) // counting went on meanwhile
		c.halt(false)
		time.Sleep(time.Minute)
		synctest.Wait()
		if v := s.Snapshot(); c.paid[4] != 400 || c.seq[4] != 8 || v.Trouble != "" {
			t.Fatalf("%+v, %+v", c, v)
		}
	})
}
