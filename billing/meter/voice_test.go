package meter_test

import (
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/billing/meter"
	"campanile.network/wire/proof"
)

// Voice and messages of a segment are promised beside octets, at prices of their own; what
// is told again is not counted again, and a restart forgets nothing.
func TestVoiceAndMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.join()
		r := w.record(w.ticket(1, 1<<30), 1, 0)
		r.Voice, r.Messages = 61_500*time.Millisecond, 3
		w.report(r, 0, 0)
		w.report(r, 0, 0)
		if v := w.view(); v.Counted != (proof.Carried{VoiceMs: 61_500, Messages: 3}) || v.Lag != v.Counted {
			t.Fatalf("counted %v, lag %v", v.Counted, v.Lag)
		}
		w.restart()
		m := w.join()
		time.Sleep(10 * time.Second)
		v := m.last()
		if v.Carried != (proof.Carried{VoiceMs: 61_500, Messages: 3}) || v.Amount != proof.AmountOf(61_500+3*5) { // 60,000 a minute, 5 a message
			t.Fatalf("%+v", v)
		}
		var tree proof.Tree
		tree.Append(proof.Receipt{Ticket: proof.TicketID{1}, No: 1, VoiceMs: 61_500, Messages: 3}.Leaf())
		if v.Root != tree.Root() {
			t.Error("the root is not over the segment's receipt")
		}
		r.Voice, r.Closed = 62*time.Second, true
		w.report(r, 1000, 0)
		if v := m.last(); v.Carried != (proof.Carried{Bytes: 1000, VoiceMs: 62_000, Messages: 3}) {
			t.Errorf("at the segment's end: %+v", v)
		}
		if v := w.view(); v.Open != 0 || v.Lag != (proof.Carried{}) {
			t.Errorf("%+v", v)
		}
	})
}

// A ticket stands for so much voice and so many messages, each for itself.
func TestTicketsCapOfVoice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		tk := w.ticket(1, 1<<30)
		tk.Cap.VoiceMs, tk.Cap.Messages = 10_000, 2
		r := w.record(tk, 1, 0)
		r.Voice, r.Messages = 8*time.Second, 3
		w.report(r, 500, 0)
		other := w.record(tk, 2, 0)
		other.Voice = 3 * time.Second
		w.report(other, 0, 0)
		if v := w.view(); v.Counted != (proof.Carried{Bytes: 500, VoiceMs: 10_000, Messages: 2}) {
			t.Errorf("%v", v.Counted)
		}
		if left, ok := w.meter.Left(tk.ID); !ok || left != (proof.Carried{Bytes: 1<<30 - 500}) {
			t.Errorf("left: %v, %t", left, ok)
		}
		if _, ok := w.meter.Left(proof.TicketID{99}); ok {
			t.Error("a ticket that nobody has shown is known")
		}
		if u := w.meter.Snapshot().Unsettled; len(u) != 1 || u[0].Reason != meter.OverCap || u[0].Counts != (meter.Counts{VoiceMs: 1000, Messages: 1}) {
			t.Errorf("unsettled %+v", u)
		}
	})
}

// A reserve that does not cover everything is promised to the end: messages first, voice
// next; and what is promised is never taken back for something dearer.
func TestReserveForVoice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.join()
		w.ledger.edit(w.tower, func(c *meter.Channel) { c.Reserve = proof.AmountOf(2_000_000_100) }) // two octets and 100
		r := w.record(w.ticket(1, 1<<30), 1, 0)
		w.report(r, 1, 0)
		time.Sleep(10 * time.Second)
		r.Voice, r.Messages = time.Second, 10
		w.report(r, 5, 0)
		time.Sleep(10 * time.Second)
		v := m.last()
		if v.Carried != (proof.Carried{Bytes: 1, VoiceMs: 1000, Messages: 10}) {
			t.Fatalf("%+v", v)
		}
		if got := w.view(); got.Lag != (proof.Carried{Bytes: 4}) || got.Trouble == "" {
			t.Errorf("%+v", got)
		}
	})
}
