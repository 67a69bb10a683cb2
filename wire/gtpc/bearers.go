package gtpc

import (
	"encoding/binary"
	"net/netip"

	"campanile.network/3gpp/id"
	"github.com/wmnsk/go-gtp/gtpv2/ie"
)

// Address is what a PDN connection is given (TS 29.274 §8.14): of the PDN types
// that have it, an IPv4 address, and an IPv6 prefix of 64 bits with the interface
// identifier of the phone's link-local address.
type Address struct {
	IPv4 netip.Addr // zero: none
	IPv6 netip.Addr // prefix and interface identifier; zero: none
}

// Type is the PDN type, 0 for no address.
func (a Address) Type() uint8 {
	switch {
	case a.IPv4.IsValid() && a.IPv6.IsValid():
		return PDNIPv4v6
	case a.IPv4.IsValid():
		return PDNIPv4
	case a.IPv6.IsValid():
		return PDNIPv6
	}
	return 0
}

// Any is the address that asks for any of a PDN type.
func Any(pdn uint8) (a Address) {
	if pdn == PDNIPv4 || pdn == PDNIPv4v6 {
		a.IPv4 = netip.IPv4Unspecified()
	}
	if pdn == PDNIPv6 || pdn == PDNIPv4v6 {
		a.IPv6 = netip.IPv6Unspecified()
	}
	return a
}

// IE is the PDN Address Allocation element.
func (a Address) IE() *ie.IE {
	b := []byte{a.Type()}
	if a.IPv6.IsValid() {
		v := a.IPv6.As16()
		b = append(append(b, 64), v[:]...)
	}
	if a.IPv4.IsValid() {
		b = append(b, a.IPv4.AsSlice()...)
	}
	return ie.New(ie.PDNAddressAllocation, 0, b)
}

// ParseAddress reads the element; it fails unless it has what its type says.
func ParseAddress(e *ie.IE) (a Address, err error) {
	b, err := payload(e, ie.PDNAddressAllocation, "PAA", 5)
	if err != nil {
		return a, err
	}
	t := b[0] & 7
	b = b[1:]
	if t == PDNIPv6 || t == PDNIPv4v6 {
		if len(b) < 17 {
			return a, Refuse(MandatoryIEIncorrect, ie.PDNAddressAllocation, "PAA of type %d has %d octets", t, len(b)+1)
		}
		a.IPv6 = netip.AddrFrom16([16]byte(b[1:17]))
		b = b[17:]
	}
	if t == PDNIPv4 || t == PDNIPv4v6 {
		if len(b) < 4 {
			return a, Refuse(MandatoryIEIncorrect, ie.PDNAddressAllocation, "PAA of type %d has no IPv4 address", t)
		}
		a.IPv4 = netip.AddrFrom4([4]byte(b[:4]))
	}
	if a.Type() == 0 || a.Type() != t {
		return a, Refuse(MandatoryIEIncorrect, ie.PDNAddressAllocation, "PAA of type %d", t)
	}
	return a, nil
}

// PAA is the PDN Address Allocation element for an IPv4 address.
func PAA(a netip.Addr) *ie.IE { return Address{IPv4: a}.IE() }

// ParsePAA reads an IPv4 address, alone or behind the IPv6 part.
func ParsePAA(e *ie.IE) (netip.Addr, error) {
	a, err := ParseAddress(e)
	if err == nil && !a.IPv4.IsValid() {
		err = Refuse(MandatoryIEIncorrect, ie.PDNAddressAllocation, "PAA of type %d has no IPv4 address", a.Type())
	}
	return a.IPv4, err
}

// FlowQoS is the quality that a phone asks for (TS 29.274 §8.16); ARP does not
// count.
func (q QoS) FlowQoS() *ie.IE { return ie.New(ie.FlowQoS, 0, q.IE().Payload[1:]) }

// PTI is the Procedure Transaction ID element (TS 29.274 §8.35), nil for none.
func PTI(v uint8) *ie.IE {
	if v == 0 {
		return nil
	}
	return ie.New(ie.ProcedureTransactionID, 0, []byte{v})
}

// ParsePTI reads the element; 0 for none.
func ParsePTI(e *ie.IE) uint8 {
	if e == nil || len(e.Payload) == 0 {
		return 0
	}
	return e.Payload[0]
}

// LinkedEBI gives the identities in the EPS Bearer ID elements of an instance.
func LinkedEBI(ies []*ie.IE, instance uint8) (out []id.EBI, err error) {
	for _, e := range ies {
		if e.Type == ie.EPSBearerID && e.Instance() == instance {
			v, err := ParseEBI(e)
			if err != nil {
				return nil, err
			}
			out = append(out, v)
		}
	}
	return out, nil
}

// ParseChargingID reads the element (TS 29.274 §8.29); 0 for none.
func ParseChargingID(e *ie.IE) uint32 {
	if e == nil || e.Type != ie.ChargingID || len(e.Payload) < 4 {
		return 0
	}
	return binary.BigEndian.Uint32(e.Payload)
}
