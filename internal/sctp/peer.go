package sctp

import (
	"net/netip"
	"slices"
)

// Peer is where the other end of an association is, so that it can be dialled once the association is no more.
type Peer struct {
	Addrs     []netip.Addr // all it is known by, the one that answers best first
	Port      uint16       // SCTP port
	EncapPort uint16       // UDP port its packets come from, 0 without UDP
}

// PeerOf tells where an association's peer is. An endpoint that listens on the association's local port can dial it from there: to a peer that
// has not noticed the end of an association between these ports this is a restart (RFC 9260 §5.2.2), after which a SHUTDOWN reaches it.
func PeerOf(a Association) Peer {
	if p, ok := a.(interface{ peerNow() Peer }); ok {
		return p.peerNow()
	}
	r := a.RemoteAddr()
	return Peer{Addrs: []netip.Addr{r.Addr()}, Port: r.Port()}
}

func (a *assoc) peerNow() Peer {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := Peer{Addrs: []netip.Addr{a.path.addr.Addr()}, Port: a.peer.Port(), EncapPort: a.path.addr.Port()}
	for i := range a.paths {
		if ip := a.paths[i].addr.Addr(); a.paths[i].confirmed && !slices.Contains(p.Addrs, ip) {
			p.Addrs = append(p.Addrs, ip)
		}
	}
	return p
}
