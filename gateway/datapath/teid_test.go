package datapath

import (
	"testing"

	"campanile.network/3gpp/id"
)

func TestTEIDsAreNotSoonReused(t *testing.T) {
	a, err := NewTEIDs(4, 7)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[id.TEID]bool{}
	for range 4000 {
		v, ok := a.Alloc()
		if !ok || v == 0 || seen[v] || Slot(v) > 3 {
			t.Fatalf("Alloc gave %v, %v after %d", v, ok, len(seen))
		}
		seen[v] = true
		a.Free(v)
		a.Free(v) // twice is nothing
	}
	if a.InUse() != 0 {
		t.Errorf("%d in use", a.InUse())
	}
}

func TestTEIDsRunOutAndComeBackOldestFirst(t *testing.T) {
	a, _ := NewTEIDs(3, 0)
	var got []id.TEID
	for range 3 {
		v, _ := a.Alloc()
		got = append(got, v)
	}
	if _, ok := a.Alloc(); ok {
		t.Fatal("a fourth of three")
	}
	a.Free(got[2])
	a.Free(got[0])
	v, _ := a.Alloc()
	if Slot(v) != Slot(got[2]) || v == got[2] {
		t.Errorf("got %v, want the slot of %v in a new generation", v, got[2])
	}
	a.Free(got[2]) // stale: the slot has another generation now
	if a.InUse() != 3-1 {
		t.Errorf("%d in use, want 2", a.InUse())
	}
}

func TestTEIDsDifferAfterRestart(t *testing.T) {
	seen := map[id.TEID]uint8{}
	for run := range uint8(8) {
		a, _ := NewTEIDs(16, run)
		for range 16 * 15 {
			v, _ := a.Alloc()
			if old, ok := seen[v]; ok {
				t.Fatalf("%v of run %d again in run %d", v, old, run)
			}
			seen[v] = run
			a.Free(v)
		}
	}
}

func TestTEIDsWrap(t *testing.T) {
	a, _ := NewTEIDs(1, 255)
	for range 3 * lastGeneration {
		v, ok := a.Alloc()
		if !ok || v == 0 || uint32(v)>>SlotBits == 0 {
			t.Fatalf("%v, %v", v, ok)
		}
		a.Free(v)
	}
}

func TestTEIDsOfAnEarlierRunAreTaken(t *testing.T) {
	a, _ := NewTEIDs(3, 2)
	old := id.TEID(7<<SlotBits | 1)
	if !a.Take(old) || a.Take(old) || a.Take(9<<SlotBits|1) || a.Take(3) || a.Take(1<<SlotBits|3) {
		t.Error("want the slot taken once, and nothing of generation 0 or beyond the table")
	}
	for range 2 {
		if v, ok := a.Alloc(); !ok || Slot(v) == 1 {
			t.Errorf("%v, %v", v, ok)
		}
	}
	if v, ok := a.Alloc(); ok || a.InUse() != 3 {
		t.Errorf("%v of three slots in use, %d", v, a.InUse())
	}
	a.Free(old)
	if v, ok := a.Alloc(); !ok || Slot(v) != 1 || v == old {
		t.Errorf("%v, %v", v, ok)
	}
	if _, ok := a.Alloc(); ok {
		t.Error("a fourth")
	}
}

func TestTEIDsOfAWantedSlot(t *testing.T) {
	a, _ := NewTEIDs(4, 2)
	first, ok := a.AllocAt(1)
	if !ok || Slot(first) != 1 {
		t.Fatalf("%v, %v", first, ok)
	}
	for _, beyond := range []uint32{1, 4, 1 << SlotBits, ^uint32(0)} {
		v, ok := a.AllocAt(beyond)
		if want := beyond != ^uint32(0); ok != want || ok && Slot(v) == 1 {
			t.Errorf("slot %d: %v, %v", beyond, v, ok)
		}
	}
	a.Free(first)
	again, ok := a.AllocAt(1)
	if !ok || Slot(again) != 1 || again == first {
		t.Errorf("%v, %v after %v", again, ok, first)
	}
	if v, ok := a.Alloc(); ok {
		t.Errorf("%v of four slots in use", v)
	}
}

func TestTEIDsOfNoWishKeepOutOfTheWay(t *testing.T) {
	a, _ := NewTEIDs(16, 0)
	for i := range uint32(8) {
		v, _ := a.AllocAt(i)
		w, _ := a.Alloc()
		if Slot(v) != i || Slot(w) != 15-i {
			t.Errorf("slots %d and %d, want %d and %d", Slot(v), Slot(w), i, 15-i)
		}
	}
}
