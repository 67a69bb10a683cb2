package sctp

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// RFC 9260 §6.2: every second packet is acknowledged at once, a single one after the delay.
func TestDelayedAck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newScript(t, Options{})
		p.open()
		start := time.Now()
		p.send(p.data(0, 0, "a"))
		p.recv(ctSack)
		if d := time.Since(start); d < 200*time.Millisecond || d > 210*time.Millisecond {
			t.Errorf("SACK of one packet after %v", d)
		}
		start = time.Now()
		p.send(p.data(0, 1, "b"))
		p.send(p.data(0, 2, "c"))
		p.recv(ctSack)
		c := p.data(0, 3, "d")
		c[1] |= flagI // RFC 7053 §5.2
		p.send(c)
		p.recv(ctSack)
		if d := time.Since(start); d > 10*time.Millisecond {
			t.Errorf("SACK of two packets, or of the I bit, after %v", d)
		}
	})
}

// RFC 9260 §6.2: a SACK that waits rides with outgoing DATA, so that request and answer never wait for the delay.
func TestSackBundled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newScript(t, Options{})
		a := p.open()
		start := time.Now()
		for i := range uint16(20) {
			p.send(p.data(0, i, "ask"))
			wantRecv(t, a, "ask")
			if err := a.Send(t.Context(), 0, 18, []byte("answer")); err != nil {
				t.Fatal(err)
			}
			r := p.recv(ctSack, ctData)
			if s := viewSack(r.chunks[0]); s.cum != 100+uint32(i) {
				t.Fatalf("SACK %+v", s)
			}
			p.send(sackChunk(binary.BigEndian.Uint32(r.chunks[1].value), 100000))
		}
		if d := time.Since(start); d > 100*time.Millisecond {
			t.Errorf("20 requests took %v over 1 ms each way", d)
		}
	})
}

// RFC 9260 §6.2.1, §6.7: gaps and duplicates are reported at once, and the stream waits for the missing message.
func TestGapsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newScript(t, Options{})
		a := p.open()
		for _, step := range []struct {
			tsn, ssn uint16
			want     sackView
		}{
			{102, 2, sackView{cum: 99, gaps: []uint16{3, 3}}},
			{104, 4, sackView{cum: 99, gaps: []uint16{3, 3, 5, 5}}},
			{103, 3, sackView{cum: 99, gaps: []uint16{3, 5}}},
			{103, 3, sackView{cum: 99, gaps: []uint16{3, 5}, dups: []uint32{103}}},
			{100, 0, sackView{cum: 100, gaps: []uint16{2, 4}}},
			{101, 1, sackView{cum: 104}},
			{99, 1, sackView{cum: 104, dups: []uint32{99}}},
		} {
			p.send(dataChunk(uint32(step.tsn), 0, step.ssn, flagB|flagE, fmt.Sprint(step.ssn)))
			got := viewSack(p.recv(ctSack).chunks[0])
			if got.cum != step.want.cum || !slices.Equal(got.gaps, step.want.gaps) || !slices.Equal(got.dups, step.want.dups) {
				t.Fatalf("after TSN %d: %+v, want %+v", step.tsn, got, step.want)
			}
		}
		wantRecv(t, a, "0", "1", "2", "3", "4")
		if p.dropped(dropDuplicate) != 2 {
			t.Errorf("%+v", p.e.Stats())
		}
	})
}

// RFC 9260 §6.6: streams do not wait for each other, and unordered messages for nobody.
func TestStreamsIndependent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newScript(t, Options{})
		a := p.open()
		p.send(dataChunk(101, 1, 1, 3, "late"))
		p.send(dataChunk(102, 2, 0, 3, "other stream"))
		p.send(dataChunk(103, 1, 0, 3|flagU, "unordered"))
		p.send(dataChunk(104, 3, 0, flagB|flagU, "un"))
		p.send(dataChunk(105, 3, 9, flagE|flagU, "ordered")) // SSN of unordered data means nothing
		wantRecv(t, a, "other stream", "unordered", "unordered")
		p.send(dataChunk(100, 1, 0, 3, "first"))
		wantRecv(t, a, "first", "late")
	})
}

// RFC 9260 §6.9: fragments in any order make the message once, TSNs and SSNs wrap.
func TestReassembly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newScript(t, Options{Timers: Timers{HBInterval: time.Hour}})
		p.tsn = 1<<32 - 3
		a := p.open()
		parts := [][]byte{
			dataChunk(p.tsn, 0, 0, flagB, "one "), dataChunk(p.tsn+1, 0, 0, 0, "two "), dataChunk(p.tsn+2, 0, 0, 0, "three "),
			dataChunk(p.tsn+3, 0, 0, flagE, "four"), dataChunk(p.tsn+4, 0, 1, flagB, "five "), dataChunk(p.tsn+5, 0, 1, flagE, "six"),
		}
		for _, i := range []int{5, 1, 3, 0, 4, 2} {
			p.send(parts[i])
			p.recv(ctSack)
		}
		wantRecv(t, a, "one two three four", "five six")
		p.tsn += 6
		for ssn := uint16(2); ssn != 1; ssn++ { // 65535 messages: the SSN wraps
			p.send(p.data(0, ssn, "x"))
			wantRecv(t, a, "x")
		}
	})
}

// What a peer must not send ends in ABORT or ERROR, never in memory kept. RFC 9260 §6.2, §6.5, §6.9.
func TestBadData(t *testing.T) {
	for name, c := range map[string]badData{
		"no user data": {func(p *script) [][]byte { return [][]byte{dataChunk(100, 0, 0, 3, "")} }, ctAbort, CauseNoUserData},
		"begin in the middle": {func(p *script) [][]byte {
			return [][]byte{dataChunk(100, 0, 0, flagB, "a"), dataChunk(101, 0, 0, flagB, "b")}
		},
			ctAbort, CauseProtocolViolation},
		"end twice": {func(p *script) [][]byte {
			return [][]byte{dataChunk(100, 0, 0, flagE, "a"), dataChunk(101, 0, 0, flagE, "b")}
		},
			ctAbort, CauseProtocolViolation},
		"fragments of two streams": {func(p *script) [][]byte {
			return [][]byte{dataChunk(100, 0, 0, flagB, "a"), dataChunk(101, 1, 0, flagE, "b")}
		},
			ctAbort, CauseProtocolViolation},
		"message too long": {func(p *script) (out [][]byte) {
			for i := range 6 {
				f := uint8(0)
				if i == 0 {
					f = flagB
				}
				if i == 5 {
					f = flagE
				}
				out = append(out, dataChunk(100+uint32(i), 0, 0, f, string(make([]byte, 1000))))
			}
			return out
		}, ctAbort, CauseOutOfResource},
		"message without end": {func(p *script) (out [][]byte) {
			for i := range 30 {
				f := uint8(0)
				if i == 0 {
					f = flagB
				}
				out = append(out, dataChunk(100+uint32(i), 0, 0, f, string(make([]byte, 1000))))
			}
			return out
		}, ctAbort, CauseOutOfResource},
		"stream number": {func(p *script) [][]byte { return [][]byte{dataChunk(100, 10, 0, 3, "a")} }, ctError, CauseInvalidStream},
	} {
		inBubble(name, t, c.check)
	}
}

type badData struct {
	send  func(p *script) [][]byte
	reply uint8
	cause Cause
}

func (c badData) check(t *testing.T) {
	p := newScript(t, Options{ReceiveBuffer: 10000, MaxMessage: 5000})
	a := p.open()
	for _, d := range c.send(p) {
		p.send(d)
	}
	for {
		r := <-p.packets
		if k := r.chunks[0]; k.typ == ctSack {
			continue
		} else if k.typ != c.reply || causeOf(k) != c.cause {
			t.Errorf("got chunk %d %v, want %d %v", k.typ, causeOf(k), c.reply, c.cause)
		}
		break
	}
	var e *AbortError
	if c.reply == ctAbort && (!errors.As(a.Err(), &e) || !e.Local || e.Cause != c.cause) {
		t.Errorf("association: %v", a.Err())
	}
}

// RFC 9260 §6.1 rule A: a peer that announces no window is probed with one chunk, for ever while it answers; then everything flows.
func TestZeroWindowProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newScript(t, Options{SendBuffer: 3000, Timers: Timers{MaxRetrans: 3, RTOMax: 4 * time.Second, HBInterval: time.Hour}})
		a := p.open()
		send := func() error { return a.Send(t.Context(), 0, 18, make([]byte, 1000)) }
		if err := send(); err != nil {
			t.Fatal(err)
		}
		p.recv(ctData)
		p.send(sackChunk(p.cum+1, 0))
		time.Sleep(10 * time.Millisecond)
		for range 3 {
			if err := send(); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := a.Send(ctx, 0, 18, make([]byte, 1000)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("send into a full buffer: %v", err)
		}
		for range 20 { // many more than Association.Max.Retrans
			r := p.recv(ctData)
			if tsn := binary.BigEndian.Uint32(r.chunks[0].value); tsn != p.cum+2 {
				t.Fatalf("probe with TSN %d, want %d", tsn, p.cum+2)
			}
			p.send(sackChunk(p.cum+1, 0))
		}
		p.send(sackChunk(p.cum+1, 100000)) // window update
		for want := p.cum + 2; want < p.cum+5; want++ {
			r := p.recv(ctData)
			if tsn := binary.BigEndian.Uint32(r.chunks[0].value); tsn != want {
				t.Fatalf("TSN %d, want %d", tsn, want)
			}
			p.send(sackChunk(want, 100000))
		}
		if a.Err() != nil {
			t.Error(a.Err())
		}
	})
}

// The own window closes when nobody reads, opens with an update when somebody does, and is never overrun for long.
func TestReceiveWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newScript(t, Options{ReceiveBuffer: 20000, MaxMessage: 5000, Timers: Timers{HBInterval: time.Hour}})
		a := p.open()
		last := sackView{rwnd: 20000}
		sent := 0
		for last.rwnd >= 1000 {
			p.send(p.data(0, uint16(sent), string(make([]byte, 1000))))
			sent++
			last = viewSack(p.recv(ctSack).chunks[0])
		}
		if sent < 18 || sent > 20 {
			t.Errorf("%d messages of 1000 bytes fit a window of 20000", sent)
		}
		for range 60 { // a peer that does not care
			p.send(p.data(0, uint16(sent), string(make([]byte, 1000))))
			sent++
			last = viewSack(p.recv(ctSack).chunks[0])
		}
		kept := int(last.cum - 99)
		if last.rwnd != 0 || kept > 40 || p.dropped(dropNoBuffer) == 0 {
			t.Errorf("%+v: %d messages kept, %+v", last, kept, p.e.Stats())
		}
		for range kept {
			if _, err := a.Recv(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if s := viewSack(p.recv(ctSack).chunks[0]); s.rwnd < 10000 {
			t.Errorf("update %+v", s)
		}
	})
}
