package loopback

import (
	"net"
	"net/netip"
	"testing"
)

func TestAddrCanBeBound(t *testing.T) {
	a := Addr(t)
	if !a.IsLoopback() {
		t.Fatalf("%v is no loopback address", a)
	}
	c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, 2123)))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if free(a, []uint16{2123}) {
		t.Fatal("a bound port counts as free")
	}
}
