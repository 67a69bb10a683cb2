package s1ap

import (
	"runtime"
	"testing"
)

// TestUsedMessageStaysSmall reads messages of which each makes another element of
// a list large: what is kept for reuse is bounded by the largest message, not by
// their sum.
func TestUsedMessageStaysSmall(t *testing.T) {
	var p PDU
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before, longest := heap(), 0
	for large := range 200 {
		list := make(EmergencyAreaIDCancelled, 1000)
		for i := range list {
			list[i].CancelledCellinEAI = make(CancelledCellinEAI, 1)
		}
		list[large].CancelledCellinEAI = make(CancelledCellinEAI, 4000)
		b, err := Append(nil, &KillResponse{BroadcastCancelledAreaList: &BroadcastCancelledAreaList{
			Choice: BroadcastCancelledAreaListChoiceEmergencyAreaIDCancelled, EmergencyAreaIDCancelled: list}})
		if err != nil {
			t.Fatal(err)
		}
		longest = max(longest, len(b))
		if err := ParseInto(&p, b); err != nil {
			t.Fatal(err)
		}
	}
	if kept := int(heap() - before); kept > 3*(memoryFactor*longest+memoryBase) {
		t.Errorf("%d octets are kept after messages of at most %d", kept, longest)
	}
	runtime.KeepAlive(p)
}
