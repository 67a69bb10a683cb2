package sim

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// Quantiles are never below the true ones, and at most 3 % above.
func TestTimes(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		h := &times{}
		var all []time.Duration
		for range 1 + rnd.IntN(3000) {
			d := time.Duration(rnd.Int64N(1 << (10 + rnd.IntN(26)))).Truncate(time.Microsecond)
			all = append(all, d)
			h.add(d)
		}
		slices.Sort(all)
		for _, share := range []int{1, 50, 90, 99, 100} {
			want := float64(all[(share*len(all)+99)/100-1].Microseconds()) / 1000
			if got := h.at(float64(share) / 100); got < want || got > want*33/32+.001 {
				t.Fatalf("%d %% of %d: %v ms, want %v", share, len(all), got, want)
			}
		}
	}
	if (&times{}).at(.5) != 0 {
		t.Error("nothing took some time")
	}
	long := &times{}
	long.add(10 * 365 * 24 * time.Hour)
	if long.at(.5) == 0 {
		t.Error("ten years are nothing")
	}
}

// Every value lies in the bucket it is put into, and buckets follow each other.
func TestTimeSteps(t *testing.T) {
	for v := range uint64(1 << 17) {
		if i := step(v); above(i) < v || i > 0 && above(i-1) >= v {
			t.Fatalf("%d is in bucket %d of %d..%d", v, i, above(max(i, 1)-1)+1, above(i))
		}
	}
}
