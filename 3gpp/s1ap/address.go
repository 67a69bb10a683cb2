package s1ap

import (
	"encoding/binary"
	"net/netip"
)

// TransportAddress returns the Transport Layer Address that holds the valid
// ones of v4 and v6 (TS 36.413 §9.2.2.1, TS 36.414 §5.3): 32 bits of IPv4, 128
// of IPv6, or 160 with IPv4 first. Without a valid address the result is empty.
func TransportAddress(v4, v6 netip.Addr) TransportLayerAddress {
	var b []byte
	if v4 = v4.Unmap(); v4.Is4() {
		b = v4.AsSlice()
	}
	if v6.Is6() && !v6.Is4In6() {
		b = append(b, v6.AsSlice()...)
	}
	return TransportLayerAddress{Bytes: b, Len: 8 * len(b)}
}

// IPv4 returns the IPv4 address in a; ok is false if it has none.
func (a TransportLayerAddress) IPv4() (addr netip.Addr, ok bool) {
	if (a.Len == 32 || a.Len == 160) && len(a.Bytes) >= 4 {
		return netip.AddrFromSlice(a.Bytes[:4])
	}
	return netip.Addr{}, false
}

// IPv6 returns the IPv6 address in a; ok is false if it has none.
func (a TransportLayerAddress) IPv6() (addr netip.Addr, ok bool) {
	switch {
	case a.Len == 128 && len(a.Bytes) >= 16:
		return netip.AddrFromSlice(a.Bytes[:16])
	case a.Len == 160 && len(a.Bytes) >= 20:
		return netip.AddrFromSlice(a.Bytes[4:20])
	}
	return netip.Addr{}, false
}

// TEID returns the GTP-TEID of the number.
func TEID(n uint32) (t GTPTEID) {
	binary.BigEndian.PutUint32(t[:], n)
	return t
}

// Uint32 returns the tunnel endpoint identifier as a number.
func (v GTPTEID) Uint32() uint32 { return binary.BigEndian.Uint32(v[:]) }

// Uint32 returns the M-TMSI as a number.
func (v MTMSI) Uint32() uint32 { return binary.BigEndian.Uint32(v[:]) }

// Uint16 returns the Tracking Area Code as a number.
func (v TAC) Uint16() uint16 { return binary.BigEndian.Uint16(v[:]) }

// Uint16 returns the MME Group ID as a number.
func (v MMEGroupID) Uint16() uint16 { return binary.BigEndian.Uint16(v[:]) }
