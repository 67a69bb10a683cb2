package sctp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/internal/sctp"
	"campanile.network/internal/sctp/sctptest"
)

var (
	addrA = netip.MustParseAddrPort("192.0.2.1:9899")
	addrB = netip.MustParseAddrPort("192.0.2.2:9899")
)

// bench is two endpoints on a network in memory.
type bench struct {
	t      *testing.T
	net    *sctptest.Network
	ea, eb *sctp.Userspace
}

func endpoint(t *testing.T, n *sctptest.Network, at netip.AddrPort, o sctp.Options) *sctp.Userspace {
	t.Helper()
	s, err := n.Open(at)
	if err != nil {
		t.Fatal(err)
	}
	o.Conn = s
	e, err := sctp.NewUDP(o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func newBench(t *testing.T, c sctptest.Conditions, o sctp.Options) *bench {
	t.Helper()
	n := sctptest.New(7, c)
	return &bench{t, n, endpoint(t, n, addrA, o), endpoint(t, n, addrB, o)}
}

// open dials from A to B and returns both ends.
func (b *bench) open(port uint16) (x, y sctp.Association) {
	b.t.Helper()
	l, err := b.eb.Listen(port)
	if err != nil {
		b.t.Fatal(err)
	}
	x, err = b.ea.Dial(b.t.Context(), netip.AddrPortFrom(addrB.Addr(), port), sctp.DialOptions{})
	if err != nil {
		b.t.Fatal(err)
	}
	y, err = l.Accept(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	return x, y
}

func (b *bench) close() {
	b.t.Helper()
	if err := b.ea.Close(); err != nil {
		b.t.Errorf("closing A: %v", err)
	}
	if err := b.eb.Close(); err != nil {
		b.t.Errorf("closing B: %v", err)
	}
}

func text(i, n int) []byte {
	p := bytes.Repeat([]byte{byte(i)}, n)
	return append(fmt.Appendf(nil, "%08d", i), p...)
}

func mustSend(t *testing.T, a sctp.Association, stream uint16, data []byte) {
	t.Helper()
	if err := a.Send(t.Context(), stream, 18, data); err != nil {
		t.Fatalf("send: %v", err)
	}
}

func mustRecv(t *testing.T, a sctp.Association, stream uint16, data []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	m, err := a.Recv(ctx)
	if err != nil {
		t.Fatalf("recv: %v, want %.12q", err, data)
	}
	if m.Stream != stream || m.PPID != 18 || !bytes.Equal(m.Data, data) {
		t.Fatalf("recv stream %d ppid %d %d bytes %.12q, want stream %d ppid 18 %d bytes %.12q", m.Stream, m.PPID, len(m.Data), m.Data, stream,
			len(data), data)
	}
}

func TestExchangeAndShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, sctptest.Conditions{Delay: 10 * time.Millisecond}, sctp.Options{})
		defer b.close()
		x, y := b.open(36412)
		for i, n := range []int{1, 3, 1372, 1373, 20000, 100000} {
			mustSend(t, x, uint16(i), text(i, n))
			mustRecv(t, y, uint16(i), text(i, n))
			mustSend(t, y, 1, text(i, n))
			mustRecv(t, x, 1, text(i, n))
		}
		mustSend(t, x, 0, []byte("last words"))
		if err := x.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		mustRecv(t, y, 0, []byte("last words"))
		if _, err := y.Recv(t.Context()); err != sctp.ErrShutdown || !errors.Is(err, io.EOF) {
			t.Fatalf("after SHUTDOWN: %v", err)
		}
		if _, err := x.Recv(t.Context()); err != sctp.ErrClosed {
			t.Fatalf("own end after SHUTDOWN: %v", err)
		}
	})
}

func TestLossReorderDuplicate(t *testing.T) {
	for _, c := range []sctptest.Conditions{
		{Delay: 20 * time.Millisecond, Loss: 0.05},
		{Delay: 20 * time.Millisecond, Jitter: 30 * time.Millisecond},
		{Delay: 5 * time.Millisecond, Jitter: 10 * time.Millisecond, Loss: 0.2, Duplicate: 0.2},
	} {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, sctptest.Conditions{}, sctp.Options{Timers: sctp.Timers{MaxRetrans: 50, RTOMax: 5 * time.Second}, CloseTimeout: time.Hour})
				defer b.close()
				x, y := b.open(36412)
				b.net.SetConditions(c)
				const count = 2000
				size := func(i int) int { return i * 37 % 3000 }
				go func() {
					for i := range count {
						if err := x.Send(t.Context(), uint16(i%3), 18, text(i, size(i))); err != nil {
							t.Errorf("send %d: %v", i, err)
							return
						}
					}
				}()
				last := [3]int{-3, -2, -1}
				for range count {
					m, err := y.Recv(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					s := m.Stream
					i := last[s] + 3
					if last[s] = i; !bytes.Equal(m.Data, text(i, size(i))) {
						t.Fatalf("stream %d: %.8q (%d bytes), want message %d", s, m.Data, len(m.Data), i)
					}
				}
				t.Logf("A %+v", b.ea.Stats())
			})
		})
	}
}
