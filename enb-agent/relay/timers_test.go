package relay_test

import (
	"context"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/enb-agent/relay"
	"campanile.network/internal/sctp"
	"campanile.network/internal/sctp/sctptest"
)

// The way of a relay in a pool to its MME, 50 ms long: where 5 % of all packets are lost it stands
// for hours, whether there is little to say or nothing; an MME that is killed is noticed in time,
// whatever was last said to it. Alone, a relay may have waited longer already for what was lost
// before: six waits of a minute at most, and one for a heartbeat.
func TestPoolTimers(t *testing.T) {
	for _, c := range []struct {
		name   string
		timers sctp.Timers
		every  time.Duration // between messages; 0: there are none
		from   time.Duration // within which the end is noticed
		until  time.Duration
	}{
		{"in a pool, idle", relay.PoolTimers(), 0, 6 * time.Second, 20 * time.Second},
		{"in a pool, with signalling", relay.PoolTimers(), 7 * time.Second, 6 * time.Second, 20 * time.Second},
		{"alone, idle", relay.Timers(), 0, 25 * time.Second, 7 * time.Minute},
		{"alone, with signalling", relay.Timers(), 7 * time.Second, 25 * time.Second, 7 * time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			for seed := range uint64(3) {
				synctest.Test(t, func(t *testing.T) { silent(t, seed, c.timers, c.every, c.from, c.until) })
			}
		})
	}
}

func silent(t *testing.T, seed uint64, timers sctp.Timers, every, from, until time.Duration) {
	net := sctptest.New(seed, sctptest.Conditions{Delay: 50 * time.Millisecond, Jitter: 10 * time.Millisecond, Loss: 0.05})
	end := func(a netip.Addr, timers sctp.Timers) *sctp.Userspace {
		sock, err := net.Open(netip.AddrPortFrom(a, sctp.DefaultEncapPort))
		if err != nil {
			t.Fatal(err)
		}
		ep, err := sctp.NewUDP(sctp.Options{Conn: sock, Timers: timers})
		if err != nil {
			t.Fatal(err)
		}
		return ep
	}
	tower, core := end(coreAddr, timers), end(mmeAddr, relay.Timers())
	defer tower.Close()
	defer core.Close()
	l, err := core.Listen(36412)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for a, err := l.Accept(context.Background()); err == nil; a, err = l.Accept(context.Background()) {
			go func() {
				for m, err := a.Recv(context.Background()); err == nil; m, err = a.Recv(context.Background()) {
					_ = a.Send(context.Background(), 0, m.PPID, m.Data)
				}
			}()
		}
	}()
	a, err := tower.Dial(t.Context(), netip.AddrPortFrom(mmeAddr, 36412), sctp.DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var talking sync.WaitGroup
	defer talking.Wait()
	if every > 0 {
		talking.Go(func() {
			for a.Err() == nil {
				<-time.After(every)
				_ = a.Send(context.Background(), 0, 18, make([]byte, 100))
			}
		})
	}
	go func() {
		for _, err := a.Recv(context.Background()); err == nil; _, err = a.Recv(context.Background()) {
		}
	}()
	began := time.Now()
	select {
	case <-time.After(6 * time.Hour):
	case <-a.Done():
		t.Errorf("seed %d: %v after %v of 5 %% loss", seed, a.Err(), time.Since(began))
		return
	}
	net.SetConditions(sctptest.Conditions{Loss: 1})
	began = time.Now()
	<-a.Done()
	if d := time.Since(began); d < from || d > until {
		t.Errorf("seed %d: silence is noticed after %v, want %v to %v", seed, d, from, until)
	}
}
