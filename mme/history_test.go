package mme

import (
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/s1ap"
)

// What a phone did is told, newest first, and goes on when it attaches anew.
func TestHistory(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.attach()
		p.idle()
		if err := w.m.Page(p.imsi); err != nil {
			t.Fatal(err)
		}
		expect[*s1ap.Paging](p.e)
		p.request()
		synctest.Wait() // the page has ended before the request has
		p.setupResponse()
		p.settled()
		if err := w.m.Page(p.imsi); err != ErrConnected {
			t.Errorf("paging a connected phone: %v", err)
		}
		p.idle()
		p.settled()
		was, ok := w.m.Phone(p.imsi)
		if !ok || was.Number == 0 || was.State != Idle {
			t.Fatalf("phone %+v", was)
		}
		checkHistory(t, was, "service request ", "paging ", "attach ")
		if want := was.Heard.Add(w.m.o.T3412); was.Update != want || was.Detach != was.Heard.Add(w.m.o.IdleLimit) {
			t.Errorf("heard at %v: update at %v, want %v; detached at %v", was.Heard, was.Update, want, was.Detach)
		}
		if h := was.History[2]; h.Cell != was.Cell.ECI || h.At.IsZero() || h.Why != "" {
			t.Errorf("attach in the history: %+v", h)
		}

		again := p.at(p.e)
		again.sec, again.guti, again.ksi = nil, nil, eps.NoKSI // another context, the same SIM
		again.attach()
		now, _ := w.m.Phone(p.imsi)
		if now.Number != was.Number {
			t.Errorf("the phone is number %d, was %d", now.Number, was.Number)
		}
		checkHistory(t, now, "attach ", "service request ", "paging ", "attach ")
		if byNumber, ok := w.m.PhoneNumbered(now.Number); !ok || byNumber.IMSI != p.imsi {
			t.Errorf("number %d is %v", now.Number, byNumber.IMSI)
		}
		if _, ok := w.m.PhoneNumbered(now.Number + 1); ok {
			t.Error("a number that no phone has")
		}
	})
}

// A page that is not answered is a failure, with its reason.
func TestHistoryOfFailure(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.attach()
		p.idle()
		if err := w.m.Page(p.imsi); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			expect[*s1ap.Paging](p.e)
		}
		p.e.silent(time.Minute)
		synctest.Wait()
		got, _ := w.m.Phone(p.imsi)
		checkHistory(t, got, "paging no answer", "attach ")
		if h := got.History[0]; h.Why != errNoAnswer.Error() || h.Took < t3413.wait {
			t.Errorf("failed paging: %+v", h)
		}
		if s := w.m.Stats(); s.Begun["paging"] != 1 || s.Begun["attach"] != 1 || s.Outcomes[Outcome{"paging", "no answer"}] != 1 || s.Took["attach"].Count != 1 || s.Took["paging"].Count != 0 {
			t.Errorf("counted %+v", s)
		}
	})
}

func checkHistory(t *testing.T, p Phone, want ...string) {
	t.Helper()
	if len(p.History) != len(want) {
		t.Fatalf("history %+v, want %q", p.History, want)
	}
	for i, h := range p.History {
		if got := h.Procedure + " " + h.Cause; got != want[i] {
			t.Errorf("procedure %d back is %q, want %q", i, got, want[i])
		}
	}
}

// A history is bounded, keeps the newest, and says why of the newest failure only.
func TestHistoryIsBounded(t *testing.T) {
	if n := unsafe.Sizeof(past{}); n != 24 {
		t.Errorf("a procedure takes %d octets, want 24", n)
	}
	var h history
	long := fmt.Sprintf("%300d", 0)
	for i := range 100 {
		h.add(past{at: int64(i), bad: i%10 == 0}, long)
	}
	if len(h.past) != maxHistory || cap(h.past) != maxHistory || h.past[0].at != 68 || h.past[31].at != 99 || len(h.why) != maxWhy {
		t.Errorf("%d of %d, from %d to %d", len(h.past), cap(h.past), h.past[0].at, h.past[len(h.past)-1].at)
	}
	for _, p := range h.past {
		if p.bad != (p.at == 90) {
			t.Errorf("procedure %d: %t", p.at, p.bad)
		}
	}
}

// A phone's history costs what its procedures do: 24 octets each, 768 at most.
func TestHistoryMemory(t *testing.T) {
	const phones = 2000
	var before, after runtime.MemStats
	all := make([]history, phones)
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range all {
		for range 3 * maxHistory {
			all[i].add(past{}, "")
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if each := (after.HeapAlloc - before.HeapAlloc) / phones; each > 800 {
		t.Errorf("%d octets a phone", each)
	}
	runtime.KeepAlive(all)
}
