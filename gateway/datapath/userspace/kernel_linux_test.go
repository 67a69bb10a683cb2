package userspace

import (
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
