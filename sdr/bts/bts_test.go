package bts_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"campanile.network/3gpp/aka"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/milenage"
	"campanile.network/3gpp/secret"
	"campanile.network/sdr/bts"
)

// dialects are the cells of a network: of each program, with all it can be told.
var dialects = map[string]func(*bts.Options){
	"OpenBTS":            nil,
	"OpenBTS with realm": func(o *bts.Options) { o.Realm = domain },
	"OpenBTS of old":     func(o *bts.Options) { o.Dialect = bts.OpenBTSOld },
	"OpenBTS with texts": func(o *bts.Options) { o.Text = true },
	"YateBTS":            func(o *bts.Options) { o.Dialect, o.Location = bts.YateBTS, "here" },
}

// In a cell of each program a SIM and a USIM register, with the right Kc and their
// numbers, write to each other, and leave; a stranger's card and a clone do not get
// in.
func TestDialects(t *testing.T) {
	for name, change := range dialects {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c := w.cell(change)
			w.gateway()
			a, b := w.phone("2101", false, nil), w.phone("2102", true, nil)
			w.camp(c, a, b)
			if a.Number() != "2101" || b.Number() != "2102" {
				t.Errorf("numbers %q and %q", a.Number(), b.Number())
			}
			if err := a.Send(w.ctx, "2102", "Grüße aus der Zelle"); err != nil {
				t.Fatal(err)
			}
			w.until("the message is there", func() bool { return len(b.Inbox()) == 1 })
			if got := b.Inbox()[0]; !strings.HasSuffix(got.From, "2101") {
				t.Errorf("from %q", got.From)
			}
			if texts, err := b.Texts(); err != nil || len(texts) != 1 || texts[0] != "Grüße aus der Zelle" {
				t.Errorf("%q, %v", texts, err)
			}
			var rejected *bts.Rejected
			if err := a.Send(w.ctx, "7777", "nobody"); !errors.As(err, &rejected) {
				t.Errorf("to a number that nobody has: %v", err)
			}
			clone, err := bts.NewPhone(bts.PhoneOptions{IMSI: a.IMSI(), Card: bts.COMP128(3, secret.Key128{6, 6, 6})})
			if err != nil {
				t.Fatal(err)
			}
			if err := clone.Camp(w.ctx, c); !errors.As(err, &rejected) {
				t.Errorf("a card with another key: %v", err)
			}
			nobody, _ := id.ParseIMSI("999700000009999")
			stranger, _ := bts.NewPhone(bts.PhoneOptions{IMSI: nobody, Card: bts.COMP128(3, secret.Key128{1})})
			if err := stranger.Camp(w.ctx, c); !errors.As(err, &rejected) || rejected.Cause == 0 {
				t.Errorf("nobody's card: %v", err)
			}
			w.camp(c, a) // the clone had its place in the cell
			if err := a.Detach(w.ctx); err != nil {
				t.Errorf("detach: %v", err)
			}
			if err := a.Send(w.ctx, "2102", "x"); !errors.Is(err, bts.ErrOff) {
				t.Errorf("a phone that is off: %v", err)
			}
			if s := c.Stats(); s.WrongKc != 0 || s.Registrations != 3 || s.Refused != 2 || s.Stored != 1 || s.Repeated != 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// A call between cells: it rings, frames go both ways, a digit is pressed, the phone
// goes to another cell in the middle of it, and the other one hangs up.
func TestCallWithHandover(t *testing.T) {
	w := newWorld(t)
	tone := bytes.Repeat([]byte{0xd1, 0x55, 0xaa}, 11)
	first, second := w.cell(nil), w.cell(func(o *bts.Options) { o.Dialect = bts.OpenBTSOld })
	third := w.cell(func(o *bts.Options) { o.Tone = tone })
	w.gateway()
	a, b := w.phone("2101", false, nil), w.phone("2102", false, func(o *bts.PhoneOptions) { o.Ring = 50 * time.Millisecond })
	w.camp(first, a)
	w.camp(third, b)
	call, err := a.Dial(w.ctx, "2102")
	if err != nil {
		t.Fatal(err)
	}
	other := b.Calling()
	if other == nil || !strings.HasSuffix(other.Peer(), "2101") {
		t.Fatalf("the other phone is in call %+v", other)
	}
	w.until("frames come", func() bool { return call.Heard().Received > 10 && other.Heard().Received > 10 })
	if !bytes.HasSuffix(call.Heard().Frames, tone) {
		t.Error("the frames are others than were sent")
	}
	if err := call.Press(w.ctx, '5'); err != nil {
		t.Errorf("INFO: %v", err)
	}
	if _, err := b.Dial(w.ctx, "2101"); !errors.Is(err, bts.ErrBusy) {
		t.Errorf("a phone in a call dials: %v", err)
	}
	before := other.Heard().Received
	if err := call.Move(w.ctx, second); err != nil {
		t.Fatal(err)
	}
	w.until("frames come after the handover", func() bool { return call.Heard().Received > 10 && other.Heard().Received > before+10 })
	if err := other.Hangup(w.ctx); err != nil {
		t.Error(err)
	}
	select {
	case <-call.Done():
	case <-w.ctx.Done():
		t.Fatal("the call does not end")
	}
	w.until("the call's record is there", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.records) == 1
	})
	w.mu.Lock()
	r := w.records[0]
	w.mu.Unlock()
	var cells []uint16
	for _, s := range r.Caller.Stays {
		cells = append(cells, s.Cell.CI)
	}
	if len(cells) != 2 || cells[0] != 1 || cells[1] != 2 {
		t.Errorf("the caller spoke in cells %v", cells)
	}
}

// Calls that come to nothing: nobody answers, the phone is busy, is off, or there is
// no such number.
func TestCallsThatFail(t *testing.T) {
	w := newWorld(t)
	c := w.cell(nil)
	w.gateway()
	rang := make(chan bts.Event, 16)
	a, b := w.phone("2101", false, nil), w.phone("2102", false, func(o *bts.PhoneOptions) {
		o.Ring, o.Events = -1, func(e bts.Event) { rang <- e }
	})
	w.camp(c, a, b)
	ctx, cancel := context.WithCancel(w.ctx)
	failed := make(chan error, 1)
	go func() {
		_, err := a.Dial(ctx, "2102")
		failed <- err
	}()
	for e := range rang {
		if e.What == "ringing" {
			break
		}
	}
	third := w.phone("2103", false, nil)
	w.camp(c, third)
	var rejected *bts.Rejected
	if _, err := third.Dial(w.ctx, "2102"); !errors.As(err, &rejected) || rejected.Status != 486 {
		t.Errorf("to a phone that is in a call: %v", err)
	}
	cancel()
	if err := <-failed; err == nil {
		t.Error("a call that was given up was answered")
	}
	w.until("the other phone has stopped ringing", func() bool { return b.Calling() == nil && a.Calling() == nil })
	b.Vanish()
	if _, err := a.Dial(w.ctx, "2102"); !errors.As(err, &rejected) || rejected.Status == 486 {
		t.Errorf("to a phone whose battery is out: %v", err)
	}
	if _, err := a.Dial(w.ctx, "7777"); !errors.As(err, &rejected) || rejected.Status != 404 {
		t.Errorf("to nobody: %v", err)
	}
}

// USSD is one exchange: what was dialled, and what is shown.
func TestUSSD(t *testing.T) {
	for _, name := range []string{"OpenBTS", "OpenBTS of old", "YateBTS"} {
		w := newWorld(t)
		c := w.cell(dialects[name])
		w.gateway()
		a := w.phone("2101", false, nil)
		w.camp(c, a)
		if said, err := a.USSD(w.ctx, "*100#"); err != nil || said == "" {
			t.Errorf("%s: %q, %v", name, said, err)
		}
	}
}

// A long text comes whole, and a phone whose memory is full says so and gets the
// rest when it has room.
func TestFullPhone(t *testing.T) {
	for _, d := range []bts.Dialect{bts.OpenBTS, bts.YateBTS} {
		t.Run(d.String(), func(t *testing.T) { fullPhone(t, d) })
	}
}

func fullPhone(t *testing.T, d bts.Dialect) {
	w := newWorld(t)
	j := &journal{}
	c := w.cell(func(o *bts.Options) { o.Dialect, o.Journal = d, j })
	w.gateway()
	a, b := w.phone("2101", false, nil), w.phone("2102", false, func(o *bts.PhoneOptions) { o.Capacity = 5 })
	w.camp(c, a, b)
	long := strings.Repeat("Пишу тебе длинное письмо. ", 12)
	if err := a.Send(w.ctx, "2102", long); err != nil {
		t.Fatal(err)
	}
	w.until("five parts are there", func() bool { return len(b.Inbox()) == 5 })
	if texts, err := b.Texts(); err != nil || len(texts) != 1 || texts[0] != long {
		t.Fatalf("%q, %v", texts, err)
	}
	if err := a.Send(w.ctx, "2102", "one more"); err != nil {
		t.Fatal(err)
	}
	w.until("the phone says that it is full", func() bool { return strings.Contains(j.String(), `"what":"full"`) })
	if err := b.Empty(w.ctx); err != nil {
		t.Fatal(err)
	}
	w.until("the rest comes", func() bool { return len(b.Inbox()) == 1 })
	if texts, _ := b.Texts(); len(texts) != 1 || texts[0] != "one more" {
		t.Errorf("%q", texts)
	}
}

// The gateway stops and starts again: a message that was on its way comes once.
func TestGatewayRestarts(t *testing.T) {
	w := newWorld(t)
	c := w.cell(nil)
	w.gateway()
	a, b := w.phone("2101", false, nil), w.phone("2102", false, nil)
	w.camp(c, a)
	for range 5 { // to a phone that is off
		if err := a.Send(w.ctx, "2102", "later"); err != nil {
			t.Fatal(err)
		}
	}
	w.stop()
	w.gateway()
	w.camp(c, b)
	w.until("all five are there", func() bool { return len(b.Inbox()) >= 5 })
	if n := len(b.Inbox()); n != 5 {
		t.Errorf("%d messages of 5", n)
	}
}

// A USIM that is ahead of its home says so through YateBTS, and is in after it.
func TestSynchronisationFailure(t *testing.T) {
	w := newWorld(t)
	c := w.cell(dialects["YateBTS"])
	w.gateway()
	p := w.phone("2102", true, func(o *bts.PhoneOptions) {
		s := subscription("2102", true)
		card, err := aka.NewUSIM(aka.USIMOptions{Algorithm: milenage.New(s.K, s.OPc), SEQ: [aka.INDs]uint64{12: 1 << 40}})
		if err != nil {
			t.Fatal(err)
		}
		o.Card = card
	})
	w.camp(c, p)
	if s := w.hss.Stats(); s.Resyncs != 1 || s.Challenges != 2 || s.Proofs != 1 {
		t.Errorf("%+v", s)
	}
}
