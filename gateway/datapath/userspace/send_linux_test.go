package userspace

import (
	"bytes"
	"net"
	"net/netip"
	"testing"
	"time"

	"campanile.network/3gpp/gtpu"
	"campanile.network/internal/loopback"
	"golang.org/x/sys/unix"
)

// sockets gives one that sends and one, at a tower, that is read in batches.
func sockets(t testing.TB, gro bool) (*net.UDPConn, *net.UDPConn, receiver) {
	bind := func() *net.UDPConn {
		c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback.Addr(t), 0)))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		tune(c, 8<<20)
		return c
	}
	from, to := bind(), bind()
	to.SetReadDeadline(time.Now().Add(20 * time.Second))
	r, err := receiving(to, gro)
	if err != nil {
		t.Fatal(err)
	}
	return from, to, r
}

func addrOf(c *net.UDPConn) netip.AddrPort { return c.LocalAddr().(*net.UDPAddr).AddrPort() }

// TestSentTogether: datagrams of several lengths, marks and towers arrive whole and
// in order, one that cannot be sent costs no other, and each is told what became of
// it. So it is where the kernel cuts nothing, and where it puts nothing together.
func TestSentTogether(t *testing.T) {
	for _, c := range []struct {
		name     string
		cut, gro bool
	}{{"cut", true, true}, {"cut and not put together", true, false}, {"one by one", false, false}} {
		t.Run(c.name, func(t *testing.T) {
			from, to, r := sockets(t, c.gro)
			s := sendMany(from).(*manySender)
			if s.longest == 0 {
				t.Log("this kernel has no UDP_SEGMENT")
			}
			if !c.cut {
				s.longest = 0
			}
			var parcels []parcel
			var want [][]byte
			nowhere := 0
			for i := range 400 {
				size := []int{600, 600, 600, 600, 600, 60, 600, 1400, 1400, 1000}[i%10]
				x := parcel{bytes: bytes.Repeat([]byte{byte(i), byte(i >> 8)}, size/2), at: addrOf(to), err: net.ErrClosed}
				switch {
				case i%7 == 3:
					x.oob = marking(x.at.Addr(), 46)
				case i%31 == 30:
					x.at = netip.AddrPortFrom(x.at.Addr(), 0) // no port of anybody's
					nowhere++
				}
				if x.at.Port() != 0 {
					want = append(want, x.bytes)
				}
				parcels = append(parcels, x)
			}
			told := 0
			s.send(parcels, func(x *parcel) {
				if x != &parcels[told] {
					t.Fatalf("told of parcel %d out of turn", told)
				}
				if told++; (x.err != nil) != (x.at.Port() == 0) {
					t.Errorf("parcel %d to %v: %v", told, x.at, x.err)
				}
			})
			if told != len(parcels) || nowhere == 0 {
				t.Fatalf("told of %d of %d", told, len(parcels))
			}
			for len(want) > 0 {
				got, err := r.receive()
				if err != nil {
					t.Fatalf("%v; %d are missing", err, len(want))
				}
				for _, d := range got {
					if d.from != addrOf(from) || !bytes.Equal(d.b, want[0]) {
						t.Fatalf("%d octets from %v, want %d", len(d.b), d.from, len(want[0]))
					}
					want = want[1:]
				}
			}
			from.Close()
			told = 0
			s.send(parcels[:5], func(x *parcel) {
				if told++; x.err == nil {
					t.Error("a closed socket has sent")
				}
			})
			if told != 5 {
				t.Errorf("told of %d", told)
			}
		})
	}
}

// Datagrams that are longer than the way's MTU are fragmented, not refused; shorter
// ones still go together.
func TestLongerThanTheWay(t *testing.T) {
	inNetNS(t, func() {
		up(t, "lo")
		mtu(t, "lo", 1500)
		from, to, r := sockets(t, true)
		s := sendMany(from).(*manySender)
		var parcels []parcel
		for i := range 40 {
			parcels = append(parcels, parcel{bytes: bytes.Repeat([]byte{byte(i)}, 1508), at: addrOf(to)})
		}
		s.send(parcels, func(x *parcel) {
			if x.err != nil {
				t.Error(x.err)
			}
		})
		for n := 0; n < len(parcels); {
			got, err := r.receive()
			if err != nil {
				t.Error(err)
				return
			}
			for _, d := range got {
				if !bytes.Equal(d.b, parcels[n].bytes) {
					t.Errorf("datagram %d: %d octets", n, len(d.b))
				}
				n++
			}
		}
		if s.longest != 0 && s.longest != 1507 {
			t.Errorf("%d octets are cut still", s.longest)
		}
	})
}

// BenchmarkSendDownlink is the processor time of giving packets to the socket
// towards a tower: one a call as before, in batches, and in batches that the kernel
// cuts. The last column is how many times its cost the first has, in the same run.
// Loopback takes a message whole: what cutting it costs a device is not in this.
func BenchmarkSendDownlink(b *testing.B) {
	pkt := gtpu.AppendGPDU(nil, 9, make([]byte, 1400))
	const full = 64
	first := 0.0
	for _, c := range []struct {
		name string
		each int
		cut  bool
	}{{"batch=1", 1, false}, {"batch=64", full, false}, {"batch=64,cut", full, true}} {
		b.Run(c.name, func(b *testing.B) {
			from, to, _ := sockets(b, false) // nobody reads
			s := sendMany(from).(*manySender)
			if !c.cut {
				s.longest = 0
			}
			parcels := make([]parcel, full)
			for i := range parcels {
				parcels[i] = parcel{bytes: pkt, at: addrOf(to)}
			}
			done := func(*parcel) {}
			b.ReportAllocs()
			start := processTime()
			for b.Loop() {
				for at := 0; at < full; at += c.each {
					s.send(parcels[at:at+c.each], done)
				}
			}
			ns := float64(processTime()-start) / float64(b.N) / full
			if c.each == 1 {
				first = ns
			}
			b.ReportMetric(ns, "cpu-ns/packet")
			b.ReportMetric(first/ns, "x")
		})
	}
}

// processTime is the processor time of the process, ns.
func processTime() int64 {
	var ts unix.Timespec
	unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &ts)
	return ts.Nano()
}
