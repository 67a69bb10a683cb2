package mme

import (
	"net/netip"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
	"campanile.network/mme/s11"
)

// tunnelEnd reads an eNB's end of a bearer, or of forwarding, whose other end is at
// gateway; false if it cannot be one (TS 29.281 §4.4). What the gateway sent to its
// own address would come back to it as a phone's uplink, and to an address of many
// would reach strangers.
func tunnelEnd(a *s1ap.TransportLayerAddress, teid s1ap.GTPTEID, gateway netip.Addr) (s11.FTEID, bool) {
	addr, err := a.Addr()
	addr = addr.Unmap()
	switch {
	case err != nil || teid.ID() == 0:
	case addr.IsUnspecified() || addr.IsMulticast() || addr == broadcast || addr == gateway.Unmap():
	default:
		return s11.FTEID{Addr: addr, TEID: teid.ID()}, true
	}
	return s11.FTEID{}, false
}

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// gatewayEnd is where the gateway takes a bearer's uplink; zero if the phone has no
// such bearer.
func (u *ue) gatewayEnd(ebi id.EBI) netip.Addr {
	_, b := u.bearer(ebi)
	if b == nil {
		return netip.Addr{}
	}
	return b.sgw.Addr
}
