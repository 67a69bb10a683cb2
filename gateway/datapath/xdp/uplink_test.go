//go:build linux

package xdp

import (
	"bytes"
	"testing"

	"campanile.network/3gpp/gtpu"
	"campanile.network/gateway/datapath"
)

func gpdu(p []byte) []byte { return gtpu.AppendGPDU(nil, teid, p) }

func up4(p []byte) []byte { return frame(tunnelled(tower4, local4t, gpdu(p), nil)) }

// extended is a G-PDU with a sequence number and extension headers of 4 octets.
func extended(p []byte, kinds ...gtpu.ExtensionType) []byte {
	m := gtpu.Message{Type: gtpu.GPDU, TEID: teid, HasSequence: true, Sequence: 9, Payload: p}
	for _, k := range kinds {
		m.AddExtension(k, []byte{0, 1})
	}
	b, err := m.Append(nil)
	if err != nil {
		panic(err)
	}
	return frame(tunnelled(tower4, local4t, b, nil))
}

// TestUplink gives frames to the program and looks at what became of them: only
// what is wholly understood goes on, and is counted by its own length.
func TestUplink(t *testing.T) {
	p := udp4(100)
	with := func(f func(h []byte)) []byte { return packet(phone4, server4, 17, datagram(1, 2, data(40)), f) }
	unknown := func() []byte {
		return frame(tunnelled(tower4, local4t, gtpu.AppendGPDU(nil, teid+1<<datapath.SlotBits, p), nil))
	}
	otherMAC := append([]byte(nil), up4(p)...)
	otherMAC[5]++
	cut, bare := up4(p), frame(tunnelled(tower6, local6t, gpdu(p), nil))
	bare[14+46], bare[14+47] = 0, 0
	b := newBench(t, nil)
	for _, c := range []struct {
		name  string
		frame []byte
		want  uint32
		inner []byte // forwarded
		lost  int
	}{
		{"plain", up4(p), xdpRedirect, p, 0},
		{"IPv6 inside", up4(udp6(100)), xdpRedirect, udp6(100), 0},
		{"IPv6 outside", frame(tunnelled(tower6, local6t, gpdu(p), nil)), xdpRedirect, p, 0},
		{"IPv6 outside without a checksum", bare, xdpPass, nil, 0},
		{"IPv6 both", frame(tunnelled(tower6, local6t, gpdu(udp6(1400)), nil)), xdpRedirect, udp6(1400), 0},
		{"full size", up4(udp4(1500)), xdpRedirect, udp4(1500), 0},
		{"Ethernet padding", append(up4(udp4(28)), make([]byte, 18)...), xdpRedirect, udp4(28), 0},
		{"padding inside the tunnel", up4(append(udp4(60), 1, 2, 3)), xdpRedirect, udp4(60), 0},
		{"IPv4 options", up4(packet(phone4, server4, 17, append(make([]byte, 4), datagram(1, 2, nil)...), func(h []byte) { h[0] = 0x46 })), xdpRedirect, nil, 0},
		{"sequence number", extended(p), xdpRedirect, p, 0},
		{"PDCP number", extended(p, gtpu.PDCPNumber), xdpRedirect, p, 0},
		{"two extension headers", extended(p, gtpu.PDCPNumber, 0x21), xdpRedirect, p, 0},
		{"three extension headers", extended(p, gtpu.PDCPNumber, 0x21, 0x22), xdpPass, nil, 0},
		{"extension that must be understood", extended(p, 0xfe), xdpPass, nil, 0},
		{"echo request", frame(tunnelled(tower4, local4t, gtpu.AppendEchoRequest(nil, 1), nil)), xdpPass, nil, 0},
		{"error indication", frame(tunnelled(tower4, local4t, gtpu.AppendErrorIndication(nil, 7, tower4), nil)), xdpPass, nil, 0},
		{"end marker", frame(tunnelled(tower4, local4t, gtpu.AppendEndMarker(nil, teid), nil)), xdpPass, nil, 0},
		{"TEID of another generation", unknown(), xdpPass, nil, 0},
		{"outer fragment", frame(tunnelled(tower4, local4t, gpdu(p), func(h []byte) { h[6] = 0x20 })), xdpPass, nil, 0},
		{"not to us", frame(tunnelled(tower4, server4, gpdu(p), nil)), xdpPass, nil, 0},
		{"another host's frame", otherMAC, xdpPass, nil, 0},
		{"last hop", up4(with(func(h []byte) { h[8] = 1 })), xdpPass, nil, 0},
		{"router solicitation", up4(packet(netipMust("fe80::1"), netipMust("ff02::2"), 58, data(8), nil)), xdpPass, nil, 0},
		{"spoofed", up4(packet(other4, server4, 17, datagram(1, 2, data(72)), nil)), xdpDrop, nil, 100},
		{"spoofed IPv6", up4(packet(netipMust("2001:db8:45:3::7"), server6, 17, datagram(1, 2, data(52)), nil)), xdpDrop, nil, 100},
		{"GTP in GTP", up4(packet(phone4, server4, 17, datagram(1, 2152, data(72)), nil)), xdpDrop, nil, 100},
		{"to the gateway", up4(packet(phone4, local4t, 6, append(segment(1, 80, 2), data(60)...), nil)), xdpDrop, nil, 100},
		{"to another phone", up4(packet(phone4, other4, 17, datagram(1, 2, data(72)), nil)), xdpDrop, nil, 100},
		{"inner longer than the tunnel", up4(with(func(h []byte) { h[3] = 200 })), xdpDrop, nil, 0},
		{"neither IPv4 nor IPv6", up4(with(func(h []byte) { h[0] = 0x75 })), xdpDrop, nil, 0},
		{"header too short", up4(with(func(h []byte) { h[0] = 0x44 })), xdpDrop, nil, 0},
		{"cut off", cut[:len(cut)-20], xdpPass, nil, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			b.reset(t)
			verdict, out := b.run("towers", c.frame)
			if verdict != c.want {
				t.Fatalf("verdict %d, want %d", verdict, c.want)
			}
			u := b.usage()
			if charged := b.tab.Session(3).Charged(); int(u.LostOctets) != c.lost || charged != u.Octets() {
				t.Errorf("counted %+v, charged %d; want %d lost", u, charged, c.lost)
			}
			if verdict == xdpPass && !bytes.Equal(out[:len(c.frame)], c.frame) {
				t.Error("passed, and changed")
			}
			if c.want != xdpRedirect {
				if u.ULOctets != 0 {
					t.Errorf("counted %+v", u)
				}
				return
			}
			if c.inner == nil {
				return
			}
			want := older(c.inner)
			if !bytes.Equal(out, append(frameTo(theirMAC, c.inner), want...)) {
				t.Errorf("sent %x\nwant     %x", out, want)
			}
			if u.ULOctets != uint64(len(c.inner)) || u.ULPackets != 1 || u.DLPackets != 0 {
				t.Errorf("counted %+v, want %d octets", u, len(c.inner))
			}
		})
	}
}

// older is a packet after a hop.
func older(p []byte) []byte {
	q := append([]byte(nil), p...)
	if q[0]>>4 == 6 {
		q[7]--
		return q
	}
	q[8]--
	q[10], q[11] = 0, 0
	c := ^folded(sum16(q[:20]))
	q[10], q[11] = byte(c>>8), byte(c)
	return q
}

func frameTo(mac, p []byte) []byte {
	f := append(append([]byte(nil), mac...), ourMAC...)
	if p[0]>>4 == 4 {
		return append(f, 8, 0)
	}
	return append(f, 0x86, 0xdd)
}

// TestEmptyPacketShowsNAT: from then on the slow path has the bearer, both ways.
func TestEmptyPacketShowsNAT(t *testing.T) {
	b := newBench(t, nil)
	if v, _ := b.run("towers", up4(udp4(60))); v != xdpRedirect {
		t.Fatal(v)
	}
	b.run("towers", frame(tunnelled(tower4, local4t, gpdu(nil), nil)))
	if v, _ := b.run("towers", up4(udp4(60))); v != xdpPass {
		t.Error("uplink", v)
	}
	if v, _ := b.run("network", frame(down4(60))); v != xdpPass {
		t.Error("downlink", v)
	}
}

// TestOnlyItsTower: where towers are listed, a stranger's packet is for the slow
// path to judge.
func TestOnlyItsTower(t *testing.T) {
	b := newBench(t, map[string]any{gatewayVarHasTowers: uint32(1)})
	if v, _ := b.run("towers", up4(udp4(60))); v != xdpRedirect {
		t.Error("its tower", v)
	}
	if v, _ := b.run("towers", frame(tunnelled(server4, local4t, gpdu(udp4(60)), nil))); v != xdpPass {
		t.Error("another", v)
	}
}

// TestNoWayPasses: no next hop, a packet bigger than its link, no device.
func TestNoWayPasses(t *testing.T) {
	b := newBench(t, nil)
	b.hops[1].MTU = 1400
	if v, _ := b.run("towers", up4(udp4(1401))); v != xdpPass {
		t.Error("too big", v)
	}
	b.hops[1].Device = 0
	if v, _ := b.run("towers", up4(udp4(100))); v != xdpPass {
		t.Error("no neighbour", v)
	}
	if u := b.usage(); u != (datapath.Count{}) || b.tab.Session(3).Charged() != 0 {
		t.Errorf("%+v", u)
	}
}
