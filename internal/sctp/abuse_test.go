package sctp

import (
	"encoding/binary"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

// heap is how many bytes are in use.
func heap() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// A peer decides how much of a packet is worth keeping: short messages in long packets, out of order so that they stay, must not hold much more
// than the window they are charged to.
func TestShortMessagesInLongPackets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newScript(t, Options{})
		p.open()
		padding := appendChunk(nil, ctPad, 0, make([]byte, 60000))
		flood := func(from, to uint16) int {
			for i := from; i < to; i++ {
				p.send(p.data(0, i, "x"), padding) // SSN 0 never comes
				if i%100 == 0 {
					time.Sleep(10 * time.Millisecond)
				}
			}
			time.Sleep(time.Second)
			return heap()
		}
		before := flood(1, 500)
		if grown := flood(500, 4500) - before; grown > 4<<20 {
			t.Errorf("4000 messages of one byte hold %d KiB", grown>>10)
		}
		if n := p.e.Stats().Associations; n != 1 {
			t.Errorf("%d associations", n)
		}
	})
}

// What an association costs while it rests.
func TestMemoryAtRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newScript(t, Options{Backlog: 1000})
		before := heap()
		const n = 1000
		for range n {
			p.src++
			p.open()
		}
		per := (heap() - before) / n
		t.Logf("%d bytes for an association, and what the test keeps of it", per)
		if per > 16<<10 {
			t.Errorf("%d bytes for an association", per)
		}
	})
}

// A message that comes in fragments of one byte, the last first, is put together in time that grows with its length, and one longer than may be
// ends the association before it is all there.
func TestFragmentsBackwards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newScript(t, Options{MaxMessage: 8000, ReceiveBuffer: 1 << 20})
		a := p.open()
		fragments := func(n int) {
			base := p.tsn
			p.tsn += uint32(n)
			for i := n - 1; i >= 0; i-- {
				c := p.data(0, 0, "x")
				p.tsn--
				binary.BigEndian.PutUint32(c[4:], base+uint32(i))
				if c[1] = 0; i == 0 {
					c[1] = flagB
				}
				if i == n-1 {
					c[1] |= flagE
				}
				p.send(c)
			}
		}
		fragments(8000)
		m, err := a.Recv(t.Context())
		if err != nil || len(m.Data) != 8000 {
			t.Fatalf("%d bytes, %v", len(m.Data), err)
		}
		fragments(8001)
		<-a.Done()
		if e, ok := a.Err().(*AbortError); !ok || e.Cause != CauseOutOfResource || !e.Local {
			t.Errorf("%v", a.Err())
		}
	})
}

// A packet full of SACKs costs as much as one.
func TestSacksInOnePacket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, a := filled(t, 20, Options{Timers: Timers{HBInterval: time.Hour}})
		p.tsns()
		var chunks [][]byte
		for i := range 100 {
			chunks = append(chunks, sackChunk(p.cum+1+uint32(i/50), 100000))
		}
		was := p.dropped(dropSackOld)
		p.send(chunks...)
		time.Sleep(10 * time.Millisecond)
		if v := a.look(); v.acked != p.cum+1 || p.dropped(dropSackOld) != was+99 {
			t.Errorf("acked %d, %d dropped", v.acked-p.cum, p.dropped(dropSackOld)-was)
		}
	})
}

// A peer that restarts over and over costs no more than one that does not: no goroutines, no associations, and those nobody accepts are refused.
func TestRestartStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newScript(t, Options{Backlog: 4})
		var last Association
		before := runtime.NumGoroutine()
		for i := range 300 {
			p.own++
			a := p.open()
			if last != nil {
				if _, err := last.Recv(t.Context()); err != ErrRestarted {
					t.Fatalf("restart %d: %v", i, err)
				}
			}
			last = a
		}
		if s := p.e.Stats(); s.Associations != 1 || s.Restarted != 299 || s.Ended != 299 {
			t.Errorf("%+v", s)
		}
		if n := runtime.NumGoroutine() - before; n > 2 {
			t.Errorf("%d goroutines more", n)
		}
	})
}
