package smsc_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/vfs"

	"campanile.network/3gpp/sms"
	"campanile.network/sip/smsc"
)

// A message goes to a phone that is there, with the sender's number and the time
// stamp that the sender was told (TS 23.040 §9.2.2.1).
func TestFromPhoneToPhone(t *testing.T) {
	var log bytes.Buffer
	play(t, smsc.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}, func(w *world) {
		a, b := w.phone("00001", w.gsm), w.phone("00002", w.lte)
		stamp := w.takes(a, submit(b, "buona sera", ref(7)), 7)
		all := w.lte.to(b)
		if len(all) != 1 {
			t.Fatalf("%d deliveries", len(all))
		}
		d := must(all[0].Data.TPDU()).(*sms.Deliver)
		text := must(d.User.Text(d.DCS))
		if n, _ := d.Originator.MSISDN(); n != a.MSISDN || text != "buona sera" || d.Timestamp != stamp || all[0].Again || all[0].Data.Originator != w.o.Address {
			t.Errorf("%v %q %v", d, text, all[0])
		}
		if n := w.lte.counted(); n != 1 || w.gsm.counted() != 0 {
			t.Errorf("%d counted", n)
		}
		s := w.c.Stats()
		if s.Waiting != 0 || s.Submitted["taken"] != 1 || s.Attempts["delivered by lte"] != 1 || s.Finished["delivered"] != 1 {
			t.Errorf("%+v", s)
		}
		w.restart()
		if all := w.lte.to(b); len(all) != 0 {
			t.Errorf("%d deliveries after a restart", len(all))
		}
		hidden(t, log.String(), "buona", a.MSISDN.Digits(), b.MSISDN.Digits(), b.IMSI.Digits())
	})
}

// What waits for a phone that is off waits through restarts, in order, and comes
// when the phone announces itself (TS 23.040 §3.2.8).
func TestWaitsForPhone(t *testing.T) {
	play(t, smsc.Options{}, func(w *world) {
		a, b := w.phone("00001", w.gsm), w.phone("00002", nil)
		want := []string{"1", "2", "3"}
		for i, text := range want {
			w.takes(a, submit(b, text, ref(uint8(i))), 1)
		}
		passes(10 * time.Minute)
		w.restart()
		if s := w.c.Stats(); s.Waiting != 3 || s.Boxes != 1 {
			t.Errorf("%+v", s)
		}
		passes(10 * time.Minute)
		w.lte.on(b)
		w.c.Ready(b.IMSI)
		passes(0)
		w.got(w.lte, b, want...)
	})
}

// Without an announcement the schedule finds the phone.
func TestSchedule(t *testing.T) {
	play(t, smsc.Options{}, func(w *world) {
		a, b := w.phone("00001", w.gsm), w.phone("00002", nil)
		w.takes(a, submit(b, "ciao"), 1)
		passes(26 * time.Hour)
		w.gsm.on(b)
		passes(3*time.Hour + time.Minute)
		w.got(w.gsm, b, "ciao")
	})
}

// All messages to a phone have different time stamps, whoever sends them, as near
// to the time as that allows (TS 23.040 §6.2), after a restart in the same second,
// too.
func TestTimestampsDiffer(t *testing.T) {
	play(t, smsc.Options{}, func(w *world) {
		a, b, to := w.phone("00001", w.gsm), w.phone("00002", w.gsm), w.phone("00003", w.gsm)
		seen := map[sms.Timestamp]bool{}
		begun := time.Now()
		for i := range 10 {
			if i == 5 {
				w.restart()
			}
			s := w.takes([]smsc.Sender{a, b}[i%2], submit(to, "same text", ref(uint8(i))), uint8(i))
			at, ok := s.Time()
			if seen[s] || !ok || at.Sub(begun.Truncate(time.Second)) != time.Duration(i)*time.Second {
				t.Errorf("time stamp %v of message %d", s, i)
			}
			seen[s] = true
		}
	})
}

// A phone whose answer was lost is sent the very same message again.
func TestRepeatsToTheBit(t *testing.T) {
	play(t, smsc.Options{}, func(w *world) {
		a, b := w.phone("00001", w.gsm), w.phone("00002", w.gsm)
		w.gsm.does(b, fails(errNobodyKnows))
		w.takes(a, submit(b, "ciao"), 1)
		passes(time.Minute)
		w.restart()
		w.gsm.does(b, nil)
		passes(time.Minute)
		all := w.gsm.to(b)
		if len(all) < 3 {
			t.Fatalf("%d deliveries", len(all))
		}
		for i, d := range all {
			if d.Key != all[0].Key || d.Data.Reference != all[0].Data.Reference || !bytes.Equal(d.Data.User, all[0].Data.User) || d.Again != (i > 0) {
				t.Errorf("delivery %d: %v of %v", i, d, all[0])
			}
		}
		if w.gsm.counted() != 1 {
			t.Errorf("counted %d times", w.gsm.counted())
		}
	})
}

// A message for which a phone never has memory does not keep back all others.
func TestOneThatIsNotRead(t *testing.T) {
	play(t, smsc.Options{}, func(w *world) {
		a, b := w.phone("00001", w.gsm), w.phone("00002", w.gsm)
		w.gsm.does(b, func(d smsc.Delivery) (sms.RP, error) {
			if _, text, _ := smsc.TextOf(d); text == "unreadable" {
				return says(sms.RPCauseMemoryCapacityExceeded)(d)
			}
			return &sms.RPAck{Direction: sms.Uplink}, nil
		})
		for i, text := range []string{"unreadable", "one", "two"} {
			w.takes(a, submit(b, text, ref(uint8(i))), uint8(i))
		}
		passes(3*time.Hour + 30*time.Minute)
		w.got(w.gsm, b, "unreadable", "unreadable", "unreadable", "one", "two", "unreadable")
		passes(3 * 24 * time.Hour)
		if s := w.c.Stats(); s.Waiting != 0 || s.Finished["delivered"] != 2 {
			t.Errorf("%+v", s)
		}
	})
}

// What a phone answers while the centre is being ended counts: nothing is repeated
// that need not be.
func TestEndedWhileDelivering(t *testing.T) {
	play(t, smsc.Options{}, func(w *world) {
		a, b := w.phone("00001", w.gsm), w.phone("00002", w.gsm)
		w.gsm.does(b, func(smsc.Delivery) (sms.RP, error) {
			w.end()
			time.Sleep(time.Second)
			return &sms.RPAck{Direction: sms.Uplink}, nil
		})
		w.takes(a, submit(b, "ciao"), 1)
		<-w.ended
		w.gsm.does(b, nil)
		w.start()
		passes(time.Hour)
		w.got(w.gsm, b, "ciao")
		if w.gsm.counted() != 1 {
			t.Errorf("counted %d times", w.gsm.counted())
		}
	})
}

// A sender that has not got its answer repeats itself: the same RP-DATA, or the
// same message with TP-RD (TS 23.040 §9.2.3.25). It is kept once.
func TestSenderRepeatsItself(t *testing.T) {
	play(t, smsc.Options{}, func(w *world) {
		a, b := w.phone("00001", w.gsm), w.phone("00002", w.gsm)
		first := w.takes(a, submit(b, "ciao", ref(9)), 9)
		w.restart()
		if s := w.takes(a, submit(b, "ciao", ref(9)), 9); s != first {
			t.Errorf("time stamp %v, then %v", first, s)
		}
		w.refuses(a, submit(b, "ciao", ref(9), repeated), sms.RPCauseTransferRejected, sms.FailureDuplicate)
		w.got(w.gsm, b, "ciao")
		w.takes(a, submit(b, "a text of its own", ref(9), repeated), 9) // of a phone that does not count
		w.got(w.gsm, b, "a text of its own")
		w.takes(a, submit(b, "ciao", ref(10)), 10) // another one
		w.takes(a, submit(b, "ciao", ref(10)), 11) // TP-RD is not set: it is to be taken
		w.got(w.gsm, b, "ciao", "ciao")
		passes(3 * time.Minute)
		w.takes(a, submit(b, "ciao", ref(10)), 11) // no lower layer repeats so late
		w.got(w.gsm, b, "ciao")
		if s := w.c.Stats(); s.Repeated != 2 {
			t.Errorf("%+v", s)
		}
	})
}

// The newest registration is tried first, then the other.
func TestChoosesPath(t *testing.T) {
	play(t, smsc.Options{}, func(w *world) {
		a, b := w.phone("00001", w.gsm), w.phone("00002", w.gsm)
		passes(time.Second)
		w.lte.on(b)
		w.takes(a, submit(b, "by LTE", ref(1)), 1)
		w.got(w.lte, b, "by LTE")
		w.got(w.gsm, b)
		w.lte.does(b, fails(smsc.ErrAbsent))
		w.takes(a, submit(b, "by GSM", ref(2)), 2)
		w.got(w.lte, b, "by GSM")
		w.got(w.gsm, b, "by GSM")
		w.lte.does(b, fails(errNobodyKnows)) // it may have it: the other is not tried
		w.takes(a, submit(b, "maybe", ref(3)), 3)
		w.got(w.gsm, b)
	})
}

// A phone without memory is left alone until it says that it has some, and an alert
// is no licence to page for ever.
func TestMemory(t *testing.T) {
	play(t, smsc.Options{}, func(w *world) {
		a, b := w.phone("00001", w.gsm), w.phone("00002", w.gsm)
		w.gsm.does(b, says(sms.RPCauseMemoryCapacityExceeded))
		w.takes(a, submit(b, "ciao"), 1)
		passes(50 * time.Minute)
		w.got(w.gsm, b, "ciao")
		if l := w.c.List(9); len(l) != 1 || !l[0].Memory || l[0].Failures != 1 || strings.Contains(l[0].To, b.IMSI.Digits()) {
			t.Errorf("%+v", l)
		}
		for range 30 { // it is mistaken
			if rp := must(w.c.Submit(context.Background(), b, &sms.RPSMMA{Reference: 3})); rp.MessageType() != sms.TypeRPAck {
				t.Fatal(rp)
			}
			passes(time.Second)
		}
		if n := len(w.gsm.to(b)); n != 3 {
			t.Errorf("%d attempts within a minute, want 3", n)
		}
		w.gsm.does(b, nil)
		passes(5 * time.Minute)
		w.c.Ready(b.IMSI)
		passes(0)
		w.got(w.gsm, b, "ciao")
	})
}

// What a sender was told is taken is on disk when the power fails; so is that a
// message was delivered, when the next one is sent.
func TestOnDiskWhenTaken(t *testing.T) {
	play(t, smsc.Options{}, func(w *world) {
		disk := vfs.NewStrictMem()
		w.stop()
		w.o.FS = disk
		w.start()
		a, b, on := w.phone("00001", w.gsm), w.phone("00002", nil), w.phone("00003", w.gsm)
		for i := range 5 {
			w.takes(a, submit(b, "ciao", ref(uint8(i))), uint8(i))
			w.takes(a, submit(on, "gone already", ref(uint8(i+100))), uint8(i))
			disk.SetIgnoreSyncs(true) // the power fails: what is not synced is gone, also what the end of the process still writes
			w.stop()
			disk.ResetToSyncedState()
			disk.SetIgnoreSyncs(false)
			w.start()
			if n := w.c.Stats().Waiting; n != i+1 {
				t.Errorf("%d messages wait after a power cut, want %d", n, i+1)
			}
		}
		if n := len(w.gsm.to(on)); n != 5 {
			t.Errorf("%d deliveries", n)
		}
	})
}
