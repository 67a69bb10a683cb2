package node

import (
	"runtime"
	"testing"
	"time"
)

// engineLeaves is how many goroutines CometBFT 0.39 itself leaves behind each
// time: those of the file of its write-ahead log (libs/autofile), which hold
// nothing else.
const engineLeaves = 2

func TestNothingRunsAfterServe(t *testing.T) {
	home, _ := initChain(t)
	once := func() {
		_, stop := serve(t, Options{Home: home, GRPC: "127.0.0.1:0", RPC: "127.0.0.1:0"})
		stop()
	}
	once() // what libraries start once for the whole process
	settle := func(most int) int {
		tick, end := time.NewTicker(50*time.Millisecond), time.After(3*time.Second)
		defer tick.Stop()
		for n := runtime.NumGoroutine(); ; n = runtime.NumGoroutine() {
			select {
			case <-tick.C:
				if n <= most {
					return n
				}
			case <-end:
				return n
			}
		}
	}
	before := settle(0) // waits until databases have drained their pools
	const times = 3
	for range times {
		once()
	}
	if after := settle(before + times*engineLeaves); after > before+times*engineLeaves {
		t.Errorf("%d goroutines, %d before %d more runs", after, before, times)
	}
}
