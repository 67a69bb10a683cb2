package userspace

import (
	"campanile.network/3gpp/id"
	"campanile.network/gateway/datapath"
	"campanile.network/gateway/datapath/table"
)

// freeSlots are the session records that nobody has: those that never had an
// owner or lost it first, then those of an earlier run that was not resumed.
type freeSlots struct {
	queue  []uint32 // those that were taken since are skipped
	queued []bool   // is in it
	free   []bool
	old    map[uint64]uint32 // by session
}

func (f *freeSlots) begin(t *table.Table) {
	f.free, f.queued = make([]bool, t.Sessions()), make([]bool, t.Sessions())
	f.queue = make([]uint32, 0, t.Sessions())
	f.old = make(map[uint64]uint32)
	for i := range uint32(t.Sessions()) {
		if owner := t.Session(i).Owner(); owner != 0 {
			f.old[owner] = i
		} else {
			f.give(i)
		}
	}
}

// take gives a session the record it had, the one at the slot of its default
// bearer, or the one that is free for the longest time.
func (f *freeSlots) take(owner uint64, beside id.TEID) (uint32, bool) {
	if s, ok := f.old[owner]; ok {
		delete(f.old, owner)
		return s, true
	}
	if s := datapath.Slot(beside); beside != 0 && int(s) < len(f.free) && f.free[s] {
		f.free[s] = false
		return s, true
	}
	for len(f.queue) > 0 {
		s := f.queue[0]
		f.queue, f.queued[s] = f.queue[1:], false
		if f.free[s] {
			f.free[s] = false
			return s, true
		}
	}
	for k, s := range f.old {
		delete(f.old, k)
		return s, true
	}
	return 0, false
}

func (f *freeSlots) give(s uint32) {
	f.free[s] = true
	if !f.queued[s] {
		f.queue, f.queued[s] = append(f.queue, s), true
	}
}
