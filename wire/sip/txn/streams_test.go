package txn

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// A connection has the number of none that was before a restart, but by chance.
func TestConnectionsAreNumberedAnew(t *testing.T) {
	if a, b := newStreams(), newStreams(); a.last == b.last {
		t.Errorf("both begin at %d", a.last)
	}
}

// TestOneFriend is somebody known who asks too often: he has his own rate and then a
// stranger's, and no more.
func TestOneFriend(t *testing.T) {
	within(t, nil, nil, func(w *town) {
		w.e.Know(Flow{Transport: UDP, Remote: there}, time.Now().Add(time.Hour))
		for i := range 2000 {
			w.far.says(strings.ReplaceAll(request("OPTIONS", fmt.Sprint("z9hG4bK", i), ""), "call-1", fmt.Sprint("call-", i)))
		}
		if n := len(w.in); n != 800 {
			w.Errorf("%d of 2000 were let in, want two bursts", n)
		}
	})
}
