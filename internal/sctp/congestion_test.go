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

// view is what the tests look at inside an association.
type view struct {
	sender
	rto, srtt time.Duration
}

func (a *assoc) look() view {
	a.mu.Lock()
	defer a.mu.Unlock()
	return view{a.sender, a.path.rto, a.path.srtt}
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
		was := a.look().cwnd
		time.Sleep(time.Second)
		wantTSNs(t, p, "T3", 12)
		if v := a.look(); v.cwnd != 1400 || v.ssthresh != max(was/2, 5600) || v.rto != 2*time.Second {
			t.Errorf("cwnd %d ssthresh %d rto %v, cwnd was %d", v.cwnd, v.ssthresh, v.rto, was)
		}
		p.send(sackChunk(p.cum+13, 100000))
		wantTSNs(t, p, "first retransmission acknowledged", 13, 14, 15)
		for n := p.cum + 14; a.look().cwnd <= a.look().ssthresh; n++ {
			p.send(sackChunk(n, 100000))
			p.tsns()
		}
		for range 2 { // congestion avoidance: one MTU for each window
			start := a.look()
			now := start
			for now.cwnd == start.cwnd {
				p.send(sackChunk(now.acked+1, 100000))
				p.tsns()
				now = a.look()
			}
			if n := int(now.acked-start.acked) * 1372; now.cwnd != start.cwnd+1400 || n < start.cwnd*3/4 || n > start.cwnd*3/2 {
				t.Errorf("cwnd %d to %d for %d bytes", start.cwnd, now.cwnd, n)
			}
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
		if v := a.look(); v.srtt != 0 || v.rto != 2*time.Second {
			t.Errorf("srtt %v rto %v after a retransmission", v.srtt, v.rto)
		}
		if err := a.Send(t.Context(), 0, 18, []byte("x")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
		p.send(sackChunk(p.cum+2, 100000))
		time.Sleep(10 * time.Millisecond)
		if v := a.look(); v.srtt != 101*time.Millisecond || v.rto != time.Second {
			t.Errorf("srtt %v rto %v after 101 ms", v.srtt, v.rto)
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
		was := a.look().cwnd
		p.send(sackChunk(p.cum+8, 100000, 2, 2))
		p.send(sackChunk(p.cum+8, 100000, 2, 3))
		if got := p.tsns(); slices.Contains(got, 8) {
			t.Fatalf("sent %v after two reports", got)
		}
		p.send(sackChunk(p.cum+8, 100000, 2, 4))
		if got := p.tsns(); len(got) == 0 || got[0] != 8 {
			t.Fatalf("sent %v after three reports", got)
		}
		if v := a.look(); v.cwnd < was/2 || v.cwnd > was/2+3*1400/2 || v.cwnd != v.ssthresh || !v.recovering { // three SACKs have let it grow
			t.Errorf("cwnd %d ssthresh %d, was %d", v.cwnd, v.ssthresh, was)
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
		if v := a.look(); v.gapped != 2 || v.flight != 1372 {
			t.Fatalf("gapped %d flight %d", v.gapped, v.flight)
		}
		p.send(sackChunk(p.cum, 100000))
		wantTSNs(t, p, "reneged", 1, 2)
		for _, bad := range [][]byte{sackChunk(p.cum+4, 1), sackChunk(p.cum, 1, 1, 1), sackChunk(p.cum, 1, 3, 2), sackChunk(p.cum, 1, 2, 4)} {
			p.send(bad)
		}
		p.tsns()
		if p.dropped(dropSack) != 4 || a.look().acked != p.cum {
			t.Errorf("%+v", p.e.Stats())
		}
	})
}

// RFC 9260 §7.2.1: an idle association does not keep a large window.
func TestIdleWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, a := filled(t, 100, Options{})
		for v := a.look(); v.acked != p.cum+100; v = a.look() {
			p.send(sackChunk(v.acked+uint32(v.sent), 100000))
			p.tsns()
		}
		was := a.look().cwnd
		time.Sleep(time.Minute)
		if err := a.Send(t.Context(), 0, 18, []byte("x")); err != nil {
			t.Fatal(err)
		}
		if v := a.look(); was <= 5600 || v.cwnd != max(was/2, 5600) {
			t.Errorf("cwnd %d, was %d", v.cwnd, was)
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

// Short messages sent faster than they are acknowledged are bundled (RFC 9260 §6.10) instead of taking a packet each.
func TestSmallMessagesBundled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, a := filled(t, 0, Options{Timers: Timers{HBInterval: time.Hour}})
		for range smallFlight + 10 {
			if err := a.Send(t.Context(), 0, 18, make([]byte, 50)); err != nil {
				t.Fatal(err)
			}
		}
		if got := p.tsns(); len(got) != smallFlight {
			t.Fatalf("%d packets at once, want %d", len(got), smallFlight)
		}
		p.send(sackChunk(p.cum+2, 100000))
		if r := p.recv(slices.Repeat([]uint8{ctData}, 10)...); r.size > 1400 {
			t.Errorf("packet of %d bytes", r.size)
		}
	})
}

// RFC 9260 §6.3.1 rule C5 after fast retransmit: the chunk being timed is not measured when it was sent twice.
func TestKarnFast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, a := filled(t, 4, Options{})
		p.tsns()
		for i := range uint16(3) {
			p.send(sackChunk(p.cum, 100000, 2, 2+i))
		}
		wantTSNs(t, p, "three reports", 0)
		time.Sleep(500 * time.Millisecond)
		p.send(sackChunk(p.cum+4, 100000))
		p.tsns()
		if v := a.look(); v.srtt != 0 {
			t.Errorf("srtt %v", v.srtt)
		}
	})
}
