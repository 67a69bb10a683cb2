package eps

import (
	"fmt"
	"net/netip"

	"campanile.network/3gpp/tree"
)

// PDNAddress is the address the network gives to a UE (TS 24.301 §9.9.4.9).
type PDNAddress struct {
	Type PDNType
	IPv4 netip.Addr // for IPv4 and IPv4v6; 0.0.0.0: by DHCPv4
	IID  [8]byte    // for IPv6 and IPv4v6: the interface identifier of the link-local address
}

// IPv4Address is the PDN address that is a.
func IPv4Address(a netip.Addr) PDNAddress { return PDNAddress{Type: PDNTypeIPv4, IPv4: a} }

func (a *PDNAddress) decode(b []byte) error {
	*a = PDNAddress{Type: PDNType(b[0] & 7)}
	v4, want := 1, 5
	switch a.Type {
	case PDNTypeIPv4:
	case PDNTypeIPv6:
		v4, want = 0, 9
	case PDNTypeIPv4v6:
		v4, want = 9, 13
	case PDNTypeNonIP, PDNTypeEthernet:
		v4 = 0
	default:
		return problem(fmt.Sprintf("PDN type %d is reserved", a.Type))
	}
	if len(b) < want {
		return problem(fmt.Sprintf("%d octets, want %d for PDN type %v", len(b), want, a.Type))
	}
	if v4 > 0 {
		a.IPv4 = netip.AddrFrom4([4]byte(b[v4:]))
	}
	if want >= 9 {
		copy(a.IID[:], b[1:])
	}
	return nil
}

// encode writes nothing, which Append refuses, where an IPv4 address is
// wanted and missing.
func (a *PDNAddress) encode(dst []byte) []byte {
	v4 := a.IPv4.Unmap()
	if a.Type == PDNTypeIPv4 || a.Type == PDNTypeIPv4v6 {
		if !v4.Is4() {
			return dst
		}
	}
	dst = append(dst, byte(a.Type&7))
	switch a.Type {
	case PDNTypeIPv6, PDNTypeIPv4v6:
		dst = append(dst, a.IID[:]...)
	case PDNTypeNonIP, PDNTypeEthernet:
		dst = append(dst, 0, 0, 0, 0)
	}
	if a.Type == PDNTypeIPv4 || a.Type == PDNTypeIPv4v6 {
		o := v4.As4()
		dst = append(dst, o[:]...)
	}
	return dst
}

func (a PDNAddress) String() string {
	switch a.Type {
	case PDNTypeIPv4:
		return a.IPv4.String()
	case PDNTypeIPv6:
		return fmt.Sprintf("interface identifier %x", a.IID)
	case PDNTypeIPv4v6:
		return fmt.Sprintf("%v, interface identifier %x", a.IPv4, a.IID)
	}
	return a.Type.String()
}

func (a *PDNAddress) node(name string) tree.Node {
	n := tree.Branch(name, tree.Leaf("PDN type", a.Type))
	if a.Type == PDNTypeIPv6 || a.Type == PDNTypeIPv4v6 {
		n.Nodes = append(n.Nodes, tree.Leaf("IPv6 interface identifier", a.IID[:]))
	}
	if a.IPv4.IsValid() {
		n.Nodes = append(n.Nodes, tree.Leaf("IPv4 address", a.IPv4))
	}
	return n
}
