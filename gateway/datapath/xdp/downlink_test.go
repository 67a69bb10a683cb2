//go:build linux

package xdp

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"campanile.network/3gpp/gtpu"
	"campanile.network/gateway/datapath"
)

// TestDownlink: what is for an active phone arrives at its tower in a G-PDU,
// its header one hop older and all else untouched.
func TestDownlink(t *testing.T) {
	b := newBench(t, nil)
	with := func(f func(h []byte)) []byte { return packet(server4, phone4, 17, datagram(1, 2, data(40)), f) }
	for _, c := range []struct {
		name  string
		frame []byte
		want  uint32
		inner []byte
		peer6 bool
	}{
		{"plain", frame(down4(100)), xdpRedirect, down4(100), false},
		{"IPv6 inside", frame(down6(100)), xdpRedirect, down6(100), false},
		{"IPv6 outside", frame(down4(101)), xdpRedirect, down4(101), true},
		{"IPv6 outside, full size", frame(down6(1444)), xdpRedirect, down6(1444), true},
		{"IPv6 outside, a whole chunk", frame(down6(1024)), xdpRedirect, down6(1024), true},
		{"Ethernet padding", append(frame(down4(28)), make([]byte, 18)...), xdpRedirect, down4(28), false},
		{"fragment", frame(with(func(h []byte) { h[6] = 0x20 })), xdpRedirect, with(func(h []byte) { h[6] = 0x20 }), false},
		{"as big as fits", frame(down4(1464)), xdpRedirect, down4(1464), false},
		{"too big", frame(down4(1465)), xdpPass, nil, false},
		{"last hop", frame(with(func(h []byte) { h[8] = 1 })), xdpPass, nil, false},
		{"to nobody", frame(packet(server4, server4, 17, datagram(1, 2, nil), nil)), xdpPass, nil, false},
		{"ARP", ethernet(0x0806, make([]byte, 28)), xdpPass, nil, false},
		{"cut off", frame(down4(100))[:90], xdpPass, nil, false},
		{"GTP-U from the packet network", frame(tunnelled(server4, local4t, gpdu(udp4(60)), nil)), xdpDrop, nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			b.reset(t)
			if c.peer6 {
				b.policies[slot].Flags, b.policies[slot].Peer = peer6, tower6.As16()
			}
			verdict, out := b.run("network", c.frame)
			u := b.usage()
			if verdict != c.want || b.tab.Session(3).Charged() != u.Octets() {
				t.Fatalf("verdict %d, want %d; counted %+v", verdict, c.want, u)
			}
			if verdict == xdpPass && !bytes.Equal(out[:len(c.frame)], c.frame) {
				t.Error("passed, and changed")
			}
			if c.want != xdpRedirect {
				if u != (datapath.Count{}) {
					t.Errorf("counted %+v", u)
				}
				return
			}
			if u.DLOctets != uint64(len(c.inner)) || u.DLPackets != 1 || u.ULPackets != 0 {
				t.Errorf("counted %+v, want %d octets", u, len(c.inner))
			}
			checkOuter(t, out, c.peer6, older(c.inner))
		})
	}
}

// checkOuter takes a frame to the tower apart.
func checkOuter(t *testing.T, f []byte, six bool, inner []byte) {
	t.Helper()
	if !bytes.Equal(f[:12], append(append([]byte(nil), theirMAC...), ourMAC...)) {
		t.Errorf("Ethernet %x", f[:14])
	}
	ip, head := f[14:], 20
	if six {
		head = 40
		if ip[0]>>4 != 6 || ip[0]<<4|ip[1]>>4 != 46<<2 || netip.AddrFrom16([16]byte(ip[8:])) != local6t || netip.AddrFrom16([16]byte(ip[24:])) != tower6 ||
			int(binary.BigEndian.Uint16(ip[4:])) != len(ip)-40 || ip[6] != 17 {
			t.Errorf("IPv6 header %x", ip[:40])
		}
		pseudo := sum16(ip[8:40]) + 17 + uint32(len(ip)-40)
		if folded(pseudo+sum16(ip[40:])) != 0xffff {
			t.Error("UDP checksum is wrong")
		}
	} else if ip[0] != 0x45 || ip[1] != 46<<2 || folded(sum16(ip[:20])) != 0xffff || netip.AddrFrom4([4]byte(ip[12:])) != local4t ||
		netip.AddrFrom4([4]byte(ip[16:])) != tower4 || int(binary.BigEndian.Uint16(ip[2:])) != len(ip) || ip[9] != 17 {
		t.Errorf("IPv4 header %x", ip[:20])
	}
	udp := ip[head:]
	if binary.BigEndian.Uint16(udp[2:]) != gtpu.Port || int(binary.BigEndian.Uint16(udp[4:])) != len(udp) || !six && (udp[6] != 0 || udp[7] != 0) {
		t.Errorf("UDP header %x", udp[:8])
	}
	m, err := gtpu.Parse(udp[8:])
	if err != nil || m.Type != gtpu.GPDU || m.TEID != 0x1001 || !bytes.Equal(m.Payload, inner) {
		t.Errorf("%v %v %v\n got %x\nwant %x", m.Type, m.TEID, err, m.Payload, inner)
	}
}

// TestIdlePasses: no tunnel, no neighbour, a bearer that nobody has put.
func TestIdlePasses(t *testing.T) {
	b := newBench(t, nil)
	for name, change := range map[string]func(){
		"idle":         func() { b.policies[slot].Flags |= slowDown },
		"no neighbour": func() { b.hops[0].Device = 0 },
		"removed":      func() { b.policies[slot].TEID = 0 },
	} {
		b.reset(t)
		change()
		if v, _ := b.run("network", frame(down4(60))); v != xdpPass || b.usage() != (datapath.Count{}) {
			t.Errorf("%s: verdict %d, %+v", name, v, b.usage())
		}
	}
}

// TestOneDevice: the program for a device that is both towards towers and
// towards the packet network.
func TestOneDevice(t *testing.T) {
	b := newBench(t, nil)
	if v, _ := b.run("both", up4(udp4(60))); v != xdpRedirect {
		t.Error("uplink", v)
	}
	if v, _ := b.run("both", frame(down4(70))); v != xdpRedirect {
		t.Error("downlink", v)
	}
	if u := b.usage(); u.ULOctets != 60 || u.DLOctets != 70 {
		t.Errorf("%+v", u)
	}
}
