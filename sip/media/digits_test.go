package media

import (
	"encoding/binary"
	"testing"
	"time"
)

func event(code byte, end bool, long uint16) []byte {
	b := []byte{code, 10, byte(long >> 8), byte(long)}
	if end {
		b[1] |= 0x80
	}
	return b
}

// press sends a digit as RFC 4733 §2.5 says, in 20 ms steps, and the end thrice.
func (b *bench) press(kind uint8, code byte, seq uint16, ts uint32) uint16 {
	for i := range 8 {
		b.give(0, phone, rtp(kind, seq, ts, 9, event(code, false, uint16(160*(i+1)))))
		seq++
		b.wait(20 * time.Millisecond)
	}
	for range 3 {
		b.give(0, phone, rtp(kind, seq, ts, 9, event(code, true, 8*160)))
		seq++
	}
	return seq
}

// A digit is told once and goes through, whether speech is made anew or not.
func TestDigitsPassAndAreTold(t *testing.T) {
	for _, far := range []Format{PCMU, GSM} {
		b := newBench(t).call([]Format{PCMU, TelephoneEvent}, []Format{far, {Number: 96, Name: "telephone-event", Rate: 8000}})
		src := &tone{hz: 400}
		seq, ts := uint16(0), uint32(0)
		talk := func() {
			for range 10 {
				b.give(0, phone, rtp(0, seq, ts, 9, src.frame(ulaw, 160)))
				seq, ts = seq+1, ts+160
				b.at = b.at.Add(20 * time.Millisecond)
			}
		}
		talk()
		seq = b.press(101, 11, seq, ts)
		ts += 8 * 160
		talk()
		got := b.taken(1)
		if len(got) != 31 {
			t.Fatalf("%s: %d packets", far.Name, len(got))
		}
		for i, p := range got {
			if i > 0 && p.seq != got[i-1].seq+1 {
				t.Errorf("%s: packet %d has number %d after %d", far.Name, i, p.seq, got[i-1].seq)
			}
			begun := got[9].ts + 160
			if i >= 10 && i < 21 && (p.kind != 96 || p.ts != begun || p.payload[0] != 11) {
				t.Errorf("%s: packet %d: %d at %d, want 96 at %d", far.Name, i, p.kind, p.ts, begun)
			}
			if want := begun + uint32(i-21+8)*160; i >= 21 && (p.kind != far.Number || p.ts != want) {
				t.Errorf("%s: packet %d: %d at %d, want %d at %d", far.Name, i, p.kind, p.ts, far.Number, want)
			}
		}
		told := b.events()
		if len(told) != 2 || told[1] != (Event{Leg: 0, Kind: Digit, Digit: '#', Duration: 160 * time.Millisecond}) {
			t.Errorf("%s: %+v", far.Name, told)
		}
	}
}

// A digit whose end is lost is told when the next begins; where the other leg
// takes no events it is told all the same, and nothing goes there.
func TestDigitsAreToldToWhoTakesNone(t *testing.T) {
	b := newBench(t).call([]Format{PCMU, TelephoneEvent}, []Format{PCMU})
	b.give(0, phone, rtp(101, 1, 100, 9, event(1, false, 160)))
	b.give(0, phone, rtp(101, 2, 100, 9, event(1, false, 480)))
	b.give(0, phone, rtp(101, 9, 900, 9, event(2, true, 800)))
	b.give(0, phone, rtp(101, 3, 100, 9, event(1, true, 640))) // late
	b.give(0, phone, rtp(101, 10, 2000, 9, event(16, true, 800)))
	b.give(0, phone, rtp(101, 11, 3000, 9, []byte{1, 2}))
	if got := b.taken(1); len(got) != 0 {
		t.Errorf("%+v", got)
	}
	e := b.events()
	if len(e) != 3 || e[1] != (Event{0, Digit, '1', 60 * time.Millisecond}) || e[2] != (Event{0, Digit, '2', 100 * time.Millisecond}) {
		t.Errorf("%+v", e)
	}
}

// What is sent for a digit by INFO is what RFC 4733 §2.5.1 wants, in the middle of
// speech that goes on after it.
func TestSendDigit(t *testing.T) {
	b := newBench(t).call([]Format{PCMU, TelephoneEvent}, []Format{PCMU})
	src := &tone{hz: 400}
	seq := uint16(0)
	talk := func(n int) {
		for range n {
			b.give(1, cell, rtp(0, seq, uint32(seq)*160, 9, src.frame(ulaw, 160)))
			seq++
			b.wait(20 * time.Millisecond)
		}
	}
	talk(10)
	for _, d := range []byte("5*") {
		if err := b.s.Leg(0).SendDigit(d, 100*time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	talk(30)
	got := b.taken(0)
	var spelt []packet
	last := got[0]
	for i, p := range got {
		if i > 0 && (p.seq != last.seq+1 || int32(p.ts-last.ts) < 0 || p.ssrc != last.ssrc) {
			t.Errorf("packet %d: %d at %d after %d at %d", i, p.seq, p.ts, last.seq, last.ts)
		}
		if p.kind == 101 {
			spelt = append(spelt, p)
		}
		last = p
	}
	if len(spelt) != 14 {
		t.Fatalf("%d packets of events", len(spelt))
	}
	for i, p := range spelt {
		n := i % 7
		long := binary.BigEndian.Uint16(p.payload[2:])
		if p.payload[0] != "\x05\x0a"[i/7] || p.marker != (n == 0) || (p.payload[1]&0x80 != 0) != (n >= 4) ||
			long != uint16(160*min(n+1, 5)) || p.ts != spelt[i-n].ts {
			t.Errorf("packet %d: %+v", i, p)
		}
	}
	if d := spelt[7].ts - spelt[0].ts; d < 160*8 {
		t.Errorf("the second begins %d after the first", d)
	}
	if n := len(got) - len(spelt); n < 20 || n > 35 {
		t.Errorf("%d of 40 packets of speech", n)
	}
}

func TestSendDigitRefuses(t *testing.T) {
	b := newBench(t).call([]Format{PCMU, TelephoneEvent}, []Format{PCMU})
	if err := b.s.Leg(1).SendDigit('1', 0); err != ErrNoEvents {
		t.Error(err)
	}
	if err := b.s.Leg(0).SendDigit('x', 0); err == nil {
		t.Error("x is a digit")
	}
	for i := range 33 {
		if err := b.s.Leg(0).SendDigit('1', 0); (err != nil) != (i == 32) {
			t.Errorf("digit %d: %v", i, err)
		}
	}
}

// Events of another clock are spelt anew.
func TestDigitsOfAnotherClock(t *testing.T) {
	wide := []Format{{Number: 111, Name: "opus", Rate: 48000, Channels: 2}, {Number: 110, Name: "telephone-event", Rate: 48000}, {Number: 0, Name: "PCMU", Rate: 8000}}
	b := newBench(t).call(wide, []Format{PCMU, TelephoneEvent})
	b.give(0, phone, rtp(110, 1, 0, 9, event(7, true, 4800)))
	b.wait(500 * time.Millisecond)
	got := b.taken(1)
	if len(got) != 7 || got[6].kind != 101 || binary.BigEndian.Uint16(got[6].payload[2:]) != 800 {
		t.Errorf("%+v", got)
	}
}

// Speech that waits for a lost packet when a digit begins is heard all the same.
func TestSpeechBeforeADigitIsHeard(t *testing.T) {
	b := newBench(t).call([]Format{PCMU, TelephoneEvent}, []Format{GSM, TelephoneEvent})
	for _, seq := range []uint16{0, 1, 3} { // 2 is lost
		b.give(0, phone, rtp(0, seq, uint32(seq)*160, 9, make([]byte, 160)))
	}
	b.press(101, 1, 4, 4*160)
	speech, digits := 0, 0
	for _, p := range b.taken(1) {
		switch p.kind {
		case GSM.Number:
			speech++
		case TelephoneEvent.Number:
			digits++
		}
	}
	if speech != 4 || digits != 11 {
		t.Errorf("%d frames of speech, %d packets of the digit", speech, digits)
	}
}
