package sctp

import (
	"context"
	"encoding/binary"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/internal/sctp/sctptest"
)

// Throughput over a round trip of 20 ms at several rates of loss, printed. Congestion control makes it fall with loss, and never to nothing: it
// stays within a factor of four of Mathis's MTU/RTT*1.22/sqrt(loss).
func TestThroughputUnderLoss(t *testing.T) {
	const bytes, rtt = 8 << 20, 20 * time.Millisecond
	for _, c := range []struct{ loss, mathis float64 }{{0, 0}, {0.001, 2.7e6}, {0.01, 854e3}, {0.05, 382e3}} {
		synctest.Test(t, func(t *testing.T) {
			k := newLink(t, 3, Options{MTU: 1400, BaseMTU: 1400, SendBuffer: 1 << 20, ReceiveBuffer: 1 << 20})
			defer k.close()
			k.net.SetConditions(sctptest.Conditions{Delay: rtt / 2, Loss: c.loss})
			start := time.Now()
			if err := pump(k.x, k.y, bytes/1000, func(int) int { return 1000 }); err != nil {
				t.Fatal(err)
			}
			rate := bytes / time.Since(start).Seconds()
			s := k.a.Stats()
			t.Logf("loss %4.1f %%: %6.2f Mbit/s, %d fast retransmits, %d T3, %d chunks again", 100*c.loss, rate*8/1e6, s.FastRetransmits, s.T3Expiries,
				s.ChunksRetransmitted)
			if c.loss > 0 && (rate < c.mathis/4 || rate > c.mathis*4) {
				t.Errorf("%.0f byte/s, Mathis says %.0f", rate, c.mathis)
			}
		})
	}
}

// Two associations share a wire of 10 Mbit/s: they fill it, and none starves (RFC 9260 §7).
func TestFairShare(t *testing.T) {
	for _, loss := range []float64{0, 0.01} {
		synctest.Test(t, func(t *testing.T) {
			k := newLink(t, 5, Options{MTU: 1400, BaseMTU: 1400})
			defer k.close()
			l, err := k.b.Listen(36413)
			if err != nil {
				t.Fatal(err)
			}
			x2, err := k.a.Dial(t.Context(), l.Addr(), DialOptions{})
			if err != nil {
				t.Fatal(err)
			}
			y2, err := l.Accept(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			k.net.SetConditions(sctptest.Conditions{Delay: 5 * time.Millisecond, Jitter: time.Millisecond, Rate: 10e6 / 8, Queue: 50 * time.Millisecond, Loss: loss})
			ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
			defer cancel()
			got := [2]chan int{make(chan int, 1), make(chan int, 1)}
			for i, ends := range [2][2]Association{{k.x, k.y}, {x2, y2}} {
				go func() {
					for ends[0].Send(ctx, 0, 18, make([]byte, 1000)) == nil {
					}
				}()
				go func() {
					n := 0
					for m, err := ends[1].Recv(ctx); err == nil; m, err = ends[1].Recv(ctx) {
						n += len(m.Data)
					}
					got[i] <- n
				}()
			}
			p, q := float64(<-got[0]), float64(<-got[1])
			used, share := (p+q)*8/40/10e6, p/(p+q)
			t.Logf("loss %.0f %%: the wire carries %.0f %% user data, shared %.0f:%.0f", 100*loss, 100*used, 100*share, 100-100*share)
			if used < 0.8 || used > 1 || share < 0.3 || share > 0.7 {
				t.Errorf("used %.2f, shared %.2f", used, share)
			}
		})
	}
}

// point is the sender's state when it sends a packet.
type point struct {
	at                     time.Time
	cwnd, ssthresh, flight int
	t3                     uint64
}

// A trace of the congestion window against RFC 9260 §7: slow start (§7.2.1), one packet lost (§7.2.4: half of it), congestion avoidance (§7.2.2:
// one MTU for a round trip), silence for three seconds (§7.2.3: one MTU), slow start up to the threshold, congestion avoidance again.
func TestCongestionTrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const mtu, rtt = 1400, 100 * time.Millisecond
		k := newLink(t, 1, Options{MTU: mtu, BaseMTU: mtu, SendBuffer: 1 << 20, ReceiveBuffer: 1 << 20, Timers: Timers{MaxBurst: 1 << 10}})
		defer k.close()
		k.net.SetConditions(sctptest.Conditions{Delay: rtt / 2})
		var trace []point
		lose, from := k.x.initTSN+400, k.a.EncapAddr()
		k.net.SetFilter(func(p sctptest.Packet) bool {
			if p.From != from || p.Data[12] != ctData {
				return true
			}
			// Packets are sent with the association locked, so its fields may be read here.
			trace = append(trace, point{time.Now(), k.x.cwnd, k.x.ssthresh, k.x.flight, k.a.count.t3.Load()})
			if binary.BigEndian.Uint32(p.Data[16:]) == lose {
				lose = 0
				return false
			}
			return true
		})
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		go func() {
			for k.x.Send(ctx, 0, 18, make([]byte, 1372)) == nil {
			}
		}()
		go func() {
			for _, err := k.y.Recv(ctx); err == nil; _, err = k.y.Recv(ctx) {
			}
		}()
		time.Sleep(15 * time.Second)
		k.net.SetConditions(sctptest.Conditions{Loss: 1})
		time.Sleep(3 * time.Second)
		k.net.SetConditions(sctptest.Conditions{Delay: rtt / 2})
		<-ctx.Done()
		k.net.SetFilter(nil)
		checkTrace(t, trace, start, mtu, rtt)
	})
}

// checkTrace compares what happens in each round trip, and at each change, with what the rules allow.
func checkTrace(t *testing.T, trace []point, start time.Time, mtu int, rtt time.Duration) {
	halved, collapsed := 0, 0
	for i, p := range trace[1:] {
		was := trace[i]
		switch {
		case p.cwnd == was.cwnd:
			continue
		case p.t3 > was.t3: // §7.2.3
			if collapsed++; p.cwnd > mtu || p.ssthresh != max(was.cwnd/2, 4*mtu) {
				t.Errorf("%v: T3 took cwnd from %d to %d, ssthresh %d", p.at.Sub(start), was.cwnd, p.cwnd, p.ssthresh)
			}
		case p.cwnd < was.cwnd: // §7.2.4; SACKs that sent nothing have let it grow since
			if halved++; p.cwnd < max(was.cwnd/2, 4*mtu) || p.cwnd > was.cwnd/2+mtu || p.ssthresh != p.cwnd {
				t.Errorf("%v: a loss took cwnd from %d to %d, ssthresh %d", p.at.Sub(start), was.cwnd, p.cwnd, p.ssthresh)
			}
		case p.cwnd > was.cwnd+mtu: // §7.2.1, §7.2.2: one MTU for a SACK at most
			t.Errorf("%v: cwnd grew from %d to %d", p.at.Sub(start), was.cwnd, p.cwnd)
		}
	}
	if halved != 1 || collapsed < 1 || collapsed > 2 {
		t.Errorf("halved %d times, collapsed %d times, want 1 and 1 or 2", halved, collapsed)
	}
	begin := trace[0]
	for _, p := range trace { // round trip by round trip
		if p.at.Sub(begin.at) < rtt {
			continue
		}
		grew, full := p.cwnd-begin.cwnd, begin.flight >= begin.cwnd-mtu
		switch avoiding := begin.cwnd > begin.ssthresh; {
		case grew <= 0 || p.t3 != begin.t3 || p.at.Sub(begin.at) > 2*rtt:
		case avoiding && grew > 2*mtu, avoiding && full && grew == 0, !avoiding && p.cwnd > 2*begin.cwnd+mtu:
			t.Errorf("%v: in a round trip cwnd went from %d to %d, ssthresh %d", p.at.Sub(start), begin.cwnd, p.cwnd, begin.ssthresh)
		}
		begin = p
		if ms := p.at.Sub(start).Milliseconds(); ms/1000 != (ms-rtt.Milliseconds())/1000 {
			t.Logf("%6.1f s cwnd %7d ssthresh %7d flight %7d", float64(ms)/1000, p.cwnd, p.ssthresh, p.flight)
		}
	}
}
