package sctp

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// A flood of SACKs that say nothing new sends nothing, retransmits nothing and opens no window (RFC 9260 §6.2.1, §7.2).
func TestSackStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, a := filled(t, 100, Options{})
		p.tsns()
		was := a.look()
		for range 10000 {
			p.send(sackChunk(p.cum, 100000))
			p.send(sackChunk(p.cum-1, 100000))
			p.send(sackChunk(p.cum+1000, 100000))
		}
		if got := p.tsns(); len(got) != 0 {
			t.Errorf("sent %v", got)
		}
		if v := a.look(); v.cwnd != was.cwnd || v.flight != was.flight || p.e.Stats().ChunksRetransmitted != 0 {
			t.Errorf("cwnd %d flight %d, %+v", v.cwnd, v.flight, p.e.Stats())
		}
	})
}

// A peer that reports and takes back gaps at will makes us send each chunk again at most once for each time it does so, and never more than it
// says it has room for (RFC 9260 §6.2.1, §7.2.4).
func TestGapAbuse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, a := filled(t, 150, Options{})
		rng := rand.New(rand.NewPCG(1, 2))
		sent := len(p.tsns())
		const rounds = 2000
		for range rounds {
			v := a.look()
			var gaps []uint16
			for at := 2; at <= v.sent && len(gaps) < 40; at += 2 + rng.IntN(3) {
				gaps = append(gaps, uint16(at), uint16(min(at+rng.IntN(2), v.sent)))
			}
			p.send(sackChunk(v.acked, 20000, gaps...))
			time.Sleep(5 * time.Millisecond)
			for len(p.packets) > 0 {
				r := <-p.packets
				if r.chunks[0].typ != ctData {
					t.Fatalf("%+v", r.chunks)
				}
				sent += len(r.chunks)
			}
			checkInvariants(t, a)
			if v := a.look(); v.flight > 20000+1400 || v.sent > 150 {
				t.Fatalf("flight %d", v.flight)
			}
		}
		if sent > 4*rounds { // a burst of four packets for each SACK, RFC 9260 §6.1 rule D
			t.Errorf("%d packets for %d SACKs", sent, rounds)
		}
	})
}

// T5-shutdown-guard (RFC 9260 §9.2): a peer that answers every SHUTDOWN with more DATA does not keep an association alive for ever.
func TestShutdownGuard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newScript(t, Options{Timers: Timers{RTOMax: 2 * time.Second}})
		a := p.open()
		done := make(chan error, 1)
		start := time.Now()
		go func() { done <- a.Shutdown(t.Context()) }()
		go func() {
			for _, err := a.Recv(context.Background()); err == nil; _, err = a.Recv(context.Background()) {
			}
		}()
		for n := uint16(0); ; n++ {
			r := p.recv1()
			types := make([]uint8, 0, 2)
			for _, c := range r.chunks {
				types = append(types, c.typ)
			}
			if slices.Contains(types, ctAbort) {
				break
			}
			if types[0] != ctShutdown {
				t.Fatalf("chunks %v", types)
			}
			time.Sleep(100 * time.Millisecond)
			p.send(p.data(0, n, "and another thing"))
		}
		if err, d := <-done, time.Since(start); err != ErrLost || d < 10*time.Second || d > 11*time.Second {
			t.Errorf("%v after %v, want five times RTO.Max", err, d)
		}
	})
}

// RFC 9260 §3.3.8: SHUTDOWN has no room for gap blocks; what earlier ones reported stays acknowledged.
func TestShutdownIsNoReneging(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, a := filled(t, 3, Options{})
		p.tsns()
		p.send(sackChunk(p.cum, 100000, 2, 3))
		p.tsns()
		p.send(appendChunk(nil, ctShutdown, 0, binary.BigEndian.AppendUint32(nil, p.cum)))
		if got := p.tsns(); len(got) != 0 || a.look().gapped != 2 {
			t.Errorf("sent %v again, %d gapped", got, a.look().gapped)
		}
		time.Sleep(time.Second)
		wantTSNs(t, p, "T3", 0)
		p.send(appendChunk(nil, ctShutdown, 0, binary.BigEndian.AppendUint32(nil, p.cum+3)))
		p.recv(ctShutdownAck)
	})
}
