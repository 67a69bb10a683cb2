package relay

import (
	"net/netip"
	"time"

	"campanile.network/3gpp/gtpu"
)

// Announce tells the core another address from now on than that of the relay's
// own socket: the one that a NAT between gives it. The NAT's port for it is
// shown to each gateway by a G-PDU with nothing in it, sent when a bearer comes
// up and every pulse after, which also keeps the NAT's mapping. It reports
// whether the address is another than before.
func (r *Relay) Announce(a netip.Addr) bool {
	old := r.user.announced.Swap(&a)
	return old == nil || *old != a
}

// pulse is less than the 30 s after which NATs in homes forget (RFC 4787 §4.3
// asks for two minutes).
const pulse = 20 * time.Second

// face is the relay's address as neighbours on a side are told.
func (u *userPlane) face(side Side) netip.Addr {
	if a := u.announced.Load(); a != nil && side == Core {
		return *a
	}
	return u.addr[side]
}

// show lets a bearer's gateway see whence its packets come.
func (u *userPlane) show(n *tunnel) {
	e := n.ends.Load()
	if u.announced.Load() == nil || e.count == nil || e.released || !e.gateway.addr.IsValid() {
		return
	}
	u.write(Core, gtpu.AppendGPDU(nil, e.gateway.teid, nil), netip.AddrPortFrom(e.gateway.addr, u.port))
}

// showAll does so for every bearer.
func (u *userPlane) showAll() {
	if u.announced.Load() == nil {
		return
	}
	u.table.mu.RLock()
	all := make([]*tunnel, 0, len(u.table.radio))
	for _, n := range u.table.radio {
		all = append(all, n)
	}
	u.table.mu.RUnlock()
	for _, n := range all {
		u.show(n)
	}
}
