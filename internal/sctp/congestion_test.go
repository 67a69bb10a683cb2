package sctp

import (
	"encoding/binary"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// filled opens an association with full-sized messages queued, without retransmissions in the way.
func filled(t *testing.T, messages int, o Options) (*script, *assoc) {
	t.Helper()
	def(&o.Timers.HBInterval, time.Hour)
	p := newScript(t, o)
	a := p.open().(*assoc)
	for range messages {
		if err := a.Send(t.Context(), 0, 18, make([]byte, 1372)); err != nil {
			t.Fatal(err)
		}
	}
	return p, a
}

// tsns returns the TSNs of the DATA sent in the next milliseconds, relative to the first.
func (p *script) tsns() (out []int) {
	for {
		select {
		case r := <-p.packets:
			for _, c := range r.chunks {
				if c.typ == ctData {
					out = append(out, int(binary.BigEndian.Uint32(c.value)-p.cum-1))
				}
			}
		case <-time.After(10 * time.Millisecond):
			return out
		}
	}
}

func wantTSNs(t *testing.T, p *script, what string, want ...int) {
	t.Helper()
	if got := p.tsns(); !slices.Equal(got, want) {
		t.Fatalf("%s: sent %v, want %v", what, got, want)
	}
}

// RFC 9260 §7.2.1: initial window of 4404 bytes, then one packet more for each SACK that finds it used; bursts of four.
func TestSlowStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := filled(t, 30, Options{})
		wantTSNs(t, p, "initial window", 0, 1, 2, 3)
		p.send(sackChunk(p.cum+2, 100000))
		wantTSNs(t, p, "two acknowledged", 4, 5, 6)
		p.send(sackChunk(p.cum+4, 100000))
		wantTSNs(t, p, "two acknowledged", 7, 8, 9)
		p.send(sackChunk(p.cum+10, 100000))
		wantTSNs(t, p, "all acknowledged, burst", 10, 11, 12, 13)
	})
}

// RFC 9260 §6.3.3, §7.2.3: after T3 one packet, cwnd is one MTU, ssthresh half; slow start again, then congestion avoidance.
func TestAfterTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, a := filled(t, 60, Options{Timers: Timers{MaxBurst: 100}})
		p.tsns()
		for i := uint32(2); i <= 12; i += 2 {
			p.send(sackChunk(p.cum+i, 100000))
			p.tsns()
		}
		before := a.cwnd
		time.Sleep(time.Second)
		wantTSNs(t, p, "T3", 12)
		if a.cwnd != 1400 || a.ssthresh != max(before/2, 5600) || a.rto != 2*time.Second {
			t.Errorf("cwnd %d ssthresh %d rto %v, cwnd was %d", a.cwnd, a.ssthresh, a.rto, before)
		}
		p.send(sackChunk(p.cum+13, 100000))
		wantTSNs(t, p, "first retransmission acknowledged", 13, 14, 15)
		for n := p.cum + 14; a.cwnd <= a.ssthresh; n++ {
			p.send(sackChunk(n, 100000))
			p.tsns()
		}
		start, was := a.acked, a.cwnd
		for a.cwnd == was { // congestion avoidance: one MTU for each window
			p.send(sackChunk(a.acked+1, 100000))
			p.tsns()
		}
		if n := int(a.acked-start) * 1372; a.cwnd != was+1400 || n < was*3/4 || n > was*3/2 {
			t.Errorf("cwnd %d to %d for %d bytes", was, a.cwnd, n)
		}
	})
}

// RFC 9260 §6.3.1 rule C5: a retransmitted chunk is not measured.
func TestKarn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, a := filled(t, 1, Options{})
		time.Sleep(1500 * time.Millisecond) // T3 has sent it again
		p.send(sackChunk(p.cum+1, 100000))
		time.Sleep(10 * time.Millisecond)
		if a.srtt != 0 || a.rto != 2*time.Second {
			t.Errorf("srtt %v rto %v after a retransmission", a.srtt, a.rto)
		}
		if err := a.Send(t.Context(), 0, 18, []byte("x")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
		p.send(sackChunk(p.cum+2, 100000))
		time.Sleep(10 * time.Millisecond)
		if a.srtt != 101*time.Millisecond || a.rto != time.Second {
			t.Errorf("srtt %v rto %v after 101 ms", a.srtt, a.rto)
		}
	})
}

// RFC 9260 §6.3.2 rule R3: T3 starts anew when the earliest outstanding TSN is acknowledged.
func TestTimerRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := filled(t, 3, Options{})
		wantTSNs(t, p, "sent", 0, 1, 2)
		for i := range uint32(2) {
			time.Sleep(800 * time.Millisecond)
			p.send(sackChunk(p.cum+1+i, 100000))
		}
		wantTSNs(t, p, "1.6 s after sending, 10 ms after a SACK")
		time.Sleep(3 * time.Second) // the RTT measured was 0.8 s: RTO is 2.4 s
		wantTSNs(t, p, "3 s after the SACK", 2)
	})
}

// RFC 9260 §7.2.4: three reports of a hole retransmit it, once; ssthresh halves once for one flight.
func TestThreeMissIndications(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, a := filled(t, 20, Options{Timers: Timers{MaxBurst: 100}})
		p.tsns()
		for i := uint32(1); i <= 8; i++ {
			p.send(sackChunk(p.cum+i, 100000))
		}
		p.tsns()
		was := a.cwnd
		p.send(sackChunk(p.cum+8, 100000, 2, 2))
		p.send(sackChunk(p.cum+8, 100000, 2, 3))
		if got := p.tsns(); slices.Contains(got, 8) {
			t.Fatalf("sent %v after two reports", got)
		}
		p.send(sackChunk(p.cum+8, 100000, 2, 4))
		if got := p.tsns(); len(got) == 0 || got[0] != 8 {
			t.Fatalf("sent %v after three reports", got)
		}
		if a.cwnd != max(was/2, 5600) || !a.recovering {
			t.Errorf("cwnd %d, was %d", a.cwnd, was)
		}
		p.send(sackChunk(p.cum+8, 100000, 2, 5))
		if got := p.tsns(); slices.Contains(got, 8) {
			t.Errorf("sent %v: fast retransmit is for once", got)
		}
	})
}

// RFC 9260 §6.2.1: a receiver may take back what it reported in a gap block; then it is sent again.
func TestReneging(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, a := filled(t, 3, Options{})
		p.tsns()
		p.send(sackChunk(p.cum, 100000, 2, 3))
		p.tsns()
		if a.gapped != 2 || a.flight != 1372 {
			t.Fatalf("gapped %d flight %d", a.gapped, a.flight)
		}
		p.send(sackChunk(p.cum, 100000))
		wantTSNs(t, p, "reneged", 1, 2)
		for _, bad := range [][]byte{sackChunk(p.cum+4, 1), sackChunk(p.cum, 1, 1, 1), sackChunk(p.cum, 1, 3, 2), sackChunk(p.cum, 1, 2, 4)} {
			p.send(bad)
		}
		p.tsns()
		if p.dropped(dropSack) != 4 || a.acked != p.cum {
			t.Errorf("%+v", p.e.Stats())
		}
	})
}

// RFC 9260 §7.2.1: an idle association does not keep a large window.
func TestIdleWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, a := filled(t, 100, Options{})
		for a.acked != p.cum+100 {
			p.tsns()
			p.send(sackChunk(a.acked+uint32(a.sent), 100000))
		}
		was := a.cwnd
		time.Sleep(time.Minute)
		if err := a.Send(t.Context(), 0, 18, []byte("x")); err != nil {
			t.Fatal(err)
		}
		if was <= 5600 || a.cwnd != max(was/2, 5600) {
			t.Errorf("cwnd %d, was %d", a.cwnd, was)
		}
	})
}

// TSNs far beyond the cumulative one cannot be remembered and are not.
func TestFarTSN(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newScript(t, Options{})
		p.open()
		p.send(dataChunk(99+windowTSNs, 0, 5, 3, "far"))
		if s := viewSack(p.recv(ctSack).chunks[0]); s.cum != 99 || len(s.gaps) != 0 || p.dropped(dropBeyondWindow) != 1 {
			t.Errorf("%+v %+v", s, p.e.Stats())
		}
		p.send(dataChunk(98+windowTSNs, 0, 5, 3, "edge"))
		if s := viewSack(p.recv(ctSack).chunks[0]); !slices.Equal(s.gaps, []uint16{windowTSNs - 1, windowTSNs - 1}) {
			t.Errorf("%+v", s)
		}
	})
}
