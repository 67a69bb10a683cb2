package table

import (
	"sync"
	"testing"
	"unsafe"
)

// The kernel's programs know the records by these sizes.
func TestShape(t *testing.T) {
	if s, b, c := unsafe.Sizeof(Session{}), unsafe.Sizeof(Bearer{}), unsafe.Sizeof(Counters{}); s != SessionSize || b != BearerSize || c != countersSize {
		t.Errorf("%d, %d, %d octets", s, b, c)
	}
	var s Session
	var b Bearer
	for _, c := range []struct{ got, want uintptr }{
		{unsafe.Offsetof(s.ID), 24}, {unsafe.Offsetof(s.UL), 32}, {unsafe.Offsetof(s.DL), 48},
		{unsafe.Offsetof(b.Counters), 8}, {unsafe.Offsetof(b.UL), 64}, {unsafe.Offsetof(b.DL), 80},
	} {
		if c.got != c.want {
			t.Errorf("offset %d, want %d", c.got, c.want)
		}
	}
}

// Charges and refunds from several goroutines at once: no octet more than the
// quota holds is admitted.
func TestConcurrentChargesCannotOvershootTogether(t *testing.T) {
	s := &Session{}
	s.SetQuota(1_000_003, 0)
	charge := func(n uint64) bool { ok, _ := s.Charge(n); return ok }
	var wg sync.WaitGroup
	var admitted [4]uint64
	for i := range admitted {
		wg.Go(func() {
			for range 10_000 {
				if charge(97) {
					admitted[i] += 97
				}
				if charge(1500) {
					s.Refund(1500)
				}
			}
		})
	}
	wg.Wait()
	for charge(1) { // fill up what concurrent refunds left
		admitted[0]++
	}
	if sum := admitted[0] + admitted[1] + admitted[2] + admitted[3]; sum != 1_000_003 || s.Charged() != sum {
		t.Fatalf("admitted %d, used %d, quota 1000003", sum, s.Charged())
	}
}
