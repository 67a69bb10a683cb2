package media

import "net/netip"

// latch says where packets of a peer may come from, and where its own go.
//
// From the address it has announced they are taken at once. Where that cannot be
// reached from here, for it is private and not where its signalling comes from,
// the peer is behind a NAT: then what comes first from the signalling's address
// is taken, and answered. The first source is kept until the next description,
// and only the announced address itself takes its place: who comes later, or from
// anywhere else, is a stranger.
type latch struct {
	announced netip.AddrPort
	behind    netip.Addr // the NAT's address, or none
	source    netip.AddrPort
}

func newLatch(announced netip.AddrPort, signalling netip.Addr) latch {
	l := latch{announced: unmap(announced)}
	if s := signalling.Unmap(); s.IsValid() && s != l.announced.Addr() && !reachable(l.announced.Addr()) {
		l.behind = s
	}
	return l
}

func unmap(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

var shared = netip.MustParsePrefix("100.64.0.0/10") // of carriers' NATs (RFC 6598)

func reachable(a netip.Addr) bool {
	return a.IsValid() && a.IsGlobalUnicast() && !a.IsPrivate() && !shared.Contains(a)
}

// admits says whether a packet may come from there.
func (l *latch) admits(from netip.AddrPort) bool {
	switch {
	case from == l.announced:
		return true
	case l.source.IsValid():
		return from == l.source
	}
	return from.Addr() == l.announced.Addr() || from.Addr() == l.behind
}

// take remembers where a packet has come from that was found good.
func (l *latch) take(from netip.AddrPort) {
	if from == l.announced || !l.source.IsValid() {
		l.source = from
	}
}

// target is where to send to; it is not valid while nobody can be reached. A peer
// behind a NAT is, when something has come from it. A peer that sends from another port of the announced address is still answered
// at the one it has announced.
func (l *latch) target() netip.AddrPort {
	if l.behind.IsValid() && l.source.Addr() == l.behind {
		return l.source
	}
	if reachable(l.behind) && l.source != l.announced {
		return netip.AddrPort{} // the announced address would be somebody else's here
	}
	if a := l.announced; a.IsValid() && !a.Addr().IsUnspecified() && a.Port() != 0 {
		return a
	}
	return netip.AddrPort{}
}
