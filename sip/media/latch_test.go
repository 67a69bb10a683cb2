package media

import (
	"net/netip"
	"testing"
)

func TestStrangersAndLatching(t *testing.T) {
	private := netip.MustParseAddrPort("192.168.1.20:4000")
	nat := netip.MustParseAddr("203.0.113.9")
	mapped, other, away := netip.AddrPortFrom(nat, 61000), netip.AddrPortFrom(nat, 61001), netip.MustParseAddrPort("198.51.100.1:4000")
	frame := rtp(0, 1, 1, 1, make([]byte, 160))
	for _, c := range []struct {
		name     string
		peer     Peer
		from     []netip.AddrPort
		taken    []bool
		answered netip.AddrPort
	}{
		{"as announced", Peer{Addr: phone, Signalling: phone.Addr()}, []netip.AddrPort{phone, away, phone}, []bool{true, false, true}, phone},
		{"stranger first", Peer{Addr: phone, Signalling: phone.Addr()}, []netip.AddrPort{away, phone}, []bool{false, true}, phone},
		{"public and elsewhere than signalling", Peer{Addr: phone, Signalling: nat}, []netip.AddrPort{mapped, phone}, []bool{false, true}, phone},
		{"behind a NAT", Peer{Addr: private, Signalling: nat}, []netip.AddrPort{away, mapped, other, mapped}, []bool{false, true, false, true}, mapped},
		{"behind a NAT, silent", Peer{Addr: private, Signalling: nat}, []netip.AddrPort{away}, []bool{false}, netip.AddrPort{}},
		{"private and reached after all", Peer{Addr: private, Signalling: nat}, []netip.AddrPort{mapped, private, mapped}, []bool{true, true, false}, private},
		{"private, as is its signalling", Peer{Addr: private, Signalling: private.Addr()}, []netip.AddrPort{mapped, private}, []bool{false, true}, private},
		{"another port", Peer{Addr: phone, Signalling: phone.Addr()}, []netip.AddrPort{netip.AddrPortFrom(phone.Addr(), 9), netip.AddrPortFrom(phone.Addr(), 8), phone}, []bool{true, false, true}, phone},
		{"carrier's NAT", Peer{Addr: netip.MustParseAddrPort("100.64.3.4:5004"), Signalling: nat}, []netip.AddrPort{mapped}, []bool{true}, mapped},
		{"mapped in six", Peer{Addr: phone, Signalling: phone.Addr()}, []netip.AddrPort{netip.AddrPortFrom(netip.AddrFrom16(phone.Addr().As16()).Unmap(), 4000)}, []bool{true}, phone},
		{"on hold", Peer{Addr: netip.MustParseAddrPort("0.0.0.0:4000"), Signalling: nat}, []netip.AddrPort{away}, []bool{false}, netip.AddrPort{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			c.peer.Receives = []Format{PCMU}
			b.peer(0, c.peer)
			b.peer(1, Peer{Addr: cell, Signalling: cell.Addr(), Receives: []Format{PCMU}})
			for i, from := range c.from {
				b.give(0, from, frame)
				if got := len(b.taken(1)) == 1; got != c.taken[i] {
					t.Errorf("packet %d from %s is taken: %t", i, from, got)
				}
			}
			b.give(1, cell, frame)
			var to netip.AddrPort
			if len(b.sent) > 0 {
				to = b.sent[0].to
			}
			if to != c.answered {
				t.Errorf("answered at %s, want %s", to, c.answered)
			}
		})
	}
}

// A new description forgets what was learned of the old one, and only one with
// another address does.
func TestLatchHoldsUntilTheAddressChanges(t *testing.T) {
	nat := netip.MustParseAddr("203.0.113.9")
	first, second := netip.AddrPortFrom(nat, 61000), netip.AddrPortFrom(nat, 61001)
	p := Peer{Addr: netip.MustParseAddrPort("10.0.0.2:4000"), Signalling: nat, Receives: []Format{PCMU}}
	b := newBench(t)
	b.peer(0, p)
	frame := rtp(0, 1, 1, 1, make([]byte, 160))
	b.give(0, first, frame)
	p.Receives = []Format{PCMU, PCMA}
	b.peer(0, p)
	b.give(0, second, frame)
	if st := b.s.Leg(0).Stats(); st.Source != first.String() || st.Dropped[Stranger] != 1 {
		t.Errorf("after the same address: %s, %v", st.Source, st.Dropped)
	}
	p.Addr = netip.MustParseAddrPort("10.0.0.2:4002")
	b.peer(0, p)
	b.give(0, second, frame)
	if st := b.s.Leg(0).Stats(); st.Source != second.String() {
		t.Errorf("after another address: %s", st.Source)
	}
}
