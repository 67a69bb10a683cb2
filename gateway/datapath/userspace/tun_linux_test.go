package userspace

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"

	"campanile.network/3gpp/gtpu"
	"campanile.network/gateway/datapath"
	"campanile.network/gateway/datapath/dptest"
	"golang.org/x/sys/unix"
)

// inNetNS runs fn on a thread of its own in a fresh network namespace, which
// ends with it. It skips where that is not permitted.
func inNetNS(t *testing.T, fn func()) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root for a network namespace and a TUN device")
	}
	skip := make(chan error, 1)
	go func() {
		defer close(skip)
		runtime.LockOSThread() // never unlocked: the thread and its namespace die here
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			skip <- err
			return
		}
		fn()
	}()
	if err := <-skip; err != nil {
		t.Skipf("no network namespace: %v", err)
	}
}

// TestThroughTheKernel takes a datagram from a tower through GTP-U and a TUN
// device to a socket of the kernel's stack, and its answer back.
func TestThroughTheKernel(t *testing.T) {
	inNetNS(t, func() {
		tun, err := OpenTUN("camptest0", netip.MustParsePrefix("10.45.0.1/16"), 1400)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) {
			t.Skipf("no TUN device: %v", err)
		}
		if err != nil {
			t.Error(err)
			return
		}
		server, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(10, 45, 0, 1), Port: 7})
		if err != nil {
			t.Error(err)
			return
		}
		defer server.Close()
		// A fresh namespace has its loopback down.
		up(t, "lo")
		s1u, tower := netip.MustParseAddrPort("127.0.0.30:2152"), netip.MustParseAddrPort("127.0.0.11:2152")
		eNB, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(tower))
		if err != nil {
			t.Error(err)
			return
		}
		defer eNB.Close()
		p, err := New(Options{Local: s1u, Port: tun, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Error(err)
			return
		}
		ue := netip.MustParseAddr("10.45.0.2")
		b := datapath.Bearer{TEID: 1<<datapath.SlotBits | 1, Session: 1, Default: true, Tunnel: datapath.Tunnel{Peer: tower.Addr(), TEID: 0x77}}
		if err := errors.Join(p.PutSession(datapath.Session{ID: 1, IPv4: ue}), p.PutBearer(b)); err != nil {
			t.Error(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- p.Serve(ctx) }()
		for _, c := range []*net.UDPConn{server, eNB} {
			c.SetDeadline(time.Now().Add(10 * time.Second))
		}
		exchange(t, p, ue, b, server, eNB, s1u)
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
}

func exchange(t *testing.T, p *Path, ue netip.Addr, b datapath.Bearer, server, eNB *net.UDPConn, s1u netip.AddrPort) {
	msg := bytes.Repeat([]byte("bell"), 100)
	pkt := dptest.Packet(ue, netip.MustParseAddr("10.45.0.1"), 28+len(msg))
	copy(pkt[20:], []byte{0x30, 0, 0, 7, byte((8 + len(msg)) >> 8), byte(8 + len(msg)), 0, 0}) // UDP 12288 -> 7, no checksum
	copy(pkt[28:], msg)
	eNB.WriteToUDPAddrPort(gtpu.AppendGPDU(nil, b.TEID, pkt), s1u)
	buf := make([]byte, 2000)
	n, from, err := server.ReadFromUDPAddrPort(buf)
	if err != nil || !bytes.Equal(buf[:n], msg) || from.Addr() != ue {
		t.Errorf("server got %d octets from %v: %v", n, from, err)
		return
	}
	server.WriteToUDPAddrPort(msg[:100], from)
	n, err = eNB.Read(buf)
	if err != nil {
		t.Error(err)
		return
	}
	m, err := gtpu.Parse(buf[:n])
	if err != nil || m.TEID != b.Tunnel.TEID || len(m.Payload) != 128 {
		t.Errorf("tower got %v, %d octets, %v", m.TEID, len(m.Payload), err)
	}
	c, err := p.RemoveBearer(b.TEID)
	if want := (datapath.Count{ULOctets: 428, ULPackets: 1, DLOctets: 128, DLPackets: 1}); err != nil || c.Count != want {
		t.Errorf("counted %+v, want %+v", c, want)
	}
}

func up(t testing.TB, name string) {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		t.Error(err)
		return
	}
	defer unix.Close(s)
	r, err := unix.NewIfreq(name)
	if err == nil {
		r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
		err = unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, r)
	}
	if err != nil {
		t.Error(err)
	}
}
