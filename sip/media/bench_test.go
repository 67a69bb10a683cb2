package media

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// What is measured is processor time, of this process but for the sender's thread,
// or of another: on a busy machine that says more than the clock.
func used(who int) time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(who, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

const thisThread = 1 // RUSAGE_THREAD

func here() time.Duration { return used(syscall.RUSAGE_SELF) - used(thisThread) }

// of is what another process has used.
func of(pid int) time.Duration {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(b), ") ")
	f := strings.Fields(rest)
	if len(f) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// rounds sends one packet to each port, as calls do every 20 ms, waits until all
// have gone across, and does it again.
func rounds(b *testing.B, packet []byte, ports []netip.AddrPort, across *sync.WaitGroup, src *net.UDPConn, used func() time.Duration) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	b.ReportAllocs()
	b.ResetTimer()
	before := used()
	for n := 0; n < b.N; n += len(ports) {
		across.Add(len(ports))
		stamp(packet, packet[1], false, uint16(n/len(ports)), uint32(n/len(ports))*160, 1)
		for _, p := range ports {
			src.WriteToUDPAddrPort(packet, p)
		}
		across.Wait()
	}
	b.ReportMetric(float64(used()-before)/float64(b.N), "cpu-ns/op")
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
			rounds(b, c.packet, ports, &across, dial(b), here)
		})
	}
	b.Run("goroutines/as it is", func(b *testing.B) { naive(b, calls, pcmu, at(sink)) })
}

// naive is a goroutine for each port.
func naive(b *testing.B, calls int, packet []byte, to netip.AddrPort) {
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
				out.WriteToUDPAddrPort(buf[:n], to)
				across.Done()
			}
		})
	}
	rounds(b, packet, ports, &across, dial(b), here)
	for _, l := range legs {
		l.Close()
	}
	serving.Wait()
}

// BenchmarkRTPEngine is the same of rtpengine without its kernel module, where it
// is installed (apt-get install rtpengine-daemon).
func BenchmarkRTPEngine(b *testing.B) {
	path, err := exec.LookPath("rtpengine")
	if err != nil {
		b.Skip("rtpengine is not installed: apt-get install rtpengine-daemon")
	}
	control, src, sink := dial(b), dial(b), dial(b)
	ng := netip.AddrPortFrom(loopback, 42223)
	cmd := exec.Command(path, "--foreground", "--log-stderr", "--log-level=1", "--table=-1", "--interface=127.0.0.1", "--listen-ng="+ng.String(),
		"--port-min=42300", "--port-max=44300", "--num-threads=1", "--pidfile="+filepath.Join(b.TempDir(), "pid"))
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	buf := make([]byte, 4096)
	ask := func(command string, i int, peer netip.AddrPort) netip.AddrPort {
		sdp := fmt.Sprintf("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio %d RTP/AVP 0\r\n", peer.Port())
		id := fmt.Sprintf("%03d", i)
		q := fmt.Sprintf("%s%s d7:call-id3:%s7:command%d:%s8:from-tag1:a6:to-tag1:b3:sdp%d:%se", command, id, id, len(command), command, len(sdp), sdp)
		for range 50 { // until it listens
			control.WriteToUDPAddrPort([]byte(q), ng)
			control.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
			n, _, err := control.ReadFromUDPAddrPort(buf)
			var port uint16
			if _, rest, ok := strings.Cut(string(buf[:n]), "m=audio "); err == nil && ok {
				fmt.Sscan(rest, &port)
				return netip.AddrPortFrom(loopback, port)
			}
		}
		b.Fatalf("rtpengine does not answer: %q", buf)
		return ng
	}
	var ports []netip.AddrPort
	for i := range 200 {
		ask("offer", i, at(src))
		ports = append(ports, ask("answer", i, at(sink)))
	}
	var across sync.WaitGroup
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	context.AfterFunc(ctx, func() { sink.Close() })
	go func() {
		for {
			if _, _, err := sink.ReadFromUDPAddrPort(make([]byte, 1500)); err != nil {
				return
			}
			across.Done()
		}
	}()
	rounds(b, rtp(0, 1, 1, 1, make([]byte, 160)), ports, &across, src, func() time.Duration { return of(cmd.Process.Pid) })
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
