package userspace

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"

	"campanile.network/3gpp/gtpu"
	"campanile.network/3gpp/id"
	"campanile.network/gateway/datapath"
	"golang.org/x/sys/unix"
)

// onePort and oneConn leave a port and a socket only the calls that move one packet.
type (
	onePort struct{ Port }
	oneConn struct{ PacketConn }
)

// half is one of two data paths that face each other: what is a phone to one is the
// packet network to the other, so that the kernel's TCP is at both ends. teid is 1
// or 2.
func half(tun *TUN, teid id.TEID, plain bool) (*Path, error) {
	at := [3]netip.Addr{1: netip.MustParseAddr("127.0.0.31"), 2: netip.MustParseAddr("127.0.0.32")}
	o := Options{Local: netip.AddrPortFrom(at[teid], 0), Port: tun, MaxBearers: 8, Logger: slog.New(slog.DiscardHandler)}
	if plain {
		c, err := bind(netip.AddrPortFrom(at[teid], gtpu.Port), false)
		if err != nil {
			return nil, err
		}
		o.Conn, o.Port = oneConn{c}, onePort{tun}
	}
	p, err := New(o)
	if err != nil {
		return nil, err
	}
	return p, errors.Join(
		p.PutSession(datapath.Session{ID: 1, IPv4: endAddr(3 - teid), Open: true, AMBR: datapath.Rates{UL: 1e12, DL: 1e12}}),
		p.PutBearer(datapath.Bearer{TEID: teid, Session: 1, Default: true, Tunnel: datapath.Tunnel{Peer: at[3-teid], TEID: 3 - teid}}))
}

func endAddr(teid id.TEID) netip.Addr { return netip.AddrFrom4([4]byte{10, 45, 0, byte(teid)}) }

// insideWithTUN unshares the network of this goroutine's thread, which is never unlocked and
// ends with it, and makes a TUN device there.
func insideWithTUN(teid id.TEID) (*TUN, error) {
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return nil, err
	}
	return OpenTUN("camptest0", netip.PrefixFrom(endAddr(teid), 24), 1400)
}

// BenchmarkTCP is a flow of TCP through two data paths and their tunnel, packet by
// packet and in batches. Processor time is of all of it, both kernels' ends
// included; the last column is how many times its cost the first has, in the same run.
func BenchmarkTCP(b *testing.B) {
	if os.Getuid() != 0 {
		b.Skip("needs root for network namespaces and TUN devices")
	}
	first := 0.0
	for _, plain := range []bool{true, false} {
		name := map[bool]string{true: "batch=1", false: "batch=64"}[plain]
		b.Run(name, func(b *testing.B) {
			type server struct {
				tun *TUN
				ln  net.Listener
				err error
			}
			there := make(chan server)
			go func() {
				var s server
				if s.tun, s.err = insideWithTUN(2); s.err == nil {
					s.ln, s.err = net.Listen("tcp4", netip.AddrPortFrom(endAddr(2), 80).String())
				}
				there <- s
			}()
			s := <-there
			tun, err := insideWithTUN(1)
			if err = errors.Join(err, s.err); err != nil {
				b.Skip("no network namespace or TUN device: ", err)
			}
			up(b, "lo")
			ctx, cancel := context.WithCancel(b.Context())
			ended := make(chan error)
			var paths []*Path
			for i, t := range []*TUN{tun, s.tun} {
				p, err := half(t, id.TEID(i+1), plain)
				if err != nil {
					b.Fatal(err)
				}
				paths = append(paths, p)
				go func() { ended <- p.Serve(ctx) }()
			}
			to, err := net.Dial("tcp4", s.ln.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			from, err := s.ln.Accept()
			if err != nil {
				b.Fatal(err)
			}
			chunk := make([]byte, 1<<20)
			got := make([]byte, len(chunk))
			b.SetBytes(int64(len(chunk)))
			start := processTime()
			for b.Loop() {
				sent := make(chan error, 1)
				go func() { _, err := to.Write(chunk); sent <- err }()
				if _, err := io.ReadFull(from, got); err != nil {
					b.Fatal(err)
				}
				if err := <-sent; err != nil {
					b.Fatal(err)
				}
			}
			ns := float64(processTime()-start) / float64(b.N)
			if plain {
				first = ns
			}
			b.ReportMetric(ns/1e6, "cpu-ms/MiB")
			b.ReportMetric(first/ns, "x")
			to.Close()
			from.Close()
			s.ln.Close()
			cancel()
			for range paths {
				if err := <-ended; err != nil {
					b.Error(err)
				}
			}
			up, err := paths[1].Usage(2)
			down, derr := paths[0].Usage(1)
			if err != nil || derr != nil || up.ULOctets > down.DLOctets || up.ULOctets < uint64(b.N)<<20 {
				b.Errorf("%d octets left the first, %d the second, %d MiB were sent; %v, %v", down.DLOctets, up.ULOctets, b.N, err, derr)
			}
		})
	}
}
