package mme

import (
	"fmt"
	"testing"
	"testing/synctest"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
)

func TestMailboxIsBoundedForPeersOnly(t *testing.T) {
	b := newMailbox(2)
	for i, want := range []putResult{putOK, putOK, putFull} {
		if got := b.put(inbound{msg: i}, false); got != want {
			t.Fatalf("item %d: %v, want %v", i, got, want)
		}
	}
	if got := b.put(inbound{msg: "word"}, true); got != putOK {
		t.Fatalf("word of the MME itself was refused: %v", got)
	}
	for _, want := range []any{0, 1} {
		if in, ok := b.take(); !ok || in.msg != want {
			t.Fatalf("took %v %v, want %v", in.msg, ok, want)
		}
	}
	if got := b.put(inbound{msg: 3}, false); got != putOK {
		t.Fatalf("there was room: %v", got)
	}
	select {
	case <-b.wake:
	default:
		t.Fatal("no wake token though items are left")
	}
	rest := b.close()
	if len(rest) != 2 || rest[0].msg != "word" || rest[1].msg != 3 {
		t.Fatalf("rest %v", rest)
	}
	if got := b.put(inbound{}, true); got != putClosed {
		t.Fatalf("a closed mailbox took an item: %v", got)
	}
}

// One eNB does not take every S1 connection there is.
func TestAnENBsShare(t *testing.T) {
	legs, greedy, other := newLegTable(8192), &enb{}, &enb{}
	n := id.ENBUEID(0)
	for l, _ := legs.open(greedy, n); l != nil; l, _ = legs.open(greedy, n) {
		n++
	}
	if n != 2048 {
		t.Errorf("one eNB has %d of 8192 S1 connections, want 2048", n)
	}
	if l, _ := legs.open(other, 0); l == nil {
		t.Error("nothing is left for another eNB")
	}
	if l, former := legs.open(greedy, 7); l == nil || former == nil {
		t.Error("the eNB cannot replace one of its own")
	}
}

// An eNB that thinks of causes without end does not fill the memory with
// counters.
func TestCountersAreBounded(t *testing.T) {
	play(t, nil, func(w *world) {
		e := w.tower(0x19b)
		for n := range 2 * maxOutcomes {
			w.m.count.procedure("error indication by eNB", fmt.Sprintf("unknown group %d", n))
		}
		e.send(&s1ap.ErrorIndication{Cause: new(s1ap.CauseMiscHardwareFailure.Cause())})
		synctest.Wait()
		s := w.m.Stats().Procedures
		if len(s) > maxOutcomes+1 || s["S1 setup ok"] != 1 || s["error indication by eNB others"] < maxOutcomes {
			t.Errorf("%d counters, %d others", len(s), s["error indication by eNB others"])
		}
	})
}
