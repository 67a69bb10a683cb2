package media

import (
	"context"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"
)

// meter takes what the process uses of processors, but for the thread it is on:
// on a busy machine that says more than the clock.
type meter struct{ used time.Duration }

func used(who int) time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(who, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

const thisThread = 1 // RUSAGE_THREAD

func (m *meter) start() { m.used -= used(syscall.RUSAGE_SELF) - used(thisThread) }
func (m *meter) stop()  { m.used += used(syscall.RUSAGE_SELF) - used(thisThread) }

// rounds sends one packet to each port, as calls do every 20 ms, waits until all
// have gone across, and does it again.
func rounds(b *testing.B, packet []byte, ports []netip.AddrPort, across *sync.WaitGroup) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	src := dial(b)
	var m meter
	b.ReportAllocs()
	b.ResetTimer()
	m.start()
	for n := 0; n < b.N; n += len(ports) {
		across.Add(len(ports))
		stamp(packet, packet[1], false, uint16(n/len(ports)), uint32(n/len(ports))*160, 1)
		for _, p := range ports {
			src.WriteToUDPAddrPort(packet, p)
		}
		across.Wait()
	}
	m.stop()
	b.ReportMetric(float64(m.used)/float64(b.N), "cpu-ns/op")
}

// BenchmarkRelay is what it takes to bring a packet from one leg to the other:
// by this package, and beside it by a goroutine for each port over package net,
// which does nothing but read and write.
func BenchmarkRelay(b *testing.B) {
	const calls = 200
	pcmu, pcma := rtp(0, 1, 1, 1, make([]byte, 160)), rtp(8, 1, 1, 1, make([]byte, 160))
	in, out := NewCrypto(1, AESCM80), NewCrypto(1, AESCM80)
	sink := dial(b)
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
			var across, serving sync.WaitGroup
			l := r.loops[0]
			l.write = func(s *socket, octets []byte, to netip.AddrPort) bool {
				if octets[1] < senderReport {
					defer across.Done()
				}
				return s.send(octets, to)
			}
			ctx, cancel := context.WithCancel(b.Context())
			serving.Go(func() { r.Serve(ctx) })
			defer serving.Wait()
			defer cancel()
			var ports []netip.AddrPort
			for range calls {
				s, err := r.Session([2]netip.Addr{})
				if err != nil {
					b.Fatal(err)
				}
				p := Peer{Addr: at(sink), Receives: []Format{c.takes}}
				if c.encrypt {
					p.Encrypt, p.Decrypt = in, out
				}
				// From any port of the address it has announced: the sender's.
				s.Leg(0).SetPeer(Peer{Addr: at(sink), Receives: []Format{PCMU, PCMA}, Direction: SendOnly})
				s.Leg(1).SetPeer(p)
				ports = append(ports, s.Leg(0).Local())
			}
			rounds(b, c.packet, ports, &across)
		})
	}
	b.Run("goroutines/as it is", func(b *testing.B) {
		var ports []netip.AddrPort
		var across, serving sync.WaitGroup
		var legs []*net.UDPConn
		for range calls {
			in, out := dial(b), dial(b)
			legs, ports = append(legs, in), append(ports, at(in))
			serving.Go(func() {
				buf := make([]byte, 1500)
				for {
					n, _, err := in.ReadFromUDPAddrPort(buf)
					if err != nil {
						return
					}
					out.WriteToUDPAddrPort(buf[:n], at(sink))
					across.Done()
				}
			})
		}
		rounds(b, pcmu, ports, &across)
		for _, l := range legs {
			l.Close()
		}
		serving.Wait()
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
