package memnet

import (
	"errors"
	"net"
	"net/netip"
	"testing"
)

func TestRuleLosesAndDuplicates(t *testing.T) {
	copies := 0
	n := New(func(_, _ netip.AddrPort, _ []byte) int { return copies })
	a, err := n.Listen(netip.MustParseAddrPort("10.0.0.1:1"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := n.Listen(netip.MustParseAddrPort("10.0.0.2:1"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Listen(b.addr); err == nil {
		t.Fatal("an address was bound twice")
	}
	for i, c := range []int{0, 2, 1} {
		copies = c
		if _, err := a.WriteToUDPAddrPort([]byte{byte(i)}, b.addr); err != nil {
			t.Fatal(err)
		}
	}
	buf := make([]byte, 10)
	for _, want := range []byte{1, 1, 2} {
		k, from, err := b.ReadFromUDPAddrPort(buf)
		if err != nil || k != 1 || from != a.addr || buf[0] != want {
			t.Fatalf("got %v from %v (%v), want %d", buf[:k], from, err, want)
		}
	}
	b.Close()
	if _, _, err := b.ReadFromUDPAddrPort(buf); !errors.Is(err, net.ErrClosed) {
		t.Fatalf("read after close: %v", err)
	}
}
