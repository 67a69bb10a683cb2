package table

import (
	"math/rand/v2"
	"sync"
	"testing"
)

const second = uint64(1e9) * TicksPerNano

// Whatever the rate and the sizes, an impatient sender gets the rate, to a packet
// and the burst.
func TestRateIsMetExactly(t *testing.T) {
	for _, rate := range []uint64{MinRate, 64_000, 1_234_567, 10_000_000, 999_999_999, 10_000_000_000, 100_000_000_000} {
		var p Policer
		p.SetRate(rate)
		rng := rand.New(rand.NewPCG(rate, 1))
		now, sent := 100*second, uint64(0)
		for p.Pass(now, 1500) { // the burst
		}
		step := min(max(64, 8*700*second/rate/3), BurstTicks/2)
		end := now + step*50_000
		for ; now < end; now += step {
			if n := 40 + rng.Uint64N(1460); p.Pass(now, n) {
				sent += n
			}
		}
		want := float64(rate) / 8 * float64(step) * 50_000 / float64(second)
		if got := float64(sent); got < want*0.999-1500 || got > want*1.001+1500 {
			t.Errorf("%d bit/s: %.0f octets, want %.0f", rate, got, want)
		}
	}
}

func TestSilenceSavesOneBurst(t *testing.T) {
	var p Policer
	p.SetRate(8_000_000) // an octet a microsecond
	for _, now := range []uint64{second, 1000 * second} {
		n := uint64(0)
		for p.Pass(now, 1000) {
			n += 1000
		}
		if want := uint64(Burst / 1000); n < want || n > want+1000 {
			t.Errorf("%d octets at once, want %d and a packet", n, want)
		}
	}
	p.Return(1000)
	if !p.Pass(1000*second, 1000) || p.Pass(1000*second, 1000) {
		t.Error("want what was given back, once")
	}
	p.SetRate(0)
	if !p.Pass(0, 1<<16) || p.Bounds() {
		t.Error("no rate holds nothing back")
	}
}

// Several at once get one rate together.
func TestConcurrentSendersShareARate(t *testing.T) {
	var p Policer
	p.SetRate(8_000_000)
	var wg sync.WaitGroup
	var sent [4]uint64
	for i := range sent {
		wg.Go(func() {
			for n := range uint64(100_000) {
				if p.Pass(second+n*second/100_000, 100) {
					sent[i] += 100
				}
			}
		})
	}
	wg.Wait()
	sum, want := sent[0]+sent[1]+sent[2]+sent[3], uint64(1_000_000)+uint64(Burst/1000)
	if sum > want+400 || sum < want*9/10 {
		t.Errorf("%d octets in a second, want %d", sum, want)
	}
}

func BenchmarkPass(b *testing.B) {
	var p Policer
	p.SetRate(1e12)
	var now uint64
	b.ReportAllocs()
	for b.Loop() {
		now += 1000
		p.Pass(now, 1500)
	}
}
