package userspace

import (
	"testing"

	"campanile.network/3gpp/id"
	"campanile.network/gateway/datapath/table"
)

// Every record is given out once, wherever it is asked for; the one beside a bearer
// if nobody has it, and a resumed session's own before that.
func TestSlotsAreGivenOnce(t *testing.T) {
	tab := table.New(8, 8, false)
	tab.TakeSession(5, 77, false)
	var f freeSlots
	f.begin(tab)
	taken := make(map[uint32]bool)
	take := func(owner uint64, beside, want uint32) {
		t.Helper()
		teid := beside
		if beside != 0 {
			teid |= 1 << 20
		}
		s, ok := f.take(owner, id.TEID(teid))
		if !ok || s != want || taken[s] {
			t.Fatalf("session %d beside %d: slot %d, %v, want %d", owner, beside, s, ok, want)
		}
		taken[s] = true
	}
	take(1, 3, 3)
	take(77, 6, 5) // had it in an earlier run
	take(2, 3, 0)  // 3 is another's
	take(3, 99, 1) // beyond the table
	f.give(3)
	delete(taken, 3)
	take(4, 3, 3)
	for _, want := range []uint32{2, 4, 6, 7} { // 3, which was given back, is skipped
		take(9, 0, want)
	}
	if s, ok := f.take(10, 0); ok {
		t.Errorf("a ninth slot of eight: %d", s)
	}
}
