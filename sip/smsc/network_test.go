package smsc_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/sms"
	"campanile.network/sip/smsc"
)

// What the network itself sends: put off, with priority, at once to a phone that is
// known to be absent, from a name, once for each key.
func TestSend(t *testing.T) {
	play(t, smsc.Options{}, func(w *world) {
		a, b := w.phone("00001", w.gsm), w.phone("00002", nil)
		name := must(sms.NewName("Campanile"))
		send := func(x smsc.Text) {
			t.Helper()
			x.From = name
			if err := w.c.Send(context.Background(), x); err != nil {
				t.Fatal(err)
			}
			passes(0)
		}
		w.takes(a, submit(b, "from a phone"), 1)
		send(smsc.Text{To: smsc.Recipient{MSISDN: b.MSISDN}, Text: "later", NotBefore: time.Now().Add(10 * time.Hour)})
		for range 2 {
			send(smsc.Text{To: smsc.Recipient{IMSI: b.IMSI}, Text: "once", Key: smsc.Key{9}, Class: sms.Some(sms.Class0)})
			w.restart()
		}
		w.gsm.on(b) // and nobody says so
		send(smsc.Text{To: smsc.Recipient{IMSI: b.IMSI}, Text: "urgent", Priority: true})
		all := w.gsm.to(b)
		if len(all) != 3 {
			t.Fatalf("%d messages", len(all))
		}
		for i, want := range []string{"urgent", "from a phone", "once"} {
			if from, text, _ := smsc.TextOf(all[i]); text != want || i != 1 && from != name {
				t.Errorf("message %d: %q from %v", i, text, from)
			}
		}
		if class, ok := must(all[2].Data.TPDU()).(*sms.Deliver).DCS.Class(); !ok || class != sms.Class0 {
			t.Error("not of class 0")
		}
		passes(11 * time.Hour)
		w.got(w.gsm, b, "later")
		if err := w.c.Send(context.Background(), smsc.Text{To: smsc.Recipient{MSISDN: must(id.ParseMSISDN("4711"))}, Text: "x"}); err == nil {
			t.Error("sent to nobody")
		}
	})
}

// codes answers 101 with what it was told.
type codes struct{ away bool }

func (c *codes) Answer(_ context.Context, from smsc.Sender, code, text string) (string, bool, error) {
	if c.away {
		return "", true, errors.New("the directory is away")
	}
	return "you said " + text, code == "101", nil
}

// What is written to a short code is answered, once, also to who has no number yet
// and repeats himself after a crash.
func TestShortCodes(t *testing.T) {
	c := &codes{}
	play(t, smsc.Options{Codes: c}, func(w *world) {
		nobody := smsc.Sender{IMSI: w.phone("00001", w.gsm).IMSI}
		w.mu.Lock()
		clear(w.numbers)
		w.mu.Unlock()
		to := func(code string) func(*sms.Submit) {
			return func(s *sms.Submit) { s.Destination = must(sms.NewAddress(code)) }
		}
		c.away = true
		if rp, err := w.submits(nobody, submit(nobody, "12345", to("101"), ref(1)), 1); err == nil {
			t.Errorf("%v", rp)
		}
		c.away = false
		for range 2 {
			w.takes(nobody, submit(nobody, "12345", to("101"), ref(1)), 1)
			w.restart()
		}
		w.got(w.gsm, nobody, "you said 12345")
		w.refuses(nobody, submit(nobody, "hello", to("102")), sms.RPCauseFacilityNotSubscribed, sms.FailureNoSubscription)
		w.refuses(nobody, submit(nobody, "hello", to("+101")), sms.RPCauseFacilityNotSubscribed, sms.FailureNoSubscription)
	})
}

// trunk takes what is for others.
type trunk struct {
	mu   sync.Mutex
	err  error
	sent []smsc.Outgoing
}

func (t *trunk) Forward(_ context.Context, m smsc.Outgoing) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sent = append(t.sent, m)
	return t.err
}

func (t *trunk) fails(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.err = err
}

// Numbers of others go to the trunk, which may fail for a while or for good.
func TestTrunk(t *testing.T) {
	k := &trunk{err: errors.New("the line is down")}
	play(t, smsc.Options{Trunk: k, Dial: smsc.DialPlan{Own: []string{"88299"}}}, func(w *world) {
		a := w.phone("00001", w.gsm)
		out := func(s *sms.Submit) { s.Destination = must(sms.NewAddress("+4930123456")) }
		w.takes(a, submit(a, "first", out, ref(1), reported), 1)
		w.takes(a, submit(a, "second", out, ref(2)), 2)
		if err := w.c.SubmitText(context.Background(), a, "+4930123456", "third", smsc.Key{3}); err != nil {
			t.Fatal(err)
		}
		passes(5 * time.Second)
		k.fails(nil)
		passes(10 * time.Minute)
		var texts []string
		for _, m := range k.sent {
			if m.From != a.MSISDN || m.To.Digits() != "4930123456" {
				t.Errorf("%v", m)
			}
			texts = append(texts, must(m.Submit.User.Text(m.Submit.DCS)))
		}
		if !slices.Equal(texts, []string{"first", "first", "second", "third"}) || k.sent[0].Key != k.sent[1].Key {
			t.Errorf("%q", texts)
		}
		if r := reports(w.gsm, a); len(r) != 1 || r[0].Status != sms.StatusForwarded {
			t.Errorf("%v", r)
		}
		k.fails(fmt.Errorf("%w: nobody there", smsc.ErrRefused))
		w.takes(a, submit(a, "fourth", out, ref(4), reported), 4)
		if r := reports(w.gsm, a); len(r) != 1 || r[0].Status.Outcome() != sms.Failed {
			t.Errorf("%v", r)
		}
	})
}
