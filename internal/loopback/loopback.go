// Package loopback hands tests IPv4 addresses of 127.0.0.0/8 of their own, so
// that several roles can bind one standard port (GTP-C 2123, GTP-U 2152) side
// by side without root. It is for tests; it reserves nothing beyond the probe.
package loopback

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"
)

// Addr gives a random loopback address on which every UDP port of ports could
// be bound a moment ago; without ports it probes 2123 and 2152. It skips the
// test where the system has only 127.0.0.1 (not Linux).
func Addr(t testing.TB, ports ...uint16) netip.Addr {
	t.Helper()
	if len(ports) == 0 {
		ports = []uint16{2123, 2152}
	}
	for range 64 {
		a := netip.AddrFrom4([4]byte{127, byte(1 + rand.IntN(254)), byte(rand.IntN(256)), byte(1 + rand.IntN(254))})
		if free(a, ports) {
			return a
		}
	}
	t.Skip("no free address in 127.0.0.0/8: this system binds 127.0.0.1 only")
	return netip.Addr{}
}

func free(a netip.Addr, ports []uint16) bool {
	for _, p := range ports {
		c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, p)))
		if err != nil {
			return false
		}
		c.Close()
	}
	return true
}
