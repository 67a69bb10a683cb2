package userspace

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"testing"
	"time"

	"campanile.network/3gpp/gtpu"
	"campanile.network/gateway/datapath"
	"campanile.network/gateway/datapath/dptest"
	"campanile.network/internal/loopback"
	"golang.org/x/sys/unix"
)

// TestMarking sends a bearer's packet through the kernel and reads its DSCP at the
// tower, for both versions of the outer header.
func TestMarking(t *testing.T) {
	for _, c := range []struct {
		name        string
		gw, tower   netip.Addr
		level, kind int // of what the tower asks to be told
		told        int32
	}{
		{"IPv4", loopback.Addr(t), loopback.Addr(t), unix.IPPROTO_IP, unix.IP_RECVTOS, unix.IP_TOS},
		{"IPv6", netip.IPv6Loopback(), netip.IPv6Loopback(), unix.IPPROTO_IPV6, unix.IPV6_RECVTCLASS, unix.IPV6_TCLASS},
	} {
		t.Run(c.name, func(t *testing.T) {
			tower, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(c.tower, 0)))
			if err != nil {
				t.Skipf("no such address here: %v", err)
			}
			defer tower.Close()
			raw, err := tower.SyscallConn()
			if err != nil {
				t.Fatal(err)
			}
			raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), c.level, c.kind, 1) })
			if err != nil {
				t.Fatal(err)
			}
			conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(c.gw, 0)))
			if err != nil {
				t.Fatal(err)
			}
			p, err := New(Options{Conn: conn, Port: newWire(), Logger: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			ue, at := netip.MustParseAddr("10.45.0.2"), tower.LocalAddr().(*net.UDPAddr).AddrPort()
			put(t, p, 1, ue, datapath.Tunnel{Peer: c.tower, TEID: 9})
			p.lane(0).shown(p.lookup(1).b, at) // the tower's port is not GTP-U's here
			tower.SetReadDeadline(time.Now().Add(20 * time.Second))
			for _, dscp := range []uint8{0, 46, 10} {
				if err := p.UpdatePolicy(1, datapath.Policy{DSCP: dscp}); err != nil {
					t.Fatal(err)
				}
				p.downlink(append(make([]byte, gtpu.HeaderLen), dptest.Packet(dptest.Router, ue, 60)...), false)
				b, oob := make([]byte, 200), make([]byte, 200)
				n, oobn, _, _, err := tower.ReadMsgUDP(b, oob)
				if err != nil || n != 68 {
					t.Fatal(n, err)
				}
				messages, err := unix.ParseSocketControlMessage(oob[:oobn])
				if err != nil || len(messages) != 1 || messages[0].Header.Type != c.told || messages[0].Data[0] != dscp<<2 {
					t.Errorf("DSCP %d came as %+v, %v", dscp, messages, err)
				}
			}
		})
	}
}

// TestIPv6WithoutChecksum has a tower leave out the UDP checksum, which IPv6 wants (RFC
// 8200 §8.1): the kernel drops what it sends.
func TestIPv6WithoutChecksum(t *testing.T) {
	listen := func() *net.UDPConn {
		c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.IPv6Loopback(), 0)))
		if err != nil {
			t.Skipf("no IPv6 here: %v", err)
		}
		return c
	}
	tower, conn, port := listen(), listen(), &telling{newWire(), make(chan struct{}, 2)}
	defer tower.Close()
	p, err := New(Options{Conn: conn, Port: port, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ue := netip.MustParseAddr("10.45.0.2")
	put(t, p, 1, ue, datapath.Tunnel{Peer: netip.IPv6Loopback(), TEID: 9})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Serve(ctx) }()
	raw, err := tower.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	const noCheck6TX = 101 // linux/udp.h
	for i, without := range []int{1, 0} {
		raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.IPPROTO_UDP, noCheck6TX, without) })
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tower.WriteTo(gtpu.AppendGPDU(nil, 1, dptest.Packet(ue, netip.MustParseAddr("198.51.100.7"), 60+i)), conn.LocalAddr()); err != nil {
			t.Fatal(err)
		}
	}
	<-port.told
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if u, err := p.Usage(1); err != nil || u.ULPackets != 1 || u.ULOctets != 61 {
		t.Errorf("%+v, %v: want only what had a checksum", u.Count, err)
	}
}

// telling is a wire that tells of each packet.
type telling struct {
	*wire
	told chan struct{}
}

func (w *telling) WritePacket(b []byte) error {
	w.told <- struct{}{}
	return w.wire.WritePacket(b)
}
