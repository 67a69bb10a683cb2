package sctp_test

import (
	"context"
	"net"
	"testing"

	"campanile.network/internal/sctp"
	pionlogging "github.com/pion/logging"
	pion "github.com/pion/sctp"
)

const benchSize = 100

// stream sends b.N messages from x to y and waits until all have arrived.
func stream(b *testing.B, send func([]byte) error, recv func() error) {
	msg := make([]byte, benchSize)
	b.ReportAllocs()
	b.ResetTimer()
	errs := make(chan error, 1)
	go func() {
		for range b.N {
			if err := send(msg); err != nil {
				errs <- err
				return
			}
		}
		errs <- nil
	}()
	for range b.N {
		if err := recv(); err != nil {
			b.Fatal(err)
		}
	}
	if err := <-errs; err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}

// roundTrips sends one message and waits for its answer, b.N times.
func roundTrips(b *testing.B, send func([]byte) error, recv func() error, back func() error) {
	msg := make([]byte, benchSize)
	go func() {
		for back() == nil {
		}
	}()
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		if err := send(msg); err != nil {
			b.Fatal(err)
		}
		if err := recv(); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
}

func ends(x, y sctp.Association) (send func([]byte) error, recv, recvX, back func() error) {
	ctx := context.Background()
	send = func(p []byte) error { return x.Send(ctx, 0, 18, p) }
	recv = func() error { _, err := y.Recv(ctx); return err }
	recvX = func() error { _, err := x.Recv(ctx); return err }
	back = func() error {
		m, err := y.Recv(ctx)
		if err != nil {
			return err
		}
		return y.Send(ctx, 0, 18, m.Data)
	}
	return
}

// BenchmarkMessages is one-way throughput of 100-byte messages over UDP loopback (and in process), beside pion/sctp v1.11.0.
func BenchmarkMessages(b *testing.B) {
	b.Run("ours", func(b *testing.B) {
		send, recv, _, _ := ends(udpPair(b, sctp.Options{}))
		stream(b, send, recv)
	})
	b.Run("pion", func(b *testing.B) {
		x, y := pionPair(b)
		stream(b, pionSend(x), pionRecv(y))
	})
	b.Run("pipe", func(b *testing.B) {
		send, recv, _, _ := ends(sctp.Pipe(sctp.PipeOptions{}))
		stream(b, send, recv)
	})
}

// BenchmarkRoundTrip is request and answer of 100 bytes, one at a time.
func BenchmarkRoundTrip(b *testing.B) {
	b.Run("ours", func(b *testing.B) {
		x, y := udpPair(b, sctp.Options{})
		send, _, recv, back := ends(x, y)
		roundTrips(b, send, recv, back)
	})
	b.Run("pion", func(b *testing.B) {
		x, y := pionPair(b)
		recvY, sendY := pionRecv(y), pionSend(y)
		msg := make([]byte, benchSize)
		roundTrips(b, pionSend(x), pionRecv(x), func() error {
			if err := recvY(); err != nil {
				return err
			}
			return sendY(msg)
		})
	})
	b.Run("pipe", func(b *testing.B) {
		x, y := sctp.Pipe(sctp.PipeOptions{})
		send, _, recv, back := ends(x, y)
		roundTrips(b, send, recv, back)
		x.Abort("")
	})
}

// pionPair is a stream between two pion associations over UDP loopback.
func pionPair(b *testing.B) (x, y *pion.Stream) {
	b.Helper()
	c1, c2 := udpConnPair(b)
	logs, mtu := pion.WithLoggerFactory(&pionlogging.DefaultLoggerFactory{}), pion.WithMTU(1400)
	accepted := make(chan *pion.Stream, 1)
	go func() {
		a, err := pion.ServerWithOptions(pion.WithNetConn(c2), logs, mtu)
		if err != nil {
			b.Error(err)
			return
		}
		b.Cleanup(func() { a.Close() })
		s, err := a.AcceptStream()
		if err != nil {
			b.Error(err)
			return
		}
		accepted <- s
	}()
	a, err := pion.ClientWithOptions(pion.WithNetConn(c1), logs, mtu)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { a.Close() })
	if x, err = a.OpenStream(1, 18); err != nil {
		b.Fatal(err)
	}
	if _, err := x.WriteSCTP([]byte("open"), 18); err != nil {
		b.Fatal(err)
	}
	y = <-accepted
	buf := make([]byte, 10)
	if _, _, err := y.ReadSCTP(buf); err != nil {
		b.Fatal(err)
	}
	return x, y
}

func udpConnPair(b *testing.B) (c1, c2 *net.UDPConn) {
	b.Helper()
	any := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}
	l1, err := net.ListenUDP("udp4", any)
	if err != nil {
		b.Fatal(err)
	}
	a1 := l1.LocalAddr().(*net.UDPAddr)
	l2, err := net.ListenUDP("udp4", any)
	if err != nil {
		b.Fatal(err)
	}
	a2 := l2.LocalAddr().(*net.UDPAddr)
	l1.Close()
	l2.Close()
	if c1, err = net.DialUDP("udp4", a1, a2); err != nil {
		b.Fatal(err)
	}
	if c2, err = net.DialUDP("udp4", a2, a1); err != nil {
		b.Fatal(err)
	}
	for _, c := range []*net.UDPConn{c1, c2} {
		_ = c.SetReadBuffer(4 << 20)
		_ = c.SetWriteBuffer(1 << 20)
	}
	return c1, c2
}

func pionSend(s *pion.Stream) func([]byte) error {
	// pion queues without bound; wait as a user of SetBufferedAmountLowThreshold would, at the same 256 KiB.
	low := make(chan struct{}, 1)
	s.SetBufferedAmountLowThreshold(128 << 10)
	s.OnBufferedAmountLow(func() {
		select {
		case low <- struct{}{}:
		default:
		}
	})
	return func(p []byte) error {
		if s.BufferedAmount() > 256<<10 {
			<-low
		}
		_, err := s.WriteSCTP(p, 18)
		return err
	}
}

func pionRecv(s *pion.Stream) func() error {
	buf := make([]byte, 1<<16)
	return func() error { _, _, err := s.ReadSCTP(buf); return err }
}
