package eps

import (
	"encoding/binary"
	"fmt"
	"iter"
	"net/netip"
	"strings"
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

// ContainerID says what a unit of protocol configuration options is (TS
// 24.008 §10.5.6.3). The same number may mean one thing from the UE, often a
// request with no content, and another from the network.
type ContainerID uint16

// Container identifiers and PPP protocols (TS 24.008 §10.5.6.3).
const (
	ContainerLCP             ContainerID = 0xc021
	ContainerPAP             ContainerID = 0xc023
	ContainerCHAP            ContainerID = 0xc223
	ContainerIPCP            ContainerID = 0x8021
	ContainerPCSCFv6         ContainerID = 0x0001
	ContainerIMCNSubsystem   ContainerID = 0x0002
	ContainerDNSv6           ContainerID = 0x0003
	ContainerPolicyRejected  ContainerID = 0x0004
	ContainerBearerControl   ContainerID = 0x0005
	ContainerHomeAgent       ContainerID = 0x0007
	ContainerAddressViaNAS   ContainerID = 0x000a
	ContainerAddressViaDHCP  ContainerID = 0x000b
	ContainerPCSCFv4         ContainerID = 0x000c
	ContainerDNSv4           ContainerID = 0x000d
	ContainerMSISDN          ContainerID = 0x000e
	ContainerIFOMSupport     ContainerID = 0x000f
	ContainerIPv4LinkMTU     ContainerID = 0x0010
	ContainerLocalAddressTFT ContainerID = 0x0011
	ContainerPCSCFReselect   ContainerID = 0x0012
	ContainerNBIFOMRequest   ContainerID = 0x0013
	ContainerNBIFOMMode      ContainerID = 0x0014
	ContainerNonIPLinkMTU    ContainerID = 0x0015
	ContainerRateControl     ContainerID = 0x0016
	ContainerPSDataOff       ContainerID = 0x0017
	ContainerReliableData    ContainerID = 0x0018
	ContainerPDUSessionID    ContainerID = 0x001a
)

func (c ContainerID) String() string {
	switch c {
	case ContainerLCP:
		return "LCP"
	case ContainerPAP:
		return "PAP"
	case ContainerCHAP:
		return "CHAP"
	case ContainerIPCP:
		return "IPCP"
	case ContainerPCSCFv6:
		return "P-CSCF IPv6 address"
	case ContainerPCSCFv4:
		return "P-CSCF IPv4 address"
	case ContainerDNSv4:
		return "DNS server IPv4 address"
	case ContainerDNSv6:
		return "DNS server IPv6 address"
	case ContainerAddressViaNAS:
		return "IP address allocation via NAS signalling"
	case ContainerIPv4LinkMTU:
		return "IPv4 link MTU"
	case ContainerMSISDN:
		return "MSISDN"
	}
	return fmt.Sprintf("0x%04x", uint16(c))
}

// PCO is protocol configuration options (TS 24.008 §10.5.6.3) in its octets
// on the wire: the configuration protocol, then units of identifier, length
// and content. The zero value has no units.
type PCO []byte

// With appends a unit; content longer than 255 octets is refused by returning
// p as it is.
func (p PCO) With(id ContainerID, content []byte) PCO {
	if len(content) > 255 {
		return p
	}
	if len(p) == 0 {
		p = PCO{0x80} // extension bit, PPP for IP
	}
	p = binary.BigEndian.AppendUint16(p[:len(p):len(p)], uint16(id))
	p = append(p, byte(len(content)))
	return append(p, content...)
}

// All gives the units in order. Contents are parts of p.
func (p PCO) All() iter.Seq2[ContainerID, []byte] {
	return func(yield func(ContainerID, []byte) bool) {
		for i := 1; i+3 <= len(p); {
			n := int(p[i+2])
			if i+3+n > len(p) || !yield(ContainerID(binary.BigEndian.Uint16(p[i:])), p[i+3:i+3+n]) {
				return
			}
			i += 3 + n
		}
	}
}

// Get gives the content of the first unit with that identifier.
func (p PCO) Get(id ContainerID) ([]byte, bool) {
	for c, content := range p.All() {
		if c == id {
			return content, true
		}
	}
	return nil, false
}

// WithDNS appends a unit for each IPv4 or IPv6 server.
func (p PCO) WithDNS(servers ...netip.Addr) PCO {
	for _, s := range servers {
		kind := ContainerDNSv6
		if s = s.Unmap(); s.Is4() {
			kind = ContainerDNSv4
		}
		p = p.With(kind, s.AsSlice())
	}
	return p
}

// DNS gives the servers a network sent in DNS units and in the options 129
// and 131 of an IPCP unit (RFC 1877), each once.
func (p PCO) DNS() []netip.Addr {
	var list []netip.Addr
	add := func(b []byte) {
		a, ok := netip.AddrFromSlice(b)
		for _, have := range list {
			ok = ok && a != have
		}
		if ok && !a.IsUnspecified() {
			list = append(list, a)
		}
	}
	for c, b := range p.All() {
		switch {
		case c == ContainerDNSv4 && len(b) == 4, c == ContainerDNSv6 && len(b) == 16:
			add(b)
		case c == ContainerIPCP && len(b) > 4:
			for o := b[4:]; len(o) >= 2 && int(o[1]) >= 2 && int(o[1]) <= len(o); o = o[o[1]:] {
				if (o[0] == 129 || o[0] == 131) && o[1] == 6 {
					add(o[2:6])
				}
			}
		}
	}
	return list
}

// decode wants whole units.
func (p *PCO) decode(b []byte) error {
	i := 1
	for i < len(b) {
		if i+3 > len(b) || i+3+int(b[i+2]) > len(b) {
			return problem(fmt.Sprintf("unit at octet %d is cut off", i+1))
		}
		i += 3 + int(b[i+2])
	}
	*p = b
	return nil
}

func (p *PCO) encode(dst []byte) []byte {
	if len(*p) == 0 {
		return append(dst, 0x80)
	}
	return append(dst, *p...)
}

// String names the units; of their content only DNS servers, since others
// hold passwords.
func (p PCO) String() string {
	var s []string
	for c, b := range p.All() {
		if a, ok := netip.AddrFromSlice(b); ok && (c == ContainerDNSv4 || c == ContainerDNSv6) {
			s = append(s, fmt.Sprintf("%v %v", c, a))
			continue
		}
		s = append(s, fmt.Sprintf("%v (%d octets)", c, len(b)))
	}
	return strings.Join(s, ", ")
}
