package userspace

import (
	"net/netip"
	"testing"

	"campanile.network/3gpp/id"
	"campanile.network/gateway/datapath"
	"campanile.network/gateway/datapath/dptest"
)

// FuzzFlows plays what phones and strangers send, from octets that say who and
// what: a packet is wanted only if the phone itself has sent what it answers, or
// quotes, no longer ago than any flow lasts; and no phone has more flows than it
// may, however it tries.
func FuzzFlows(f *testing.F) {
	const phones, most, each = 3, 70, 66
	for _, p := range [][]byte{dptest.Datagram(at4(1), at4(2), 8), dptest.Segment(at6(1), at6(2), 2), dptest.Unreachable(at4(2).Addr(), dptest.Datagram(at4(1), at4(2), 8)), dptest.IP(at4(1).Addr(), at4(2).Addr(), 1, []byte{8, 0, 0, 0, 1, 2, 0, 1})} {
		f.Add([]byte{0, 1, 0, 4, 1, 1, 3, 5, 200, 201}, p)
		f.Add([]byte{0, 9, 18, 27, 36, 45, 54, 63, 72, 81, 90, 99, 3, 6, 9}, p)
	}
	f.Fuzz(func(t *testing.T, steps, b []byte) {
		seed, err := datapath.ParsePacket(b)
		if err != nil || len(steps) > 1000 {
			return
		}
		m := newFlows(phones, most, each)
		now := second
		last := map[uint32]map[flow]uint64{0: {}, 1: {}, 2: {}} // when the phone sent
		for _, s := range steps {
			phone, pkt := uint32(s%phones), seed
			now += second << (s >> 5) // up to two minutes
			pkt.SrcPort += uint16(s >> 3 & 3)
			switch {
			case s&4 == 0: // a burst of the phone's
				for i := range uint16(s) {
					pkt.DstPort = seed.DstPort + i
					m.Sent(phone, pkt, now)
					if !pkt.Later && !pkt.Error() {
						last[phone][flowOf(&pkt, datapath.Uplink)] = now
					}
				}
			case m.Wanted(phone, pkt, b, now):
				key := flowOf(&pkt, datapath.Downlink)
				if q, ok := pkt.Quoted(b); ok && pkt.Error() {
					key = flowOf(&q, datapath.Uplink)
				}
				sent, ok := last[phone][key]
				if !ok || now-sent > lastsEstablished {
					t.Fatalf("%+v is wanted of phone %d", pkt, phone)
				}
				if !pkt.Error() {
					last[phone][key] = now
				}
			}
			if s == 255 {
				m.Sweep(now)
			}
			if s == 254 {
				m.Forget(phone)
				clear(last[phone])
			}
			n := 0
			for i := range m.sets {
				if x := m.sets[i].Load(); x != nil {
					if len(x.flows) > each {
						t.Fatalf("phone %d has %d flows", i, len(x.flows))
					}
					n += len(x.flows)
				}
			}
			if n != m.Len() || n > most+phones*fair {
				t.Fatalf("%d flows, %d are told", n, m.Len())
			}
		}
		for i := range uint32(phones) {
			m.Forget(i)
		}
		if m.Len() != 0 {
			t.Fatalf("%d flows are left", m.Len())
		}
	})
}

// FuzzFragments: a later fragment is found only by what its first was noted with,
// no longer than a datagram lasts, and they are never more than there may be.
func FuzzFragments(f *testing.F) {
	first, later := dptest.Fragments(dptest.Datagram(at4(1), at4(2), 500), 9, 256)
	first6, later6 := dptest.Fragments(dptest.Datagram(at6(1), at6(2), 500), 9, 256)
	f.Add(first, later, uint32(10), byte(3))
	f.Add(first6, later6, uint32(4200), byte(31))
	f.Add(first, later6, uint32(1), byte(0))
	f.Fuzz(func(t *testing.T, a, b []byte, n uint32, wait byte) {
		x, err := datapath.ParsePacket(a)
		y, err2 := datapath.ParsePacket(b)
		if err != nil || err2 != nil || n > maxFragments+200 {
			return
		}
		var m fragments
		now := second
		m.note(&x, id.TEID(1), now)
		end := now + uint64(wait)*second
		teid, ok := m.find(&y, end)
		if want := fragmentOf(&x) == fragmentOf(&y) && uint64(wait)*second < fragmentsGoAfter; ok != want || ok && teid != 1 {
			t.Fatalf("%+v is found by %+v after %d s: %v", x, y, wait, ok)
		}
		for i := range n { // a flood of first fragments
			x.FragmentID = i
			m.note(&x, id.TEID(2), now)
		}
		if len(m.m) > maxFragments {
			t.Fatalf("%d are kept", len(m.m))
		}
	})
}

func at4(n byte) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 45, 0, n}), 4000)
}

func at6(n byte) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 15: n}), 4000)
}
