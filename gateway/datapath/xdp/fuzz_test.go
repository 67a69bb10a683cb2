//go:build linux

package xdp

import (
	"testing"

	"campanile.network/3gpp/gtpu"
	"campanile.network/gateway/datapath"
	"campanile.network/gateway/datapath/dptest"
)

// How a fuzzed packet comes.
const (
	byTower   = iota // a frame from towers
	byNetwork        // a frame from the packet network
	inTunnel         // a packet of the phone's, in a G-PDU
	inTunnel6        // the same, over IPv6
	inOptions        // the same, its G-PDU with a sequence number and extension headers
	onTheWay         // a packet from the packet network
	ways
)

// frames makes the frame of a packet and, if the packet is a whole one, that of the
// packet the other way round.
func frames(way uint8, b []byte) (up bool, in, back []byte) {
	outer, outer6 := func(g []byte) []byte { return frame(tunnelled(tower4, local4t, g, nil)) }, func(g []byte) []byte { return frame(tunnelled(tower6, local6t, g, nil)) }
	switch way % ways {
	case byTower:
		return true, b, nil
	case byNetwork:
		if len(b) < 14 {
			return false, b, nil
		}
		if r := reversed(b[14:]); r != nil {
			back = outer(gpdu(r))
		}
		return false, b, back
	case inTunnel6:
		in = outer6(gpdu(b))
	case inOptions:
		in = extended(b, gtpu.PDCPNumber, 0x20)
	case onTheWay:
		if len(b) == 0 {
			return false, nil, nil
		}
		in = frame(b)
		if r := reversed(b); r != nil {
			back = outer(gpdu(r))
		}
		return false, in, back
	default:
		in = outer(gpdu(b))
	}
	if r := reversed(b); r != nil {
		back = frame(r)
	}
	return true, in, back
}

// reversed is a packet from where another goes to where it comes from.
func reversed(b []byte) []byte {
	p, err := datapath.ParsePacket(b)
	if err != nil {
		return nil
	}
	r := append([]byte(nil), b[:p.Size]...)
	if p.Src.Is4() {
		copy(r[12:16], b[16:20])
		copy(r[16:20], b[12:16])
	} else {
		copy(r[8:24], b[24:40])
		copy(r[24:40], b[8:24])
	}
	switch {
	case p.HasPorts():
		copy(r[p.Transport:], b[p.Transport+2:p.Transport+4])
		copy(r[p.Transport+2:], b[p.Transport:p.Transport+2])
	case p.Protocol == datapath.ProtoICMP && !p.Later && p.Size > p.Transport:
		r[p.Transport] ^= 8
	case p.Protocol == datapath.ProtoICMPv6 && !p.Later && p.Size > p.Transport:
		r[p.Transport] ^= 1
	}
	return r
}

// FuzzPrograms gives a frame to the programs with their slow path, and to the
// user-space path alone, with the same sessions: what goes on, what is counted,
// charged and dropped, and for which reason, must be the same.
func FuzzPrograms(f *testing.F) {
	for _, c := range []scene{0, sceneClosed, sceneClosed | sceneOpener, sceneServices, sceneServices | sceneClosed | sceneOpener, sceneQuota, sceneRedirect, sceneRate, sceneRate | sceneClosed, sceneFilters, sceneIdle, sceneFilters | sceneServices | sceneOpener} {
		for _, p := range twinSeeds() {
			f.Add(byte(c), byte(inTunnel), p)
			f.Add(byte(c), byte(onTheWay), reversed(p))
		}
	}
	for _, p := range twinSeeds() {
		f.Add(byte(0), byte(inTunnel6), p)
		f.Add(byte(0), byte(inOptions), p)
		f.Add(byte(0), byte(byTower), up4(p))
		f.Add(byte(0), byte(byNetwork), frame(reversed(p)))
	}
	for _, g := range [][]byte{gtpu.AppendEchoRequest(nil, 1), gtpu.AppendEndMarker(nil, twinDefault), gtpu.AppendErrorIndication(nil, 0x1001, tower4), gpdu(nil), {0x34, 0xff, 0, 0, 0, 0x10, 0, 5}} {
		f.Add(byte(0), byte(byTower), frame(tunnelled(tower4, local4t, g, nil)))
	}
	f.Add(byte(0), byte(onTheWay), packet(server6, phone6, 0, nil, nil)) // a jumbogram
	f.Add(byte(0), byte(inTunnel), packet(phone6, server6, 0, nil, nil))
	fast := [2]*fastTwin{newFastTwin(f, 0), newFastTwin(f, sceneServices)}
	f.Fuzz(func(t *testing.T, s, way byte, b []byte) {
		c := scene(s)
		up, in, back := frames(way, b)
		if len(in) < 14 || len(in) > 1600 {
			return
		}
		x := fast[0]
		if c&sceneServices != 0 {
			x = fast[1]
		}
		a, err := x.begin(c)
		must(t, err)
		defer a.end()
		z, err := newTwin(twinOptions(c))
		must(t, err)
		must(t, z.fill(c))
		z.serve()
		defer z.end()
		step := func(up bool, frame []byte) {
			t.Helper()
			if len(frame) < 60 { // as Ethernet does
				frame = append(frame[:len(frame):len(frame)], make([]byte, 60-len(frame))...)
			}
			if p, err := datapath.ParsePacket(frame[14:]); !up && err == nil && (p.Dst == local4t || p.Dst == local6t) {
				return // the programs let no GTP in there; the kernel would
			}
			must(t, x.give(a, up, frame))
			if up {
				z.fromTowers(frame)
			} else {
				z.fromNetwork(frame)
			}
			if got, want := a.account(c), z.account(c); got != want {
				t.Fatalf("scene %08b, up %v, frame %x:\nprograms:\n%s\nuser space:\n%s", c, up, frame, got, want)
			}
		}
		if c&sceneRate != 0 { // 1,000 bit/s for the next ten seconds
			step(true, up4(udp4(1300)))
			step(false, frame(down4(1300)))
		}
		if c&sceneOpener != 0 && back != nil {
			step(!up, back)
		}
		step(up, in)
		step(up, in)
		if back != nil {
			step(!up, back)
		}
	})
}

// twinSeeds are packets of the phone's.
func twinSeeds() (all [][]byte) {
	echo := []byte{8, 0, 0, 0, 0x12, 0x34, 0, 1}
	echo6 := append([]byte{128}, echo[1:]...)
	first, later := dptest.Fragments(udp4(200), 7, 64)
	first6, later6 := dptest.Fragments(udp6(200), 7, 64)
	gtp := datagram(2152, 2152, gpdu(udp4(40)))
	all = [][]byte{udp4(100), udp6(100), udp4(301), packet(phone4, server4, 6, segment(5000, 80, 2), nil), packet(phone6, server6, 6, segment(5000, 80, 0x11), nil),
		packet(phone4, server4, 1, echo, nil), packet(phone6, server6, 58, echo6, nil), first, later, first6, later6, packet(phone4, server4, 50, []byte{0, 0, 0, 9, 0, 0, 0, 1}, nil),
		packet(other4, server4, 17, datagram(1, 2, nil), nil), packet(phone4, other4, 17, datagram(4000, 53, nil), nil), packet(phone4, phone4, 17, datagram(4000, 53, nil), nil), packet(phone6, phone6, 6, segment(1, 2, 2), nil), packet(phone4, local4t, 17, gtp, nil), packet(phone4, tower4, 17, gtp, nil),
		packet(phone6, server6, 60, append([]byte{17, 0, 0, 0, 0, 0, 0, 0}, gtp...), nil), dptest.Unreachable(phone4, down4(60)), dptest.Unreachable(phone6, down6(60)),
		packet(netipMust("fe80::7"), netipMust("ff02::2"), 58, []byte{133, 0, 0, 0, 0, 0, 0, 0}, nil), packet(phone4, server4, 17, nil, nil),
		packet(phone4, server4, 17, datagram(1, 2, nil), func(h []byte) { h[8] = 1 }), packet(phone4, server4, 17, datagram(4000, 53, nil), func(h []byte) { h[1] = 0xb8 }),
		packet(phone6, server6, 17, datagram(4000, 53, nil), func(h []byte) { h[1], h[2], h[3] = 1, 0x23, 0x45 }), packet(phone6, server6, 51, make([]byte, 24), nil), packet(phone4, server4, 47, []byte{1, 2, 3, 4}, nil)}
	return all
}
