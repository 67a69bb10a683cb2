package userspace

import (
	"net/netip"
	"testing"

	"campanile.network/gateway/datapath"
	"campanile.network/gateway/datapath/dptest"
)

// Two phones that take all flows there are leave a third its own, and none of
// theirs is anybody else's.
func TestFlowsAreSharedFairly(t *testing.T) {
	const most, each = 300, 200
	m := newFlows(3, most, each)
	web := netip.MustParseAddrPort("93.184.216.34:443")
	open := func(session uint32, n int) {
		for i := range n {
			pkt, err := datapath.ParsePacket(dptest.Datagram(netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 45, 0, byte(session)}), uint16(i+1)), web, 1))
			if err != nil {
				t.Fatal(err)
			}
			m.Sent(session, pkt, uint64(i)*second)
		}
	}
	alive := func(session uint32, n int) (live int) {
		for i := range n {
			b := dptest.Datagram(web, netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 45, 0, byte(session)}), uint16(i+1)), 1)
			pkt, _ := datapath.ParsePacket(b)
			if m.Wanted(session, pkt, b, 1) {
				live++
			}
		}
		return live
	}
	open(0, 500)
	if n := alive(0, 500); n != each || m.Len() != each {
		t.Errorf("%d flows of one phone, %d in all, want %d", n, m.Len(), each)
	}
	open(1, 500)
	if n := alive(1, 500); n != most-each {
		t.Errorf("%d flows of another, want the %d that are left", n, most-each)
	}
	open(2, 500)
	if n := alive(2, 500); n != fair || alive(0, 500) != each || m.Len() != most+fair {
		t.Errorf("%d flows of a third, want %d; %d in all", n, fair, m.Len())
	}
	m.Forget(0)
	if n := alive(0, 500); n != 0 || m.Len() != most-each+fair {
		t.Errorf("%d flows of one that is gone, %d in all", n, m.Len())
	}
	m.Sweep(10_000 * second)
	if m.Len() != 0 {
		t.Errorf("%d flows are left", m.Len())
	}
}
