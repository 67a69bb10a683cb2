package datapath

import (
	"fmt"
	"sync"

	"campanile.network/3gpp/id"
)

// SlotBits is how much of a TEID is the slot; the rest is its generation.
const SlotBits = 20

const (
	slotMask       = 1<<SlotBits - 1
	lastGeneration = 1<<(32-SlotBits) - 1
)

// Slot is the table index in a TEID that a TEIDs value made.
func Slot(t id.TEID) uint32 { return uint32(t) & slotMask }

// TEIDs allocates tunnel endpoint identifiers as slot and generation: a slot
// is an index, and the generation changes with every use of it, so a late
// packet or a confused peer finds no stranger's bearer. It is safe for concurrent
// use.
type TEIDs struct {
	mu     sync.Mutex
	gen    []uint16
	free   []uint32 // queue; those of slots that were taken since are skipped
	queued []bool   // is in it
	live   []bool
	used   int
}

// NewTEIDs makes an allocator of that many slots, at most 1<<SlotBits. first
// should differ between runs: give it the restart counter, so that TEIDs of
// the last run mean nothing in this one until a slot was used 16 times.
func NewTEIDs(slots int, first uint8) (*TEIDs, error) {
	if slots < 1 || slots > 1<<SlotBits {
		return nil, fmt.Errorf("datapath: %d TEID slots: want 1 to %d", slots, 1<<SlotBits)
	}
	a := &TEIDs{gen: make([]uint16, slots), free: make([]uint32, slots), queued: make([]bool, slots), live: make([]bool, slots)}
	for i := range slots {
		a.gen[i], a.free[i], a.queued[i] = uint16(first)<<4, uint32(slots-1-i), true
	}
	return a, nil
}

// Alloc gives a TEID, never 0; ok is false when all slots are in use. The last slot
// comes first, then that freed longest ago.
func (a *TEIDs) Alloc() (t id.TEID, ok bool) { return a.AllocAt(^uint32(0)) }

// AllocAt gives a TEID of a slot that goes well with what it is for, and like Alloc
// where that is in use or beyond the table.
func (a *TEIDs) AllocAt(slot uint32) (t id.TEID, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if slot < uint32(len(a.live)) && !a.live[slot] {
		return a.use(slot), true
	}
	for len(a.free) > 0 {
		s := a.free[0]
		a.free, a.queued[s] = a.free[1:], false
		if a.live[s] {
			continue
		}
		return a.use(s), true
	}
	return 0, false
}

// use gives a free slot's next TEID.
func (a *TEIDs) use(s uint32) id.TEID {
	a.gen[s] = a.gen[s]%lastGeneration + 1
	a.live[s] = true
	a.used++
	return id.TEID(uint32(a.gen[s])<<SlotBits | s)
}

// Free gives a TEID back; one that is not in use is ignored.
func (a *TEIDs) Free(t id.TEID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := Slot(t)
	if int(s) >= len(a.gen) || !a.live[s] || uint32(a.gen[s]) != uint32(t)>>SlotBits {
		return
	}
	a.live[s] = false
	a.used--
	if !a.queued[s] {
		a.free, a.queued[s] = append(a.free, s), true
	}
}

// InUse is the number of TEIDs given out.
func (a *TEIDs) InUse() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.used
}

// Take gives out a TEID of an earlier run that is still in use; false when its
// slot is taken or beyond the table.
func (a *TEIDs) Take(t id.TEID) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := Slot(t)
	gen := uint16(uint32(t) >> SlotBits)
	if int(s) >= len(a.gen) || a.live[s] || gen == 0 {
		return false
	}
	a.live[s], a.gen[s] = true, gen
	a.used++
	return true
}
