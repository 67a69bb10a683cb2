package sctp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/internal/sctp"
	"campanile.network/internal/sctp/sctptest"
)

// The contract of Association, which the userspace back end and Pipe share.
func TestContract(t *testing.T) {
	makers := map[string]func(t *testing.T) (x, y sctp.Association, done func()){
		"udp": func(t *testing.T) (x, y sctp.Association, done func()) {
			b := newBench(t, sctptest.Conditions{Delay: time.Millisecond}, sctp.Options{SendBuffer: 20000, ReceiveBuffer: 20000, MaxMessage: 10000,
				OutStreams: 4, InStreams: 4})
			x, y = b.open(36412)
			return x, y, b.close
		},
		"pipe": func(t *testing.T) (x, y sctp.Association, done func()) {
			x, y = sctp.Pipe(sctp.PipeOptions{Streams: 4, Buffer: 20000, MaxMessage: 10000, A: netip.AddrPortFrom(addrA.Addr(), 1),
				B: netip.AddrPortFrom(addrB.Addr(), 36412)})
			return x, y, func() {}
		},
	}
	for name, open := range makers {
		for rule, f := range contract {
			t.Run(name+"/"+rule, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					x, y, done := open(t)
					defer done()
					f(t, x, y, conditions{settle: synctest.Wait, reason: "enough"})
				})
			})
		}
	}
}

// conditions is what differs between the worlds that contract is run in: virtual time, and the real one of back ends with sockets.
type conditions struct {
	settle func() // waits until everybody waits
	reason string // what arrives of "enough" in an ABORT
}

var contract = map[string]func(t *testing.T, x, y sctp.Association, w conditions){
	"messages": func(t *testing.T, x, y sctp.Association, w conditions) {
		data := []byte("hello")
		mustSend(t, x, 3, data)
		data[0] = 'J' // Send has copied
		mustRecv(t, y, 3, []byte("hello"))
		mustSend(t, y, 0, text(1, 9000))
		mustRecv(t, x, 0, text(1, 9000))
		if out, in := x.Streams(); out != 4 || in != 4 {
			t.Errorf("streams %d %d", out, in)
		}
		if x.LocalAddr() != y.RemoteAddr() || y.LocalAddr() != x.RemoteAddr() || y.LocalAddr().Port() != 36412 {
			t.Errorf("addresses %v %v %v %v", x.LocalAddr(), x.RemoteAddr(), y.LocalAddr(), y.RemoteAddr())
		}
		if x.Err() != nil || y.Err() != nil {
			t.Error(x.Err(), y.Err())
		}
	},
	"refused": func(t *testing.T, x, y sctp.Association, w conditions) {
		for want, err := range map[error]error{
			sctp.ErrEmpty:   x.Send(t.Context(), 0, 18, nil),
			sctp.ErrTooLong: x.Send(t.Context(), 0, 18, make([]byte, 10001)),
			sctp.ErrStream:  x.Send(t.Context(), 4, 18, []byte("x")),
		} {
			if err != want {
				t.Errorf("%v, want %v", err, want)
			}
		}
	},
	"recv waits": func(t *testing.T, x, y sctp.Association, w conditions) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := x.Recv(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		mustSend(t, y, 0, []byte("still alive"))
		mustRecv(t, x, 0, []byte("still alive"))
	},
	"send waits": func(t *testing.T, x, y sctp.Association, w conditions) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		sent := 0
		var err error
		for ; err == nil; sent++ {
			err = x.Send(ctx, 0, 18, text(sent, 1000))
		}
		if !errors.Is(err, context.DeadlineExceeded) || sent > 150 {
			t.Fatalf("%v after %d messages", err, sent)
		}
		var wg sync.WaitGroup
		for range 5 { // waiters share what room there is
			wg.Go(func() {
				if err := x.Send(t.Context(), 1, 18, text(0, 1000)); err != nil {
					t.Error(err)
				}
			})
		}
		w.settle()
		next := [2]int{}
		for range sent - 1 + 5 { // one stream may overtake the other
			m, err := y.Recv(t.Context())
			if err != nil || m.Stream > 1 {
				t.Fatalf("stream %d, %v", m.Stream, err)
			}
			if want := text(next[m.Stream]*int(1-m.Stream), 1000); !bytes.Equal(m.Data, want) {
				t.Fatalf("stream %d: %.12q, want %.12q", m.Stream, m.Data, want)
			}
			next[m.Stream]++
		}
		if next[1] != 5 {
			t.Errorf("%d of 5 waiters' messages", next[1])
		}
		wg.Wait()
	},
	"readers share": func(t *testing.T, x, y sctp.Association, w conditions) {
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				for range 20 {
					if _, err := y.Recv(t.Context()); err != nil {
						t.Error(err)
					}
				}
			})
		}
		for i := range 100 {
			mustSend(t, x, 0, text(i, 10))
		}
		wg.Wait()
		for range 3 {
			wg.Go(func() {
				if _, err := y.Recv(t.Context()); err != sctp.ErrShutdown {
					t.Error(err)
				}
			})
		}
		w.settle()
		if err := x.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		wg.Wait()
	},
	"shutdown": func(t *testing.T, x, y sctp.Association, w conditions) {
		mustSend(t, x, 0, []byte("last"))
		done := make(chan error, 1)
		go func() { done <- x.Shutdown(t.Context()) }()
		mustRecv(t, y, 0, []byte("last"))
		if err := <-done; err != nil {
			t.Error(err)
		}
		for range 2 {
			if _, err := y.Recv(t.Context()); err != sctp.ErrShutdown {
				t.Error(err)
			}
			if _, err := x.Recv(t.Context()); err != sctp.ErrClosed {
				t.Error(err)
			}
		}
		if <-y.Done(); x.Err() != sctp.ErrClosed || y.Err() != sctp.ErrShutdown {
			t.Error(x.Err(), y.Err())
		}
		if err := x.Send(t.Context(), 0, 18, []byte("x")); err != sctp.ErrClosed {
			t.Error(err)
		}
		if err := y.Send(t.Context(), 0, 18, []byte("x")); err != sctp.ErrShutdown {
			t.Error(err)
		}
		if x.Shutdown(t.Context()) != nil || y.Shutdown(t.Context()) != nil {
			t.Error("shutdown after a graceful end")
		}
	},
	"abort": func(t *testing.T, x, y sctp.Association, w conditions) {
		waiting := make(chan error, 1)
		go func() { _, err := x.Recv(t.Context()); waiting <- err }()
		w.settle()
		y.Abort("enough")
		<-x.Done()
		var e *sctp.AbortError
		if err := <-waiting; !errors.As(err, &e) || e.Local || e.Reason != w.reason || e.Cause != sctp.CauseUserAbort {
			t.Error(err)
		}
		if !errors.As(y.Err(), &e) || !e.Local {
			t.Error(y.Err())
		}
		if err := x.Shutdown(t.Context()); !errors.As(err, &e) {
			t.Error(err)
		}
	},
	"abort wakes sender": func(t *testing.T, x, y sctp.Association, w conditions) {
		blocked := make(chan error, 1)
		go func() {
			var err error
			for err == nil {
				err = x.Send(t.Context(), 0, 18, make([]byte, 1000))
			}
			blocked <- err
		}()
		time.Sleep(time.Second)
		y.Abort("")
		var e *sctp.AbortError
		if err := <-blocked; !errors.As(err, &e) {
			t.Error(err)
		}
	},
}

// Ports: refused twice, free again after the end, chosen when 0.
func TestPorts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, sctptest.Conditions{Delay: time.Millisecond}, sctp.Options{})
		defer b.close()
		l, err := b.eb.Listen(0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.eb.Listen(l.Addr().Port()); !errors.Is(err, sctp.ErrPortInUse) {
			t.Errorf("second listener: %v", err)
		}
		for range 3 {
			x, err := b.ea.Dial(t.Context(), l.Addr(), sctp.DialOptions{LocalPort: 7})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := b.ea.Dial(t.Context(), l.Addr(), sctp.DialOptions{LocalPort: 7}); !errors.Is(err, sctp.ErrPortInUse) {
				t.Errorf("second dial: %v", err)
			}
			if _, err := l.Accept(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := x.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
		}
		for i := range 50 { // many associations between the same two addresses
			x, err := b.ea.Dial(t.Context(), l.Addr(), sctp.DialOptions{})
			if err != nil {
				t.Fatal(err)
			}
			y, err := l.Accept(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			mustSend(t, x, 0, text(i, 10))
			mustRecv(t, y, 0, text(i, 10))
		}
		if n := b.eb.Stats().Associations; n != 50 {
			t.Errorf("%d associations", n)
		}
	})
}

// A listener's backlog is bounded; closing it refuses newcomers, aborts those not accepted, and leaves the others alone.
func TestListenerLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, sctptest.Conditions{Delay: time.Millisecond}, sctp.Options{Backlog: 2})
		defer b.close()
		l, err := b.eb.Listen(36412)
		if err != nil {
			t.Fatal(err)
		}
		dial := func() (sctp.Association, error) { return b.ea.Dial(t.Context(), l.Addr(), sctp.DialOptions{}) }
		var got []sctp.Association
		for i := range 2 {
			a, err := dial()
			if err != nil {
				t.Fatal(i, err)
			}
			got = append(got, a)
		}
		var e *sctp.AbortError
		if _, err := dial(); !errors.As(err, &e) || e.Cause != sctp.CauseOutOfResource {
			t.Errorf("dial with the backlog full: %v", err)
		}
		y, err := l.Accept(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		waiting := make(chan error, 1)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		go func() { _, err := l.Accept(t.Context()); waiting <- err }()
		if err := <-waiting; err != sctp.ErrClosed {
			t.Errorf("accept: %v", err)
		}
		if _, err := dial(); !errors.As(err, &e) {
			t.Errorf("dial without listener: %v", err)
		}
		mustSend(t, got[0], 0, []byte("accepted"))
		mustRecv(t, y, 0, []byte("accepted"))
		if _, err := got[1].Recv(t.Context()); !errors.As(err, &e) {
			t.Errorf("not accepted: %v", err)
		}
		if _, err := b.eb.Listen(36412); err != nil {
			t.Errorf("port not free after Close: %v", err)
		}
	})
}

// Closing an endpoint shuts every association down and leaves nothing running (synctest would report it).
func TestEndpointClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, sctptest.Conditions{Delay: time.Millisecond}, sctp.Options{})
		l, err := b.eb.Listen(36412)
		if err != nil {
			t.Fatal(err)
		}
		var ends []sctp.Association
		for i := range 20 {
			x, err := b.ea.Dial(t.Context(), l.Addr(), sctp.DialOptions{})
			if err != nil {
				t.Fatal(err)
			}
			mustSend(t, x, 0, text(i, 5000))
			ends = append(ends, x)
		}
		accepting := make(chan error, 1)
		go func() {
			var err error
			for err == nil {
				_, err = l.Accept(t.Context())
			}
			accepting <- err
		}()
		synctest.Wait()
		if err := b.eb.Close(); err != nil {
			t.Error(err)
		}
		if err := <-accepting; err != sctp.ErrClosed {
			t.Error(err)
		}
		for _, x := range ends {
			if _, err := x.Recv(t.Context()); err != sctp.ErrShutdown {
				t.Error(err)
			}
		}
		if _, err := b.eb.Listen(1); err != sctp.ErrClosed {
			t.Error(err)
		}
		if _, err := b.eb.Dial(t.Context(), l.Addr(), sctp.DialOptions{}); !errors.Is(err, sctp.ErrClosed) {
			t.Error(err)
		}
		if err := errors.Join(b.ea.Close(), b.ea.Close()); err != nil {
			t.Error(err)
		}
	})
}

func ExamplePipe() {
	tower, core := sctp.Pipe(sctp.PipeOptions{})
	ctx := context.Background()
	_ = tower.Send(ctx, 1, 18, []byte("S1 Setup"))
	m, _ := core.Recv(ctx)
	fmt.Printf("stream %d, PPID %d: %s\n", m.Stream, m.PPID, m.Data)
	// Output: stream 1, PPID 18: S1 Setup
}
