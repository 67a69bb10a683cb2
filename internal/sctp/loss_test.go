package sctp_test

import (
	"context"
	"encoding/binary"
	"errors"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/internal/sctp"
	"campanile.network/internal/sctp/sctptest"
)

const (
	chunkData     = 0
	chunkInit     = 1
	chunkShutdown = 7
	chunkShutAck  = 8
	chunkCookie   = 10
	chunkCookAck  = 11
	chunkShutDone = 14
)

// firstChunk is the type of a packet's first chunk; for DATA behind a SACK, DATA.
func firstChunk(p []byte) int {
	t := int(p[12])
	if n := 12 + (int(binary.BigEndian.Uint16(p[14:]))+3)&^3; t == 3 && n < len(p) {
		t = int(p[n])
	}
	return t
}

// RFC 9260 §5.1.6, §9.2: each message of setup and shutdown may be lost.
func TestSetupAndShutdownLost(t *testing.T) {
	for name, typ := range map[string]int{"INIT": chunkInit, "INIT ACK": 2, "COOKIE ECHO": chunkCookie, "COOKIE ACK": chunkCookAck, "DATA": chunkData,
		"SHUTDOWN": chunkShutdown, "SHUTDOWN ACK": chunkShutAck, "SHUTDOWN COMPLETE": chunkShutDone} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, sctptest.Conditions{Delay: time.Millisecond}, sctp.Options{CloseTimeout: time.Hour})
				defer b.close()
				var lost atomic.Int32
				b.net.SetFilter(func(p sctptest.Packet) bool { return firstChunk(p.Data) != typ || lost.Add(1) > 2 })
				x, y := b.open(36412)
				mustSend(t, x, 1, []byte("hello"))
				mustRecv(t, y, 1, []byte("hello"))
				if err := x.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
				if _, err := y.Recv(t.Context()); err != sctp.ErrShutdown {
					t.Error(err)
				}
				if <-y.Done(); y.Err() != sctp.ErrShutdown {
					t.Error(y.Err())
				}
				if lost.Load() < 3 && typ != chunkShutDone { // the third time it arrived
					t.Errorf("%d packets with %s", lost.Load(), name)
				}
			})
		})
	}
}

// RFC 9260 §9.2: both sides may shut down at once; what was sent before still arrives.
func TestShutdownBoth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, sctptest.Conditions{Delay: time.Millisecond}, sctp.Options{})
		defer b.close()
		x, y := b.open(36412)
		mustSend(t, x, 0, text(1, 50000))
		mustSend(t, y, 0, text(2, 50000))
		errs := make(chan error, 2)
		go func() { errs <- x.Shutdown(t.Context()) }()
		go func() { errs <- y.Shutdown(t.Context()) }()
		mustRecv(t, y, 0, text(1, 50000))
		mustRecv(t, x, 0, text(2, 50000))
		for range 2 {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
	})
}

// Shutdown delivers everything queued, over a bad network; sending afterwards is refused on both sides.
func TestShutdownDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, sctptest.Conditions{}, sctp.Options{CloseTimeout: time.Hour, Timers: sctp.Timers{MaxRetrans: 50, RTOMax: 4 * time.Second}})
		defer b.close()
		x, y := b.open(36412)
		b.net.SetConditions(sctptest.Conditions{Delay: 10 * time.Millisecond, Loss: 0.1})
		for i := range 200 {
			mustSend(t, x, 0, text(i, 1000))
		}
		done := make(chan error, 1)
		go func() { done <- x.Shutdown(t.Context()) }()
		synctest.Wait()
		if err := x.Send(t.Context(), 0, 18, []byte("late")); err != sctp.ErrClosed {
			t.Errorf("send after Shutdown: %v", err)
		}
		for i := range 200 {
			mustRecv(t, y, 0, text(i, 1000))
		}
		if _, err := y.Recv(t.Context()); err != sctp.ErrShutdown {
			t.Error(err)
		}
		if err := y.Send(t.Context(), 0, 18, []byte("late")); err != sctp.ErrShutdown {
			t.Errorf("send after the peer's SHUTDOWN: %v", err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// A Shutdown whose context ends aborts.
func TestShutdownTooSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, sctptest.Conditions{}, sctp.Options{})
		x, y := b.open(36412)
		b.net.SetConditions(sctptest.Conditions{Loss: 1})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := x.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("shutdown: %v", err)
		}
		if <-x.Done(); x.Err() == nil {
			t.Error("still alive")
		}
		start := time.Now()
		if err := b.eb.Close(); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 2*time.Second {
			t.Errorf("close: %v after %v", err, time.Since(start))
		}
		if y.Err() == nil {
			t.Error("association outlived its endpoint")
		}
		if err := b.ea.Close(); err != nil {
			t.Error(err)
		}
	})
}

// RFC 9260 §6.3.3, §8.1: T3 doubles, and Association.Max.Retrans ends the association.
func TestRetransmissionLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, sctptest.Conditions{Delay: time.Millisecond}, sctp.Options{Timers: sctp.Timers{MaxRetrans: 4, RTOMax: 6 * time.Second}})
		x, y := b.open(36412)
		var times []time.Duration
		start := time.Now()
		b.net.SetFilter(func(p sctptest.Packet) bool {
			if p.From == addrA && firstChunk(p.Data) == chunkData {
				times = append(times, time.Since(start).Round(10*time.Millisecond))
			}
			return false
		})
		mustSend(t, x, 0, []byte("into the void"))
		if _, err := x.Recv(t.Context()); err != sctp.ErrLost {
			t.Fatal(err)
		}
		want := []time.Duration{0, 1 * time.Second, 3 * time.Second, 7 * time.Second, 13 * time.Second}
		if len(times) != len(want) {
			t.Fatalf("sent at %v, want %v", times, want)
		}
		for i := range want {
			if times[i] != want[i] {
				t.Errorf("sent at %v, want %v", times, want)
			}
		}
		if d := time.Since(start).Round(time.Second); d != 19*time.Second {
			t.Errorf("given up after %v", d)
		}
		if err := x.Send(t.Context(), 0, 18, []byte("more")); err != sctp.ErrLost {
			t.Error(err)
		}
		_ = y
		b.ea.Close()
		b.eb.Close()
	})
}

// RFC 9260 §8.3: an idle association lives on heartbeats, and without answers it ends.
func TestHeartbeatKeepsAndLoses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, sctptest.Conditions{Delay: time.Millisecond}, sctp.Options{Timers: sctp.Timers{HBInterval: 10 * time.Second, MaxRetrans: 3}})
		x, y := b.open(36412)
		time.Sleep(time.Hour)
		if n := b.ea.Stats().PacketsOut; n < 600 || n > 800 { // own and answered: one each in 10.5 to 11.5 s
			t.Errorf("%d packets in an idle hour", n)
		}
		if x.Err() != nil || y.Err() != nil {
			t.Fatal(x.Err(), y.Err())
		}
		b.net.SetConditions(sctptest.Conditions{Loss: 1})
		start := time.Now()
		if _, err := x.Recv(t.Context()); err != sctp.ErrLost {
			t.Error(err)
		}
		if d := time.Since(start); d < 15*time.Second || d > 27*time.Second { // 0 to 11.5 s to the next, then 1, 2, 4 and 8 s
			t.Errorf("noticed after %v", d)
		}
		<-y.Done()
		b.ea.Close()
		b.eb.Close()
	})
}

// A peer that answers later than RTO.Max is there all the same: HEARTBEATs that are sent again are still answered.
func TestHeartbeatAnsweredLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, sctptest.Conditions{Delay: time.Millisecond}, sctp.Options{Timers: sctp.Timers{HBInterval: 2 * time.Second, RTOMax: 1500 * time.Millisecond, MaxRetrans: 6}})
		x, y := b.open(36412)
		b.net.SetConditions(sctptest.Conditions{Delay: 2 * time.Second})
		time.Sleep(time.Hour)
		if x.Err() != nil || y.Err() != nil {
			t.Error(x.Err(), y.Err())
		}
		b.ea.Close()
		b.eb.Close()
	})
}

// RFC 9260 §7.2.4: a single loss in a stream of packets is repaired without waiting for T3.
func TestFastRetransmit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, sctptest.Conditions{Delay: 5 * time.Millisecond}, sctp.Options{})
		defer b.close()
		x, y := b.open(36412)
		var n atomic.Int32
		b.net.SetFilter(func(p sctptest.Packet) bool { return firstChunk(p.Data) != chunkData || n.Add(1) != 20 })
		start := time.Now()
		go func() {
			for i := range 100 {
				if err := x.Send(t.Context(), 0, 18, text(i, 1300)); err != nil {
					t.Error(err)
				}
			}
		}()
		for i := range 100 {
			mustRecv(t, y, 0, text(i, 1300))
		}
		s := b.ea.Stats()
		if d := time.Since(start); d > 900*time.Millisecond || s.FastRetransmits != 1 || s.T3Expiries != 0 || s.ChunksRetransmitted != 1 {
			t.Errorf("%v, %+v", d, s)
		}
	})
}

// A process that comes back on the same address and ports restarts its association (RFC 9260 §5.2).
func TestPeerReboots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := sctptest.New(1, sctptest.Conditions{Delay: time.Millisecond})
		server := endpoint(t, n, addrB, sctp.Options{})
		defer server.Close()
		l, err := server.Listen(36412)
		if err != nil {
			t.Fatal(err)
		}
		remote := netip.AddrPortFrom(addrB.Addr(), 36412)
		first := endpoint(t, n, addrA, sctp.Options{})
		if _, err := first.Dial(t.Context(), remote, sctp.DialOptions{LocalPort: 36412}); err != nil {
			t.Fatal(err)
		}
		old, err := l.Accept(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		n.SetConditions(sctptest.Conditions{Loss: 1}) // a power cut: no goodbye
		first.Close()
		n.SetConditions(sctptest.Conditions{Delay: time.Millisecond})
		second := endpoint(t, n, addrA, sctp.Options{})
		defer second.Close()
		x, err := second.Dial(t.Context(), remote, sctp.DialOptions{LocalPort: 36412})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := old.Recv(t.Context()); err != sctp.ErrRestarted {
			t.Errorf("old association: %v", err)
		}
		y, err := l.Accept(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		mustSend(t, x, 0, []byte("back"))
		mustRecv(t, y, 0, []byte("back"))
		if s := server.Stats(); s.Restarted != 1 || s.Associations != 1 {
			t.Errorf("%+v", s)
		}
	})
}
