package media

import (
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"
)

// BenchmarkRelay lets packets wait in the kernel, calls x 20 of them, and takes
// the time until all have gone across: by this package, and beside it by a
// goroutine for each port over package net, which does nothing but read and write.
func BenchmarkRelay(b *testing.B) {
	const calls, each = 100, 20
	pcmu, pcma := rtp(0, 1, 1, 1, make([]byte, 160)), rtp(8, 1, 1, 1, make([]byte, 160))
	in, out := NewCrypto(1, AESCM80), NewCrypto(1, AESCM80)
	for _, c := range []struct {
		name    string
		packet  []byte
		takes   Format
		encrypt bool
	}{{"as it is", pcmu, PCMU, false}, {"into SRTP", pcmu, PCMU, true}, {"PCMA to GSM", pcma, GSM, false}} {
		b.Run("epoll/"+c.name, func(b *testing.B) {
			r, err := New(Options{Address: loopback, Rate: 1e9})
			if err != nil {
				b.Fatal(err)
			}
			defer r.close()
			l := r.loops[0]
			src, sink := dial(b), dial(b)
			var ports []netip.AddrPort
			for range calls {
				s, err := r.Session([2]netip.Addr{})
				if err != nil {
					b.Fatal(err)
				}
				s.Leg(0).SetPeer(Peer{Addr: at(src), Receives: []Format{PCMU, PCMA}})
				p := Peer{Addr: at(sink), Receives: []Format{c.takes}}
				if c.encrypt {
					p.Encrypt, p.Decrypt = in, out
				}
				s.Leg(1).SetPeer(p)
				ports = append(ports, s.Leg(0).Local())
			}
			b.ReportAllocs()
			b.ResetTimer()
			seq := uint16(0)
			for n := 0; n < b.N; {
				b.StopTimer()
				for range each {
					seq++
					stamp(c.packet, c.packet[1], false, seq, uint32(seq)*160, 1)
					for _, p := range ports {
						src.WriteToUDPAddrPort(c.packet, p)
					}
				}
				b.StartTimer()
				for got := 0; got < calls*each; {
					k, err := l.poll.wait(time.Second)
					if err != nil || k == 0 {
						b.Fatalf("%d of %d: %v", got, calls*each, err)
					}
					now := time.Now()
					l.mu.Lock()
					for i := range k {
						l.receive(i, now)
					}
					l.mu.Unlock()
					got += k
				}
				n += calls * each
			}
		})
	}
	b.Run("goroutines/as it is", func(b *testing.B) {
		src, sink := dial(b), dial(b)
		var ports []netip.AddrPort
		var round, all sync.WaitGroup
		var legs []*net.UDPConn
		for range calls {
			in, out := dial(b), dial(b)
			legs = append(legs, in)
			ports = append(ports, at(in))
			all.Go(func() {
				buf := make([]byte, 1500)
				for {
					n, _, err := in.ReadFromUDPAddrPort(buf)
					if err != nil {
						return
					}
					out.WriteToUDPAddrPort(buf[:n], at(sink))
					round.Done()
				}
			})
		}
		b.ReportAllocs()
		b.ResetTimer()
		for n := 0; n < b.N; n += calls * each {
			round.Add(calls * each)
			for range each {
				for _, p := range ports {
					src.WriteToUDPAddrPort(pcmu, p)
				}
			}
			round.Wait()
		}
		b.StopTimer()
		for _, l := range legs {
			l.Close()
		}
		all.Wait()
	})
}

// BenchmarkSession is what a call's ports cost.
func BenchmarkSession(b *testing.B) {
	r, err := New(Options{Address: loopback})
	if err != nil {
		b.Fatal(err)
	}
	defer r.close()
	b.ReportAllocs()
	for b.Loop() {
		s, err := r.Session([2]netip.Addr{})
		if err != nil {
			b.Fatal(err)
		}
		s.Close()
	}
}
