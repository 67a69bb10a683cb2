package sim

import (
	"math/bits"
	"time"
)

// times is a histogram of durations that is right within 3 % and does not grow: 32
// steps for each power of two of a microsecond.
type times struct {
	n       uint64
	buckets [40 * timeSteps]uint64
	max     time.Duration
}

const timeSteps = 32

func (t *times) add(d time.Duration) {
	t.n++
	t.max = max(t.max, d)
	t.buckets[min(step(uint64(max(d, 0).Microseconds())), len(t.buckets)-1)]++
}

// step is the bucket of v.
func step(v uint64) int {
	if v < timeSteps {
		return int(v)
	}
	e := bits.Len64(v) - 6 // v>>e is 32..63
	return (e+1)*timeSteps + int(v>>e) - timeSteps
}

// above is the upper end of a bucket, in microseconds.
func above(i int) uint64 {
	if i < timeSteps {
		return uint64(i)
	}
	e := i/timeSteps - 1
	return uint64(i%timeSteps+timeSteps+1)<<e - 1
}

// at gives what a share of all, such as 0.99, did not exceed, in milliseconds.
func (t *times) at(share float64) float64 {
	if t.n == 0 {
		return 0
	}
	left := int64(share*float64(t.n) + 0.999999)
	for i, n := range t.buckets {
		if left -= int64(n); left <= 0 {
			return min(float64(above(i)), float64(t.max.Microseconds())) / 1000
		}
	}
	return float64(t.max.Microseconds()) / 1000
}
