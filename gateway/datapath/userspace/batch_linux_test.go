package userspace

import (
	"bytes"
	"net"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"campanile.network/internal/loopback"
	"golang.org/x/sys/unix"
)

func TestBatchesAreWholeAndKnowTheirSender(t *testing.T) {
	for _, at := range []netip.Addr{loopback.Addr(t), netip.IPv6Loopback()} {
		c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(at, 0)))
		if err != nil {
			t.Skipf("no such address here: %v", err)
		}
		tune(c, 1<<20)
		b, err := receiving(c, true)
		if err != nil || b == nil {
			t.Fatal(b, err)
		}
		c.SetReadDeadline(time.Now().Add(20 * time.Second))
		from, err := net.DialUDP("udp", nil, c.LocalAddr().(*net.UDPAddr))
		if err != nil {
			t.Fatal(err)
		}
		const all = 3*batchSize + 5
		for n := range all {
			from.Write(bytes.Repeat([]byte{byte(n)}, 3*n))
		}
		for next := 0; next < all; {
			got, err := b.receive()
			if err != nil || len(got) == 0 {
				t.Fatal(len(got), err)
			}
			for _, d := range got {
				if !bytes.Equal(d.b, bytes.Repeat([]byte{byte(next)}, 3*next)) || d.from != from.LocalAddr().(*net.UDPAddr).AddrPort() {
					t.Fatalf("datagram %d: %d octets from %v", next, len(d.b), d.from)
				}
				next++
			}
		}
		from.Close()
		c.Close()
		if _, err := b.receive(); err == nil {
			t.Error("a closed socket is read")
		}
	}
}

// BenchmarkReceive is the processor time of receiving a datagram from a full
// socket, one by one and in batches.
func BenchmarkReceive(b *testing.B) {
	cpu := func() int64 {
		var ts unix.Timespec
		unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts)
		return ts.Nano()
	}
	for name, batched := range map[string]bool{"one": false, "batch": true} {
		b.Run(name, func(b *testing.B) {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback.Addr(b), 0)))
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			tune(c, 8<<20)
			r, err := receiving(c, true)
			if err != nil {
				b.Fatal(err)
			}
			from, err := net.DialUDP("udp4", nil, c.LocalAddr().(*net.UDPAddr))
			if err != nil {
				b.Fatal(err)
			}
			defer from.Close()
			pkt, buf := make([]byte, 520), make([]byte, maxDatagram)
			const full = 128
			var took, n int64
			b.ReportAllocs()
			for b.Loop() {
				for range full {
					from.Write(pkt)
				}
				start := cpu()
				for got := 0; got < full; {
					if batched {
						all, err := r.receive()
						if err != nil {
							b.Fatal(err)
						}
						got += len(all)
						continue
					}
					if _, _, err := c.ReadFromUDPAddrPort(buf); err != nil {
						b.Fatal(err)
					}
					got++
				}
				took += cpu() - start
				n += full
			}
			b.ReportMetric(float64(took)/float64(n), "cpu-ns/packet")
		})
	}
}
