package txn

import "testing"

// A connection has the number of none that was before a restart, but by chance.
func TestConnectionsAreNumberedAnew(t *testing.T) {
	if a, b := newStreams(), newStreams(); a.last == b.last {
		t.Errorf("both begin at %d", a.last)
	}
}
