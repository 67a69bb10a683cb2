package userspace

import "net/netip"

// datagram and downlink are what a lane of its own makes of one.
func (p *Path) datagram(b []byte, from netip.AddrPort) {
	w := p.lane(0)
	w.datagram(b, from)
	w.flush()
}

func (p *Path) downlink(frame []byte, redirected bool) {
	w := p.lane(0)
	w.downlink(frame, redirected)
	w.flush()
}
